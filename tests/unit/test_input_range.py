"""Images that are not like those of the calibration are counted and, beyond a handful, warned of."""

from types import SimpleNamespace

import numpy as np
import pytest

from hwflow.fixed import FixedType, Overflow, Rounding
from hwflow.graph import Graph, Input
from hwflow.stages.input_range import MARGIN, calibrated_range, input_range

TYPE = FixedType(8, 2, True, Rounding.RND, Overflow.SAT)  # -2 to 1.984375
GRAPH = Graph((Input(name="image", shape=(10, 10), type=TYPE),))
UNIT = (0.0, 1.0)


def images(low, high, count=50):
    return np.random.default_rng(0).uniform(low, high, (count, 10, 10)).astype(np.float32)


def test_saturated_values_are_those_that_rounding_does_not_explain():
    half = TYPE.lsb / 2
    edge = np.array([TYPE.max, TYPE.max + half, TYPE.max + 1.01 * half, TYPE.min - half, TYPE.min - 1.01 * half, 0])
    counted = input_range(GRAPH, edge)
    assert (counted.values, counted.saturated, counted.outside) == (6, 2, 0)
    assert counted.fraction == pytest.approx(1 / 3)
    assert counted.warning() is not None


def test_codes_at_the_ends_agree_with_the_encoder():
    values = images(-4, 4)
    codes = FixedType(40, 34, True, Rounding.RND).encode(values)  # the same LSB, no end in reach
    expected = np.count_nonzero((codes > TYPE.max_code) | (codes < TYPE.min_code))
    assert input_range(GRAPH, values).saturated == pytest.approx(expected, abs=2)
    assert expected > 100


def test_bytes_into_a_design_for_fractions():
    counted = input_range(GRAPH, images(0, 255), UNIT)
    assert counted.fraction > 0.99
    warning = counted.warning()
    assert warning is not None
    for word in ("saturate", "ap_fixed<8,2", "-2 to 1.984", "0 to 1", "preprocessing", "calibration"):
        assert word in warning
    assert "\n" not in warning


def test_another_normalisation_that_does_not_saturate():
    counted = input_range(GRAPH, images(-1.9, 1.9), UNIT)
    assert counted.saturated == 0
    assert counted.outside_fraction > 0.4
    assert "outside the calibrated range" in (counted.warning() or "")


def test_fractions_into_a_design_for_bytes():
    wide = Graph((Input(name="image", shape=(10, 10), type=TYPE.with_(width=16, integer=10)),))
    counted = input_range(wide, images(0, 1), (0.0, 255.0))
    assert counted.saturated == counted.outside == 0
    assert "little of the calibrated range" in (counted.warning() or "")


@pytest.mark.parametrize("factor", [1.0, 256 / 255, 0.3])
def test_images_of_the_same_kind_are_not_warned_of(factor):
    assert input_range(GRAPH, factor * images(0, 1), UNIT).warning() is None


def test_a_handful_is_counted_but_not_warned_of():
    few = images(0, 1)
    few.reshape(-1)[:5] = 9
    counted = input_range(GRAPH, few, UNIT)
    assert (counted.saturated, counted.outside) == (5, 5)
    assert counted.to_json()["fraction"] == 5 / 5000
    assert counted.warning() is None


def test_batches_add_up():
    whole = images(-3, 3)
    counted = input_range(GRAPH, np.zeros(0), UNIT)
    assert counted.warning() is None
    for part in np.split(whole, [7, 7, 30]):
        counted += input_range(GRAPH, part, UNIT)
    assert counted == input_range(GRAPH, whole, UNIT)


def test_the_calibrated_range_is_the_designs():
    manifest = {"calibration": {"ranges": {"image": [-0.5, 3], "other": [0, 9]}}}
    assert calibrated_range(SimpleNamespace(graph=GRAPH, manifest=manifest)) == (-0.5, 3.0)
    assert 0 < MARGIN < 0.5
