"""RTL of weights that share words of block codes equals the reference, failed and miscorrected words included."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hwflow.codes import WordCode, Words
from hwflow.codes.bch import Bch
from hwflow.codes.blocks import Bits
from hwflow.codes.flips import Flips
from hwflow.cost.reuse import choose_reuse
from hwflow.faults import FaultList, chosen, sample_ber
from hwflow.fixed import FixedType
from hwflow.graph import Graph
from hwflow.hardening import harden
from hwflow.memory import layer_storage, memories, stored_words
from hwflow.reference import IntegerExecutor
from hwflow.rtl import RtlExecutor, generate
from hwflow.rtl.executor import Simulator
from tests.exact.agreement import assert_agree, random_reuse
from tests.networks import random_graph, random_images, random_options


def with_words(seed: int, storage: str) -> Graph:
    """A random network of 8-bit weights, hardened with storage codes."""
    graph, options = random_graph(seed), random_options(seed)
    scaling = replace(options.scaling, outliers=0.0, weight_type=FixedType(8, 3))
    return harden(graph, random_images(seed + 1, graph, 8), replace(options, scaling=scaling, storage=storage)).graph


def block_bits(code: WordCode, words: Words) -> Bits:
    """The bits of stored words that are codewords of the block code."""
    bits: Bits = np.unpackbits(words, axis=1, count=code.shape.block_bits, bitorder="little")
    return bits


def other_codewords(graph: Graph, seed: int) -> FaultList:
    """Flips that make of every second word another codeword with as many wrong bits as are corrected for sure."""
    rng, flips = np.random.default_rng(seed), []
    for layer in graph.weight_layers:
        code = layer_storage(layer)
        if isinstance(code, WordCode) and isinstance(code.block, Bch | Flips):
            sure = code.block.t if isinstance(code.block, Bch) else len(code.block.rows[0]) // 2
            words = np.arange(0, len(stored_words(layer)), 2)
            data = np.eye(code.block.data_bits, dtype=np.uint8)[rng.integers(code.block.data_bits, size=len(words))]
            flipped = np.concatenate([data, code.block.checks(data)], axis=1)
            for word, bits in zip(words.tolist(), flipped, strict=True):
                bits[rng.choice(len(bits), sure, replace=False)] ^= 1
                flips += [(f"{layer.name}.weight", word, bit) for bit in np.flatnonzero(bits).tolist()]
    return chosen(memories(graph), flips, graph.digest)


def outcomes(graph: Graph, faults: FaultList) -> tuple[int, int]:
    """How many words the decoders leave in doubt under some faults, and how many they take for others."""
    failed = wrong = 0
    for layer in graph.weight_layers:
        code = layer_storage(layer)
        if isinstance(code, WordCode) and isinstance(code.block, Bch | Flips):
            touched, masks = faults.masks(f"{layer.name}.weight")
            clean = stored_words(layer)[touched]
            data, doubtful = code.block.decode(block_bits(code, clean ^ masks))
            in_doubt = doubtful.any(axis=1)
            failed += int(in_doubt.sum())
            differs = (data != block_bits(code, clean)[:, : code.block.data_bits]).any(axis=1)
            wrong += int((differs & ~in_doubt).sum())
    return failed, wrong


@pytest.mark.parametrize(
    ("seed", "storage", "serial", "simulator"),
    [
        pytest.param(6, "bch64-45:1e-2", True, "verilator", marks=pytest.mark.slow),
        (6, "conv2=bch32-20,*=zero-space", True, "icarus"),
        pytest.param(6, "conv2=bch32-20,dense*=bch128-78:3e-3,*=zero-space", True, "icarus", marks=pytest.mark.slow),
        (6, "conv2=flip32-20-16,*=flip64-40-32:1e-2", True, "icarus"),
        pytest.param(4, "norm*=flip32-20-16,*=flip64-40-32:1e-2", False, "verilator", marks=pytest.mark.slow),
        pytest.param(0, "flip256-160-128-3-5", True, "verilator", marks=pytest.mark.slow),
        pytest.param(4, "bch64-45", False, "verilator", marks=pytest.mark.slow),
        pytest.param(
            4, "norm*=bch32-20,conv3=bch64-40-32:3e-3,*=value-aware", False, "verilator", marks=pytest.mark.slow
        ),
        pytest.param(0, "bch128-78", True, "verilator", marks=pytest.mark.slow),
    ],
)
def test_random_graphs_with_words(seed: int, storage: str, serial: bool, simulator: Simulator, tmp_path: Path) -> None:
    graph = with_words(seed, storage)
    generate(graph, tmp_path / "rtl", choose_reuse(graph, 10**6) if serial else random_reuse(graph, seed))
    executor = RtlExecutor(tmp_path / "rtl", graph, simulator)
    images = random_images(seed, graph, 3)
    assert_agree(graph, images, executor, bers=(0.01, 0.08), seed=seed)

    reference = IntegerExecutor(graph)
    codes = reference.encode(images)
    lists = (sample_ber(memories(graph), 0.08, seed + 2, graph.digest), other_codewords(graph, seed))
    failed, wrong = np.sum([outcomes(graph, faults) for faults in lists], axis=0)
    assert min(failed, wrong) >= 2
    expected = [reference.run(codes, faults) for faults in lists]
    assert (np.array(expected) != reference.run(codes)).any()
    for faults, outputs in zip(lists, expected, strict=True):
        np.testing.assert_array_equal(executor.run(codes, faults, stall_percent=30, seed=seed), outputs)
