"""Codes in the place of bits that small weights do not need: words of 64 bits, no storage added, nothing fitted.

Both are word codes, see :mod:`hwflow.codes.word`, through tables that follow from the type alone. Where a bit stands
in a word is as there, and not as published: the checks side by side, and the weights that have more bits first. Faults
that strike bits independently of each other cannot tell. What a code cannot correct is left as it was read.

- ``zero-space``: H. Guan et al., "In-place zero-space memory protection for CNN", NeurIPS 2019: single errors
  corrected, double errors detected. Seven of eight weights of 8 bits are within -64 to 63, so that their second highest
  bit is not needed, and seven checks stand there. The authors train until the weights fit; here they are clamped. All
  (64,57) codes that do this are one but for the order of bits: the extended BCH code for one error, which hardware has.
- ``value-aware``: after S.-S. Lee and J.-S. Yang, "Value-aware parity insertion ECC for fault-tolerant deep neural
  network", DATE 2022: double errors corrected, 14 checks for 50 data bits, weights in sign and magnitude. Only the
  abstract was at hand. It says that checks are inserted by value; where, and how large weights are marked, is hwflow's:
  of a label of 6 bits (the first two of a word have 7) the top one is the sign, and the next one marks large weights.
  The other bits are the magnitude, if it is below 16 (32), else its 4 (5) most significant bits, and what they lack
  reads as the middle.
"""

from __future__ import annotations

import numpy as np

from hwflow.codes.bch import Bch
from hwflow.codes.word import Shape, WordCode, check
from hwflow.errors import HwflowError
from hwflow.fixed import Codes, FixedType

WORD_BITS = 64
SINGLE_BITS = 57
"""Data bits of ``zero-space``."""
DOUBLE_BITS = 50
"""Data bits of ``value-aware``."""


def zero_space(name: str, type_: FixedType) -> WordCode:
    """Weights in two's complement, clamped where a bit of them is a check.

    Raises:
        HwflowError: weights that do not fill words of 64 bits, or have too many bits.
    """
    check(name, type_)
    shape = Shape.of(name, WORD_BITS, SINGLE_BITS, SINGLE_BITS, type_.width)
    values = []
    for label in shape.kinds:
        low = -(1 << label.bits - 1) if type_.signed else 0
        codes = np.arange(1 << label.bits)
        values.append(np.where(codes >= low + (1 << label.bits), codes - (1 << label.bits), codes))
    return _code(type_, shape, SINGLE_BITS, values)


def value_aware(name: str, type_: FixedType) -> WordCode:
    """Weights in sign and magnitude, large ones marked and rounded.

    Raises:
        HwflowError: weights that are no bytes with a sign.
    """
    if (type_.width, type_.signed) != (8, True):
        raise HwflowError(f"{name}: it takes signed weights of 8 bits, not {type_}")
    shape = Shape.of(name, WORD_BITS, DOUBLE_BITS, DOUBLE_BITS, type_.width)
    values = []
    for label in shape.kinds:
        kept, lost = label.bits - 2, type_.width + 1 - label.bits
        low = np.arange(1 << kept)
        magnitudes = np.concatenate([low, low << lost | 1 << lost - 1])
        values.append(np.concatenate([magnitudes, -magnitudes]))
    return _code(type_, shape, DOUBLE_BITS, values)


def _code(type_: FixedType, shape: Shape, data_bits: int, values: list[Codes]) -> WordCode:
    """A word code of the weight code of every label; a weight gets the nearest one, of several the first."""
    block = Bch(WORD_BITS, data_bits)
    codes = np.arange(type_.min_code, type_.max_code + 1)[:, None]
    encoders = [np.abs(codes - each).argmin(axis=1) for each in values]
    return WordCode(type_, shape, block, tuple(np.tile(each, 2) for each in values), tuple(encoders))
