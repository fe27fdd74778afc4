"""Tables of activations: what type addresses one, and what is in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from hwflow.fixed import FixedType, Overflow, Rounding
from hwflow.graph import Constant, FloatArray, Lookup
from hwflow.graph.functions import function

MOST_VALUES = 1 << 16
"""Values of a wide input type that candidates for an index are compared on."""


def with_table(node: Lookup, index: FixedType, type_: FixedType) -> Lookup:
    """A lookup of a type with its table, for an index."""
    table = Constant.from_codes(type_.encode(_entries(node, index, type_)), type_)
    return replace(node, type=type_, index=index, table=table)


def index_type(node: Lookup, source: FixedType, type_: FixedType, bits: int) -> FixedType:
    """The type that addresses a table: that of the input if it is no wider, else one with the least largest error.

    The error is that of the output, over all that the input can hold: a finer step saturates sooner. Among equals
    the mean error decides.

    Args:
        node: a lookup without a table.
        source: the type of the input.
        type_: the type of the output.
        bits: of an address.
    """
    if source.width <= bits:
        return source
    codes = np.linspace(source.min_code, source.max_code, min(1 << source.width, MOST_VALUES)).round().astype(np.int64)
    exact = _outputs(node, source.decode(codes), type_)

    def error(index: FixedType) -> tuple[float, float]:
        address = index.cast(codes, source) & ((1 << index.width) - 1)
        difference = np.abs(_entries(node, index, type_)[address] - exact)
        return float(difference.max()), float(difference.mean())

    return min(_candidates(source, bits, function(node.function).steep), key=error)


def _candidates(source: FixedType, bits: int, whole: bool) -> Iterator[FixedType]:
    """Types of the ``whole`` range of the source, or less of it."""
    for dropped in range(1 if whole else source.width - bits + 1):
        for rounding in (Rounding.RND, Rounding.TRN):
            yield FixedType(bits, source.integer - dropped, source.signed, rounding, Overflow.SAT)


def _entries(node: Lookup, index: FixedType, type_: FixedType) -> FloatArray:
    """The function at what every address stands for."""
    addresses = np.arange(1 << index.width)
    return _outputs(node, index.decode(addresses - ((addresses > index.max_code) << index.width)), type_)


def _outputs(node: Lookup, values: FloatArray, type_: FixedType) -> FloatArray:
    """The function of stored input values, as far as the output type goes."""
    return np.clip(function(node.function)(values / node.input_scale), type_.min, type_.max)
