"""Stored words in the words of the hardware's memories.

The matrix-vector unit uses PE x SIMD weights in a beat: weight ``(o, i)`` (output o, input i) in beat
``(o // PE) (n_in / SIMD) + i // SIMD``, lane ``(o % PE) SIMD + i % SIMD``. Outliers are named by beats and lanes.

An address of the hardware's memory holds, for each of PE outputs, the stored words with the SIMD weights of a beat.
A stored word with more weights than that stays for several beats, so the memory has fewer addresses than beats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwflow.codes.layout import position
from hwflow.codes.words import Words, to_integers, word_bytes
from hwflow.graph import IntArray, WeightLayer
from hwflow.memory import layer_layout, layer_storage


@dataclass(frozen=True)
class Packing:
    """The bijection between one memory's stored words and the hardware's words.

    A word holds weights of one output only, and SIMD is a multiple or a divisor of its weights, or all of ``n_in``.

    Attributes:
        n_in, n_out: shape of the matrix; a bias memory has ``n_in = simd = 1``.
        pe, simd: outputs and inputs of a beat.
        bits: bits of a stored word.
        per_word: weights of a stored word.
    """

    n_in: int
    n_out: int
    pe: int
    simd: int
    bits: int
    per_word: int = 1

    @property
    def words(self) -> int:
        """Stored words of one output in a hardware word."""
        return -(-self.simd // self.per_word)

    @property
    def depth(self) -> int:
        """Hardware words."""
        return self.n_out // self.pe * self._row

    @property
    def width(self) -> int:
        """Bits of a hardware word."""
        return self.pe * self.words * self.bits

    @property
    def address_bits(self) -> int:
        """Bits of a hardware address."""
        return index_bits(self.depth)

    @property
    def beats(self) -> int:
        """Beats of the matrix."""
        return (self.n_out // self.pe) * (self.n_in // self.simd)

    @property
    def turns(self) -> int:
        """Beats of a hardware word; a row's last one may have fewer."""
        return self.per_word // self.simd if self.simd < min(self.per_word, self.n_in) else 1

    @property
    def fewest_turns(self) -> int:
        """The fewest beats of any hardware word."""
        return self.n_in // self.simd % self.turns or self.turns

    def locate(self, weight: IntArray) -> tuple[IntArray, IntArray]:
        """Beat and lane of weights ``o n_in + i``."""
        output, index = position(weight, self.n_in)
        beat = (output // self.pe) * (self.n_in // self.simd) + index // self.simd
        return beat, (output % self.pe) * self.simd + index % self.simd

    def place(self, word: IntArray, bit: IntArray) -> tuple[IntArray, IntArray]:
        """Hardware address and bit position of bits of stored words."""
        output, index = np.divmod(word, self._row * self.words)
        address = (output // self.pe) * self._row + index // self.words
        return address, ((output % self.pe) * self.words + index % self.words) * self.bits + bit

    def pack(self, stored: Words) -> list[int]:
        """Hardware words of stored words ``(n, ceil(bits / 8))``."""
        shape = (self.n_out // self.pe, self.pe, self._row, self.words, stored.shape[-1])
        words = stored.reshape(shape).transpose(0, 2, 1, 3, 4)
        if self.bits % 8:
            # The bits of the words side by side, without those that fill up the last byte of each.
            bits = np.unpackbits(words, axis=-1, count=self.bits, bitorder="little")
            words = np.packbits(bits.reshape(self.depth, -1), axis=-1, bitorder="little")
        return to_integers(words.reshape(self.depth, -1))

    def unpack(self, hardware: Sequence[int]) -> Words:
        """Stored words of hardware words, the inverse of :meth:`pack`."""
        raw = b"".join(word.to_bytes(word_bytes(self.width), "little") for word in hardware)
        lines = np.frombuffer(raw, dtype=np.uint8).reshape(self.depth, -1)
        bits = np.unpackbits(lines, axis=-1, count=self.width, bitorder="little")
        words = bits.reshape(self.n_out // self.pe, self._row, self.pe, self.words, self.bits).transpose(0, 2, 1, 3, 4)
        return np.packbits(words.reshape(-1, self.bits), axis=-1, bitorder="little")

    @property
    def _row(self) -> int:
        """Hardware words of PE outputs."""
        return -(-self.n_in // max(self.simd, min(self.per_word, self.n_in)))


def index_bits(count: int) -> int:
    """Bits that count so many things."""
    return max(1, (count - 1).bit_length())


def packing(layer: WeightLayer, kind: str, pe: int, simd: int) -> Packing:
    """The packing of a layer's ``weight`` or ``bias`` memory; channel by channel, its rows are the matrix's."""
    bits, per_word = layer_storage(layer, kind).bits, layer_layout(layer, kind).per_word
    if kind == "bias":
        return Packing(1, layer.n_out, pe, 1, bits)
    if layer.channelwise:
        return Packing(layer.n_out, layer.rows, 1, pe, bits, per_word)
    return Packing(layer.n_in, layer.n_out, pe, simd, bits, per_word)
