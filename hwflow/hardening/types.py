"""Types: every tensor, constant and accumulator of a scaled graph gets a fixed-point type."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from hwflow.codes import layout
from hwflow.codes.protection import Loss
from hwflow.errors import HwflowError
from hwflow.fixed import FixedType, Overflow, Rounding
from hwflow.graph import (
    AveragePool2D,
    Concatenate,
    Constant,
    GlobalAveragePool2D,
    Graph,
    Input,
    LeakyReLU,
    Lookup,
    MaxPool2D,
    Merge,
    Move,
    Multiply,
    Node,
    Outliers,
    ReLU,
    Rescale,
    Softmax,
    WeightLayer,
)
from hwflow.graph.functions import function
from hwflow.hardening.calibration import Calibration, magnitude_bits, sum_bits
from hwflow.hardening.compensation import mean_error, rounded
from hwflow.hardening.like import Like
from hwflow.hardening.options import HardenOptions
from hwflow.hardening.tables import index_type, with_table
from hwflow.memory.outliers import find_outliers, most_outliers

BIAS_BITS = 16
FACTOR_BITS = 16
LEAST_FACTOR_BITS = 12
PRODUCT_BITS = 62
"""What int64 holds of the product of a tensor and a multiplier, whatever its sign."""
TABLE_BITS = 18
"""Width of the exponentials in softmax's table."""
NORM_TYPE = FixedType(10, 4, False, Rounding.RND, Overflow.SAT)
"""Of the largest logit minus each: steps of 1/64 up to 16, beyond which exp(-x) is nothing."""
SUM_STEP_BITS = 7
"""A sum of exponentials, at least 1, is rounded to 1/128 to look up its reciprocal."""
PROBABILITY_BITS = 16


def calibrated_type(
    calibration: Calibration, name: str, signed: bool, options: HardenOptions, like: Like | None = None
) -> FixedType:
    """The type of a tensor from its range in calibration, or in that of another network."""
    if like is None:
        integer = calibration.integer_bits(name, signed, options.guard_bits)
    else:
        integer = like.integer_bits(name, signed, options.guard_bits, calibration)
    return FixedType(options.activation_bits, integer, signed, options.rounding, Overflow.SAT)


