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

    Streams are in the order of the data. The last one whose beat is not taken leads to the layer that holds everything
    up; where every beat is taken, the first one without a beat comes from it.
    """
    offered = {stream.name: _bit(top, f"{stream.name}_tvalid") for stream in design.streams}
    taken = {stream.name: _bit(top, f"{stream.name}_tready") for stream in design.streams}
    for stream in reversed(design.streams):
        if offered[stream.name] and not taken[stream.name]:
            return f"stream {stream.name} has a beat that {stream.target} does not take"
    for stream in design.streams:
        if not offered[stream.name]:
            return f"stream {stream.name} gets no beat from {stream.source}"
    return "every stream moves, but images have lost their ends"


def _bit(top: Any, name: str) -> bool:
    return bool(getattr(top, name).value == 1)
