"""How curves and points are told apart, and the legend of many of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hwflow.campaign.plan import Cell

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
"""Told apart by colour-blind readers (Okabe and Ito)."""
MARKERS = "osD^v<>h"
LINES = ("-", "--", ":", "-.")
FEW = 8
"""Curves that can be told apart without more room."""

_FONT = 7
_LETTER, _HANDLE, _ROW, _PAD = 0.0505, 0.4, 0.122, 0.1  # inches, at that size
_WIDTH = 4.3  # inches for a legend
_LONGEST = int((_WIDTH - _HANDLE) / _LETTER)  # characters of a label


@dataclass(frozen=True)
class Look:
    """Of a curve.

    Attributes:
        colour, marker, line: as matplotlib takes them.
        filled: whether markers are.
    """

    colour: str
    marker: str
    line: str = "-"
    filled: bool = True

    @classmethod
    def of(cls, number: int, variant: int = 0) -> Look:
        """The look of a hue's number; variants of a hue share colour and marker."""
        marker = MARKERS[(number + number // len(COLOURS)) % len(MARKERS)]
        return cls(COLOURS[number % len(COLOURS)], marker, LINES[variant % len(LINES)], variant == 0)

    @property
    def style(self) -> dict[str, Any]:
        """For matplotlib's ``errorbar``, without the line."""
        return {
            "color": self.colour,
            "marker": self.marker,
            "markerfacecolor": self.colour if self.filled else "white",
            "markersize": 4,
            "capsize": 2,
        }


def looks_of(named: Mapping[str, Cell]) -> dict[str, Look]:
    """A look for every way to store weights, by its label: a hue for a storage code, a line for what else differs."""
    hues = {label: cell.protection if cell.design is None else label for label, cell in named.items()}
    numbers = {hue: number for number, hue in enumerate(dict.fromkeys(hues.values()))}
    if len(numbers) == 1:
        return {label: Look.of(number) for number, label in enumerate(named)}
    rest = {label: replace(cell, protection="").way if cell.design is None else () for label, cell in named.items()}
    variants = {way: number for number, way in enumerate(way for way in dict.fromkeys(rest.values()) if way)}
    return {label: Look.of(numbers[hues[label]], variants.get(rest[label], 0)) for label in named}


def legend(axes: Axes) -> float:
    """A legend at the foot of the figure, of all in the axes that has a label; returns the inches that it takes."""
    handles, labels = axes.get_legend_handles_labels()
    if not labels:
        return 0.0
    labels = [text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..." for text in labels]
    columns = max(1, min(len(labels), int(_WIDTH // (_HANDLE + _LETTER * max(map(len, labels))))))
    axes.figure.legend(
        handles, labels, loc="lower center", ncols=columns, fontsize=_FONT, columnspacing=1, labelspacing=0.25,
        borderaxespad=0.2,
    )  # fmt: skip
    return _PAD + _ROW * -(-len(labels) // columns)
