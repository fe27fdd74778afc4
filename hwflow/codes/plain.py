"""No protection: two's complement, one weight a word."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwflow.codes.blocks import Flags
from hwflow.codes.words import Words, pack, unpack
from hwflow.fixed import Codes, FixedType


@dataclass(frozen=True)
class Plain:
    """Two's complement, one weight a word."""

    type: FixedType

    weights_per_word = 1

    @property
    def bits(self) -> int:
        """Stored bits per word: the width of the weight."""
        return self.type.width

    def encode(self, codes: Codes) -> Words:
        """Stored words of weight codes ``(n, 1)``."""
        return pack(codes, self.type.width)

    def decode(self, words: Words) -> Codes:
        """Weight codes ``(n, 1)`` of stored words."""
        return unpack(words, self.type.width, 1, self.type.signed)

    def detected(self, words: Words) -> Flags:
        """Never."""
        return np.zeros(len(words), dtype=np.bool_)
