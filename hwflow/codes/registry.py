"""The storage codes by the names that users choose them by."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from hwflow.codes import cosq, word
from hwflow.codes.bch import Bch
from hwflow.codes.blocks import BlockCode, Flags
from hwflow.codes.cosq import Cosq
from hwflow.codes.plain import Plain
from hwflow.codes.quantiser import Fitted, Floats, Tables
from hwflow.codes.secded import Secded
from hwflow.codes.word import Shape, WordCode
from hwflow.codes.words import Words
from hwflow.errors import HwflowError
from hwflow.fixed import Codes, FixedType

DESIGN_BER = 1e-2
"""The bit error rate that a code is fitted for, where none is asked for."""


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

    def detected(self, words: Words) -> Flags:
        """Which stored words ``(n,)`` have an error that the decoder knows of and cannot correct."""


@dataclass(frozen=True, eq=False)
class CodeSpec:
    """A storage code as data, as a graph holds it.

    Attributes:
        name: of the code, see :func:`family_of`.
        tables: what the code was fitted to its layer with, arrays of whole numbers by name; most codes have none.
    """

    name: str
    tables: Mapping[str, npt.NDArray[np.int64]] = field(default_factory=dict)


PLAIN = CodeSpec("plain")

Numbers = tuple[int, ...]
"""What the name of a code says after the name of its family: 64 and 45 of ``bch64-45``."""


@dataclass(frozen=True)
class Family:
    """Storage codes that differ in numbers.

    Attributes:
        form: how the name of a code is written, with letters for numbers.
        summary: what it does, in one line.
        build: the code, from its name, its numbers, the type of the weights and its tables.
        bits: stored bits of a word, from name, numbers and type; refuses numbers and types that do not fit.
        fit: fits the code to weights of any shape, from name, numbers, weights, type and bit error rate; ``None`` where
            nothing is fitted.
    """

    form: str
    summary: str
    bits: Callable[[str, Numbers, FixedType], int]
    build: Callable[[str, Numbers, FixedType, Tables], StorageCode]
    fit: Callable[[str, Numbers, Floats, FixedType, float], Fitted] | None = None

    @property
    def numbers(self) -> range:
        """How many numbers a name may have."""
        required, _, optional = self.form.partition("[")
        return range(len(re.findall("[A-Z]", required)), len(re.findall("[A-Z]", required + optional)) + 1)


def _unfitted(form: str, summary: str, code: Callable[[FixedType], StorageCode]) -> Family:
    """A code that a type alone makes."""

    def build(name: str, _: Numbers, type_: FixedType, tables: Tables) -> StorageCode:
        if tables:
            raise HwflowError(f"storage code {name!r} cannot decode with {', '.join(tables)}")
        return code(type_)

    return Family(form, summary, lambda _, __, type_: code(type_).bits, build)


def _cosq_bits(name: str, _: Numbers, type_: FixedType) -> int:
    cosq.check(type_)
    return type_.width


def _build_cosq(name: str, _: Numbers, type_: FixedType, tables: Tables) -> StorageCode:
    if tables.keys() != {"decoder", "encoder"}:
        raise HwflowError(f"storage code {name!r} cannot decode with {', '.join(tables) or 'no tables'}")
    return Cosq(type_, **tables)


@dataclass(frozen=True)
class WordFamily:
    """Word codes, see :mod:`hwflow.codes.word`, by their block code.

    Attributes:
        block: the block code, from the bits of a codeword and those of its data.
    """

    block: Callable[[int, int], BlockCode]

    def shape(self, name: str, numbers: Numbers, type_: FixedType) -> tuple[Shape, BlockCode]:
        """The words and the block code that a name asks for: bits of a word, of its labels, and protected ones."""
        bits, labels, *protected = numbers
        word.check(name, type_)
        shape = Shape.of(name, bits, labels, protected[0] if protected else labels, type_.width)
        return shape, self.block(shape.block_bits, shape.data_bits)

    def family(self, form: str, summary: str) -> Family:
        """These codes as a family."""
        return Family(form, summary, self._bits, self._build, self._fit)

    def _build(self, name: str, numbers: Numbers, type_: FixedType, tables: Tables) -> StorageCode:
        return WordCode.of(name, type_, *self.shape(name, numbers, type_), tables)

    def _bits(self, name: str, numbers: Numbers, type_: FixedType) -> int:
        return self.shape(name, numbers, type_)[0].bits

    def _fit(self, name: str, numbers: Numbers, weights: Floats, type_: FixedType, ber: float) -> Fitted:
        return word.fit(weights, type_, *self.shape(name, numbers, type_), ber)


STORAGE_CODES: dict[str, Family] = {
    "plain": _unfitted("plain", "no protection: two's complement, a weight a word", Plain),
    "secded": _unfitted("secded", "SECDED (72,64), double errors left as they are", Secded),
    "secded-null": _unfitted(
        "secded-null", "SECDED (72,64), zeros for words with double errors", lambda type_: Secded(type_, "null")
    ),
    "cosq": Family(
        "cosq",
        "a table a layer, fitted to its weights and the noise",
        _cosq_bits,
        _build_cosq,
        lambda _, __, weights, type_, ber: cosq.fit(weights, type_, ber),
    ),
    "bch": WordFamily(Bch).family(
        "bchN-K[-P]",
        "words of N bits: a weight a byte in K bits, P of them (all) in a BCH code that takes the rest",
    ),
}
"""By the name of the family."""


def names() -> str:
    """The forms of all names, for messages."""
    return ", ".join(family.form for family in STORAGE_CODES.values())


def family_of(name: str) -> tuple[Family, Numbers]:
    """The family of a storage code, and the numbers that its name says.

    Raises:
        HwflowError: there is no such code.
    """
    matched = re.fullmatch(r"([a-z][a-z-]*?)((?:\d{1,4}-)*\d{1,4})?", name)
    family = STORAGE_CODES.get(matched[1]) if matched else None
    if matched is None or family is None:
        raise HwflowError(f"storage code {name!r} is unknown; choose one of {names()}")
    numbers = tuple(int(number) for number in matched[2].split("-")) if matched[2] else ()
    if len(numbers) not in family.numbers:
        raise HwflowError(f"storage code {name!r} is not of the form {family.form}")
    return family, numbers


def storage_code(spec: CodeSpec, type_: FixedType) -> StorageCode:
    """The storage code of weights of a type.

    Raises:
        HwflowError: there is no such code, or it does not take the type or these tables.
    """
    family, numbers = family_of(spec.name)
    return family.build(spec.name, numbers, type_, dict(spec.tables))
