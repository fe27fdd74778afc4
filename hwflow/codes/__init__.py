"""From weights to stored words: the storage order, and the codes by which weights become the bits of a memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from hwflow.codes import cosq
from hwflow.codes.cosq import Cosq
from hwflow.codes.plain import Plain
from hwflow.codes.secded import Secded
from hwflow.codes.words import Words
from hwflow.errors import HwflowError
from hwflow.fixed import Codes, FixedType

__all__ = [
    "FITTED",
    "PLAIN",
    "STORAGE_CODES",
    "CodeSpec",
    "Cosq",
    "Plain",
    "Protection",
    "Secded",
    "StorageCode",
    "Words",
    "storage_code",
]


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
    def type(self) -> FixedType:
        """Type of a weight."""

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
    "cosq": Cosq,
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
        given = ", ".join(spec.tables) or "no tables"
        raise HwflowError(f"storage code {spec.name!r} cannot decode with {given}") from error


@dataclass(frozen=True)
class Protection:
    """What a user asks for: a storage code and, where it is fitted to weights, what it is fitted for.

    Attributes:
        name: a key of :data:`STORAGE_CODES`.
        ber: the bit error rate that the code is designed for; ``None`` for codes that are not fitted.
    """

    name: str
    ber: float | None = None

    @classmethod
    def parse(cls, text: str) -> Protection:
        """``NAME``, or ``NAME:BER`` for a code that is fitted.

        Raises:
            HwflowError: there is no such code, or a bit error rate that is missing, not a number or not for this code.
        """
        name, colon, ber = text.partition(":")
        if name not in STORAGE_CODES:
            raise HwflowError(f"storage code {name!r} is unknown; choose one of {', '.join(STORAGE_CODES)}")
        if name not in FITTED:
            if colon:
                raise HwflowError(f"storage code {text!r}: {name} is not fitted; leave out {colon}{ber}")
            return cls(name)
        try:
            rate = float(ber) if colon else None
        except ValueError as error:
            raise HwflowError(f"storage code {text!r}: {ber!r} is no bit error rate") from error
        return cls(name, rate)

    def __post_init__(self) -> None:
        """Refuse a rate that no memory has."""
        if self.name in FITTED and not (self.ber is not None and 0 < self.ber <= 0.5):
            raise HwflowError(
                f"storage code {self.name}: it is designed for a bit error rate above 0 and at most 0.5; write it as "
                f"{self.name}:1e-2"
            )

    def store(self, weights: npt.NDArray[np.float64], type_: FixedType) -> tuple[CodeSpec, Codes]:
        """The code for a layer's scaled weights, and the weight codes that they become.

        Args:
            weights: real values of any shape.
            type_: of the weight memory.

        Raises:
            HwflowError: the code does not take the type.
        """
        if self.ber is None:
            return CodeSpec(self.name), type_.encode(weights)
        tables, codes = FITTED[self.name](weights, type_, self.ber)
        return CodeSpec(self.name, tables), codes

    def bits(self, type_: FixedType) -> int:
        """Bits of a stored word of weights of a type.

        Raises:
            HwflowError: the code does not take the type.
        """
        if self.ber is None:
            return storage_code(CodeSpec(self.name), type_).bits
        cosq.check(type_)
        return type_.width


FITTED: dict[str, Callable[[npt.NDArray[np.float64], FixedType, float], tuple[dict[str, Codes], Codes]]] = {
    "cosq": cosq.fit
}
"""Fits codes with tables: from weights, their type and a bit error rate to the tables and the weights' codes."""
