"""Bits that are stored three times, in storage that is added for the copies; each is put to the vote.

The most significant bits alone: after N. Fuengfusin et al., IJCNN 2023, whose text was not at hand; where the
copies are and that there are two of them is hwflow's. All bits: triple modular redundancy.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hwflow.codes.blocks import Flags
from hwflow.codes.words import Words
from hwflow.errors import HwflowError
from hwflow.fixed import Codes, FixedType


@dataclass(frozen=True)
class Repeated:
    """One weight a word: the weight, and above it two copies of its ``high`` most significant bits.

    Attributes:
        type: of a weight.
        high: how many bits are copied.

    Raises:
        HwflowError: a weight has fewer bits.
    """

    type: FixedType
    high: int

    weights_per_word = 1

    def __post_init__(self) -> None:
        """Refuse more bits than there are."""
        if self.high > self.type.width:
            raise HwflowError(f"repeat{self.high}: weights of {self.type.width} bits have fewer to repeat")

    @property
    def bits(self) -> int:
        """Stored bits per word: the weight and the copies."""
        return self.type.width + 2 * self.high

    @cached_property
    def _copies(self) -> tuple[slice, slice, slice]:
        """Where the protected bits are, three times."""
        width, high = self.type.width, self.high
        return slice(width - high, width), slice(width, width + high), slice(width + high, width + 2 * high)

    def encode(self, codes: Codes) -> Words:
        """Stored words of weight codes ``(n, 1)``."""
        bits = np.zeros((len(codes), self.bits), dtype=np.uint8)
        bits[:, : self.type.width] = codes >> np.arange(self.type.width) & 1
        weight, *copies = self._copies
        for copy in copies:
            bits[:, copy] = bits[:, weight]
        return np.packbits(bits, axis=1, bitorder="little")

    def decode(self, words: Words) -> Codes:
        """Weight codes ``(n, 1)`` of stored words: every copied bit is what two of three say."""
        bits = np.unpackbits(words, axis=1, count=self.bits, bitorder="little")
        weight, first, second = self._copies
        bits[:, weight] = bits[:, weight] + bits[:, first] + bits[:, second] > 1
        places = np.int64(1) << np.arange(self.type.width)
        if self.type.signed:
            places[-1] = -places[-1]
        codes: Codes = (bits[:, : self.type.width].astype(np.int64) @ places)[:, None]
        return codes

    def detected(self, words: Words) -> Flags:
        """Never: a vote always ends."""
        return np.zeros(len(words), dtype=np.bool_)
