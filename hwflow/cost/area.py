"""Resources of an FPGA that a cell, a layer or a design takes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_LUT_RAMS = {
    "RAM32X1S": 1, "RAM64X1S": 1, "RAM128X1S": 2, "RAM256X1S": 4, "RAM512X1S": 8,
    "RAM32X1D": 2, "RAM64X1D": 2, "RAM128X1D": 4, "RAM256X1D": 8,
    "RAM32M": 4, "RAM64M": 4, "RAM32M16": 8, "RAM64M8": 8, "RAM64X8SW": 8, "RAM32X16DR8": 8,
    "TRELLIS_DPR16X4": 4,
}  # fmt: skip
"""LUTs of the memories that are made of them."""
_CARRY_LUTS = {"CCU2C": 2}
"""LUTs that a carry chain's cells are part of, where they are not counted as LUTs besides."""


@dataclass(frozen=True)
class Area:
    """Resources.

    Attributes:
        luts: LUTs, those of shift registers and of LUT RAM included.
        flip_flops: flip-flops.
        dsp: DSP blocks; of an ECP5, multipliers of 18 by 18 bits.
        block_ram: RAMB36, a RAMB18 as a half; of an ECP5, blocks of 18 kbit.
        uram: URAM288.
    """

    luts: float = 0
    flip_flops: float = 0
    dsp: float = 0
    block_ram: float = 0
    uram: float = 0

    @property
    def numbers(self) -> tuple[float, ...]:
        """The resources in the order of the attributes."""
        return self.luts, self.flip_flops, self.dsp, self.block_ram, self.uram

    def __add__(self, other: Area) -> Area:
        return Area(*(a + b for a, b in zip(self.numbers, other.numbers, strict=True)))

    def __sub__(self, other: Area) -> Area:
        return Area(*(a - b for a, b in zip(self.numbers, other.numbers, strict=True)))

    def rounded(self) -> Area:
        """Whole resources, and halves of a block RAM."""
        return Area(
            luts=_up(self.luts),
            flip_flops=_up(self.flip_flops),
            dsp=_up(self.dsp),
            block_ram=_up(self.block_ram * 2) / 2,
            uram=_up(self.uram),
        )


def _up(value: float) -> int:
    return math.ceil(value - 1e-9)


def total(areas: Iterable[Area]) -> Area:
    """The sum."""
    return sum(areas, Area())


def area_of_cells(cells: Mapping[str, int]) -> Area:
    """The resources of mapped cells.

    Args:
        cells: how many of each kind there are, as Yosys names them. An inverter counts as a LUT.
    """

    def count(*kinds: str) -> int:
        return sum(number for cell, number in cells.items() if cell.startswith(kinds))

    memories = sum(luts * cells.get(cell, 0) for cell, luts in (_LUT_RAMS | _CARRY_LUTS).items())
    return Area(
        luts=count("LUT", "INV", "SRL") + memories,
        flip_flops=count("FD", "TRELLIS_FF"),
        dsp=count("DSP48", "MULT18X18"),
        block_ram=count("RAMB36", "DP16K", "PDPW16K") + count("RAMB18") / 2,
        uram=count("URAM288"),
    )
