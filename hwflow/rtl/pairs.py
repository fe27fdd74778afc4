"""Two products in one multiplier, where a part's multipliers are wide enough."""

from __future__ import annotations

from dataclasses import replace

from hwflow.cost.pairs import fit_in_pairs
from hwflow.cost.parts import find_part
from hwflow.rtl.structure import Instance, Netlist

FAMILIES = ("xcu", "xcup")
"""Families of parts with DSP48E2, which multiply 27 by 18 bits."""


def with_pairs(netlist: Netlist, part: str) -> Netlist:
    """The design with ``PAIRS`` 1 in every ``hwflow_mvu`` with an even PE and codes that are narrow enough.

    Args:
        netlist: a design.
        part: the FPGA that it is for, with or without package and speed grade; one that is not known stays as it is.
    """
    known = find_part(part)
    if known is None or known.family not in FAMILIES:
        return netlist
    cells = [
        replace(cell, parameters={**cell.parameters, "PAIRS": 1}) if _has_pairs(cell) else cell
        for cell in netlist.instances
    ]
    return replace(netlist, instances=cells)


def _has_pairs(cell: Instance) -> bool:
    if cell.module != "hwflow_mvu":
        return False
    values = {name: value for name, value in cell.parameters.items() if isinstance(value, int)}
    weight = values.get("EFFECT_W", values["W_W"])
    return values["PE"] % 2 == 0 and fit_in_pairs(weight, values["X_W"], bool(values["X_SIGNED"]))
