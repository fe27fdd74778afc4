"""Memories of a graph: what faults touch is what reading the whole memory gives."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwflow.codes import STORAGE_CODES, CodeSpec
from hwflow.codes.layout import ordered, unordered
from hwflow.errors import HwflowError
from hwflow.faults import FaultList, chosen, sample_ber, sample_count
from hwflow.graph import Affine, Constant, Graph
from hwflow.hardening import harden
from hwflow.memory import layer_layout, layer_storage, memories, memory_of, stored_words, touched
from hwflow.reference import IntegerExecutor
from tests.exact.agreement import with_outliers
from tests.networks import random_graph, random_images, random_options
from tests.unit.test_codes import LOOKED

CODES = ("plain", "secded", "secded-null")


def hardened(seed: int, storage: str, outliers: float = 0.0) -> Graph:
    graph = random_graph(seed)
    graph = harden(graph, random_images(seed, graph, 4), replace(random_options(seed), storage=storage)).graph
    return with_outliers(graph, outliers, seed) if outliers else graph


def read_whole(graph: Graph, faults: FaultList) -> Graph:
    """The graph with the weights that reading every word of every memory gives, stored plainly."""
    nodes = {}
    for layer in graph.weight_layers:
        code, stored = layer_storage(layer), stored_words(layer)
        words, masks = faults.masks(f"{layer.name}.weight")
        stored[words] ^= masks
        held = layer_layout(layer).indices(np.arange(len(stored)))
        codes = ordered(layer.weight.codes).copy()
        codes[held[held >= 0]] = code.decode(stored)[held >= 0]
        weight = Constant.from_codes(unordered(codes, layer.weight.shape), layer.weight.type)
        nodes[layer.name] = replace(layer, weight=weight, storage=CodeSpec("plain"))
    return Graph(tuple(nodes.get(node.name, node) for node in graph), graph.name)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(CODES), st.sampled_from([0.0, 0.1]), st.sampled_from([1e-3, 1e-2, 0.2]))
def test_touched_is_what_the_whole_memory_reads(seed: int, storage: str, outliers: float, ber: float) -> None:
    graph = hardened(seed, storage, outliers)
    faults = sample_ber(memories(graph), ber, seed, graph.digest)
    whole = read_whole(graph, faults)
    for layer in graph.weight_layers:
        clean = ordered(layer.weight.codes)
        changed = clean.copy()
        for read in touched(graph, faults):
            if read.layer is layer:
                assert len(set(read.index.tolist())) == len(read.index)
                changed[read.index] = read.codes
        np.testing.assert_array_equal(changed, ordered(whole[layer.name].weight.codes))


@pytest.mark.parametrize("storage", CODES)
@pytest.mark.parametrize("engine", ["auto", "numpy"])
@pytest.mark.parametrize("outliers", [0.0, 0.1])
def test_the_reference_computes_with_what_the_memories_read(storage: str, engine: str, outliers: float) -> None:
    """One to five flips in one word after the other."""
    for seed in (3, 8):
        graph = hardened(seed, storage, outliers)
        executor = IntegerExecutor(graph, engine=engine)
        codes = executor.encode(random_images(seed, graph, 3))
        clean = executor.run(codes)
        rng = np.random.default_rng(seed)
        for count in range(6):
            flips = []
            for memory in memories(graph):
                for word in {memory.words - 1, int(rng.integers(memory.words))}:
                    bits = rng.choice(memory.bits, min(count, memory.bits), replace=False)
                    flips += [(memory.name, word, int(bit)) for bit in bits]
            faults = chosen(memories(graph), flips, graph.digest)
            expected = IntegerExecutor(read_whole(graph, faults)).run(codes)
            np.testing.assert_array_equal(executor.run(codes, faults), expected)
        np.testing.assert_array_equal(executor.run(codes), clean)


def test_faults_cost_as_much_as_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """What faults do not touch is not even copied."""
    graph = hardened(4, "secded")
    faults = sample_count(memories(graph), 3, 1, graph.digest)
    monkeypatch.setattr(Constant, "codes", property(lambda _: pytest.fail("all codes of a memory were taken")))
    assert sum(len(read.index) for read in touched(graph, faults)) <= 3 * 16


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(CODES))
def test_memories_have_the_words_of_their_layout(seed: int, storage: str) -> None:
    graph = hardened(seed, storage)
    for layer, memory in zip(graph.weight_layers, memories(graph), strict=True):
        code = layer_storage(layer)
        rows = 1 if isinstance(layer, Affine) else layer.n_out
        assert memory == memory_of(graph, f"{layer.name}.weight")
        assert memory.words == rows * -(-(layer.weight.size // rows) // code.weights_per_word)
        assert memory.bits == code.bits
        assert stored_words(layer).shape == (memory.words, -(-memory.bits // 8))


def test_a_code_with_a_table_is_saved_with_the_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STORAGE_CODES, "looked", LOOKED)
    graph = hardened(5, "plain")
    layer = graph.weight_layers[0]
    levels = np.array([-30, -9, 0, 25])
    weight = levels[np.abs(layer.weight.codes[..., None] - levels).argmin(axis=-1)]
    assert layer.weight.type is not None
    quantised = replace(
        layer, weight=Constant.from_codes(weight, layer.weight.type), storage=CodeSpec("looked", {"levels": levels})
    )
    coded = Graph(tuple(quantised if node is layer else node for node in graph), graph.name)
    data, arrays = coded.to_dict()
    again = Graph.from_dict(data, arrays)
    assert again.digest == coded.digest != graph.digest
    assert memory_of(again, f"{layer.name}.weight").bits == 5
    changed = Graph.from_dict(data, {**arrays, f"{layer.name}.storage.levels": np.array([-30, -9, 0, 26])})
    assert changed.digest != coded.digest
    faults = sample_count(memories(again), 20, 1, again.digest)
    executor = IntegerExecutor(again)
    codes = executor.encode(random_images(5, again, 3))
    expected = IntegerExecutor(read_whole(again, faults)).run(codes)
    np.testing.assert_array_equal(executor.run(codes, faults), expected)


def test_plain_designs_are_saved_as_before() -> None:
    data, _ = hardened(5, "plain").to_dict()
    assert {entry["storage"] for entry in data["nodes"] if "storage" in entry} == {"plain"}


@pytest.mark.parametrize("code", ["rot13", 7, None, ["plain"], {"code": []}, {"code": "cosq", "tables": {}}])
def test_codes_that_a_file_cannot_name(code: object) -> None:
    data, arrays = hardened(5, "plain").to_dict()
    for entry in data["nodes"]:
        if "storage" in entry:
            entry["storage"] = code
    with pytest.raises(HwflowError):
        Graph.from_dict(data, arrays)


def test_memories_that_are_not_there() -> None:
    graph = hardened(5, "plain")
    for name in ("none.weight", f"{graph.input.name}.weight", f"{graph.weight_layers[0].name}.gain", ""):
        with pytest.raises(HwflowError, match="not in this design"):
            memory_of(graph, name)
