"""What is where in the address space of a design's AXI4-Lite port: registers first, then every memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from hwflow.cost.packing import index_bits
from hwflow.graph import Graph, WeightLayer
from hwflow.rtl.decoders import SECDED, WORD, Parameter
from hwflow.rtl.memory_image import memory_shape, memory_words, rom_words
from hwflow.rtl.structure import STYLE, Instance, MatrixUnit, Netlist

BUS_BITS = 32
MAGIC, VERSION = 0x4857464C, 0x00010000
REGISTER_WORDS = 64
"""Words that the registers of ``hwflow_control`` take at the start of the address space."""
_PART_PARAMETERS = (STYLE, "PRELOADED", "PAIRS")
"""Parameters of cells that the part decides, and that change nothing which a network computes."""
PORTS: Mapping[str, str] = {"weight": "wb", "bias": "bb", "rest": "rb", "table": "tb", "constant": "mb"}
"""The second port of a memory at its cell, by the kind of the memory."""


@dataclass(frozen=True)
class Register:
    """A register of ``hwflow_control``.

    Attributes:
        name: in capitals.
        offset: of its first byte.
        access: ``ro``, ``rw``, or ``w1c``, whose bits are cleared by writing ones.
        meaning: for people.
        words: words of 32 bits, the low one first.
    """

    name: str
    offset: int
    access: str
    meaning: str
    words: int = 1


REGISTERS = (
    Register("MAGIC", 0x00, "ro", "0x4857464C, `HWFL`: a design by hwflow answers"),
    Register("VERSION", 0x04, "ro", "version of this map: 0x00010000"),
    Register(
        "STRUCTURE", 0x08, "ro", "hash of all that cannot be written: only a network of the same structure fits", 2
    ),
    Register(
        "DESIGN",
        0x10,
        "rw",
        "hash of the design that the memories hold; who loads one writes it; 0: none, and no image begins",
        2,
    ),
    Register("CTRL", 0x18, "rw", "bit 0: images may begin; bit 1: tlast counts; bit 2, reads 0: clear the counters"),
    Register(
        "STATUS",
        0x1C,
        "w1c",
        "bit 0, read only: images are inside; bit 1: one was too short; bit 2: one was too long; bit 3, read only: "
        "DESIGN is 0",
    ),
    Register("CYCLES", 0x20, "ro", "clock cycles", 2),
    Register("IMAGES", 0x28, "ro", "results that have left"),
    Register("EARLY", 0x2C, "ro", "images that had too few beats"),
    Register("LATE", 0x30, "ro", "images that had too many beats"),
    Register("IN_STALLS", 0x34, "ro", "cycles in which the design let the source wait"),
    Register("IN_IDLE", 0x38, "ro", "cycles in which the source let the design wait"),
    Register("OUT_STALLS", 0x3C, "ro", "cycles in which the sink let the design wait"),
)
"""The registers, as ``hwflow_control`` has them. Counters of 32 bits wrap."""


@dataclass(frozen=True)
class Region:
    """One memory in the address space.

    Word i of the memory starts at ``base + i * stride``, its lowest 32 bits first.

    Attributes:
        layer: the layer's name, as the user gave it.
        kind: ``weight``, ``bias``; of designs to load ``rest``, ``table``, and ``constant`` of rescalings and limits;
            or ``errors``: counters of a decoder.
        base: address of its first byte, a multiple of all that it takes.
        words: of the memory.
        width: bits of such a word.
    """

    layer: str
    kind: str
    base: int
    words: int
    width: int

    @property
    def parts(self) -> int:
        """Accesses of 32 bits to a word."""
        return -(-self.width // BUS_BITS)

    @property
    def stride(self) -> int:
        """Bytes from a word to the next one, a power of two."""
        return 4 * _power(self.parts)

    @property
    def span(self) -> int:
        """Bytes of address space, a power of two."""
        return self.stride * _power(self.words)


@dataclass(frozen=True)
class AddressMap:
    """The address space of a design.

    Attributes:
        structure: hash of all that cannot be written, 16 hexadecimal digits.
        design: hash of the design that the memory images hold, the same.
        address_bits: bits of a byte address, without the one above, by which a write XORs.
        regions: the memories, in the order of the layers.
        errors: where layers whose code finds errors count words that were read with them: those corrected, and behind
            them those with errors that were not; a word counts as often as it is read.
    """

    structure: str
    design: str
    address_bits: int
    regions: tuple[Region, ...]
    errors: tuple[Region, ...]

    @property
    def inject(self) -> int:
        """What to add to an address to XOR into the word instead of writing it."""
        return 1 << self.address_bits

    def to_json(self) -> dict[str, Any]:
        """For ``rtl.json``."""
        regions, errors = (
            [{**asdict(region), "stride": region.stride} for region in found] for found in (self.regions, self.errors)
        )
        return {**asdict(self), "inject": self.inject, "regions": regions, "errors": errors}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> AddressMap:
        """What :meth:`to_json` gave."""
        regions, errors = (
            tuple(Region(**{key: item for key, item in region.items() if key != "stride"}) for region in data[name])
            for name in ("regions", "errors")
        )
        return cls(data["structure"], data["design"], data["address_bits"], regions, errors)


def address_map(graph: Graph, netlist: Netlist) -> AddressMap:
    """The address space of the design that a netlist makes of a typed graph."""
    regions, errors, bits = address_space(graph, netlist)
    structure = _structure(graph, netlist, (*regions, *errors))
    return AddressMap(structure, graph.digest[:16], bits, regions, errors)


def address_space(graph: Graph, netlist: Netlist) -> tuple[tuple[Region, ...], tuple[Region, ...], int]:
    """Where the memories are, where the counters of errors are, and the bits of a byte address."""
    codes = {instance.name: instance.parameters.get("CODE") for instance in netlist.instances}
    counted = [unit for unit in netlist.units if codes[unit.instance] in (SECDED, WORD)]
    placed = _place(
        [
            Region(unit.layer, kind, 0, *_shape(graph, unit, kind))
            for unit in netlist.units
            for kind in _kinds(netlist, unit)
        ]
        + [Region(unit.node, "constant", 0, unit.words, unit.lanes * unit.bits) for unit in netlist.constants]
        + [Region(unit.layer, "errors", 0, 2, BUS_BITS) for unit in counted]
    )
    end = max([4 * REGISTER_WORDS * 2, *(region.base + region.span for region in placed)])
    memories = len(placed) - len(counted)
    return placed[:memories], placed[memories:], (end - 1).bit_length()


def ring(netlist: Netlist, regions: Sequence[Region]) -> list[tuple[str, int, Region]]:
    """The cells of the configuration ring at memories: the prefix of a memory's signals, bits of its address, where."""
    wires = {unit.layer: unit.port for unit in netlist.units} | {unit.node: unit.port for unit in netlist.constants}
    return [(f"{wires[r.layer]}_{PORTS[r.kind]}", index_bits(r.words), r) for r in regions]


