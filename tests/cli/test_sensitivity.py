"""hwflow sensitivity: its tables, its JSON, the file of critical bits, and what is refused before any work."""

import json

from tests.cli.conftest import hwflow
from tests.cli.test_demo import DOCUMENTATION, keys


def test_from_design_to_spared_bits(tmp_path) -> None:
    design, critical, report = tmp_path / "design", tmp_path / "critical.json", tmp_path / "report.json"
    hwflow("harden", "digits_cnn", "-o", design).succeeds()
    few = ("--images", "16", "--confirm", "20", "--sample", "50")
    out = hwflow(
        "sensitivity", design, "--data", "digits", *few, "--protect-top", "0.01", "-o", critical, "--json", report
    ).succeeds()
    assert "rank correlation" in out
    assert "674 bits; a side memory of place and value would have 12132 bits" in out
    data = json.loads(report.read_text())
    assert (len(data["top"]), len(data["sample"]), data["protect_top"]["bits"]) == (20, 50, 674)
    assert not {key for key in keys(data) if f"`{key}`" not in DOCUMENTATION.read_text()}
    hwflow("evaluate", design, "--data", "digits", "--ber", "1e-3", "--rounds", "1", "--spared", critical).succeeds()

    hwflow("sensitivity", design, "--data", "digits", "--protect-top", "0.01").fails_with("give both, or neither")
    hwflow("sensitivity", design, "--data", "digits", "--protect-top", "0", "-o", tmp_path / "x").fails_with("above 0")
    hwflow("evaluate", design, "--data", "digits", "--spared", critical).fails_with("spared places matter under faults")
    assert not (tmp_path / "x").exists()
