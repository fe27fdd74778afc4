"""FPGAs and their resources, from their data sheets."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from hwflow.cost.area import Area

TABLE = "parts.csv"
"""Beside this module; ``source`` is the vendor's number of the data sheet."""
FILL = 0.8
"""Share of every resource of a part that a design may take that is made for it: a full one cannot be routed."""
UNESTIMATED = "ecp5"
"""Of the families of parts, the one whose LUTs and memories are others than those of the estimate."""
NAMES = ("LUTs", "flip-flops", "DSPs", "block RAMs", "URAMs")
"""Of the resources of an :class:`~hwflow.cost.area.Area`, in its order."""


@dataclass(frozen=True)
class Part:
    """An FPGA.

    Attributes:
        name: its name, without package and speed grade, in small letters.
        family: what Yosys calls its family: ``xcup``, ``xcu``, ``xc7`` or ``ecp5``.
        area: what it has.
        source: number of the data sheet.
    """

    name: str
    family: str
    area: Area
    source: str

    @property
    def is_estimated(self) -> bool:
        """Whether the estimate is for its family."""
        return self.family != UNESTIMATED

    def share(self, fill: float) -> Area:
        """A share of every resource."""
        return Area(*(fill * there for there in self.area.numbers))


def find_part(name: str) -> Part | None:
    """The part that a full name, with package and speed grade, begins with; None if the table lacks it."""
    wanted = name.lower()
    fitting = [part for part in parts() if wanted.startswith(part.name)]
    return max(fitting, key=lambda part: len(part.name), default=None)


@cache
def parts() -> tuple[Part, ...]:
    """All parts of the table."""
    text = (files("hwflow.cost") / TABLE).read_text(encoding="utf-8")
    return tuple(
        Part(
            row["part"],
            row["family"],
            Area(*(float(row[name]) for name in ("luts", "flip_flops", "dsp", "block_ram", "uram"))),
            row["source"],
        )
        for row in csv.DictReader(text.splitlines())
    )


def misfits(area: Area, part: Part, fill: float = 1) -> list[str]:
    """What a design takes more of than a part has, or than a share of it, and by how much."""
    return [
        f"{needed:,.10g} {name} ({part.name} has {there:,.10g}{_short(needed - there)})"
        for name, needed, there in zip(NAMES, area.rounded().numbers, part.area.numbers, strict=True)
        if needed > fill * there
    ]


def _short(lacking: float) -> str:
    return f", {lacking:,.10g} too few" if lacking > 0 else ""


def siblings(part: Part) -> list[Part]:
    """The other parts of its family, the smallest first."""
    others = [other for other in parts() if other.family == part.family and other.name != part.name]
    return sorted(others, key=lambda other: other.area.luts)
