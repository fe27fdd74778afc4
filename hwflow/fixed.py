"""Fixed-point types and the only rounding and overflow in hwflow's Python.

A `FixedType` is AMD's ``ap_fixed<W,I,Q,O>``: a code (an integer of W bits) stands for the value
code x 2**-(W-I). The arithmetic follows the ``ap_fixed`` headers that hls4ml ships, which a test
compiles and compares with this module code by code. Rounding comes before overflow. Codes are int64.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from operator import index
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from hwflow.errors import HwflowError

Codes = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]

MAX_WIDTH = 63
"""Widest type: the codes of an unsigned type of this width still fit int64."""

MAX_INTEGER = 512
"""Largest magnitude of the integer bits: every code's value is then a normal float64."""

_BLOCK = 1 << 15  # elements; a block's temporaries stay in the cache


class Rounding(Enum):
    """What happens to the bits below the LSB; names and meanings are ap_fixed's."""

    TRN = "TRN"
    TRN_ZERO = "TRN_ZERO"
    RND = "RND"
    RND_ZERO = "RND_ZERO"
    RND_INF = "RND_INF"
    RND_MIN_INF = "RND_MIN_INF"
    RND_CONV = "RND_CONV"


class Overflow(Enum):
    """What happens to a value out of range; names and meanings are ap_fixed's."""

    WRAP = "WRAP"
    SAT = "SAT"
    SAT_SYM = "SAT_SYM"


