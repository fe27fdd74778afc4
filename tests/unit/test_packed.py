"""Networks with several inputs and outputs: one vector of each, and the values of Keras."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import hwflow
from hwflow.errors import HwflowError
from hwflow.firmware import read_keras
from hwflow.frontends.packed import pack, packed
from hwflow.models import load_model
from hwflow.models._tf import tensorflow
from hwflow.reference import IntegerExecutor
from hwflow.reference.real import RealExecutor


def joined(outputs: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([each.reshape(len(each), -1) for each in outputs], axis=1)


def branches() -> object:
    """An image and a vector in; classes, a vector and an image out."""
    keras = tensorflow().keras
    layers = keras.layers
    image, vector = keras.Input((4, 5, 2), name="image"), keras.Input((3,), name="vector")
    conv = layers.Conv2D(3, 3, activation="relu", name="conv")(image)
    both = layers.Concatenate(name="both")([layers.Flatten(name="flat")(conv), vector])
    heads = [layers.Dense(4, name="classes")(both), layers.Dense(2, activation="relu", name="sizes")(both), conv]
    return keras.Model([image, vector], heads, name="branches")


def test_a_model_of_one_input_and_output_is_itself() -> None:
    keras = tensorflow().keras
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    assert packed(model) is model


def test_several_inputs_and_outputs_equal_keras() -> None:
    model = branches()
    rng = np.random.default_rng(1)
    arrays = [rng.uniform(-1, 1, (6, *tensor.shape[1:])) for tensor in model.inputs]
    graph = read_keras(packed(model))
    assert graph.input.shape == (43,)
    assert graph.output.shape == (4 + 2 + 18,)
    got = RealExecutor(graph).run(pack(arrays))
    np.testing.assert_allclose(got, joined(model.predict(arrays, verbose=0)), rtol=1e-4, atol=1e-5)


def test_a_model_of_several_outputs_is_hardened(tmp_path: Path) -> None:
    model = branches()
    rng = np.random.default_rng(2)
    arrays = [rng.uniform(-1, 1, (32, *tensor.shape[1:])) for tensor in model.inputs]
    np.savez(tmp_path / "x.npz", x=pack(arrays))
    design = hwflow.harden(model, tmp_path / "design", calibration=tmp_path / "x.npz")
    executor = IntegerExecutor(design.graph)
    got = executor.decode(executor.run(executor.encode(pack(arrays))))
    assert np.abs(got - joined(model.predict(arrays, verbose=0))).max() < 0.05
    assert read_keras(load_model(design.path / "model.h5")).output.shape == design.graph.output.shape


def test_a_model_in_the_model_with_several_inputs_and_outputs() -> None:
    keras = tensorflow().keras
    layers = keras.layers
    a, b = keras.Input((3,)), keras.Input((3,))
    inner = keras.Model([a, b], [layers.Dense(2, name="left")(a), layers.Add(name="sum")([a, b])], name="inner")
    x = keras.Input((3,), name="x")
    left, total = inner([x, layers.ReLU(name="positive")(x)])
    model = keras.Model(x, layers.Concatenate(name="end")([total, left]))
    images = np.random.default_rng(3).uniform(-1, 1, (5, 3))
    expected = model.predict(images, verbose=0)
    np.testing.assert_allclose(RealExecutor(read_keras(model)).run(images), expected, rtol=1e-5, atol=1e-6)


def test_an_input_without_a_size_is_refused() -> None:
    keras = tensorflow().keras
    a, b = keras.Input((None, 2), name="rows"), keras.Input((2,), name="vector")
    with pytest.raises(HwflowError, match=r"rows: the input has the shape \(None, 2\)"):
        packed(keras.Model([a, b], [a, b]))
