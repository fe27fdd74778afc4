"""Word codes: several weights share a word of no more bits than they had, and the word corrects its own flips.

A weight needs fewer bits than it is stored in. Each becomes a label of a few bits, by a quantiser that is fitted to its
layer; what that saves in a word is spent on the checks of a block code. The most significant bits of the labels are the
data of the block code, the other bits are stored as they are. Weights that the block code leaves in doubt get the
mean of what they may have been, given what was read: a second table.

A word's bits, the least significant first: the protected bits of weight 0, of weight 1, and so on; the checks; then
the unprotected bits of weight 0, of weight 1, and so on. Inside a weight too the less significant bits come first.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hwflow.codes.blocks import Bits, BlockCode, Flags, Residual
from hwflow.codes.quantiser import (
    Fitted,
    Floats,
    Tables,
    alternate,
    companded,
    encoder,
    flips,
    grid,
    histogram,
    in_steps,
)
from hwflow.codes.words import Words
from hwflow.errors import HwflowError
from hwflow.fixed import Codes, FixedType

MOST_BITS = 8
"""Of a label: the table of labels read and of labels in doubt has twice as many entries."""
MOST_WEIGHT_BITS = 10
"""Of a weight: the table of the codes that weights become has an entry for each."""
_ROUNDS = 200  # of the alternation
_AT_ONCE = 1 << 14  # words at a time, so that their bits stay in the cache


@dataclass(frozen=True)
class Label:
    """The label of a weight.

    Attributes:
        bits: of the label.
        protected: how many of them, the most significant ones, are data of the block code.
    """

    bits: int
    protected: int


@dataclass(frozen=True)
class Shape:
    """How weights share a word.

    Attributes:
        bits: of a word.
        labels: of its weights. Weights of the same kind of label share a table.
    """

    bits: int
    labels: tuple[Label, ...]

    @classmethod
    def of(cls, name: str, bits: int, label_bits: int, protected: int, width: int, most: int = MOST_BITS) -> Shape:
        """A word of weights of ``width`` bits that shares its label bits evenly; the first weights have one more.

        Labels have at most ``most`` bits.

        Raises:
            HwflowError: weights that do not fill the word, or labels that are too short or too long.
        """
        count, rest = divmod(bits, width)
        if rest or not count:
            raise HwflowError(f"{name}: weights of {width} bits do not fill words of {bits} bits")
        labels = tuple(
            Label(label_bits // count + (i < label_bits % count), protected // count + (i < protected % count))
            for i in range(count)
        )
        if not all(1 <= label.protected <= label.bits <= min(width, most) for label in labels):
            raise HwflowError(
                f"{name}: {label_bits} bits, {protected} of them protected, for {count} weights; each takes 1 to "
                f"{min(width, most)} bits, of which 1 or more are protected"
            )
        return cls(bits, labels)

    @property
    def kinds(self) -> tuple[Label, ...]:
        """The different labels, in the order in which they come first."""
        return tuple(dict.fromkeys(self.labels))

    @property
    def data_bits(self) -> int:
        """Protected bits of a word."""
        return sum(label.protected for label in self.labels)

    @property
    def raw_bits(self) -> int:
        """Unprotected bits of a word."""
        return sum(label.bits - label.protected for label in self.labels)

    @property
    def block_bits(self) -> int:
        """Bits of the word that are a codeword of the block code."""
        return self.bits - self.raw_bits

    @cached_property
    def bit_order(self) -> Codes:
        """The bit of the word that is each bit of the labels, label by label, the least significant first."""
        order, data, raw = [], 0, self.block_bits
        for label in self.labels:
            low = label.bits - label.protected
            order += [*range(raw, raw + low), *range(data, data + label.protected)]
            raw, data = raw + low, data + label.protected
        return np.array(order, dtype=np.int64)

    @cached_property
    def places(self) -> Codes:
        """The place in its label of each bit of :attr:`bit_order`."""
        return np.concatenate([np.arange(label.bits) for label in self.labels])

    @cached_property
    def starts(self) -> Codes:
        """Where each label begins in :attr:`bit_order`."""
        return np.cumsum([0, *(label.bits for label in self.labels[:-1])])

    @cached_property
    def data_starts(self) -> Codes:
        """Where the protected bits of each label begin among the data of the block code."""
        return np.cumsum([0, *(label.protected for label in self.labels[:-1])])

    @cached_property
    def kind_of(self) -> Codes:
        """``(weights,)`` place of each weight's label in :attr:`kinds`."""
        return np.array([self.kinds.index(label) for label in self.labels])


