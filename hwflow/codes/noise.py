"""Weights as a noisy memory gives them, without a graph."""

from __future__ import annotations

import numpy as np

from hwflow.codes.registry import StorageCode
from hwflow.fixed import Codes


def read_noisy(code: StorageCode, codes: Codes, ber: float, rng: np.random.Generator) -> Codes:
    """Weight codes ``(rows, columns)`` that are stored, hit and decoded.

    Args:
        code: how they are stored.
        codes: what is stored.
        ber: probability that a stored bit flips.
        rng: of the flips.
    """
    rows, columns = codes.shape
    padding = -columns % code.weights_per_word  # no word holds weights of two rows
    words = code.encode(np.pad(codes, ((0, 0), (0, padding))).reshape(-1, code.weights_per_word))
    count = int(rng.binomial(len(words) * code.bits, ber))
    flips = rng.choice(len(words) * code.bits, count, replace=False, shuffle=False)
    np.bitwise_xor.at(
        words, (flips // code.bits, flips % code.bits // 8), np.left_shift(1, flips % code.bits % 8).astype(np.uint8)
    )
    return code.decode(words).reshape(rows, -1)[:, :columns]