class Typer:
    """Resolves types in graph order; a tensor's type depends on its inputs and its sole consumer."""

    def __init__(
        self, graph: Graph, calibration: Calibration, options: HardenOptions, like: Like | None = None
    ) -> None:
        self.graph = graph
        self.calibration = calibration
        self.options = options
        self.like = like
        self.done: dict[str, Node] = {}
        self.losses: dict[str, Loss] = {}
        """What the weights of a layer lost to its storage code, by layer; of codes that have all weights, none."""

    def typed(self) -> Graph:
        """The graph with every type resolved."""
        self.options.protections.check_layers([layer.name for layer in self.graph.weight_layers])
        for node in self.graph:
            self.done[node.name] = typed = self._resolve(node)
            if self.like is not None:
                self.like.check(typed)
        return Graph(tuple(self.done.values()), self.graph.name)

    def _resolve(self, node: Node) -> Node:
        inputs = [self.done[name].resolved for name in node.inputs]
        match node:
            case Input():
                return replace(node, type=self._calibrated(node))
            case WeightLayer():
                return self._weight_layer(node, inputs[0])
            case MaxPool2D() | Move():
                return replace(node, type=inputs[0])
            case ReLU():
                return self._rectifier(node)
            case Merge():
                return self._merge(node, inputs)
            case LeakyReLU():
                return self._leaky(node, inputs[0])
            case Lookup():
                type_ = self._lookup(node)
                return with_table(node, self._index(node, inputs[0], type_), type_)
            case Concatenate():
                return replace(node, type=inputs[0] if inputs[0] == inputs[1] else self._joined(node))
            case AveragePool2D():
                return self._average(node, node.window.kernel[0] * node.window.kernel[1], inputs[0])
            case GlobalAveragePool2D():
                source = self.graph.inputs_of(node)[0]
                return self._average(node, math.prod(source.shape[:-1]), inputs[0])
            case Rescale():
                return self._rescale(node, inputs[0])
            case Softmax():
                return self._softmax(node)
        raise HwflowError(f"{node.name}: {node.op} cannot be hardened")

    def _weight_layer(self, node: WeightLayer, x: FixedType) -> WeightLayer:
        scaling = self.options.scaling
        weight_type = scaling.memory_type
        headroom = self.options.headroom
        outliers = find_outliers(node, weight_type, most_outliers(node, scaling.outliers))
        if self.like is not None:
            outliers = self.like.outliers(node, outliers)
        elif outliers is not None and headroom:
            outliers = _wider(outliers, headroom)
        node = replace(self._stored(node, weight_type), outliers=outliers)
        fraction = weight_type.fraction + x.fraction
        bias = _bias(node.bias, fraction, headroom) if self.like is None else self.like.bias(node)
        accum = accumulator_type(node, weight_type, x, bias)
        if self.like is not None:
            accum = self.like.accumulator(node, accum)
        elif outliers is not None:
            accum = replace(accum, width=accum.width + headroom, integer=accum.integer + headroom)
        reader = self.graph.sole_consumer(node)
        if isinstance(reader, Lookup) and node.type is None and function(reader.function).of_sign:
            # Of the exact accumulator one step is enough: the rest saturates, and the sign is that of the sum.
            type_ = FixedType(2, 2 - accum.fraction, True, Rounding.TRN, Overflow.SAT)
        else:
            type_ = self._activation(node)
        if isinstance(reader, Rescale):
            moved = _moved(self._factor(reader))
            # A constant multiplies the exact accumulator; a power of two only moves the point of what it becomes.
            type_ = accum if moved is None else self._activation(reader).shifted(-moved)
        return replace(
            node,
            bias=bias,
            accum=accum,
            type=type_,
        )

    def _stored(self, node: WeightLayer, type_: FixedType) -> WeightLayer:
        """A layer whose weights are codes, by its storage code; what their rounding takes on average, its bias has."""
        weights = layout.ordered(node.weight.values, node.channelwise).reshape(node.rows, -1)
        protection = self.options.protections.of(node.name)
        stored = protection.fit(weights, type_)
        moments = self.calibration.moments.get(node.name)
        codes, bias = rounded(stored, weights, moments), node.bias
        if moments is not None:
            bias = Constant(bias.values + type_.lsb * mean_error(weights / type_.lsb, codes, moments))
        if not protection.lossless:
            self.losses[node.name] = Loss.of(weights, type_, codes)
        weight = Constant.from_codes(layout.unordered(codes.reshape(-1), node.weight.shape, node.channelwise), type_)
        return replace(node, weight=weight, bias=bias, storage=stored.spec)

    def _rescale(self, node: Rescale, x: FixedType) -> Rescale:
        factor = self._factor(node, PRODUCT_BITS - x.width)
        assert factor.type is not None
        if x.width + factor.type.width > PRODUCT_BITS:
            raise HwflowError(
                f"{node.name}: its product of {x.width} and {factor.type.width} bits exceeds {PRODUCT_BITS}; "
                "use narrower activations or compensation by layer"
            )
        moved = _moved(factor)
        shifted = None if moved is None else x.shifted(moved)
        if shifted is None or (node.type is not None and self._requested(node) != shifted):
            return replace(node, factor=factor, type=self._activation(node))
        return replace(node, factor=factor, type=shifted)

    def _factor(self, node: Rescale, room: int = PRODUCT_BITS) -> Constant:
        if self.like is not None:
            return self.like.factor(node)
        return _factor(node.factor, room, self.options.headroom)

    def _merge(self, node: Merge, inputs: list[FixedType]) -> Merge:
        width = sum(type_.width for type_ in inputs)
        if isinstance(node, Multiply) and width > PRODUCT_BITS:
            raise HwflowError(f"{node.name}: its product has {width} bits, more than {PRODUCT_BITS}")
        if isinstance(node, Multiply) and node.inputs[0] == node.inputs[1]:
            return replace(node, type=self._calibrated(node, signed=False))  # a square
        return replace(node, type=self._activation(node))

    def _average(self, node: Any, count: int, x: FixedType) -> Node:
        extra = (count - 1).bit_length()
        integer = sum_bits(x, count)
        accum = FixedType(integer + x.fraction + extra, integer)
        resolved: Node = replace(
            node, accum=accum, type=self._requested(node) or self._calibrated(node, signed=x.signed)
        )
        return resolved

    def _softmax(self, node: Softmax) -> Softmax:
        classes = node.shape[-1]
        growth = (classes - 1).bit_length()
        whole = classes.bit_length()
        exponential = FixedType(TABLE_BITS, 1, False, Rounding.RND, Overflow.SAT)
        total = FixedType(whole + SUM_STEP_BITS, whole, False, Rounding.RND, Overflow.SAT)
        norm = NORM_TYPE
        return replace(
            node,
            norm=norm,
            exp_table=exponential,
            accum=FixedType(TABLE_BITS + growth, 1 + growth, signed=False),
            inv_input=total,
            inv_table=FixedType(whole + 11, 1, False, Rounding.RND, Overflow.SAT),
            exp_size=1 << norm.width,
            inv_size=1 << total.width,
            type=FixedType(PROBABILITY_BITS, 0, False, self.options.rounding, Overflow.SAT),
        )

    def _activation(self, node: Node) -> FixedType:
        """The type of a tensor that an accumulator or a sum is rounded to.

        Where a ReLU alone reads it, it takes the ReLU's grid and upper limit and one more bit for the
        sign: the value is then rounded and saturated once, and ReLU only drops the negative half.
        """
        reader = self.graph.sole_consumer(node)
        if isinstance(reader, Concatenate):
            return self._requested(node) or self._joined(reader)
        if isinstance(node, Rescale) and node.type is not None:
            return self._requested(node) or self._calibrated(node)
        if isinstance(reader, Lookup):
            # The value is rounded and saturated once, to what addresses the table.
            return self._index(reader, self._requested(node) or self._calibrated(node), self._lookup(reader))
        if isinstance(reader, ReLU):
            relu = self._relu(reader)
            if not relu.signed:
                return replace(relu, width=relu.width + 1, integer=relu.integer + 1, signed=True)
            return relu
        return self._requested(node) or self._calibrated(node)

    def _rectifier(self, node: ReLU) -> ReLU:
        """A ReLU with its type, and its limit where the type alone would let more through."""
        type_ = self._relu(node)
        if node.limit is None:
            return replace(node, type=type_)
        limit = replace(type_, rounding=Rounding.RND_CONV)
        code = np.clip(np.rint(node.limit.values / type_.lsb), 1, type_.max_code).astype(np.int64)
        return replace(node, type=type_, limit=None if code[0] == type_.max_code else Constant.from_codes(code, limit))

    def _relu(self, node: ReLU) -> FixedType:
        reader = self.graph.sole_consumer(node)
        joined = self._joined(reader) if isinstance(reader, Concatenate) else None
        return self._requested(node) or joined or self._clipped(node)

    def _clipped(self, node: ReLU) -> FixedType:
        """The calibrated type, no wider than a limit needs."""
        type_ = self._calibrated(node, signed=False)
        if node.limit is None:
            return type_
        return replace(type_, integer=min(type_.integer, magnitude_bits(float(node.limit.values[0]))))

    def _leaky(self, node: LeakyReLU, x: FixedType) -> LeakyReLU:
        slope = _slope(node.slope) if self.like is None else self.like.slope(node)
        threshold = node.threshold
        if threshold is not None:
            # No code lies between the threshold and the one below it.
            code = np.clip(np.floor(threshold.values / x.lsb), 0, x.max_code)
            threshold = Constant.from_codes(code.astype(np.int64), x)
        reader = self.graph.sole_consumer(node)
        joined = self._joined(reader) if isinstance(reader, Concatenate) else None
        type_ = joined or self._calibrated(node, signed=not node.never_negative)
        return replace(node, slope=slope, threshold=threshold, type=type_)

    def _lookup(self, node: Lookup) -> FixedType:
        """The type of what a table gives: the calibrated one, no wider than the function needs."""
        reader = self.graph.sole_consumer(node)
        if node.type is not None:
            return node.type
        if isinstance(reader, Concatenate):
            return self._joined(reader)
        of = function(node.function)
        type_ = self._calibrated(node, signed=of.low < 0)
        largest = max(-of.low, of.high)
        if math.isinf(largest):
            return type_
        # What is one at most saturates a step below it.
        return replace(type_, integer=min(type_.integer, magnitude_bits(math.nextafter(largest, 0.0)) + type_.signed))

    def _index(self, node: Lookup, x: FixedType, type_: FixedType) -> FixedType:
        if self.like is not None:
            return self.like.index(node)
        return index_type(node, x, type_, self.options.table_bits)

    def _joined(self, node: Concatenate) -> FixedType:
        """The type of the last Concatenate of a chain, so that what goes through all of them is rounded once."""
        last: Node = node
        while longer := [reader for reader in self.graph.consumers[last.name] if isinstance(reader, Concatenate)]:
            last = longer[0]
        return self._calibrated(last, signed=self._may_be_negative(last))

    def _may_be_negative(self, node: Node) -> bool:
        if isinstance(node, ReLU):
            requested = self._requested(node)
            return requested is not None and requested.signed
        if isinstance(node, Lookup):
            return function(node.function).low < 0
        if isinstance(node, LeakyReLU):
            return not node.never_negative
        if isinstance(node, MaxPool2D | AveragePool2D | GlobalAveragePool2D | Move | Rescale | Concatenate):
            return any(self._may_be_negative(source) for source in self.graph.inputs_of(node))
        return True

    def _calibrated(self, node: Node, signed: bool = True) -> FixedType:
        return calibrated_type(self.calibration, node.name, signed, self.options, self.like)

    def _requested(self, node: Node) -> FixedType | None:
        """The quantiser that the network itself asks for, moved by the scale of the tensor if that is a power of two.

        By any other scale its grid cannot be moved: the tensor then has as many bits as every other, and the
        quantiser's largest value as its limit.
        """
        if node.type is None or not isinstance(node.scale, float):
            return None
        mantissa, exponent = math.frexp(node.scale)
        return node.type.shifted(exponent - 1) if mantissa == 0.5 else None


