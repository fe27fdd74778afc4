"""Layer normalisation, made of means, a table and products: Keras' values, and the same codes in every executor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwflow.firmware import read_keras
from hwflow.frontends._tf import keras
from hwflow.hardening import harden
from hwflow.reference import IntegerExecutor, RealExecutor
from tests.exact.agreement import check_executors


def network(shape: tuple[int, ...]) -> Any:
    """Two normalisations, one without gamma and beta, behind dense layers on the last axis."""
    layers = keras().layers
    keras().utils.set_random_seed(1)
    given = layers.Input(shape)
    x = layers.LayerNormalization(name="first")(layers.Dense(6)(given))
    x = layers.LayerNormalization(scale=False, center=False, epsilon=0.01)(layers.Dense(4, activation="tanh")(x))
    model = keras().Model(given, x, name="normal")
    rng = np.random.default_rng(1)
    model.set_weights([weights + rng.normal(0, 0.3, weights.shape) for weights in model.get_weights()])
    return model


@pytest.mark.parametrize("shape", [(5,), (3, 5), (2, 3, 5)])
def test_values_are_keras_and_hardened_near_them(shape: tuple[int, ...]) -> None:
    model = network(shape)
    images = np.random.default_rng(2).uniform(-1, 1, (100, *shape)).astype(np.float32)
    right = np.asarray(model(images))
    graph = read_keras(model)
    np.testing.assert_allclose(RealExecutor(graph).run(images).reshape(right.shape), right, atol=1e-5)
    executor = IntegerExecutor(harden(graph, images).graph)
    found = executor.decode(executor.run(executor.encode(images))).reshape(right.shape)
    assert np.sqrt(np.square(found - right).mean()) < 0.01 * np.ptp(right)


@pytest.mark.parametrize(("shape", "io_type"), [((3, 5), "io_stream"), ((2, 2, 5), "io_parallel")])
def test_every_executor(shape: tuple[int, ...], io_type: Any, tmp_path: Path) -> None:
    model = network(shape)
    images = np.random.default_rng(2).uniform(-1, 1, (20, *shape))
    graph = harden(read_keras(model), images).graph
    check_executors(graph, images, tmp_path, model, [io_type])
