"""Arrays of a graph: what nodes compute with, as real values or as codes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from hwflow.codes.layout import channelwise_position, position
from hwflow.errors import HwflowError
from hwflow.fixed import FixedType

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Scale = float | tuple[float, ...]
"""S of a tensor: one number, or one an element of its last axis."""


@dataclass(frozen=True, eq=False)
class Constant:
    """An array of real values, or with a type of the integer codes of values on the type's grid.

    Attributes:
        array: real values of any shape; with a type, codes in the narrowest integers that hold them.
        type: the fixed-point type of the stored values, or ``None`` before hardening.
    """

    array: npt.NDArray[Any]
    type: FixedType | None = None

    @classmethod
    def from_codes(cls, codes: npt.NDArray[Any], type_: FixedType) -> Constant:
        """A typed constant whose integer codes are ``codes``.

        Raises:
            HwflowError: ``codes`` are no integers, or one is not a code of the type.
        """
        return cls(type_.checked(codes).astype(np.min_scalar_type(min(type_.min_code, -1 - type_.max_code))), type_)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the array."""
        return self.array.shape

    @property
    def size(self) -> int:
        """Elements of the array."""
        return self.array.size

    @property
    def values(self) -> FloatArray:
        """Real values."""
        return self.array if self.type is None else self.type.decode(self.array)

    def times(self, factors: FloatArray) -> Constant:
        """The constant whose values are these times ``factors``, which broadcast to them."""
        return Constant(self.values * factors)

    def over(self, divisors: FloatArray) -> Constant:
        """The constant whose values are these divided by ``divisors``, which broadcast to them."""
        return Constant(self.values / divisors)

    @property
    def codes(self) -> IntArray:
        """Integer codes.

        Raises:
            HwflowError: the constant has no type yet.
        """
        if self.type is None:
            raise HwflowError("a constant without a type has no codes; harden the graph first")
        return self.array.astype(np.int64)


@dataclass(frozen=True, eq=False)
class Derived(Constant):
    """Real values that are computed, in float64, whenever they are asked for, and not kept.

    A network's weights are in memory already, in float32 as a rule. A graph of them that has been scaled takes
    hardly more; each layer's values are there only as long as they are used.

    Attributes:
        array: numbers of any type, perhaps another's memory; they must not change.
        steps: what is computed of them, one after another: products and quotients with what broadcasts to them.
    """

    steps: tuple[tuple[np.ufunc, FloatArray], ...] = ()

    @property
    def values(self) -> FloatArray:
        """Real values."""
        values = self.array.astype(np.float64)
        for operation, operand in self.steps:
            operation(values, operand, out=values)
        return values

    def times(self, factors: FloatArray) -> Constant:
        """As :meth:`Constant.times`, computed when it is needed."""
        return replace(self, steps=(*self.steps, (np.multiply, np.asarray(factors))))

    def over(self, divisors: FloatArray) -> Constant:
        """As :meth:`Constant.over`, computed when it is needed."""
        return replace(self, steps=(*self.steps, (np.divide, np.asarray(divisors))))


@dataclass(frozen=True, eq=False)
class Outliers:
    """What the largest weights of a layer exceed its memory by, kept in a side memory that faults do not reach.

    The memory's cell holds such a weight saturated, the side memory the rest: the weight in effect is
    their sum, and a flip of the cell costs what a flip of any other cell costs.

    Attributes:
        index: ``(k,)`` ascending positions in the order of the weight memory, see :mod:`hwflow.codes.layout`.
        rest: ``(k,)`` what is added, never zero, on the grid of the weights.
    """

    index: IntArray
    rest: Constant

    def at(self, index: IntArray) -> IntArray:
        """Rest codes ``(m,)`` of the cells ``index`` ``(m,)`` of the weight memory: 0 where nothing is added."""
        rests = np.zeros(len(index), dtype=np.int64)
        place = np.searchsorted(self.index, index)
        hit = np.append(self.index, -1)[place] == index
        rests[hit] = self.rest.codes[place[hit]]
        return rests

    def largest_sum(self, n_in: int, length: int) -> int:
        """The largest sum of the magnitudes of the rests in ``length`` cells in a row of one output's ``n_in``."""
        sums = np.concatenate([[0], np.cumsum(np.abs(self.rest.codes))])
        ends = np.minimum(self.index + length, (self.index // n_in + 1) * n_in)
        return int((sums[np.searchsorted(self.index, ends)] - sums[:-1]).max(initial=0))

    def add(self, weights: npt.NDArray[Any], rests: npt.NDArray[Any], channelwise: bool = False) -> npt.NDArray[Any]:
        """``weights`` ``(..., out)`` plus ``rests`` ``(k,)``, codes or values, where these belong.

        Args:
            weights: of a layer.
            rests: to add.
            channelwise: whether the layer works channel by channel.
        """
        result = weights.reshape(-1, weights.shape[-1]).copy()
        n_in, n_out = result.shape
        output, source = channelwise_position(self.index, n_out) if channelwise else position(self.index, n_in)
        result[source, output] += rests
        return result.reshape(weights.shape)


@dataclass(frozen=True, eq=False)
class Kept:
    """Weights of a layer that its side memory holds whole: faults do not reach them, whatever their cells give.

    Attributes:
        index: ``(k,)`` ascending positions in the order of the weight memory, see :mod:`hwflow.codes.layout`.
    """

    index: IntArray

    def holds(self, index: IntArray) -> BoolArray:
        """Whether the weights ``index`` of any shape are among them."""
        return np.isin(index, self.index)


@dataclass(frozen=True, eq=False)
class Side:
    """What the side memory of a layer holds: an entry for every outlier and for every weight that is kept.

    Attributes:
        index: ``(k,)`` ascending positions in the order of the weight memory.
        value: ``(k,)`` codes: of a kept weight the weight in effect, else the rest.
        whole: ``(k,)`` whether the value takes the place of what the memory gives, instead of being added to it.
        bits: of a value, signed.
    """

    index: IntArray
    value: IntArray
    whole: BoolArray
    bits: int
