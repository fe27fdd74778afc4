"""Confidence intervals of proportions."""

from __future__ import annotations

import math
from statistics import NormalDist

CONFIDENCE = 0.95


def wilson(hits: int, count: int) -> tuple[float, float]:
    """Wilson's score interval (1927) of the proportion ``hits / count`` at :data:`CONFIDENCE`, within 0 to 1."""
    quantile = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    return score_interval(hits / count, quantile**2 / count)


def score_interval(mean: float, shrink: float) -> tuple[float, float]:
    """All p with ``(mean - p)^2 <= shrink p (1 - p)``; shrink is the squared quantile over the number of samples."""
    centre = (mean + shrink / 2) / (1 + shrink)
    reach = math.sqrt(shrink * mean * (1 - mean) + shrink**2 / 4) / (1 + shrink)
    return max(centre - reach, 0.0), min(centre + reach, 1.0)
