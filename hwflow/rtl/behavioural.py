"""A project whose RTL is a shell around hls4ml's C++: a design's ports, control and memories, the firmware in between.

The shell is the top level of the design with one cell in the place of all layers. Its weight and bias memories have the
names, words and images that they have in the design, so that whatever reads, loads or flips them does not see a
difference; at the end of every image their words go to the C++. It is behavioural: its clock cycles say nothing.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from hwflow import resources
from hwflow.cost.packing import packing
from hwflow.errors import HwflowError
from hwflow.firmware.csim import CsimExecutor
from hwflow.firmware.project import FirmwareProject
from hwflow.graph import Graph, WeightLayer
from hwflow.rtl.address_map import AddressMap
from hwflow.rtl.cells import image
from hwflow.rtl.decoders import Parameter
from hwflow.rtl.netlist import build_netlist
from hwflow.rtl.project import copy_cells, instantiated, render_top
from hwflow.rtl.structure import Instance, MatrixUnit, Netlist
from hwflow.sim.design import METADATA

CELLS = ("hwflow_firmware", "hwflow_firmware_weights")
"""In the folder ``sim``, beside the C++ that joins the first one to the firmware's."""
TAKE = "firmware_take"
"""Signal that has the memories hand their words over; streams, instances and wires of layers have other prefixes."""


def check_behavioural(graph: Graph, simulator: str) -> None:
    """Refuse a network, or a simulator, with which there can be no such project.

    Raises:
        HwflowError: the RTL ends before the network does, or the simulator has no DPI.
    """
    if simulator == "icarus":
        raise HwflowError("--dut firmware calls C++ over DPI, which Icarus does not have; simulate it in Verilator")
    if graph.in_rtl is not graph:
        raise HwflowError(
            f"{graph.output.name}: --dut firmware cannot be simulated, as the firmware ends with this softmax and the "
            "RTL with the logits before it; compare the firmware with --csim"
        )


@contextmanager
def behavioural_project(rtl: Path, firmware: Path, graph: Graph) -> Iterator[Path]:
    """A temporary RTL project of the shell, as long as the block; Verilator alone can build it.

    Args:
        rtl: the design's own RTL project.
        firmware: the design's Vitis project, whose C++ is compiled unless that is done.
        graph: what both were made from; see :func:`check_behavioural`.

    Raises:
        HwflowError: the firmware is not what the RTL is, or cannot be put in its place; or it cannot be compiled.
    """
    design = json.loads((rtl / METADATA).read_text())
    if design["loadable"]:
        raise HwflowError(
            f"{rtl}: generated with --loadable, but rests, tables and constants are fixed in the firmware's C++; "
            "generate without it, or leave out --project"
        )
    simulation = CsimExecutor(firmware, graph)
    library = simulation.build()
    reuse = {unit["layer"]: unit["reuse_factor"] for unit in design["layers"]}
    netlist = _shell(build_netlist(graph, reuse), graph, simulation.project)
    with TemporaryDirectory(prefix="hwflow-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        top = render_top(graph, netlist, AddressMap.from_json(design["addresses"]))
        (folder / f"{netlist.name}.sv").write_text(top)
        copy_cells([*instantiated(top) - set(CELLS), "hwflow_weight_mem"], folder)
        for name in (*(f"{cell}.sv" for cell in CELLS), "hwflow_firmware.cpp"):
            shutil.copyfile(resources.folder("sim") / name, folder / name)
        for file in rtl.glob("*.mem"):
            (folder / file.name).symlink_to(file.resolve())
        (folder / "firmware.so").symlink_to(library)
        (folder / "weights").symlink_to((firmware / "firmware" / "weights").resolve())
        cycles = design["input"]["beats"] + design["output"]["beats"]
        metadata = design | {"streams": [], "serial_cycles": cycles, "behavioural": True}
        (folder / METADATA).write_text(json.dumps(metadata, indent=2) + "\n")
        yield folder


def _shell(netlist: Netlist, graph: Graph, project: FirmwareProject) -> Netlist:
    """The design with the firmware in the place of its layers."""
    cells = {cell.name: cell for cell in netlist.instances}
    memories = [_memories(graph, unit, cells[unit.instance], project) for unit in netlist.units]
    source, result = netlist.input, netlist.output
    parameters: dict[str, Parameter] = {
        "IN_LANES": source.lanes,
        "IN_W": source.type.width,
        "IN_SIGNED": int(source.type.signed),
        "IN_BEATS": source.beats,
        "OUT_LANES": result.lanes,
        "OUT_W": result.type.width,
        "OUT_BEATS": math.prod(graph.output.shape) // result.lanes,
    }
    firmware = Instance(CELLS[0], CELLS[0], graph.name, parameters, {"s": source}, (result,), {"take_o": TAKE})
    used = {signal for cell in memories for signal in cell.signals.values()}
    signals = {TAKE: 1} | {name: bits for name, bits in netlist.signals.items() if name in used}
    return replace(netlist, streams=[source, result], signals=signals, instances=[*memories, firmware])


def _memories(graph: Graph, unit: MatrixUnit, cell: Instance, project: FirmwareProject) -> Instance:
    """What holds a layer's memories in the shell, with the same second ports."""
    layer = graph[unit.layer]
    assert isinstance(layer, WeightLayer)
    weight, bias = (packing(layer, kind, unit.pe, unit.simd) for kind in ("weight", "bias"))
    arrays = [project.memories[f"{layer.name}.{kind}"] for kind in ("weight", "bias")]
    for array, layout in zip(arrays, (weight, bias), strict=True):
        if array.size != layout.depth * layout.pe * layout.words:
            raise HwflowError(
                f"{layer.name}: {array.symbol} of the firmware has {array.size} words, and the memory of the RTL "
                f"{layout.depth * layout.pe * layout.words}; generate the project again"
            )
    parameters: Mapping[str, Parameter] = {
        "WEIGHTS": f'"{arrays[0].symbol}"',
        "BIASES": f'"{arrays[1].symbol}"',
        "PE": weight.pe,
        "WORDS": weight.words,
        "WORD_W": weight.bits,
        "ROW": weight.depth * weight.pe // weight.n_out,
        "DEPTH": weight.depth,
        "B_PE": bias.pe,
        "B_W": bias.bits,
        "B_DEPTH": bias.depth,
        "WEIGHT_FILE": image(unit.weight_file),
        "BIAS_FILE": image(unit.bias_file),
    }
    ports = ("wb_", "bb_", "corrected_o", "uncorrectable_o")
    signals = {port: signal for port, signal in cell.signals.items() if port.startswith(ports)}
    return Instance(CELLS[1], cell.name, layer.name, parameters, {}, (), signals | {"take_i": TAKE})
