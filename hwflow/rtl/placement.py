"""Which weight memories lie in LUTs, in block RAM and in URAM of a part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hwflow.cost.area import Area, total
from hwflow.cost.cells import weight_memory
from hwflow.cost.estimate import estimate
from hwflow.cost.memories import DEEPEST_LUT_RAM, place
from hwflow.cost.model import Values
from hwflow.cost.parts import FILL, find_part
from hwflow.errors import HwflowError
from hwflow.graph import Graph
from hwflow.rtl.area import WEIGHTS, estimated
from hwflow.rtl.structure import STYLE, ULTRA, Instance, Netlist

NAMES: Mapping[str, str] = {"block": "block RAM", "distributed": "LUTs", ULTRA: "URAM"}
"""What people call the styles."""


def with_memories(graph: Graph, netlist: Netlist, part: str, uram: bool = False) -> Netlist:
    """The design with weight memories in LUTs or URAM where block RAM is too small for all of them.

    Small memories are in LUTs already. Of the others as many move as it takes until the estimate is below 80 % of the
    part's block RAM, or below all of it if that cannot be, see :func:`hwflow.cost.memories.place`; if not even that can
    be, none does.

    Args:
        graph: the typed graph, up to its logits.
        netlist: what was made of it.
        part: the FPGA, with or without package and speed grade; of one that is not known nothing moves.
        uram: whether memories may lie in URAM, whose content a bitstream does not set.
    """
    known = find_part(part)
    if known is None or not known.is_estimated:
        return netlist
    memories = {cell.name: _options(cell, uram) for cell in netlist.instances if cell.module == WEIGHTS}
    rest = total(cell.area for cell in estimated(graph, netlist))
    for options in memories.values():
        rest -= next(iter(options.values()))
    for fill in (FILL, 1):
        places = place(memories, rest, known.share(fill))
        if places is not None:
            cells = netlist.instances
            placed = [replace(c, parameters=_placed(c, places[c.name])) if c.name in places else c for c in cells]
            return replace(netlist, instances=placed)
    return netlist


def check_uram(part: str | None) -> None:
    """Refuse URAM where there is none.

    Raises:
        HwflowError: no part is named, its resources are not known, or it has no URAM.
    """
    if part is None:
        raise HwflowError("--uram needs --part: how much block RAM there is decides what goes into URAM")
    known = find_part(part)
    if known is None:
        raise HwflowError(f"--uram: resources of {part} are not known; leave out --uram, or name a part that is known")
    if not known.area.uram:
        raise HwflowError(f"--uram: {known.name} has no URAM; leave out --uram, or choose a part that has some")


def places(netlist: Netlist) -> dict[str, str]:
    """Where the weights of every layer lie, as people call it."""
    return {layer: NAMES[style] for layer, style in netlist.styles.items()}


def notes(netlist: Netlist, uram: bool) -> list[str]:
    """What URAM means for the user, if it was asked for."""
    if netlist.empty:
        layers = ", ".join(netlist.empty)
        return [
            f"weights in URAM ({layers}) are not part of a bitstream: no image begins until hwflow.rtl.Device.load, or "
            "whoever is on the bus, has written them; see docs/registers.md"
        ]
    return ["no weights are in URAM: block RAM suffices, or URAM would not do"] if uram else []


def _options(cell: Instance, uram: bool) -> dict[str, Area]:
    """What a layer's memories take, by the style of that of the weights; the present one first."""
    styles = [cell.style]
    if cell.style == "block":
        shallow = weight_memory(Values(cell.parameters)).words <= DEEPEST_LUT_RAM
        styles += [*(["distributed"] if shallow else []), *([ULTRA] if uram else [])]
    return {style: estimate(cell.module, _placed(cell, style)) for style in styles}


def _placed(cell: Instance, style: str) -> dict[str, int | str]:
    parameters = {name: value for name, value in cell.parameters.items() if name != STYLE}
    if style != "block":
        parameters[STYLE] = f'"{style}"'
    if style == ULTRA:
        parameters["PRELOADED"] = "PRELOADED"
    return parameters
