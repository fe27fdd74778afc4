"""The table of bad inputs: one line each, which names what is wrong, and nothing left, lost or changed."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwflow.files.folders import files_in
from tests.cli.bad_inputs import ALL, Case
from tests.cli.conftest import hwflow

SPEC = 'models = ["digits_cnn"]\nformats = ["ap_fixed<8,3>"]\nt = ["none"]\nber = [0.01]\nrounds = 2\nimages = 5\n'


@pytest.fixture(scope="module")
def kit(keras: Any, design: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a good input of every kind."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("kit")
    shutil.copytree(design, folder / "design")
    hwflow("generate", design, "-o", folder / "project").succeeds()
    hwflow("harden", "digits_qcnn", "-o", folder / "other").succeeds()
    lists = folder / "lists"
    hwflow(
        "evaluate", design, "--data", "digits", "--images", 2, "--ber", 0.05, "--rounds", 1, "--save-faults", lists
    ).succeeds()
    (lists / "round-0.json").rename(folder / "faults.json")
    lists.rmdir()
    np.savez(folder / "data.npz", x=np.zeros((20, 8, 8, 1)), y=np.arange(20) % 10)
    model = keras.models.load_model(design / "model.h5", compile=False)
    model.save(folder / "model.h5")
    model.save(folder / "model.keras")
    (folder / "model.json").write_text(model.to_json())
    model.save_weights(folder / "model_weights.h5")
    for name in ("cat", "dog"):
        (folder / "pictures" / name).mkdir(parents=True)
    (folder / "flat").mkdir()
    for index, place in enumerate(("pictures/cat/000", "pictures/dog/001", "flat/000", "flat/001")):
        pixels = np.random.default_rng(index).integers(0, 256, (9, 9, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{place}.png")
    (folder / "labels.txt").write_text("000.png 0\n001.png 1\n")
    np.savez(folder / "state.npz", **{"fc.weight": np.zeros((3, 3), np.float32)})
    header = json.dumps({"fc.weight": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    (folder / "state.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    (folder / "spec.toml").write_text(SPEC)
    hwflow("campaign", folder / "spec.toml", "-o", folder / "results.sqlite").succeeds()
    return folder


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of last change of every file."""
    return {name: ((folder / name).lstat().st_size, (folder / name).lstat().st_mtime_ns) for name in files_in(folder)}


def parameters() -> list[Any]:
    """The cases; the same files before other commands, which take as long again, are slow."""
    again = ("simulate", "emulate", "harden digits_cnn -o out --calibration bad.npz")
    return [
        pytest.param(case, id=str(case), marks=[pytest.mark.slow] if case.command.startswith(again) else [])
        for case in ALL
    ]


@pytest.mark.parametrize("case", parameters())
def test_a_bad_input_is_one_line(case: Case, kit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "kit"
    unused = {name for name in ("project", "other") if name not in case.command}  # the large ones
    shutil.copytree(kit, place, ignore=lambda folder, _: unused if folder == str(kit) else ())
    monkeypatch.chdir(place)
    case.change()
    before = snapshot(place)
    result = hwflow(*case.command.split())
    assert result.status in (1, 2), result.out
    result.fails_with(*case.words, status=result.status)
    assert result.out == ""
    assert result.err.isprintable() or result.err[:-1].isprintable()
    assert snapshot(place) == before


def test_there_are_as_many_as_there_should_be() -> None:
    assert len(ALL) >= 300
    assert len({str(case) for case in ALL}) == len(ALL)
