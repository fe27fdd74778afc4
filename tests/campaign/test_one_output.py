"""Campaigns of networks with one output, whose class is whether it exceeds a threshold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwflow.campaign import run_campaign
from hwflow.campaign.export import read_results
from hwflow.campaign.sources import open_model
from hwflow.campaign.spec import ModelSpec
from hwflow.campaign.spec_file import parse_spec
from hwflow.data import open_data
from hwflow.errors import HwflowError
from hwflow.float_study import Outcome
from hwflow.float_study.network import top1
from hwflow.frontends.keras_decision import threshold
from hwflow.frontends.keras_graph import network_graph
from hwflow.frontends.keras_network import read_network
from hwflow.graph.decision import threshold as graph_threshold
from hwflow.models._tf import tensorflow
from hwflow.paper.logits import run_logits
from hwflow.paper.studies import Subject


def network(activation: str | None, reshaped: bool = False) -> Any:
    layers = tensorflow().keras.layers
    inner = tensorflow().keras.Sequential(
        [layers.Input((6,)), layers.Dense(5, activation="relu"), layers.Dense(1, activation=activation)]
    )
    end = [layers.Reshape((1, 1)), layers.Flatten()] if reshaped else []
    return tensorflow().keras.Sequential([layers.Input((6,)), inner, *end])


@pytest.mark.parametrize(
    ("activation", "at"), [(None, 0.0), ("sigmoid", 0.5), ("hard_sigmoid", 0.5), ("tanh", 0.0), ("relu", 0.0)]
)
@pytest.mark.parametrize("reshaped", [False, True])
def test_model_and_graph_have_the_same_threshold(activation: str | None, at: float, reshaped: bool) -> None:
    model = network(activation, reshaped)
    assert threshold(model) == at == graph_threshold(network_graph(read_network(model)))


def test_not_a_number_is_class_0() -> None:
    outputs = np.array([[0.6], [0.5], [np.nan], [np.inf]], np.float32)
    assert top1(outputs, 0.5).tolist() == [1, 0, 0, 1]
    found = Outcome.of(outputs, np.array([1, 0, 0, 1]), None, threshold=0.5)
    assert (found.correct, found.bad_images) == (4, 2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network with one sigmoid, and images whose labels are what it tells, a third of them class 1."""
    path = tmp_path_factory.mktemp("one")
    model = network("sigmoid")
    rng = np.random.default_rng(1)
    model.set_weights([rng.normal(0, 1, weight.shape) for weight in model.get_weights()])
    images = rng.normal(0, 1, (600, 6)).astype(np.float32)
    found = model.predict(images, verbose=0)[:, 0]
    chosen = np.concatenate([np.flatnonzero(found > 0.5)[:20], np.flatnonzero(found <= 0.5)[:40]])
    np.savez(path / "one.npz", x=images[chosen], y=found[chosen] > 0.5)
    model.save(path / "one.h5")
    return path


@pytest.mark.parametrize("executor", ["float", "reference"])
def test_a_campaign(folder: Path, tmp_path: Path, executor: str) -> None:
    data = str(folder / "one.npz")
    spec = {"models": [str(folder / "one.h5")], "formats": ["ap_fixed<8,3>"], "t": ["optimal"], "ber": [0.05],
            "rounds": 3, "data": data, "executor": executor}  # fmt: skip
    if executor == "reference":
        spec["calibration"] = data
    run_campaign(parse_spec(spec), tmp_path / "r.sqlite")
    clean, faulted = read_results(tmp_path / "r.sqlite").cells
    assert clean.summary.mean > 95  # class 0 alone would have 67 %
    assert all(0 < trial.correct < 60 for trial in faulted.trials)


def test_the_study_of_logits(folder: Path) -> None:
    subject = Subject(str(folder / "one.h5"), data=str(folder / "one.npz"), rounds=1, msb="assume")
    found = run_logits(subject, ["fp16"], [])
    assert all(each.outcomes[0].correct >= 58 for each in found)


def test_classes_that_there_are_not(folder: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "three.npz", x=np.zeros((2, 6), np.float32), y=np.array([1, 2]))
    with pytest.raises(HwflowError, match="has class 2, but one knows 0 to 1"):
        open_model(ModelSpec(str(folder / "one.h5"), name="one"), open_data(str(tmp_path / "three.npz")))


def test_outputs_that_tell_no_class(tmp_path: Path) -> None:
    layers = tensorflow().keras.layers
    tensorflow().keras.Sequential([layers.Input((4, 4, 1)), layers.Conv2D(2, 3)]).save(tmp_path / "pixels.h5")
    np.savez(tmp_path / "pixels.npz", x=np.zeros((2, 4, 4, 1), np.float32), y=np.array([0, 1]))
    with pytest.raises(HwflowError, match=r"pixels: outputs of the shape \(2, 2, 2\) tell no class"):
        open_model(ModelSpec(str(tmp_path / "pixels.h5"), name="pixels"), open_data(str(tmp_path / "pixels.npz")))
