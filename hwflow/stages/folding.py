"""Reuse factors of a design: as asked for, for a rate of images, or the fastest that fits a part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from hwflow.cost.area import Area, total
from hwflow.cost.parts import FILL, Part, find_part, misfits, siblings
from hwflow.cost.reuse import choose_reuse
from hwflow.errors import HwflowError
from hwflow.graph import Graph, WeightLayer
from hwflow.rtl.area import estimated
from hwflow.rtl.cycles import FIFO
from hwflow.rtl.netlist import build_netlist
from hwflow.rtl.pairs import with_pairs
from hwflow.rtl.placement import check_uram, with_memories
from hwflow.rtl.sizing import size_buffers
from hwflow.rtl.structure import Loadable, Netlist
from hwflow.stages.reaching import candidates, missed, reach

PROBES = 8
"""Equal steps in which faster designs are tried for one that fits."""


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

    def noting(self, note: str) -> Folding:
        """The same with one more note."""
        return replace(self, notes=(*self.notes, note))


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
    uram: bool = False,
    rtl: bool = True,
) -> Folding:
    """Reuse factors that were asked for; with a part and nothing else, those of the fastest design that fits it.

    Args:
        graph: a typed graph.
        reuse: see :func:`hwflow.cost.reuse.choose_reuse`.
        target_cycles: see :func:`hwflow.stages.reaching.reach`.
        part: the FPGA that the design has to fit, with or without package and speed grade.
        loadable: whether rests, tables and constants are memories, see :func:`hwflow.rtl.generate`.
        uram: whether weights may lie in URAM.
        rtl: whether the RTL's cycles count, and not those of layers alone.

    Raises:
        HwflowError: the design does not fit: what it lacks, and what would do; or there is no URAM.
    """
    if uram:
        check_uram(part)
    notes: list[str] = []
    if target_cycles is None or reuse is not None or not rtl:
        factors = choose_reuse(graph, reuse, target_cycles)
        if target_cycles is not None:
            notes = missed(graph, factors, target_cycles)
    else:
        factors, notes = reach(graph, target_cycles, Loadable.asked(loadable))
    asked = Folding(factors, target_cycles, tuple(notes))
    if part is None:
        return asked
    known = find_part(part)
    if known is None:
        return asked.noting(f"resources of {part} are not known, and nothing says whether the design fits")
    if not known.is_estimated:
        return asked.noting(f"the estimate is not for {known.name}; --synth yosys counts")
    try:
        search = _Search.of(graph.in_rtl, known, Loadable.asked(loadable), uram)
    except HwflowError:
        return asked  # there is no RTL, which the caller says
    if reuse is not None or target_cycles is not None:
        if not search.fits(factors):
            raise HwflowError("; ".join([f"the design takes {search.lacks(factors)}", *search.remedies(factors)]))
        return asked
    fastest = search.fastest()
    if fastest is None:
        slowest = choose_reuse(graph, target_cycles=candidates(search.graph)[-1])
        subject = "even with the largest reuse factors the design takes"
        raise HwflowError("; ".join([f"{subject} {search.lacks(slowest, FILL)}", *search.remedies(slowest, FILL)]))
    return Folding(choose_reuse(graph, target_cycles=fastest), fastest)


@dataclass(frozen=True)
class _Search:
    """Designs of one graph for one part.

    FIFOs are sized once, with the default factors; with others they hold about as many elements.
    """

    graph: Graph
    part: Part
    loadable: Loadable | None
    uram: bool
    elements: Mapping[str, int]

    @classmethod
    def of(cls, graph: Graph, part: Part, loadable: Loadable | None, uram: bool) -> _Search:
        """The designs of a graph up to its logits."""
        sized, _ = size_buffers(build_netlist(graph, choose_reuse(graph), loadable))
        elements = {
            cell.name: int(cell.parameters["DEPTH"]) * next(iter(cell.inputs.values())).lanes
            for cell in sized.instances
            if cell.module == FIFO
        }
        return cls(graph, part, loadable, uram, elements)

    def area(self, factors: Mapping[str, int]) -> Area:
        """The estimate with these reuse factors."""
        netlist = with_pairs(self._sized(build_netlist(self.graph, factors, self.loadable)), self.part.name)
        cells = estimated(self.graph, with_memories(self.graph, netlist, self.part.name, self.uram))
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

    def fits(self, factors: Mapping[str, int], fill: float = 1) -> bool:
        """Whether a design takes a share of the part at most."""
        return not misfits(self.area(factors), self.part, fill)

    def fastest(self, fill: float = FILL) -> int | None:
        """The fewest cycles an image with which the design fits into a share of the part; None if it never does."""
        steps = candidates(self.graph)

        def enough(index: int) -> bool:
            return self.fits(choose_reuse(self.graph, target_cycles=steps[index]), fill)

        # The slowest design has the narrowest memories, which blocks hold badly: a faster one may be the first to fit.
        # Steps towards it are small at first.
        last = len(steps) - 1
        probes = {last - (1 << step) + 1 for step in range(len(steps).bit_length())}
        probes |= {last * step // PROBES for step in range(PROBES + 1)}
        high = next((index for index in sorted(probes, reverse=True) if index >= 0 and enough(index)), None)
        if high is None:
            return None
        low = 0
        while low < high:
            middle = (low + high) // 2
            if enough(middle):
                high = middle
            else:
                low = middle + 1
        return steps[high]

    def lacks(self, factors: Mapping[str, int], fill: float = 1) -> str:
        """What the part has too little of, and by how much."""
        area = self.area(factors)
        return ", ".join(misfits(area, self.part) or misfits(area, self.part, fill))

    def remedies(self, factors: Mapping[str, int], fill: float = 1) -> list[str]:
        """What would do for a design that does not fit."""
        found = []
        if not self.uram and self.part.area.uram:
            roomier = replace(self, uram=True)
            enough = roomier.fits(factors) if fill == 1 else roomier.fastest(fill) is not None
            found += ["with --uram it fits, whose weights are loaded before the first image"] if enough else []
        if fill == 1:
            fastest = self.fastest(1)
            found += [f"with --target-cycles {fastest} it fits"] if fastest is not None else []
        bare = replace(self, graph=_without_side(self.graph))
        if bare.graph is not self.graph and bare.fits(factors, fill):
            found.append("without side memories it fits: harden it with fewer outliers, or protect fewer weights")
        return [*found, self._larger(factors)]

    def _larger(self, factors: Mapping[str, int]) -> str:
        """The smallest part of the family on which the design fits."""
        for uram in (self.uram, True):
            for other in (replace(self, part=each, uram=uram) for each in siblings(self.part)):
                if (other.part.area.uram or not uram) and other.fits(factors):
                    return f"{other.part.name}{' with --uram' if uram > self.uram else ''} would do"
        return "no part of its family that hwflow knows would do"


def _without_side(graph: Graph) -> Graph:
    """The same layers without side memories; the graph itself if it has none."""
    if not any(layer.outliers or layer.kept for layer in graph.weight_layers):
        return graph
    nodes = (replace(node, outliers=None, kept=None) if isinstance(node, WeightLayer) else node for node in graph)
    return Graph(tuple(nodes), graph.name)
