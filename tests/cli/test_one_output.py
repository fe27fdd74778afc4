"""A network with one sigmoid at its end, from its file to the RTL: class 1 is a probability above a half."""

import json

import numpy as np
import pytest

from hwflow.models._tf import tensorflow
from tests.cli.conftest import hwflow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The design, and images whose labels are what the Keras model tells."""
    path, keras = tmp_path_factory.mktemp("one"), tensorflow().keras
    layers = keras.layers
    stack = [layers.Input((6,)), layers.Dense(5, activation="tanh"), layers.Dense(1, activation="sigmoid")]
    model = keras.Sequential(stack, name="one")
    rng = np.random.default_rng(1)
    model.set_weights([rng.normal(0, 1, weight.shape) for weight in model.get_weights()])
    model.save(path / "one.h5")
    images = rng.normal(0, 1, (60, 6)).astype(np.float32)
    labels = (model.predict(images, verbose=0) > 0.5).astype(np.int64)  # (60, 1)
    assert 5 < labels.sum() < 55
    np.savez(path / "one.npz", x=images, y=labels)
    hwflow("harden", path / "one.h5", "-o", path / "d", "--calibration", path / "one.npz").succeeds()
    return path


@pytest.mark.parametrize("executor", ["keras", "reference"])
def test_accuracy(folder, executor):
    out = folder / f"{executor}.json"
    data = ("--data", folder / "one.npz")
    hwflow("evaluate", folder / "d", *data, "--executor", executor, "--json", out).succeeds()
    accuracy = json.loads(out.read_text())["clean"]["mean"]
    assert accuracy == 100 if executor == "keras" else accuracy > 95


def test_a_third_class_is_refused(folder):
    np.savez(folder / "three.npz", x=np.zeros((2, 6), np.float32), y=np.array([1, 2]))
    hwflow("evaluate", folder / "d", "--data", folder / "three.npz").fails_with(
        "has class 2, but the network knows 0 to 1"
    )


@pytest.mark.slow
def test_every_executor_tells_the_class(folder):
    """The bench's own test of the accuracy, too, which knows the threshold."""
    hwflow("generate", folder / "d", "-o", folder / "p").succeeds()
    out = folder / "simulate.json"
    run = ("--data", folder / "one.npz", "--images", "30", "--csim", "--max-loss", "10", "--json", out)
    hwflow("simulate", folder / "d", "--project", folder / "p", *run).succeeds()
    found = json.loads(out.read_text())["accuracy"]
    assert all(each["conditions"][0]["top1"] > 90 for each in found.values())