@dataclass(frozen=True, slots=True)
class FixedType:
    """A fixed-point type of `width` bits, `integer` of them left of the binary point (sign included).

    `integer` may be negative or exceed `width`. `rounding` and `overflow` act when a value is put
    into the type, by `encode` or `cast`.

    Raises:
        HwflowError: the width is not in 1..63, or the integer bits are not in -512..512.
    """

    width: int
    integer: int
    signed: bool = True
    rounding: Rounding = Rounding.TRN
    overflow: Overflow = Overflow.WRAP

    def __post_init__(self) -> None:
        """Refuse what neither int64 codes nor float64 values can hold."""
        # NumPy integers would overflow in the properties below
        object.__setattr__(self, "width", index(self.width))
        object.__setattr__(self, "integer", index(self.integer))
        if not 1 <= self.width <= MAX_WIDTH:
            raise HwflowError(f"{self}: the width must be 1 to {MAX_WIDTH} bits")
        if abs(self.integer) > MAX_INTEGER:
            raise HwflowError(f"{self}: the integer bits must be -{MAX_INTEGER} to {MAX_INTEGER}")

    @classmethod
    def parse(cls, text: str) -> FixedType:
        """The type that `text` names.

        Takes ``ap_fixed<W,I,Q,O>``, ``ap_ufixed``, ``ap_int<W>``, ``ap_uint<W>``, each also without
        ``ap_``; modes with or without ``AP_``, and missing ones are TRN and WRAP. A fifth parameter
        (ap_fixed's number of saturated wrap bits, which hls4ml prints) must be 0.

        Raises:
            HwflowError: `text` is not such a type, or a mode is not supported.
        """
        return cls(**parsed(text))

    def __str__(self) -> str:
        """The C++ spelling, e.g. ``ap_fixed<8,3,AP_RND_CONV,AP_SAT>``; default modes are left out."""
        modes = ""
        if self.rounding is not Rounding.TRN or self.overflow is not Overflow.WRAP:
            modes = f",AP_{self.rounding.value}"
        if self.overflow is not Overflow.WRAP:
            modes += f",AP_{self.overflow.value}"
        return f"ap_{'' if self.signed else 'u'}fixed<{self.width},{self.integer}{modes}>"

    @property
    def fraction(self) -> int:
        """Bits right of the binary point; negative if the LSB is 2 or more."""
        return self.width - self.integer

    @property
    def lsb(self) -> float:
        """The value of code 1."""
        return 2.0**-self.fraction

    @property
    def max_code(self) -> int:
        """The largest code."""
        return (1 << (self.width - self.signed)) - 1

    @property
    def min_code(self) -> int:
        """The smallest code that overflow yields: under SAT_SYM, minus the largest.

        A signed type of one bit has no symmetric range; the headers let it keep code -1.
        """
        if self.overflow is Overflow.SAT_SYM and self.width > 1:
            return -self.max_code if self.signed else 0
        return self._lowest_code

    @property
    def max(self) -> float:
        """The largest value (nearest float64 if the width exceeds 53 bits)."""
        return self.max_code * self.lsb

    @property
    def min(self) -> float:
        """The smallest value that overflow yields, see `min_code`."""
        return self.min_code * self.lsb

    def shifted(self, k: int) -> FixedType:
        """The same wires with the binary point moved: every code's value times 2**k."""
        return replace(self, integer=self.integer + k)

    def with_(self, **changes: Any) -> FixedType:
        """A copy with some fields changed."""
        return replace(self, **changes)

    def encode(self, values: npt.ArrayLike) -> Codes:
        """Codes of real `values`, as the C++ conversion ``ap_fixed(double)`` yields them.

        Args:
            values: float64, any shape.

        Returns:
            int64 codes of the same shape.

        Raises:
            HwflowError: a value is NaN or infinite.
        """
        reals = np.asarray(values, dtype=np.float64)
        if not np.isfinite(reals).all():
            raise HwflowError(f"cannot encode NaN or an infinite value as {self}")
        out = np.empty(reals.shape, dtype=np.int64)
        _by_block(self._encoded, reals, out)
        return out

    def decode(self, codes: npt.ArrayLike) -> Values:
        """Values of `codes`, in float64: exact to 53 bits, else rounded to nearest even.

        Raises:
            HwflowError: `codes` are no integers, or one is not a code of this type.
        """
        return np.ldexp(self.checked(codes).astype(np.float64), -self.fraction)

    def cast(self, codes: npt.ArrayLike, source: FixedType) -> Codes:
        """Codes in this type of the values that `codes` have in `source`: C++'s assignment, exactly.

        Integer arithmetic only, exact for all types: no intermediate can overflow. As in C++, an
        assignment between two equal types copies the bits, so that a SAT_SYM type keeps the lowest
        code where a fault has put it there.

        Returns:
            int64 codes of the same shape; never the input array itself.

        Raises:
            HwflowError: `codes` are no integers, or one is not a code of `source`.
        """
        given = source.checked(codes)
        if self == source:
            return given.copy()
        out = np.empty(given.shape, dtype=np.int64)
        right = source.fraction - self.fraction
        lowest, highest = _shifted_bounds(source, right)
        fits = self.min_code <= lowest and highest <= self.max_code

        def cast_block(block: Codes) -> Codes:
            if right < 0:
                return block << -right if fits else self._shifted_left(block, -right)
            rounded = _shift_right(block, right, source.width, self.rounding)
            return rounded if fits else self._limited(rounded)

        _by_block(cast_block, given, out)
        return out

    @property
    def _lowest_code(self) -> int:
        """The smallest code that the wires can carry."""
        return -(1 << (self.width - 1)) if self.signed else 0

    def checked(self, codes: npt.ArrayLike) -> Codes:
        """`codes` as int64, each of them one that this type's wires can carry.

        Raises:
            HwflowError: `codes` are no integers, or one is not a code of this type.
        """
        given = np.asarray(codes)
        if given.size:
            if given.dtype.kind not in "iu":
                raise HwflowError(f"codes of {self} must be integers, not {given.dtype}")
            lowest, highest = int(given.min()), int(given.max())
            if lowest < self._lowest_code or highest > self.max_code:
                culprit = lowest if lowest < self._lowest_code else highest
                raise HwflowError(
                    f"{culprit} is not a code of {self}: its codes are {self._lowest_code} to {self.max_code}"
                )
        return given.astype(np.int64, copy=False)

    def _encoded(self, reals: Values) -> Codes:
        """Codes of finite values: scale, round, overflow."""
        if self.overflow is Overflow.WRAP:
            # fmod is exact, drops only multiples of the wrap period, and keeps the scaled value finite
            far = np.abs(reals) >= 2.0**self.integer
            if far.any():
                reals = np.where(far, np.fmod(reals, 2.0**self.integer), reals)
        else:
            bound = 2.0 ** (self.integer + 1)  # beyond the range, whatever the rounding
            reals = np.clip(reals, -bound, bound)
        scaled = np.ldexp(reals, self.fraction)
        # a value lost to underflow is still on its side of zero, which TRN sees
        lost = (scaled == 0.0) & (reals != 0.0)
        scaled[lost] = np.copysign(0.25, reals[lost])
        rounded = _round_reals(scaled, self.rounding)
        # compare before conversion: the float can be just outside int64
        above = rounded >= float(1 << MAX_WIDTH)
        rounded[above] = 0.0
        codes = self._limited(np.maximum(rounded, -float(1 << MAX_WIDTH)).astype(np.int64))
        codes[above] = self.max_code
        return codes

    def _limited(self, codes: Codes) -> Codes:
        """Integers of any size brought into this type's range by its overflow mode."""
        if self.overflow is not Overflow.WRAP:
            return np.clip(codes, self.min_code, self.max_code)
        if not self.signed:
            return codes & self.max_code
        spare = 64 - self.width
        return (codes.view(np.uint64) << np.uint64(spare)).view(np.int64) >> spare

    def _shifted_left(self, codes: Codes, left: int) -> Codes:
        """Codes x 2**left with this type's overflow; nothing is lost, however large the product."""
        if self.overflow is Overflow.WRAP:
            if left >= self.width:
                return np.zeros_like(codes)
            return self._limited((codes.view(np.uint64) << np.uint64(left)).view(np.int64))
        left_in_range = min(left, MAX_WIDTH)  # beyond it only 0 is in range, as at it
        highest = self.max_code >> left_in_range
        lowest = -(-self.min_code >> left_in_range)
        product = np.clip(codes, lowest, highest) << min(left, MAX_WIDTH - 1)
        product[codes > highest] = self.max_code
        product[codes < lowest] = self.min_code
        return product


