"""C simulation of firmware whose memories store words of a code equals the reference, whatever bits of them flip."""

from __future__ import annotations

import subprocess
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwflow.codes import WordCode
from hwflow.codes.layout import Layout
from hwflow.cost.reuse import choose_reuse
from hwflow.errors import HwflowError
from hwflow.faults import FaultList, chosen, sample_ber
from hwflow.firmware import CsimExecutor, generate, open_project
from hwflow.firmware.storage import choose_lanes
from hwflow.fixed import FixedType
from hwflow.graph import Affine, Constant, Graph
from hwflow.hardening import HardenOptions, harden
from hwflow.hardening.options import ScalingOptions
from hwflow.memory import layer_storage, memories, stored_words
from hwflow.reference import IntegerExecutor
from tests.exact.test_firmware import IMAGES, Network, images


def layers() -> Graph:
    """Every kind of layer with weights; rows of several words and of less than one, none of them full."""
    net = Network((6, 5, 2), seed=8)
    net.conv(4)
    net.relu()
    channels = net.nodes[-1].shape[-1]
    weight = net.rng.uniform(0.5, 1.5, (1, channels))
    net.put(Affine, weight=Constant(weight), bias=Constant(net.rng.normal(size=channels) * 0.1))
    net.conv(5, kernel=(1, 1))
    net.relu()
    net.conv(10, kernel=(1, 3), strides=(2, 1))
    net.relu()
    net.put(Affine, weight=Constant(net.rng.uniform(0.5, 1.5, (1, 10))), bias=Constant(net.rng.normal(size=10) * 0.1))
    net.flatten()
    net.dense(4)
    return net.graph()


def hardened(storage: str, width: int, outliers: float) -> Graph:
    graph = layers()
    scaling = ScalingOptions(weight_type=FixedType(width, 3), outliers=outliers)
    return harden(graph, images(graph, 20), HardenOptions(scaling=scaling, storage=storage)).graph


def broken(graph: Graph, faults: FaultList) -> tuple[int, int]:
    """How many words of block codes read as in doubt, and how many as other weights without a doubt."""
    detected = mistaken = 0
    for layer in graph.weight_layers:
        code = layer_storage(layer)
        if isinstance(code, WordCode):
            words, masks = faults.masks(f"{layer.name}.weight")
            clean = stored_words(layer)[words]
            known = code.detected(clean ^ masks)
            differs = (code.decode(clean ^ masks) != code.decode(clean)).any(axis=1)
            detected += int(known.sum())
            mistaken += int((differs & ~known).sum())
    return detected, mistaken


def flips_in_words(graph: Graph, count: int) -> FaultList:
    """So many flips in the last word of every memory, and in another one."""
    rng = np.random.default_rng([20261202, count])
    flips = []
    for memory in memories(graph):
        for word in {memory.words - 1, int(rng.integers(memory.words))}:
            flips += [(memory.name, word, int(bit)) for bit in rng.choice(memory.bits, count, replace=False)]
    return chosen(memories(graph), flips, graph.digest)


CASES = [
    *product(("secded", "secded-null"), (8, 11), (0.0, 0.1), ("io_stream", "io_parallel")),
    *product(("cosq:1e-2",), (5, 8), (0.0,), ("io_stream", "io_parallel")),
]
QUICK = [
    ("secded", 8, 0.1, "io_stream"),
    ("cosq:1e-2", 5, 0.0, "io_parallel"),
]


