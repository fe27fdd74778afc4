"""Figure 2: masks, the exact expectation, and that Monte Carlo agrees with it."""

import itertools

import numpy as np
import pytest

from hwflow.errors import HwflowError
from hwflow.float_study import weight_format
from hwflow.paper.fig2 import WEIGHTS, expectation, fig2, random_masks


@pytest.mark.parametrize("bits", [8, 16, 32])
def test_masks_are_independent_bits(bits):
    masks = random_masks(np.random.default_rng(1), 200_000, bits, 0.1)
    bytes_ = masks.view(np.uint8).reshape(len(masks), -1)
    table = np.unpackbits(bytes_, axis=1, bitorder="little").astype(float)
    np.testing.assert_allclose(table.mean(0), 0.1, atol=5 * np.sqrt(0.09 / 200_000))
    covariance = np.cov(table.T)
    np.testing.assert_allclose(covariance - np.diag(np.diag(covariance)), 0, atol=5 * 0.09 / np.sqrt(200_000))


@pytest.mark.parametrize(("ber", "word"), [(0.0, 0), (1.0, 0xFF)])
def test_certain_masks(ber, word):
    assert set(random_masks(np.random.default_rng(1), 100, 8, ber).tolist()) == {word}


@pytest.mark.parametrize("c", [1.0, 5.0])
def test_expectation_is_the_sum_over_all_masks(c):
    format_ = weight_format("ap_fixed<8,2>")
    scaled = 0.45 * c
    word = int(min(127, round(scaled * 64)))
    total = 0.0
    for flips in itertools.product((0, 1), repeat=8):
        code = word ^ sum(flip << bit for bit, flip in enumerate(flips))
        value = (code - 256 if code > 127 else code) / 64
        total += 0.1 ** sum(flips) * 0.9 ** (8 - sum(flips)) * abs(scaled - value)
    assert expectation(format_, scaled, 0.1) == (pytest.approx(total), 0.0)


def test_monte_carlo_agrees_with_the_expectation():
    curves = fig2(rounds=20_000, seed=1)
    assert len(curves) == 4 * 5
    for curve in curves:
        row = curve.row()
        if row["format"] == "fp32":
            assert row["mean_exact"] is None
        elif row["c"] < 4 or row["format"] != "fp16":  # beyond 2, rare huge errors make the mean's error itself noisy
            assert abs(row["mean_monte_carlo"] - row["mean_exact"]) < 4 * row["standard_error"]
            outliers = np.abs(curve.monte_carlo - curve.exact) > 4.5 * curve.error
            assert outliers.sum() <= 1
        assert row["standard_error"] < 0.01 * row["mean_monte_carlo"] or row["c"] >= 4


def test_rare_huge_errors_agree_as_well():
    (curve,) = fig2(["fp16"], [5.0], rounds=300_000, seed=2)
    row = curve.row()
    assert row["mean_monte_carlo"] == pytest.approx(row["mean_exact"], rel=0.05)
    assert row["non_finite"] == pytest.approx(row["non_finite_exact"], rel=0.5)
    assert row["non_finite_exact"] > 0


def test_what_the_paper_sees():
    mean = {(row["format"], row["c"]): row["mean_monte_carlo"] for row in (c.row() for c in fig2(rounds=5000))}
    for name in ("fp32", "fp16", "ap_fixed<8,3>", "ap_fixed<8,2>"):
        assert mean[name, 3.0] < mean[name, 2.0] < mean[name, 1.0]
    assert mean["fp32", 4.0] > 1e6  # weights of 2 have exposed exponent bits
    (overflow,) = fig2(["ap_fixed<8,2>"], [5.0], rounds=1000)
    (fits,) = fig2(["ap_fixed<8,3>"], [5.0], rounds=1000)
    inside = np.abs(WEIGHTS) < 0.39
    assert overflow.exact[~inside].min() > overflow.exact[inside].max() * 0.9
    assert overflow.exact[-1] > 1.5 * overflow.exact[50]
    assert fits.exact[-1] < 1.2 * fits.exact[50]


def test_the_same_seed_gives_the_same_figure():
    first, again, other = (fig2(["fp32"], [1.0], rounds=2000, seed=seed)[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.monte_carlo, again.monte_carlo)
    assert (first.monte_carlo != other.monte_carlo).any()
    together = fig2(["fp16", "fp32"], [1.0, 2.0], rounds=2000, seed=1)[2]
    np.testing.assert_array_equal(first.monte_carlo, together.monte_carlo)


def test_unprotected_exponents():
    (curve,) = fig2(["fp16"], [1.0], rounds=2000, msb="none")
    assert curve.row()["mean_exact"] > 100


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"ber": 1.5}, "bit error rate must be 0 to 1, not 1.5"),
        ({"rounds": 0}, "rounds=0"),
        ({"constants": [0.0]}, "must be positive"),
        ({"constants": []}, "must be positive"),
        ({"formats": ["q2.5"]}, "'q2.5' is unknown"),
        ({"msb": "clamp"}, "msb='clamp'"),
    ],
)
def test_bad_input(arguments, words):
    with pytest.raises(HwflowError, match=words):
        fig2(**{"rounds": 2, **arguments})
