"""Writes the RTL project: leaf modules, the structural top level and the memory images."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hwflow import resources
from hwflow.cost import DEFAULT_PART
from hwflow.cost.packing import packing
from hwflow.graph import Graph, WeightLayer
from hwflow.reference.stimuli import Stimuli, random_stimuli
from hwflow.resources import render
from hwflow.rtl.address_map import AddressMap, Region, address_map, ring, wire_of
from hwflow.rtl.area import estimated
from hwflow.rtl.cycles import pace
from hwflow.rtl.folder import bus_bits, bus_bytes, write_folder
from hwflow.rtl.memory_image import memory_shape, memory_words, rom_words
from hwflow.rtl.netlist import build_netlist
from hwflow.rtl.pairs import with_pairs
from hwflow.rtl.placement import notes, places, with_memories
from hwflow.rtl.sizing import size_buffers
from hwflow.rtl.structure import Loadable, MatrixUnit, Netlist, Stream
from hwflow.sim.design import METADATA
from hwflow.sim.hexfile import write_hex
from hwflow.version import __version__

_INSTANCE = re.compile(r"^ *(hwflow_\w+) (?:#\(|\w+ \()", re.MULTILINE)


def generate(
    graph: Graph,
    output: Path,
    reuse: Mapping[str, int],
    *,
    part: str = DEFAULT_PART,
    stimuli: Stimuli | None = None,
    loadable: bool = False,
    uram: bool = False,
) -> dict[str, Any]:
    """Write the RTL of a typed graph into the new folder ``output``.

    The folder holds the leaf modules, the top level, which is named after the network, ``*.mem`` and ``rtl.json``,
    and what :mod:`hwflow.rtl.folder` adds. The RTL of a network that ends in a large softmax ends at its logits, see
    :attr:`hwflow.graph.Graph.in_rtl`.

    Args:
        graph: a typed graph.
        output: a folder that does not exist yet; its parent does.
        reuse: reuse factor of every weight layer.
        part: the FPGA for Vivado, whose multipliers may give two products each, see :mod:`hwflow.rtl.pairs`, and whose
            memories decide where weights lie, see :mod:`hwflow.rtl.placement`.
        stimuli: images of the folder's own test; by default random ones.
        loadable: outliers' rests, decoder tables and constants can be written over the bus, as weights can.
        uram: weights may lie in URAM, and have to be loaded then before the first image.

    Returns:
        The content of ``rtl.json``: graph digest, name of the top module, streams at the ports, and for every weight
        layer its fold and memories; notes; and for every cell an estimate of what it takes.

    Raises:
        HwflowError: an operation that the RTL lacks, or an invalid reuse factor.
    """
    unsized = with_pairs(build_netlist(graph, reuse, Loadable.asked(loadable)), part)
    addresses = address_map(graph, unsized)
    netlist, said = size_buffers(unsized)
    netlist = with_memories(graph.in_rtl, netlist, part, uram)
    output.mkdir()
    top = render_top(graph, netlist, addresses)
    copy_cells(instantiated(top), output)
    (output / f"{netlist.name}.sv").write_text(top)
    for unit in netlist.units:
        layer = _layer(graph, unit)
        files = {"weight": unit.weight_file, "bias": unit.bias_file, "rest": unit.rest_file, "table": unit.table_file}
        for kind, file in files.items():
            if file is not None:
                write_hex(output / file, memory_words(layer, unit, kind), memory_shape(layer, unit, kind)[1])
    for rom in netlist.roms:
        write_hex(output / rom.file, rom_words(graph[rom.node], rom.kind), rom.bits)
    metadata = {
        "hwflow": __version__,
        "graph": graph.digest,
        "top": netlist.name,
        "input": _port(netlist.input, graph.input.shape),
        "output": _port(netlist.output, graph.in_rtl.output.shape),
        "streams": _streams(netlist),
        "pace": None if (found := pace(netlist)) is None else asdict(found),
        "serial_cycles": _serial_cycles(graph, netlist, reuse),
        "layers": [
            {
                **asdict(unit),
                "reuse_factor": reuse[unit.layer],
                "vectors": _layer(graph, unit).vectors,
                "place": places(netlist)[unit.layer],
                "memories": {
                    kind: asdict(packing(_layer(graph, unit), kind, unit.pe, unit.simd)) for kind in ("weight", "bias")
                },
            }
            for unit in netlist.units
        ],
        "loadable": loadable,
        "addresses": addresses.to_json(),
        "notes": [*said, *notes(netlist, uram)],
        "cells": [cell.to_json() for cell in estimated(graph.in_rtl, netlist)],
    }
    (output / METADATA).write_text(json.dumps(metadata, indent=2) + "\n")
    write_folder(output, graph, netlist, addresses, reuse, part, stimuli or random_stimuli(graph))
    return metadata


def render_top(graph: Graph, netlist: Netlist, addresses: AddressMap) -> str:
    """SystemVerilog of the structural top level."""
    errors = [(*wire_of(netlist, region), region) for region in addresses.errors]
    return render(
        "top/hwflow_top.sv.j2",
        {
            "netlist": netlist,
            "version": __version__,
            "digest": graph.digest,
            "addresses": addresses,
            "ring": ring(netlist, addresses.regions),
            "unused": sorted(netlist.signals.keys() - _connected(netlist, errors)),
            "errors": errors,
            "bytes": bus_bytes,
        },
    )


def _connected(netlist: Netlist, errors: Sequence[tuple[str, int, Region]]) -> set[str]:
    """Signals that something reads: between cells, or to the counters of errors."""
    cells = [signal for instance in netlist.instances for signal in instance.signals.values()]
    counted = {f"{port}_{found}" for port, _, _ in errors for found in ("corrected", "uncorrectable")}
    return {signal for signal, count in Counter(cells).items() if count > 1} | counted


def copy_cells(used: Iterable[str], folder: Path) -> None:
    """Put the leaf modules that the modules ``used`` need into a folder."""
    for module in leaf_modules(used):
        shutil.copyfile(_cell(module), folder / f"{module}.sv")


def leaf_modules(used: Iterable[str]) -> list[str]:
    """The leaf modules that the modules ``used`` need, themselves included, in alphabetical order."""
    found: set[str] = set()
    ahead = set(used)
    while ahead:
        module = ahead.pop()
        found.add(module)
        ahead |= instantiated(_cell(module).read_text()) - found
    return sorted(found)


def instantiated(source: str) -> set[str]:
    """The cells of which there are instances in a module."""
    return set(_INSTANCE.findall(source))


def _cell(module: str) -> Path:
    return resources.folder("hls_templates") / "rtl" / f"{module}.sv"


def _layer(graph: Graph, unit: MatrixUnit) -> WeightLayer:
    layer = graph[unit.layer]
    assert isinstance(layer, WeightLayer)
    return layer


def _port(stream: Stream, shape: tuple[int, ...]) -> dict[str, Any]:
    return {
        "type": str(stream.type),
        "lanes": stream.lanes,
        "beats": stream.beats,
        "bus_bits": bus_bits(stream),
        "shape": list(shape),
    }


def _streams(netlist: Netlist) -> list[dict[str, str]]:
    """Every stream, in the order of the data, with the instances that it joins."""
    sources: dict[str, str] = {}
    targets: dict[str, str] = {}
    for instance in netlist.instances:
        who = f"layer {instance.node} ({instance.name})"
        sources |= {stream.name: who for stream in instance.outputs}
        targets |= {stream.name: who for stream in instance.inputs.values()}
    return [
        {
            "name": stream.name,
            "source": sources.get(stream.name, "port s_axis"),
            "target": targets.get(stream.name, "port m_axis"),
        }
        for stream in netlist.streams
    ]


def _serial_cycles(graph: Graph, netlist: Netlist, reuse: Mapping[str, int]) -> int:
    """Cycles of an image if never two layers were busy, nor two streams moved, at once; latencies come on top."""
    busy = sum(_layer(graph, unit).vectors * reuse[unit.layer] for unit in netlist.units)
    return busy + sum(stream.beats for stream in netlist.streams)