@pytest.mark.parametrize(
    ("storage", "width", "outliers", "io_type"),
    [pytest.param(*case, marks=() if case in QUICK else pytest.mark.slow) for case in CASES],
)
def test_equals_reference(storage: str, width: int, outliers: float, io_type: Any, tmp_path: Path) -> None:
    graph = hardened(storage, width, outliers)
    assert any(layer.outliers is not None for layer in graph.weight_layers) == (outliers > 0)
    reuse = choose_reuse(graph, {5: 6, 8: 6, 11: 40}[width])
    ports = io_type == "io_parallel"
    project = generate(graph, None, tmp_path / "project", reuse=reuse, io_type=io_type, bram_ports=ports)
    reference, csim = IntegerExecutor(graph), CsimExecutor(project.path, graph)
    codes = reference.encode(images(graph, IMAGES) * 1.5)
    clean = reference.run(codes)
    np.testing.assert_array_equal(csim.run(codes), clean)
    changed = []
    for count in range(1, 6):
        faults = flips_in_words(graph, count)
        faulted = reference.run(codes, faults)
        np.testing.assert_array_equal(csim.run(codes, faults), faulted)
        changed.append(bool((faulted != clean).any()))
    assert changed[0] == storage.startswith("cosq")  # which corrects nothing
    assert any(changed[1:])
    for seed, faulty_biases in ((1, False), (2, True)):
        faults = sample_ber(memories(graph, faulty_biases), 2e-2, seed, graph.digest)
        np.testing.assert_array_equal(csim.run(codes, faults), reference.run(codes, faults))


MIXED = "*_4=cosq,*_8=plain,conv2d_?=bch64-45:1e-2,affine*=bch64-40-32,dense*=bch128-78:2e-2"
FLIPS = "*_4=plain,conv2d_?=flip64-40:1e-2,affine*=ols64-40-32,dense*=flip256-160-128-3-5"
WORD_CASES = [
    *product(("bch64-45:1e-2", "bch128-78", MIXED), (8,), ("io_stream", "io_parallel")),
    *product(("bch64-36", "bch256-155"), (4, 8), ("io_stream", "io_parallel")),
    *product(("bch40-22",), (5, 10), ("io_stream", "io_parallel")),
    *product(("flip64-40", FLIPS), (8,), ("io_stream", "io_parallel")),
]
QUICK_WORDS = [
    ("bch64-45:1e-2", 8, "io_stream"),
    (MIXED, 8, "io_parallel"),
]


@pytest.mark.parametrize(
    ("storage", "width", "io_type"),
    [pytest.param(*case, marks=() if case in QUICK_WORDS else pytest.mark.slow) for case in WORD_CASES],
)
def test_words_of_labels_equal_the_reference(storage: str, width: int, io_type: Any, tmp_path: Path) -> None:
    """Up to words of which most have so many flips that they fail, or are taken for others."""
    graph = hardened(storage, width, 0.0)
    ports = io_type == "io_parallel"
    reuse = choose_reuse(graph, 6)
    project = generate(graph, None, tmp_path / "project", reuse=reuse, io_type=io_type, bram_ports=ports)
    reference, csim = IntegerExecutor(graph), CsimExecutor(project.path, graph)
    codes = reference.encode(images(graph, IMAGES) * 1.5)
    clean = reference.run(codes)
    np.testing.assert_array_equal(csim.run(codes), clean)
    one, *more = (flips_in_words(graph, count) for count in range(1, 7))
    lists = [one, *more, *(sample_ber(memories(graph, ber > 0.1), ber, 3, graph.digest) for ber in (0.02, 0.08, 0.3))]
    total = np.zeros(2, dtype=np.int64)
    changed = False
    for faults in lists:
        faulted = reference.run(codes, faults)
        np.testing.assert_array_equal(csim.run(codes, faults), faulted)
        total += broken(graph, faults)
        changed |= bool((faulted != clean).any())
        if faults is one and not storage.startswith("*"):  # a rule with patterns has layers that correct nothing
            assert broken(graph, faults) == (0, 0)
            assert not changed
    assert changed
    assert total[0] > 10
    if storage in ("bch64-45:1e-2", "bch40-22", MIXED):
        assert total[1] > 0  # words lie within t flips of a wrong codeword about once in t!, here of 3


