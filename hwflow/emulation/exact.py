"""Numbers between two casts: integers with a binary point, as wide as they need to be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwflow.errors import HwflowError
from hwflow.fixed import MAX_WIDTH, Codes, FixedType, Overflow, Rounding

INT = FixedType(32, 32, rounding=Rounding.TRN_ZERO)
"""C++'s int: what a fixed-point number becomes when it is an index."""


@dataclass(frozen=True)
class Exact:
    """Values ``codes x 2**-fraction``, of which every code fits ``width`` bits in two's complement.

    The operators are C++'s on ``ap_fixed``: no bit is lost until the result is put into a type.

    Raises:
        HwflowError: a result would need more than 63 bits.
    """

    codes: Codes
    fraction: int
    width: int

    def __post_init__(self) -> None:
        """Refuse what int64 cannot hold."""
        if self.width > MAX_WIDTH:
            raise HwflowError(f"an intermediate result takes {self.width} bits; up to {MAX_WIDTH} are supported")

    @classmethod
    def of(cls, codes: Codes, type: FixedType) -> Exact:
        """Codes of a type."""
        return cls(codes, type.fraction, type.width + (not type.signed))

    @classmethod
    def integer(cls, value: int) -> Exact:
        """A C++ integer constant."""
        return cls(np.array(value, dtype=np.int64), 0, value.bit_length() + 1)

    def to(self, target: FixedType) -> Codes:
        """Codes after an assignment to ``target``."""
        return target.cast(self.codes, FixedType(self.width, self.width - self.fraction))

    def __add__(self, other: Exact) -> Exact:
        one, two, fraction = _aligned(self, other)
        return Exact(one.codes + two.codes, fraction, max(one.width, two.width) + 1)

    def __sub__(self, other: Exact) -> Exact:
        one, two, fraction = _aligned(self, other)
        return Exact(one.codes - two.codes, fraction, max(one.width, two.width) + 1)

    def __mul__(self, other: Exact) -> Exact:
        return Exact(self.codes * other.codes, self.fraction + other.fraction, self.width + other.width)

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
    """Integers of up to 64 bits with the binary point of ``target``, brought into its range.

    Sums modulo 2**64 may be given to a type that wraps. Types have up to 63 bits, so that the topmost of 64
    does not matter to one.
    """
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
    return Exact(number.codes << min(left, MAX_WIDTH), fraction, number.width + left)
