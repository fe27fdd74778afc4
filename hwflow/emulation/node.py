"""A layer of hls4ml's ModelGraph as its C++ sees it: types, flat weights, constants."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from hls4ml.model.layers import Input, Layer
from hls4ml.model.types import (
    CompressedWeightVariable,
    ExponentPrecisionType,
    FixedPrecisionType,
    IntegerPrecisionType,
    XnorPrecisionType,
)

from hwflow.emulation.exact import Exact
from hwflow.emulation.exponents import Exponents
from hwflow.errors import HwflowError
from hwflow.fixed import Codes, FixedType, Rounding
from hwflow.wide import parse_type, reals

BIT = FixedType(1, 1, signed=False, rounding=Rounding.TRN_ZERO)
"""``ap_uint<1>``, which hls4ml's headers treat as -1 and 1."""

EXACT_BITS = 53
"""Codes of up to so many bits are float64 numbers."""


@dataclass(frozen=True)
class Signal:
    """A tensor between two layers.

    Attributes:
        type: of its elements.
        shape: without the batch.
        word: elements that one word of its stream carries; all of them in io_parallel.
    """

    type: FixedType
    shape: tuple[int, ...]
    word: int

    @property
    def size(self) -> int:
        """Its elements."""
        return math.prod(self.shape)

    def reals(self, codes: Codes, dtype: npt.DTypeLike = np.float64) -> npt.NDArray[Any]:
        """Values of codes in float32 or float64, rounded once if they do not fit, as hls4ml hands them out."""
        if self.type.width > EXACT_BITS:
            return reals(codes, self.type, dtype)
        return self.type.decode(codes).astype(dtype)


@dataclass(frozen=True)
class Weights:
    """An array of weights as the C++ loads it: codes ``(n,)`` in memory order."""

    codes: Codes
    type: FixedType

    @property
    def values(self) -> Exact:
        """The same as numbers."""
        return Exact.of(self.codes, self.type)


class Node:
    """One layer, read only where it is asked.

    Raises:
        HwflowError: whatever is asked for is missing or has no fixed-point type; the line names the layer.
    """

    def __init__(self, layer: Layer) -> None:
        self._layer = layer
        self.name: str = layer.name
        self.kind: str = layer.class_name
        self.stream: bool = layer.model.config.get_config_value("IOType") == "io_stream"
        call = layer.get_attr("function_cpp")
        self.call = "" if call is None else str(call)
        self.is_input = isinstance(layer, Input)
        self.input_names: tuple[str, ...] = () if self.is_input else tuple(layer.inputs)
        self.inputs = tuple(self._signal(layer.get_input_variable(name)) for name in self.input_names)
        self.output = self._signal(layer.get_output_variable())

    @property
    def function(self) -> str:
        """Name of the header's function that the C++ calls, less its namespace; empty where it calls none."""
        match = re.match(r"nnet::(\w+)<", self.call)
        return match[1] if match else self.call.partition("<")[0]

    def refusal(self, reason: str) -> HwflowError:
        """The error that says why this layer cannot be emulated."""
        return HwflowError(f"{self.name}: {reason}")

    def type(self, key: str) -> FixedType:
        """A type attribute such as ``accum_t``."""
        named = self._layer.get_attr(key)
        if named is None:
            raise self.refusal(f"has no {key}")
        return self._fixed(named.precision, key)

    def type_name(self, key: str) -> str:
        """The C++ name of a type attribute."""
        return str(self._layer.get_attr(key).name)

    def int(self, key: str, default: int | None = None) -> int:
        """An integer attribute."""
        value = self._layer.get_attr(key, default)
        if value is None:
            raise self.refusal(f"has no {key}")
        return int(value)

    def text(self, key: str, default: str = "") -> str:
        """A text attribute, in lower case."""
        return str(self._layer.get_attr(key, default)).lower()

    def attribute(self, key: str) -> Any:
        """Any attribute."""
        return self._layer.get_attr(key)

    def constant(self, key: str) -> str:
        """A constant or a typedef of the configuration struct that hls4ml generated for this layer."""
        config = str(self._layer.get_attr("config_cpp"))
        match = re.search(rf"\b{key} = ([^;]+);", config) or re.search(rf"typedef (.+) {key};", config)
        if match is None:
            raise self.refusal(f"its generated configuration has no {key}")
        return match[1].strip()

    def weights(self, key: str) -> Weights:
        """Weights as the C++ loads them: each is printed with the digits of its type, then put into it."""
        variable = self._layer.weights.get(key)
        if variable is None:
            raise self.refusal(f"has no {key}")
        if isinstance(variable, CompressedWeightVariable):
            raise self.refusal("compressed weights are not emulated")
        type = self._fixed(variable.type.precision, f"{key}_t")
        values = np.array([float(text) for text in variable], dtype=np.float64)
        if not np.isfinite(values).all():
            raise self.refusal(f"{key} holds NaN or an infinite value")
        return Weights(type.encode(values), type)

    def exponents(self, key: str) -> Exponents | None:
        """Weights that are powers of two; ``None`` if they are not."""
        variable = self._layer.weights.get(key)
        if variable is None or not isinstance(variable.type.precision, ExponentPrecisionType):
            return None
        values = np.asarray(variable.data, dtype=np.float64).reshape(-1)
        if not np.isfinite(values).all() or not values.all():
            raise self.refusal(f"{key} holds NaN, infinite values or 0, which is no power of two")
        return Exponents.of(values, variable.type.precision.width, bool(variable.type.precision.signed))

    def is_binary(self, key: str) -> bool:
        """Whether weights are hls4ml's one-bit weights, -1 and 1."""
        return isinstance(self._layer.weights[key].type.precision, XnorPrecisionType)

    def is_ternary(self, key: str) -> bool:
        """Whether weights are two-bit integers, which hls4ml takes as -1, 0 and 1."""
        precision = self._layer.weights[key].type.precision
        return isinstance(precision, IntegerPrecisionType) and precision.width == 2 and bool(precision.signed)

    @property
    def takes_bits(self) -> bool:
        """Whether the input is hls4ml's one-bit data, -1 and 1."""
        return isinstance(self._layer.get_input_variable().type.precision, XnorPrecisionType)

    def _signal(self, variable: Any) -> Signal:
        shape = tuple(int(size) for size in variable.shape)
        word = math.prod(shape)
        if self.stream:
            packed = variable.type
            if not hasattr(packed, "unpack"):
                raise self.refusal("has no type of a stream yet, as the model was changed by hand; write it first")
            word = packed.n_elem // packed.n_pack if packed.unpack else packed.n_elem * packed.n_pack
        return Signal(self._fixed(variable.type.precision, "its data"), shape, word)

    def _fixed(self, precision: Any, what: str) -> FixedType:
        """hwflow's type of hls4ml's; a conversion to ap_int cuts toward zero, as C++'s to int does."""
        if isinstance(precision, ExponentPrecisionType) or not isinstance(
            precision, FixedPrecisionType | IntegerPrecisionType | XnorPrecisionType
        ):
            raise self.refusal(f"{what} is {precision}, which is not emulated: only fixed-point types are")
        try:
            type = parse_type(str(precision))
        except HwflowError as error:
            raise self.refusal(str(error)) from error
        return type if isinstance(precision, FixedPrecisionType) else type.with_(rounding=Rounding.TRN_ZERO)
