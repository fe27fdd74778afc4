"""Figures by matplotlib, small enough to be read on a phone, as SVG and PNG."""

from __future__ import annotations

import io
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hwflow.campaign.export import CellResult, Results
from hwflow.campaign.plan import Labels
from hwflow.graph.naming import file_stems

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

SIZE = (4.4, 3.3)  # inches
DPI = 160
_BAR = 0.09  # inches of a horizontal bar
_LONGEST = 40  # characters of a label
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
"""Told apart by colour-blind readers (Okabe and Ito)."""

MARKERS = "osD^vPX*"

_STYLE: Any = {
    "svg.fonttype": "path",
    "svg.hashsalt": "hwflow",  # equal figures, equal bytes
    "text.parse_math": False,  # a layer's name is no formula
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8,
}


@dataclass(frozen=True)
class Figure:
    """A drawn figure.

    Attributes:
        name: of its files.
        caption: a sentence that says what is shown.
        svg: the drawing, without XML prolog.
        png: the same as pixels.
    """

    name: str
    caption: str
    svg: str
    png: bytes


def draw(name: str, caption: str, paint: Callable[[Axes], None], height: float = SIZE[1]) -> Figure:
    """A figure with one pair of axes, which `paint` fills; `height` in inches."""
    import matplotlib
    from matplotlib.figure import Figure as Canvas

    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        canvas: Canvas = Canvas(figsize=(SIZE[0], height), layout="constrained")
        paint(canvas.add_subplot())
        svg, png = io.BytesIO(), io.BytesIO()
        # A name in letters that the font lacks is drawn as boxes; the tables have it.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        canvas.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
        canvas.savefig(png, format="png", dpi=DPI, metadata={"Software": None})
    text = svg.getvalue().decode()
    return Figure(name, caption, text[text.index("<svg") :], png.getvalue())


def report_figures(results: Results) -> list[Figure]:
    """All figures that the cells of a campaign give, each with a file name of its own."""
    figures = [*_against_ber(results), *_against_t(results), *_by_place(results)]
    names = _file_names([figure.name for figure in figures])
    return [replace(figure, name=name) for figure, name in zip(figures, names, strict=True)]


def _against_ber(results: Results) -> Iterator[Figure]:
    for model, format_ in _groups(results):
        curves = _by(results.find(model=model, format=format_, layer=None, bit=None), results.labels)
        rates = {each.cell.ber for cells in curves.values() for each in cells if each.cell.ber > 0}
        if len(rates) < 2:
            continue

        def paint(axes: Axes, curves: dict[Any, list[CellResult]] = curves) -> None:
            for index, (label, cells) in enumerate(curves.items()):
                _curve(axes, [each for each in cells if each.cell.ber > 0], lambda cell: cell.ber, str(label), index)
                for each in cells:
                    if each.cell.ber == 0:
                        axes.axhline(each.summary.mean, color=_colour(index), linestyle=":", linewidth=0.8)
            axes.set_xscale("log")
            _finish(axes, "bit error rate")

        yield draw(
            _name("ber", model, format_),
            f"{model}, {format_}: accuracy against the bit error rate, with 95 % intervals; dotted, without faults.",
            paint,
        )


def _against_t(results: Results) -> Iterator[Figure]:
    for model, format_ in _groups(results):
        cells = results.find(model=model, format=format_, layer=None, bit=None)
        scaled = [each for each in cells if each.cell.target is not None and each.cell.ber > 0]
        curves = _by(scaled, lambda cell: (cell.protection, cell.ber))
        if len({each.cell.target for each in scaled}) < 3:
            continue

        def paint(axes: Axes, curves: dict[Any, list[CellResult]] = curves) -> None:
            for index, ((protection, ber), each) in enumerate(curves.items()):
                label = f"BER {ber:g}" + ("" if protection == "plain" else f", {protection}")
                _curve(axes, sorted(each, key=lambda one: one.cell.target or 0), lambda cell: cell.target, label, index)
            _finish(axes, "t")

        yield draw(_name("t", model, format_), f"{model}, {format_}: accuracy against t, with 95 % intervals.", paint)


