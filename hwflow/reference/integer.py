"""The graph in exact integer arithmetic: the reference that firmware and RTL must equal bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hwflow.errors import HwflowError
from hwflow.faults import FaultList
from hwflow.fixed import FixedType, product_type, sum_type
from hwflow.graph import (
    Add,
    Affine,
    Aligned,
    Average,
    AveragePool2D,
    Concatenate,
    Conv2D,
    DepthwiseConv2D,
    FloatArray,
    GlobalAveragePool2D,
    Graph,
    IntArray,
    LeakyReLU,
    Lookup,
    Maximum,
    MaxPool2D,
    Minimum,
    Move,
    Multiply,
    Node,
    ReLU,
    Rescale,
    Softmax,
    Subtract,
    WeightLayer,
    Window,
)
from hwflow.graph.moves import move
from hwflow.graph.windows import depthwise, patches, pixels_inside, windows
from hwflow.memory import Touched, layer_bias_type, touched
from hwflow.reference.engine import Engine, EngineName, check_input
from hwflow.reference.engine_prefix import CleanPrefix
from hwflow.reference.softmax import SoftmaxKernel

FLOAT64_EXACT_BITS = 53
"""Sums of integers are exact in float64 while every partial sum stays below 2^53."""


@dataclass
class _Matrix:
    """The operands of one weight layer: float64 holding the weights in effect as integers ``(n_in, n_out)``,
    and the bias in accumulator codes ``(n_out,)``."""

    weight: FloatArray
    bias: FloatArray


class IntegerExecutor:
    """Runs a typed graph on integer codes, with compiled kernels where they can be built.

    Without them, products are summed by float64 matrix multiplication. That is exact: with weight codes below 2^a,
    input codes below 2^b and n products, every partial sum stays below n 2^(a+b), plus what outliers add,
    plus the bias, which is what the accumulator's width states; the constructor checks that it is at most 53 bits.

    Args:
        graph: a typed graph.
        threads: threads of the compiled kernels, by default all cores; results do not depend on it.
        engine: ``auto``, or ``numpy`` or ``compiled`` to insist on one.

    Attributes:
        engine: how the graph is executed; its ``note`` is one line for users.

    Raises:
        HwflowError: the graph is not typed, a layer's accumulator needs more than 53 bits, or there are no
            compiled kernels where they are insisted on.
    """

    def __init__(self, graph: Graph, threads: int | None = None, engine: EngineName = "auto") -> None:
        if not graph.is_typed:
            raise HwflowError("the reference runs hardened graphs only; harden the network first")
        self.graph = graph
        self._last: tuple[FaultList, tuple[Touched, ...]] | None = None
        self._matrices: dict[str, _Matrix] = {}
        self._softmax: dict[str, SoftmaxKernel] = {}
        self.engine = Engine(graph, self._evaluate, engine, threads)
        for layer in graph.weight_layers:
            if layer.name not in self.engine.layers:
                self._matrices[layer.name] = _layer_matrix(layer)
        for node in graph.of_type(Softmax):
            self._softmax[node.name] = SoftmaxKernel(node, graph.inputs_of(node)[0].resolved)

    def encode(self, images: npt.NDArray[Any]) -> IntArray:
        """Input codes of real images ``(n, *input shape)``."""
        return self.graph.input.resolved.encode(images)

    def decode(self, codes: IntArray) -> FloatArray:
        """True output values of output codes: decoded and divided by the scale of the output."""
        return self.graph.output.resolved.decode(codes) / np.asarray(self.graph.output.scale)

    def run(
        self,
        codes: IntArray,
        faults: FaultList | None = None,
        observe: Callable[[Node, IntArray], None] | None = None,
    ) -> IntArray:
        """Output codes ``(n, *output shape)`` of input codes ``(n, *input shape)``.

        Args:
            codes: codes of the input type.
            faults: upsets of the stored words, present for the whole run.
            observe: called with every node and its output codes.

        Raises:
            HwflowError: codes of another shape, or faults of another design.
        """
        check_input(self.graph, codes)
        with self.faulted(self.upset(faults)):
            return self.engine.run(codes, observe)

    def clean_prefix(
        self, codes: IntArray, max_bytes: int = 1 << 30, rounds: Iterable[FaultList | None] = ()
    ) -> CleanPrefix:
        """A batch for many rounds: what lies in front of a round's first fault is kept for the others.

        Args:
            codes: codes of the input type ``(n, *input shape)``, not to be changed afterwards.
            max_bytes: memory for activations besides the input; the less, the fewer layers rounds can start at.
            rounds: fault lists to come, if they are known: even the first of them finds what it starts from.

        Raises:
            HwflowError: codes of another shape.
        """
        check_input(self.graph, codes)
        return CleanPrefix(self.engine, self.upset, self.faulted, codes, max_bytes, rounds)

    def upset(self, faults: FaultList | None) -> tuple[Touched, ...]:
        """The weights that ``faults`` change; those of the last list are kept, as batch after batch meets it.

        Raises:
            HwflowError: faults of another design.
        """
        if faults is None:
            return ()
        if self._last is None or self._last[0] is not faults:
            self._last = faults, tuple(touched(self.graph, faults))
        return self._last[1]

    @contextmanager
    def faulted(self, upset: Iterable[Touched]) -> Iterator[None]:
        """Put changed weights into the packed ones, and the clean ones back afterwards."""
        undo: list[tuple[FloatArray, Any, FloatArray]] = []
        undo_packed: list[Callable[[], None]] = []
        try:
            for read in upset:
                layer = read.layer
                if layer.name in self.engine.layers:
                    undo_packed.append(self.engine.apply(read))
                    continue
                matrix = self._matrices[layer.name]
                if read.kind == "weight":
                    target = matrix.weight
                    output, source = layer.position(read.index)
                    place: Any = (source, output)
                    new = read.effective.astype(np.float64)
                else:
                    target, place = matrix.bias, read.index
                    new = _bias_in_accum(layer, read.codes)
                undo.append((target, place, target[place].copy()))
                target[place] = new
            yield
        finally:
            for target, place, old in undo:
                target[place] = old
            for take_back in reversed(undo_packed):
                take_back()

    def _evaluate(self, node: Node, sources: list[IntArray]) -> IntArray:
        inputs = self.graph.inputs_of(node)
        x, x_type = sources[0], inputs[0].resolved
        match node:
            case WeightLayer():
                return self._weight_layer(node, x)
            case ReLU():
                result = node.resolved.cast(np.maximum(x, 0), x_type)
                return result if node.limit is None else np.minimum(result, node.limit.codes[0])
            case LeakyReLU():
                return _leaky(node, x, x_type)
            case Lookup():
                return _lookup(node, x, x_type)
            case MaxPool2D():
                return node.resolved.cast(_max_pool(x, node.window, x_type), x_type)
            case AveragePool2D():
                sums = windows(x, node.window).sum(axis=(3, 4))
                counts = node.divisor or pixels_inside(node.window, *x.shape[1:3])
                return _average(node, node.accum, sums, counts, x_type)
            case GlobalAveragePool2D():
                return _average(node, node.accum, x.sum(axis=(1, 2)), x.shape[1] * x.shape[2], x_type)
            case Move():
                return node.resolved.cast(move(node, x), x_type)
            case Aligned():
                return _aligned(node, x, x_type, sources[1], inputs[1].resolved)
            case Multiply():
                return node.resolved.cast(x * sources[1], product_type(x_type, inputs[1].resolved))
            case Concatenate():
                parts = [node.resolved.cast(x, n.resolved) for x, n in zip(sources, inputs, strict=True)]
                return np.concatenate(parts, axis=-1)
            case Rescale():
                return _rescale(node, x, x_type)
            case Softmax():
                return self._softmax[node.name].run(x)
        raise HwflowError(f"{node.name}: {node.op} has no integer kernel")

    def _weight_layer(self, node: WeightLayer, x: IntArray) -> IntArray:
        matrix = self._matrices[node.name]
        if isinstance(node, Affine):
            accumulator = x * matrix.weight[0] + matrix.bias
        elif isinstance(node, DepthwiseConv2D):
            accumulator = depthwise(x, matrix.weight.reshape(node.weight.shape), node.window) + matrix.bias
        else:
            rows = patches(x, node.window) if isinstance(node, Conv2D) else x
            accumulator = rows.astype(np.float64) @ matrix.weight + matrix.bias
        assert node.accum is not None
        return node.resolved.cast(accumulator.astype(np.int64), node.accum)


def _layer_matrix(layer: WeightLayer) -> _Matrix:
    assert layer.accum is not None
    if layer.accum.width > FLOAT64_EXACT_BITS:
        raise HwflowError(
            f"{layer.name}: its accumulator needs {layer.accum.width} bits, more than the {FLOAT64_EXACT_BITS} "
            "that stay exact; use narrower activations"
        )
    weight = layer.effective_codes.reshape(layer.n_in, layer.n_out).astype(np.float64)
    return _Matrix(weight, _bias_in_accum(layer, layer.bias.codes))


def _bias_in_accum(layer: WeightLayer, codes: IntArray) -> FloatArray:
    assert layer.accum is not None
    return layer.accum.cast(codes, layer_bias_type(layer)).astype(np.float64)


def _max_pool(x: IntArray, window: Window, type_: FixedType) -> IntArray:
    return windows(x, window, type_.min_code).max(axis=(3, 4))


def _average(node: Node, accum: FixedType | None, sums: IntArray, count: int | IntArray, source: FixedType) -> IntArray:
    """Sum in the accumulator's LSB, divided toward zero, then cast."""
    if accum is None:
        raise HwflowError(f"{node.name}: its accumulator type is not resolved; harden the graph first")
    wide = sums << (accum.fraction - source.fraction)
    quotient = np.sign(wide) * (np.abs(wide) // count)
    return node.resolved.cast(quotient, accum)


def _aligned(node: Aligned, a: IntArray, a_type: FixedType, b: IntArray, b_type: FixedType) -> IntArray:
    full = sum_type(a_type, b_type)
    a, b = full.cast(a, a_type), full.cast(b, b_type)
    match node:
        case Add():
            return node.resolved.cast(a + b, full)
        case Subtract():
            return node.resolved.cast(a - b, full)
        case Average():
            return node.resolved.cast(a + b, full.shifted(-1))
        case Maximum():
            return node.resolved.cast(np.maximum(a, b), full)
        case Minimum():
            return node.resolved.cast(np.minimum(a, b), full)
    raise HwflowError(f"{node.name}: {node.op} has no integer kernel")


def _leaky(node: LeakyReLU, x: IntArray, source: FixedType) -> IntArray:
    slope = node.slope.type
    assert slope is not None
    signed = source.signed or slope.signed
    product = FixedType(source.width + slope.width, source.integer + slope.integer, signed)
    threshold = 0 if node.threshold is None else node.threshold.codes[0]
    below = node.resolved.cast(x * node.slope.codes, product)
    return np.where(x > threshold, node.resolved.cast(x, source), below)


def _lookup(node: Lookup, x: IntArray, source: FixedType) -> IntArray:
    assert node.index is not None and node.table is not None
    address = node.index.cast(x, source) & ((1 << node.index.width) - 1)
    return node.table.codes[address]


def _rescale(node: Rescale, x: IntArray, source: FixedType) -> IntArray:
    factor = node.factor.type
    assert factor is not None
    return node.resolved.cast(x * node.factor.codes, product_type(source, factor))
