"""Numbers between two casts: integers with a binary point, as wide as they need to be.

Numbers of up to 63 bits are int64; wider ones are Python integers in object arrays (:mod:`hwflow.wide`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hwflow.errors import HwflowError
from hwflow.fixed import MAX_WIDTH, Codes, FixedType, Overflow, Rounding
from hwflow.wide import MOST_BITS, NARROW, as_objects, assign

_PYTHON = np.frompyfunc(int, 1, 1)
INT = FixedType(32, 32, rounding=Rounding.TRN_ZERO)
"""C++'s int: what a fixed-point number becomes when it is an index."""


@dataclass(frozen=True)
class Exact:
    """Values ``codes x 2**-fraction``, of which every code fits ``width`` bits in two's complement.

    The operators are C++'s on ``ap_fixed``: no bit is lost until the result is put into a type.

    Raises:
        HwflowError: a result would need more than 512 bits.
    """

    codes: Codes
    fraction: int
    width: int

    def __post_init__(self) -> None:
        """Give the codes the type that holds them."""
        if self.width > MOST_BITS:
            raise HwflowError(f"an intermediate result takes {self.width} bits; up to {MOST_BITS} are supported")
        object.__setattr__(self, "codes", np.asarray(self.codes, dtype=object if self.width > MAX_WIDTH else np.int64))

    @classmethod
    def of(cls, codes: Codes, type: FixedType) -> Exact:
        """Codes of a type; NumPy's integers among Python's, which would overflow, are made Python's."""
        if np.asarray(codes).dtype == object:
            codes = np.asarray(_PYTHON(codes), dtype=object)
        return cls(codes, type.fraction, type.width + (not type.signed))

    @classmethod
    def integer(cls, value: int) -> Exact:
        """A C++ integer constant."""
        return cls(np.array(value, dtype=np.int64), 0, value.bit_length() + 1)

    def to(self, target: FixedType) -> Codes:
        """Codes after an assignment to ``target``."""
        if self.width > MAX_WIDTH or target.width > NARROW:
            return assign(self.codes, self.fraction, target)
        return target.cast(self.codes, FixedType(self.width, self.width - self.fraction))

    def __add__(self, other: Exact) -> Exact:
        one, two, fraction = _aligned(self, other)
        width = max(one.width, two.width) + 1
        return Exact(_roomy(one, width) + _roomy(two, width), fraction, width)

    def __sub__(self, other: Exact) -> Exact:
        one, two, fraction = _aligned(self, other)
        width = max(one.width, two.width) + 1
        return Exact(_roomy(one, width) - _roomy(two, width), fraction, width)

    def __mul__(self, other: Exact) -> Exact:
        width = self.width + other.width
        return Exact(_roomy(self, width) * _roomy(other, width), self.fraction + other.fraction, width)

    def __gt__(self, other: Exact) -> np.ndarray:
        one, two, _ = _aligned(self, other)
        return np.asarray(one.codes > two.codes)

    def __ge__(self, other: Exact) -> np.ndarray:
        one, two, _ = _aligned(self, other)
        return np.asarray(one.codes >= two.codes)

    def over(self, divisor: int | Codes) -> Exact:
        """Divided by integers other than zero; the quotient keeps the binary point and is cut toward zero."""
        quotient = np.sign(self.codes) * np.sign(divisor) * (np.abs(self.codes) // np.abs(divisor))
        return Exact(quotient, self.fraction, self.width + 1)


def where(condition: np.ndarray, one: Codes | int, two: Codes | int) -> Codes:
    """Codes of a conditional."""
    chosen: Codes = np.where(condition, one, two)
    return chosen


def limited(codes: Codes, target: FixedType) -> Codes:
    """Integers with the binary point of ``target``, brought into its range.

    In int64, sums modulo 2**64 may be given to a type that wraps: the topmost bit does not matter to it. To one that
    saturates, sums of up to 63 bits.
    """
    if codes.dtype == object or target.width > NARROW:
        return assign(codes, target.fraction, target)
    if target.overflow is Overflow.WRAP:
        spare = np.uint64(64 - MAX_WIDTH)
        codes = (codes.view(np.uint64) << spare).view(np.int64) >> np.int64(spare)
    return target.cast(codes, FixedType(MAX_WIDTH, MAX_WIDTH - target.fraction))


def tree_sum(codes: Codes, type: FixedType) -> Codes:
    """hls4ml's balanced tree over the last axis, each addition put back into the type."""
    count = codes.shape[-1]
    if count == 1:
        return codes[..., 0]
    left = 1 << ((count - 1).bit_length() - 1)
    return limited(tree_sum(codes[..., :left], type) + tree_sum(codes[..., left:], type), type)


def _aligned(one: Exact, two: Exact) -> tuple[Exact, Exact, int]:
    fraction = max(one.fraction, two.fraction)
    return _moved(one, fraction), _moved(two, fraction), fraction


def _moved(number: Exact, fraction: int) -> Exact:
    left = fraction - number.fraction
    width = number.width + left
    return Exact(_roomy(number, width) << left, fraction, width)


def _roomy(number: Exact, width: int) -> Any:
    """Codes in which a result of so many bits can be computed."""
    return as_objects(number.codes) if width > MAX_WIDTH else number.codes
