"""Rows of a design's line buffers and depths of its FIFOs, from images that run through its cycle model.

A line buffer has room for a window and for the rows that come in while the next row of windows is read
(:meth:`hwflow.rtl.cells.Cells._window`). Where that is not enough for the next image's first rows, a window and what is
before it wait for each other: images smaller than a kernel, and kernels that leave the image's edge out. Such a buffer
gets the rows that images fill which come evenly through buffers without bound.

With FIFOs that are never full, a design then takes P cycles an image, and no depths make it faster. Images whose beats
come evenly, P cycles each, fill the FIFOs to some level. With that depth every beat moves when it did, and beats that
come earlier delay none, so that the design still takes P cycles an image. The FIFOs that these images run through are
as deep as :mod:`hwflow.rtl.depth` and :mod:`hwflow.rtl.netlist` have them, or never full if those cost cycles.

No stall can make it deadlock. All that its cells do is determined by the order of the beats, never by their times:
they wait for a beat or for room, and do not look whether one is there. So which beats pass does not depend on the times
either, and where one image passes through the model, it passes with any stalls. After it all is as before, so that the
next one does, too. Where the room inside a cell depends on the times, the model has the least.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from hwflow.rtl.busiest import busiest
from hwflow.rtl.cycles import FIFO, IMAGES, UNBOUNDED, WINDOW, CycleModel, enough_images, library
from hwflow.rtl.structure import Netlist

MARGIN_BEATS, MARGIN_SHARE = 2, 16
"""Beats by which a FIFO is deeper than what was seen in it, and one more for every so many beats."""
LEAST = 2
"""A FIFO of one beat takes it every other cycle."""
LOSS = 0.005
"""Share of its cycles by which a design may be slower than with line buffers without bound."""


def size_buffers(netlist: Netlist) -> tuple[Netlist, list[str]]:
    """The design with line buffers that cost no cycles, and FIFOs as deep as the cycle model fills them, and a margin.

    Returns:
        The design, and a note where the model cannot be compiled, so that depths are those of :mod:`hwflow.rtl.depth`,
        which are larger.
    """
    fifos, windows = _parameter(netlist, FIFO, "DEPTH"), _parameter(netlist, WINDOW, "BUF_ROWS")
    if not (fifos or windows):
        return netlist, []
    if library().library is None:
        return netlist, [f"FIFOs are deeper than need be, as the cycle model cannot be compiled: {library().note}"]
    design = _Unbounded.of(netlist, windows, fifos)
    if design.rows != windows:
        netlist = _with(netlist, WINDOW, "BUF_ROWS", design.rows)
    return _with(netlist, FIFO, "DEPTH", _depths(CycleModel(netlist), fifos, design)), []


@dataclass(frozen=True)
class _Unbounded:
    """A design whose FIFOs are never full.

    Attributes:
        rows: of its line buffers, by instance of their windows.
        images: that fill it.
        cycles: that it takes an image.
    """

    rows: Mapping[str, int]
    images: int
    cycles: float

    @classmethod
    def of(cls, netlist: Netlist, windows: Mapping[str, int], fifos: Mapping[str, int]) -> _Unbounded:
        """With line buffers as they are, and larger ones where these cost cycles."""
        model, unbounded = CycleModel(netlist), dict.fromkeys(fifos, UNBOUNDED)
        flow = model.run(IMAGES, unbounded)
        images = enough_images(flow)

        def cycles(rows: Mapping[str, int]) -> float:
            return model.run(images, unbounded, rows=rows).cycles_per_image

        found = flow.cycles_per_image if images == IMAGES else cycles(windows)
        if found <= (1 + LOSS) * busiest(netlist).cycles:
            return cls(windows, images, found)
        heights = _parameter(netlist, WINDOW, "IN_H")
        roomy = {name: rows + 2 * heights[name] for name, rows in windows.items()}
        fastest = cycles(roomy)
        limit = (1 + LOSS) * fastest
        if found <= limit:
            return cls(windows, images, found)
        filled = model.run(images, unbounded, fastest, roomy).rows
        rows = {name: max(count, filled[name]) for name, count in windows.items()}
        least = {name: count for name, count in windows.items() if rows[name] > count}
        rows = as_wanted(rows, least, lambda each: cycles(each) <= limit)
        for name in least:
            fewer = ({**rows, name: count} for count in range(windows[name] + 1, rows[name]))
            rows = next((each for each in fewer if cycles(each) <= limit), rows)
        enough = CycleModel(_with(netlist, WINDOW, "BUF_ROWS", rows)).run(images, unbounded)
        return cls(rows, images, enough.cycles_per_image)


def _parameter(netlist: Netlist, module: str, name: str) -> dict[str, int]:
    """A parameter of all instances of a cell."""
    return {cell.name: int(cell.parameters[name]) for cell in netlist.instances if cell.module == module}


def _with(netlist: Netlist, module: str, name: str, values: Mapping[str, int]) -> Netlist:
    """The design with other values of a parameter of all instances of a cell."""
    cells = [
        replace(cell, parameters={**cell.parameters, name: values[cell.name]}) if cell.module == module else cell
        for cell in netlist.instances
    ]
    return replace(netlist, instances=cells)


def as_wanted(
    values: Mapping[str, int], wanted: Mapping[str, int], holds: Callable[[dict[str, int]], bool]
) -> dict[str, int]:
    """Values of which as many are as wanted as halving finds.

    Args:
        values: by name; what is asked for holds with them.
        wanted: other values of some names.
        holds: whether it holds with some values.
    """
    tried = {**values, **wanted}
    if holds(tried):
        return tried
    if len(wanted) < 2:
        return dict(values)
    names = list(wanted)
    for half in (names[: len(names) // 2], names[len(names) // 2 :]):
        values = as_wanted(values, {name: wanted[name] for name in half}, holds)
    return dict(values)


def _depths(model: CycleModel, fifos: Mapping[str, int], design: _Unbounded) -> dict[str, int]:
    """Depths of FIFOs with which the design is no slower than if they were never full."""
    flow = model.run(design.images, period=design.cycles)
    bounds: Mapping[str, float] = fifos
    if flow.cycles_per_image > design.cycles:
        flow = model.run(design.images, dict.fromkeys(fifos, UNBOUNDED), design.cycles)
        bounds = dict.fromkeys(fifos, math.inf)
    return {name: int(min(with_margin(flow.most[name]), bound)) for name, bound in bounds.items()}


def with_margin(most: int) -> int:
    """The depth of a FIFO that had ``most`` beats in it."""
    return max(LEAST, most + MARGIN_BEATS + most // MARGIN_SHARE)
