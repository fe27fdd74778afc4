"""Files that Keras 3 and qkeras-v3 wrote (`scripts/keras3_files.py`) compute here what they computed there."""

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwflow.errors import HwflowError
from hwflow.frontends.keras_versions import is_keras3
from hwflow.models import load_model

ROOT = Path(__file__).resolve().parents[2]
ARCHIVE = ROOT / "tests" / "data" / "keras3" / "networks.tar.xz"
SCRIPT = ROOT / "scripts" / "keras3_files.py"
QKERAS = {"quantised", "separable"}
FILES = (
    *("branches.h5", "branches.json", "branches.keras", "chain.json", "chain.keras", "planes.h5", "planes.keras"),
    *("rows.h5", "rows.keras", "quantised.h5", "quantised.json", "quantised.keras", "separable.h5", "separable.keras"),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack(ARCHIVE, tmp_path_factory.mktemp("keras3"))


def unpack(archive: Path, target: Path) -> Path:
    with tarfile.open(archive) as file:
        file.extractall(target, filter="data")
    return target


def check_same(path: Path) -> None:
    model = load_model(path)
    with np.load(path.parent / f"{path.stem}.npz") as arrays:
        inputs = [arrays[key] for key in sorted(arrays) if key[0] == "x"]
        expected = [arrays[key] for key in sorted(arrays) if key[0] == "y"]
    outputs = model.predict(inputs, verbose=0)
    outputs = outputs if isinstance(outputs, list) else [outputs]
    assert len(outputs) == len(expected)
    for output, wanted in zip(outputs, expected, strict=True):
        # QKeras' values are on a grid, so that the least difference would be a step of it.
        tolerance = 0 if path.stem in QKERAS else 1e-6 * abs(wanted).max()
        np.testing.assert_allclose(output, wanted, rtol=0, atol=tolerance)


def test_every_file_is_listed(folder: Path) -> None:
    found = {path.name for path in folder.iterdir() if path.suffix != ".npz" and not path.name.endswith(".weights.h5")}
    assert found == set(FILES)


@pytest.mark.parametrize("name", FILES)
def test_same_outputs(folder: Path, name: str) -> None:
    check_same(folder / name)


def test_saved_again(folder: Path, tmp_path: Path) -> None:
    model = load_model(folder / "branches.keras")
    for suffix in (".h5", ".keras"):
        model.save(tmp_path / f"again{suffix}")
        again = load_model(tmp_path / f"again{suffix}")
        assert [layer.name for layer in again.layers] == [layer.name for layer in model.layers]
        for before, after in zip(model.get_weights(), again.get_weights(), strict=True):
            np.testing.assert_array_equal(before, after)


def edited(source: Path, target: Path, edit: Any) -> Path:
    """A ``.keras`` file with its configuration edited in place by a function."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "config.json":
                config = json.loads(content)
                edit(config["config"]["layers"])
                content = json.dumps(config).encode()
            new.writestr(name, content)
    return target


def _other_hard_sigmoid(layers: list[Any]) -> None:
    layers[-1]["config"]["activation"] = "hard_sigmoid"


def _operation_with_a_number(layers: list[Any]) -> None:
    operation = next(layer for layer in layers if layer.get("module") == "keras.src.ops.numpy")
    operation["inbound_nodes"][0]["args"][1] = 2.0


def _other_operation(layers: list[Any]) -> None:
    operation = next(layer for layer in layers if layer.get("module") == "keras.src.ops.numpy")
    operation["class_name"] = operation["registered_name"] = "Sin"


def _registered_elsewhere(layers: list[Any]) -> None:
    layers[-1]["registered_name"] = "mine>Dense"


def _unknown_attribute(layers: list[Any]) -> None:
    layers[-1]["config"]["lora_rank"] = 4


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        pytest.param(
            _other_hard_sigmoid,
            "is another function in Keras 3 than in Keras 2",
            marks=pytest.mark.skipif(is_keras3(), reason="needs Keras 2"),
        ),
        (_operation_with_a_number, "on something else than two tensors of as many axes"),
        (_other_operation, "the class 'Sin' of the module 'keras.src.ops.numpy'"),
        (_registered_elsewhere, "'mine>Dense'"),
        (_unknown_attribute, "lora_rank=4"),
    ],
)
def test_untranslated(folder: Path, tmp_path: Path, edit: Any, reason: str) -> None:
    path = edited(folder / "branches.keras", tmp_path / "edited.keras", edit)
    with pytest.raises(HwflowError, match="saved by Keras 3") as caught:
        load_model(path)
    assert reason in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_files_of_the_newest_keras(tmp_path: Path) -> None:
    """Build an environment with the newest Keras, let it write the networks, and read them."""
    environment = tmp_path / "keras3"
    python = environment / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    install = [python, "-m", "pip", "install", "--quiet", "keras", "jax", "h5py"]
    if subprocess.run(install, capture_output=True, check=False).returncode:
        pytest.skip("no package index to install Keras 3 from")
    archive = tmp_path / "networks.tar.xz"
    clean = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "KERAS_BACKEND")}
    subprocess.run([python, SCRIPT, archive], check=True, env=clean)
    (tmp_path / "files").mkdir()
    folder = unpack(archive, tmp_path / "files")
    names = [name for name in FILES if name.partition(".")[0] not in QKERAS]
    for name in names:
        check_same(folder / name)
