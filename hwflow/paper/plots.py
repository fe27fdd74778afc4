"""Figures 2 and 3, drawn as the paper arranges them: one panel a format."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hwflow.campaign.export import CellResult
from hwflow.files.outputs import write_file
from hwflow.float_study import weight_format
from hwflow.paper.fig2 import WEIGHTS, Curve
from hwflow.report.figures import DPI
from hwflow.report.looks import COLOURS, MARKERS

_PANEL = (3.0, 3.0)  # inches
_FLOAT_ERRORS = (1e-4, 1e2)  # what lies above is off the scale: errors of up to 1e38


def fig2_plot(curves: Sequence[Curve], ber: float, rounds: int) -> Any:
    """Absolute error against weight, one line a constant; dots are Monte Carlo, lines exact."""
    formats = list(dict.fromkeys(curve.format for curve in curves))
    canvas, panels = _panels(formats)
    for panel, name in zip(panels, formats, strict=True):
        for index, curve in enumerate(each for each in curves if each.format == name):
            colour = COLOURS[index % len(COLOURS)]
            label = f"c = {curve.c:g}"
            if curve.exact is None:
                panel.plot(WEIGHTS, curve.monte_carlo, color=colour, linewidth=1, label=label)
            else:
                panel.plot(WEIGHTS, curve.exact, color=colour, linewidth=1, label=label)
                panel.plot(WEIGHTS[::5], curve.monte_carlo[::5], ".", color=colour, markersize=3)
        if weight_format(name).exponent_msb is None:
            panel.set_ylim(bottom=0)
        else:
            panel.set_yscale("log")
            panel.set_ylim(_FLOAT_ERRORS)
        panel.set_xlabel("weight")
    panels[0].set_ylabel("mean absolute error")
    canvas.suptitle(f"BER {ber:g}, {rounds:,} rounds", fontsize=9)
    _legend(canvas, panels[0])
    return canvas


def fig3_plot(results: Sequence[CellResult]) -> Any:
    """Accuracy against t, one line a bit error rate; bars are standard deviations, as in the paper."""
    scaled = [each for each in results if each.cell.target is not None]
    formats = list(dict.fromkeys(each.cell.format for each in scaled))
    canvas, panels = _panels(formats)
    for panel, name in zip(panels, formats, strict=True):
        here = [each for each in scaled if each.cell.format == name]
        for index, ber in enumerate(dict.fromkeys(each.cell.ber for each in here)):
            line = sorted((each for each in here if each.cell.ber == ber), key=lambda each: each.cell.target or 0)
            panel.errorbar(
                [each.cell.target for each in line],
                [each.summary.mean for each in line],
                yerr=[each.summary.std for each in line],
                label=f"BER {ber:g}",
                color=COLOURS[index % len(COLOURS)],
                marker=MARKERS[index % len(MARKERS)],
                markersize=3,
                linewidth=1,
                capsize=2,
            )
        panel.set_xlabel("t")
        panel.set_ylim(0, 100)
    panels[0].set_ylabel("top-1 accuracy, %")
    _legend(canvas, panels[0])
    return canvas


def save(canvas: Any, path: Path) -> None:
    """Write a figure as its file name says.

    Raises:
        HwflowError: the file cannot be written.
    """
    buffer = io.BytesIO()
    canvas.savefig(buffer, format=path.suffix[1:], dpi=DPI)
    write_file(path, buffer.getvalue())


def _legend(canvas: Any, panel: Any) -> None:
    """One legend for all panels, beside them."""
    handles, labels = panel.get_legend_handles_labels()
    canvas.legend(handles, labels, loc="outside right center", fontsize=7, frameon=False)


def _panels(titles: Sequence[str]) -> tuple[Any, list[Any]]:
    from matplotlib.figure import Figure

    canvas = Figure(figsize=(_PANEL[0] * len(titles), _PANEL[1]), layout="constrained")
    panels = list(np.atleast_1d(canvas.subplots(1, len(titles))))
    for panel, title in zip(panels, titles, strict=True):
        panel.set_title(title, fontsize=9)
        panel.grid(color="#dddddd", linewidth=0.5)
        panel.tick_params(labelsize=7)
    return canvas, panels
