"""How many blocks a memory takes, by their geometry."""

from __future__ import annotations

from dataclasses import dataclass

BLOCK_RAM_WORDS = {1: 16384, 2: 8192, 4: 4096, 9: 2048, 18: 1024}
"""Words of a RAMB18 (and of half a RAMB36), by bits of a word; of an ECP5's DP16KD, too."""
SIMPLE_WIDTH = 36
"""Bits of a RAMB18 of 512 words, of which one port writes and the other reads."""
LUT_RAM = {32: 14, 64: 7}
"""Bits of a memory of 8 LUTs, by its words; one port writes, the other reads."""
LUT_RAM_LUTS = 8
SMALL_WORDS, SMALL_BITS = 32, 1024
"""Up to so many words, or bits, ``hwflow_ram`` is made of LUTs."""


@dataclass(frozen=True)
class Memory:
    """A memory.

    Attributes:
        bits: of a word.
        words: of it.
        both_ports: whether both ports read, or both write: a block RAM is then half as wide.
    """

    bits: int
    words: int
    both_ports: bool = False

    @property
    def is_small(self) -> bool:
        """Whether it is made of LUTs."""
        return self.words <= SMALL_WORDS or self.bits * self.words <= SMALL_BITS

    @property
    def block_ram(self) -> float:
        """RAMB36, of which a RAMB18 is half."""
        shapes = [*BLOCK_RAM_WORDS.items(), *([] if self.both_ports else [(SIMPLE_WIDTH, 512)])]
        return min(_up(self.bits, bits) * _up(self.words, words) for bits, words in shapes) / 2

    @property
    def lut_ram(self) -> int:
        """LUTs of a memory of LUTs, without those that choose between its parts."""
        rows = min((words for words in LUT_RAM if words >= self.words), default=max(LUT_RAM))
        return _up(self.bits, LUT_RAM[rows]) * _up(self.words, rows) * LUT_RAM_LUTS

    @property
    def two_port_lut_ram(self) -> int:
        """LUTs of a memory of LUTs whose writing port reads, too, without those that choose between its parts."""
        bits = LUT_RAM_LUTS if self.words <= min(LUT_RAM) else LUT_RAM_LUTS // 2
        return _up(self.bits, bits) * _up(self.words, max(LUT_RAM)) * LUT_RAM_LUTS


def _up(number: int, of: int) -> int:
    return -(-number // of)
