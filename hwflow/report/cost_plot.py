"""Points of accuracy lost against the price of a decoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hwflow.report.looks import Look

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FREE = 1.0  # where a decoder of no LUTs stands on a logarithmic axis


@dataclass(frozen=True)
class Point:
    """A way to store the weights.

    Attributes:
        luts: of its decoder, for a weight a cycle.
        lost, low, high: points of accuracy, with their 95 % interval.
        look: of the point.
        label: in the legend; empty for none.
        text: beside the point; empty for none.
    """

    luts: float
    lost: float
    low: float
    high: float
    look: Look
    label: str = ""
    text: str = ""


def paint_costs(axes: Axes, points: Sequence[Point], accepted: float) -> None:
    """Points lost, with their intervals, against LUTs for a weight a cycle; a line through what loses less than all
    cheaper ones.

    Args:
        axes: to draw in.
        points: one without a decoder stands at the left edge.
        accepted: points that may be lost, a dotted line.
    """
    rightmost = max(map(_place, points), default=_FREE)
    for each in points:
        bars = [[max(0.0, each.lost - each.low)], [max(0.0, each.high - each.lost)]]
        label = each.label or None
        axes.errorbar([_place(each)], [each.lost], bars, linestyle="none", label=label, **each.look.style)
        if each.text:
            away, side = (-4, "right") if _place(each) == rightmost else (4, "left")
            axes.annotate(
                each.text, (_place(each), each.lost), xytext=(away, 3), textcoords="offset points", fontsize=7, ha=side
            )  # fmt: skip
    front: list[Point] = []
    for each in sorted(points, key=lambda each: (each.luts, each.lost)):
        if not front or each.lost < front[-1].lost:
            front.append(each)
    axes.plot([*map(_place, front)], [each.lost for each in front], color="#999999", linewidth=1, zorder=0)
    axes.axhline(accepted, color="#999999", linewidth=0.8, linestyle=":")
    axes.set_xscale("log")
    axes.set_yscale("symlog", linthresh=1)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:g}")
    lowest = min((each.low for each in points), default=0.0)
    highest = max((max(each.lost, each.high) for each in points), default=0.0)
    axes.set_ylim(min(lowest, 0.0) - 0.3, 1.4 * max(highest, accepted, 1.0))
    axes.set_xlabel("decoder for a weight a cycle (LUTs; 1: none)")
    axes.set_ylabel("top-1 accuracy lost (percentage points)")


def _place(point: Point) -> float:
    return max(point.luts, _FREE)