_TYPE = re.compile(r"\s*(?:ap_)?(?P<unsigned>u?)(?P<kind>fixed|int)\s*<(?P<arguments>[^<>]*)>\s*")
_NUMBER = re.compile(r"[+-]?\d{1,9}")
_Mode = TypeVar("_Mode", bound=Enum)


def parsed(text: str) -> dict[str, Any]:
    """The fields of the type that ``text`` names, whatever its width; see :meth:`FixedType.parse`."""
    match = _TYPE.fullmatch(text)
    if match is None:
        raise HwflowError(f"{text!r} is not a fixed-point type: write ap_fixed<W,I,Q,O> or ap_int<W>")
    arguments = [argument.strip() for argument in match["arguments"].split(",")]
    most = 1 if match["kind"] == "int" else 5
    numbers = arguments[: min(most, 2)]
    if len(numbers) < min(most, 2) or len(arguments) > most or not all(map(_NUMBER.fullmatch, numbers)):
        raise HwflowError(f"{text!r} is not a fixed-point type: write ap_fixed<W,I,Q,O> or ap_int<W>")
    if arguments[4:] not in ([], ["0"]):
        raise HwflowError(f"{text!r}: saturated wrap bits are not supported, leave out the last number")
    modes = [argument.upper().removeprefix("AP_") for argument in arguments[2:4]]
    return {
        "width": int(numbers[0]),
        "integer": int(numbers[-1]),
        "signed": not match["unsigned"],
        "rounding": _mode(Rounding, modes[0], text) if modes else Rounding.TRN,
        "overflow": _mode(Overflow, modes[1], text) if len(modes) > 1 else Overflow.WRAP,
    }


def sum_type(a: FixedType, b: FixedType) -> FixedType:
    """The signed type that holds every sum and every difference of values of ``a`` and ``b``."""
    fraction = max(a.fraction, b.fraction)
    integer = max(a.integer + (not a.signed), b.integer + (not b.signed)) + 1
    return FixedType(integer + fraction, integer)


def product_type(a: FixedType, b: FixedType) -> FixedType:
    """The type that holds every product of values of ``a`` and ``b``."""
    return FixedType(a.width + b.width, a.integer + b.integer, a.signed or b.signed)


def _mode(modes: type[_Mode], name: str, text: str) -> _Mode:
    try:
        return modes(name)
    except ValueError:
        names = ", ".join(mode.value for mode in modes)
        raise HwflowError(f"{text!r}: {name or 'an empty mode'} is not one of {names}") from None


def _by_block(function: Callable[[Any], Codes], given: npt.NDArray[Any], out: Codes) -> None:
    """Fill `out` with `function` of `given`, a cache-sized block at a time."""
    flat_in, flat_out = given.reshape(-1), out.reshape(-1)
    for start in range(0, flat_in.size, _BLOCK):
        flat_out[start : start + _BLOCK] = function(flat_in[start : start + _BLOCK])


def _shifted_bounds(source: FixedType, right: int) -> tuple[int, int]:
    """Integers that enclose every code of `source` x 2**-right, rounded in any mode."""
    lowest, highest = source._lowest_code, source.max_code
    if right <= 0:
        return lowest << -right, highest << -right
    return lowest >> right, -(-highest >> right)


def _shift_right(codes: Codes, right: int, width: int, rounding: Rounding) -> Codes:
    """Codes of at most `width` bits x 2**-right, rounded."""
    if right == 0:
        return codes
    right = min(right, width + 1)  # from here on every value is less than half of the LSB
    if right > 62:
        # keep the rounding bias inside int64: fold eight low bits into one sticky bit
        codes = (codes >> 8) | ((codes & 255) != 0)
        right -= 8
    if rounding is Rounding.TRN:
        return codes >> right
    below = (1 << right) - 1
    half = 1 << (right - 1)
    bias: Codes | int
    if rounding is Rounding.TRN_ZERO:
        bias = (codes >> 63) & below
    elif rounding is Rounding.RND:
        bias = half
    elif rounding is Rounding.RND_MIN_INF:
        bias = half - 1
    elif rounding is Rounding.RND_ZERO:
        bias = (half - 1) - (codes >> 63)
    elif rounding is Rounding.RND_INF:
        bias = half + (codes >> 63)
    else:
        bias = (half - 1) + ((codes >> right) & 1)
    if width < 62:
        return (codes + bias) >> right
    return (codes >> right) + (((codes & below) + bias) >> right)


def _round_reals(values: Values, rounding: Rounding) -> Values:
    """Reals rounded to integers; exact, because the part after the point of a float is a float."""
    if rounding is Rounding.TRN:
        return np.floor(values)
    if rounding is Rounding.RND_CONV:
        return np.rint(values)
    whole = np.trunc(values)
    if rounding is Rounding.TRN_ZERO:
        return whole
    part = values - whole
    up = part > 0.5 if rounding in (Rounding.RND_ZERO, Rounding.RND_MIN_INF) else part >= 0.5
    down = part < -0.5 if rounding in (Rounding.RND_ZERO, Rounding.RND) else part <= -0.5
    rounded: Values = whole + up - down
    return rounded
