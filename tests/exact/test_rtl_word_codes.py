"""RTL of weights that share words of block codes equals the reference, failed and miscorrected words included."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hwflow.codes import WordCode
from hwflow.codes.bch import Bch
from hwflow.codes.words import Words
from hwflow.faults import FaultList, sample_ber
from hwflow.fixed import FixedType
from hwflow.graph import Graph
from hwflow.hardening import harden
from hwflow.memory import layer_storage, memories, stored_words
from hwflow.reference import IntegerExecutor
from tests.exact.agreement import assert_agree, rtl
from tests.networks import random_graph, random_images, random_options


def with_words(seed: int, storage: str) -> Graph:
    """A random network of 8-bit weights, hardened with storage codes."""
    graph, options = random_graph(seed), random_options(seed)
    scaling = replace(options.scaling, outliers=0.0, weight_type=FixedType(8, 3))
    options = replace(options, scaling=scaling, storage=storage)
    return harden(graph, random_images(seed + 1, graph, 8), options).graph


def outcomes(graph: Graph, faults: FaultList) -> tuple[int, int]:
    """Words of BCH codes that the decoders give up, and that they take for others."""
    failed = wrong = 0
    for layer in graph.weight_layers:
        code, words = layer_storage(layer), stored_words(layer)
        if isinstance(code, WordCode) and isinstance(code.block, Bch):
            touched, masks = faults.masks(f"{layer.name}.weight")
            data, doubtful = code.block.decode(block_bits(code, words[touched] ^ masks))
            clean = block_bits(code, words[touched])[:, : code.block.data_bits]
            failed += int(doubtful.any(axis=1).sum())
            wrong += int(((data != clean).any(axis=1) & ~doubtful.any(axis=1)).sum())
    return failed, wrong


def block_bits(code: WordCode, words: Words) -> Words:
    """The bits of words that are codewords of the block code."""
    return np.unpackbits(words, axis=1, count=code.shape.block_bits, bitorder="little")


@pytest.mark.parametrize(("seed", "storage"), [(0, "bch64-45")])
def test_random_graphs_with_words(seed: int, storage: str, tmp_path: Path) -> None:
    graph = with_words(seed, storage)
    executor = rtl(graph, tmp_path / "rtl", seed, "verilator")
    images = random_images(seed, graph, 3)
    failed, wrong = outcomes(graph, sample_ber(memories(graph, True), 0.05, 2, graph.digest))
    print(failed, wrong, sum(m.words for m in memories(graph)))
    assert_agree(graph, images, executor, seed=seed)
    codes = IntegerExecutor(graph).encode(images)
    stalled = executor.run(codes, stall_percent=40, seed=seed + 1)
    np.testing.assert_array_equal(stalled, IntegerExecutor(graph).run(codes))
