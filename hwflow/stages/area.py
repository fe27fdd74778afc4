"""What a design takes of an FPGA: the estimate, and Yosys beside it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from hwflow.cost import DEFAULT_PART
from hwflow.cost.area import Area, total
from hwflow.cost.layers import LayerCost, layer_costs
from hwflow.cost.parts import find_part
from hwflow.cost.synthesis import YOSYS
from hwflow.errors import HwflowError
from hwflow.folders.design import Design, open_design
from hwflow.progress import Step, silent
from hwflow.rtl.area import CellArea, by_layer, estimated, synthesised
from hwflow.rtl.cycles import pace
from hwflow.rtl.netlist import build_netlist
from hwflow.rtl.pairs import with_pairs
from hwflow.rtl.placement import notes, places, with_memories
from hwflow.rtl.sizing import size_buffers
from hwflow.rtl.structure import Loadable
from hwflow.stages.folding import choose_folding

Synthesiser = Literal["yosys"]
DEFAULT_FAMILY = "xcup"
"""Of parts that are not in the table."""


@dataclass(frozen=True)
class Estimate:
    """What a design would take, of which nothing is written.

    Attributes:
        layers: a row for every weight layer.
        area: as in a project, see ``docs/json.md``.
        notes: what could not be done.
        pace: clock cycles of ``one_image`` and from ``image_to_image``, see :class:`hwflow.rtl.cycles.Pace`; None
            where that is not known.
    """

    layers: tuple[LayerCost, ...]
    area: Mapping[str, Any]
    notes: tuple[str, ...]
    pace: Mapping[str, float] | None = None

    def to_json(self) -> dict[str, Any]:
        """The estimate as JSON data."""
        rows = [asdict(cost) for cost in self.layers]
        return {"layers": rows, "area": dict(self.area), "notes": list(self.notes), "pace": self.pace}


def estimate(
    design: Design | str | Path,
    *,
    reuse: int | None = None,
    target_cycles: int | None = None,
    part: str | None = None,
    loadable: bool = False,
    uram: bool = False,
    step: Step = silent,
) -> Estimate:
    """Estimate what the RTL of a design takes, without writing it.

    Args:
        design: a design or its folder.
        reuse, target_cycles, part, loadable, uram: see :func:`hwflow.stages.generate.generate`.
        step: called with the name of each step.

    Raises:
        HwflowError: an option or a layer that stands in the way, or a design that does not fit the part.
    """
    design = open_design(design)
    step("estimating")
    folding = choose_folding(design.graph, reuse, target_cycles, part, loadable, uram)
    known, logits = part or DEFAULT_PART, design.graph.in_rtl
    netlist = build_netlist(design.graph, folding.factors, Loadable.asked(loadable))
    netlist, said = size_buffers(with_pairs(netlist, known))
    netlist = with_memories(logits, netlist, known, uram)
    area = _estimate_json(estimated(logits, netlist), places(netlist))
    found, said = pace(netlist), [*said, *notes(netlist, uram)]
    costs = layer_costs(design.graph, folding.factors)
    return Estimate(costs, area, (*folding.notes, *said), None if found is None else asdict(found))


def check_synthesis(synth: str, rtl: bool) -> None:
    """Refuse a synthesis that cannot be done, before anything is.

    Raises:
        HwflowError: an unknown program, one that is not there, or no RTL.
    """
    if synth not in get_args(Synthesiser):
        raise HwflowError(f"--synth {synth} is unknown; choose {', '.join(get_args(Synthesiser))}")
    if not rtl:
        raise HwflowError("--synth needs the RTL; leave out --no-rtl")
    if shutil.which(YOSYS) is None:
        raise HwflowError(f"{YOSYS} is not on the PATH; install Yosys, or leave out --synth")


def area_json(written: Mapping[str, Any]) -> dict[str, Any]:
    """The estimate of RTL that was written, of what ``rtl.json`` has."""
    return _estimate_json(_cells(written), {layer["layer"]: layer["place"] for layer in written["layers"]})


def synthesis_json(folder: Path, written: Mapping[str, Any], part: str) -> dict[str, Any]:
    """What Yosys makes of RTL, as JSON data to put beside the estimate.

    Args:
        folder: the RTL.
        written: its ``rtl.json``.
        part: the FPGA.
    """
    known = find_part(part)
    family = DEFAULT_FAMILY if known is None else known.family
    cells = synthesised(_cells(written), folder, written["top"], family)
    return {"synthesis": {"family": family, **_sums(cells)}}


def _cells(written: Mapping[str, Any]) -> list[CellArea]:
    return [CellArea.from_json(row) for row in written["cells"]]


def _estimate_json(cells: list[CellArea], weights: Mapping[str, str]) -> dict[str, Any]:
    return {"estimate": {"family": DEFAULT_FAMILY, **_sums(cells)}, "weights": dict(weights)}


def _sums(cells: list[CellArea]) -> dict[str, Any]:
    return {
        "total": _rounded(total(cell.area for cell in cells)),
        "layers": {layer: _rounded(area) for layer, area in by_layer(cells).items()},
    }


def _rounded(area: Area) -> dict[str, float]:
    return asdict(area.rounded())
