"""Reuse factors with which the RTL really takes the cycles that were asked for, and what stands in the way."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass

from hwflow.cost.layers import layer_costs
from hwflow.cost.reuse import choose_reuse, valid_reuse_factors
from hwflow.errors import HwflowError
from hwflow.graph import Graph
from hwflow.rtl.busiest import Busiest, busiest
from hwflow.rtl.cycles import pace
from hwflow.rtl.netlist import build_netlist
from hwflow.rtl.sizing import as_wanted, size_buffers
from hwflow.rtl.structure import Loadable, Netlist


def candidates(graph: Graph) -> list[int]:
    """Cycles an image at which a layer's factor changes, ascending."""
    layers = graph.weight_layers
    return sorted({layer.vectors * factor for layer in layers for factor in valid_reuse_factors(layer)})


def reach(graph: Graph, target: int, loadable: Loadable | None = None) -> tuple[dict[str, int], list[str]]:
    """Reuse factors for cycles an image, as large as they can be.

    Every layer gets the largest factor with which it takes the target itself. Where the design takes more all the same,
    as other cells have too few lanes between such layers, the factors of some are smaller.

    Args:
        graph: a typed graph.
        target: clock cycles from image to image.
        loadable: see :func:`hwflow.rtl.netlist.build_netlist`.

    Returns:
        Factors by layer, and notes on what takes longer than the target. Then the factors are those with which every
        layer that can takes the target itself. Without RTL or a C++ compiler, layers alone count.
    """
    wanted = choose_reuse(graph, target_cycles=target)
    notes = missed(graph, wanted, target)
    try:
        design = _Design(graph.in_rtl, target, loadable)
        if not notes and design.is_reached(wanted):
            return wanted, []
        floor = design.floor
    except HwflowError:
        return wanted, notes  # there is no RTL, which the caller says
    if floor.cycles > target:
        if floor.node not in wanted:
            least = f"{floor.node}: takes {floor.cycles} cycles an image in the RTL, more than {target}"
            notes.append(f"{least}; no reuse factors change that")
        return wanted, notes
    found = design.fastest_needed()
    if found is None:
        return wanted, [f"the RTL takes {design.cycles(wanted):,.0f} cycles an image, more than {target}"]
    slower = {name: factor for name, factor in wanted.items() if factor > found[name]}
    return as_wanted(found, slower, design.is_reached), []


def missed(graph: Graph, factors: Mapping[str, int], target: int) -> list[str]:
    """A note for every layer that even its smallest reuse factor leaves above the target."""
    return [
        f"{cost.name}: takes {cost.cycles_per_image} cycles an image, more than {target}; "
        f"{cost.reuse_factor} is its smallest reuse factor"
        for cost in layer_costs(graph, factors)
        if cost.cycles_per_image > target
    ]


@dataclass(frozen=True)
class _Design:
    """The RTL of a graph by its reuse factors, for so many cycles an image."""

    graph: Graph
    target: int
    loadable: Loadable | None

    def _netlist(self, factors: Mapping[str, int]) -> Netlist:
        return build_netlist(self.graph, factors, self.loadable)

    @property
    def floor(self) -> Busiest:
        """What is the busiest with the smallest factors."""
        return busiest(self._netlist(choose_reuse(self.graph, target_cycles=1)))

    def cycles(self, factors: Mapping[str, int]) -> float:
        """Clock cycles from image to image; where a cell alone takes more than the target, those of the busiest one."""
        netlist = self._netlist(factors)
        least = busiest(netlist).cycles
        found = None if least > self.target else pace(size_buffers(netlist)[0])
        return least if found is None else found.image_to_image

    def is_reached(self, factors: Mapping[str, int]) -> bool:
        """Whether the design takes the target at most."""
        return self.cycles(factors) <= self.target

    def fastest_needed(self) -> dict[str, int] | None:
        """Factors for the most cycles a layer with which the design takes the target; None if none do."""
        steps = candidates(self.graph)
        low, high = -1, bisect_right(steps, self.target) - 1
        found = None
        while high - low > 1:
            middle = (low + high) // 2
            factors = choose_reuse(self.graph, target_cycles=steps[middle])
            if self.is_reached(factors):
                low, found = middle, factors
            else:
                high = middle
        return found