@dataclass(frozen=True, eq=False)
class WordCode:
    """Weights through quantisers, and a block code over their labels.

    Attributes:
        type: of a weight.
        shape: of a word.
        block: the code over its protected bits.
        decoders: for each kind of label ``(2 * 2^bits,)`` the weight code of every label, then that of every label in
            doubt.
        encoders: for each kind of label ``(2^width,)`` the label of every weight code, from the lowest on.
    """

    type: FixedType
    shape: Shape
    block: BlockCode
    decoders: tuple[Codes, ...]
    encoders: tuple[Codes, ...]

    @classmethod
    def of(cls, name: str, type_: FixedType, shape: Shape, block: BlockCode, tables: Tables) -> WordCode:
        """A code from its tables ``decoder0``, ``encoder0``, ``decoder1`` and so on, by kind of label.

        Raises:
            HwflowError: tables of another code, or of another type of weights.
        """
        decoders: list[Codes] = []
        encoders: list[Codes] = []
        rest = dict(tables)
        for i, kind in enumerate(shape.kinds):
            for kept, key, count, low, high in (
                (decoders, f"decoder{i}", 2 << kind.bits, type_.min_code, type_.max_code),
                (encoders, f"encoder{i}", 1 << type_.width, 0, (1 << kind.bits) - 1),
            ):
                table = rest.pop(key, None)
                if table is None or table.shape != (count,) or table.min() < low or table.max() > high:
                    raise HwflowError(f"{name}: its table {key} is missing, or not one for weights of {type_}")
                kept.append(table)
        if rest:
            raise HwflowError(f"{name}: it has no table {', '.join(rest)}")
        return cls(type_, shape, block, tuple(decoders), tuple(encoders))

    @property
    def weights_per_word(self) -> int:
        """Weights that one word holds."""
        return len(self.shape.labels)

    @property
    def bits(self) -> int:
        """Stored bits per word: those of its weights."""
        return self.shape.bits

    def encode(self, codes: Codes) -> Words:
        """Stored words of weight codes ``(n, weights_per_word)``."""
        shape = self.shape
        words = np.zeros((len(codes), shape.bits), dtype=np.uint8)
        labels = np.empty(codes.shape, dtype=np.int64)
        for kind, table in enumerate(self.encoders):
            labels[:, shape.kind_of == kind] = table[codes[:, shape.kind_of == kind] - self.type.min_code]
        spread = np.repeat(labels, [label.bits for label in shape.labels], axis=1)
        words[:, shape.bit_order] = spread >> shape.places & 1
        words[:, shape.data_bits : shape.block_bits] = self.block.checks(words[:, : shape.data_bits])
        return np.packbits(words, axis=1, bitorder="little")

    def decode(self, words: Words) -> Codes:
        """Weight codes ``(n, weights_per_word)`` of any stored words."""
        codes = np.empty((len(words), self.weights_per_word), dtype=np.int64)
        for start in range(0, len(words), _AT_ONCE):
            some = slice(start, start + _AT_ONCE)
            labels, doubtful = self._read(words[some])
            for kind, table in enumerate(self.decoders):
                here = self.shape.kind_of == kind
                codes[some, here] = table[labels[:, here] + doubtful[:, here] * (len(table) // 2)]
        return codes

    def detected(self, words: Words) -> Flags:
        """Which words ``(n,)`` the decoder could not correct, and knows of."""
        known: Flags = self._read(words)[1].any(axis=1)
        return known

    def _read(self, words: Words) -> tuple[Codes, Flags]:
        """Labels ``(n, weights_per_word)``, and which of them are in doubt."""
        shape = self.shape
        bits: Bits = np.unpackbits(words, axis=1, count=shape.bits, bitorder="little")
        data, doubtful = self.block.decode(bits[:, : shape.block_bits])
        bits[:, : shape.data_bits] = data
        spread = bits[:, shape.bit_order] << shape.places.astype(np.uint8)
        labels = np.add.reduceat(spread, shape.starts, axis=1, dtype=np.int64)
        return labels, np.logical_or.reduceat(doubtful, shape.data_starts, axis=1)


def check(name: str, type_: FixedType) -> None:
    """Refuse weights too wide for a table.

    Raises:
        HwflowError: their type has too many codes.
    """
    if type_.width > MOST_WEIGHT_BITS:
        raise HwflowError(f"{name}: weights of {type_.width} bits need a table of {1 << type_.width} entries, too many")


def word_channel(label: Label, residual: Residual, ber: float) -> Floats:
    """What a label may be read as: each label, then each label in doubt; ``(2^bits, 2 * 2^bits)``."""
    raw = flips(label.bits - label.protected, ber)
    sure = np.kron(flips(label.protected, residual.silent), raw)
    unsure = np.kron(flips(label.protected, residual.flipped), raw)
    return np.concatenate([(1 - residual.doubtful) * sure, residual.doubtful * unsure], axis=1)


def fit(weights: Floats, type_: FixedType, shape: Shape, block: BlockCode, ber: float) -> Fitted:
    """The tables for some weights and a bit error rate.

    Args:
        weights: real values ``(rows, columns)``, on the scale of ``type_``; words hold weights of one row.
        type_: of a weight; the tables hold codes of it.
        shape: of a word.
        block: the code over its protected bits.
        ber: probability that a stored bit flips, above 0 and at most 0.5.
    """
    steps = in_steps(weights, type_)
    points, counts = histogram(steps)
    tables: Tables = {}
    grids = []
    for i, kind in enumerate(shape.kinds):
        channel = word_channel(kind, block.residual(ber, kind.protected), ber)
        start = companded(points, counts, 1 << kind.bits)
        values = alternate(points, counts, np.tile(start, 2), channel, _ROUNDS)
        read = np.clip(np.rint(values), type_.min_code, type_.max_code).astype(np.int64)
        clean = read[: 1 << kind.bits]
        tables |= {f"decoder{i}": read, f"encoder{i}": encoder(clean, read, type_, channel)}
        grids.append(grid(clean, read, channel))
    return Fitted(tables, tuple(grids), shape.kind_of)
