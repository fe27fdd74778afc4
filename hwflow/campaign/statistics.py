"""Means, intervals, stopping, and paired comparison of accuracies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Interval = Literal["student", "bootstrap"]
CONFIDENCE = 0.95
_RESAMPLES = 10_000


@dataclass(frozen=True)
class Summary:
    """Accuracies of the rounds of a cell, percent.

    Attributes:
        mean: over the rounds.
        std: sample standard deviation (n - 1); 0 for a single round.
        low, high: 95 % confidence interval of the mean; the mean itself for a single round.
        rounds: how many.
    """

    mean: float
    std: float
    low: float
    high: float
    rounds: int

    @property
    def half_width(self) -> float:
        """Half of the interval; infinite for a single round."""
        return (self.high - self.low) / 2 if self.rounds > 1 else math.inf


@dataclass(frozen=True)
class Paired:
    """Two protections under the same fault seeds.

    Attributes:
        difference: mean of second - first, points.
        low, high: its 95 % Student interval.
        p: of the two-sided paired t test; None where it has no meaning (fewer than 2 rounds).
        rounds: pairs.
    """

    difference: float
    low: float
    high: float
    p: float | None
    rounds: int


@dataclass(frozen=True)
class Stopping:
    """When a cell has enough rounds: after `rounds`, or once its interval is narrow, with a cap."""

    rounds: int
    until_ci: float | None = None
    max_rounds: int = 100
    interval: Interval = "student"

    def enough(self, accuracies: Sequence[float]) -> int | None:
        """How many of the rounds, in order, count; None if more are needed.

        It looks at every prefix, so that rounds that another worker ran ahead change nothing.
        """
        if self.until_ci is None:
            return self.rounds if len(accuracies) >= self.rounds else None
        cap = max(self.rounds, self.max_rounds)
        for count in range(self.rounds, min(len(accuracies), cap) + 1):
            if count == cap or summarise(accuracies[:count], self.interval).half_width <= self.until_ci:
                return count
        return None


def summarise(accuracies: Sequence[float], interval: Interval = "student") -> Summary:
    """Mean, deviation and 95 % interval.

    ``student`` takes the mean as t-distributed; ``bootstrap`` resamples the rounds 10,000 times, always
    with the same random numbers.
    """
    values = np.asarray(accuracies, dtype=np.float64)
    mean = float(values.mean())
    if len(values) < 2:
        return Summary(mean, 0.0, mean, mean, len(values))
    std = float(values.std(ddof=1))
    if interval == "student":
        half = _student(len(values)) * std / math.sqrt(len(values))
        low, high = mean - half, mean + half
    else:
        picks = np.random.default_rng(0).integers(0, len(values), (_RESAMPLES, len(values)))
        tail = (1 - CONFIDENCE) / 2
        low, high = (float(each) for each in np.quantile(values[picks].mean(axis=1), [tail, 1 - tail]))
    return Summary(mean, std, low, high, len(values))


def compare(first: Sequence[float], second: Sequence[float]) -> Paired:
    """Paired t test of two lists of accuracies, round by round; the longer one is cut."""
    from scipy import stats

    count = min(len(first), len(second))
    difference = np.asarray(second[:count], np.float64) - np.asarray(first[:count], np.float64)
    summary = summarise(difference.tolist())
    if count < 2:
        p = None
    elif summary.std == 0.0:
        p = 1.0 if summary.mean == 0.0 else 0.0
    else:
        p = float(2 * stats.t.sf(abs(summary.mean) / (summary.std / math.sqrt(count)), count - 1))
    return Paired(summary.mean, summary.low, summary.high, p, count)


def _student(count: int) -> float:
    from scipy import stats

    return float(stats.t.ppf((1 + CONFIDENCE) / 2, count - 1))
