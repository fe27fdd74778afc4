"""Advice: what is ranked, what is tried, and what it says of them."""

import json
import shlex
from dataclasses import replace

import numpy as np
import pytest

from hwflow import advise, harden
from hwflow.campaign.advice import (
    BUDGETS,
    NAMES,
    _beats,
    _budgets,
    _check_price,
    _chosen,
    _nearly,
    _protections,
    _shared,
    _subject,
)
from hwflow.campaign.advised import Advice, Candidate, Tried, interval
from hwflow.codes import Protection, storage_code
from hwflow.codes.noise import read_noisy
from hwflow.cost.decoders import decoder_cost
from hwflow.errors import HwflowError
from hwflow.fixed import FixedType, Rounding
from hwflow.folders.design import load_design
from hwflow.hardening import HardenOptions, ScalingOptions
from tests.cli.conftest import hwflow

CODES = ("plain", "secded", "cosq", "bch64-39")
BYTE = FixedType(8, 3)


def candidate(error: float, bits: float = 8.0, luts: float | None = None) -> Candidate:
    return Candidate("bch64-39:0.01", "layer", error, bits, luts, None)


@pytest.fixture(scope="module")
def advice() -> Advice:
    return advise("digits_cnn", "digits", 1e-2, codes=CODES, tried=4, images=100, rounds=2)


def test_more_protection_is_ranked_higher(advice: Advice) -> None:
    found = [each.error for each in advice.ranked]
    assert found == sorted(found)
    errors = {(each.protection, each.granularity): each.error for each in advice.ranked if "=" not in each.protection}
    assert len(errors) == 2 * len(CODES)
    for granularity in ("layer", "channel"):
        plain, secded, cosq, bch = (
            errors[name, granularity] for name in ("plain", "secded", "cosq:0.01", "bch64-39:0.01")
        )
        assert bch < cosq < secded < plain
    assert all(errors[name, "channel"] < errors[name, "layer"] for name in ("plain", "secded", "bch64-39:0.01"))


def test_codes_by_layer_keep_their_budget_and_are_no_worse_than_one_code(advice: Advice) -> None:
    mixed = [each for each in advice.ranked if "=" in each.protection]
    assert {each.granularity for each in mixed} == {"layer", "channel"}
    cosq = decoder_cost("cosq")
    assert cosq is not None
    for each in mixed:
        assert each.luts is not None
        assert each.luts <= max(BUDGETS)
        assert each.bits <= 8.1  # SECDED takes 9
        for one in advice.ranked:
            if one.granularity == each.granularity and one.protection.startswith("cosq") and each.luts > cosq.luts:
                assert each.error < one.error


def test_the_best_are_tried_and_the_front_is_one(advice: Advice) -> None:
    assert [each.loss for each in advice.tried] == sorted(each.loss for each in advice.tried)
    assert {"plain", "bch64-39:0.01"} <= {each.candidate.protection for each in advice.tried}
    assert advice.best == advice.tried[0]
    assert advice.best in advice.front
    plain = next(each for each in advice.tried if each.candidate.protection == "plain")
    assert plain.loss > advice.best.loss + 3
    assert (advice.images, advice.rounds) == (100, 2)


def test_two_rounds_say_nothing_for_sure(advice: Advice) -> None:
    assert {each.low for each in advice.tried} == {None}
    assert advice.cheapest is None


def test_what_it_names_can_be_hardened(advice: Advice, tmp_path, monkeypatch) -> None:
    """The command as it is printed."""
    monkeypatch.chdir(tmp_path)
    program, *words = shlex.split(advice.command(advice.best))
    assert program == "hwflow"
    hwflow(*words).succeeds()
    made = load_design(tmp_path / "hardened").manifest["options"]
    best = advice.best.candidate
    assert (made["storage"], made["granularity"], made["saturate"]) == (best.protection, best.granularity, True)


def test_a_command_repeats_what_was_asked(tmp_path) -> None:
    def words(*asked: str | int | None, calibration: str | None = None) -> str:
        options, spec = _subject(*asked)
        return " ".join(_shared(spec, options, calibration, "cifar"))

    assert words("digits_cnn", None, None, None) == "digits_cnn --saturate"
    (tmp_path / "pictures").mkdir()
    given = words("resnet20", "w.th", 7, 48, calibration=str(tmp_path / "pictures"))
    assert given == (
        f"resnet20 --torch-weights w.th --classes 7 --image-size 48 --calibration {tmp_path}/pictures "
        "--preprocessing cifar --saturate"
    )
    assert "--preprocessing" not in words("resnet20", "w.th", 7, 48, calibration="digits")
    options = HardenOptions(ScalingOptions(FixedType(6, 3)), 9, 0, calibrated_rounding=False)
    harden("digits_cnn", tmp_path / "d", options)
    assert words(str(tmp_path / "d"), None, None, None) == (
        f"{tmp_path}/d/model.h5 --weights ap_fixed<6,3> --activation-bits 9 --guard-bits 0 --saturate "
        "--no-calibrated-rounding"
    )


