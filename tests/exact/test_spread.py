"""Convolutions of groups, and with dilation along rows: Keras' values, and the same codes in every executor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwflow.errors import HwflowError
from hwflow.firmware import read_keras
from hwflow.firmware.project import IOType
from hwflow.frontends._tf import keras, qkeras
from hwflow.frontends.packed import rewritten
from hwflow.hardening import harden
from hwflow.reference import RealExecutor
from tests.exact.agreement import check_executors

L = keras().layers
BITS = "quantized_bits(6,1,alpha=1)"


def groups() -> Any:
    """Four, two and three groups, with padding, strides, and quantised weights."""
    image = L.Input((5, 6, 8))
    x = L.Conv2D(4, 3, padding="same", groups=4, activation="relu")(image)
    x = L.Conv2D(6, (2, 1), strides=2, groups=2, use_bias=False)(x)
    x = qkeras().QConv2D(6, 1, groups=3, kernel_quantizer=BITS)(x)
    return keras().Model(image, x, name="groups")


def temporal() -> Any:
    """Of a temporal convolutional network: every padding, depthwise and of groups too."""
    rows = L.Input((13, 4))
    x = L.Conv1D(4, 3, dilation_rate=2, padding="causal", activation="relu")(rows)
    x = L.Add()([x, L.Conv1D(4, 2, dilation_rate=3, padding="same", groups=2)(x)])
    x = L.DepthwiseConv1D(3, dilation_rate=4, padding="same")(x)
    return keras().Model(rows, L.Conv1D(2, 3, dilation_rate=4)(x), name="temporal")


@pytest.mark.parametrize(("network", "io_type"), [(groups, "io_parallel"), (temporal, "io_stream")])
def test_every_executor(network: Any, io_type: IOType, tmp_path: Path) -> None:
    keras().utils.set_random_seed(1)
    original = network()
    model = rewritten(original)
    graph = read_keras(model)
    assert sum(layer.weight.size for layer in graph.weight_layers) == sum(
        np.size(weights) for weights in original.get_weights() if weights.ndim > 1
    )
    images = np.random.default_rng(1).uniform(-1, 1, (8, *graph.input.shape)).astype(np.float32)
    right = np.asarray(original(images))
    np.testing.assert_allclose(RealExecutor(graph).run(images).reshape(right.shape), right, atol=1e-5)
    graph = harden(graph, images).graph
    check_executors(graph, images, tmp_path, model, [io_type])


def test_images_with_dilation_are_refused() -> None:
    image = L.Input((8, 8, 2))
    model = keras().Model(image, L.Conv2D(2, 3, dilation_rate=2, name="wide")(image))
    with pytest.raises(HwflowError, match=r"^wide: dilation_rate="):
        read_keras(rewritten(model))
