"""From weights to stored words: the storage order, and the codes by which weights become the bits of a memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from hwflow.codes.plain import Plain
from hwflow.codes.secded import Secded
from hwflow.codes.words import Words
from hwflow.errors import HwflowError
from hwflow.fixed import Codes, FixedType

__all__ = ["PLAIN", "STORAGE_CODES", "CodeSpec", "Plain", "Secded", "StorageCode", "Words", "storage_code"]


@dataclass(frozen=True, eq=False)
class CodeSpec:
    """A storage code as data, as a graph holds it.

    Attributes:
        name: a key of :data:`STORAGE_CODES`.
        tables: what the code was fitted to its layer with, arrays of whole numbers by name; most codes have none.
    """

    name: str
    tables: Mapping[str, npt.NDArray[np.int64]] = field(default_factory=dict)


PLAIN = CodeSpec("plain")


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


STORAGE_CODES: dict[str, Callable[..., StorageCode]] = {
    "plain": Plain,
    "secded": Secded,
    "secded-null": lambda type_: Secded(type_, "null"),
}
"""By the names that users choose them by; called with the type of the weights and the tables, by name."""


def storage_code(spec: CodeSpec, type_: FixedType) -> StorageCode:
    """The storage code of weights of a type.

    Raises:
        HwflowError: there is no such code, or it does not take the type or these tables.
    """
    if spec.name not in STORAGE_CODES:
        raise HwflowError(f"storage code {spec.name!r} is unknown; choose one of {', '.join(STORAGE_CODES)}")
    try:
        return STORAGE_CODES[spec.name](type_, **spec.tables)
    except TypeError as error:
        raise HwflowError(f"storage code {spec.name!r} does not have the tables {', '.join(spec.tables)}") from error
