"""The functions b_D and f_D of the paper: values to bits and back, for every weight format."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from hwflow.errors import HwflowError
from hwflow.fixed import FixedType, Overflow, Rounding
from hwflow.hardening.options import T_MARGIN

Patterns = npt.NDArray[np.uint64]
Values = npt.NDArray[np.float64]

FLOAT_T = 1.9999
"""The paper's t for FP32 and FP16 (section IV.D)."""


class WeightFormat(Protocol):
    """A data type D that weights are stored in.

    Attributes:
        name: as users write it.
        bits: of a stored weight.
        exponent_msb: position of the exponent's most significant bit, 0 the LSB; None for fixed point.
        optimal_t: the largest magnitude that weights are scaled to.
    """

    @property
    def name(self) -> str:
        """As users write it."""

    @property
    def bits(self) -> int:
        """Bits of a stored weight."""

    @property
    def exponent_msb(self) -> int | None:
        """Position of the most significant exponent bit, 0 the LSB; None for fixed point."""

    @property
    def optimal_t(self) -> float:
        """The largest magnitude that weights are best scaled to."""

    def encode(self, values: npt.ArrayLike) -> Patterns:
        """b_D(Q(values)): bits of the nearest values of the format, uint64 of the same shape.

        Raises:
            HwflowError: NaN, infinity, or a value that a floating-point format cannot hold.
        """

    def decode(self, words: npt.NDArray[np.unsignedinteger]) -> Values:
        """f_D(words): values, exact in float64; NaN and infinity where the bits say so."""


@dataclass(frozen=True, slots=True)
class FloatFormat:
    """An IEEE 754 binary format."""

    name: str
    bits: int
    exponent_bits: int
    optimal_t: float = FLOAT_T

    @property
    def exponent_msb(self) -> int:
        """Position of the most significant exponent bit: it follows the sign."""
        return self.bits - 2

    @property
    def largest_below_two(self) -> float:
        """The largest value whose most significant exponent bit is 0."""
        return 2.0 - 2.0 ** -(self.bits - self.exponent_bits - 1)

    def encode(self, values: npt.ArrayLike) -> Patterns:
        """Bits of `values` rounded to nearest even."""
        with np.errstate(over="ignore"):
            stored = np.asarray(values, dtype=np.float64).astype(self._float)
        if not np.isfinite(stored).all():
            raise HwflowError(f"{self.name} cannot hold NaN, infinity, or values as large as these; lower t")
        return stored.view(self._word).astype(np.uint64)

    def decode(self, words: npt.NDArray[np.unsignedinteger]) -> Values:
        """Values of `words`."""
        with np.errstate(invalid="ignore"):  # a signalling NaN is only a NaN here
            return words.astype(self._word, copy=False).view(self._float).astype(np.float64)

    @property
    def _float(self) -> str:
        return f"f{self.bits // 8}"

    @property
    def _word(self) -> str:
        return f"u{self.bits // 8}"


@dataclass(frozen=True, slots=True)
class FixedFormat:
    """A fixed-point type in two's complement; values are rounded and overflow as the type says."""

    type: FixedType
    text: str = ""

    exponent_msb = None

    @property
    def name(self) -> str:
        """As the user wrote it, else the type without the modes that hardening sets."""
        return self.text or str(replace(self.type, rounding=Rounding.TRN, overflow=Overflow.WRAP))

    @property
    def bits(self) -> int:
        """Width of the type."""
        return self.type.width

    @property
    def optimal_t(self) -> float:
        """Just under the largest value, by the paper's margin."""
        return self.type.max * T_MARGIN

    def encode(self, values: npt.ArrayLike) -> Patterns:
        """Two's complement bits of `values`."""
        return self.type.encode(values).astype(np.uint64) & np.uint64((1 << self.type.width) - 1)

    def decode(self, words: npt.NDArray[np.unsignedinteger]) -> Values:
        """Values of `words`."""
        sign = np.int64(1) << (self.type.width - 1)
        return self.type.decode((words.astype(np.int64) ^ sign) - sign)


FP32 = FloatFormat("fp32", 32, 8)
FP16 = FloatFormat("fp16", 16, 5)

PAPER_FORMATS = ("fp32", "fp16", "ap_fixed<8,3>", "ap_fixed<8,2>")
"""The paper's formats, its 8-bit one in both readings."""


def weight_format(text: str) -> WeightFormat:
    """The format that `text` names: ``fp32``, ``fp16``, or a signed fixed-point type.

    A fixed-point type without modes rounds to nearest even and saturates, as hardening does. One with
    modes, such as ``ap_fixed<8,2,AP_RND_CONV,AP_WRAP>``, is taken at its word.

    Raises:
        HwflowError: there is no such format, or it has no sign.
    """
    lowered = text.strip().lower()
    for each in (FP32, FP16):
        if lowered in (each.name, f"float{each.bits}"):
            return each
    if "<" not in text:
        raise HwflowError(f"weight format {text!r} is unknown; write fp32, fp16 or ap_fixed<W,I>")
    type_ = FixedType.parse(text)
    if not type_.signed:
        raise HwflowError(f"weights need a signed type, not {type_}")
    if text.count(",") < 2:
        return FixedFormat(replace(type_, rounding=Rounding.RND_CONV, overflow=Overflow.SAT))
    return FixedFormat(type_, text.replace(" ", ""))
