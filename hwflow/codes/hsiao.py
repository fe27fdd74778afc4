"""Codes that correct one flip of a word and detect two, of any length.

Source: M. Y. Hsiao, "A Class of Optimal Minimum Odd-weight-column SEC-DED Codes", IBM J. Res. Dev. 14(4), 1970: the
columns of the parity-check matrix are distinct and of odd weight. Here they are those of the least weight, in ascending
order.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.stats import binom

from hwflow.codes.blocks import Bits, Flags, Residual
from hwflow.errors import HwflowError
from hwflow.fixed import Codes

MOST_CHECKS = 12
"""A table has an entry for every syndrome."""


@dataclass(frozen=True)
class Hsiao:
    """A code of length ``bits``; a syndrome that is the column of a bit flips it, and any other is an error detected.

    Attributes:
        bits: length of a codeword.
        data_bits: data bits of a codeword.

    Raises:
        HwflowError: there are not so many columns.
    """

    bits: int
    data_bits: int

    def __post_init__(self) -> None:
        """Refuse lengths that no code has."""
        _columns(self.bits, self.data_bits)

    @property
    def columns(self) -> Codes:
        """``(bits,)`` the column of every bit, as a number: bit r is for check r."""
        return _columns(self.bits, self.data_bits)

    def checks(self, data: Bits) -> Bits:
        """Check bits ``(n, bits - data_bits)`` of data ``(n, data_bits)``."""
        count = self.bits - self.data_bits
        words = np.concatenate([data, np.zeros((len(data), count), dtype=np.uint8)], axis=1)
        checks: Bits = (self._syndromes(words)[:, None] >> np.arange(count) & 1).astype(np.uint8)
        return checks

    def decode(self, received: Bits) -> tuple[Bits, Flags]:
        """Data ``(n, data_bits)`` of any words ``(n, bits)``; all bits of a word that is detected are doubtful."""
        syndromes = self._syndromes(received)
        flip = _flips(self.bits, self.data_bits)[syndromes]
        data = received[:, : self.data_bits].copy()
        (hit,) = np.nonzero((flip >= 0) & (flip < self.data_bits))
        data[hit, flip[hit]] ^= 1
        failed = (syndromes != 0) & (flip < 0)
        return data, np.broadcast_to(failed[:, None], data.shape)

    def residual(self, ber: float) -> Residual:
        """An odd number of flips has any odd syndrome: that of a bit, which is then flipped too, or one of none."""
        flips = np.arange(2, self.bits + 1)
        chance = binom.pmf(flips, self.bits, ber)
        share = np.where(flips % 2 == 1, self.bits / (1 << self.bits - self.data_bits - 1), 0.0)
        fails, silent = chance @ (1 - share), chance @ (share * (flips + 1))
        flipped = chance @ ((1 - share) * flips) / fails if fails else 2.0
        return Residual(float(fails), float(flipped) / self.bits, float(silent / (1 - fails)) / self.bits)

    def _syndromes(self, received: Bits) -> Codes:
        words, tables = np.packbits(received, axis=1, bitorder="little"), _tables(self.bits, self.data_bits)
        syndromes: Codes = tables[0][words[:, 0]]
        for table, byte in zip(tables[1:], words.T[1:], strict=True):
            syndromes ^= table[byte]
        return syndromes


@cache
def _columns(bits: int, data_bits: int) -> Codes:
    checks = bits - data_bits
    room = (1 << checks - 1) - checks if 0 < checks <= MOST_CHECKS else 0
    if not 0 < data_bits <= room:
        raise HwflowError(f"no code of {bits} bits with {data_bits} data bits corrects one error and detects two")
    odd = [column for column in range(1 << checks) if column.bit_count() % 2 and column.bit_count() > 1]
    return np.array([*sorted(odd, key=int.bit_count)[:data_bits], *(1 << r for r in range(checks))], dtype=np.int64)


@cache
def _tables(bits: int, data_bits: int) -> Codes:
    """What each value of each byte of a word adds to the syndrome, ``(bytes, 256)``."""
    tables = np.zeros((-(-bits // 8), 256), dtype=np.int64)
    for bit, column in enumerate(_columns(bits, data_bits).tolist()):
        byte, place = divmod(bit, 8)
        tables[byte, np.arange(256) >> place & 1 == 1] ^= column
    return tables


@cache
def _flips(bits: int, data_bits: int) -> Codes:
    """The bit of the word that each syndrome flips, -1 if none."""
    flips = np.full(1 << bits - data_bits, -1, dtype=np.int64)
    flips[_columns(bits, data_bits)] = np.arange(bits)
    return flips
