"""The integer reference against plain Python integers, its bounds, and Keras."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwflow.codes.layout import ordered
from hwflow.errors import HwflowError
from hwflow.faults import chosen, sample_ber
from hwflow.fixed import FixedType
from hwflow.graph import (
    Add,
    Affine,
    AveragePool2D,
    Concatenate,
    Constant,
    Conv2D,
    Dense,
    Flatten,
    GlobalAveragePool2D,
    Graph,
    Input,
    MaxPool2D,
    Node,
    ReLU,
    Rescale,
    Reshape,
    WeightLayer,
)
from hwflow.hardening import HardenOptions, harden
from hwflow.hardening.options import ScalingOptions
from hwflow.hardening.types import accumulator_type
from hwflow.memory import memories, stored_words
from hwflow.reference import IntegerExecutor, RealExecutor
from tests.networks import random_graph, random_images, random_options

Values = dict[tuple[int, ...], Fraction]


class SlowExecutor:
    """The graph on exact fractions, one element at a time: no arrays, no shared code but the cast."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def run(self, codes: np.ndarray) -> list[int]:
        """Output codes, flattened, of one image of input codes."""
        values: dict[str, Values] = {}
        for node in self.graph:
            inputs = [values[name] for name in node.inputs]
            if isinstance(node, Input):
                out = {place: Fraction(int(codes[place])) * self._lsb(node) for place in np.ndindex(*node.shape)}
            else:
                out = {place: self._element(node, inputs, place) for place in np.ndindex(*node.shape)}
            values[node.name] = out
        output = self.graph.output
        return [int(values[output.name][place] / self._lsb(output)) for place in np.ndindex(*output.shape)]

    def _lsb(self, node: Node) -> Fraction:
        return Fraction(2) ** -node.resolved.fraction

    def _element(self, node: Node, inputs: list[Values], place: tuple[int, ...]) -> Fraction:
        x = inputs[0]
        match node:
            case Conv2D():
                *_, channels = node.weight.values.shape[:3]
                total = Fraction(node.bias.values[place[-1]])
                for row, column, position in self._positions(node, place):
                    for channel in range(channels):
                        weight = self._weight(node, (row, column, channel, place[-1]))
                        total += weight * x.get((*position, channel), Fraction(0))
            case Dense():
                total = Fraction(node.bias.values[place[0]])
                total += sum(self._weight(node, (i, place[0])) * x[(i,)] for i in range(node.n_in))
            case Affine():
                channel = place[-1]
                total = Fraction(node.bias.values[channel]) + Fraction(node.weight.values[0, channel]) * x[place]
            case Concatenate():
                first = self.graph.inputs_of(node)[0].shape[-1]
                channel = place[-1]
                total = x[place] if channel < first else inputs[1][(*place[:-1], channel - first)]
            case ReLU():
                total = max(x[place], Fraction(0))
                if node.limit is not None:
                    return min(self._cast(total, node.resolved), Fraction(float(node.limit.values[0])))
            case Reshape():
                total = list(x.values())[list(np.ndindex(node.shape)).index(place)]
            case MaxPool2D():
                inside = [(*position, place[-1]) for _, _, position in self._positions(node, place)]
                total = max(x[key] for key in inside if key in x)
            case AveragePool2D():
                assert node.accum is not None
                positions = self._positions(node, place)
                inside = [x.get((*position, place[-1]), Fraction(0)) for _, _, position in positions]
                if not node.counts_padding:
                    inside = [x[(*at, place[-1])] for _, _, at in positions if (*at, place[-1]) in x]
                total = self._mean(inside, node.accum)
            case GlobalAveragePool2D():
                assert node.accum is not None
                total = self._mean([value for key, value in x.items() if key[-1] == place[-1]], node.accum)
            case Flatten():
                total = list(x.values())[place[0]]
            case Add():
                total = x[place] + inputs[1][place]
            case Rescale():
                total = x[place] * Fraction(node.factor.values[place[-1] % len(node.factor.values)])
        return self._cast(total, node.resolved)

    @staticmethod
    def _weight(node: WeightLayer, place: tuple[int, ...]) -> Fraction:
        """The weight in effect: what the memory holds and, of an outlier, the rest."""
        shape = node.weight.values.shape
        cell = int(np.ravel_multi_index((place[-1], *place[:-1]), (shape[-1], *shape[:-1])))
        rest = 0.0
        if node.outliers is not None and cell in node.outliers.index:
            rest = node.outliers.rest.values[node.outliers.index.tolist().index(cell)]
        return Fraction(node.weight.values[place]) + Fraction(rest)

    def _positions(self, node: Any, place: tuple[int, ...]) -> list[tuple[int, int, tuple[int, int]]]:
        top, _, left, _ = node.window.padding
        return [
            (
                row,
                column,
                (place[0] * node.window.strides[0] + row - top, place[1] * node.window.strides[1] + column - left),
            )
            for row in range(node.window.kernel[0])
            for column in range(node.window.kernel[1])
        ]

    @staticmethod
    def _mean(values: list[Fraction], accum: FixedType) -> Fraction:
        code = sum(values) * 2**accum.fraction if accum.fraction >= 0 else sum(values) / 2**-accum.fraction
        assert Fraction(code).denominator == 1
        quotient = abs(int(code)) // len(values)
        return Fraction(math.copysign(1, code)).limit_denominator() * quotient / Fraction(2) ** accum.fraction

    @staticmethod
    def _cast(value: Fraction, type_: FixedType) -> Fraction:
        fine = 0
        while (value * 2**fine).denominator != 1:
            fine += 1
        code = int(value * 2**fine)
        width = max(code.bit_length() + 1, 1)
        source = FixedType(width, width - fine)
        return Fraction(int(type_.cast(np.array([code]), source)[0])) / Fraction(2) ** type_.fraction


