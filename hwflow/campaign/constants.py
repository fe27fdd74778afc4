"""The constants that a campaign's hardened networks have their weights multiplied by, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from hwflow.campaign.plan import Cell
from hwflow.float_study import weight_format
from hwflow.float_study.words import FixedFormat
from hwflow.folders.design import Design
from hwflow.graph import Graph
from hwflow.hardening.options import Align, Compensation, Granularity, ScalingOptions
from hwflow.hardening.plan import scale_graph

SCALED = ("format", "target", "granularity", "outliers", "align", "compensation")
"""Coordinates that the constants of a network depend on."""


def granularity_of(cell: Cell) -> Granularity:
    """Of a cell; where nothing is scaled, either is the same."""
    return cast(Granularity, cell.granularity or "layer")


def scaling_of(cell: Cell) -> ScalingOptions:
    """How the weights of a cell of the reference executor are scaled."""
    format_ = weight_format(cell.format)
    assert isinstance(format_, FixedFormat) and cell.outliers is not None
    scaling = ScalingOptions(format_.type, scale="none", saturate=True, outliers=cell.outliers)
    if cell.target is None:
        return scaling
    align, compensation = cast(Align, cell.align), cast(Compensation, cell.compensation)
    return replace(
        scaling, t=cell.target, scale="exact", align=align, compensation=compensation, granularity=granularity_of(cell)
    )


def design_constants(design: Design) -> dict[str, tuple[float, float]]:
    """The smallest and the largest constant of every weight layer of a design."""
    return {row["name"]: (row["c"], row["c_largest"]) for row in design.manifest["plan"]["layers"]}


def constant_rows(
    plan: Sequence[Cell],
    graphs: Mapping[str, Graph | None],
    designs: Mapping[str, Mapping[str, tuple[float, float]]],
) -> list[dict[str, Any]]:
    """A row for every weight layer and way to scale it: what its weights are multiplied by before they are stored.

    Args:
        plan: the cells of a campaign.
        graphs: untyped, by the name of the network; None in the float executor, which gives no rows. Networks that
            are not scaled give none either, designs do.
        designs: of every design, the smallest and the largest constant of its layers.

    Returns:
        The coordinates of ``SCALED``, ``model`` (of a design its name), ``layer``, ``c`` and ``c_largest``: after
        alignment, with batch normalisation folded.
    """
    rows: list[dict[str, Any]] = []
    seen = set()
    for cell in plan:
        graph = graphs[cell.subject]
        way = {"model": cell.subject, **{name: getattr(cell, name) for name in SCALED}}
        if tuple(way.values()) in seen or graph is None or (cell.target is None and cell.design is None):
            continue
        seen.add(tuple(way.values()))
        own = designs.get(cell.subject)
        if own is None:
            own = {row.name: (row.c, row.c_largest) for row in scale_graph(graph, scaling_of(cell))[1].layers}
        rows += [{**way, "layer": layer, "c": c, "c_largest": most} for layer, (c, most) in own.items()]
    return rows
