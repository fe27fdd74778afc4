"""Figures 2 and 3, drawn as the paper arranges them, one panel a format, at the widths of a paper's columns."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hwflow.campaign.export import CellResult
from hwflow.files.outputs import write_file
from hwflow.float_study import weight_format
from hwflow.paper.fig2 import WEIGHTS, Curve
from hwflow.paper.studies import Subject, published_in
from hwflow.report.figures import ACCURACY_AXIS, STYLE, count, rate_text
from hwflow.report.looks import COLOURS, LINES, MARKERS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Width = Literal["single", "double"]
Bars = Literal["interval", "std"]

WIDTHS: dict[Width, float] = {"single": 3.5, "double": 7.16}
"""Inches of a column of a paper, and of both with what is between."""

_LINES: tuple[Any, ...] = (*LINES, (0, (6, 1.5, 1, 1.5, 1, 1.5)))
_PANELS: dict[Width, int] = {"single": 2, "double": 4}  # beside each other
_PAPER = "paper, table II"
_HEIGHT = 1.65  # inches of a row of panels
_DPI = 600
_NORMAL = 1.959964  # 95 % quantile of means of very many rounds
_FLOAT_ERRORS = (1e-4, 1e2)  # what lies above is off the scale: errors of up to 1e38
_PAPER_STYLE: Any = {
    **STYLE,
    "pdf.fonttype": 42,  # text stays text
    "font.size": 7,
    "axes.titlesize": 7,
    "axes.labelsize": 7,
    "axes.linewidth": 0.6,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "legend.fontsize": 6.5,
    "legend.title_fontsize": 6.5,
    "lines.linewidth": 1,
    "lines.markersize": 3,
    "grid.linewidth": 0.4,
}


def fig2_plot(curves: Sequence[Curve], ber: float, rounds: int, width: Width = "single") -> Figure:
    """Absolute error against weight, one look a constant.

    Lines are expectations over all masks, or through the Monte Carlo means of formats that are too wide for them;
    points are Monte Carlo means with their 95 % intervals.
    """
    with _style():
        formats = list(dict.fromkeys(curve.format for curve in curves))
        canvas, panels = _panels(formats, width)
        for panel, name in zip(panels, formats, strict=True):
            here = [each for each in curves if each.format == name]
            for index, each in enumerate(here):
                _error_curve(panel, each, index)
            if weight_format(name).exponent_msb is None:
                panel.set_ylim(bottom=0)
            else:
                panel.set_yscale("log")
                panel.set_ylim(_FLOAT_ERRORS)
                panel.set_yticks([10.0**power for power in range(-4, 3, 2)])
                panel.yaxis.set_major_formatter(lambda value, _: rate_text(value))
                _note_off_scale(panel, here)
            panel.set_xlabel("weight W")
        for panel in _first_of_rows(panels, width):
            panel.set_ylabel("mean absolute error")
        exact = any(each.exact is not None for each in curves)
        lines = "lines: expectation, above 16 bits through the means; " if exact else ""
        title = f"{lines}points: Monte Carlo, 95 % interval over {rounds:,} rounds; BER {ber:g}"
        _legend(canvas, panels[:1], title, width)
        return canvas


def fig3_plot(
    results: Sequence[CellResult], width: Width = "single", bars: Bars = "interval", subject: Subject | None = None
) -> Figure:
    """Accuracy against t, one look a bit error rate.

    Args:
        results: of `hwflow.paper.studies.run_study`; unscaled networks have no t and are left out.
        width: ``single`` or ``double``, of a paper's columns.
        bars: the 95 % ``interval`` of the mean, or the ``std``, the standard deviation, as in the paper.
        subject: what was studied; where it is the paper's network, the values of its table II stand beside.
    """
    with _style():
        scaled = [each for each in results if each.cell.target is not None]
        formats = list(dict.fromkeys(each.cell.format for each in scaled))
        rates = list(dict.fromkeys(each.cell.ber for each in scaled))
        canvas, panels = _panels(formats, width)
        for panel, name in zip(panels, formats, strict=True):
            for index, ber in enumerate(rates):
                here = [each for each in scaled if (each.cell.format, each.cell.ber) == (name, ber)]
                line = sorted(here, key=lambda each: each.cell.target or 0.0)
                _accuracy_curve(panel, line, ber, index, bars)
                if subject is not None:
                    _published(panel, line, subject, index)
            panel.set_xlabel("t (largest scaled weight)")
            panel.set_ylim(0, 100)
        for panel in _first_of_rows(panels, width):
            panel.set_ylabel(ACCURACY_AXIS)
        what = "95 % interval of the mean" if bars == "interval" else "standard deviation"
        rounds = count(sorted({each.summary.rounds for each in scaled}), "round")
        _legend(canvas, panels, f"bars: {what}, {rounds}", width)
        return canvas


def save(canvas: Figure, path: Path) -> None:
    """Write a figure as its file name says; the same figure gives the same bytes.

    Raises:
        HwflowError: the file cannot be written.
    """
    metadata: dict[str, dict[str, Any]] = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}, ".png": {}}
    buffer = io.BytesIO()
    with _style():
        canvas.savefig(buffer, format=path.suffix[1:], dpi=_DPI, metadata=metadata[path.suffix])
    write_file(path, buffer.getvalue())


@contextmanager
def _style() -> Iterator[None]:
    import matplotlib

    with matplotlib.rc_context(_PAPER_STYLE):
        yield


def _look(index: int) -> dict[str, Any]:
    """Colours for the colour-blind, and lines and markers that tell curves apart in grey too."""
    return {
        "color": COLOURS[index % len(COLOURS)],
        "linestyle": _LINES[index % len(_LINES)],
        "marker": MARKERS[index % len(MARKERS)],
    }


def _error_curve(panel: Axes, curve: Curve, index: int) -> None:
    look = _look(index)
    marker = look.pop("marker")
    panel.plot(WEIGHTS, curve.monte_carlo if curve.exact is None else curve.exact, **look)
    step = slice(2 * (index % 5), None, 10)  # markers of curves that lie on each other stand apart
    weights, means, errors = (values[step] for values in (WEIGHTS, curve.monte_carlo, curve.error))
    shown = means <= _FLOAT_ERRORS[1]
    panel.errorbar(
        weights[shown], means[shown], _NORMAL * errors[shown], color=look["color"], marker=marker, linestyle="none",
        capsize=1, elinewidth=0.6, markersize=2.2,
    )  # fmt: skip
    label = f"c = {curve.c:g}" + (" (baseline)" if curve.c == 1 else "")
    panel.plot([], [], label=label, marker=marker, **look)


def _note_off_scale(panel: Axes, curves: Sequence[Curve]) -> None:
    """Say in the panel which curves leave it, and where their means are."""
    away = [each for each in curves if each.monte_carlo.max() > _FLOAT_ERRORS[1]]
    if away:
        means = "\n".join(f"c = {each.c:g}: mean {each.monte_carlo.mean():.1e}" for each in away)
        panel.text(
            0.5, 0.97, f"off the scale\n{means}", transform=panel.transAxes, ha="center", va="top", fontsize=5.5
        )  # fmt: skip


def _accuracy_curve(panel: Axes, line: Sequence[CellResult], ber: float, index: int, bars: Bars) -> None:
    means = [each.summary.mean for each in line]
    if bars == "std":
        reach = [[each.summary.std for each in line]] * 2
    else:
        reach = [[max(0.0, each.summary.mean - each.summary.low) for each in line]]
        reach.append([max(0.0, each.summary.high - each.summary.mean) for each in line])
    panel.errorbar(
        [each.cell.target or 0.0 for each in line], means, reach, label=f"BER {rate_text(ber)}", capsize=1.5,
        elinewidth=0.6, **_look(index),
    )  # fmt: skip


def _published(panel: Axes, line: Sequence[CellResult], subject: Subject, index: int) -> None:
    """The paper's values of table II, with their standard deviations, beside ours."""
    found = [(each.cell.target or 0.0, text) for each in line if (text := published_in(subject, each.cell)) is not None]
    if not found:
        return
    values = [[float(number) for number in re.findall(r"[\d.]+", text)] for _, text in found]
    panel.errorbar(
        [t for t, _ in found], [value[0] for value in values], [value[1] for value in values],
        label=f"{_PAPER}, BER {rate_text(line[0].cell.ber)} (± std)", linestyle="none", marker="*", markersize=7,
        color=COLOURS[index % len(COLOURS)], markerfacecolor="white", capsize=3, elinewidth=0.6, zorder=5,
    )  # fmt: skip