@pytest.mark.parametrize(
    ("storage", "width", "outliers"), [("secded", 11, 0.1), ("cosq:1e-2", 8, 0.0), ("bch64-40-32", 8, 0.0)]
)
def test_the_project_says_what_its_memories_store(storage: str, width: int, outliers: float, tmp_path: Path) -> None:
    graph = hardened(storage, width, outliers)
    project = generate(graph, None, tmp_path / "project", reuse=choose_reuse(graph))
    weights, name = project.path / "firmware" / "weights", storage.partition(":")[0]
    for layer in graph.weight_layers:
        memory, code = open_project(project.path).memories[f"{layer.name}.weight"], layer_storage(layer)
        words = stored_words(layer)
        assert (memory.code, memory.word_bits, memory.type) == (name, code.bits, f"ap_uint<{code.bits}>")
        assert (memory.size, memory.weights_per_word) == (len(words), code.weights_per_word)
        assert memory.rows == (1 if isinstance(layer, Affine) else layer.n_out)
        text = (weights / f"{memory.symbol}.txt").read_text().split(", ")
        assert [int(word, 16).to_bytes(words.shape[1], "little") for word in text] == [word.tobytes() for word in words]
        assert f'#include "{memory.symbol}.inc"' in (weights / f"{memory.symbol}.h").read_text()
        assert project.memories[f"{layer.name}.bias"].code is None


@pytest.mark.parametrize("storage", ["secded", "cosq:1e-2", "bch256-155"])
def test_synthesis_reads_the_words_that_c_simulation_reads(storage: str, tmp_path: Path) -> None:
    graph = hardened(storage, 8, 0.0)
    project = generate(graph, None, tmp_path / "project", reuse=choose_reuse(graph))
    memory = project.memories["dense_10.weight"]
    firmware = project.path.resolve() / "firmware"
    source = f"""
        #include "ap_int.h"
        #include "nnet_utils/nnet_helpers.h"
        {memory.type} synthesised[] = {{
        #include "weights/{memory.symbol}.inc"
        }};
        {memory.type} simulated[{memory.size}];
        int main() {{
            nnet::load_weights_from_txt<{memory.type}, {memory.size}>(simulated, "{memory.symbol}.txt");
            return sizeof simulated != sizeof synthesised ||
                !std::equal(simulated, simulated + {memory.size}, synthesised);
        }}
    """
    (tmp_path / "words.cpp").write_text(source)
    includes = [f"-I{firmware}", f"-I{firmware / 'ap_types'}"]
    subprocess.run(["g++", "-w", *includes, "words.cpp", "-o", "words"], cwd=tmp_path, check=True)
    subprocess.run([tmp_path / "words"], cwd=firmware, check=True)


def test_a_code_without_a_decoder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = hardened("secded", 8, 0.0)
    monkeypatch.setattr("hwflow.firmware.storage.CPP_CODES", {})
    with pytest.raises(HwflowError, match="conv2d_1: the firmware has no decoder of storage code 'secded'"):
        generate(graph, None, tmp_path / "project", reuse=choose_reuse(graph))


def test_a_block_code_without_a_decoder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = hardened("bch64-45", 8, 0.0)
    monkeypatch.setattr("hwflow.firmware.storage.CPP_BLOCKS", {})
    with pytest.raises(HwflowError, match="conv2d_1: the firmware has no decoder of storage code 'bch64-45'"):
        generate(graph, None, tmp_path / "project", reuse=choose_reuse(graph))


@pytest.mark.parametrize("layout", [Layout(16, 9, 8), Layout(4, 90, 8), Layout(10, 128, 5), Layout(1, 40, 8)])
def test_lanes_divide_a_memory_evenly_and_keep_to_the_reuse_factor(layout: Layout) -> None:
    multipliers = []
    for reuse in range(1, layout.words * layout.per_word + 1):
        lanes = choose_lanes(layout, reuse)
        assert layout.row_words % lanes.words == layout.rows % lanes.rows == layout.per_word % lanes.parts == 0
        assert lanes.rows == 1 or lanes.words == layout.row_words
        cycles = lanes.rows * lanes.words * lanes.parts
        assert cycles <= reuse
        multipliers.append(layout.words * layout.per_word // cycles)
    assert multipliers[0] == layout.words * layout.per_word
    assert multipliers[-1] == 1
