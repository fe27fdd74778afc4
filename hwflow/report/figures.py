"""Figures by matplotlib, small enough to be read on a phone, as SVG and PNG."""

from __future__ import annotations

import io
import re
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from hwflow.campaign.export import CellResult, Results
from hwflow.campaign.plan import Cell, Labels
from hwflow.campaign.statistics import Summary
from hwflow.graph.naming import file_stems
from hwflow.report.cost_plot import Point, paint_costs
from hwflow.report.looks import FEW, Look, legend, looks_of
from hwflow.report.ways import ACCEPTED, Way, ways

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

WIDTH, HEIGHT = 4.4, 2.5
"""Inches of a figure, and of its axes."""
LEFT, RIGHT, ABOVE, BELOW = 0.62, 0.12, 0.12, 0.5
"""Inches around the axes; below them comes the legend."""
DPI = 160
BER_AXIS = "bit error rate (flips per bit)"
ACCURACY_AXIS = "top-1 accuracy (%)"
_BAR = 0.09  # inches of a horizontal bar
_LETTER = 0.065  # inches beside an axis
_LONGEST = 28  # characters of a label
_BESIDE = 0.12  # decades over which the points of many curves at one rate are spread
STYLE: Any = {
    "svg.fonttype": "none",  # text stays text
    "font.family": "sans-serif",
    "svg.hashsalt": "hwflow",  # equal figures, equal bytes
    "text.parse_math": False,  # a layer's name is no formula
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8,
}


class Summarised(Protocol):
    """What has a mean accuracy with its interval."""

    @property
    def summary(self) -> Summary:
        """Of its rounds."""


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


def draw(name: str, caption: str, paint: Callable[[Axes], None], height: float = HEIGHT, left: float = LEFT) -> Figure:
    """A figure with one pair of axes, which `paint` fills, and a legend below it of all that has a label.

    Args:
        name: of its files.
        caption: a sentence that says what is shown.
        paint: draws in the axes.
        height: of the axes, inches; their width is that of all figures but for `left`.
        left: inches beside the axes.
    """
    import matplotlib
    from matplotlib.figure import Figure as Canvas

    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        canvas: Canvas = Canvas(figsize=(WIDTH, height + ABOVE + BELOW))
        axes = canvas.add_axes((0.1, 0.1, 0.8, 0.8))
        paint(axes)
        below = BELOW + legend(axes)
        whole = height + ABOVE + below
        canvas.set_size_inches(WIDTH, whole)
        axes.set_position((left / WIDTH, below / whole, (WIDTH - left - RIGHT) / WIDTH, height / whole))
        svg, png = io.BytesIO(), io.BytesIO()
        # A name in letters that the font lacks is drawn as boxes; the tables have it.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        canvas.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
        canvas.savefig(png, format="png", dpi=DPI, metadata={"Software": None})
    text = svg.getvalue().decode()
    return Figure(name, caption, text[text.index("<svg") :], png.getvalue())


def report_figures(results: Results) -> list[Figure]:
    """All figures that the cells of a campaign give, each with a file name of its own."""
    figures = [*_against_cost(results), *_against_ber(results), *_against_t(results), *_by_place(results)]
    names = _file_names([figure.name for figure in figures])
    return [replace(figure, name=name) for figure, name in zip(figures, names, strict=True)]


def _against_cost(results: Results) -> Iterator[Figure]:
    found = ways(results)
    for model in dict.fromkeys(way.model for way in found):
        rivals = [way for way in found if way.model == model]
        looks = looks_of({way.label: way.cell for way in rivals})
        for ber in sorted({each.cell.ber for way in rivals for each in way.cells} - {0.0}):
            points = [point for way in rivals if (point := _point(way, ber, looks[way.label])) is not None]
            if len({point.luts for point in points}) < 2:
                continue

            def paint(axes: Axes, points: list[Point] = points) -> None:
                paint_costs(axes, points, ACCEPTED)

            yield draw(
                _name(f"cost-{ber:g}", model),
                f"{model}: points of accuracy lost at BER {ber:g} against LUTs of the decoder. "
                f"{bars_text([each for way in rivals if (each := way.at(ber)) is not None])} "
                f"Line: through what loses less than all cheaper ones; dotted: {ACCEPTED:g} point. What has no "
                "synthesised decoder is left out.",
                paint,
            )


