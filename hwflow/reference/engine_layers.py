"""Weight layers on compiled kernels: their packed weights, the proof of exactness, and faults in place."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np

from hwflow.fixed import FixedType
from hwflow.graph import Affine, Conv2D, DepthwiseConv2D, Graph, IntArray, WeightLayer, Window
from hwflow.memory import layer_bias_type
from hwflow.reference.kernels.binding import LANES, Array, Geometry, Kernels, empty
from hwflow.reference.kernels.epilogue import FLOAT64, INT32, Epilogue, EpilogueStep, NotCompiled, Storage, lowest
from hwflow.reference.kernels.packing import Packed, PackedWinograd

SPLIT_BITS = 16
"""Most bits of the low part of a sum that is kept in two."""

WINOGRAD_CHANNELS = 16
"""Below it, transforming costs more than the products that it saves."""

Undo = Callable[[], None]


def magnitude(type_: FixedType) -> int:
    """The largest absolute code of a type."""
    return max(-lowest(type_), type_.max_code)


class CompiledLayer(ABC):
    """One weight layer.

    Attributes:
        bias: what is added to the sums of stored input codes, ``(out or more,)`` in accumulator codes.
        weight_range: the lowest and the highest code of a weight in effect.
        weight_sum: the largest sum of the magnitudes of one output's weights in effect.

    Its sum is bounded by the types and the outliers' rests, so that no flipped bit can exceed the bound: n
    products of the largest stored weight and the largest input, those of the rests, plus the largest bias.

    Raises:
        NotCompiled: its types are too wide for the kernels.
    """

    bias: IntArray

    def __init__(self, kernels: Kernels, node: WeightLayer, x: FixedType) -> None:
        assert node.accum is not None and node.weight.type is not None
        self.kernels, self.node, self.accum = kernels, node, node.accum
        self.weight_type = node.weight.type
        self.weight_range = node.weight_range
        self.source = kernels.storage(x)
        if self.source.wide or self.weight_range[0] < -(1 << 15) or self.weight_range[1] >= 1 << 15:
            raise NotCompiled(f"inputs or weights of {node.name} need more than 16 bits")
        bias = layer_bias_type(node)
        left = node.accum.fraction - bias.fraction
        largest_bias = magnitude(bias) << left if left >= 0 else magnitude(node.accum)
        self.weight_sum = node.n_in * magnitude(self.weight_type) + node.rest_sum
        self.magnitude = self.weight_sum * magnitude(x) + largest_bias
        if self.magnitude > node.accum.max_code:
            raise NotCompiled(f"{node.name} may overflow its accumulator {node.accum}")
        self.stored = (lowest(x) - self.source.offset, x.max_code - self.source.offset)

    @abstractmethod
    def change(self, inputs: IntArray, outputs: IntArray, codes: IntArray) -> Undo:
        """Give some weights in effect other codes; the result takes it back."""

    def bias_codes(self, codes: IntArray) -> IntArray:
        """Bias codes in the accumulator's LSB."""
        return self.accum.cast(codes, layer_bias_type(self.node))

    def change_bias(self, outputs: IntArray, codes: IntArray) -> Undo:
        """Give some biases other codes; the result takes it back."""
        difference = self.bias_codes(codes) - self.bias_codes(self.node.bias.codes[outputs])
        self.bias[outputs] += difference

        def undo() -> None:
            self.bias[outputs] -= difference

        return undo


