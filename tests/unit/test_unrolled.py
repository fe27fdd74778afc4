"""Recurrent layers step by step: the values of Keras, and refusals by the layer's name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hwflow.errors import HwflowError
from hwflow.frontends import unrolled as module
from hwflow.frontends.replaced import layers_of
from hwflow.frontends.unrolled import unrolled
from hwflow.models._tf import tensorflow

keras = tensorflow().keras
L = keras.layers


def filled(model: Any, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    model.set_weights([rng.normal(0, 0.5, weight.shape) for weight in model.get_weights()])
    return model


def network(*layers: Any, shape: tuple[int | None, ...] = (4, 3)) -> Any:
    x = keras.Input(shape, name="x")
    y = x
    for layer in layers:
        y = layer(y)
    return filled(keras.Model(x, y), len(layers))


LAYERS = [
    [L.SimpleRNN(3, activation="relu")],
    [L.SimpleRNN(3, use_bias=False, return_sequences=True)],
    [L.LSTM(3), L.Dense(2)],
    [L.LSTM(3, go_backwards=True, return_sequences=True, recurrent_activation="hard_sigmoid")],
    [L.LSTM(3, return_sequences=True, use_bias=False), L.GRU(2)],
    [L.GRU(3, return_sequences=True)],
    [L.GRU(3, reset_after=False)],
    [L.GRU(3, use_bias=False)],
    [L.Bidirectional(L.LSTM(2, return_sequences=True), merge_mode="concat")],
    [L.Bidirectional(L.GRU(2), merge_mode="sum")],
    [L.Bidirectional(L.SimpleRNN(2, return_sequences=True), merge_mode="ave"), L.Flatten()],
]


@pytest.mark.parametrize("layers", LAYERS, ids=lambda layers: "-".join(type(layer).__name__ for layer in layers))
def test_unrolled_layers_equal_keras(layers: list[Any]) -> None:
    model = network(*layers)
    images = np.random.default_rng(0).uniform(-1, 1, (5, 4, 3)).astype(np.float32)
    result = unrolled(model)
    recurrent = [layer for layer in layers_of(result) if module._is_recurrent(layer)]
    assert recurrent == []
    np.testing.assert_allclose(result(images), model(images), rtol=1e-5, atol=1e-6)


def test_a_network_without_recurrent_layers_is_itself() -> None:
    model = network(L.Dense(2))
    assert unrolled(model) is model


def test_a_layer_in_a_model_and_one_that_is_called_twice() -> None:
    lstm = L.LSTM(3, return_sequences=True)
    inner = network(lstm)
    x = keras.Input((4, 3))
    model = filled(keras.Model(x, lstm(inner(x))), 3)
    images = np.random.default_rng(0).uniform(-1, 1, (5, 4, 3)).astype(np.float32)
    np.testing.assert_allclose(unrolled(model)(images), model(images), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (L.LSTM(2, name="a"), (None, 3), "a: its input is .* needs one input of 1 to 256 fixed steps"),
        (L.LSTM(2, name="a"), (257, 3), "a: its input is"),
        (L.Bidirectional(L.LSTM(2), merge_mode=None, name="a"), (4, 3), "a: merge_mode=None is not supported"),
    ],
)
def test_refused_by_name(layer: Any, shape: tuple[int | None, ...], message: str) -> None:
    x = keras.Input(shape)
    with pytest.raises(HwflowError, match=message):
        unrolled(keras.Model(x, layer(x)))


def test_a_state_that_is_kept_is_refused() -> None:
    x = keras.Input((4, 3), batch_size=1)
    with pytest.raises(HwflowError, match="a: stateful=True of GRU is not supported; use False"):
        unrolled(keras.Model(x, L.GRU(2, stateful=True, name="a")(x)))


def test_a_wrong_step_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module._Cell, "lstm", module._Cell.simple)
    with pytest.raises(HwflowError, match=r"lstm.*: is off by .* once unrolled"):
        unrolled(network(L.LSTM(3)))
