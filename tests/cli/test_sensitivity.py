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
    hwflow("sensitivity", design, "--data", "digits", "--protect-top", "some", "-o", tmp_path / "x").fails_with("0.1%")
    hwflow("evaluate", design, "--data", "digits", "--spared", critical).fails_with("spared places matter under faults")
    assert not (tmp_path / "x").exists()


def test_from_design_to_protected_design(tmp_path) -> None:
    design, protected, report = tmp_path / "design", tmp_path / "protected", tmp_path / "report.json"
    hwflow("harden", "digits_cnn", "-o", design).succeeds()
    few = ("--data", "digits", "--images", "16", "--confirm", "5", "--sample", "5")
    command = ("sensitivity", design, *few, "--protect-top", "1%", "-o", protected)
    out = hwflow(*command, "--json", report).succeeds()
    kept = json.loads(report.read_text())["protect_top"]
    assert kept == {"weights": 84, "side_bits": hwflow_side_bits(protected)}
    assert f"84 weights kept; side memories have {kept['side_bits']} bits" in out
    hwflow(*command).fails_with("exists")
    hwflow("evaluate", protected, "--data", "digits", "--ber", "1e-2", "--rounds", "1").succeeds()
    again = ("sensitivity", protected, *few, "--protect-top", "1%", "-o", tmp_path / "x")
    hwflow(*again).fails_with("it has kept weights already")
    generated = hwflow("generate", protected, "-o", tmp_path / "project", "--no-firmware").succeeds()
    assert "kept" in generated


def hwflow_side_bits(design) -> int:
    return json.loads((design / "design.json").read_text())["kept"]["side_bits"]
