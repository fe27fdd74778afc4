"""What single flips do: the estimate against exact runs, against the decoder, and what sparing the worst buys."""

import numpy as np
import pytest

import hwflow
import hwflow.stages.simulate as simulate_stage
from hwflow.codes import layout
from hwflow.errors import HwflowError
from hwflow.faults.models import without
from hwflow.hardening import HardenOptions
from hwflow.memory import layer_layout, layer_storage, memories
from hwflow.memory.flips import flip_power, single_flips, weight_power
from hwflow.memory.stored import touched
from hwflow.reference import IntegerExecutor
from hwflow.stages.protect import critical_weights, keep_critical, kept_weights
from hwflow.stages.sensitivity import rank_correlation, sensitivity


@pytest.fixture(scope="module")
def design(tmp_path_factory):
    return hwflow.harden("digits_cnn", tmp_path_factory.mktemp("sensitivity") / "design")


@pytest.fixture(scope="module")
def measured(design):
    return sensitivity(design, "digits", images=32, confirmed=60, sampled=300, seed=1)


def single(graph, number, word, bit):
    return hwflow.FaultList(memories(graph), np.array([number]), np.array([word]), np.array([bit]), None, graph.digest)


@pytest.mark.parametrize("storage", ["plain", "secded", "bch64-45", "cosq"])
def test_single_flips_are_what_the_memory_gives(storage, tmp_path) -> None:
    graph = hwflow.harden("digits_cnn", tmp_path / "design", HardenOptions(storage=storage)).graph
    rng = np.random.default_rng(1)
    for number, layer in enumerate(graph.weight_layers):
        power = rng.random(layer.weight.size)
        found = flip_power(layer, lambda index, change, power=power: change**2 * power[index])
        assert found.shape == (layer_layout(layer).words, layer_storage(layer).bits)
        for words, bit, index, change in single_flips(layer):
            if rng.random() < 0.7:
                continue
            at = int(rng.integers(len(words)))
            expected = {int(i): int(c) for i, c in zip(index[at], change[at], strict=True) if i >= 0 and c}
            seen, squares = {}, 0.0
            for read in touched(graph, single(graph, number, words[at], bit)):
                clean = layout.at(layer.weight.codes, read.index, layer.channelwise)
                seen = dict(zip(read.index.tolist(), (read.codes - clean).tolist(), strict=True))
                squares = sum(difference**2 * power[place] for place, difference in seen.items())
            assert seen == expected
            np.testing.assert_allclose(found[words[at], bit], squares, rtol=1e-12)


def test_a_code_that_corrects_single_flips_leaves_nothing(tmp_path) -> None:
    coded = hwflow.harden("digits_cnn", tmp_path / "design", HardenOptions(storage="secded"))
    found = sensitivity(coded, "digits", images=8, confirmed=10, sampled=20)
    assert not any(each.any() for each in found.estimates.values())
    assert {each.error for each in (*found.top, *found.sample)} == {0.0}
    assert found.correlation is None


def test_exact_runs_are_those_of_the_reference(design, measured) -> None:
    graph, names = design.graph, [memory.name for memory in memories(design.graph)]
    executor = IntegerExecutor(graph.logits)
    codes = executor.encode(hwflow.load_digits().head(32).images)
    clean = executor.decode(executor.run(codes))
    for each in (*measured.top[:3], *measured.sample[:10]):
        faults = single(graph.logits, names.index(each.memory), each.word, each.bit)
        hit = executor.decode(executor.run(codes, faults))
        error = np.square(hit - clean).sum(axis=1).mean() / clean.var(axis=0).sum()
        np.testing.assert_allclose(each.error, error, rtol=1e-12)
        assert each.changed == (hit.argmax(1) != clean.argmax(1)).sum()


def test_the_estimate_ranks(measured) -> None:
    assert measured.correlation is not None
    assert measured.correlation > 0.85
    estimates = [each.estimate for each in measured.top]
    assert estimates == sorted(estimates, reverse=True)
    assert np.mean([each.error for each in measured.top]) > 5 * np.mean([each.error for each in measured.sample])
    assert sum(row["share"] for row in measured.by_bit()) == pytest.approx(1)


def test_rank_correlation() -> None:
    assert rank_correlation([1, 2, 3], [10, 20, 30]) == pytest.approx(1)
    assert rank_correlation([1, 2, 3], [30, 20, 10]) == pytest.approx(-1)
    assert rank_correlation([1, 1], [1, 2]) is None


def test_sparing_the_critical_bits(design, measured) -> None:
    critical = measured.critical(design, 0.02)
    assert len(critical) == round(0.02 * measured.bits)
    drawn = hwflow.sample_ber(memories(design.graph), 1e-2, 3, design.graph.digest)
    left = without(drawn, critical)
    places = {tuple(row.values()) for row in critical.rows()}
    assert [row for row in drawn.rows() if tuple(row.values()) not in places] == left.rows()
    assert len(left) < len(drawn)
    # Places are those of memories of the same name, wherever the lists have them.
    both = hwflow.sample_ber(memories(design.graph, faulty_biases=True), 1e-2, 3, design.graph.digest)
    left = without(both, critical)
    assert [row for row in both.rows() if tuple(row.values()) not in places] == left.rows()
    assert len(left) < len(both)
    plain = hwflow.evaluate(design, "digits", ber=1e-2, rounds=5)
    spared = hwflow.evaluate(design, "digits", ber=1e-2, rounds=5, spared=critical)
    assert spared.faulted.mean > plain.faulted.mean + 3
    assert all(a.flips <= b.flips for a, b in zip(spared.draws, plain.draws, strict=True))


