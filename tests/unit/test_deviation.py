"""How far outputs are from the Keras model's: against differences that are computed here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hwflow
from hwflow.errors import HwflowError
from hwflow.faults import FaultList, round_seed, sample_ber
from hwflow.memory import memories
from hwflow.models._tf import tensorflow
from hwflow.reference import IntegerExecutor
from hwflow.stages.deviation import deviations
from tests.cli.conftest import hwflow as hwflow_command


@pytest.fixture(scope="module")
def regressor(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any, np.ndarray, Path]:
    layers = tensorflow().keras.layers
    stack = [layers.Input((6,)), layers.Dense(5, activation="relu"), layers.Dense(2)]
    model = tensorflow().keras.Sequential(stack, name="regressor")
    rng = np.random.default_rng(1)
    model.set_weights([rng.normal(0, 1, weight.shape) for weight in model.get_weights()])
    images = rng.normal(0, 1, (90, 6)).astype(np.float32)
    folder = tmp_path_factory.mktemp("regressor")
    np.savez(folder / "data.npz", x=images, y=rng.normal(size=(90, 2)))
    model.save(folder / "model.h5")
    design = hwflow.harden(folder / "model.h5", folder / "design", calibration=folder / "data.npz")
    return model, design, images, folder


def expected(model: Any, design: Any, images: np.ndarray, faults: FaultList | None) -> float:
    executor = IntegerExecutor(design.graph)
    codes = executor.run(executor.encode(images), faults)
    difference = executor.decode(codes) - model.predict(images, verbose=0)
    return float(np.sqrt(np.square(difference).mean()))


def test_deviations_are_those_of_the_outputs(regressor: tuple[Any, Any, np.ndarray, Path]) -> None:
    model, design, images, folder = regressor
    found = deviations(design, folder / "data.npz", ber=1e-2, rounds=3, seed=4)
    places = memories(design.graph)
    lists = [sample_ber(places, 1e-2, round_seed(4, each), design.graph.digest) for each in range(3)]
    assert found.clean.rms == pytest.approx(expected(model, design, images, None), rel=1e-5)
    each = [expected(model, design, images, faults) for faults in lists]
    assert [draw.rms for draw in found.draws] == pytest.approx(each, rel=1e-5)
    assert found.faulted is not None
    assert found.faulted.rms == pytest.approx(np.mean(each), rel=1e-5)
    assert found.faulted.std == pytest.approx(np.std(each, ddof=1), rel=1e-4)
    outputs = model.predict(images, verbose=0)
    assert found.output_std == pytest.approx(np.sqrt(outputs.var(axis=0).mean()), rel=1e-5)
    assert found.clean.relative == pytest.approx(100 * found.clean.rms / found.output_std)
    assert 0 < found.clean.relative < 3 < found.faulted.relative
    one = deviations(design, images, faults=lists[1], images=40)
    assert one.draws[0].rms == pytest.approx(expected(model, design, images[:40], lists[1]), rel=1e-5)


def test_what_has_no_deviation(regressor: tuple[Any, Any, np.ndarray, Path]) -> None:
    _, design, images, folder = regressor
    with pytest.raises(HwflowError, match="compared with the Keras network itself"):
        deviations(design, images, executor="keras")
    with pytest.raises(HwflowError, match="accuracy needs labels"):
        hwflow.evaluate(design, folder / "data.npz")
    with pytest.raises(HwflowError, match=r"shape"):
        deviations(design, images[:, :5])


def test_the_command(regressor: tuple[Any, Any, np.ndarray, Path], tmp_path: Path) -> None:
    model, design, images, folder = regressor
    run = (
        "evaluate",
        folder / "design",
        "--data",
        folder / "data.npz",
        "--deviation",
        "--ber",
        "1e-2",
        "--rounds",
        "2",
    )
    assert "root mean square" in hwflow_command(*run, "--json", tmp_path / "out.json").succeeds()
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["clean"]["rms"] == pytest.approx(expected(model, design, images, None), rel=1e-5)
    assert len(found["draws"]) == 2
    hwflow_command(*run, "--save-faults", tmp_path / "lists").fails_with("--save-faults: is for accuracy")
