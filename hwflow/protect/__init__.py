"""Storage codes: how weight codes become the bits that a memory really holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from hwflow.errors import HwflowError
from hwflow.fixed import FixedType

Codes = npt.NDArray[np.int64]


class StorageCode(Protocol):
    """Weight codes to stored words and back; faults flip bits of stored words.

    A memory of ``n`` weights holds ``words(n)`` words of ``bits`` bits, each a non-negative int64.
    ``decode`` must accept any subset of whole words, so that faults cost time in proportion to their
    number.
    """

    @property
    def bits(self) -> int:
        """Stored bits per word."""

    @property
    def weights_per_word(self) -> int:
        """Weights that one word holds."""

    def encode(self, codes: Codes) -> Codes:
        """Stored words ``(n / weights_per_word,)`` of weight codes ``(n,)``."""

    def decode(self, words: Codes) -> Codes:
        """Weight codes ``(m x weights_per_word,)`` of any stored words ``(m,)``."""


@dataclass(frozen=True)
class Plain:
    """Two's complement, one weight a word: no protection."""

    type: FixedType

    weights_per_word = 1

    @property
    def bits(self) -> int:
        """Stored bits per word: the width of the weight."""
        return self.type.width

    def encode(self, codes: Codes) -> Codes:
        """Stored words ``(n,)`` of weight codes ``(n,)``."""
        return codes & ((1 << self.type.width) - 1)

    def decode(self, words: Codes) -> Codes:
        """Weight codes ``(n,)`` of stored words ``(n,)``."""
        if not self.type.signed:
            return words
        sign = 1 << (self.type.width - 1)
        return (words ^ sign) - sign


STORAGE_CODES = {"plain": Plain}


def storage_code(name: str, type_: FixedType) -> StorageCode:
    """The storage code ``name`` for weights of a type.

    Raises:
        HwflowError: there is no such code.
    """
    if name not in STORAGE_CODES:
        raise HwflowError(f"storage code {name!r} is unknown; choose one of {', '.join(STORAGE_CODES)}")
    return STORAGE_CODES[name](type_)
