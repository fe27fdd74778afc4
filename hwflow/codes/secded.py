"""SECDED (72,64): single errors of a word corrected, double errors detected.

Source: M. Y. Hsiao, "A Class of Optimal Minimum Odd-weight-column SEC-DED Codes", IBM J. Res. Dev. 14(4), 1970. The
columns of the parity-check matrix are distinct bytes of odd weight: for the check bits the powers of two, for the
data bits the 56 bytes of weight 3 in ascending order and then the 8 rotations of 0x1f, so that every check covers
26 of 64 data bits. Weights of another width than 8 fill fewer data bits; the matrix loses the columns of the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from hwflow.codes.blocks import Flags
from hwflow.codes.words import Words, pack, unpack, word_bytes
from hwflow.fixed import Codes, FixedType

DATA_BITS = 64
CHECK_BITS = 8
COLUMNS = (
    *(byte for byte in range(256) if byte.bit_count() == 3),
    *((0x1F << turn | 0x1F >> (8 - turn)) & 0xFF for turn in range(8)),
)
"""Column of the parity-check matrix for each data bit; that of check bit r is 1 << r."""

OnDouble = Literal["pass", "null"]


@dataclass(frozen=True)
class Secded:
    """As many weights as 64 bits hold, and 8 check bits above them.

    A syndrome that is the column of a bit flips that bit. Any other one that is not zero is an error detected: of two
    bits, or of more, which ``on_double`` says what to do with. Three errors and more may look like one, and are then
    miscorrected, as in hardware.

    Attributes:
        type: of a weight.
        on_double: ``pass`` gives the weights as they are read, ``null`` gives zeros for all weights of the word.
    """

    type: FixedType
    on_double: OnDouble = "pass"

    @property
    def weights_per_word(self) -> int:
        """Weights that one word holds: 8 of 8 bits."""
        return DATA_BITS // self.type.width

    @property
    def data_bits(self) -> int:
        """Bits of the weights of a word."""
        return self.weights_per_word * self.type.width

    @property
    def bits(self) -> int:
        """Stored bits per word: weights and checks."""
        return self.data_bits + CHECK_BITS

    def encode(self, codes: Codes) -> Words:
        """Stored words of weight codes ``(n, weights_per_word)``."""
        words = np.zeros((len(codes), word_bytes(self.bits)), dtype=np.uint8)
        data = pack(codes, self.type.width)
        words[:, : data.shape[1]] = data
        byte, shift = divmod(self.data_bits, 8)
        checks = self._syndromes(words).astype(np.uint16) << shift
        words[:, byte] |= checks.astype(np.uint8)
        if shift:
            words[:, byte + 1] |= (checks >> 8).astype(np.uint8)
        return words

    def decode(self, words: Words) -> Codes:
        """Weight codes ``(n, weights_per_word)`` of stored words: corrected, nulled or passed."""
        syndromes = self._syndromes(words)
        codes = unpack(words, self.type.width, self.weights_per_word, self.type.signed)
        bit = _corrections(self.data_bits)[syndromes]
        (hit,) = np.nonzero(bit >= 0)
        if len(hit):
            words = words.copy()
            words[hit, bit[hit] // 8] ^= (1 << bit[hit] % 8).astype(np.uint8)
            codes[hit] = unpack(words[hit], self.type.width, self.weights_per_word, self.type.signed)
        if self.on_double == "null":
            codes[(bit < 0) & (syndromes != 0)] = 0
        return codes

    def detected(self, words: Words) -> Flags:
        """Which words ``(n,)`` have a syndrome that no single error has."""
        syndromes = self._syndromes(words)
        known: Flags = (syndromes != 0) & (_corrections(self.data_bits)[syndromes] < 0)
        return known

    def _syndromes(self, words: Words) -> npt.NDArray[np.uint8]:
        tables = _syndrome_tables(self.data_bits)
        syndromes: npt.NDArray[np.uint8] = tables[0][words[:, 0]]
        for table, byte in zip(tables[1:], words.T[1:], strict=True):
            syndromes ^= table[byte]
        return syndromes


@cache
def _syndrome_tables(data_bits: int) -> npt.NDArray[np.uint8]:
    """What each value of each byte of a word adds to the syndrome, ``(bytes, 256)``."""
    tables = np.zeros((word_bytes(data_bits + CHECK_BITS), 256), dtype=np.uint8)
    for bit, column in enumerate((*COLUMNS[:data_bits], *(1 << r for r in range(CHECK_BITS)))):
        byte, place = divmod(bit, 8)
        tables[byte, np.arange(256) >> place & 1 == 1] ^= column
    return tables


@cache
def _corrections(data_bits: int) -> npt.NDArray[np.int64]:
    """The bit of the word that each syndrome flips, -1 if none."""
    bits = np.full(256, -1, dtype=np.int64)
    bits[list(COLUMNS[:data_bits])] = np.arange(data_bits)
    bits[[1 << r for r in range(CHECK_BITS)]] = data_bits + np.arange(CHECK_BITS)
    return bits
