"""Which stream of a design does not move."""

from __future__ import annotations

from typing import Any

from hwflow.errors import HwflowError
from hwflow.graph import IntArray
from hwflow.sim.design import RtlDesign


class Stuck(HwflowError):
    """Not all images came out in time.

    Attributes:
        outputs: codes ``(n, *output shape)`` of those images that did.
        where: what does not move.
    """

    def __init__(self, cycles: int, where: str, outputs: IntArray) -> None:
        super().__init__(f"no end after {cycles} cycles: the design is stuck; {where}")
        self.where, self.outputs = where, outputs


def blocked(top: Any, design: RtlDesign) -> str:
    """What the streams of a design that is stuck show, in words.

    Streams are in the order of the data: the last one whose beat is not taken leads to the layer that holds everything
    up. Where every beat is taken, beats are lost, and the snapshot does not tell by whom.
    """
    for stream in reversed(design.streams):
        if _bit(top, f"{stream.name}_tvalid") and not _bit(top, f"{stream.name}_tready"):
            return f"stream {stream.name} has a beat that {stream.target} does not take"
    if hasattr(top, "s_axis_tvalid") and _bit(top, "s_axis_tvalid") and not _bit(top, "s_axis_tready"):
        return "no image begins: bit 0 of CTRL is 0, or DESIGN is, as before weights in URAM are loaded"
    return "no stream has a beat that waits, so that a layer has lost some, or waits for more"


def _bit(top: Any, name: str) -> bool:
    return bool(getattr(top, name).value == 1)