def accumulator_type(layer: WeightLayer, weight: FixedType, x: FixedType, bias: Constant) -> FixedType:
    """The accumulator that no input and no flipped weight or bias bit can overflow.

    The bound takes every stored weight, input and bias at the largest magnitude of its type, and the rests of
    outliers, which no fault reaches, as they are.
    """
    assert bias.type is not None
    fraction = weight.fraction + x.fraction
    weights = layer.n_in * max(-weight.min_code, weight.max_code) + layer.rest_sum
    bound = weights * max(-x.min_code, x.max_code) + (
        max(-bias.type.min_code, bias.type.max_code) << (fraction - bias.type.fraction)
    )
    width = bound.bit_length() + 1
    return FixedType(width, width - fraction)


def _wider(outliers: Outliers, headroom: int) -> Outliers:
    type_ = outliers.rest.type
    assert type_ is not None
    type_ = replace(type_, width=type_.width + headroom, integer=type_.integer + headroom)
    return replace(outliers, rest=Constant.from_codes(outliers.rest.codes, type_))


def _bias(bias: Constant, accum_fraction: int, headroom: int) -> Constant:
    """The bias in 16 bits, on a grid that the accumulator holds exactly."""
    integer = magnitude_bits(float(np.max(np.abs(bias.values), initial=0.0))) + 1 + headroom
    fraction = min(BIAS_BITS - integer, accum_fraction)
    width = max(integer + fraction, 1)
    type_ = FixedType(width, width - fraction, True, Rounding.RND_CONV, Overflow.SAT)
    return Constant.from_codes(type_.encode(bias.values), type_)