def hardened(seed: int, **changes: str) -> Graph:
    graph = random_graph(seed)
    return harden(graph, random_images(seed + 1, graph, 8), replace(random_options(seed), **changes)).graph


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_equals_arithmetic_on_fractions(seed: int) -> None:
    graph = hardened(seed)
    executor = IntegerExecutor(graph)
    codes = executor.encode(random_images(seed, graph, 1))
    assert executor.run(codes).reshape(-1).tolist() == SlowExecutor(graph).run(codes[0])


def _layer(fill: int, n_in: int, x: FixedType) -> Graph:
    """A dense layer whose every weight has the code ``fill``, with an output that holds the accumulator."""
    weight = FixedType(8, 3)
    codes = np.full((n_in, 2), fill, dtype=np.int64)
    bias = Constant.from_codes(np.array([127, -128]), weight)
    layer = Dense(name="fc", inputs=("x",), shape=(2,), weight=Constant.from_codes(codes, weight), bias=bias)
    accum = accumulator_type(layer, weight, x, bias)
    layer = replace(layer, accum=accum, type=accum)
    return Graph((Input(name="x", shape=(n_in,), type=x), layer))


@pytest.mark.parametrize("x", [FixedType(8, 3), FixedType(16, 6), FixedType(16, 6, signed=False)])
@pytest.mark.parametrize("fill", [-128, 127])
def test_extremes_fit_the_accumulator_exactly(x: FixedType, fill: int) -> None:
    graph = _layer(fill, 1000, x)
    executor = IntegerExecutor(graph)
    layer = graph.weight_layers[0]
    assert layer.accum is not None
    for code in (x.min_code, x.max_code):
        got = executor.run(np.full((1, 1000), code))[0]
        shift = layer.accum.fraction - 5
        expected = [1000 * fill * code + (bias << shift) for bias in (127, -128)]
        assert got.tolist() == expected
        assert layer.accum.min_code <= min(expected)
        assert max(expected) <= layer.accum.max_code


def test_an_accumulator_that_float64_cannot_hold_is_refused() -> None:
    x = FixedType(48, 6)
    with pytest.raises(HwflowError, match="fc: its accumulator needs"):
        IntegerExecutor(_layer(1, 4, x))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.001, 0.2))
