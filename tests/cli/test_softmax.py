"""A classifier that ends in softmax: all executors give its probabilities; the RTL of a larger one its logits."""

import json
from pathlib import Path
from typing import Any

import numpy as np
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
    assert "note: " not in out
    return design.parent / "project"


@pytest.mark.parametrize("faults", [pytest.param([], marks=pytest.mark.slow), ["--ber", "1e-2"]])
def test_probabilities_are_exact(design, project, tmp_path, faults):
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
    assert "reference_logits" not in result["accuracy"]
    assert min(result["accuracy"]["keras"]["clean"]["mean"], figures[0][0]) >= 75


def test_the_rtl_of_many_classes_ends_at_the_logits(keras, tmp_path):
    image = keras.Input((4,))
    keras.Model(image, keras.layers.Dense(600, activation="softmax", name="many")(image)).save(tmp_path / "many.h5")
    np.savez(tmp_path / "x.npz", x=np.random.default_rng(1).uniform(-1, 1, (8, 4)), y=np.arange(8))
    data = ["--data", tmp_path / "x.npz", "--images", "4"]
    hwflow("harden", tmp_path / "many.h5", "--calibration", tmp_path / "x.npz", "-o", tmp_path / "design").succeeds()
    out = hwflow("generate", tmp_path / "design", "-o", tmp_path / "project", "--no-firmware").succeeds()
    assert "note: many_softmax: the RTL ends at the logits before it, as its table is too large; the firmware" in out
    hwflow("simulate", tmp_path / "design", *data, "--simulator", "icarus", "--project", tmp_path / "project",
           "--json", tmp_path / "result.json").succeeds()  # fmt: skip
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["differing_codes"] == 0
    figures = [result["accuracy"][name]["conditions"][0]["top1"] for name in ("reference_logits", "rtl")]
    assert figures[0] == figures[1]


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
