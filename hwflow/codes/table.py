"""Codes of one weight a word, whose decoder is one look into a table."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hwflow.codes.blocks import Flags
from hwflow.codes.words import Words, pack, unpack
from hwflow.errors import HwflowError
from hwflow.fixed import Codes, FixedType

MOST_BITS = 10
"""Of a weight: a table of more entries is no look-up any more."""


def _none() -> Codes:
    return np.empty(0, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Table:
    """One weight a word, through a table.

    Attributes:
        name: of the code, for messages.
        type: of a weight.
        decoder: ``(2^width,)`` the weight code that each stored word stands for.
        encoder: ``(2^width,)`` the word that is stored for each weight code, from the lowest on.
        bad: the words that are known to have an error, if there are any.

    Raises:
        HwflowError: tables that do not belong to weights of this type.
    """

    name: str
    type: FixedType
    decoder: Codes
    encoder: Codes
    bad: Codes = field(default_factory=_none)

    weights_per_word = 1

    def __post_init__(self) -> None:
        """Refuse tables of another type."""
        words = 1 << self.type.width
        for name, low, high in (("decoder", self.type.min_code, self.type.max_code), ("encoder", 0, words - 1)):
            table = getattr(self, name)
            if table.shape != (words,) or table.min() < low or table.max() > high:
                raise HwflowError(f"{self.name}: its {name} is no table for weights of {self.type}")

    @property
    def bits(self) -> int:
        """Stored bits per word: the width of the weight."""
        return self.type.width

    def encode(self, codes: Codes) -> Words:
        """Stored words of weight codes ``(n, 1)``; exact for those that the table has."""
        return pack(self.encoder[codes - self.type.min_code], self.bits)

    def decode(self, words: Words) -> Codes:
        """Weight codes ``(n, 1)`` of stored words."""
        return self.decoder[unpack(words, self.bits, 1, signed=False)]

    def detected(self, words: Words) -> Flags:
        """Which words ``(n,)`` are among the bad ones."""
        known: Flags = np.isin(unpack(words, self.bits, 1, signed=False)[:, 0], self.bad)
        return known


def check(name: str, type_: FixedType) -> None:
    """Refuse weights too wide for a table.

    Raises:
        HwflowError: their type has too many codes.
    """
    if type_.width > MOST_BITS:
        raise HwflowError(f"{name}: weights of {type_.width} bits need a table of {1 << type_.width} entries, too many")
