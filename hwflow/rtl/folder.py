"""What stands beside the sources of an RTL project: README, file lists, simulation, and scripts of other tools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from hwflow import resources
from hwflow.cost.layers import layer_costs
from hwflow.fixed import FixedType
from hwflow.graph import Graph, IntArray
from hwflow.reference import IntegerExecutor
from hwflow.reference.stimuli import Stimuli
from hwflow.resources import markdown, render
from hwflow.rtl.address_map import REGISTERS, AddressMap
from hwflow.rtl.c_header import render_c_header
from hwflow.rtl.placement import places
from hwflow.rtl.structure import Netlist, Stream
from hwflow.sim.hexfile import write_hex
from hwflow.version import __version__

VENDOR = "hwflow:networks"
"""Vendor and library of a network's FuseSoC core."""


def write_folder(
    folder: Path,
    graph: Graph,
    netlist: Netlist,
    addresses: AddressMap,
    reuse: Mapping[str, int],
    part: str,
    stimuli: Stimuli,
) -> None:
    """Write all that an RTL project has beside its sources and memory images, which are in ``folder``.

    Args:
        folder: of the project.
        graph: the typed graph.
        netlist: what was made of it.
        addresses: of its AXI4-Lite port.
        reuse: reuse factor of every weight layer.
        part: the FPGA for Vivado.
        stimuli: images of the folder's own test; what they must give is computed here.
    """
    top = netlist.name
    values = {
        "top": top,
        "title": markdown(graph.name) if graph.name.isprintable() and graph.name.strip() else top,
        "version": __version__,
        "digest": graph.digest,
        "core_version": __version__,
        "core_name": f"{VENDOR}:{top}",
        "part": part,
        "sources": [*sorted(path.name for path in folder.glob("*.sv") if path.stem != top), f"{top}.sv"],
        "memories": sorted(path.name for path in folder.glob("*.mem")),
        "netlist": netlist,
        "addresses": addresses,
        "registers": REGISTERS,
        "bytes": bus_bytes,
        "names": {region.layer: markdown(region.layer) for region in addresses.regions},
        "costs": layer_costs(graph, reuse),
        "places": places(netlist),
        "input_shape": " x ".join(map(str, graph.input.shape)),
        "output_size": netlist.output.beats * netlist.output.lanes,
        "ends_at_logits": graph.in_rtl is not graph,
        "source": markdown(stimuli.source),
    }
    templates = resources.folder("hls_templates") / "project" / "rtl"
    own_names = {"network.core": f"{top}.core", "constraints.xdc": f"{top}.xdc"}
    for template in sorted(templates.rglob("*.j2")):
        path = folder / template.relative_to(templates).with_name(own_names.get(template.stem, template.stem))
        path.parent.mkdir(exist_ok=True)
        path.write_text(render(f"project/rtl/{template.relative_to(templates).as_posix()}", values), encoding="utf-8")
    (folder / f"{top}.h").write_text(render_c_header(addresses, top, netlist.empty), encoding="utf-8")
    logits = IntegerExecutor(graph.in_rtl).run(stimuli.codes)
    for name, stream, codes in (("inputs", netlist.input, stimuli.codes), ("outputs", netlist.output, logits)):
        write_hex(folder / "sim" / f"{name}.mem", beats(codes, stream.type, stream.lanes), bus_bits(stream))


def beats(codes: IntArray, type_: FixedType, lanes: int) -> list[int]:
    """Codes as the words of a stream, ``lanes`` of them a beat, the first in the lowest bits."""
    width = type_.width
    rows: Sequence[Sequence[int]] = (codes & ((1 << width) - 1)).reshape(-1, lanes).tolist()
    return [sum(code << (lane * width) for lane, code in enumerate(row)) for row in rows]


def bus_bytes(bits: int) -> int:
    """Bytes of an AXI4-Stream bus that carries ``bits``."""
    return -(-bits // 8)


def bus_bits(stream: Stream) -> int:
    """Bits of the bus at a port of the design."""
    return bus_bytes(stream.width) * 8