class MatrixLayer(CompiledLayer):
    """A convolution or a dense layer: int16 products in pairs, or bytes in fours, summed in int32.

    Exact because (a) if the result, bias and rounding constant included, fits int32, all sums may be
    taken modulo 2^32; (b) else products are summed in blocks, each of which spans fewer than 2^32
    values and starts so that they all fit int32, and blocks in two int32 parts or in float64, which is
    exact below 2^53.
    No instruction saturates on the way. Bytes are multiplied, uint8 by int8, where the kernels can and
    inputs have at most 8 bits, if no weight in effect can leave int8, whatever bits flip.
    """

    def __init__(self, kernels: Kernels, graph: Graph, node: WeightLayer) -> None:
        source = graph.inputs_of(node)[0]
        x = source.resolved
        super().__init__(kernels, node, x)
        window = node.window if isinstance(node, Conv2D) else Window(kernel=(1, 1))
        one = (1, 1) if len(source.shape) == 1 else ()
        self.geometry = Geometry((*one, *source.shape), (*one, *node.shape), window)
        codes = node.effective_codes.reshape(node.n_in, node.n_out)
        self._given = self.source
        if self.source.bytes and not (self.weight_range[0] >= -128 and self.weight_range[1] <= 127):
            self.source, self.stored = Storage.of(x), (lowest(x), x.max_code)
        self._widen = Epilogue([], magnitude(x), source.shape[-1], self.source)
        self.packed = Packed(codes, self.source.bytes)
        self.bias = np.zeros(self.packed.panels * LANES, dtype=np.int64)
        self.bias[: node.n_out] = self.bias_codes(node.bias.codes) + self.source.offset * codes.sum(axis=0)
        self.winograd = PackedWinograd(codes, source.shape[-1]) if self._winograd_is_exact(x) else None

    def _winograd_is_exact(self, x: FixedType) -> bool:
        """Whether transformed operands fit int16 and 4 times the result int32: sums are taken modulo 2^32.

        Bytes are multiplied without it. For a pixel of a panel and C channels they take 9 C / 4 products of
        vectors; Winograd's int16 takes 2 C, and 0.75 C / panels for its inputs, 15 for its outputs, and reads
        weights 3.6 times as large.
        """
        window, weight = self.geometry.window, max(-self.weight_range[0], self.weight_range[1])
        channels = self.geometry.input[-1]
        return (
            (window.kernel, window.strides) == ((3, 3), (1, 1))
            and channels % 2 == 0
            and not self.source.bytes
            and min(channels, self.node.n_out) >= WINOGRAD_CHANNELS
            and self.source.offset == 0
            and 4 * magnitude(x) < 1 << 15
            and PackedWinograd.GROWTH * weight < 1 << 15
            and 4 * self.weight_sum * magnitude(x) < 1 << 31
        )

    def runner(self, steps: list[EpilogueStep], out: Storage, shape: tuple[int, ...]) -> Callable[[list[Array]], Array]:
        """The layer and what follows it, as a function of ``[x]``."""
        end = Epilogue(steps, self.magnitude, self.node.n_out, out)
        arguments = self._block(end)
        blocks = 0

        def run(sources: list[Array]) -> Array:
            x, result = self._input(sources[0]), empty((len(sources[0]), *shape), out)
            geometry = self.geometry.struct(len(result), pad_value=-self.source.offset, **arguments)
            if self.winograd is not None:
                self.kernels.winograd(geometry, x, self.winograd.array, self.bias, end, result)
                return result
            bias = self.bias - blocks * arguments["block_start"]
            self.kernels.weight_layer(geometry, x, self.packed.array, bias, end, result)
            return result

        blocks = self.kernels.k_blocks(self.geometry.struct(1, **arguments))
        return run

    def _input(self, x: Array) -> Array:
        """The input as this layer multiplies it: bytes widened to int16 if the weights need that."""
        if self._given == self.source:
            return x
        result = empty(x.shape, self.source)
        self.kernels.map(x, self._given, self._widen, result)
        return result

    def _block(self, end: Epilogue) -> dict[str, int]:
        """The kind of the input, how many products are summed in int32 at a time, and how these sums are."""
        weights = (lowest(self.weight_type), self.weight_type.max_code)
        products = [w * x for w in weights for x in self.stored]
        low, high = min(products), max(products)
        group = self.packed.group
        n = group * self.packed.groups
        largest = n * max(-low, high) + self._rests(n)
        if end.path == INT32 or largest < 1 << 31:
            return {"kind": self.source.kind, "k_block": n, "block_start": 0, "wide": 0}
        limit = ((1 << 32) - 1) // (high - low) // group * group
        while limit * (high - low) + 2 * self._rests(limit) >= 1 << 32:
            limit = limit * 3 // 4 // group * group
        if limit < group or largest + self.magnitude >= 1 << (52 if end.path == FLOAT64 else 53):
            raise NotCompiled(f"{self.node.name}: its sums need too many bits")
        start = (1 << 31) - 1 - limit * high - self._rests(limit)
        split = 0 if self.source.bytes else self._split(end, -(-n // limit))
        return {"kind": self.source.kind, "k_block": limit, "block_start": start, "wide": 1, "split": split}

    def _split(self, end: Epilogue, blocks: int) -> int:
        """Low bits of a sum that are kept by themselves, if both parts with the rounding constant fit int32; else 0.

        Every block and the bias add less than 2^split to the low part; the high one is what is left of the sum.
        """
        split = min(end.shift, SPLIT_BITS)
        fits = self.magnitude + (1 << end.shift) < 1 << (31 + split) and blocks + 2 < 1 << (31 - split)
        return split if fits else 0

    def _rests(self, length: int) -> int:
        """What the rests of ``length`` products in a row add to their sum at most."""
        outliers = self.node.outliers
        rests = 0 if outliers is None else outliers.largest_sum(self.node.n_in, length)
        return rests * max(map(abs, self.stored))

    def change(self, inputs: IntArray, outputs: IntArray, codes: IntArray) -> Undo:
        """Write codes and all that derives from them: bias and transformed filters."""
        flat, places = self.packed.array.reshape(-1), self.packed.places(inputs, outputs)
        old = flat[places]
        difference = codes - old
        flat[places] = codes
        offset = self.source.offset
        if offset:
            np.add.at(self.bias, outputs, offset * difference)
        transformed = None if self.winograd is None else self._change_winograd(inputs, outputs, difference)

        def undo() -> None:
            flat[places] = old
            if offset:
                np.subtract.at(self.bias, outputs, offset * difference)
            if transformed is not None:
                transformed()

        return undo

    def _change_winograd(self, inputs: IntArray, outputs: IntArray, difference: IntArray) -> Undo:
        assert self.winograd is not None
        taps, channels = np.divmod(inputs, self.winograd.channels)
        flat = self.winograd.array.reshape(-1)
        places = self.winograd.places(channels, outputs).reshape(-1)
        added = (self.winograd.change(taps) * difference).astype(np.int16).reshape(-1)
        np.add.at(flat, places, added)  # several taps of a filter may change
        return lambda: np.subtract.at(flat, places, added)


class ChannelwiseLayer(CompiledLayer):
    """A layer that works channel by channel: exact in int32 if its bound, or the epilogue's, says so, else in int64.

    A depthwise layer's result in int32 is exact as a :class:`MatrixLayer`'s, modulo 2^32.
    """

    def __init__(self, kernels: Kernels, graph: Graph, node: Affine | DepthwiseConv2D) -> None:
        source = graph.inputs_of(node)[0]
        super().__init__(kernels, node, source.resolved)
        self.geometry = Geometry(source.shape, node.shape, node.window) if isinstance(node, DepthwiseConv2D) else None
        self.weights: IntArray = np.ascontiguousarray(node.effective_codes.reshape(node.n_in, node.n_out))
        self.bias = np.ascontiguousarray(self.bias_codes(node.bias.codes))

    def runner(self, steps: list[EpilogueStep], out: Storage, shape: tuple[int, ...]) -> Callable[[list[Array]], Array]:
        """The layer and what follows it, as a function of ``[x]``."""
        end = Epilogue(steps, self.magnitude, self.node.n_out, out)
        wide = int(self.magnitude >= 1 << 31)

        def run(sources: list[Array]) -> Array:
            x, result = sources[0], empty((len(sources[0]), *shape), out)
            if self.geometry is None:
                self.kernels.affine(x, self.source, self.weights, self.bias, end, result)
                return result
            geometry = self.geometry.struct(
                len(result), kind=self.source.kind, pad_value=-self.source.offset, wide=wide
            )
            self.kernels.depthwise(geometry, x, self.source.offset, self.weights, self.bias, end, result)
            return result

        return run

    def change(self, inputs: IntArray, outputs: IntArray, codes: IntArray) -> Undo:
        """Write codes; nothing derives from them."""
        old = self.weights[inputs, outputs]
        self.weights[inputs, outputs] = codes

        def undo() -> None:
            self.weights[inputs, outputs] = old

        return undo


def compile_layer(kernels: Kernels, graph: Graph, node: WeightLayer) -> Any:
    """The compiled form of a weight layer.

    Raises:
        NotCompiled: no kernel is exact for its types.
    """
    if isinstance(node, Affine | DepthwiseConv2D):
        return ChannelwiseLayer(kernels, graph, node)
    return MatrixLayer(kernels, graph, node)
