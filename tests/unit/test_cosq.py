"""COSQ: its tables are optimal for the weights and the noise, and survive the graph and its file."""

from dataclasses import replace

import numpy as np
import pytest

from hwflow.codes import Protection, Table
from hwflow.codes.cosq import fit
from hwflow.errors import HwflowError
from hwflow.faults import Memory, sample_ber
from hwflow.fixed import FixedType
from hwflow.graph import Graph
from hwflow.hardening import HardenOptions, ScalingOptions, harden
from hwflow.memory import memories, stored_words
from hwflow.reference import IntegerExecutor
from tests.networks import random_graph, random_images, random_options
from tests.unit.test_memory import read_whole

BYTE = FixedType(8, 3)
WEIGHTS = np.random.default_rng(3).laplace(size=5000)
WEIGHTS *= 0.99 * BYTE.max / np.abs(WEIGHTS).max()


def channel(width: int, ber: float) -> np.ndarray:
    """Probability of each word to be read as each other, bit by bit."""
    one = np.array([[1 - ber, ber], [ber, 1 - ber]])
    product = np.ones((1, 1))
    for _ in range(width):
        product = np.kron(product, one)
    return product


def fitted(weights: np.ndarray, type_: FixedType, ber: float) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The tables, and the codes that the weights become."""
    found = fit(weights, type_, ber)
    return found.tables, found.grid(0).round(weights / type_.lsb)


def error(steps: np.ndarray, words: np.ndarray, decoder: np.ndarray, noise: np.ndarray) -> float:
    """Expected square error of weights, in steps of their type."""
    return float((noise[words] * np.square(steps[:, None] - decoder)).sum(axis=1).mean())


@pytest.mark.parametrize("ber", [1e-4, 1e-3, 1e-2, 0.1, 0.5])
@pytest.mark.parametrize("type_", [BYTE, FixedType(6, 2), FixedType(5, 1)])
def test_no_word_and_no_value_is_better(type_: FixedType, ber: float) -> None:
    """The two conditions of an optimum: each weight has the best word, and each word the mean of what is read as it."""
    weights = WEIGHTS * type_.max / BYTE.max
    tables, codes = fitted(weights, type_, ber)
    code = Table("cosq", type_, **tables)
    noise, decoder, steps = channel(type_.width, ber), tables["decoder"].astype(float), weights / type_.lsb
    np.testing.assert_array_equal(code.decode(code.encode(codes[:, None])), codes[:, None])
    words = tables["encoder"][codes - type_.min_code]
    found = error(steps, words, decoder, noise)
    best = np.argmin(noise @ np.square(decoder) - 2 * steps[:, None] * (noise @ decoder), axis=1)
    # The graph holds codes, so that of two words with one value each weight of it has the same one.
    assert found <= 1.05 * error(steps, best, decoder, noise)
    read = np.bincount(words, minlength=len(noise)) @ noise
    means = np.clip(np.rint(np.bincount(words, steps, len(noise)) @ noise / read), type_.min_code, type_.max_code)
    assert found <= 1.05 * error(steps, words, means, noise)
    plain = np.arange(len(noise)) - (np.arange(len(noise)) > type_.max_code) * len(noise)
    assert found < (0.25 if ber >= 1e-3 else 0.6) * error(steps, type_.encode(weights) & (len(noise) - 1), plain, noise)


def test_errors_that_are_drawn_are_those_that_are_expected() -> None:
    tables, codes = fitted(WEIGHTS, BYTE, 1e-2)
    code = Table("cosq", BYTE, **tables)
    stored = code.encode(codes[:, None])
    squares = []
    for seed in range(200):
        words, masks = sample_ber([Memory("m", len(codes), 8)], 1e-2, seed).masks("m")
        read = stored.copy()
        read[words] ^= masks
        squares.append(np.mean(np.square(code.decode(read)[:, 0] - WEIGHTS / BYTE.lsb)))
    words = tables["encoder"][codes - BYTE.min_code]
    expected = error(WEIGHTS / BYTE.lsb, words, tables["decoder"], channel(8, 1e-2))
    assert abs(np.mean(squares) - expected) < 4 * np.std(squares) / np.sqrt(len(squares))


@pytest.mark.parametrize("weights", [np.zeros(20), np.full(7, 1.5), np.array([-0.25, 0.25]), np.zeros(0)])
def test_few_values(weights: np.ndarray) -> None:
    tables, codes = fitted(weights, BYTE, 1e-2)
    np.testing.assert_array_equal(codes, BYTE.encode(weights))
    code = Table("cosq", BYTE, **tables)
    np.testing.assert_array_equal(code.decode(code.encode(codes[:, None])), codes[:, None])


def hardened(seed: int, ber: float = 1e-2) -> Graph:
    graph = random_graph(seed)
    options = random_options(seed)
    scaling = replace(options.scaling, outliers=0.0)
    options = replace(options, scaling=scaling, storage=f"cosq:{ber:g}")
    return harden(graph, random_images(seed, graph, 4), options).graph


@pytest.mark.parametrize("seed", range(4))
def test_a_network_computes_with_what_its_tables_read(seed: int) -> None:
    graph = hardened(seed)
    data, arrays = graph.to_dict()
    graph = Graph.from_dict(data, arrays)
    for layer in graph.weight_layers:
        assert layer.storage.tables.keys() == {"decoder", "encoder"}
        assert len(stored_words(layer)) == layer.weight.size
    executor = IntegerExecutor(graph)
    codes = executor.encode(random_images(seed, graph, 3))
    faults = sample_ber(memories(graph), 0.02, seed, graph.digest)
    np.testing.assert_array_equal(executor.run(codes, faults), IntegerExecutor(read_whole(graph, faults)).run(codes))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cosq:0", "above 0 and at most 0.5"),
        ("cosq:0.6", "above 0 and at most 0.5"),
        ("cosq:nan", "above 0 and at most 0.5"),
        ("cosq:often", "'often' is no bit error rate"),
        ("plain:1e-2", "plain is not fitted; leave out :1e-2"),
        ("hamming", "'hamming' is unknown; choose one of plain, secded, secded-null, cosq, bchN-K"),
    ],
)
def test_what_cannot_be_asked_for(text: str, words: str) -> None:
    with pytest.raises(HwflowError, match=words):
        HardenOptions(storage=text)


def test_what_cannot_be_fitted() -> None:
    with pytest.raises(HwflowError, match=r"'cosq:0.01' is fitted to all weights of a layer; leave out the outliers"):
        HardenOptions(ScalingOptions(outliers=0.1), storage="cosq:0.01")
    with pytest.raises(HwflowError, match="weights of 12 bits need a table of 4096 entries"):
        HardenOptions(ScalingOptions(FixedType(12, 3)), storage="cosq:0.01")
    with pytest.raises(HwflowError, match="weights of 12 bits need a table of 4096 entries"):
        Protection.parse("cosq:0.01").fit(WEIGHTS[None], FixedType(12, 3))
    tables, _ = fitted(WEIGHTS, BYTE, 1e-2)
    with pytest.raises(HwflowError, match=r"its decoder is no table for weights of ap_fixed<6,3>"):
        Table("cosq", FixedType(6, 3), **tables)


def test_weights_that_the_table_lacks_are_refused() -> None:
    graph = hardened(1)
    layer = graph.weight_layers[0]
    codes = layer.weight.codes
    lacking = np.setdiff1d(
        np.arange(layer.weight.type.min_code, layer.weight.type.max_code), np.unique(layer.storage.tables["decoder"])
    )
    codes.reshape(-1)[0] = lacking[0]
    damaged = replace(layer, weight=layer.weight.from_codes(codes, layer.weight.type))
    with pytest.raises(HwflowError, match=f"{layer.name}: its weights are not among those that its"):
        Graph(tuple(damaged if node is layer else node for node in graph), graph.name)
