"""hwflow emulate: models and hls4ml projects in hls4ml's own types, the comparison with csim, and bad input."""

import contextlib
import io
import json
import shutil
from pathlib import Path
from typing import Any

import hls4ml
import numpy as np
import pytest
import yaml

from hwflow.emulation import emulator as emulation
from hwflow.emulation.source import open_graph
from hwflow.errors import HwflowError
from tests.cli.conftest import hwflow, left_in
from tests.cli.test_demo import DOCUMENTATION, keys


@pytest.fixture(scope="module")
def model(keras: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network in a file."""
    layers = keras.layers
    x = keras.Input((4,), name="x")
    y = layers.Dense(5, activation="relu", name="hidden", kernel_initializer="random_normal")(x)
    network = keras.Model(x, layers.Dense(3, activation="softmax", name="logits")(y), name="small")
    rng = np.random.default_rng(3)
    network.set_weights([rng.normal(size=weight.shape) for weight in network.get_weights()])
    path = tmp_path_factory.mktemp("model") / "small.keras"
    network.save(path)
    return path


@pytest.fixture(scope="module")
def project(keras: Any, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as a project that hls4ml wrote; not to be changed."""
    folder = tmp_path_factory.mktemp("hls4ml") / "project"
    network = keras.models.load_model(model)
    config = hls4ml.utils.config_from_keras_model(network, granularity="name", backend="Vitis")
    with contextlib.redirect_stdout(io.StringIO()):
        graph = hls4ml.converters.convert_from_keras_model(
            network, hls_config=config, backend="Vitis", output_dir=str(folder), io_type="io_stream"
        )
        graph.write()
    return folder


@pytest.fixture
def copied(project: Path, tmp_path: Path) -> Path:
    """A copy of the project, to be damaged."""
    return Path(shutil.copytree(project, tmp_path / "copied"))


def test_a_model_agrees_with_csim(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values, report = tmp_path / "values.npz", tmp_path / "report.json"
    out = hwflow(
        "emulate", model, "--random", "40", "--seed", "7", "--against-csim", "-o", values, "--json", report
    ).succeeds()
    assert "hidden" in out
    assert "0 of 120 output codes differ" in out
    result = json.loads(report.read_text())
    assert result["csim"] == {
        "images": 40,
        "output_codes": 120,
        "differing_codes": 0,
        "layers": 4,
        "first_layer": None,
    }
    assert [layer["name"] for layer in result["layers"]] == ["x", "hidden", "hidden_relu", "logits", "logits_softmax"]
    assert result["layers"][1] == {
        "name": "hidden",
        "kind": "Dense",
        "shape": [5],
        "type": "ap_fixed<16,6>",
        "accum": "ap_fixed<16,6>",
    }
    with np.load(values) as arrays:
        assert arrays["x"].shape == (40, 4)
        assert arrays["y"].shape == (40, 3)
        assert np.abs(arrays["x"]).max() == 32
    monkeypatch.setitem(emulation.FUNCTIONS, "relu", lambda node: lambda codes: np.maximum(codes, 1))
    hwflow("emulate", model, "--random", "40", "--against-csim").fails_with("differ", "hidden_relu")


def test_a_project(project: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    hwflow("emulate", project, "--random", "10", "--json", report).succeeds()
    result = json.loads(report.read_text())
    assert (result["io_type"], result["images"], result["csim"]) == ("io_stream", 10, None)
    assert result["layers"][1]["accum"] != "ap_fixed<16,6>"
    text = DOCUMENTATION.read_text()
    assert {key for key in keys(result) if f"`{key}`" not in text} == set()


def test_a_project_and_its_model_are_the_same(project: Path, model: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", x=np.random.default_rng(1).normal(size=(9, 4)))
    outputs = []
    for number, source in enumerate(([project], [model, "--io-type", "io_stream", "--granularity", "name"])):
        path = tmp_path / f"{number}.npz"
        hwflow("emulate", *source, "--data", tmp_path / "data.npz", "-o", path).succeeds()
        with np.load(path) as arrays:
            outputs.append(arrays["y"])
    assert np.array_equal(*outputs)
    moved = Path(shutil.copytree(project, tmp_path / "moved"))
    hwflow("emulate", moved, "--data", tmp_path / "data.npz", "--images", "4").succeeds()


def test_options_of_a_model(model: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.yml"
    config.write_text(yaml.safe_dump({"Model": {"Precision": {"default": "fixed<12,4>"}, "ReuseFactor": 1}}))
    for options in (["--precision", "fixed<12,4>"], ["--hls-config", config]):
        report = tmp_path / "report.json"
        hwflow("emulate", model, "--random", "3", "--json", report, *options).succeeds()
        assert json.loads(report.read_text())["layers"][1]["type"] == "ap_fixed<12,4>"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], ["--data", "--random"]),
        (["--random", "3", "--data", "digits"], ["--data", "--random"]),
        (["--data", "digits"], ["(500, 8, 8, 1)", "(N, 4)"]),
        (["--random", "3", "-o", "values.txt"], ["values.txt", ".npz"]),
        (["--random", "3", "--hls-config", "missing.yml"], ["missing.yml"]),
        (["--random", "3", "--precision", "fixed<16,6,TRN,WRAP,1>"], ["wrap bits"]),
        (["--random", "3", "--hls-config", "missing.yml", "--precision", "fixed<9,3>"], ["--precision"]),
    ],
)
def test_bad_options(model: Path, options: list[str], words: list[str]) -> None:
    hwflow("emulate", model, *options).fails_with(*words)


def test_a_dilated_convolution_is_refused(keras: Any, tmp_path: Path) -> None:
    x = keras.Input((6, 6, 1))
    keras.Model(x, keras.layers.Conv2D(1, 2, dilation_rate=2, name="sparse")(x)).save(tmp_path / "model.keras")
    hwflow("emulate", tmp_path / "model.keras", "--random", "3").fails_with("sparse", "dilation_rate")


@pytest.mark.parametrize("text", ["a: [", "[1]", "LayerName: {}", "!!python/object/apply:os.getcwd []"])
def test_bad_configurations(model: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "config.yml").write_text(text)
    hwflow("emulate", model, "--random", "3", "--hls-config", tmp_path / "config.yml").fails_with("config.yml")


def test_a_project_that_was_changed(copied: Path) -> None:
    weights = copied / "firmware" / "weights" / "w2.txt"
    weights.write_text(weights.read_text().replace("0", "1", 1))
    hwflow("emulate", copied, "--random", "3").fails_with("w2.txt", "not what hls4ml writes")
    weights.unlink()
    hwflow("emulate", copied, "--random", "3").fails_with("w2.txt", "missing")


def test_a_project_whose_synthesis_was_changed(copied: Path) -> None:
    header = copied / "firmware" / "weights" / "w2.h"
    header.write_text(header.read_text().replace("0", "1", 1))
    with pytest.raises(HwflowError, match=r"w2\.h: not what hls4ml writes"):
        open_graph(copied)


def test_a_project_without_its_model(copied: Path) -> None:
    (copied / "keras_model.keras").unlink()
    config = copied / "hls4ml_config.yml"
    text = config.read_text()
    saved = next(line for line in text.splitlines() if line.startswith("KerasModel"))
    config.write_text(text.replace(saved, "KerasModel: !keras_model missing.keras"))
    hwflow("emulate", copied, "--random", "3").fails_with("missing.keras")
    config.write_text(text.replace(saved, ""))
    hwflow("emulate", copied, "--random", "3").fails_with("keeps no Keras model")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("ProjectName: ", "ProjectName: ../../evil #", "is no identifier of C++"),
        ("ProjectName: ", "ProjectName: 'x(); int y' #", "is no identifier of C++"),
        ("ProjectName: ", "ProjectName: 3 #", "is no identifier of C++"),
        ("IOType: ", "IOType: io_serial #", "its IOType is 'io_serial'"),
        (
            "HLSConfig:",
            "HLSConfig: {Model: {Precision: '16; exit(1)'}}\nOther:",
            "is no name, number",
        ),
        ("HLSConfig:", "HLSConfig: {Model: {'#include': 1}}\nOther:", "is no name, number"),
        ("HLSConfig:", "HLSConfig: !!python/object/apply:os.system ['touch marker']\nOther:", "not a readable"),
        ("KerasModel: ", "KerasModel: !keras_model /etc/passwd #", "is not in the folder"),
    ],
)
def test_project_files_are_data(copied: Path, old: str, new: str, reason: str) -> None:
    config = copied / "hls4ml_config.yml"
    text = config.read_text()
    assert old in text
    config.write_text(text.replace(old, new, 1))
    with pytest.raises(HwflowError) as caught:
        open_graph(copied)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not Path("marker").exists()


def test_folders_that_are_no_projects(design: Path, project: Path, tmp_path: Path) -> None:
    hwflow("emulate", tmp_path, "--random", "3").fails_with("hls4ml_config.yml")
    hwflow("emulate", design, "--random", "3").fails_with("hls4ml_config.yml")
    hwflow("emulate", project, "--random", "3", "--io-type", "io_stream").fails_with("--io-type")
    assert left_in(tmp_path) == set()
