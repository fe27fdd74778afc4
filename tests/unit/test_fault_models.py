"""Fault models beyond independent flips: rates, contents, clusters, physics, filters."""

import numpy as np
import pytest

from hwflow.errors import HwflowError
from hwflow.faults import Memory, chosen, sample_ber
from hwflow.faults.models import Asymmetric, Clustered, Independent, StuckAt, restrict
from hwflow.faults.physics import ber_from_rate, rate_from_cross_section, rate_from_fit

MEMORIES = (Memory("a.weight", 3000, 8), Memory("b.weight", 1000, 16))
CELLS = 3000 * 8 + 1000 * 16
WORDS = {
    "a.weight": np.random.default_rng(1).integers(0, 256, 3000),
    "b.weight": np.random.default_rng(2).integers(0, 65536, 1000),
}
MODELS = [Independent(0.01), Asymmetric(0.02, 0.005), StuckAt(0.02, 0.25), Clustered(0.01, interleave=4)]


def contents(name):
    return WORDS[name].astype("<u2").view(np.uint8).reshape(-1, 2)


def held(faults):
    """The bit that every faulted cell holds."""
    names = [memory.name for memory in faults.memories]
    rows = zip(faults.memory, faults.word, faults.bit, strict=True)
    return np.array([int(WORDS[names[memory]][word]) >> int(bit) & 1 for memory, word, bit in rows])


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.kind)
def test_the_seed_determines_the_list(model):
    first = model.draw(MEMORIES, contents, 3, "hash")
    assert first == model.draw(MEMORIES, contents, 3, "hash")
    assert first != model.draw(MEMORIES, contents, 4, "hash")
    assert (first.seed, first.model_hash, first.source["kind"]) == (3, "hash", model.kind)


def test_asymmetric_rates():
    ones = sum(int(np.unpackbits(words.astype(">u2").view(np.uint8)).sum()) for words in WORDS.values())
    up = down = 0
    for seed in range(40):
        bits = held(Asymmetric(0.02, 0.005).draw(MEMORIES, contents, seed))
        down += int(bits.sum())
        up += int((1 - bits).sum())
    assert up == pytest.approx(40 * 0.02 * (CELLS - ones), rel=0.05)
    assert down == pytest.approx(40 * 0.005 * ones, rel=0.1)
    assert not len(Asymmetric(0.0, 0.0).draw(MEMORIES, contents, 1))
    assert held(Asymmetric(0.0, 1.0).draw(MEMORIES, contents, 1)).sum() == ones


def test_equal_asymmetric_rates_are_independent_flips():
    assert np.array_equal(Asymmetric(0.01, 0.01).draw(MEMORIES, contents, 5).word, sample_ber(MEMORIES, 0.01, 5).word)


def test_stuck_cells_are_faults_where_the_other_value_is_stored():
    assert (held(StuckAt(0.1, 1.0).draw(MEMORIES, contents, 1)) == 0).all()
    assert (held(StuckAt(0.1, 0.0).draw(MEMORIES, contents, 1)) == 1).all()
    assert len(StuckAt(0.1, 0.5).draw(MEMORIES, contents, 1)) == pytest.approx(0.05 * CELLS, rel=0.1)


@pytest.mark.parametrize("interleave", [1, 4])
def test_clusters_are_neighbours_in_the_physical_row(interleave):
    model = Clustered(2e-4, (0.0, 0.0, 1.0), interleave)
    shapes = set()
    for seed in range(60):
        faults = model.draw(MEMORIES, contents, seed)
        for number in range(2):
            here = faults.memory == number
            rows = faults.word[here] // interleave
            columns = faults.bit[here].astype(int) * interleave + faults.word[here] % interleave
            order = np.lexsort((columns, rows))
            rows, columns = rows[order], columns[order]
            joined = (np.diff(rows) == 0) & (np.diff(columns) == 1)
            runs = np.split(columns, np.flatnonzero(~joined) + 1)
            shapes.update(len(run) for run in runs if len(run) and run[-1] != MEMORIES[number].bits * interleave - 1)
    assert shapes == {3}


def test_clusters_have_the_expected_number_of_cells():
    flips = [len(Clustered(1e-3, interleave=4).draw(MEMORIES, contents, seed)) for seed in range(200)]
    assert np.mean(flips) == pytest.approx(1e-3 * CELLS, rel=0.1)


def test_interleaving_turns_a_cluster_into_single_bits_of_several_words():
    faults = Clustered(1e-3, (0.0, 0.0, 0.0, 1.0), interleave=4).draw(MEMORIES, contents, 1)
    masks = faults.masks("a.weight")[1]
    assert (np.bitwise_and(masks, masks - np.uint64(1)) == 0).mean() > 0.9


def test_overlapping_clusters_flip_back():
    """A cell in two clusters is flipped twice; clusters of two start where independent flips at half the rate are."""
    memory, twice = (Memory("m.weight", 1, 6),), 0
    for seed in range(50):
        starts = sample_ber(memory, 0.5, seed).bit.tolist()
        hits = [bit for start in starts for bit in (start, start + 1) if bit < 6]
        twice += len(hits) - len(set(hits))
        faults = Clustered(1.0, (0.0, 1.0)).draw(memory, contents, seed)
        assert faults.bit.tolist() == sorted(bit for bit in set(hits) if hits.count(bit) == 1)
    assert twice > 20


def test_restriction_keeps_faults_where_they_are():
    faults = sample_ber(MEMORIES, 0.01, 1)
    first = restrict(faults, layers=["a"])
    assert set(first.memory.tolist()) == {0}
    assert np.array_equal(first.word, faults.word[faults.memory == 0])
    high = restrict(faults, layers=["*"], bits=[7, 15])
    assert set(high.bit.tolist()) == {7, 15}
    assert high.source == {"kind": "ber", "ber": 0.01, "layers": ["*"], "bits": [7, 15]}
    assert len(restrict(chosen(MEMORIES, []), bits=[0])) == 0


def test_rates_from_physics():
    assert rate_from_fit(100.0) == pytest.approx(100 / 1e9 / 3600 / 1e6)
    rate = rate_from_cross_section(1e-14, 1e5)
    assert ber_from_rate(rate, 1000.0) == pytest.approx(1e-6, rel=1e-5)
    assert ber_from_rate(rate, 1000.0, "mean") == pytest.approx(0.5e-6, rel=1e-5)
    assert ber_from_rate(1.0, 1e6) == 0.5
    assert ber_from_rate(0.1, 10.0) == pytest.approx((1 - np.exp(-2)) / 2)
    steps = np.linspace(0, 10, 200001)
    assert ber_from_rate(0.1, 10.0, "mean") == pytest.approx(np.mean((1 - np.exp(-0.2 * steps)) / 2), rel=1e-4)
    assert ber_from_rate(0.0, 5.0) == 0.0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Asymmetric(1.1, 0), "up=1.1"),
        (lambda: StuckAt(-0.1), "rate=-0.1"),
        (lambda: Clustered(0.1, (0.5, 0.4)), "add up to 1"),
        (lambda: Clustered(0.1, interleave=0), "interleave=0"),
        (lambda: Independent(2.0).draw(MEMORIES, contents, 1), "0 to 1"),
        (lambda: restrict(sample_ber(MEMORIES, 0, 1), layers=["c*"]), "'c\\*'.*a, b"),
        (lambda: restrict(sample_ber(MEMORIES, 0, 1), bits=[16]), "bit 16"),
        (lambda: ber_from_rate(-1.0, 1.0), "rate"),
    ],
)
def test_bad_input(call, words):
    with pytest.raises(HwflowError, match=words):
        call()