def _point(way: Way, ber: float, look: Look) -> Point | None:
    each, luts = way.at(ber), way.luts
    if each is None or luts is None:
        return None
    return Point(luts, *way.lost(each), look, way.label)


def _against_ber(results: Results) -> Iterator[Figure]:
    for model, format_ in _groups(results):
        curves = _by(results.find(model=model, format=format_, layer=None, bit=None), results.labels)
        rates = sorted({each.cell.ber for cells in curves.values() for each in cells})
        if len(rates) < 2 or rates[-1] == 0:
            continue
        in_float = results.head["float"][model]
        best = 100 * in_float["correct"] / in_float["images"]

        def paint(
            axes: Axes,
            curves: dict[Any, list[CellResult]] = curves,
            rates: Sequence[float] = rates,
            best: float = best,
        ) -> None:
            looks = looks_of({label: cells[0].cell for label, cells in curves.items()})
            place = places_of(rates)
            for number, (label, cells) in enumerate(curves.items()):
                # Beside each other, so that no interval hides another one.
                beside = 10 ** ((number / len(curves) - 0.5) * _BESIDE) if len(curves) > FEW else 1.0
                here = {rate: beside * at for rate, at in place.items()}
                curve(axes, cells, [here[each.cell.ber] for each in cells], label, looks[label])
            rate_ticks(axes, place)
            finish(axes, BER_AXIS)
            if len(curves) > FEW:
                _spread(axes, best)

        stretched = ", the axis stretched near that of the network in float" if len(curves) > FEW else ""
        yield draw(
            _name("ber", model, format_),
            f"{model}, {format_}: accuracy against the bit error rate{stretched}. "
            f"{bars_text([each for cells in curves.values() for each in cells])}",
            paint,
        )


