"""Memory images: the words of the hardware's memories, as ``$readmemh`` reads them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hwflow.codes import Table, WordCode
from hwflow.cost.packing import Packing, index_bits, packing
from hwflow.graph import IntArray, WeightLayer
from hwflow.memory import layer_storage, stored_words
from hwflow.sim.hexfile import write_hex


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
        return index_bits(self.layout.beats) + self.slots * self._slot_bits

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
        return index_bits(self.layout.pe * self.layout.simd) + self.rest_bits


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


def write_table(path: Path, layer: WeightLayer) -> None:
    """Write a ``$readmemh`` file of the tables by which ``hwflow_decode_table`` decodes a layer's stored words."""
    assert layer.weight.type is not None
    write_hex(path, table_codes(layer), layer.weight.type.width)


def table_codes(layer: WeightLayer) -> list[int]:
    """The words of these tables: weight codes in two's complement."""
    assert layer.weight.type is not None
    bits, code = layer.weight.type.width, layer_storage(layer)
    assert isinstance(code, Table | WordCode)
    codes = label_tables(code) if isinstance(code, WordCode) else code.decoder
    words: list[int] = (codes & ((1 << bits) - 1)).tolist()
    return words


def label_tables(code: WordCode) -> IntArray:
    """What the labels of a word stand for, as ``hwflow_decode_word`` reads it: all tables as long as the longest."""
    longest = max(len(table) // 2 for table in code.decoders)
    tables = np.zeros((len(code.decoders), 2, longest), dtype=np.int64)
    for room, table in zip(tables, code.decoders, strict=True):
        room[:, : len(table) // 2] = table.reshape(2, -1)
    return tables.reshape(-1)
