"""Protections of floating-point weights inside their own bits: the least significant mantissa bits make room.

They protect the exponent's most significant bit with the others, instead of the paper's assumption that it never
flips, and add no storage. Weights are rounded to the mantissa bits that are left; those that are lost read as zeros.

- ``mset[N]``: the N (1) most significant exponent bits, stored three times and put to the vote.
- ``cep[N]``: N (a quarter of the bits) chunks, each with an even parity; a chunk whose parity is wrong reads as zeros.
- ``bchN-K[-P]``: a BCH code over the P (all) most significant of K bits of the weights of N bits; what it detects and
  cannot correct reads as zeros. Of sign and exponent of eight FP16 weights: ``bch128-106-48``.

``mset`` and ``cep``: M. H. Ahmadilivani et al., arXiv 2605.07417, as far as its abstract goes, see
:mod:`hwflow.codes.byte`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from hwflow.codes.bch import Bch
from hwflow.codes.blocks import BlockCode
from hwflow.codes.byte import chunk_masks
from hwflow.codes.registry import family_of
from hwflow.codes.word import Shape
from hwflow.errors import HwflowError
from hwflow.fixed import Codes
from hwflow.float_study.words import FloatFormat, Patterns, WeightFormat

NAMES = "plain, mset[N], cep[N], bchN-K[-P]"


class FloatProtection(Protocol):
    """Bit patterns of weights to those that are stored, and back."""

    @property
    def together(self) -> int:
        """Weights that are read together."""

    def encode(self, patterns: Patterns) -> Patterns:
        """What is stored for weights ``(n, together)``."""

    def decode(self, stored: Patterns) -> Patterns:
        """What any stored patterns ``(n, together)`` are read as."""


@dataclass(frozen=True)
class Voted:
    """The most significant exponent bits by majority; bit i of the copies is in the bits 2i and 2i + 1.

    Attributes:
        format: of a weight.
        high: how many bits.
    """

    format: FloatFormat
    high: int

    together = 1

    def encode(self, patterns: Patterns) -> Patterns:
        """Three copies."""
        stored = rounded(patterns, 2 * self.high, self.format)
        for bit, place in enumerate(self._places):
            stored |= (stored >> _u64(place) & _u64(1)) * _u64(3 << 2 * bit)
        return stored

    def decode(self, stored: Patterns) -> Patterns:
        """What two of three say."""
        read = stored & _u64(_above(2 * self.high, self.format))
        for bit, place in enumerate(self._places):
            votes = sum(
                (stored >> _u64(copy) & _u64(1) for copy in (2 * bit, 2 * bit + 1)), stored >> _u64(place) & _u64(1)
            )
            read = read & ~_u64(1 << place) | (votes > 1).astype(np.uint64) << _u64(place)
        return read

    @property
    def _places(self) -> range:
        return range(self.format.exponent_msb + 1 - self.high, self.format.exponent_msb + 1)


@dataclass(frozen=True)
class Chunked:
    """Chunks with parities, which are the least significant bits.

    Attributes:
        format: of a weight.
        chunks: how many.
    """

    format: FloatFormat
    chunks: int

    together = 1

    def encode(self, patterns: Patterns) -> Patterns:
        """Even parities."""
        stored = rounded(patterns, self.chunks, self.format)
        for i, mask in enumerate(chunk_masks(self.format.bits, self.chunks)):
            stored |= _odd(stored & _u64(mask)) << _u64(i)
        return stored

    def decode(self, stored: Patterns) -> Patterns:
        """Zeros for chunks with an odd parity."""
        read = stored & _u64(_above(self.chunks, self.format))
        for i, mask in enumerate(chunk_masks(self.format.bits, self.chunks)):
            read &= ~(_odd(stored & _u64(mask | 1 << i)) * _u64(mask))
        return read


@dataclass(frozen=True)
class Blocked:
    """A block code over the most significant bits of several weights.

    Attributes:
        format: of a weight.
        shape: what is left of each weight, and what of it is protected.
        block: the code; its checks are in the bits that weights lack, of the first weight first.
    """

    format: FloatFormat
    shape: Shape
    block: BlockCode

    @property
    def together(self) -> int:
        """Weights that are read together."""
        return len(self.shape.labels)

    def encode(self, patterns: Patterns) -> Patterns:
        """The checks of the weights' most significant bits."""
        left = [rounded(patterns[:, i], lost, self.format) for i, lost in enumerate(self._lost)]
        bits = self._bits(np.stack(left, axis=1))
        data, checks = self._places
        bits[:, checks] = self.block.checks(bits[:, data])
        return self._patterns(bits)

    def decode(self, stored: Patterns) -> Patterns:
        """Corrected, or zeros."""
        bits = self._bits(stored)
        data, checks = self._places
        bits[:, data], doubtful = self.block.decode(bits[:, np.concatenate([data, checks])])
        bits[:, checks] = 0
        bits[doubtful.any(axis=1)] = 0
        return self._patterns(bits)

    @property
    def _lost(self) -> list[int]:
        return [self.format.bits - label.bits for label in self.shape.labels]

    @cached_property
    def _places(self) -> tuple[Codes, Codes]:
        """Where data and checks are among the bits of the weights, weight by weight from the least significant on."""
        width = self.format.bits
        data: list[int] = []
        checks: list[int] = []
        for i, (label, lost) in enumerate(zip(self.shape.labels, self._lost, strict=True)):
            data += range((i + 1) * width - label.protected, (i + 1) * width)
            checks += range(i * width, i * width + lost)
        return np.array(data, dtype=np.int64), np.array(checks, dtype=np.int64)

    def _bits(self, patterns: Patterns) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
        raw = np.ascontiguousarray(patterns, dtype="<u8").view(np.uint8).reshape(*patterns.shape, 8)
        bits = np.unpackbits(raw, axis=-1, count=self.format.bits, bitorder="little")
        return bits.reshape(len(patterns), self.together * self.format.bits)

    def _patterns(self, bits: np.ndarray[tuple[int, int], np.dtype[np.uint8]]) -> Patterns:
        raw = np.zeros((len(bits), self.together, 8), dtype=np.uint8)
        each = bits.reshape(len(bits), self.together, self.format.bits)
        raw[..., : self.format.bits // 8] = np.packbits(each, axis=-1, bitorder="little")
        return raw.view("<u8").astype(np.uint64)[..., 0]


def float_protection(name: str, format_: WeightFormat) -> FloatProtection | None:
    """The protection of a format's weights that is called so; ``None`` for ``plain``.

    Raises:
        HwflowError: there is no such protection, or none for this format.
    """
    family, numbers = family_of(name)[0].form, family_of(name)[1]
    if name == "plain":
        return None
    if not isinstance(format_, FloatFormat):
        raise HwflowError("storage codes need executor = 'reference'")
    exponent, mantissa = format_.exponent_bits, format_.bits - format_.exponent_bits - 1
    match family:
        case "mset[N]":
            (high,) = numbers or (1,)
            if high > min(exponent, mantissa // 2):
                most = min(exponent, mantissa // 2)
                raise HwflowError(f"{name}: of {format_.name} at most {most} exponent bits can be stored three times")
            return Voted(format_, high)
        case "cep[N]":
            (chunks,) = numbers or (format_.bits // 4,)
            if chunks > min(mantissa, format_.bits // 2):
                raise HwflowError(
                    f"{name}: {format_.name} has room for at most {min(mantissa, format_.bits // 2)} parities"
                )
            return Chunked(format_, chunks)
        case "bchN-K[-P]":
            bits, kept, *protected = numbers
            shape = Shape.of(name, bits, kept, protected[0] if protected else kept, format_.bits, format_.bits)
            if any(label.bits < format_.bits - mantissa for label in shape.labels):
                raise HwflowError(f"{name}: its checks need more bits than the mantissas of {format_.name} have")
            return Blocked(format_, shape, Bch(shape.block_bits, shape.data_bits))
    raise HwflowError(f"storage code {name!r} is not one of {format_.name}; choose one of {NAMES}")


def rounded(patterns: Patterns, lost: int, format_: FloatFormat) -> Patterns:
    """Patterns of the nearest finite weights whose ``lost`` least significant bits are zeros."""
    if not lost:
        return patterns.copy()
    sign = _u64(1 << format_.bits - 1)
    infinity = _u64((1 << format_.exponent_bits) - 1 << format_.bits - 1 - format_.exponent_bits)
    mask = _u64(_above(lost, format_))
    magnitude = patterns & ~sign
    up = magnitude + _u64(1 << lost - 1) & mask
    return patterns & sign | np.where(up < infinity, up, magnitude & mask)


def _above(lost: int, format_: FloatFormat) -> int:
    return (1 << format_.bits) - (1 << lost)


def _u64(number: int) -> np.uint64:
    return np.uint64(number)


def _odd(patterns: Patterns) -> Patterns:
    """1 for patterns with an odd number of ones, else 0."""
    for shift in (32, 16, 8, 4, 2, 1):
        patterns = patterns ^ patterns >> _u64(shift)
    return patterns & _u64(1)
