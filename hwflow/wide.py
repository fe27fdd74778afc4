"""Fixed-point types of more than 62 bits, such as hls4ml infers: `hwflow.fixed` on Python's integers.

Codes of a `WideType` are object arrays of Python integers, which are exact at any width, and slow.
"""

from __future__ import annotations

from operator import index
from typing import Any

import numpy as np
import numpy.typing as npt

from hwflow.errors import HwflowError
from hwflow.fixed import MAX_INTEGER, Codes, FixedType, Overflow, Rounding, Values, parsed

NARROW = 62
"""Bits of codes of which int64 holds every sum of two, unsigned ones too."""

MOST_BITS = 512
"""Widest type: every code is a float64 number, rounded."""

_DOUBLE_FRACTION = 1074 + 53
"""Every finite float64 is a multiple of 2 to the power of minus this."""

_KEPT_BITS = 50
"""Bits that rounding to float32 cannot tell from all of them, if the last one says whether any other was set."""


class WideType(FixedType):
    """A fixed-point type of 63 bits and more, with the arithmetic of :class:`hwflow.fixed.FixedType`.

    Raises:
        HwflowError: the width is not in 63..512, or the integer bits are not in -512..512.
    """

    def __post_init__(self) -> None:
        """Refuse narrow types, which have int64 codes."""
        object.__setattr__(self, "width", index(self.width))
        object.__setattr__(self, "integer", index(self.integer))
        if not NARROW < self.width <= MOST_BITS:
            raise HwflowError(f"{self}: the width must be at most {MOST_BITS} bits")
        if abs(self.integer) > MAX_INTEGER:
            raise HwflowError(f"{self}: the integer bits must be -{MAX_INTEGER} to {MAX_INTEGER}")

    def encode(self, values: npt.ArrayLike) -> Codes:
        """As :meth:`FixedType.encode`; codes are Python integers."""
        reals = np.asarray(values, dtype=np.float64)
        if not np.isfinite(reals).all():
            raise HwflowError(f"cannot encode NaN or an infinite value as {self}")
        mantissas, exponents = np.frexp(reals)
        whole = np.ldexp(mantissas, 53).astype(np.int64)
        shifts = exponents.astype(np.int64) - 53 + _DOUBLE_FRACTION
        return assign(np.asarray(as_objects(whole) << as_objects(shifts)), _DOUBLE_FRACTION, self)

    def decode(self, codes: npt.ArrayLike) -> Values:
        """Values of `codes`, rounded to nearest even as ``ap_fixed::to_double`` does."""
        return reals(np.asarray(codes), self)

    def cast(self, codes: npt.ArrayLike, source: FixedType) -> Codes:
        """As :meth:`FixedType.cast`; codes are Python integers."""
        return assign(np.asarray(codes), source.fraction, self)


def parse_type(text: str) -> FixedType:
    """The type that ``text`` names, up to 512 bits wide; see :meth:`FixedType.parse`.

    Raises:
        HwflowError: as for :meth:`FixedType.parse`.
    """
    fields = parsed(text)
    return (WideType if fields["width"] > NARROW else FixedType)(**fields)


def as_objects(codes: npt.NDArray[Any]) -> Any:
    """The same numbers as Python integers."""
    return np.asarray(codes, dtype=object)


def assign(codes: npt.NDArray[Any], fraction: int, target: FixedType) -> Codes:
    """C++'s assignment of ``codes x 2**-fraction``, integers of any size, to ``target``.

    Returns:
        codes of ``target``, of the same shape: int64 if it has up to 62 bits, else Python integers.
    """
    numbers, right = as_objects(codes), fraction - target.fraction
    rounded = numbers << -right if right <= 0 else _rounded(numbers, right, target.rounding)
    if target.overflow is not Overflow.WRAP:
        limited = np.clip(rounded, target.min_code, target.max_code)
    else:
        half = 1 << (target.width - 1) if target.signed else 0
        limited = ((rounded + half) & ((1 << target.width) - 1)) - half
    return np.asarray(limited, dtype=object if target.width > NARROW else np.int64)


def reals(codes: npt.NDArray[Any], type: FixedType, dtype: npt.DTypeLike = np.float64) -> npt.NDArray[Any]:
    """Values of codes in float32 or float64, rounded once to nearest even: ``to_float`` and ``to_double``.

    Raises:
        HwflowError: a value is out of the range of float32, where the headers make another number of it.
    """
    flat = as_objects(codes).reshape(-1)
    if np.dtype(dtype) == np.float32:
        flat = [_shortened(int(code)) for code in flat]
    floats = np.array([float(code) for code in flat], dtype=np.float64)
    values = np.ldexp(floats, -type.fraction)
    if np.dtype(dtype) == np.float32:
        sizes = np.abs(values[values != 0])
        if ((sizes > np.finfo(np.float32).max) | (sizes < np.finfo(np.float32).tiny)).any():
            raise HwflowError(f"a value of {type} is out of the range of float32; pass float64")
    return values.astype(dtype).reshape(np.shape(codes))


def _shortened(code: int) -> int:
    spare = abs(code).bit_length() - _KEPT_BITS
    if spare <= 0:
        return code
    lost = code & ((1 << spare) - 1) != 0
    return (code >> spare | lost) << spare


def _rounded(numbers: Any, right: int, rounding: Rounding) -> Any:
    """``numbers x 2**-right``, rounded."""
    floor, rest, half = numbers >> right, numbers & ((1 << right) - 1), 1 << (right - 1)
    if rounding is Rounding.TRN:
        return floor
    if rounding is Rounding.TRN_ZERO:
        up = (numbers < 0) & (rest != 0)
    else:
        ties = {
            Rounding.RND: True,
            Rounding.RND_MIN_INF: False,
            Rounding.RND_ZERO: numbers < 0,
            Rounding.RND_INF: numbers >= 0,
            Rounding.RND_CONV: (floor & 1) == 1,
        }
        up = (rest > half) | ((rest == half) & ties[rounding])
    return floor + up
