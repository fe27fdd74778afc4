"""The figures of a comparison: accuracy against the bit error rate, a curve for every file and way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from hwflow.report.figures import BER_AXIS, Figure, bars_over, curve, draw, finish, places_of, rate_ticks
from hwflow.report.looks import FEW, MARKERS, Look
from hwflow.report.measured import Condition

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BESIDE = 0.12  # decades over which points at one rate are spread

Curves = Mapping[str, Mapping[str, Mapping[float, Condition]]]
"""Conditions by way, file and bit error rate."""


def comparison_figures(ways: Curves, names: Sequence[str]) -> list[Figure]:
    """All curves in one figure; of many also a figure for every way that several files have.

    Args:
        ways: the conditions.
        names: of the files, in their order.
    """
    rates = sorted({rate for files in ways.values() for each in files.values() for rate in each})
    if len(rates) < 2:
        return []
    total = sum(map(len, ways.values()))
    figures = [_drawn("all", "All files", ways, names, rates)]
    if total > FEW and len(ways) > 1:
        shared = [way for way, files in ways.items() if len(files) > 1]
        figures += [_drawn(f"way-{number}", way, {way: ways[way]}, names, rates) for number, way in enumerate(shared)]
    return figures


def _drawn(name: str, title: str, ways: Curves, names: Sequence[str], rates: Sequence[float]) -> Figure:
    """Colour says the file; marker, line and whether markers are filled say the way, if there are several."""
    curves = [
        (file, way, files[file], look_of(names.index(file), number, len(ways)))
        for number, (way, files) in enumerate(ways.items())
        for file in names
        if file in files
    ]

    def paint(axes: Axes) -> None:
        place = places_of(rates)
        for index, (file, way, points, look) in enumerate(curves):
            beside = 10 ** ((index / len(curves) - 0.5) * _BESIDE)
            label = file if len(ways) == 1 else f"{file}: {way}"
            here = [points[rate] for rate in sorted(points)]
            curve(axes, here, [beside * place[rate] for rate in sorted(points)], label, look)
        rate_ticks(axes, place)
        finish(axes, BER_AXIS)

    shown = [each for _, _, points, _ in curves for each in points.values()]
    bars = bars_over(
        {each.summary.rounds for each in shown if each.coordinates["ber"]}, {each.images for each in shown}
    )
    caption = f"{title}: accuracy against the bit error rate. {bars} Points at one rate stand beside each other."
    if len(ways) > 1 and len(names) > 1:
        caption += " Colours are files; markers and lines are conditions."
    return draw(name, caption, paint)


def look_of(file: int, way: int, ways: int) -> Look:
    """The look of a file's curve; of one way the marker says the file too, of several ways the marker says the way."""
    found = Look.of(file, way)
    return found if ways == 1 else replace(found, marker=MARKERS[way % len(MARKERS)])
