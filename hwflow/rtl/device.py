"""A design on a board, or in a simulator, through its AXI4-Lite port: load, read back, scrub, inject, count."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from hwflow.cost.packing import Packing, packing
from hwflow.errors import HwflowError
from hwflow.faults import FaultList
from hwflow.graph import Graph, Lookup, ReLU, Rescale, WeightLayer
from hwflow.memory import WordCounts, check_faults, layer_storage
from hwflow.rtl.address_map import BUS_BITS, MAGIC, REGISTERS, VERSION, AddressMap, Region, address_map
from hwflow.rtl.memory_image import constant_words, memory_words
from hwflow.rtl.netlist import build_netlist
from hwflow.rtl.structure import ConstantUnit, Loadable, MatrixUnit, RestRoom

OFFSETS: Mapping[str, int] = {register.name: register.offset for register in REGISTERS}
MASK = (1 << BUS_BITS) - 1
ENABLE, CHECK, CLEAR = 1, 2, 4
"""Bits of CTRL."""
BUSY, EARLY, LATE, EMPTY = 1, 2, 4, 8
"""Bits of STATUS."""
MEMORIES = ("weight", "bias")
"""Kinds of memories that fault lists name and storage codes protect."""


class Bus(Protocol):
    """Accesses of 32 bits to the port, by byte address from its start; refused ones raise an exception."""

    def read32(self, address: int) -> int:
        """The word at an address."""
        ...

    def write32(self, address: int, value: int) -> None:
        """Write a word."""
        ...


@dataclass(frozen=True)
class Counters:
    """What a design has counted since it was reset, or since the counters were cleared.

    Attributes:
        cycles: clock cycles.
        images: results that have left.
        early, late: images that had too few or too many beats.
        in_stalls: cycles in which the design let the source wait.
        in_idle: cycles in which the source let the design wait.
        out_stalls: cycles in which the sink let the design wait.
    """

    cycles: int
    images: int
    early: int
    late: int
    in_stalls: int
    in_idle: int
    out_stalls: int


class Device:
    """A design behind a bus.

    Args:
        bus: of the board or the simulator.
        project: the RTL project that the design was made from.
        graph: the design whose weights the memories hold, or are to hold: after :meth:`load` the one loaded.

    Raises:
        HwflowError: no such project; what answers is not its design; or the graph is of another structure.
    """

    def __init__(self, bus: Bus, project: Path, graph: Graph) -> None:
        try:
            metadata: dict[str, Any] = json.loads((project / "rtl.json").read_text())
            self.addresses = AddressMap.from_json(metadata["addresses"])
        except (OSError, ValueError, KeyError) as error:
            raise HwflowError(f"{project}: no RTL project with an address map; run hwflow generate") from error
        self.bus = bus
        self._reuse = {unit["layer"]: unit["reuse_factor"] for unit in metadata["layers"]}
        rests = {unit["layer"]: RestRoom(**unit["rests"]) for unit in metadata["layers"] if unit["rests"] is not None}
        self._loadable = Loadable(rests) if metadata["loadable"] else None
        self._units: dict[str, MatrixUnit] = {}
        self._constants: dict[str, ConstantUnit] = {}
        self._check_identity(project)
        self._check_structure(graph)
        self.graph = graph

    @property
    def design(self) -> str:
        """Hash of the design that the memories hold, as the last :meth:`load` named it: 16 hexadecimal digits.

        All are 0 if they hold none: weights in URAM are not part of a bitstream, and no image begins before a load.
        """
        return f"{self._read64('DESIGN'):016x}"

    @property
    def busy(self) -> bool:
        """Whether images are inside."""
        return bool(self.read("STATUS") & BUSY)

    @property
    def empty(self) -> bool:
        """Whether the memories hold no design, so that no image begins before :meth:`load`."""
        return bool(self.read("STATUS") & EMPTY)

    def read(self, register: str) -> int:
        """The low 32 bits of a register."""
        return self.bus.read32(OFFSETS[register])

    def write(self, register: str, value: int) -> None:
        """Write the low 32 bits of a register."""
        self.bus.write32(OFFSETS[register], value)

    def enable(self, on: bool = True) -> None:
        """Let images begin, or not."""
        control = self.read("CTRL")
        self.write("CTRL", control | ENABLE if on else control & ~ENABLE)

    def clear(self) -> None:
        """Clear the counters, and what STATUS remembers."""
        self.write("CTRL", self.read("CTRL") | CLEAR)
        self.write("STATUS", EARLY | LATE)
        for region in self.addresses.errors:
            for half in range(2):
                self.bus.write32(region.base + half * region.stride, 0)

    def errors(self) -> dict[str, WordCounts]:
        """Stored words that were read with errors, by layer, of layers whose code finds any.

        A word counts as often as it is read, in every image and for every position; ``silent`` is always 0.
        """
        return {
            region.layer: WordCounts(self.bus.read32(region.base), self.bus.read32(region.base + region.stride))
            for region in self.addresses.errors
        }

    def counters(self) -> Counters:
        """What was counted."""
        names = ("IMAGES", "EARLY", "LATE", "IN_STALLS", "IN_IDLE", "OUT_STALLS")
        return Counters(self._read64("CYCLES"), *map(self.read, names))

    @contextmanager
    def paused(self, timeout: float = 10.0) -> Iterator[None]:
        """No image is inside, and none begins.

        Raises:
            HwflowError: images are still inside after ``timeout`` seconds.
        """
        control = self.read("CTRL")
        self.write("CTRL", control & ~ENABLE)
        try:
            end = time.monotonic() + timeout
            while self.busy:
                if time.monotonic() > end:
                    raise HwflowError(
                        f"images are still inside the design after {timeout:g} s; is its output taken, "
                        "and did the image that is coming in end?"
                    )
            yield
        finally:
            self.write("CTRL", control)

    def load(self, graph: Graph) -> None:
        """Write all memories of a design of the same structure; no image runs meanwhile.

        DESIGN is 0 until all is written: after a load that failed no image begins.

        Raises:
            HwflowError: a design of another structure, or images that do not leave.
        """
        self._check_structure(graph)
        with self.paused():
            self._write_design(0)
            for region in self.addresses.regions:
                self._write_region(region, self._image(graph, region))
            self._write_design(int(graph.digest[:16], 16))
        self.graph = graph

    def read_back(self) -> dict[tuple[str, str], list[int]]:
        """The words of all memories, by layer and kind."""
        return {(region.layer, region.kind): self._read_region(region) for region in self.addresses.regions}

    def differing(self) -> int:
        """Words that are not those of the design."""
        pairs = ((self._read_region(region), self._image(self.graph, region)) for region in self.addresses.regions)
        return sum(word != other for words, image in pairs for word, other in zip(words, image, strict=True))

    def restore(self) -> int:
        """Write the design's words where the memories have others; how many these were."""
        count = 0
        for region in self.addresses.regions:
            image = self._image(self.graph, region)
            count += self._write_changes(region, self._read_region(region), image)
        return count

    def scrub(self) -> WordCounts:
        """Write back what the storage codes make of the stored words, without the design's own.

        A word with an error that its code detects and cannot correct is left as it is. Memories without check bits
        are not scrubbed; :meth:`restore` heals them.

        Returns:
            Words that were corrected, and that could not be; ``silent`` is always 0.
        """
        total = WordCounts()
        for region in self.addresses.regions:
            if region.kind not in MEMORIES:
                continue
            layer, layout = self._memory(self.graph, region)
            code = layer_storage(layer, region.kind)
            before = self._read_region(region)
            stored = layout.unpack(before)
            lost = code.detected(stored)
            healed = np.where(lost[:, None], stored, code.encode(code.decode(stored)))
            changed = int(np.count_nonzero((healed != stored).any(axis=1)))
            self._write_changes(region, before, layout.pack(healed))
            total += WordCounts(corrected=changed, detected=int(np.count_nonzero(lost)))
        return total

    def inject(self, faults: FaultList) -> None:
        """Flip the stored bits that a fault list names.

        Raises:
            HwflowError: faults of another design.
        """
        check_faults(self.graph, faults)
        regions = {f"{region.layer}.{region.kind}": region for region in self.addresses.regions}
        for memory in faults.memories:
            region = regions[memory.name]
            words, bits = faults.for_memory(memory.name)
            _, layout = self._memory(self.graph, region)
            masks: dict[int, int] = {}
            for word, bit in zip(*layout.place(words, bits.astype(np.int64)), strict=True):
                part, place = divmod(int(bit), BUS_BITS)
                address = region.base + int(word) * region.stride + 4 * part
                masks[address] = masks.get(address, 0) ^ 1 << place
            for address, mask in sorted(masks.items()):
                self.bus.write32(self.addresses.inject + address, mask)

    def flip(self, layer: str, kind: str, word: int, bit: int) -> None:
        """Flip a bit of a word of any memory, that of outliers' rests, decoder tables and constants included.

        Args:
            layer, kind: of the memory, as :attr:`addresses` names it.
            word, bit: of the hardware's memory.

        Raises:
            HwflowError: there is no such bit.
        """
        found = [region for region in self.addresses.regions if (region.layer, region.kind) == (layer, kind)]
        if not found or not (0 <= word < found[0].words and 0 <= bit < found[0].width):
            raise HwflowError(f"the design has no bit {bit} of word {word} of a memory {layer}.{kind}")
        part, place = divmod(bit, BUS_BITS)
        address = found[0].base + word * found[0].stride + 4 * part
        self.bus.write32(self.addresses.inject + address, 1 << place)

    def _check_identity(self, project: Path) -> None:
        magic, version = self.read("MAGIC"), self.read("VERSION")
        if (magic, version) != (MAGIC, VERSION):
            raise HwflowError(
                f"no design by hwflow at this address: it answers {magic:#010x}, version {version:#010x}, instead of "
                f"{MAGIC:#010x}, version {VERSION:#010x}"
            )
        structure = f"{self._read64('STRUCTURE'):016x}"
        if structure != self.addresses.structure:
            raise HwflowError(
                f"{project}: the design on the bus has structure {structure}, this project {self.addresses.structure}; "
                "build the bitstream from this project, or open that of the bitstream"
            )

    def _check_structure(self, graph: Graph) -> None:
        layers = {layer.name for layer in graph.logits.weight_layers}
        if layers != self._reuse.keys():
            raise HwflowError(
                f"a design with other layers ({_names(layers ^ self._reuse.keys())}); generate and build it"
            )
        netlist = build_netlist(graph, self._reuse, self._loadable)
        structure = address_map(graph, netlist).structure
        if structure != self.addresses.structure:
            fixed = "" if self._loadable else ", outliers, tables or constants"
            raise HwflowError(
                f"a design of another structure: shapes, types, storage codes{fixed} are not those of the hardware "
                f"(structure {structure}, not {self.addresses.structure}); generate and build it"
            )
        self._units = {unit.layer: unit for unit in netlist.units}
        self._constants = {unit.node: unit for unit in netlist.constants}

    def _memory(self, graph: Graph, region: Region) -> tuple[WeightLayer, Packing]:
        layer = graph[region.layer]
        assert isinstance(layer, WeightLayer)
        unit = self._units[region.layer]
        return layer, packing(layer, region.kind, unit.pe, unit.simd)

    def _image(self, graph: Graph, region: Region) -> list[int]:
        node = graph[region.layer]
        if isinstance(node, WeightLayer):
            return memory_words(node, self._units[region.layer], region.kind)
        assert isinstance(node, Rescale | ReLU | Lookup)
        return constant_words(node, self._constants[region.layer])

    def _write_design(self, design: int) -> None:
        for half in range(2):
            self.bus.write32(OFFSETS["DESIGN"] + 4 * half, design >> BUS_BITS * half & MASK)

    def _read64(self, register: str) -> int:
        """A register of 64 bits, which may count on between its halves."""
        high = self.bus.read32(OFFSETS[register] + 4)
        while True:
            low, again = self.bus.read32(OFFSETS[register]), self.bus.read32(OFFSETS[register] + 4)
            if again == high:
                return high << BUS_BITS | low
            high = again

    def _read_region(self, region: Region) -> list[int]:
        return [
            sum(
                self.bus.read32(region.base + word * region.stride + 4 * part) << BUS_BITS * part
                for part in range(region.parts)
            )
            for word in range(region.words)
        ]

    def _write_region(self, region: Region, words: Sequence[int]) -> None:
        for index, word in enumerate(words):
            for part in range(region.parts):
                self.bus.write32(region.base + index * region.stride + 4 * part, word >> BUS_BITS * part & MASK)

    def _write_changes(self, region: Region, before: Sequence[int], after: Sequence[int]) -> int:
        """Write the 32 bits that differ; in how many words they do."""
        count = 0
        for index, (old, new) in enumerate(zip(before, after, strict=True)):
            count += old != new
            for part in range(region.parts):
                value = new >> BUS_BITS * part & MASK
                if old >> BUS_BITS * part & MASK != value:
                    self.bus.write32(region.base + index * region.stride + 4 * part, value)
        return count


def _names(layers: set[str]) -> str:
    return ", ".join(sorted(layers))