def _by_place(results: Results) -> Iterator[Figure]:
    for model, format_ in _groups(results):
        cells = results.find(model=model, format=format_)
        for kind in ("layer", "bit"):
            placed = [each for each in cells if getattr(each.cell, kind) is not None]
            for ber in dict.fromkeys(each.cell.ber for each in placed):
                here = [each for each in placed if each.cell.ber == ber]

                def paint(axes: Axes, here: list[CellResult] = here, kind: str = kind) -> None:
                    _bars(axes, here, kind, results.labels)

                where = "in one layer" if kind == "layer" else "at one bit position (0 the least significant)"
                yield draw(
                    _name(f"{kind}-{ber:g}", model, format_),
                    f"{model}, {format_}: accuracy with faults {where} only, BER {ber:g}, with 95 % intervals.",
                    paint,
                    max(SIZE[1], 0.8 + _BAR * len(here)),
                )


def _bars(axes: Axes, cells: Sequence[CellResult], kind: str, labels: Labels) -> None:
    curves = _by(cells, labels)
    places = list(dict.fromkeys(getattr(each.cell, kind) for each in cells))
    height = 0.8 / len(curves)
    for index, (label, each) in enumerate(curves.items()):
        where = [places.index(getattr(one.cell, kind)) + (index - (len(curves) - 1) / 2) * height for one in each]
        means = [one.summary.mean for one in each]
        errors = [[max(0.0, one.summary.mean - max(one.summary.low, 0.0)) for one in each]]
        errors.append([max(0.0, min(one.summary.high, 100.0) - one.summary.mean) for one in each])
        axes.barh(
            where, means, height, xerr=errors, color=_colour(index), label=str(label), error_kw={"linewidth": 0.8}
        )
    axes.set_yticks(range(len(places)), [_label(place) for place in places], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("top-1 accuracy, %")
    axes.grid(False, axis="y")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)


def _curve(axes: Axes, cells: Sequence[CellResult], place: Callable[[Any], Any], label: str, index: int) -> None:
    means = [each.summary.mean for each in cells]
    low = [each.summary.mean - max(each.summary.low, 0.0) for each in cells]
    high = [min(each.summary.high, 100.0) - each.summary.mean for each in cells]
    axes.errorbar(
        [place(each.cell) for each in cells],
        means,
        yerr=[[max(0.0, each) for each in low], [max(0.0, each) for each in high]],
        label=label,
        color=_colour(index),
        marker=MARKERS[index % len(MARKERS)],
        markersize=4,
        linewidth=1.2,
        capsize=2,
    )


def _finish(axes: Axes, x: str) -> None:
    axes.set_xlabel(x)
    axes.set_ylabel("top-1 accuracy, %")
    axes.set_ylim(0, 100)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)


def _groups(results: Results) -> list[tuple[str, str]]:
    return list(dict.fromkeys((each.cell.model, each.cell.format) for each in results.cells))


def _by(cells: Sequence[CellResult], key: Callable[[Any], Any]) -> dict[Any, list[CellResult]]:
    found: dict[Any, list[CellResult]] = {}
    for each in cells:
        found.setdefault(key(each.cell), []).append(each)
    return found


def _colour(index: int) -> str:
    return COLOURS[index % len(COLOURS)]


def _label(place: object) -> str:
    """What stands at an axis: short, and printable."""
    text = "".join(letter if letter.isprintable() else "?" for letter in str(place))
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _name(*parts: str) -> str:
    """What a figure's file name is made from."""
    return "\0".join(parts)


def _file_names(names: Sequence[str]) -> list[str]:
    """Letters, digits, dots and dashes of the names, where that tells them apart; else with a hash."""
    words = [[word for word in re.split(r"[^A-Za-z0-9.]+", name) if word] for name in names]
    readable = ["-".join(each) for each in words]
    count = Counter(each.lower() for each in readable)
    chosen = [short if count[short.lower()] == 1 else name for short, name in zip(readable, names, strict=True)]
    stems = file_stems(chosen)
    return [stems[each] for each in chosen]
