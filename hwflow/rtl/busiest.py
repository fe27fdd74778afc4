"""What a design cannot be faster than: the cell that is busy for the most cycles of an image."""

from __future__ import annotations

from dataclasses import dataclass

from hwflow.rtl.structure import Instance, Netlist, Stream


@dataclass(frozen=True)
class Busiest:
    """What sets the pace of a design.

    Attributes:
        cycles: clock cycles an image.
        node: of the graph, as the user named it.
    """

    cycles: int
    node: str


def busiest(netlist: Netlist) -> Busiest:
    """The node that is busy for the most cycles of an image, the input by the beats that come in.

    A cell moves a beat a cycle, and a matrix unit replays each of its inputs for every fold of its outputs. Of equally
    busy nodes, the first one.
    """
    found = Busiest(netlist.input.beats, "the input")
    for cell in netlist.instances:
        cycles = busy_cycles(cell)
        if cycles > found.cycles:
            found = Busiest(cycles, cell.node)
    return found


def busy_cycles(cell: Instance) -> int:
    """Cycles of an image in which a cell moves or computes; 0 of cells without streams."""
    streams: list[Stream] = [*cell.inputs.values(), *cell.outputs]
    most = max((stream.beats for stream in streams), default=0)
    if cell.module == "hwflow_mvu":
        folds = int(cell.parameters["N_OUT"]) // int(cell.parameters["PE"])
        return max(most, next(iter(cell.inputs.values())).beats * folds)
    return most
