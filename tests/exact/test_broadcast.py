"""Merges of tensors of different shapes, and dot products: Keras' values, and the same codes in every executor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwflow.errors import HwflowError
from hwflow.firmware import read_keras
from hwflow.graph import UpSample2D
from hwflow.hardening import harden
from hwflow.models._tf import tensorflow
from hwflow.reference import RealExecutor
from tests.exact.agreement import check_executors


def attention() -> Any:
    """Channels weighted by squeeze and excitation, then pixels, then both at once."""
    keras = tensorflow().keras
    layers = keras.layers
    image = layers.Input((4, 5, 3))
    x = layers.Conv2D(4, 3, padding="same")(image)
    y = layers.GlobalAveragePooling2D(keepdims=True)(x)
    y = layers.Conv2D(4, 1, activation="sigmoid")(layers.Conv2D(2, 1, activation="relu")(y))
    x = layers.Multiply(name="excited")([x, y])
    pixels = layers.Conv2D(1, 3, padding="same", activation="sigmoid")(x)
    x = layers.Multiply(name="attended")([pixels, x])
    largest = layers.GlobalMaxPooling2D()(x)
    x = layers.Subtract(name="raised")([largest, x])
    columns = layers.AveragePooling2D((1, 5))(x)
    rows = layers.MaxPooling2D((4, 1))(x)
    crossed = layers.Add(name="crossed")([columns, rows, pixels])
    return keras.Model(image, layers.Maximum(name="most")([x, crossed]), name="attention")


def rows() -> Any:
    """Rows against their mean, against one value each, and a vector against its product with another one."""
    keras = tensorflow().keras
    layers = keras.layers
    sequence = layers.Input((5, 4))
    x = layers.Average(name="centred")([sequence, layers.GlobalAveragePooling1D()(sequence)])
    x = layers.Multiply(name="gated")([layers.Dense(1, activation="tanh")(x), x])
    x = layers.Flatten()(x)
    vector = layers.Dense(3)(x)
    alike = layers.Dot(-1, name="alike")([vector, layers.Dense(3, activation="tanh")(x)])
    return keras.Model(sequence, layers.Minimum(name="least")([vector, alike]), name="rows")


@pytest.mark.parametrize("network", [attention, rows])
def test_every_executor_repeats_alike(network: Any, tmp_path: Path) -> None:
    tensorflow().keras.utils.set_random_seed(1)
    model = network()
    graph = read_keras(model)
    assert graph.of_type(UpSample2D)
    images = np.random.default_rng(1).uniform(-1, 1, (8, *graph.input.shape))
    np.testing.assert_allclose(RealExecutor(graph).run(images), model.predict(images, verbose=0), atol=1e-5)
    graph = harden(graph, images).graph
    check_executors(graph, images, tmp_path, model, ["io_stream", "io_parallel"])


def test_shapes_without_a_common_one_are_refused() -> None:
    from hwflow.frontends.broadcasting import broadcast
    from hwflow.graph import Add, Input

    sources = [Input(name="x", shape=(4, 5, 3)), Input(name="y", shape=(2,))]
    merge = Add(name="sum", inputs=("x", "y"), shape=(4, 5, 3))
    with pytest.raises(HwflowError, match=r"^sum: Add of tensors of shapes \(4, 5, 3\) and \(2,\) is not possible"):
        broadcast(merge, sources, str)
