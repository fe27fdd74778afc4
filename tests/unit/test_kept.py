"""Kept weights: what a graph says of them, and that no fault in the weight memory reaches them."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwflow.codes import CodeSpec
from hwflow.codes.layout import ordered, unordered
from hwflow.errors import HwflowError
from hwflow.faults import FaultList, chosen, sample_ber
from hwflow.fixed import FixedType
from hwflow.graph import Constant, Graph, Kept, WeightLayer
from hwflow.hardening import harden
from hwflow.memory import count_words, layer_layout, layer_storage, memories, stored_words, touched
from hwflow.memory.flips import flip_power
from hwflow.reference import IntegerExecutor
from tests.exact.agreement import kept_faults, with_kept, with_outliers
from tests.networks import random_graph, random_images, random_options

CODES = ("plain", "secded", "secded-null", "bch64-45", "parity")


def hardened(seed: int, storage: str, outliers: float = 0.0, kept: float = 0.1) -> Graph:
    graph = random_graph(seed)
    options = random_options(seed)
    options = replace(
        options, scaling=replace(options.scaling, weight_type=FixedType(8, 3), outliers=0.0), storage=storage
    )
    graph = harden(graph, random_images(seed, graph, 4), options).graph
    return with_kept(with_outliers(graph, outliers, seed) if outliers else graph, kept, seed)


def as_read(graph: Graph, faults: FaultList) -> Graph:
    """The graph with what every word is read as, but for kept weights: stored plainly, and none kept."""
    nodes = {}
    for layer in graph.weight_layers:
        code, stored = layer_storage(layer), stored_words(layer)
        words, masks = faults.masks(f"{layer.name}.weight")
        stored[words] ^= masks
        held = layer_layout(layer).indices(np.arange(len(stored)))
        clean = ordered(layer.weight.codes, layer.channelwise)
        codes = clean.copy()
        codes[held[held >= 0]] = code.decode(stored)[held >= 0]
        for place in layer.kept.index.tolist():
            codes[place] = clean[place]
        weight = Constant.from_codes(unordered(codes, layer.weight.shape, layer.channelwise), layer.weight.type)
        nodes[layer.name] = replace(layer, weight=weight, storage=CodeSpec("plain"), kept=None)
    return Graph(tuple(nodes.get(node.name, node) for node in graph), graph.name)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 10**6),
    st.sampled_from(CODES),
    st.sampled_from([0.0, 0.1]),
    st.sampled_from([0.0, 0.1, 1.0]),
    st.sampled_from([1e-3, 2e-2, 0.3]),
    st.sampled_from(["numpy", None]),
)
def test_random_graphs_compute_as_if_kept_weights_were_not_hit(
    seed: int, storage: str, outliers: float, kept: float, ber: float, engine: str | None
) -> None:
    graph = hardened(seed, storage, outliers if storage in ("plain", "secded") else 0.0, kept)
    executor = IntegerExecutor(graph) if engine is None else IntegerExecutor(graph, engine=engine)
    codes = executor.encode(random_images(seed, graph, 2))
    for faults in (sample_ber(memories(graph), ber, seed, graph.digest), kept_faults(graph, seed)):
        np.testing.assert_array_equal(executor.run(codes, faults), IntegerExecutor(as_read(graph, faults)).run(codes))


def test_all_weights_kept_are_beyond_all_faults() -> None:
    graph = hardened(3, "plain", kept=1.0)
    faults = sample_ber(memories(graph), 0.5, 1, graph.digest)
    assert not list(touched(graph, faults))
    counts = count_words(graph, faults)
    assert (counts.detected, counts.silent) == (0, 0)
    assert counts.corrected > 0
    for layer in graph.weight_layers:
        assert not flip_power(layer, lambda index, change: np.abs(change) + 1.0).any()


def largest(graph: Graph) -> WeightLayer:
    return max(graph.weight_layers, key=lambda layer: layer.weight.size)


def one(graph: Graph, kept: list[int] | np.ndarray) -> Graph:
    layer = replace(largest(graph), kept=Kept(np.asarray(kept)))
    return Graph(tuple(layer if node.name == layer.name else node for node in graph), graph.name)


def test_only_the_kept_cell_is_beyond_faults() -> None:
    graph = one(hardened(4, "plain"), [1])
    layer = largest(graph)
    flips = [(f"{layer.name}.weight", word, 0) for word in (0, 1, 2)]
    (read,) = touched(graph, chosen(memories(graph), flips, graph.digest))
    assert read.index.tolist() == [0, 2]


def test_a_graph_with_kept_weights_is_saved_and_has_a_digest_of_its_own() -> None:
    graph = hardened(5, "secded")
    data, arrays = graph.to_dict()
    again = Graph.from_dict(json.loads(json.dumps(data)), arrays)
    assert again.digest == graph.digest
    for layer, other in zip(graph.weight_layers, again.weight_layers, strict=True):
        np.testing.assert_array_equal(layer.kept.index, other.kept.index)
    without = Graph(tuple(replace(n, kept=None) if isinstance(n, WeightLayer) else n for n in graph), graph.name)
    assert len({graph.digest, without.digest, one(without, [0]).digest, one(without, [1]).digest}) == 4
    assert all("kept" not in node for node in without.to_dict()[0]["nodes"])


@pytest.mark.parametrize("kept", [[], [-1], [2, 1], [1, 1], [10**6], [[1]]])
def test_kept_weights_that_the_layer_does_not_have_are_refused(kept: list[int]) -> None:
    graph = hardened(4, "plain")
    with pytest.raises(HwflowError, match=f"{largest(graph).name}: the weights that are kept do not fit its"):
        one(graph, kept)


def test_the_side_memory_has_an_entry_for_every_kept_weight_and_every_outlier() -> None:
    graph = hardened(4, "plain", kept=0.0)
    layer = replace(largest(graph), kept=Kept(np.array([1, 4])))
    assert layer.weight.type is not None
    place = (layer.weight.size - 1).bit_length()
    assert layer.side_bits == 2 * (place + layer.weight.type.width + 1)
    assert layer.side.value.tolist() == ordered(layer.weight.codes, layer.channelwise)[[1, 4]].tolist()

    graph = with_outliers(hardened(4, "plain", kept=0.0), 0.1, 4)
    layer = next(layer for layer in graph.weight_layers if layer.outliers is not None)
    first = int(layer.outliers.index[0])
    other = next(i for i in range(layer.weight.size) if i not in layer.outliers.index)
    layer = replace(layer, kept=Kept(np.sort(np.array([first, other]))))
    side = layer.side
    assert len(side.index) == len(layer.outliers.index) + 1
    assert side.index[side.whole].tolist() == sorted([first, other])
    in_effect = ordered(layer.effective_codes, layer.channelwise)
    assert side.value[side.whole].tolist() == in_effect[side.index[side.whole]].tolist()
    assert side.value[~side.whole].tolist() == layer.outliers.at(side.index[~side.whole]).tolist()
    assert -(1 << side.bits - 1) <= side.value.min()
    assert side.value.max() < 1 << side.bits - 1
