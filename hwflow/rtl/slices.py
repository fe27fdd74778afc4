"""Register slices where the ready of a stream would pass many cells in one cycle, or go to many."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from hwflow.rtl.structure import Instance, Netlist, Stream

COMBINATIONAL = {
    "hwflow_add",
    "hwflow_border",
    "hwflow_concat",
    "hwflow_fork",
    "hwflow_relu",
    "hwflow_repeat",
    "hwflow_width",
}
"""Cells whose input is ready if their output is, in the same cycle; all others keep it in registers."""
MOST = 1
"""Such cells one after the other."""
FORK = "hwflow_fork"
"""Its outputs have a slice each: what takes them may lie far apart, and far from what gives them."""


def with_slices(netlist: Netlist, unique: Callable[[str], str]) -> Netlist:
    """The design with a ``hwflow_slice`` wherever more than ``MOST`` cells would pass ready on one after the other.

    Every output of a fork has one, too.

    Args:
        netlist: a design whose instances stand in the order of its streams.
        unique: a name that is not taken yet, from one that may be.
    """
    passed: dict[str, int] = {}
    instances: list[Instance] = []
    sliced: dict[str, Stream] = {}
    for cell in reversed(netlist.instances):
        if cell.module not in COMBINATIONAL:
            instances.append(cell)
            continue
        for stream in cell.outputs:
            if cell.module == FORK or passed.get(stream.name, 0) == MOST:
                sliced[stream.name] = replace(stream, name=unique(f"{stream.name}_slice"))
                passed[stream.name] = 0
                instances.append(_slice(cell.node, stream, sliced[stream.name], unique))
        depth = 1 + max(passed.get(stream.name, 0) for stream in cell.outputs)
        passed |= {stream.name: depth for stream in cell.inputs.values()}
        instances.append(cell)
    cells = [cell if cell.module == "hwflow_slice" else _reading(cell, sliced) for cell in reversed(instances)]
    streams = [each for stream in netlist.streams for each in (stream, sliced.get(stream.name)) if each is not None]
    return replace(netlist, streams=streams, instances=cells)


def _slice(node: str, source: Stream, out: Stream, unique: Callable[[str], str]) -> Instance:
    name = unique(f"u{out.name.removeprefix('s')}")
    return Instance("hwflow_slice", name, node, {"WIDTH": source.width}, {"s": source}, (out,))


def _reading(cell: Instance, sliced: dict[str, Stream]) -> Instance:
    """The cell with the streams behind slices instead of those before."""
    return replace(cell, inputs={port: sliced.get(stream.name, stream) for port, stream in cell.inputs.items()})
