"""Depths of a design's FIFOs, from images that run through its cycle model.

With FIFOs that are never full, a design takes P cycles an image, and no depths make it faster. Images whose beats come
evenly, P cycles each, fill the FIFOs to some level. With that depth every beat moves when it did, and beats that come
earlier delay none, so that the design still takes P cycles an image. The FIFOs that these images run through are as
deep as :mod:`hwflow.rtl.depth` and :mod:`hwflow.rtl.netlist` have them, or never full if those cost cycles.

No stall can make it deadlock. All that its cells do is determined by the order of the beats, never by their times:
they wait for a beat or for room, and do not look whether one is there. So which beats pass does not depend on the times
either, and where one image passes through the model, it passes with any stalls. After it all is as before, so that the
next one does, too. Where the room inside a cell depends on the times, the model has the least.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from hwflow.rtl.cycles import FIFO, IMAGES, UNBOUNDED, CycleModel, Flow, library
from hwflow.rtl.structure import Netlist

MOST_IMAGES = 64
MARGIN_BEATS, MARGIN_SHARE = 2, 16
"""Beats by which a FIFO is deeper than what was seen in it, and one more for every so many beats."""
LEAST = 2
"""A FIFO of one beat takes it every other cycle."""


def size_fifos(netlist: Netlist) -> tuple[Netlist, list[str]]:
    """The design with FIFOs as deep as the cycle model fills them, and a margin.

    Returns:
        The design, and a note where the model cannot be compiled and the depths are those of
        :mod:`hwflow.rtl.depth`, which are larger.
    """
    fifos = {cell.name: int(cell.parameters["DEPTH"]) for cell in netlist.instances if cell.module == FIFO}
    if not fifos:
        return netlist, []
    if library().library is None:
        return netlist, [f"FIFOs are deeper than need be, as the cycle model cannot be compiled: {library().note}"]
    model, unbounded = CycleModel(netlist), dict.fromkeys(fifos, UNBOUNDED)
    flow = model.run(IMAGES, unbounded)
    images = enough_images(flow)
    cycles = (flow if images == IMAGES else model.run(images, unbounded)).cycles_per_image
    flow = model.run(images, period=cycles)
    bounds: Mapping[str, float] = fifos
    if flow.cycles_per_image > cycles:
        flow, bounds = model.run(images, unbounded, cycles), dict.fromkeys(fifos, math.inf)
    depths = {name: min(with_margin(flow.most[name]), bound) for name, bound in bounds.items()}
    cells = [
        replace(cell, parameters={**cell.parameters, "DEPTH": int(depths[cell.name])}) if cell.name in fifos else cell
        for cell in netlist.instances
    ]
    return replace(netlist, instances=cells), []


def enough_images(flow: Flow) -> int:
    """Images that fill a design whose first ones went through so."""
    inside = math.ceil(flow.finished[0] / flow.cycles_per_image)
    return IMAGES if inside < IMAGES else min(inside + 2, MOST_IMAGES)


def with_margin(most: int) -> int:
    """The depth of a FIFO that had ``most`` beats in it."""
    return max(LEAST, most + MARGIN_BEATS + most // MARGIN_SHARE)
