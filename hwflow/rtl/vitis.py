"""The Verilog that Vitis HLS makes of a hardened network's firmware, as a design that the bench can run and upset.

hls4ml declares the weights of its resource strategy, ``w[n]``, reshaped in ``n / D`` blocks, and pipelines over the D
words of a ROM: word i holds ``w[i]``, ``w[i + D]``, ... from the least significant bits up (``nnet_dense_resource.h``).
Of a layer that works channel by channel, a word holds consecutive weights. Vitis names the ROM's module after function
and array, but shortens names, and drops leading bits that are 0 in every word. So a memory is known by what it holds:
all of a layer's stored words, in such an order.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from hwflow.cost.packing import Packing
from hwflow.errors import HwflowError
from hwflow.faults import FaultList
from hwflow.fixed import FixedType
from hwflow.graph import Graph, WeightLayer
from hwflow.memory import layer_storage, stored_words
from hwflow.resources import render
from hwflow.rtl.verilog import InitialisedMemory, Module, instance_paths, read_modules
from hwflow.sim.design import METADATA
from hwflow.version import __version__

WRAPPER = "hwflow_vitis"
INSTANCE = "vitis"
CONTROL = {"ap_clk", "ap_start", "ap_done", "ap_idle", "ap_ready"}
"""Ports of ``ap_ctrl_hs``, beside the reset."""
EXPECTED = (
    "a top module with ap_clk, ap_rst or ap_rst_n, ap_start, ap_done, ap_idle, ap_ready, and either NAME_TDATA, "
    "_TVALID and _TREADY in and out (io_stream), or NAME in and NAME_0, NAME_0_ap_vld, ... out (io_parallel)"
)


@dataclass(frozen=True)
class VitisPort:
    """A tensor at the border of the top module.

    Attributes:
        name: prefix of its signals.
        type: of an element.
        slots: elements of a beat.
        slot_bits: bits that an element takes at the port.
        beats: beats of an image.
        shape: of an image.
        valid: whether an input has a signal ``ap_vld``.
    """

    name: str
    type: FixedType
    slots: int
    slot_bits: int
    beats: int
    shape: tuple[int, ...]
    valid: bool = False

    @property
    def bits(self) -> int:
        """Of an element."""
        return self.type.width

    @property
    def bus_bits(self) -> int:
        """Of the bench's stream, whole bytes."""
        return -(-self.slots * self.bits // 8) * 8

    def entry(self) -> dict[str, Any]:
        """As ``rtl.json`` has it."""
        shape = {"lanes": self.slots, "beats": self.beats, "bus_bits": self.bus_bits, "shape": list(self.shape)}
        return {"type": str(self.type), **shape}


@dataclass(frozen=True)
class WeightRom:
    """The memory of a layer's weights.

    Attributes:
        layer: name of the layer.
        path: names from the top module, with dots.
        rom: the memory.
        packing: where in it stored words are.
    """

    layer: str
    path: str
    rom: InitialisedMemory
    packing: Packing

    @property
    def missing(self) -> int:
        """Leading bits of every word that the memory lacks."""
        return self.packing.width - self.rom.width


@dataclass(frozen=True)
class VitisDesign:
    """A folder of Verilog, and where the network is in it.

    Attributes:
        folder: the folder.
        top: name of its top module.
        stream: whether its tensors are AXI4-Streams, not arrays.
        reset: name of the reset.
        input, output: its tensors.
        roms: the weights of every layer, in order.
    """

    folder: Path
    top: str
    stream: bool
    reset: str
    input: VitisPort
    output: VitisPort
    roms: tuple[WeightRom, ...]

    def present(self, faults: FaultList) -> FaultList:
        """The flips of a list whose bits the memories have.

        Raises:
            HwflowError: flips in a memory that there is none of, as biases, which hls4ml makes constants.
        """
        roms = {f"{rom.layer}.weight": rom for rom in self.roms}
        keep = np.ones(len(faults), dtype=bool)
        for index, memory in enumerate(faults.memories):
            mine = faults.memory == index
            if memory.name in roms:
                rom = roms[memory.name]
                _, position = rom.packing.place(faults.word, faults.bit.astype(np.int64))
                keep &= ~mine | (position < rom.rom.width)
            elif mine.any():
                raise HwflowError(f"{memory.name}: the Verilog has no such memory; hls4ml makes constants of biases")
        return replace(faults, memory=faults.memory[keep], word=faults.word[keep], bit=faults.bit[keep])

    def notes(self) -> list[str]:
        """What was found."""
        found = ", ".join(f"{rom.layer} in {INSTANCE}.{rom.path}" for rom in self.roms)
        missing = sum(rom.missing * rom.packing.depth for rom in self.roms)
        lost = (
            f"; {missing} leading bits that Vitis left out cannot flip, and faults there are dropped" if missing else ""
        )
        return [f"{self.folder}: {self.top}, weights of {found}{lost}"]


def open_vitis(folder: str | Path, graph: Graph) -> VitisDesign:
    """Find a hardened network in the Verilog of a folder.

    Raises:
        HwflowError: the folder has another layout, or other weights; what was found and what was expected.
    """
    path = Path(folder)
    if not path.is_dir():
        raise HwflowError(f"{path}: no such folder of Verilog")
    if graph.logits is not graph:
        raise HwflowError(
            f"{path}: the network ends in a softmax, whose tables Vitis keeps in ROMs as it does weights; leave it out"
        )
    modules = read_modules(path)
    top = _top(path, modules)
    ports = modules[top].ports
    reset = next((name for name in ("ap_rst_n", "ap_rst") if ports.get(name) == ("input", 1)), None)
    if reset is None or not ports.keys() >= CONTROL:
        raise _unknown(path, top, ports)
    tensors = _streams(path, top, ports, graph) or _arrays(path, top, ports, graph)
    roms = _weights(path, modules, top, graph)
    return VitisDesign(path, top, f"{tensors[0].name}_TDATA" in ports, reset, *tensors, roms)


@contextmanager
def vitis_project(design: VitisDesign, graph: Graph) -> Iterator[Path]:
    """A temporary RTL project of it, for :class:`hwflow.rtl.RtlExecutor`, as long as the block."""
    with TemporaryDirectory(prefix="hwflow-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        for file in (*design.folder.glob("*.v"), *design.folder.glob("*.dat")):
            (folder / file.name).symlink_to(file.resolve())
        values = {
            **vars(design),
            "wrapper": WRAPPER,
            "reset_value": "rst_ni" if design.reset == "ap_rst_n" else "!rst_ni",
        }
        (folder / f"{WRAPPER}.sv").write_text(render("top/hwflow_vitis.sv.j2", values))
        metadata = {
            "hwflow": __version__,
            "graph": graph.digest,
            "top": WRAPPER,
            "input": design.input.entry(),
            "output": design.output.entry(),
            "streams": [],
            # Nobody knows how long it takes; this is only when to give up.
            "serial_cycles": 8 * sum(int(np.prod(node.shape)) for node in graph)
            + 2 * sum(layer.vectors * layer.weight.size for layer in graph.weight_layers),
            "layers": [
                {
                    "layer": rom.layer,
                    "paths": {"weight": f"{INSTANCE}.{rom.path}"},
                    "memories": {"weight": asdict(rom.packing)},
                }
                for rom in design.roms
            ],
            "visible": {rom.rom.module: [rom.rom.array] for rom in design.roms},
        }
        (folder / METADATA).write_text(json.dumps(metadata, indent=2) + "\n")
        yield folder


def _top(folder: Path, modules: Mapping[str, Module]) -> str:
    used = {module for each in modules.values() for module, _ in each.instances(modules)}
    tops = [name for name, module in modules.items() if name not in used and "ap_start" in module.ports]
    if len(tops) != 1:
        found = ", ".join(tops) or ", ".join(sorted(modules.keys() - used))
        count = f"{len(tops) or 'no'} top modules with ap_start among {len(modules)}"
        raise HwflowError(f"{folder}: {count} ({found}); expected {EXPECTED}")
    return tops[0]


def _unknown(folder: Path, top: str, ports: Mapping[str, tuple[str, int]]) -> HwflowError:
    found = ", ".join(f"{name} ({way} {bits})" for name, (way, bits) in ports.items() if not name.startswith("ap_"))
    missing = ", ".join(sorted(CONTROL - ports.keys()))
    lacks = f"no {missing}; " if missing else ""
    return HwflowError(f"{folder}: {top} has {lacks}ports {found or 'of no data'}; expected {EXPECTED}")


def _streams(
    folder: Path, top: str, ports: Mapping[str, tuple[str, int]], graph: Graph
) -> tuple[VitisPort, VitisPort] | None:
    """Input and output of a module with two AXI4-Streams; none if it has no stream at all."""
    names = [name.removesuffix("_TDATA") for name in ports if name.endswith("_TDATA")]
    if not names:
        return None
    if len(names) != 2 or {ports[f"{name}_TDATA"][0] for name in names} != {"input", "output"}:
        raise _unknown(folder, top, ports)
    source, result = sorted(names, key=lambda name: ports[f"{name}_TDATA"][0])
    found = []
    for name, node in ((source, graph.input), (result, graph.output)):
        lanes, type_, bits = node.shape[-1], node.resolved, ports[f"{name}_TDATA"][1]
        # hls4ml has the last dimension in a beat. Elements are whole bytes, 1, 2, 4 and so on, or side by side.
        aligned = 8 << (-(-type_.width // 8) - 1).bit_length()
        packed = -(-lanes * type_.width // 8) * 8
        if bits not in (lanes * aligned, packed):
            raise HwflowError(
                f"{folder}: {name}_TDATA of {top} has {bits} bits; expected {lanes} elements of {type_}, "
                f"{lanes * aligned} bits, or {packed} without gaps"
            )
        slot = aligned if bits == lanes * aligned else type_.width
        found.append(VitisPort(name, type_, lanes, slot, int(np.prod(node.shape)) // lanes, node.shape))
    return found[0], found[1]


def _arrays(folder: Path, top: str, ports: Mapping[str, tuple[str, int]], graph: Graph) -> tuple[VitisPort, VitisPort]:
    """Input and output of a module whose tensors are arrays: the input one wide port, the output a port an element."""
    inputs, outputs = (int(np.prod(node.shape)) for node in (graph.input, graph.output))
    into, out = graph.input.resolved, graph.output.resolved
    wide = [
        name for name, port in ports.items() if port == ("input", inputs * into.width) and not name.startswith("ap_")
    ]
    first = [name for name, port in ports.items() if name.endswith("_0") and port == ("output", out.width)]
    if len(wide) != 1 or len(first) != 1:
        raise _unknown(folder, top, ports)
    result = first[0].removesuffix("_0")
    for index in range(outputs):
        each = f"{result}_{index}"
        if ports.get(each) != ("output", out.width) or ports.get(f"{each}_ap_vld") != ("output", 1):
            raise _unknown(folder, top, ports)
    return (
        VitisPort(wide[0], into, inputs, into.width, 1, graph.input.shape, f"{wide[0]}_ap_vld" in ports),
        VitisPort(result, out, outputs, out.width, 1, graph.output.shape),
    )


def _weights(folder: Path, modules: Mapping[str, Module], top: str, graph: Graph) -> tuple[WeightRom, ...]:
    roms = [rom for module in modules.values() for rom in module.memories()]
    if not roms:
        raise HwflowError(
            f"{folder}: none of {len(modules)} modules has an initialised memory; expected the weights of "
            f"{', '.join(layer.name for layer in graph.weight_layers)} in ROMs. With the latency strategy, or a reuse "
            "factor of 1, hls4ml makes constants of them, which cannot be upset"
        )
    return tuple(_rom(folder, modules, top, layer, roms) for layer in graph.weight_layers)


def _rom(
    folder: Path, modules: Mapping[str, Module], top: str, layer: WeightLayer, roms: Sequence[InitialisedMemory]
) -> WeightRom:
    bits, stored = layer_storage(layer, "weight").bits, stored_words(layer)
    found: list[tuple[InitialisedMemory, Packing]] = []
    for depth in sorted({len(rom.words) for rom in roms if len(stored) % len(rom.words) == 0}):
        lanes = len(stored) // depth
        # In blocks, as of dense layers and convolutions; one after the other, as of layers that work by channel.
        for packing in (Packing(depth, lanes, lanes, 1, bits), Packing(len(stored), 1, 1, lanes, bits)):
            words = tuple(packing.pack(stored))
            mine = [rom for rom in roms if rom.words == words and rom.width <= packing.width]
            found += [(rom, packing) for rom in mine if rom not in [each for each, _ in found]]
    paths = [
        (f"{path}.{rom.array}", rom, packing)
        for rom, packing in found
        for path in instance_paths(modules, top, rom.module)
    ]
    if len(paths) != 1:
        some = ", ".join(map(str, [rom for rom, _ in found] or roms))
        count = f"{len(paths)} memories have" if paths else "no memory has"
        raise HwflowError(
            f"{folder}: {count} the weights of {layer.name}; expected one with {len(stored)} of {bits} bits, word i "
            f"with weights i, i + depth, ... from the lowest bits up; found {some}"
        )
    path, rom, packing = paths[0]
    return WeightRom(layer.name, path, rom, packing)
