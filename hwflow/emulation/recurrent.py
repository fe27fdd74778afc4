"""Recurrent layers as in ``nnet_recurrent.h``: LSTM, GRU, and two of them in opposite directions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise

import numpy as np

from hwflow.emulation.activations import looked_up
from hwflow.emulation.exact import Exact, where
from hwflow.emulation.matrix import sums_of_products
from hwflow.emulation.node import Node
from hwflow.fixed import Codes, FixedType

Function = Callable[..., Codes]
Step = Callable[[Codes, tuple[Codes, ...]], tuple[Codes, ...]]
"""From the input's products ``(n, gates * units)`` and the states ``(n, units)`` to the new ones, the output first."""

GATES = {"LSTM": 4, "GRU": 3}
_ONE = Exact.integer(1)


def recurrent(node: Node) -> Function:
    """``nnet::lstm_stack`` and ``nnet::gru_stack``."""
    steps, features = node.inputs[0].shape
    units = node.output.shape[-1]
    if len(node.inputs) > 1 or node.attribute("return_state"):
        raise node.refusal("states that go in or out are not emulated")
    if node.stream and (node.inputs[0].word, node.output.word) != (features, units):
        raise node.refusal("hls4ml confuses the words of its stream; put a layer with weights before it")
    run = _Cell(node, node.kind, units, "").run
    every = bool(node.attribute("return_sequences"))

    def apply(codes: Codes) -> Codes:
        outputs = run(codes.reshape(-1, steps, features))
        return (outputs if every else outputs[:, -1]).reshape(len(codes), -1)

    return apply


def bidirectional(node: Node) -> Function:
    """``nnet::bidirectional_stack``: forward and backward outputs side by side."""
    if node.stream:
        raise node.refusal("hls4ml has no bidirectional layer in io_stream, and its C++ does not compile")
    units = [node.int(f"{way}_n_states") for way in ("forward", "backward")]
    if node.attribute("return_state") or node.output.shape[-1] != sum(units):
        raise node.refusal("hls4ml computes every merge_mode as 'concat', and returns no states; change the layer")
    steps, features = node.inputs[0].shape
    every = bool(node.attribute("return_sequences"))
    runs = []
    for way, count in zip(("forward", "backward"), units, strict=True):
        if node.text("strategy") != "latency" and node.int(f"{way}_reuse_factor") != node.int("reuse_factor"):
            raise node.refusal("hls4ml multiplies with another reuse factor than it checked; choose one that is valid")
        runs.append(_Cell(node, str(node.attribute(f"{way}_class_name")), count, f"{way}_").run)

    def apply(codes: Codes) -> Codes:
        sequence = codes.reshape(-1, steps, features)
        onward, back = runs[0](sequence), runs[1](sequence[:, ::-1])
        both = [onward, back[:, ::-1]] if every else [onward[:, -1], back[:, -1]]
        return np.concatenate(both, axis=-1).reshape(len(codes), -1)

    return apply


