"""Means, intervals, stopping, and paired comparison of accuracies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from hwflow.data.proportion import CONFIDENCE, score_interval

Interval = Literal["wilson", "bootstrap"]
INTERVALS: dict[Interval, str] = {
    "wilson": "Wilson's score interval of a proportion, its variance taken from the spread of the rounds",
    "bootstrap": "percentile bootstrap of the rounds' mean, 10,000 resamples",
}
"""What the intervals of a mean accuracy are; all lie within 0 to 100 %."""


def described(interval: Interval) -> dict[str, Any]:
    """What an accuracy's ``low`` and ``high`` are, as JSON data."""
    return {"confidence": CONFIDENCE, "accuracy": INTERVALS[interval]}


ALIKE = "alike in all rounds"
"""Instead of an interval: a spread that no round showed is not known."""


def has_width(low: float | None, high: float | None, rounds: int = 2) -> bool:
    """Whether there is an interval: not of one round, and not where all are alike."""
    return low is not None and high is not None and rounds > 1 and low < high


def interval_text(low: float | None, high: float | None, rounds: int = 2, sign: bool = False) -> str | None:
    """An interval in words, ``12.34 to 15.60``, with signs if asked for; ``ALIKE``, or None, where there is none."""
    if low is None or high is None or rounds < 2:
        return None
    if not has_width(low, high, rounds):
        return ALIKE
    return f"{low:+z.2f} to {high:+z.2f}" if sign else f"{low:z.2f} to {high:z.2f}"


PAIRED_INTERVAL = "Student's interval of the mean difference, cut at -100 and 100 points"
_RESAMPLES = 10_000


@dataclass(frozen=True)
class Summary:
    """Accuracies of the rounds of a cell, percent.

    Attributes:
        mean: over the rounds.
        std: sample standard deviation (n - 1); 0 for a single round.
        low, high: 95 % confidence interval of the mean, within 0 to 100; the mean itself, and no interval, for a single
            round and where all are alike.
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
        low, high: its 95 % Student interval, cut where no difference can be: at -100 and 100 points; the difference
            itself, and no interval, for one pair and where all are alike.
        p: of the two-sided paired t test; None where it has no meaning (fewer than 2 rounds, or all pairs alike).
        rounds: pairs.
    """

    difference: float
    low: float
    high: float
    p: float | None
    rounds: int


UNPAIRED_INTERVAL = "Welch's interval of the difference of two means, cut at -100 and 100 points"


@dataclass(frozen=True)
class Unpaired:
    """Two lists of accuracies under fault lists that have nothing to do with each other.

    Attributes:
        difference: mean of second - mean of first, points.
        low, high: its 95 % interval by Welch, cut at -100 and 100 points; None where one has fewer than 2 rounds; the
            difference itself, and no interval, where the rounds of both are alike.
        p: of Welch's two-sided t test; None in both cases.
    """

    difference: float
    low: float | None
    high: float | None
    p: float | None


@dataclass(frozen=True)
class Stopping:
    """When a cell has enough rounds: after `rounds`, or once its interval is narrow, with a cap."""

    rounds: int
    until_ci: float | None = None
    max_rounds: int = 100
    interval: Interval = "wilson"

    def reached(self, summary: Summary) -> bool | None:
        """Whether the interval is as narrow as it should be; None where no width is asked for."""
        return None if self.until_ci is None else summary.half_width <= self.until_ci

    def enough(self, accuracies: Sequence[float]) -> int | None:
        """How many of the rounds, in order, count; None if more are needed.

        It looks at every prefix, so that rounds that another worker ran ahead change nothing.
        """
        if self.until_ci is None:
            return self.rounds if len(accuracies) >= self.rounds else None
        cap = max(self.rounds, self.max_rounds)
        for count in range(self.rounds, min(len(accuracies), cap) + 1):
            if count == cap or self.reached(summarise(accuracies[:count], self.interval)):
                return count
        return None


def summarise(accuracies: Sequence[float], interval: Interval = "wilson") -> Summary:
    """Mean, deviation and 95 % interval of accuracies in percent.

    ``wilson`` is the score interval of the pooled proportion m for clustered samples (Korn and Graubard 1998): all
    p with (m - p)^2 <= t^2 s^2 p (1 - p) / (n m (1 - m)), where s is the deviation over the n rounds and t Student's
    quantile with n - 1 degrees of freedom. It holds m and stays within 0 to 100 %; far from both it is m -+ t s /
    sqrt(n). ``bootstrap`` resamples the rounds 10,000 times, always with the same random numbers.
    """
    values = np.asarray(accuracies, dtype=np.float64)
    if _alike(values):
        mean = float(values[0])
        return Summary(mean, 0.0, mean, mean, len(values))
    mean = float(values.mean())
    std = float(values.std(ddof=1))
    if interval == "wilson":
        low, high = _wilson(mean / 100, student(len(values)) * std / 100 / math.sqrt(len(values)))
        low, high = min(100 * low, mean), max(100 * high, mean)
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
    if _alike(difference):
        mean = float(difference[0])
        return Paired(mean, mean, mean, None, count)
    mean = float(difference.mean())
    error = float(difference.std(ddof=1)) / math.sqrt(count)
    half = student(count) * error
    p = float(2 * stats.t.sf(abs(mean) / error, count - 1))
    return Paired(mean, max(mean - half, -100.0), min(mean + half, 100.0), p, count)


def compare_unpaired(first: Sequence[float], second: Sequence[float]) -> Unpaired:
    """Welch's t test of two lists of accuracies, whose lengths and spreads may differ."""
    from scipy import stats

    one, other = (np.asarray(each, np.float64) for each in (first, second))
    difference = float(other.mean() - one.mean())
    if min(len(one), len(other)) < 2:
        return Unpaired(difference, None, None, None)
    shares = [float(each.var(ddof=1)) / len(each) for each in (one, other)]
    error = math.sqrt(sum(shares))
    if _alike(one) and _alike(other):
        difference = float(other[0] - one[0])
        return Unpaired(difference, difference, difference, None)
    # Welch and Satterthwaite
    freedom = sum(shares) ** 2 / sum(
        share**2 / (len(each) - 1) for share, each in zip(shares, (one, other), strict=True)
    )
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom)) * error
    p = float(2 * stats.t.sf(abs(difference) / error, freedom))
    return Unpaired(difference, max(difference - half, -100.0), min(difference + half, 100.0), p)


def _alike(values: npt.NDArray[np.float64]) -> bool:
    """Whether they are all the same; their deviation need not be 0, as their mean is rounded."""
    return bool((values == values[0]).all())


def beats(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether one point, of which less is better, is no worse than another in anything and better in something."""
    return tuple(one) != tuple(other) and all(a <= b for a, b in zip(one, other, strict=True))


def _wilson(mean: float, half: float) -> tuple[float, float]:
    """The score interval of a proportion whose symmetric interval has this half width."""
    if half == 0.0:
        return mean, mean
    # t^2 over the effective number of images
    return score_interval(mean, half**2 / (mean * (1 - mean)))


def student(count: int) -> float:
    """Student's two-sided 95 % quantile of the mean of so many values."""
    from scipy import stats

    return float(stats.t.ppf((1 + CONFIDENCE) / 2, count - 1))
