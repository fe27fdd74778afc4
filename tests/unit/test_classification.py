"""Scores of executors, and the limits that they must keep."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

from hwflow.errors import HwflowError
from hwflow.rtl.simulator import merged_reports
from hwflow.stages.classification import ExecutorAccuracy, Limits, Score, Truth
from hwflow.stages.comparison import Compared, Comparison

LABELS = np.array([0, 1, 2, 2])
KERAS = np.array([0, 1, 2, 0])
CLASSES = np.array([0, 2, 2, 0])
ALL = np.ones(4, dtype=bool)


def test_a_score_is_of_the_images_that_count() -> None:
    score = Truth(KERAS, LABELS).score(CLASSES, ALL, "list", 7, 3, 0)
    assert score == Score("list", 7, 3, 4, top1=50.0, agreement=75.0, loss=25.0, differing_codes=0)
    last_two = Truth(KERAS, LABELS).score(CLASSES, np.array([False, False, True, True]))
    assert (last_two.images, last_two.top1, last_two.agreement, last_two.loss) == (2, 50.0, 100.0, 0.0)
    better = Truth(KERAS, LABELS).score(LABELS, ALL)
    assert (better.loss, better.lost) == (-25.0, -25.0)


def test_without_labels_the_loss_is_bounded_by_the_disagreement() -> None:
    rng = np.random.default_rng(1)
    for _ in range(100):
        labels, keras, classes = rng.integers(0, 3, (3, 4))
        known = Truth(keras, labels).score(classes, ALL)
        unknown = Truth(keras, None).score(classes, ALL)
        assert unknown.top1 is None
        assert unknown.loss is None
        assert known.lost <= unknown.lost == 100 - unknown.agreement


def accuracy(*losses: float | None, name: str = "rtl") -> dict[str, ExecutorAccuracy]:
    """An executor that loses so many points of 90 %."""
    scores = [
        Score("none" if r == 0 else f"round {r}", None, r, 200, None if loss is None else 90 - loss, 98.0, loss)
        for r, loss in enumerate(losses)
    ]
    return {name: ExecutorAccuracy.of(scores)}


def test_the_worst_figure_outside_a_limit_is_named_first() -> None:
    figures = accuracy(0.5, 1.0, 3.5, 2.0)
    assert Limits().missed(figures) == []
    assert Limits(max_loss=3.5, min_accuracy=86.5).missed(figures) == []
    first, second = Limits(max_loss=1.0).missed(figures)
    assert first == (
        "--max-loss 1: rtl under faults 'round 2' has top-1 86.50 %, 3.50 points below Keras' 90.00 % (200 images)"
    )
    assert "'round 3'" in second
    assert Limits(min_accuracy=87).missed(figures) == [
        "--min-accuracy 87: rtl under faults 'round 2' has top-1 86.50 % (200 images)"
    ]
    assert Limits(max_loss=0, min_accuracy=100).missed(accuracy(5, name="keras")) == []
    assert len(Limits(max_loss=1).missed(accuracy(2, name="reference") | accuracy(2, name="csim"))) == 2


def test_the_limit_of_unlabelled_images_is_on_the_largest_class() -> None:
    assert Limits(max_loss=2).missed(accuracy(None)) == []
    assert Limits(max_loss=1.5).missed(accuracy(None)) == [
        "--max-loss 1.5: rtl under faults 'none' has another largest class than Keras for 2.00 % of 200 images"
    ]


def test_a_figure_at_the_limit_keeps_it() -> None:
    for lost in range(1, 400, 7):
        classes = np.zeros(400, dtype=np.int64)
        classes[:lost] = 1
        score = Truth(np.zeros(400, dtype=np.int64), np.zeros(400, dtype=np.int64)).score(classes, np.ones(400, bool))
        figures = {"rtl": ExecutorAccuracy.of([score])}
        assert Limits(max_loss=lost / 4, min_accuracy=100 - lost / 4).missed(figures) == []
        assert len(Limits(max_loss=lost / 4 - 1e-6, min_accuracy=100 - lost / 4 + 1e-6).missed(figures)) == 2


def test_the_accuracy_of_an_executor() -> None:
    each = accuracy(0, 1, 3)["rtl"]
    assert each.clean is not None
    assert each.faulted is not None
    assert (each.clean.mean, each.clean.rounds, each.clean.images) == (90, 1, 200)
    assert (each.faulted.mean, each.faulted.rounds) == (88, 2)
    assert each.faulted.std == pytest.approx(np.sqrt(2))
    unlabelled = accuracy(None, None)["rtl"]
    assert unlabelled.clean is unlabelled.faulted is None


@pytest.mark.parametrize("limit", [{"max_loss": -1.0}, {"max_loss": float("nan")}, {"min_accuracy": 100.1}])
def test_limits_are_percentages(limit: dict[str, float]) -> None:
    with pytest.raises(HwflowError, match=r"--m.*must be from 0 to 100"):
        Limits(**limit)


def test_what_only_the_bench_sees_is_refused_too() -> None:
    row = Comparison("icarus", "none", 0, 4, 40, 0, 576.0)
    Compared((row,), accuracy(0), {}, ()).check(Limits(max_loss=1))
    with pytest.raises(HwflowError, match="cocotb's accuracy"):
        Compared((row,), accuracy(0), {}, ("cocotb's accuracy: wrong",)).check(Limits(max_loss=1))
    with pytest.raises(HwflowError, match="1 more figures"):
        Compared((row,), accuracy(2, 3), {}, ("cocotb's accuracy: wrong",)).check(Limits(max_loss=1))


def test_reports_of_all_runs_become_one() -> None:
    report = '<testsuites name="r"><testsuite name="b" tests="1"><testcase name="{}" /></testsuite></testsuites>'
    merged = ElementTree.fromstring(merged_reports({"none": report.format("a"), "list\x01é": report.format("b")}))
    assert [suite.get("name") for suite in merged] == ["none", "list\\x01\\xe9"]
    assert [case.get("name") for case in merged.iter("testcase")] == ["a", "b"]
