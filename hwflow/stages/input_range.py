"""Whether images look like those that a design was calibrated on: values outside its input type, and its range."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hwflow.graph import Graph

if TYPE_CHECKING:
    from hwflow.folders.design import Design

SATURATED_SHARE = 1e-3
"""Warned of above: with its guard bit, an input type holds at least twice what calibration saw, so that images of
the calibration's kind saturate nowhere, and wrong preprocessing nearly everywhere."""
OUTSIDE_SHARE = 1e-2
"""Warned of above: of n values drawn alike, about 2 / n lie outside the range of n others."""
MARGIN = 0.1
"""Of the calibrated span: a division by 255 instead of 256 is no other preprocessing."""
NARROW = 16
"""Warned of where images span so many times less than the calibration: 0..1 instead of 0..255 spans 255 times less."""


@dataclass(frozen=True)
class InputRange:
    """Input values counted against a design's input type and calibrated range; sums over batches with ``+``.

    Attributes:
        values: input values seen: images times elements of an image.
        saturated: of them, those that the input type cannot hold: by more than half its LSB outside.
        outside: of them, those outside the range of the calibration images by more than ``MARGIN`` of its span; 0
            if that range is not known.
        lowest, highest: the range seen; both 0 of no values.
        type: the input type, in C++ spelling.
        type_range: the lowest and the highest value that it holds.
        calibrated: the lowest and the highest value in calibration, if known.
    """

    values: int
    saturated: int
    outside: int
    lowest: float
    highest: float
    type: str
    type_range: tuple[float, float]
    calibrated: tuple[float, float] | None = None

    @property
    def fraction(self) -> float:
        """``saturated`` as a share of ``values``."""
        return self.saturated / self.values if self.values else 0.0

    @property
    def outside_fraction(self) -> float:
        """``outside`` as a share of ``values``."""
        return self.outside / self.values if self.values else 0.0

    def __add__(self, other: InputRange) -> InputRange:
        """The count over both; the types and calibrations must be the same."""
        if not self.values or not other.values:
            return self if self.values else other
        return InputRange(
            self.values + other.values,
            self.saturated + other.saturated,
            self.outside + other.outside,
            min(self.lowest, other.lowest),
            max(self.highest, other.highest),
            self.type,
            self.type_range,
            self.calibrated,
        )

    def warning(self) -> str | None:
        """One line that says that the images are not like those of the calibration, and what to do; else ``None``."""
        seen = f"they span {_span(self.lowest, self.highest)}"
        held = f"{self.type} holds {_span(*self.type_range)}"
        calibrated = "" if self.calibrated is None else f", calibrated on {_span(*self.calibrated)}"
        if self.fraction > SATURATED_SHARE:
            what = f"{100 * self.fraction:.3g} % of the input values saturate: {seen}, {held}{calibrated}"
        elif self.outside_fraction > OUTSIDE_SHARE:
            what = f"{100 * self.outside_fraction:.3g} % of the input values lie outside the calibrated range: {seen}"
            what += calibrated
        elif self._narrow():
            what = f"the input values use little of the calibrated range: {seen}{calibrated}"
        else:
            return None
        return f"{what}; give the images the same preprocessing as in calibration, or harden again on such images"

    def to_json(self) -> dict[str, Any]:
        """The counts as JSON data, with both shares."""
        return {**asdict(self), "fraction": self.fraction, "outside_fraction": self.outside_fraction}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> InputRange:
        """The counts that :meth:`to_json` gave."""
        values = {each.name: data[each.name] for each in fields(cls)}
        calibrated = values["calibrated"]
        spans = {"type_range": tuple(values["type_range"]), "calibrated": calibrated and tuple(calibrated)}
        return cls(**{**values, **spans})

    def _narrow(self) -> bool:
        if not self.values or self.calibrated is None:
            return False
        return NARROW * max(abs(self.lowest), abs(self.highest)) < max(map(abs, self.calibrated))


def input_range(graph: Graph, images: npt.NDArray[Any], calibrated: tuple[float, float] | None = None) -> InputRange:
    """Count the values of a batch that a typed graph's input cannot hold.

    Args:
        graph: the design's graph.
        images: real values ``(n, *input shape)``; no images are fine.
        calibrated: the range of the calibration images, see :func:`calibrated_range`.
    """
    type_ = graph.input.resolved
    half = type_.lsb / 2
    low, high = (float(images.min()), float(images.max())) if images.size else (0.0, 0.0)

    def beyond(lowest: float, highest: float) -> int:
        if lowest <= low and high <= highest:
            return 0
        return int(np.count_nonzero((images < lowest) | (images > highest)))

    return InputRange(
        values=int(images.size),
        saturated=beyond(type_.min - half, type_.max + half),
        outside=0 if calibrated is None else beyond(*_widened(calibrated, half)),
        lowest=low,
        highest=high,
        type=str(type_),
        type_range=(type_.min, type_.max),
        calibrated=calibrated,
    )


def calibrated_range(design: Design) -> tuple[float, float]:
    """The lowest and the highest input value of the images that a design was calibrated on."""
    ranges: Mapping[str, tuple[float, float]] = design.manifest["calibration"]["ranges"]
    low, high = ranges[design.graph.input.name]
    return float(low), float(high)


def _widened(span: tuple[float, float], least: float) -> tuple[float, float]:
    margin = max(MARGIN * (span[1] - span[0]), least)
    return span[0] - margin, span[1] + margin


def _span(low: float, high: float) -> str:
    return f"{low:.4g} to {high:.4g}"
