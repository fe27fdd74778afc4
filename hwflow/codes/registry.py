"""The storage codes by the names that users choose them by."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from hwflow.codes import byte, cosq, flips, inplace, word
from hwflow.codes.bch import Bch
from hwflow.codes.blocks import BlockCode, Flags
from hwflow.codes.layout import Layout
from hwflow.codes.plain import Plain
from hwflow.codes.quantiser import Fitted, Floats, Tables
from hwflow.codes.repeated import Repeated
from hwflow.codes.secded import Secded
from hwflow.codes.table import Table, check
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
        lossless: whether it has all codes of a type; else weights become those that it has.
    """

    form: str
    summary: str
    bits: Callable[[str, Numbers, FixedType], int]
    build: Callable[[str, Numbers, FixedType, Tables], StorageCode]
    fit: Callable[[str, Numbers, Floats, FixedType, float], Fitted] | None = None
    lossless: bool = False

    @property
    def numbers(self) -> range:
        """How many numbers a name may have."""
        required, _, optional = self.form.partition("[")
        return range(len(re.findall("[A-Z]", required)), len(re.findall("[A-Z]", required + optional)) + 1)


def _unfitted(
    form: str, summary: str, code: Callable[[str, Numbers, FixedType], StorageCode], lossless: bool = False
) -> Family:
    """A code that name, numbers and type alone make."""

    def build(name: str, numbers: Numbers, type_: FixedType, tables: Tables) -> StorageCode:
        if tables:
            raise HwflowError(f"storage code {name!r} cannot decode with {', '.join(tables)}")
        return code(name, numbers, type_)

    return Family(form, summary, lambda name, numbers, type_: code(name, numbers, type_).bits, build, None, lossless)


def _two_tables(name: str, tables: Tables) -> Tables:
    if tables.keys() != {"decoder", "encoder"}:
        raise HwflowError(f"storage code {name!r} cannot decode with {', '.join(tables) or 'no tables'}")
    return tables


def _cosq_bits(name: str, _: Numbers, type_: FixedType) -> int:
    check(name, type_)
    return type_.width


def _byte_bits(name: str, numbers: Numbers, type_: FixedType) -> int:
    byte.check(name, type_, numbers[0])
    return type_.width


@dataclass(frozen=True)
class WordFamily:
    """Word codes, see :mod:`hwflow.codes.word`, by their block code.

    Attributes:
        block: the block code, from the bits of a codeword, those of its data, and what else the name says.
    """

    block: Callable[..., BlockCode]

    def shape(self, name: str, numbers: Numbers, type_: FixedType) -> tuple[Shape, BlockCode]:
        """The words and the block code that a name asks for: bits of a word, of its labels, and protected ones."""
        bits, labels, *rest = numbers
        word.check(name, type_)
        shape = Shape.of(name, bits, labels, rest[0] if rest else labels, type_.width)
        return shape, self.block(shape.block_bits, shape.data_bits, *rest[1:])

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
    "plain": _unfitted(
        "plain", "no protection: two's complement, a weight a word", lambda _, __, type_: Plain(type_), lossless=True
    ),
    "secded": _unfitted(
        "secded",
        "SECDED (72,64), double errors left as they are",
        lambda _, __, type_: Secded(type_),
        lossless=True,
    ),
    "secded-null": _unfitted(
        "secded-null",
        "SECDED (72,64), zeros for words with double errors",
        lambda _, __, type_: Secded(type_, "null"),
        lossless=True,
    ),
    "cosq": Family(
        "cosq",
        "a table a layer, fitted to its weights and the noise",
        _cosq_bits,
        lambda name, _, type_, tables: Table(name, type_, **_two_tables(name, tables)),
        lambda _, __, weights, type_, ber: cosq.fit(weights, type_, ber),
    ),
    "bch": WordFamily(Bch).family(
        "bchN-K[-P]",
        "words of N bits: a weight a byte in K bits, P of them (all) in a BCH code that takes the rest",
    ),
    "byte": Family(
        "byteK",
        "a byte of K bits, 7 to 5, and checks; reads as the mean of what it may have been",
        _byte_bits,
        lambda name, numbers, type_, tables: byte.fitted(name, type_, numbers[0], **_two_tables(name, tables)),
        lambda name, numbers, weights, type_, ber: byte.fit(name, weights, type_, numbers[0], ber),
    ),
    "parity": _unfitted(
        "parity",
        "even parity in the least significant bit; wrong words read as zero",
        lambda name, _, type_: byte.parity(name, type_),
    ),
    "mset": _unfitted(
        "mset[N]",
        "the N (1) most significant bits by majority, their copies in the least significant ones",
        lambda name, numbers, type_: byte.mset(name, type_, *numbers or (1,)),
    ),
    "cep": _unfitted(
        "cep[N]",
        "N (a quarter of the bits) chunks, each with a parity in the lowest bits; wrong chunks read as zeros",
        lambda name, numbers, type_: byte.cep(name, type_, *numbers or (max(1, type_.width // 4),)),
    ),
    "repeat": _unfitted(
        "repeatN",
        "the N most significant bits by majority, their copies in added storage",
        lambda _, numbers, type_: Repeated(type_, *numbers),
        lossless=True,
    ),
    "tmr": _unfitted(
        "tmr", "all bits by majority of three", lambda _, __, type_: Repeated(type_, type_.width), lossless=True
    ),
    "zero-space": _unfitted(
        "zero-space",
        "SECDED (64,57) in words of 64 bits, weights clamped where a bit of them is a check",
        lambda name, _, type_: inplace.zero_space(name, type_),
    ),
    "value-aware": _unfitted(
        "value-aware",
        "two errors corrected (64,50) in words of eight bytes, large weights rounded",
        lambda name, _, type_: inplace.value_aware(name, type_),
    ),
    "flip": WordFamily(flips.flip).family(
        "flipN-K[-P[-T[-W]]]",
        "as bch, with every protected bit in W of the parities that take the rest, and T passes of flipping bits",
    ),
    "ols": WordFamily(flips.ols).family(
        "olsN-K[-P[-T[-W]]]", "as flip, with parities by W - 2 orthogonal Latin squares; a product code for W = 2"
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
        near = difflib.get_close_matches(name, STORAGE_CODES, n=1, cutoff=0.7)
        meant = f"did you mean {near[0]!r}? There are" if near else "choose one of"
        raise HwflowError(f"storage code {name!r} is unknown; {meant} {names()}")
    numbers = tuple(int(number) for number in matched[2].split("-")) if matched[2] else ()
    if len(numbers) not in family.numbers:
        raise HwflowError(f"storage code {name!r} is not of the form {family.form}")
    if 0 in numbers:
        raise HwflowError(f"storage code {name!r}: its numbers must be 1 or more")
    return family, numbers


def storage_code(spec: CodeSpec, type_: FixedType) -> StorageCode:
    """The storage code of weights of a type.

    Raises:
        HwflowError: there is no such code, or it does not take the type or these tables.
    """
    family, numbers = family_of(spec.name)
    return family.build(spec.name, numbers, type_, dict(spec.tables))


def read_back(code: StorageCode, codes: Codes) -> Codes:
    """What weight codes ``(rows, columns)`` read as without faults; no word holds weights of two rows."""
    layout = Layout(len(codes), codes.shape[1], code.weights_per_word)
    places = layout.indices(np.arange(layout.words))
    read = np.empty(codes.size, dtype=np.int64)
    held = codes.reshape(-1)[places]  # a place to spare, -1, holds any weight
    read[places[places >= 0]] = code.decode(code.encode(held))[places >= 0]
    return read.reshape(codes.shape)
