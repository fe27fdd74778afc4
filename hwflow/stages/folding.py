"""Reuse factors of a design: as asked for, for a rate of images, or the fastest that fits a part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from hwflow.cost.area import Area, total
from hwflow.cost.parts import Part, find_part, misfits, others_that_fit
from hwflow.cost.reuse import choose_reuse, valid_reuse_factors
from hwflow.errors import HwflowError
from hwflow.graph import Graph
from hwflow.rtl.area import estimated
from hwflow.rtl.cycles import FIFO
from hwflow.rtl.netlist import build_netlist
from hwflow.rtl.pairs import with_pairs
from hwflow.rtl.sizing import size_fifos
from hwflow.rtl.structure import Loadable, Netlist

FILL = 0.8
"""Share of every resource of a part that a design may take that is made for it: a full one cannot be routed."""
UNESTIMATED = "ecp5"
"""Of the families of parts, the one whose LUTs and memories are others than those of the estimate."""


@dataclass(frozen=True)
class Folding:
    """Reuse factors.

    Attributes:
        factors: by layer.
        target_cycles: cycles an image that were asked for, or found for the part.
        notes: what could not be done.
    """

    factors: Mapping[str, int]
    target_cycles: int | None
    notes: tuple[str, ...] = ()


def target_of_rate(images_a_second: float, clock_mhz: float) -> int:
    """Cycles an image.

    Raises:
        HwflowError: a rate or a clock that is not positive, or more images than cycles.
    """
    for name, value in (("--target-fps", images_a_second), ("--clock", clock_mhz)):
        if not value > 0:
            raise HwflowError(f"{name} {value:g} must be positive")
    cycles = int(clock_mhz * 1e6 / images_a_second)
    if cycles < 1:
        raise HwflowError(f"{images_a_second:g} images a second are more than the {clock_mhz:g} MHz of --clock")
    return cycles


def choose_folding(
    graph: Graph,
    reuse: int | None = None,
    target_cycles: int | None = None,
    part: str | None = None,
    loadable: bool = False,
) -> Folding:
    """Reuse factors that were asked for; with a part and nothing else, those of the fastest design that fits it.

    Args:
        graph: a typed graph.
        reuse, target_cycles: see :func:`hwflow.cost.reuse.choose_reuse`.
        part: the FPGA that the design has to fit, with or without package and speed grade.
        loadable: whether rests, tables and constants are memories, see :func:`hwflow.rtl.generate`.

    Raises:
        HwflowError: the design does not fit: what it lacks, and what would do.
    """
    factors = choose_reuse(graph, reuse, target_cycles)
    if part is None:
        return Folding(factors, target_cycles)
    known = find_part(part)
    if known is None:
        note = f"resources of {part} are not known, and nothing says whether the design fits"
        return Folding(factors, target_cycles, (note,))
    if known.family == UNESTIMATED:
        return Folding(factors, target_cycles, (f"the estimate is not for {known.name}; --synth yosys counts",))
    try:
        search = _Search(graph.logits, known, Loadable.asked(loadable))
    except HwflowError:
        return Folding(factors, target_cycles)  # there is no RTL, which the caller says
    if reuse is not None or target_cycles is not None:
        search.check(factors)
        return Folding(factors, target_cycles)
    fastest = search.fastest()
    if fastest is None:
        slowest = choose_reuse(graph, target_cycles=search.candidates[-1])
        raise search.too_small(slowest, "even with the largest reuse factors the design", "")
    return Folding(choose_reuse(graph, target_cycles=fastest), fastest)


@dataclass
class _Search:
    """Designs of one graph for one part.

    FIFOs are sized once, with the default factors; with others they hold about as many elements.
    """

    graph: Graph
    part: Part
    loadable: Loadable | None
    elements: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        sized, _ = size_fifos(build_netlist(self.graph, choose_reuse(self.graph), self.loadable))
        self.elements = {
            cell.name: int(cell.parameters["DEPTH"]) * next(iter(cell.inputs.values())).lanes
            for cell in sized.instances
            if cell.module == FIFO
        }

    def area(self, factors: Mapping[str, int]) -> Area:
        """The estimate with these reuse factors."""
        netlist = self._sized(build_netlist(self.graph, factors, self.loadable))
        cells = estimated(self.graph, with_pairs(netlist, self.part.name))
        return total(cell.area for cell in cells)

    def _sized(self, netlist: Netlist) -> Netlist:
        cells = []
        for cell in netlist.instances:
            if cell.module == FIFO and cell.name in self.elements:
                lanes = next(iter(cell.inputs.values())).lanes
                depth = min(int(cell.parameters["DEPTH"]), max(2, -(-self.elements[cell.name] // lanes)))
                cell = replace(cell, parameters={**cell.parameters, "DEPTH": depth})
            cells.append(cell)
        return replace(netlist, instances=cells)

    @property
    def candidates(self) -> list[int]:
        """Cycles an image at which a layer's factor changes, ascending."""
        layers = self.graph.weight_layers
        return sorted({layer.vectors * factor for layer in layers for factor in valid_reuse_factors(layer)})

    def fastest(self, fill: float = FILL) -> int | None:
        """The fewest cycles an image with which the design fits into a share of the part; None if it never does."""
        candidates = self.candidates
        low, high = 0, len(candidates)
        while low < high:
            middle = (low + high) // 2
            if misfits(self.area(choose_reuse(self.graph, target_cycles=candidates[middle])), self.part, fill):
                low = middle + 1
            else:
                high = middle
        return candidates[low] if low < len(candidates) else None

    def check(self, factors: Mapping[str, int]) -> None:
        """Refuse a design that does not fit the part."""
        if misfits(self.area(factors), self.part):
            fastest = self.fastest(1)
            more = f"with --target-cycles {fastest} it fits" if fastest is not None else ""
            raise self.too_small(factors, "the design", more)

    def too_small(self, factors: Mapping[str, int], subject: str, more: str) -> HwflowError:
        """What the part lacks, and what would do."""
        area = self.area(factors)
        others = others_that_fit(area, self.part)
        larger = f"{others[0].name} would do" if others else "no part of its family that hwflow knows would do"
        lacking = ", ".join(misfits(area, self.part) or misfits(area, self.part, FILL))
        words = [f"{subject} takes {lacking}", more, larger]
        return HwflowError("; ".join(word for word in words if word))
