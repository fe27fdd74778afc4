"""Storage codes: how weight codes become the bits that a memory really holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from hwflow.codes.plain import Plain
from hwflow.codes.secded import Secded
from hwflow.codes.words import Codes, Words
from hwflow.errors import HwflowError
from hwflow.fixed import FixedType

__all__ = ["STORAGE_CODES", "Codes", "Plain", "Secded", "StorageCode", "Words", "storage_code"]


class StorageCode(Protocol):
    """Weight codes to stored words and back; faults flip bits of stored words.

    ``decode`` takes any stored words, so that faults cost time in proportion to their number, and gives what the
    hardware's decoder gives, miscorrections included.
    """

    @property
    def bits(self) -> int:
        """Stored bits per word, check bits included."""

    @property
    def weights_per_word(self) -> int:
        """Weights that one word holds."""

    def encode(self, codes: Codes) -> Words:
        """Stored words ``(n, ceil(bits / 8))`` of weight codes ``(n, weights_per_word)``."""

    def decode(self, words: Words) -> Codes:
        """Weight codes ``(n, weights_per_word)`` of any stored words ``(n, ceil(bits / 8))``."""


STORAGE_CODES: Mapping[str, Callable[[FixedType], StorageCode]] = {
    "plain": Plain,
    "secded": Secded,
    "secded-pass": lambda type_: Secded(type_, "pass"),
}
"""By the names that users choose them by."""


def storage_code(name: str, type_: FixedType) -> StorageCode:
    """The storage code ``name`` for weights of a type.

    Raises:
        HwflowError: there is no such code, or it does not take the type.
    """
    if name not in STORAGE_CODES:
        raise HwflowError(f"storage code {name!r} is unknown; choose one of {', '.join(STORAGE_CODES)}")
    return STORAGE_CODES[name](type_)
