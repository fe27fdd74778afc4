"""Intervals of proportions, stopping, and paired comparison."""

import math

import numpy as np
import pytest
from scipy import optimize, stats

from hwflow.campaign.statistics import INTERVALS, Stopping, compare, has_width, interval_text, summarise


def student(values):
    half = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values))
    return np.mean(values) - half, np.mean(values) + half


NEAR_AN_END = [[100.0, 99.0, 100.0], [0.0, 0.0, 2.0], [10.0, 90.0], [99.8, 100.0, 99.9, 80.0], [0.0, 100.0]]


@pytest.mark.parametrize("interval", ["wilson", "bootstrap"])
@pytest.mark.parametrize("values", NEAR_AN_END, ids=str)
def test_an_interval_stays_within_0_and_100(values, interval):
    summary = summarise(values, interval)
    low, high = student(values)
    assert low < 0 or high > 100  # what a symmetric interval would say
    assert 0 <= summary.low < summary.mean < summary.high <= 100


@pytest.mark.parametrize("values", [*NEAR_AN_END[:4], [40.0, 60.0, 55.0, 71.0]], ids=str)
def test_wilsons_interval_solves_its_equation(values):
    """Its ends are the proportions that are t standard errors from the mean, by a numeric solver."""
    summary, mean = summarise(values), np.mean(values) / 100
    error = np.std(values, ddof=1) / 100 / math.sqrt(len(values))
    t = stats.t.ppf(0.975, len(values) - 1)

    def excess(p):
        return (mean - p) ** 2 - t**2 * error**2 * p * (1 - p) / (mean * (1 - mean))

    assert summary.low == pytest.approx(100 * optimize.brentq(excess, 0, mean, xtol=1e-14), abs=1e-6)
    assert summary.high == pytest.approx(100 * optimize.brentq(excess, mean, 1, xtol=1e-14), abs=1e-6)


def test_far_from_the_ends_it_is_students():
    values = [50.0, 50.2, 49.9, 50.1]
    summary = summarise(values)
    assert (summary.low, summary.high) == pytest.approx(student(values), abs=1e-3)
    assert summary.half_width == pytest.approx(student(values)[1] - 50.05, abs=1e-3)


def test_it_covers_the_mean_as_often_as_it_says():
    """Rounds whose accuracies crowd at 100 %, as under few faults; 2,000 studies of 10 rounds."""
    rng, true = np.random.default_rng(1), 100 * 19 / 20
    covered = 0
    for _ in range(2000):
        summary = summarise(100 * rng.beta(19, 1, 10))
        covered += summary.low <= true <= summary.high
    assert 0.93 < covered / 2000 < 0.98


def test_rounds_that_agree_have_no_width():
    for value in (0.0, 37.5, 100.0, 93.2, 96.6):
        for interval in INTERVALS:
            summary = summarise([value] * 7, interval)
            assert (summary.mean, summary.low, summary.high, summary.std) == (value, value, value, 0.0)
            assert interval_text(summary.low, summary.high, summary.rounds) == "alike in all rounds"
            assert not has_width(summary.low, summary.high, summary.rounds)
    single = summarise([37.5])
    assert (single.low, single.high, single.half_width) == (37.5, 37.5, math.inf)


def test_an_interval_in_words():
    assert interval_text(93.14, 93.2) == "93.14 to 93.20"
    assert interval_text(-0.001, 1.0, sign=True) == "+0.00 to +1.00"
    assert interval_text(93.2, 93.2, rounds=1) is None
    assert interval_text(None, None) is None
    # Narrower than what is shown of it, and an interval all the same
    assert interval_text(93.201, 93.202) == "93.20 to 93.20"


def test_paired_differences():
    first, second = [50.0, 60.0, 40.0, 55.0], [58.0, 71.0, 46.0, 60.0]
    paired = compare(first, [*second, 99.0])
    expected = stats.ttest_rel(second, first)
    interval = expected.confidence_interval()
    assert paired.p == pytest.approx(expected.pvalue)
    assert (paired.low, paired.high) == pytest.approx((interval.low, interval.high))
    assert (paired.difference, paired.rounds) == (7.5, 4)
    wide = compare([10.0, 5.0], [90.0, 99.0])
    assert wide.high == 100.0 > wide.difference
    assert compare([1.0], [2.0]).p is None
    assert compare([1.0, 2.0], [2.0, 3.0]).p is None
    assert compare([1.0, 2.0], [1.0, 2.0]).p is None


def test_a_width_that_is_not_reached_is_known():
    rule = Stopping(3, until_ci=1.0, max_rounds=10)
    assert rule.reached(summarise([90.0, 90.1, 90.0])) is True
    assert rule.reached(summarise([10.0, 90.0] * 5)) is False
    assert Stopping(3).reached(summarise([10.0, 90.0, 10.0])) is None