def test_the_nearest_cheap_way_is_tried_with_kept_weights(tmp_path, monkeypatch) -> None:
    asked = {"codes": ("plain",), "by_layer": False, "tried": 1, "images": 100, "rounds": 3}
    found = advise("digits_cnn", "digits", 1e-2, kept=(0.01, 0.1), **asked)
    assert len(found.ranked) == 2
    tried = {each.candidate.kept: each for each in found.tried}
    assert set(tried) == {0.0, 0.01, 0.1}
    assert tried[0.1].loss < tried[0.0].loss
    bits = [tried[kept].candidate.bits for kept in (0.0, 0.01, 0.1)]
    assert bits[0] == 8.0 < bits[1] < bits[2]
    assert {row["kept"] for row in found.rows()} == {0.0, 0.01, 0.1}
    assert tried[0.1].candidate.label == "plain, 10 % kept"

    monkeypatch.chdir(tmp_path)
    hardened, kept = found.command(tried[0.01]).split(" && ")
    for program, *words in map(shlex.split, (hardened, f"{kept} --images 8 --confirm 1 --sample 1")):
        assert program == "hwflow"
        hwflow(*words).succeeds()
    manifest = load_design(tmp_path / "protected").manifest["kept"]
    assert manifest["fraction"] == 0.01
    assert bits[1] == pytest.approx(
        8 + manifest["side_bits"] / 8424, rel=0.01
    )  # places cost as many bits, chosen so or so

    without = advise("digits_cnn", "digits", 1e-2, kept=(), **asked)
    assert without.tried == tuple(each for each in found.tried if not each.candidate.kept)
    with pytest.raises(HwflowError, match="kept=2 must be above 0 and at most 1"):
        advise("digits_cnn", "digits", 1e-2, kept=(2,), **asked)


def test_what_is_kept_is_of_the_best_that_is_cheaper_than_what_is_enough() -> None:
    def tried(loss: float, bits: float) -> Tried:
        return Tried(candidate(0.1, bits, 10.0), 0.0, loss, loss - 0.1, loss + 0.1)

    far, near, enough, dear = tried(9.0, 7.0), tried(2.0, 8.0), tried(0.5, 9.0), tried(1.5, 10.0)
    assert _nearly([far, near, enough, dear], 1.0) == near.candidate
    assert _nearly([far, dear], 1.0) == dear.candidate
    assert _nearly([enough, dear], 1.0) is None


def test_the_interval_of_a_loss() -> None:
    assert interval([90.0, 91.0], 92.0, 100) is None
    low, high = interval([90.0, 91.0, 92.0], 92.0, 100) or (0.0, 0.0)
    assert (low, high) == pytest.approx((1 - 4.302653 / np.sqrt(3), 1 + 4.302653 / np.sqrt(3)), abs=1e-5)
    # No more than all can be lost, no more gained than was wrong.
    assert interval([0.0, 100.0, 50.0], 92.0, 100) == (-8.0, 92.0)
    # Alike by chance, or to the image: not sure to the last digit.
    low, high = interval([99.0] * 4, 99.0, 100) or (0.0, 0.0)
    assert (low, high) == pytest.approx((-3.182446 / np.sqrt(12) / 2, 3.182446 / np.sqrt(12) / 2), abs=1e-5)


def test_an_interval_holds_the_mean_as_often_as_it_says() -> None:
    """Of binomial accuracies, of which the mean loss is known: 95 % of 2,000 draws, within four deviations."""
    rng = np.random.default_rng(5)
    for chance, rounds in ((0.7, 3), (0.9, 4), (0.995, 5)):
        drawn = 100 * rng.binomial(200, chance, (2000, rounds)) / 200
        ends = np.array([interval(list(each), 99.0, 200) for each in drawn])
        held = np.mean((ends[:, 0] <= 99 - 100 * chance) & (99 - 100 * chance <= ends[:, 1]))
        assert held >= 0.95 - 4 * np.sqrt(0.95 * 0.05 / 2000)


def test_a_price_limits_what_is_tried() -> None:
    ranked = [candidate(0.1), candidate(0.2, luts=90.0), candidate(0.3, luts=20.0), candidate(0.4, 9.0, 10.0)]
    assert _chosen(ranked, 50, 8) == ranked[2:]
    assert _chosen(ranked, None, 1) == ranked[:1]
    assert _budgets(None) == BUDGETS
    assert _budgets(60) == (25.0, 50.0, 60)
    assert len(_chosen(ranked, None, 3)) == 3
    with pytest.raises(HwflowError, match="max_luts=5: no decoder of these codes is known to take so few"):
        _check_price(5, [each.luts for each in ranked])
    _check_price(20, [each.luts for each in ranked])
    _check_price(None, [None])


