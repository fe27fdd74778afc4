"""Memory images: stored words packed into the words of the hardware, and fault coordinates with them.

The matrix-vector unit uses PE x SIMD weights in a beat: weight ``(o, i)`` (output o, input i) in beat
``(o // PE) (n_in / SIMD) + i // SIMD``, lane ``(o % PE) SIMD + i % SIMD``. Outliers are named by beats and lanes.

An address of the hardware's memory holds, for each of PE outputs, the stored words with the SIMD weights of a beat.
A stored word with more weights than that stays for several beats, so the memory has fewer addresses than beats.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hwflow.codes.words import Words, to_integers
from hwflow.errors import HwflowError
from hwflow.graph import Affine, IntArray, WeightLayer
from hwflow.memory import layer_layout, layer_storage, stored_words


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
        return _index_bits(self.depth)

    @property
    def beats(self) -> int:
        """Beats of the matrix."""
        return (self.n_out // self.pe) * (self.n_in // self.simd)

    def locate(self, weight: IntArray) -> tuple[IntArray, IntArray]:
        """Beat and lane of weights ``o n_in + i``."""
        output, index = np.divmod(weight, self.n_in)
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

    @property
    def _row(self) -> int:
        """Hardware words of PE outputs."""
        return -(-self.n_in // max(self.simd, min(self.per_word, self.n_in)))


def _index_bits(count: int) -> int:
    return max(1, (count - 1).bit_length())


def packing(layer: WeightLayer, kind: str, pe: int, simd: int) -> Packing:
    """The packing of a layer's ``weight`` or ``bias`` memory; an affine layer's weights are one row."""
    bits, per_word = layer_storage(layer, kind).bits, layer_layout(layer, kind).per_word
    if kind == "bias":
        return Packing(1, layer.n_out, pe, 1, bits)
    if isinstance(layer, Affine):
        return Packing(layer.n_out, 1, 1, pe, bits, per_word)
    return Packing(layer.n_in, layer.n_out, pe, simd, bits, per_word)


@dataclass(frozen=True, eq=False)
class SideMemory:
    """The outliers of a layer in the order in which ``hwflow_outliers`` reads them.

    Attributes:
        layout: the packing of the weight memory.
        rest_bits: bits of a rest, signed.
        beat, lane: ``(k,)`` where the weight to which something is added comes out, by beat.
        rest: ``(k,)`` codes of what is added to the cell.
    """

    layout: Packing
    rest_bits: int
    beat: IntArray
    lane: IntArray
    rest: IntArray

    @property
    def rows(self) -> int:
        """Beats that have outliers."""
        return len(np.unique(self.beat))

    @property
    def slots(self) -> int:
        """The most outliers of one beat."""
        return int(np.unique(self.beat, return_counts=True)[1].max())

    @property
    def width(self) -> int:
        """Bits of a row: a beat, and lane and rest of its outliers."""
        return _index_bits(self.layout.beats) + self.slots * self._slot_bits

    def pack(self) -> list[int]:
        """The rows; slots that a beat does not need are zero."""
        mask, top = (1 << self.rest_bits) - 1, self.slots * self._slot_bits
        rows: list[int] = []
        last, slot = -1, 0
        columns = (self.beat, self.lane, self.rest)
        for beat, lane, rest in zip(*(column.tolist() for column in columns), strict=True):
            if beat != last:
                rows.append(beat << top)
                last, slot = beat, 0
            rows[-1] |= (lane << self.rest_bits | rest & mask) << (slot * self._slot_bits)
            slot += 1
        return rows

    @property
    def _slot_bits(self) -> int:
        return _index_bits(self.layout.pe * self.layout.simd) + self.rest_bits


def side_memory(layer: WeightLayer, pe: int, simd: int) -> SideMemory | None:
    """The side memory of a layer, if it has outliers."""
    if layer.outliers is None or not len(layer.outliers.index):
        return None
    type_ = layer.outliers.rest.type
    assert type_ is not None
    layout = packing(layer, "weight", pe, simd)
    beat, lane = layout.locate(layer.outliers.index)
    order = np.lexsort((lane, beat))
    rest_bits = type_.width + (not type_.signed)
    return SideMemory(layout, rest_bits, beat[order], lane[order], layer.outliers.rest.codes[order])


def write_image(path: Path, layer: WeightLayer, kind: str, pe: int, simd: int) -> None:
    """Write a ``$readmemh`` file of a layer's ``weight`` or ``bias`` memory."""
    layout = packing(layer, kind, pe, simd)
    write_hex(path, layout.pack(stored_words(layer, kind)), layout.width)


def write_rests(path: Path, layer: WeightLayer, pe: int, simd: int) -> None:
    """Write a ``$readmemh`` file of the side memory of a layer with outliers."""
    side = side_memory(layer, pe, simd)
    assert side is not None
    write_hex(path, side.pack(), side.width)


def write_hex(path: Path, words: list[int], width: int) -> None:
    """Write words of ``width`` bits, one a line, as ``$readmemh`` reads them."""
    digits = -(-width // 4)
    path.write_text("".join(f"{word:0{digits}x}\n" for word in words))


def read_hex(path: Path) -> list[int]:
    """Words of a ``$writememh`` file; simulators differ in the comments and addresses that they add.

    Raises:
        HwflowError: bits of a word are undefined.
    """
    lines = path.read_text().splitlines()
    words = [word for line in lines for word in line.split("//")[0].split() if not word.startswith("@")]
    try:
        return [int(word, 16) for word in words]
    except ValueError as error:
        raise HwflowError(
            "the simulated design gave undefined bits; a memory image of the project is damaged, generate it again"
        ) from error
