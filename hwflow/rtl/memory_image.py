"""Memory images: stored words packed into the words of the hardware, and fault coordinates with them.

The matrix-vector unit reads PE x SIMD stored words at once. Stored word ``o n_in + i`` (output o, input
i) lies at address ``(o // PE) (n_in / SIMD) + i // SIMD``, in lane ``(o % PE) SIMD + i % SIMD``. Outliers
are named by the same addresses and lanes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hwflow.codes.words import Words, unpack
from hwflow.errors import HwflowError
from hwflow.graph import Affine, IntArray, WeightLayer
from hwflow.memory import layer_storage, stored_words


@dataclass(frozen=True)
class Packing:
    """The bijection between one memory's stored words and the hardware's words.

    Attributes:
        n_in, n_out: shape of the matrix; a bias memory has ``n_in = simd = 1``.
        pe, simd: lanes of a hardware word.
        bits: bits of a stored word.
    """

    n_in: int
    n_out: int
    pe: int
    simd: int
    bits: int

    @property
    def depth(self) -> int:
        """Hardware words."""
        return (self.n_in // self.simd) * (self.n_out // self.pe)

    @property
    def width(self) -> int:
        """Bits of a hardware word."""
        return self.pe * self.simd * self.bits

    @property
    def address_bits(self) -> int:
        """Bits of a hardware address."""
        return max(1, (self.depth - 1).bit_length())

    def locate(self, word: IntArray) -> tuple[IntArray, IntArray]:
        """Hardware address and lane of stored words."""
        output, index = np.divmod(word, self.n_in)
        address = (output // self.pe) * (self.n_in // self.simd) + index // self.simd
        lane = (output % self.pe) * self.simd + index % self.simd
        return address, lane

    def place(self, word: IntArray, bit: IntArray) -> tuple[IntArray, IntArray]:
        """Hardware address and bit position of bits of stored words."""
        address, lane = self.locate(word)
        return address, lane * self.bits + bit

    def pack(self, stored: Words) -> list[int]:
        """Hardware words of stored words ``(n_out * n_in, ceil(bits / 8))``."""
        words = unpack(stored, self.bits, 1, signed=False)
        shape = (self.n_out // self.pe, self.pe, self.n_in // self.simd, self.simd)
        lanes = words.reshape(shape).transpose(0, 2, 1, 3).reshape(self.depth, -1)
        if self.bits == 8:
            raw = lanes.astype(np.uint8).tobytes()
            step = lanes.shape[1]
            return [int.from_bytes(raw[i : i + step], "little") for i in range(0, len(raw), step)]
        packed = []
        for row in lanes.tolist():
            value = 0
            for word in reversed(row):
                value = value << self.bits | word
            packed.append(value)
        return packed


def packing(layer: WeightLayer, kind: str, pe: int, simd: int) -> Packing:
    """The packing of a layer's ``weight`` or ``bias`` memory; an affine layer's weights are one row."""
    bits = layer_storage(layer, kind).bits
    if kind == "bias":
        return Packing(1, layer.n_out, pe, 1, bits)
    if isinstance(layer, Affine):
        return Packing(layer.n_out, 1, 1, pe, bits)
    return Packing(layer.n_in, layer.n_out, pe, simd, bits)


@dataclass(frozen=True, eq=False)
class SideMemory:
    """The outliers of a layer in the order in which ``hwflow_outliers`` reads them.

    Attributes:
        layout: the packing of the weight memory.
        rest_bits: bits of a rest, signed.
        address, lane: ``(k,)`` where the outlier's cell is in the weight memory, by address.
        rest: ``(k,)`` codes of what is added to the cell.
    """

    layout: Packing
    rest_bits: int
    address: IntArray
    lane: IntArray
    rest: IntArray

    @property
    def rows(self) -> int:
        """Words of the weight memory that have outliers."""
        return len(np.unique(self.address))

    @property
    def slots(self) -> int:
        """The most outliers of one word."""
        return int(np.unique(self.address, return_counts=True)[1].max())

    @property
    def width(self) -> int:
        """Bits of a row: an address, and lane and rest of its outliers."""
        return self.layout.address_bits + self.slots * self._slot_bits

    def pack(self) -> list[int]:
        """The rows; slots that a word does not need are zero."""
        mask, top = (1 << self.rest_bits) - 1, self.slots * self._slot_bits
        rows: list[int] = []
        last, slot = -1, 0
        columns = (self.address, self.lane, self.rest)
        for address, lane, rest in zip(*(column.tolist() for column in columns), strict=True):
            if address != last:
                rows.append(address << top)
                last, slot = address, 0
            rows[-1] |= (lane << self.rest_bits | rest & mask) << (slot * self._slot_bits)
            slot += 1
        return rows

    @property
    def _slot_bits(self) -> int:
        return max(1, (self.layout.pe * self.layout.simd - 1).bit_length()) + self.rest_bits


def side_memory(layer: WeightLayer, pe: int, simd: int) -> SideMemory | None:
    """The side memory of a layer, if it has outliers."""
    if layer.outliers is None or not len(layer.outliers.index):
        return None
    type_ = layer.outliers.rest.type
    assert type_ is not None
    layout = packing(layer, "weight", pe, simd)
    address, lane = layout.locate(layer.outliers.index)
    order = np.lexsort((lane, address))
    rest_bits = type_.width + (not type_.signed)
    return SideMemory(layout, rest_bits, address[order], lane[order], layer.outliers.rest.codes[order])


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