def test_a_design_brings_its_types(tmp_path) -> None:
    options = HardenOptions(ScalingOptions(FixedType(6, 3)), 9, 0, Rounding.RND_CONV, calibrated_rounding=False)
    harden("digits_cnn", tmp_path / "d", options)
    found, spec = _subject(tmp_path / "d", None, None, None)
    assert replace(found, scaling=options.scaling) == options
    assert found.scaling.weight_type == FixedType(6, 3)
    assert (spec.model, spec.name) == (str(tmp_path / "d" / "model.h5"), "d")
    with pytest.raises(HwflowError, match="a design brings its weights and shape"):
        _subject(tmp_path / "d", "weights.pth", None, None)


def test_codes_that_do_not_take_the_type_are_not_among_the_defaults() -> None:
    names = {each.name for each in _protections(None, 1e-3, FixedType(6, 3))}
    assert {"plain", "secded", "cosq"} <= names
    assert not any(name.startswith(("bch64", "byte")) for name in names)
    assert len(_protections(None, 1e-3, BYTE)) == len(NAMES)
    with pytest.raises(HwflowError, match="do not fill words of 64 bits"):
        _protections(["bch64-45"], 1e-3, FixedType(6, 3))
    assert [str(each) for each in _protections(["cosq", "cosq:0.1", "plain"], 1e-3, BYTE)] == [
        "cosq:0.001", "cosq:0.1", "plain",
    ]  # fmt: skip


def test_what_beats_what() -> None:
    def tried(loss: float, bits: float = 8.0, luts: float | None = None) -> Tried:
        return Tried(candidate(0.0, bits, luts), 0.0, loss, loss, loss)

    assert _beats(tried(0.1), tried(0.2))
    assert _beats(tried(0.1, luts=5), tried(0.1, luts=6))
    assert not _beats(tried(0.1, luts=7), tried(0.2, luts=6))
    assert not _beats(tried(0.1), tried(0.1))
    assert _beats(tried(0.1, 8.0, 5), tried(0.1, 9.0, 5))


@pytest.mark.parametrize("name", ["plain", "secded", "bch64-45", "cosq"])
def test_a_noisy_memory_flips_as_many_bits_as_it_should(name: str) -> None:
    """Without a code that corrects, a weight is as it was with a probability of (1 - p)^8."""
    weights = np.random.default_rng(1).laplace(size=(60, 500)) / 4
    stored = Protection.parse(name).fit(np.clip(weights, -3.9, 3.9), BYTE)
    code, codes = storage_code(stored.spec, BYTE), stored.round(np.clip(weights, -3.9, 3.9))
    np.testing.assert_array_equal(read_noisy(code, codes, 0.0, np.random.default_rng(2)), codes)
    read = read_noisy(code, codes, 0.01, np.random.default_rng(2))
    same = float((read == codes).mean())
    if name == "plain":
        assert same == pytest.approx(0.99**8, abs=4 * np.sqrt(0.08 * 0.92 / codes.size))
    else:
        assert 0.99**8 - 0.01 < same < 1.0


def test_costs_are_those_of_the_table() -> None:
    plain = decoder_cost("plain")
    assert plain is not None
    assert (plain.luts, plain.latency) == (0, 0)
    secded = decoder_cost("secded")
    assert secded is not None
    assert secded.luts_a_weight == secded.luts / 8
    assert decoder_cost("rot13") is None
    assert decoder_cost("secded", 6) is None
    assert decoder_cost("plain", 6) == plain


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"ber": 0.0}, "ber=0.0 must be above 0 and at most 0.5"),
        ({"ber": 0.6}, "ber=0.6 must be above 0 and at most 0.5"),
        ({"loss": -1.0}, "loss=-1.0 must be at least 0"),
        ({"rounds": 1}, "rounds=1 must be at least 2"),
        ({"codes": ["rot13"]}, "'rot13' is unknown"),
        ({"codes": ["bch64-44"]}, "no BCH code of 64 bits has 44 data bits"),
    ],
)
def test_what_cannot_be_asked(given, words) -> None:
    with pytest.raises(HwflowError, match=words):
        advise("digits_cnn", "digits", **{"ber": 1e-2, **given})


def test_the_command(tmp_path) -> None:
    arguments = [
        "--one-code",
        "--code",
        "plain",
        "--code",
        "bch64-45",
        "--tried",
        "2",
        "--images",
        "50",
        "--rounds",
        "2",
    ]
    result = hwflow("advise", "digits_cnn", "--data", "digits", "--ber", "1e-2", *arguments, "--json", tmp_path / "a")
    out = result.succeeds()
    assert (
        "\nloses least, bch64-45:0.01:\n  hwflow harden digits_cnn --saturate -o hardened --protect bch64-45:0.01"
        in out
    )
    assert "2 rounds are too few for intervals" in out
    content = json.loads((tmp_path / "a").read_text())
    assert content["best"]["candidate"]["protection"] == "bch64-45:0.01"
    assert content["commands"]["cheapest"] is None
    assert f"  {content['commands']['best']}\n" in out