def test_faults_change_the_weights_they_name_and_are_undone(seed: int, ber: float) -> None:
    """Of plain memories; of others see test_memory.py."""
    graph = hardened(seed, storage="plain")
    executor = IntegerExecutor(graph)
    codes = executor.encode(random_images(seed, graph, 2))
    clean = executor.run(codes)
    faults = sample_ber(memories(graph, faulty_biases=True), ber, seed, graph.digest)
    got = executor.run(codes, faults)
    np.testing.assert_array_equal(executor.run(codes), clean)

    changed = []
    for node in graph:
        if isinstance(node, WeightLayer):
            assert node.weight.type is not None
            assert node.bias.type is not None
            words, bits = faults.for_memory(f"{node.name}.weight")
            flat = ordered(node.weight.codes) & ((1 << node.weight.type.width) - 1)
            for word, bit in zip(words, bits, strict=True):
                flat[word] ^= 1 << int(bit)
            flat = np.where(flat > node.weight.type.max_code, flat - (1 << node.weight.type.width), flat)
            shape = node.weight.values.shape
            weight = np.moveaxis(flat.reshape(shape[-1], *shape[:-1]), 0, -1)
            bias = node.bias.codes & ((1 << node.bias.type.width) - 1)
            for word, bit in zip(*faults.for_memory(f"{node.name}.bias"), strict=True):
                bias[word] ^= 1 << int(bit)
            bias = np.where(bias > node.bias.type.max_code, bias - (1 << node.bias.type.width), bias)
            node = replace(
                node,
                weight=Constant.from_codes(weight, node.weight.type),
                bias=Constant.from_codes(bias, node.bias.type),
            )
        changed.append(node)
    np.testing.assert_array_equal(got, IntegerExecutor(Graph(tuple(changed), graph.name)).run(codes))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("seed", [2, 3, 5])
def test_real_executors_add_the_rests(seed: int, dtype: type[np.floating[Any]]) -> None:
    graph = random_graph(seed)
    options = HardenOptions(ScalingOptions(outliers=0.3))
    graph = harden(graph, random_images(seed, graph, 4), options).graph
    assert any(layer.outliers for layer in graph.weight_layers)
    plain = [
        replace(node, outliers=None, weight=Constant(node.effective_codes * node.weight.type.lsb))
        if isinstance(node, WeightLayer) and node.weight.type is not None
        else node
        for node in graph
    ]
    images = random_images(seed, graph, 3)
    got = RealExecutor(graph, dtype).run(images)
    np.testing.assert_array_equal(got, RealExecutor(Graph(tuple(plain)), dtype).run(images))
    stored = [replace(node, outliers=None) if isinstance(node, WeightLayer) else node for node in graph]
    assert (got != RealExecutor(Graph(tuple(stored)), dtype).run(images)).any()


def test_a_fault_of_the_sign_bit_of_one_weight_moves_one_output_by_its_weight() -> None:
    graph = _layer(3, 4, FixedType(8, 3))
    executor = IntegerExecutor(graph)
    x = np.array([[1, 2, 3, 4]])
    faults = chosen(memories(graph), [("fc.weight", 4 + 2, 7)], graph.digest)
    difference = executor.run(x, faults) - executor.run(x)
    assert difference.tolist() == [[0, -128 * 3]]


def test_faults_of_another_design_are_refused() -> None:
    graph = hardened(1)
    executor, codes = IntegerExecutor(graph), np.zeros((1, *graph.input.shape), dtype=np.int64)
    executor.run(codes, sample_ber(memories(graph), 0.01, 1, graph.digest))
    with pytest.raises(HwflowError, match="another design: model hash another, not"):
        executor.run(codes, sample_ber(memories(graph), 0.01, 1, "another"))


def test_bad_inputs_are_refused() -> None:
    graph = hardened(1)
    with pytest.raises(HwflowError, match="inputs have shape"):
        IntegerExecutor(graph).run(np.zeros((1, 1), dtype=np.int64))
    with pytest.raises(HwflowError, match="hardened graphs only"):
        IntegerExecutor(random_graph(1))


def test_stored_words_are_output_major() -> None:
    graph = _layer(0, 3, FixedType(8, 3))
    layer = graph.weight_layers[0]
    weight = Constant.from_codes(np.arange(6).reshape(3, 2) - 3, FixedType(8, 3))
    assert stored_words(replace(layer, weight=weight)).tolist() == [[253], [255], [1], [254], [0], [2]]


@pytest.mark.parametrize("seed", range(8))
def test_float64_executor_equals_keras(seed: int) -> None:
    from tests.networks import to_keras

    graph = random_graph(seed, keras=True, quantised=False)
    images = random_images(seed, graph, 4)
    expected = to_keras(graph).predict(images, verbose=0)
    np.testing.assert_allclose(RealExecutor(graph).run(images), expected, rtol=1e-4, atol=1e-5)