def _factor(factor: Constant, room: int, headroom: int) -> Constant:
    """Positive multipliers: one bit for a power of two, else 16 significant bits of the smallest, and headroom above.

    Fewer, down to 12, where more would not leave the product within ``room``.
    """
    largest, least = float(factor.values.max()), float(factor.values.min())
    exponent = magnitude_bits(largest)
    mantissas = {math.frexp(value) for value in factor.values.tolist()}
    if len(mantissas) == 1 and next(iter(mantissas))[0] == 0.5:
        type_ = FixedType(1, exponent, signed=False)
    else:
        exponent += headroom
        spread = exponent - magnitude_bits(least)
        width = spread + max(LEAST_FACTOR_BITS, min(FACTOR_BITS, room - spread))
        type_ = FixedType(width, exponent, False, Rounding.RND_CONV, Overflow.SAT)
    return Constant.from_codes(type_.encode(factor.values), type_)


def _slope(slope: Constant) -> Constant:
    """Slopes with 16 significant bits of the largest, and a sign if one is negative."""
    signed = bool((slope.values < 0).any())
    integer = magnitude_bits(float(np.abs(slope.values).max())) + signed
    type_ = FixedType(FACTOR_BITS + signed, integer, signed, Rounding.RND_CONV, Overflow.SAT)
    return Constant.from_codes(type_.encode(slope.values), type_)


def _moved(factor: Constant) -> int | None:
    """By how many bits a multiplication moves the binary point, if that is all that it does."""
    assert factor.type is not None
    return -factor.type.fraction if factor.type.width == 1 else None
