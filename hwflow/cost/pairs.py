"""Which products a multiplier of 27 by 18 bits takes two of."""

from __future__ import annotations

WIDEST = 26
"""Bits of two weights and an activation, both with signs, that such a multiplier takes; see ``hwflow_mul_pair``."""


def fit_in_pairs(weight_bits: int, activation_bits: int, activation_signed: bool) -> bool:
    """Whether two products of weights, which have a sign, with an activation that they share fit one multiplier."""
    activation_bits += not activation_signed
    return min(weight_bits, activation_bits) > 1 and 2 * weight_bits + activation_bits <= WIDEST
