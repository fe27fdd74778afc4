"""A classifier that ends in softmax: its RTL ends at the logits, its firmware at the probabilities."""

import json
from pathlib import Path
from typing import Any

import pytest

from hwflow import rtl as rtl_backend
from hwflow.errors import HwflowError
from tests.cli.conftest import hwflow, left_in


@pytest.fixture(scope="module")
def design(keras: Any, quick_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of digits with a softmax behind it."""
    folder = tmp_path_factory.mktemp("softmax")
    network = keras.models.load_model(quick_model)
    probabilities = keras.layers.Activation("softmax", name="probabilities")(network.output)
    keras.Model(network.input, probabilities, name="classifier").save(folder / "classifier.h5")
    hwflow("harden", folder / "classifier.h5", "--calibration", "digits", "-o", folder / "design").succeeds()
    return folder / "design"


@pytest.fixture(scope="module")
def project(design: Path) -> Path:
    out = hwflow("generate", design, "-o", design.parent / "project").succeeds()
    notes = [line for line in out.splitlines() if line.startswith("note: ")]
    assert notes == ["note: probabilities: the RTL ends at the logits before it; it has no softmax, the firmware has"]
    return design.parent / "project"


@pytest.mark.parametrize("faults", [pytest.param([], marks=pytest.mark.slow), ["--ber", "1e-2"]])
def test_logits_of_the_rtl_and_probabilities_of_the_firmware_are_exact(design, project, tmp_path, faults):
    path = tmp_path / "result.json"
    hwflow(
        "simulate", design, "--data", "digits", "--images", "4", "--simulator", "icarus", "--csim",
        "--project", project, "--json", path, *faults,
    ).succeeds()  # fmt: skip
    result = json.loads(path.read_text())
    assert result["differing_codes"] == 0
    assert {row["executor"] for row in result["comparisons"]} == {"icarus", "csim"}
    figures = [[row["top1"] for row in result["accuracy"][name]["conditions"]] for name in ("reference", "rtl", "csim")]
    assert figures[0] == figures[1] == figures[2]
    assert [row["top1"] for row in result["accuracy"]["reference_logits"]["conditions"]] == figures[1]
    assert min(result["accuracy"]["keras"]["clean"]["mean"], figures[0][0]) >= 75


def test_the_firmware_is_not_lost_if_there_can_be_no_rtl(design, tmp_path, monkeypatch):
    def refuse(_graph: object, folder: Path, _reuse: object, **_options: object) -> None:
        folder.mkdir()
        (folder / "half.sv").touch()
        raise HwflowError("layer7: the RTL has no Swish")

    monkeypatch.setattr(rtl_backend, "generate", refuse)
    path = tmp_path / "result.json"
    out = hwflow("generate", design, "-o", tmp_path / "p", "--json", path).succeeds()
    assert "note: there is no RTL: layer7: the RTL has no Swish; the firmware is complete, and --no-rtl" in out
    assert left_in(tmp_path / "p") == {"project.json", "firmware"}
    assert json.loads(path.read_text())["refused"] == {"rtl": "layer7: the RTL has no Swish"}
    simulate = ["simulate", design, "--data", "digits", "--images", "1"]
    hwflow(*simulate, "--project", tmp_path / "p").fails_with("layer7: the RTL has no Swish")
    hwflow(*simulate).fails_with("layer7: the RTL has no Swish")
    hwflow("generate", design, "-o", tmp_path / "q", "--no-firmware").fails_with("layer7: the RTL has no Swish")
    assert left_in(tmp_path) == {"p", "result.json"}
