"""What a design takes of an FPGA: by the estimate, or by Yosys, cell by cell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from hwflow.cost.area import Area, total
from hwflow.cost.cells import TABLE_BITS
from hwflow.cost.decoders import costs as decoder_costs
from hwflow.cost.estimate import estimate
from hwflow.cost.memories import LUT_RAM, Memory
from hwflow.cost.packing import index_bits
from hwflow.cost.synthesis import TOP, YOSYS, synthesise
from hwflow.graph import Graph, WeightLayer
from hwflow.rtl.address_map import address_space, ring, wire_of
from hwflow.rtl.decoders import TABLE, WORD
from hwflow.rtl.memory_image import table_codes
from hwflow.rtl.structure import Instance, Keeps, Netlist

WEIGHTS, RESCALE, LOOKUP = "hwflow_weights", "hwflow_rescale", "hwflow_lookup"
OUTSIDE = "top level"
"""Stands for the layer of what belongs to none: guard, results, registers of the bus."""


@dataclass(frozen=True)
class CellArea:
    """What one cell takes.

    Attributes:
        layer: the node that it is there for.
        instance, module: its names in the RTL.
        area: LUTs and so on.
    """

    layer: str
    instance: str
    module: str
    area: Area

    def to_json(self) -> dict[str, Any]:
        """The cell as JSON data."""
        numbers = {name: round(value, 1) for name, value in asdict(self.area).items()}
        return {"layer": self.layer, "instance": self.instance, "module": self.module, **numbers}

    @staticmethod
    def from_json(row: Mapping[str, Any]) -> CellArea:
        """The cell of :meth:`to_json`."""
        numbers = {each.name: row[each.name] for each in fields(Area)}
        return CellArea(row["layer"], row["instance"], row["module"], Area(**numbers))


def estimated(graph: Graph, netlist: Netlist) -> list[CellArea]:
    """The estimate of every cell of a design: the netlist's, and those that the top level has around them.

    Approximate where the sweep that it is fitted to has no such cell: decoders of tables and words are as they were
    measured alone, outliers are counted by their bits.
    """
    cells = [
        CellArea(cell.node, cell.name, cell.module, estimate(cell.module, cell.parameters) + _extra(graph, cell))
        for cell in netlist.instances
    ]
    return [*cells, *_around(graph, netlist)]


def _around(graph: Graph, netlist: Netlist) -> Iterator[CellArea]:
    """Guard, results, and the configuration ring, whose cells at memories belong to their layers."""
    regions, errors, bits = address_space(graph, netlist)
    address = {"ADDR_W": bits - 2}

    def cell(layer: str, instance: str, module: str, parameters: Mapping[str, int]) -> CellArea:
        return CellArea(layer, instance, module, estimate(module, parameters))

    for name, stream in (("guard", netlist.input), ("results", netlist.output)):
        yield cell(OUTSIDE, name, f"hwflow_{name}", {"WIDTH": stream.width, "BEATS": stream.beats})
    for name in ("axil", "control"):
        yield cell(OUTSIDE, name, f"hwflow_{name}", address)
    for wire, _, region in ring(netlist, regions):
        size = {"WIDTH": region.width, "DEPTH": region.words}
        yield cell(region.layer, f"u_{wire}", "hwflow_cfg_mem", address | size)
    for region in errors:
        port, flags = wire_of(netlist, region)
        yield cell(region.layer, f"u_{port}_errors", "hwflow_cfg_errors", address | {"FLAGS": flags})


def synthesised(cells: Sequence[CellArea], folder: Path, top: str, family: str, yosys: str = YOSYS) -> list[CellArea]:
    """What Yosys makes of the same cells, each optimised by itself, and of the top level's own logic.

    Args:
        cells: the cells of the design.
        folder: its RTL.
        top: name of its top module.
        family: see :func:`hwflow.cost.synthesis.synthesise`.
        yosys: the program.

    Raises:
        HwflowError: there is no Yosys, or it fails.
    """
    leaves = sorted({cell.module for cell in cells})
    found = synthesise(sorted(folder.glob("*.sv")), top, leaves, folder, family, yosys)
    mine = [replace(cell, area=found.pop(cell.instance)) for cell in cells]
    return [*mine, CellArea(OUTSIDE, TOP, top, total(found.values()))]


def by_layer(cells: Iterable[CellArea]) -> dict[str, Area]:
    """Sums by layer, in the order of the network."""
    layers: dict[str, Area] = {}
    for cell in cells:
        layers[cell.layer] = layers.get(cell.layer, Area()) + cell.area
    return layers


def _extra(graph: Graph, cell: Instance) -> Area:
    """What the estimates leave out: measured decoders, the outliers' rests, memories of what can be loaded."""
    values: Mapping[str, int | str] = cell.parameters
    loadable = "LOADABLE" in values
    if cell.module == RESCALE and loadable and not values["UNIFORM"]:
        lanes, bits = int(values["LANES"]), int(values["M_W"])
        return Area(luts=2 * Memory(lanes * bits, int(values["CHANNELS"]) // lanes).lut_ram)
    if cell.module == LOOKUP and loadable:
        return _table(int(values["LANES"]), int(values["OUT_W"]), 1 << int(values["INDEX_W"]))
    if cell.module != WEIGHTS:
        return Area()
    layer = graph[cell.node]
    assert isinstance(layer, WeightLayer)
    lanes, extra = int(values["PE"]) * int(values["SIMD"]), Area()
    if loadable and values.get("CODE") in (TABLE, WORD):
        extra += Area(luts=lanes * Memory(int(values["W_W"]), len(table_codes(layer))).lut_ram)
    if values.get("CODE") == WORD or (values.get("CODE") == TABLE and not loadable):
        measured = decoder_costs().get(layer.storage.name)
        if measured is not None:
            count, decoder = measured.serving(lanes)
            extra += Area(luts=count * decoder.luts, flip_flops=count * decoder.flip_flops)
    if "REST_ROWS" in values:
        extra += outliers(lanes, layer.n_in * layer.n_out // lanes, values)
    return extra


def _table(lanes: int, bits: int, entries: int) -> Area:
    """What the tables of ``hwflow_lookup`` take more where a second port reads and writes them."""
    table, both = Memory(bits, entries), Memory(bits, entries, both_ports=True)
    if bits * entries <= TABLE_BITS:
        return Area(luts=lanes * (both.two_port_lut_ram - bits * -(-entries // 64)))
    return Area(block_ram=lanes * (both.block_ram - table.block_ram))


def outliers(lanes: int, words: int, values: Mapping[str, int | str]) -> Area:
    """``hwflow_outliers``: rows in LUTs, what chooses between them, and a choice and an adder a lane.

    Args:
        lanes: weights of a word.
        words: beats of the weight memory.
        values: ``REST_ROWS``, ``REST_SLOTS`` and ``REST_W``, and ``KEEPS`` if there are kept weights; with ``LOADABLE``
            the rows are memories.
    """
    rows, slots, rest = (int(values[f"REST_{name}"]) for name in ("ROWS", "SLOTS", "W"))
    keeps = int(values.get("KEEPS", Keeps.NONE))
    row = index_bits(words) + slots * (index_bits(lanes) + rest + (keeps != Keeps.NONE))
    if "LOADABLE" in values:
        # Read at two addresses, with what chooses there, and two rows besides.
        memory = 2 * (Memory(row, rows).lut_ram + Memory(row, 1).lut_ram) + row * ((rows - 1) // max(LUT_RAM))
    else:
        memory = rows * row // 32
    flip_flops = lanes * (2 * rest + 1 + (keeps == Keeps.SOME)) + 4 * row
    return Area(luts=memory + 2 * lanes * (rest + slots), flip_flops=flip_flops)
