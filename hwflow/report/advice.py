"""The figure of an advice: points lost against the price of the decoder."""

from __future__ import annotations

from typing import Any

from hwflow.campaign.advice import GRANULARITIES
from hwflow.campaign.advised import Advice, Tried
from hwflow.report.cost_plot import Point, paint_costs
from hwflow.report.looks import Look

_SIZE = (6.4, 4.0)  # inches


def advice_plot(advice: Advice) -> Any:
    """Points lost, with their intervals, against LUTs for a weight a cycle.

    Candidates whose decoder was not synthesised are left out; one with no decoder stands at the left edge.
    """
    from matplotlib.figure import Figure

    canvas = Figure(figsize=_SIZE, layout="constrained")
    axes = canvas.subplots()
    paint_costs(axes, _points(advice), advice.accepted)
    bars = "; bars: 95 % interval of the mean" if any(each.low is not None for each in advice.tried) else ""
    axes.set_title(f"BER {advice.ber:g}, {advice.images} images, {advice.rounds} rounds{bars}", fontsize=9)
    axes.grid(color="#dddddd", linewidth=0.5)
    axes.legend(fontsize=7, frameon=False)
    return canvas


def _points(advice: Advice) -> list[Point]:
    found: list[Point] = []
    for number, granularity in enumerate(GRANULARITIES):
        here = [each for each in advice.tried if each.candidate.granularity == granularity]
        label = f"a scale a {granularity}"
        for each in here:
            if each.candidate.luts is not None:
                found.append(_point(each, each.candidate.luts, Look.of(number), label))
                label = ""
    return found


def _point(tried: Tried, luts: float, look: Look, label: str) -> Point:
    kept = tried.candidate.kept_text
    text = tried.candidate.label.removesuffix(kept).partition(":")[0] + kept
    low, high = (tried.loss if end is None else end for end in (tried.low, tried.high))
    return Point(luts, tried.loss, low, high, look, label, text)