class _Cell:
    """One direction of a recurrent layer.

    Args:
        node: the layer.
        kind: ``LSTM`` or ``GRU``.
        units: of its output.
        prefix: of its attributes.
    """

    def __init__(self, node: Node, kind: str, units: int, prefix: str) -> None:
        if kind not in GATES:
            raise node.refusal(f"{kind} is not emulated")
        data, self.result, self.accum = node.inputs[0].type, node.output.type, node.type("accum_t")
        only_static = bool(prefix) and bool(node.attribute("static"))
        if kind == "LSTM" and not self.accum == self.result == data and not only_static:
            raise node.refusal(
                f"its C++ does not compile: an LSTM's input ({data}), accumulator ({self.accum}) and result "
                f"({self.result}) must have the same type"
            )
        keys = [f"{prefix}{part}" for part in ("weight", "bias", "recurrent_weight", "recurrent_bias")]
        if node.takes_bits or any(node.is_binary(key) or node.is_ternary(key) for key in keys[::2]):
            raise node.refusal("one- and two-bit recurrent layers are not emulated")
        features = node.inputs[0].shape[-1]
        self.units, self.torch = units, bool(node.attribute("pytorch"))
        self.inputs = sums_of_products(node, features, GATES[kind] * units, data, (keys[0], keys[1]))
        recurrent_reuse = f"{prefix}recurrent_reuse_factor"
        chosen, used = (node.int(f"{prefix}{key}") <= units for key in ("reuse_factor", "recurrent_reuse_factor"))
        if node.text("strategy") == "resource" and chosen != used:
            raise node.refusal(
                "the C simulation stops: hls4ml chooses the function for its states by the reuse factor of its inputs; "
                f"choose one that divides {units}"
            )
        self.states = sums_of_products(
            node, units, GATES[kind] * units, self.result, (keys[2], keys[3]), recurrent_reuse
        )
        activation = partial(_activation, node, target=self.accum)
        self.gate = activation(f"{prefix}recurrent_activation", source=self.accum)
        self.bend = activation(f"{prefix}activation", source=self.accum)
        self.bend_state = activation(f"{prefix}activation", source=self.result)
        self.step: Step = self.lstm if kind == "LSTM" else self.gru
        self.count = 2 if kind == "LSTM" else 1

    def run(self, sequence: Codes) -> Codes:
        """Outputs ``(n, steps, units)`` of inputs ``(n, steps, features)``."""
        count, steps, features = sequence.shape
        products = self.inputs(sequence.reshape(-1, features)).reshape(count, steps, -1)
        states = (np.zeros((count, self.units), dtype=products.dtype),) * self.count
        outputs = []
        for index in range(steps):
            states = self.step(products[:, index], states)
            outputs.append(states[0])
        return np.stack(outputs, axis=1)

    def lstm(self, products: Codes, states: tuple[Codes, ...]) -> tuple[Codes, ...]:
        """``nnet::lstm`` and ``nnet::lstm_static``: gates i, f, c, o."""
        output, state = states
        total = self._sum(products, self.states(output))
        i, f, c, o = (total[:, start:end] for start, end in pairwise(range(0, 5 * self.units, self.units)))
        kept = Exact.of(state, self.result) * self._gate(f)
        state = (Exact.of(self.bend(c), self.accum) * self._gate(i) + kept).to(self.result)
        output = (self._gate(o) * Exact.of(self.bend_state(state), self.accum)).to(self.result)
        return output, state

    def gru(self, products: Codes, states: tuple[Codes, ...]) -> tuple[Codes, ...]:
        """``nnet::gru`` and ``nnet::gru_static``: gates z, r, h; PyTorch's order is r, z, h."""
        (output,), units = states, self.units
        past = self.states(output)
        gates = self._sum(products[:, : 2 * units], past[:, : 2 * units])
        z, r = (self._gate(gates[:, start : start + units]) for start in (0, units))
        z, r = (r, z) if self.torch else (z, r)
        reset = (r * Exact.of(past[:, 2 * units :], self.accum)).to(self.accum)
        new = Exact.of(self.bend(self._sum(products[:, 2 * units :], reset)), self.accum)
        return ((new * (_ONE - z) + Exact.of(output, self.result) * z).to(self.result),)

    def _sum(self, one: Codes, two: Codes) -> Codes:
        return (Exact.of(one, self.accum) + Exact.of(two, self.accum)).to(self.accum)

    def _gate(self, codes: Codes) -> Exact:
        return Exact.of(self.gate(codes), self.accum)


def _activation(node: Node, key: str, source: FixedType, target: FixedType) -> Function:
    """Of ``nnet_recr_activations.h``."""
    name = node.text(key)
    if name in ("sigmoid", "tanh"):
        return looked_up(name, 8 if name == "sigmoid" else 4, node, source, target)
    if name == "relu":
        return lambda codes: where(codes > 0, Exact.of(codes, source).to(target), 0)
    raise node.refusal(f"hls4ml has no recurrent layer with the activation {name!r}; its C++ does not compile")