def wire_of(netlist: Netlist, errors: Region) -> tuple[str, int]:
    """Prefix of the signals that say what the decoders of a layer found, and how many decoders there are."""
    port = next(unit.port for unit in netlist.units if unit.layer == errors.layer)
    return port, netlist.signals[f"{port}_corrected"]


def _kinds(netlist: Netlist, unit: MatrixUnit) -> list[str]:
    """The memories of a layer that the bus reaches."""
    loaded = {"rest": unit.rest_file, "table": unit.table_file} if netlist.loadable else {}
    return ["weight", "bias", *(kind for kind, file in loaded.items() if file is not None)]


def _shape(graph: Graph, unit: MatrixUnit, kind: str) -> tuple[int, int]:
    layer = graph[unit.layer]
    assert isinstance(layer, WeightLayer)
    return memory_shape(layer, unit, kind)


def _place(regions: Sequence[Region]) -> tuple[Region, ...]:
    """Give every region an address, small ones first, so that little is left between them."""
    bases: dict[int, int] = {}
    end = 4 * REGISTER_WORDS
    for index in sorted(range(len(regions)), key=lambda i: regions[i].span):
        span = regions[index].span
        bases[index] = -(-end // span) * span
        end = bases[index] + span
    return tuple(replace(region, base=bases[i]) for i, region in enumerate(regions))


def _structure(graph: Graph, netlist: Netlist, regions: Sequence[Region]) -> str:
    """A hash of modules, parameters and streams, of where the memories are, and of what no access reaches."""
    fixed = []
    for unit in () if netlist.loadable else netlist.units:
        layer = graph[unit.layer]
        assert isinstance(layer, WeightLayer)
        files = {"rest": unit.rest_file, "table": unit.table_file}
        fixed.append([None if file is None else memory_words(layer, unit, kind) for kind, file in files.items()])
    fixed += [[rom_words(graph[rom.node], rom.kind)] for rom in netlist.roms if not rom.loadable]
    parts = [
        VERSION,
        [
            [i.module, i.name, _fixed_parameters(i), [s.name for s in i.inputs.values()], [s.name for s in i.outputs]]
            for i in netlist.instances
        ],
        [[s.name, str(s.type), s.lanes, s.beats] for s in (netlist.input, netlist.output)],
        [asdict(region) for region in regions],
        fixed,
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _fixed_parameters(instance: Instance) -> dict[str, Parameter]:
    """The parameters without constants that can be loaded, and without what no network depends on."""
    loaded = ("M", "LIMIT") if instance.parameters.get("LOADABLE") else ()
    return {name: value for name, value in instance.parameters.items() if name not in (*loaded, *_PART_PARAMETERS)}


def _power(count: int) -> int:
    """The least power of two that is not less."""
    return 1 << (count - 1).bit_length()