def _panels(formats: Sequence[str], width: Width) -> tuple[Figure, list[Axes]]:
    from matplotlib.figure import Figure

    beside = min(_PANELS[width], len(formats))
    rows = -(-len(formats) // beside)
    canvas = Figure(figsize=(WIDTHS[width], _HEIGHT * rows + 0.6), layout="constrained")
    panels = list(np.atleast_1d(canvas.subplots(rows, beside)).flat)
    for unused in panels[len(formats) :]:
        unused.remove()
    for letter, panel, name in zip("abcdefghijklmnopqrstuvwxyz", panels, formats, strict=False):
        panel.set_title(f"({letter}) {name.upper() if name.startswith('fp') else name}")
    return canvas, panels[: len(formats)]


def _first_of_rows(panels: Sequence[Axes], width: Width) -> Sequence[Axes]:
    return panels[:: _PANELS[width]]


def _legend(canvas: Figure, panels: Sequence[Axes], title: str, width: Width) -> None:
    """One legend for all panels, below them, which names the intervals."""
    found: dict[str, Any] = {}
    for panel in panels:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    found = dict(sorted(found.items(), key=lambda each: each[0].startswith(_PAPER)))
    longest = max(map(len, found))
    beside = max(1, min(len(found), int(WIDTHS[width] / (0.45 + 0.05 * longest))))
    if len(title) * 0.047 > WIDTHS[width]:
        cut = title.rindex("; ", 0, int(WIDTHS[width] / 0.047)) + 1
        title = f"{title[:cut]}\n{title[cut + 1 :]}"
    canvas.legend(
        found.values(), found, loc="outside lower center", ncols=beside, title=title, columnspacing=1,
        handlelength=2.4, labelspacing=0.3,
    )  # fmt: skip
