"""Memory images: the words of the hardware's memories, as ``$readmemh`` reads them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwflow.codes import Table, WordCode
from hwflow.cost.packing import Packing, index_bits, packing
from hwflow.graph import BoolArray, Constant, IntArray, Lookup, Node, ReLU, Rescale, Softmax, WeightLayer
from hwflow.memory import layer_storage, stored_words
from hwflow.reference.softmax import softmax_table
from hwflow.rtl.structure import ConstantUnit, Keeps, MatrixUnit, RestRoom


@dataclass(frozen=True, eq=False)
class SideMemory:
    """The outliers and the kept weights of a layer in the order in which ``hwflow_outliers`` reads them.

    Attributes:
        layout: the packing of the weight memory.
        rest_bits: bits of a value, signed.
        beat, lane: ``(k,)`` where the weight comes out, by beat.
        rest: ``(k,)`` codes of what is added to the cell, or of the kept weight.
        whole: ``(k,)`` which of them are kept weights.
    """

    layout: Packing
    rest_bits: int
    beat: IntArray
    lane: IntArray
    rest: IntArray
    whole: BoolArray

    @property
    def lanes(self) -> int:
        """Weights of a beat."""
        return self.layout.pe * self.layout.simd

    @property
    def rows(self) -> int:
        """Beats that have entries."""
        return len(np.unique(self.beat))

    @property
    def slots(self) -> int:
        """The most entries of one beat."""
        return int(np.unique(self.beat, return_counts=True)[1].max())

    @property
    def keeps(self) -> Keeps:
        """What the entries do."""
        return Keeps.ALL if self.whole.all() else Keeps.SOME if self.whole.any() else Keeps.NONE

    @property
    def room(self) -> RestRoom:
        """What the entries take."""
        return RestRoom(self.rows, self.slots, self.rest_bits, self.keeps)

    @property
    def room_to_load(self) -> RestRoom:
        """Room for as many other entries: each in a beat of its own, and one more in a beat."""
        return RestRoom(
            min(len(self.rest), self.layout.beats), min(self.slots + 1, self.lanes), self.rest_bits, self.keeps
        )

    def pack(self, room: RestRoom) -> list[int]:
        """The rows of a memory with some room; slots that a beat does not need, and rows beyond, are zero."""
        lane_bits, slot_bits = index_bits(self.lanes), room.slot_bits(self.lanes)
        mask, top = (1 << room.bits) - 1, room.slots * slot_bits
        rows: list[int] = []
        last, slot = -1, 0
        columns = (self.beat, self.lane, self.rest, self.whole)
        for beat, lane, rest, whole in zip(*(column.tolist() for column in columns), strict=True):
            if beat != last:
                rows.append(beat << top)
                last, slot = beat, 0
            rows[-1] |= ((whole << lane_bits | lane) << room.bits | rest & mask) << (slot * slot_bits)
            slot += 1
        return rows + [0] * (room.rows - len(rows))


def side_memory(layer: WeightLayer, pe: int, simd: int) -> SideMemory | None:
    """The side memory of a layer, if it has one."""
    side = layer.side
    if side is None:
        return None
    layout = packing(layer, "weight", pe, simd)
    beat, lane = layout.locate(side.index)
    order = np.lexsort((lane, beat))
    return SideMemory(layout, side.bits, beat[order], lane[order], side.value[order], side.whole[order])


def memory_shape(layer: WeightLayer, unit: MatrixUnit, kind: str) -> tuple[int, int]:
    """Words, and bits of a word, of a layer's ``weight``, ``bias``, ``rest`` or ``table`` memory."""
    layout = packing(layer, "bias" if kind == "bias" else "weight", unit.pe, unit.simd)
    match kind:
        case "rest":
            assert unit.rests is not None
            slot_bits = unit.rests.slot_bits(unit.pe * unit.simd)
            return unit.rests.rows, index_bits(layout.beats) + unit.rests.slots * slot_bits
        case "table":
            assert layer.weight.type is not None
            return len(table_codes(layer)), layer.weight.type.width
    return layout.depth, layout.width


def memory_words(layer: WeightLayer, unit: MatrixUnit, kind: str) -> list[int]:
    """The words of these memories."""
    match kind:
        case "rest":
            assert unit.rests is not None
            side = side_memory(layer, unit.pe, unit.simd)
            return [0] * unit.rests.rows if side is None else side.pack(unit.rests)
        case "table":
            return table_codes(layer)
    return packing(layer, kind, unit.pe, unit.simd).pack(stored_words(layer, kind))


def constant_words(node: Rescale | ReLU | Lookup, unit: ConstantUnit) -> list[int]:
    """The words of the constants that a node multiplies by, of its limit, or of its table."""
    if isinstance(node, Lookup):
        return lookup_words(node)
    constant: Constant | None = node.factor if isinstance(node, Rescale) else node.limit
    assert constant is not None
    codes: list[int] = constant.codes.tolist()
    beats = (codes[i : i + unit.lanes] for i in range(0, len(codes), unit.lanes))
    return [sum(code << lane * unit.bits for lane, code in enumerate(beat)) for beat in beats]


def lookup_words(node: Lookup) -> list[int]:
    """The words of an activation's table: output codes in two's complement."""
    assert node.table is not None
    words: list[int] = (node.table.codes & ((1 << node.resolved.width) - 1)).tolist()
    return words


def rom_words(node: Node, kind: str) -> list[int]:
    """The words of a table in logic, see :class:`~hwflow.rtl.structure.Rom`."""
    if isinstance(node, Lookup):
        return lookup_words(node)
    assert isinstance(node, Softmax)
    words: list[int] = softmax_table(node, kind).tolist()
    return words


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
