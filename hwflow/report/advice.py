"""The figure of an advice: points lost against the price of the decoder."""

from __future__ import annotations

from typing import Any

import numpy as np

from hwflow.campaign.advice import Advice, Tried
from hwflow.report.figures import COLOURS

_SIZE = (6.4, 4.0)  # inches
_FREE = 1.0  # where a decoder of no LUTs stands on a logarithmic axis


def advice_plot(advice: Advice) -> Any:
    """Points lost, with their intervals, against LUTs for a weight a cycle; the front is drawn through.

    Candidates whose decoder was not synthesised are left out; one with no decoder stands at the left edge.
    """
    from matplotlib.figure import Figure

    canvas = Figure(figsize=_SIZE, layout="constrained")
    axes = canvas.subplots()
    for colour, granularity in zip(COLOURS, ("layer", "channel"), strict=False):
        here = [each for each in _priced(advice.tried) if each.candidate.granularity == granularity]
        if here:
            loss = np.array([each.loss for each in here])
            bars = [loss - [each.low for each in here], [each.high for each in here] - loss]
            at = [_place(each) for each in here]
            axes.errorbar(
                at, loss, bars, fmt="o", color=colour, markersize=4, capsize=2, label=f"a scale a {granularity}"
            )
    for each in _priced(advice.tried):
        name = each.candidate.label.partition(":")[0]
        axes.annotate(name, (_place(each), each.loss), xytext=(4, 3), textcoords="offset points", fontsize=7)
    front = sorted(_priced(advice.front), key=_place)
    axes.plot([_place(each) for each in front], [each.loss for each in front], color="#999999", linewidth=1, zorder=0)
    axes.axhline(advice.accepted, color="#999999", linewidth=0.8, linestyle=":")
    axes.set_xscale("log")
    axes.set_yscale("symlog", linthresh=1)
    axes.set_xlabel("LUTs of the decoder for a weight a cycle (1: none)")
    axes.set_ylabel("points of top-1 accuracy lost, 95 % interval")
    axes.set_title(f"BER {advice.ber:g}, {advice.images} images, {advice.rounds} rounds", fontsize=9)
    axes.grid(color="#dddddd", linewidth=0.5)
    axes.legend(fontsize=7, frameon=False)
    return canvas


def _priced(tried: tuple[Tried, ...]) -> list[Tried]:
    return [each for each in tried if each.candidate.luts is not None]


def _place(tried: Tried) -> float:
    assert tried.candidate.luts is not None
    return max(tried.candidate.luts, _FREE)
