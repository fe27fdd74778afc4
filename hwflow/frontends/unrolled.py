"""A Keras model whose recurrent layers are unrolled: each time step is layers of its own, with memories of their own.

The generated hardware is a pipeline, in which all steps work at the same time, so that none can share a memory with
another. A step is made of dense layers, one for every gate over the step's input and the state, and of products, sums
and activations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hwflow.errors import HwflowError
from hwflow.frontends._tf import keras
from hwflow.frontends.keras_versions import input_shape
from hwflow.frontends.replaced import compare, replaced

KerasModel = Any
KerasLayer = Any
KerasTensor = Any
Array = npt.NDArray[np.float32]

RECURRENT = ("SimpleRNN", "LSTM", "GRU")
MAX_STEPS = 256
"""More would be thousands of layers."""
_MERGES = {"concat": "Concatenate", "sum": "Add", "mul": "Multiply", "ave": "Average"}


def unrolled(model: KerasModel) -> KerasModel:
    """``model`` itself if it has no recurrent layer, else the same with each of them unrolled.

    Raises:
        HwflowError: a recurrent layer, or an option of one, that is not supported, by its name.
    """
    return replaced(model, _is_recurrent, _unrolled_layer)


def _is_recurrent(layer: KerasLayer) -> bool:
    return type(layer).__name__ in (*RECURRENT, "Bidirectional")


def _unrolled_layer(layer: KerasLayer) -> KerasModel:
    library = keras()
    shape = input_shape(layer)
    if not isinstance(shape, tuple) or None in shape[1:] or not 1 <= shape[1] <= MAX_STEPS:
        raise HwflowError(
            f"{layer.name}: its input is {shape}; it is unrolled, which needs one input of 1 to {MAX_STEPS} fixed steps"
        )
    x = library.Input(shape[1:], name=f"{layer.name}_in")
    steps = _Steps(library, layer.name, x)
    if type(layer).__name__ == "Bidirectional":
        y = _bidirectional(library, layer, steps)
    else:
        y = steps.joined(_run(library, layer, layer.name, steps), layer)
    model = library.Model(x, y, name=layer.name)
    for part, weights in steps.weights:
        part.set_weights(weights)
    compare(layer, model, shape[1:], "unrolled")
    return model


class _Steps:
    """The inputs of the steps, cut out of a sequence, and the layers with weights."""

    def __init__(self, keras: Any, name: str, x: KerasTensor) -> None:
        self.layers = keras.layers
        self.name = name
        self.weights: list[tuple[KerasLayer, list[Array]]] = []
        self.rows = []
        for t in range(int(x.shape[1]) - 1):  # hls4ml copies a stream at most seven times
            self.rows.append(self.layers.Cropping1D((0, int(x.shape[1]) - 1), name=f"{name}_cut{t}")(x))
            x = self.layers.Cropping1D((1, 0), name=f"{name}_rest{t}")(x)
        self.rows.append(x)

    def inputs(self, name: str) -> list[KerasTensor]:
        """The vector of each step, for one layer."""
        return [self.layers.Flatten(name=f"{name}_x{t}")(row) for t, row in enumerate(self.rows)]

    def dense(self, name: str, sources: list[KerasTensor], kernels: list[Array], bias: Array) -> KerasTensor:
        """A sum of products of several vectors, as one layer over all of them."""
        x = sources[0] if len(sources) == 1 else self.layers.Concatenate(name=f"{name}_operands")(sources)
        layer = self.layers.Dense(len(bias), name=name)
        self.weights.append((layer, [np.concatenate(kernels), bias]))
        return layer(x)

    def joined(self, states: list[KerasTensor], layer: KerasLayer) -> KerasTensor:
        """The last state, or the states of all steps as rows."""
        if not layer.return_sequences:
            return states[-1]
        units = int(states[0].shape[1])
        flat = states[0] if len(states) == 1 else self.layers.Concatenate(name=f"{self.name}_states")(states)
        return self.layers.Reshape((len(states), units), name=f"{self.name}_rows")(flat)


def _bidirectional(keras: Any, layer: KerasLayer, steps: _Steps) -> KerasTensor:
    ways = []
    for way, name in ((layer.forward_layer, "forward"), (layer.backward_layer, "backward")):
        states = _run(keras, way, f"{layer.name}_{name}", steps)
        # The states of the layer that goes backwards are put beside those of the same time.
        ways.append(states[::-1] if name == "backward" and way.return_sequences else states)
    if layer.merge_mode not in _MERGES:
        raise HwflowError(f"{layer.name}: merge_mode={layer.merge_mode} is not supported; use {', '.join(_MERGES)}")

    def merged(pair: list[KerasTensor], number: int) -> KerasTensor:
        return getattr(keras.layers, _MERGES[layer.merge_mode])(name=f"{layer.name}_merge{number}")(pair)

    if not layer.forward_layer.return_sequences:
        return merged([ways[0][-1], ways[1][-1]], 0)
    both = [merged(list(pair), number) for number, pair in enumerate(zip(*ways, strict=True))]
    return steps.joined(both, layer.forward_layer)


def _run(keras: Any, layer: KerasLayer, name: str, steps: _Steps) -> list[KerasTensor]:
    """The states of a layer after each step, in the order in which it takes them."""
    kind = type(layer).__name__
    if kind not in RECURRENT:
        raise HwflowError(f"{layer.name}: {kind} layers are not supported")
    for option in ("stateful", "return_state", "time_major"):
        if getattr(layer, option, False):
            raise HwflowError(f"{layer.name}: {option}=True of {kind} is not supported; use False")
    cell = _Cell(keras, layer, name, steps)
    step = {"SimpleRNN": cell.simple, "LSTM": cell.lstm, "GRU": cell.gru}[kind]
    inputs, states, memory = steps.inputs(name), [], _Memory()
    for t, x in enumerate(inputs[::-1] if layer.go_backwards else inputs):
        cell.prefix = f"{name}_t{t}"
        memory = step(x, memory)
        states.append(memory.state)
    return states


@dataclass(frozen=True)
class _Memory:
    """What a step leaves to the next; before the first there is nothing, which stands for zeros."""

    state: KerasTensor = None
    carry: KerasTensor = None


class _Cell:
    """Puts the layers of a step."""

    def __init__(self, keras: Any, layer: KerasLayer, name: str, steps: _Steps) -> None:
        self.layers = keras.layers
        self.layer = layer
        self.steps = steps
        self.prefix = name
        self.units = int(layer.units)
        weights = layer.get_weights()
        self.kernel, self.recurrent = weights[:2]
        self.bias = weights[2] if layer.use_bias else np.zeros(self.kernel.shape[1], np.float32)
        self.inner: Any = getattr(layer, "recurrent_activation", None)

    def simple(self, x: KerasTensor, memory: _Memory) -> _Memory:
        """h' = f(W x + U h + b)."""
        return _Memory(self._activated("state", 0, x, memory.state, self.layer.activation))

    def lstm(self, x: KerasTensor, memory: _Memory) -> _Memory:
        """c' = f c + i g and h' = o tanh(c'), gates in Keras' order i, f, g, o."""
        enter = self._activated("input_gate", 0, x, memory.state, self.inner)
        new = self._activated("candidate", 2, x, memory.state, self.layer.activation)
        leave = self._activated("output_gate", 3, x, memory.state, self.inner)
        carry = self._merged("Multiply", "entering", enter, new)
        if memory.carry is not None:
            forget = self._activated("forget_gate", 1, x, memory.state, self.inner)
            carry = self._merged("Add", "carry", carry, self._merged("Multiply", "kept", forget, memory.carry))
        shown = self._activation("shown", self.layer.activation, carry)
        return _Memory(self._merged("Multiply", "state", leave, shown), carry)

    def gru(self, x: KerasTensor, memory: _Memory) -> _Memory:
        """h' = n + z (h - n), gates in Keras' order z, r, n."""
        update = self._activated("update_gate", 0, x, memory.state, self.inner)
        after = bool(self.layer.reset_after)
        reset = None
        if memory.state is not None or (after and self.layer.use_bias):
            reset = self._activated("reset_gate", 1, x, memory.state, self.inner)
        if after:
            own, theirs = self._bias_pair()
            new = self.steps.dense(f"{self.prefix}_new", [x], [self._part(self.kernel, 2)], self._part(own, 2))
            if reset is not None:
                # Of the zeros before the first step the bias is left.
                given = [x] if memory.state is None else [memory.state]
                kernel = self._part(self.recurrent, 2)
                kernel = np.zeros((int(x.shape[1]), self.units), np.float32) if memory.state is None else kernel
                past = self.steps.dense(f"{self.prefix}_past", given, [kernel], self._part(theirs, 2))
                new = self._merged("Add", "sum", new, self._merged("Multiply", "reset_past", reset, past))
        else:
            past = None if reset is None else self._merged("Multiply", "reset_state", reset, memory.state)
            new = self._dense("new", 2, x, past)
        new = self._activation("candidate", self.layer.activation, new)
        if memory.state is None:  # (1 - z) n = n - z n
            return _Memory(self._merged("Subtract", "state", new, self._merged("Multiply", "part", update, new)))
        change = self._merged("Subtract", "change", memory.state, new)
        return _Memory(self._merged("Add", "state", new, self._merged("Multiply", "part", update, change)))

    def _bias_pair(self) -> tuple[Array, Array]:
        """The biases of the input and of the state."""
        return (self.bias[0], self.bias[1]) if self.bias.ndim == 2 else (self.bias, np.zeros_like(self.bias))

    def _part(self, values: Array, gate: int) -> Array:
        return values[..., gate * self.units : (gate + 1) * self.units]

    def _dense(self, name: str, gate: int, x: KerasTensor, state: KerasTensor) -> KerasTensor:
        """W x + U h + b of a gate."""
        bias = self.bias.sum(axis=0) if self.bias.ndim == 2 else self.bias
        kernels, sources = [self._part(self.kernel, gate)], [x]
        if state is not None:
            kernels.append(self._part(self.recurrent, gate))
            sources.append(state)
        return self.steps.dense(f"{self.prefix}_{name}", sources, kernels, self._part(bias, gate))

    def _activated(
        self, name: str, gate: int, x: KerasTensor, state: KerasTensor, function: Callable[..., Any]
    ) -> KerasTensor:
        return self._activation(name, function, self._dense(f"{name}_sum", gate, x, state))

    def _activation(self, name: str, function: Callable[..., Any], x: KerasTensor) -> KerasTensor:
        return self.layers.Activation(function, name=f"{self.prefix}_{name}")(x)

    def _merged(self, kind: str, name: str, first: KerasTensor, second: KerasTensor) -> KerasTensor:
        return getattr(self.layers, kind)(name=f"{self.prefix}_{name}")([first, second])
