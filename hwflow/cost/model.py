"""What models of cells are made of: bits that LUTs and flip-flops are proportional to, and what is counted exactly."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from hwflow.cost.area import Area

Features = dict[str, float]


@dataclass(frozen=True)
class CellModel:
    """A cell.

    Attributes:
        fixed: what needs no coefficient: memories, DSPs, LUT RAM.
        luts, flip_flops: features by name, each with a fitted coefficient.
    """

    fixed: Area = field(default_factory=Area)
    luts: Features = field(default_factory=dict)
    flip_flops: Features = field(default_factory=dict)


class Values:
    """Parameters of a cell."""

    def __init__(self, parameters: Mapping[str, int | str]) -> None:
        self.parameters = parameters

    def __call__(self, name: str, default: int = 0) -> int:
        """An integer."""
        return int(self.parameters.get(name, default))

    def cast(self, source: str | tuple[int, int, int], target: str = "OUT") -> Features:
        """Features of ``hwflow_cast``, of a lane: bits that are rounded, and bits that saturate.

        Args:
            source: prefix of the input's type, or its bits, fraction bits and sign.
            target: prefix of the output's type.
        """
        width, fraction, signed = source if isinstance(source, tuple) else self.type(source)
        out_width, out_fraction, out_signed = self.type(target)
        dropped = (width - fraction - signed) - (out_width - out_fraction - out_signed)
        rounded = fraction > out_fraction and self("ROUNDING") > 0
        saturates = self("OVERFLOW") > 0 and (dropped > 0 or signed > out_signed)
        return {"round": out_width if rounded else 0, "saturate": out_width + max(dropped, 0) if saturates else 0}

    def out_bits(self, source: str | tuple[int, int, int]) -> int:
        """Bits of an output that differ: those below and above the input's are all the same."""
        width, fraction, signed = source if isinstance(source, tuple) else self.type(source)
        out_width, out_fraction, out_signed = self.type("OUT")
        below = max(out_fraction - fraction, 0)
        above = max((out_width - out_fraction - out_signed) - (width - fraction - signed), 0)
        same = max(below - 1, 0) if self.cast(source)["saturate"] else below
        return max(out_width - same - above, 1)

    def type(self, prefix: str) -> tuple[int, int, int]:
        """Bits, fraction bits and sign."""
        return self(f"{prefix}_W"), self(f"{prefix}_FRAC"), self(f"{prefix}_SIGNED")


def index_bits(count: int) -> int:
    """Bits that count so many things."""
    return max(1, math.ceil(math.log2(count))) if count > 1 else 1
