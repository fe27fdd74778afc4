"""Layers and models that are distributed over time steps: Keras' values, and the same codes in every executor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwflow.errors import HwflowError
from hwflow.firmware import read_keras
from hwflow.firmware.project import IOType
from hwflow.frontends._tf import keras
from hwflow.frontends.packed import rewritten
from hwflow.hardening import harden
from hwflow.reference import RealExecutor
from tests.exact.agreement import check_executors

L = keras().layers


def residual() -> Any:
    """A block with a stride, padding and a shortcut for each of four images."""
    image = L.Input((6, 5, 2))
    x = L.Conv2D(4, (3, 2), strides=2, padding="same")(image)
    x = L.ReLU()(L.BatchNormalization()(x))
    x = L.Add()([x, L.DepthwiseConv2D(2, padding="same")(x)])
    x = L.Dense(3, activation="tanh")(L.GlobalAveragePooling2D()(x))
    steps = L.Input((4, 6, 5, 2))
    y = L.TimeDistributed(keras().Model(image, x), name="each")(steps)
    return keras().Model(steps, L.Dense(2)(y), name="residual")


def chain() -> Any:
    """Pools that overlap, in a Sequential, and what only moves elements."""
    of_step = keras().Sequential(
        [
            L.Conv2D(3, 3, input_shape=(6, 5, 2)),
            L.AveragePooling2D((2, 1), strides=(1, 2)),
            L.Activation("relu"),
            L.Dropout(0.1),
            L.Reshape((-1,)),
        ]
    )
    steps = L.Input((2, 6, 5, 2))
    y = L.TimeDistributed(of_step)(steps)
    return keras().Model(steps, L.Dense(2)(L.Flatten()(y)), name="chain")


def video() -> Any:
    """Features of every image, then a recurrent layer over them."""
    x = steps = L.Input((3, 5, 6, 2))
    x = L.TimeDistributed(L.SeparableConv2D(3, 3, padding="same", activation="relu"))(x)
    x = L.TimeDistributed(L.MaxPooling2D(2))(x)
    x = L.TimeDistributed(L.Dense(2, activation="relu"))(x)
    x = L.GRU(3)(L.TimeDistributed(L.Flatten())(x))
    return keras().Model(steps, x, name="video")


@pytest.mark.parametrize("network", [residual, chain, video])
def test_real_values_are_keras(network: Any) -> None:
    keras().utils.set_random_seed(1)
    model = network()
    graph = read_keras(rewritten(model))
    images = np.random.default_rng(1).uniform(-1, 1, (4, *graph.input.shape))
    expected = model.predict(images, verbose=0)
    np.testing.assert_allclose(RealExecutor(graph).run(images).reshape(expected.shape), expected, atol=1e-5)
    weights = sum(layer.weight.size for layer in graph.weight_layers)
    if network is not video:  # whose recurrent layer is unrolled
        kernels = [w for w in model.get_weights() if w.ndim > 1]
        assert weights == sum(map(np.size, kernels)) + 4 * (network is residual)  # and the norm's


@pytest.mark.parametrize(("network", "io_type"), [(residual, "io_stream"), (chain, "io_parallel")])
def test_every_executor(network: Any, io_type: IOType, tmp_path: Path) -> None:
    keras().utils.set_random_seed(1)
    model = rewritten(network())
    graph = read_keras(model)
    images = np.random.default_rng(1).uniform(-1, 1, (8, *graph.input.shape))
    graph = harden(graph, images).graph
    check_executors(graph, images, tmp_path, model, [io_type])


@pytest.mark.parametrize(
    ("layer", "what"),
    [
        (lambda: L.MaxPooling2D(2, padding="same"), "padding of MaxPooling2D"),
        (lambda: L.Conv2D(2, 2, dilation_rate=2), "a dilated Conv2D"),
        (lambda: L.UpSampling2D(2), "UpSampling2D of steps of shape"),
        (lambda: L.BatchNormalization(axis=1), "BatchNormalization along axis"),
    ],
)
def test_others_are_refused_by_name(layer: Any, what: str) -> None:
    steps = L.Input((3, 5, 5, 2))
    with pytest.raises(HwflowError, match=f"^each: {what}.* not supported"):
        rewritten(keras().Model(steps, L.TimeDistributed(layer(), name="each")(steps)))