def _against_t(results: Results) -> Iterator[Figure]:
    for model, format_ in _groups(results):
        cells = results.find(model=model, format=format_, layer=None, bit=None)
        scaled = [each for each in cells if each.cell.target is not None and each.cell.ber > 0 and not each.cell.design]
        curves = _by(scaled, lambda cell: _rate_and_way(cell, results.labels))
        if len({each.cell.target for each in scaled}) < 3:
            continue

        def paint(axes: Axes, curves: dict[Any, list[CellResult]] = curves) -> None:
            for index, (label, each) in enumerate(curves.items()):
                ordered = sorted(each, key=lambda one: one.cell.target or 0)
                curve(axes, ordered, [each.cell.target for each in ordered], label, Look.of(index))
            finish(axes, "t, largest magnitude of the scaled weights")

        yield draw(
            _name("t", model, format_),
            f"{model}, {format_}: accuracy against t. {bars_text(scaled)}",
            paint,
        )


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
                places = {_label(getattr(each.cell, kind)) for each in here}
                yield draw(
                    _name(f"{kind}-{ber:g}", model, format_),
                    f"{model}, {format_}: accuracy with faults {where} only, BER {ber:g}. {bars_text(here)}",
                    paint,
                    max(HEIGHT, _BAR * len(here)),
                    max(LEFT, 0.35 + _LETTER * max(map(len, places))),
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
            where, means, height, xerr=errors, color=Look.of(index).colour, label=label, error_kw={"linewidth": 0.8}
        )
    axes.set_yticks(range(len(places)), [_label(place) for place in places], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel(ACCURACY_AXIS)
    axes.set_ylabel("layer" if kind == "layer" else "bit position")
    axes.grid(False, axis="y")


def curve(axes: Axes, cells: Sequence[Summarised], places: Sequence[Any], label: str, look: Look) -> None:
    """Mean accuracies with their intervals, and a line through them."""
    means = [each.summary.mean for each in cells]
    low = [each.summary.mean - max(each.summary.low, 0.0) for each in cells]
    high = [min(each.summary.high, 100.0) - each.summary.mean for each in cells]
    axes.errorbar(
        places,
        means,
        yerr=[[max(0.0, each) for each in low], [max(0.0, each) for each in high]],
        label=label,
        linestyle=look.line,
        linewidth=1.2,
        **look.style,
    )


def places_of(rates: Sequence[float]) -> dict[float, float]:
    """Where bit error rates stand on a logarithmic axis, no faults at its left end."""
    least = min(rate for rate in rates if rate > 0)
    return {rate: rate or least / 4 for rate in rates}


def rate_ticks(axes: Axes, place: Mapping[float, float]) -> None:
    """A logarithmic axis of bit error rates, at the places of `places_of`."""
    axes.set_xscale("log")
    axes.set_xticks([*place.values()], [rate_text(rate) for rate in place], fontsize=8)
    axes.set_xticks([], minor=True)


def rate_text(ber: float) -> str:
    """A bit error rate as briefly as possible: 2e-4 rather than 0.0002."""
    scientific = f"{ber:e}".partition("e")
    return min(f"{float(scientific[0]):g}e{int(scientific[2])}", f"{ber:g}", key=len)


def _spread(axes: Axes, best: float) -> None:
    """Stretch an axis of accuracies near the best one: points lost from it count by their logarithm."""
    axes.set_yscale(
        "function",
        functions=(lambda each: -np.arcsinh(best - np.asarray(each)), lambda each: best + np.sinh(np.asarray(each))),
    )
    axes.autoscale(axis="y")  # the margins were those of a linear axis
    low, high = axes.get_ylim()
    steps = [best + step for step in (2, 1, 0, -1, -2, -5, -10, -20, -50) if best + step <= 100]
    axes.set_yticks(steps, [f"{each:.1f}" for each in steps])
    axes.set_yticks([], minor=True)
    axes.set_ylim(max(low, 0.0), min(high, 100.0))


def finish(axes: Axes, x: str) -> None:
    """Name the axes of a plot of accuracies."""
    axes.set_xlabel(x)
    axes.set_ylabel(ACCURACY_AXIS)
    axes.set_ylim(0, 100)


def bars_text(cells: Sequence[CellResult]) -> str:
    """What the bars of a figure are, as a sentence."""
    rounds = {each.summary.rounds for each in cells if each.cell.ber > 0}
    return bars_over(rounds, {trial.images for each in cells for trial in each.trials})


def bars_over(rounds: Collection[int], images: Collection[int]) -> str:
    """The same, of so many rounds and images."""
    spreads = ((sorted(rounds), "round"), (sorted(images), "image"))
    said = ", ".join(count(spread, what) for spread, what in spreads if spread)
    return f"Error bars: 95 % interval of the mean ({said})."


def count(spread: Sequence[int], what: str) -> str:
    """A number of things, or from the least to the most."""
    number = f"{spread[0]} to {spread[-1]}" if spread[0] != spread[-1] else f"{spread[0]}"
    return f"{number} {what}" + ("" if spread[-1] == 1 else "s")


def _rate_and_way(cell: Cell, labels: Labels) -> str:
    return ", ".join(filter(None, (f"BER {cell.ber:g}", labels(cell, without="target"))))


def _groups(results: Results) -> list[tuple[str, str]]:
    return list(dict.fromkeys((each.cell.model, each.cell.format) for each in results.cells))


def _by(cells: Sequence[CellResult], key: Callable[[Cell], str]) -> dict[str, list[CellResult]]:
    found: dict[str, list[CellResult]] = {}
    for each in cells:
        found.setdefault(key(each.cell), []).append(each)
    return found


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