def test_refused(design, measured, tmp_path, monkeypatch) -> None:
    with pytest.raises(HwflowError, match="above 0 and at most 1"):
        measured.critical(design, 0)
    with pytest.raises(HwflowError, match="sampled=0 must be at least 1"):
        sensitivity(design, "digits", sampled=0)
    with pytest.raises(HwflowError, match="digits has 500 images: cannot take the first 1000"):
        sensitivity(design, "digits", images=1000)
    with pytest.raises(HwflowError, match="confirmed=1000000: the design stores 67392 bits"):
        sensitivity(design, "digits", images=8, confirmed=10**6)
    with pytest.raises(HwflowError, match="spared places matter under faults"):
        hwflow.evaluate(design, "digits", spared=measured.critical(design, 0.01))
    other = hwflow.harden("digits_qcnn", tmp_path / "other")
    critical = measured.critical(design, 0.01)
    with pytest.raises(HwflowError, match="the fault list is for another design"):
        hwflow.evaluate(other, "digits", ber=1e-3, spared=critical)
    monkeypatch.setattr(simulate_stage, "simulated_project", lambda *_, **__: pytest.fail("it was built"))
    with pytest.raises(HwflowError, match="the fault list is for another design"):
        hwflow.simulate(other, "digits", faults=critical, images=4)


def test_weights_are_ranked_by_what_the_fewest_flips_do_that_their_code_leaves(design, tmp_path) -> None:
    """Without a code every bit of the weight by itself; with SECDED pairs of bits of a word, which it nulls."""
    rng = np.random.default_rng(2)
    for storage in (None, "secded-null"):
        coded = hwflow.harden("digits_cnn", tmp_path / "coded", HardenOptions(storage=storage)) if storage else design
        layer = coded.graph.weight_layers[1]
        gains = rng.random(layer.weight.size)
        found = weight_power(layer, lambda index, change, gains=gains: change**2 * gains[index], 1e-2)
        codes = layout.ordered(layer.weight.codes, layer.channelwise)
        if storage is None:
            expected = gains * 1e-2 * sum(4**bit for bit in range(8))
        else:
            expected = gains * codes**2 * 1e-4 * 72 * 71 / 2
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_the_most_critical_weights_are_kept(design, measured, tmp_path) -> None:
    protected = hwflow.protect(design, measured, 0.02, tmp_path / "protected")
    total = sum(layer.weight.size for layer in design.graph.weight_layers)
    assert kept_weights(protected.graph) == round(0.02 * total)
    assert protected.graph.digest != design.graph.digest
    about = protected.manifest["kept"]
    assert (about["weights"], about["design_sha256"]) == (round(0.02 * total), design.sha256)
    assert about["side_bits"] == sum(row["side_bits"] for row in protected.layers()) > 0
    kept, others = [], []
    for layer in protected.graph.weight_layers:
        holds = np.isin(np.arange(layer.weight.size), [] if layer.kept is None else layer.kept.index)
        kept += measured.weights[layer.name][holds].tolist()
        others += measured.weights[layer.name][~holds].tolist()
    assert min(kept) >= max(others)
    # What the others do is as before, what these do is nothing.
    again = sensitivity(protected, "digits", images=8, confirmed=1, sampled=1)
    for layer in protected.graph.weight_layers:
        if layer.kept is not None:
            assert not again.weights[layer.name][layer.kept.index].any()
    plain = hwflow.evaluate(design, "digits", ber=1e-2, rounds=5, images=200)
    better = hwflow.evaluate(protected, "digits", ber=1e-2, rounds=5, images=200)
    assert better.clean == plain.clean
    assert better.faulted.mean > plain.faulted.mean
    images = hwflow.load_digits().head(32).images
    assert keep_critical(design.graph, critical_weights(design.graph, images), 0.02).digest == protected.graph.digest

    with pytest.raises(HwflowError, match="it has kept weights already; protect the design that it was made of"):
        hwflow.protect(protected, again, 0.01, tmp_path / "twice")
    with pytest.raises(HwflowError, match="protected exists"):
        hwflow.protect(design, measured, 0.02, tmp_path / "protected")
    with pytest.raises(HwflowError, match=r"fraction=1.5 must be above 0"):
        keep_critical(design.graph, measured.weights, 1.5)
    nothing = {name: np.zeros_like(each) for name, each in measured.weights.items()}
    with pytest.raises(HwflowError, match="there is nothing to protect"):
        keep_critical(design.graph, nothing, 0.5)
