"""The netlist, its memory images and its FIFO depths, without a simulator."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwflow.doctor import find_program
from hwflow.errors import HwflowError
from hwflow.graph import Concatenate, Graph, Softmax, Window
from hwflow.hardening import HardenOptions, harden
from hwflow.memory import stored_words
from hwflow.reuse import choose_reuse, fold, valid_reuse_factors
from hwflow.rtl import RtlExecutor, generate
from hwflow.rtl.depth import FifoDepths, backlog, last_pixel
from hwflow.rtl.memory_image import Packing, packing
from hwflow.rtl.netlist import build_netlist
from tests.networks import NetworkBuilder, random_graph, random_images, random_options, same


def hardened(graph: Graph, options: HardenOptions | None = None) -> Graph:
    return harden(graph, random_images(1, graph, 4), options).graph


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.data())
def test_packing_is_a_bijection_between_stored_bits_and_hardware_bits(seed: int, data: st.DataObject) -> None:
    graph = hardened(random_graph(seed), random_options(seed))
    layer = data.draw(st.sampled_from(graph.weight_layers))
    factor = data.draw(st.sampled_from(valid_reuse_factors(layer)))
    layout = packing(layer, "weight", *fold(layer, factor))
    assert layout.depth == factor
    words = stored_words(layer)
    hardware = layout.pack(words)
    word, bit = (index.reshape(-1) for index in np.indices((len(words), layout.bits)))
    address, position = layout.place(word, bit)
    assert len(set(zip(address.tolist(), position.tolist(), strict=True))) == layout.depth * layout.width
    for i in range(len(word)):
        assert hardware[address[i]] >> int(position[i]) & 1 == words[word[i]] >> bit[i] & 1


def test_packing_follows_the_matrix_unit() -> None:
    # 4 inputs, 2 outputs, PE 2, SIMD 2: word sf holds (o0 s0, o0 s1, o1 s0, o1 s1).
    layout = Packing(n_in=4, n_out=2, pe=2, simd=2, bits=8)
    words = np.array([0x10, 0x11, 0x12, 0x13, 0x20, 0x21, 0x22, 0x23])
    assert layout.pack(words) == [0x21201110, 0x23221312]


@pytest.mark.parametrize("seed", range(25))
def test_random_designs_lint_clean(seed: int, tmp_path: Path) -> None:
    graph = hardened(random_graph(seed), random_options(seed))
    rng = np.random.default_rng(seed)
    reuse = {layer.name: int(rng.choice(valid_reuse_factors(layer))) for layer in graph.weight_layers}
    generate(graph, tmp_path / "rtl", reuse)
    verilator = find_program("verilator")
    assert verilator is not None
    command = [
        verilator,
        "--lint-only",
        "-Wall",
        "--top-module",
        "hwflow_top",
        *sorted((tmp_path / "rtl").glob("*.sv")),
    ]
    result = subprocess.run(command, cwd=tmp_path / "rtl", capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "%Warning" not in result.stderr


def brute_force_backlog(first: np.ndarray, second: np.ndarray) -> int:
    """Feed the fork's pixels one by one, to the first branch before the second; count what waits at most."""
    deepest = 0
    for pixel in range(1, int(second[-1]) + 1):
        taken = int((second <= pixel - 1).sum())
        deepest = max(deepest, int((first <= pixel).sum()) - taken)
    return deepest


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=30), st.lists(st.integers(1, 40), min_size=30, max_size=30))
def test_backlog_is_what_waits_at_most(first: list[int], second: list[int]) -> None:
    a = np.sort(np.array(first))
    b = np.sort(np.array(second[: len(first)]))
    assert backlog(a, b) == brute_force_backlog(a, b)


def test_last_pixel_of_a_padded_strided_window() -> None:
    window = Window(kernel=(3, 3), strides=(2, 2), padding=(1, 1, 1, 1))
    assert last_pixel(window, 4, 4).tolist() == [5, 7, 13, 15]


def test_an_identity_shortcut_waits_for_the_window_of_its_block() -> None:
    net = NetworkBuilder(np.random.default_rng(0), (8, 8, 1))
    x = net.conv(net.nodes[0], 2, same((8, 8), (1, 1), (1, 1)))
    y = net.conv(net.conv(x, 2, same((8, 8), (3, 3), (1, 1))), 2, same((8, 8), (3, 3), (1, 1)))
    add = net.add(y, x)
    graph = net.graph("identity")
    depths = FifoDepths(graph).of(graph[add.name])
    # Two 3x3 windows look two rows and two columns ahead: 2 x 8 + 2 pixels more than the Add has taken.
    assert depths[1] == 2 * (2 * 8 + 3) + 2
    assert depths[0] == 2 * 1 + 2


def test_a_concatenation_waits_like_an_add() -> None:
    net = NetworkBuilder(np.random.default_rng(1), (6, 6, 2))
    x = net.conv(net.nodes[0], 2, same((6, 6), (1, 1), (1, 1)))
    joined = net.concatenate(x, net.conv(x, 3, same((6, 6), (3, 3), (1, 1))))
    net.dense(net.flat(joined, average=True), 2)
    graph = hardened(net.graph("dense_block"))
    merge = graph[joined.name]
    assert isinstance(merge, Concatenate)
    first, second = FifoDepths(graph).of(merge)
    assert first >= 6 + 1 + 2 > second


def test_softmax_and_colliding_names_are_refused() -> None:
    net = NetworkBuilder(np.random.default_rng(0), (4,))
    dense = net.dense(net.nodes[0], 3)
    with_softmax = Graph((*net.nodes, Softmax(name="soft", inputs=(dense.name,), shape=(3,))))
    graph = hardened(with_softmax)
    with pytest.raises(HwflowError, match="soft: the RTL has no Softmax; end the network at its logits"):
        build_netlist(graph, choose_reuse(graph))
    first = net.dense(dense, 3)
    nodes = (*net.nodes[:-2], replace(dense, name="a-b"), replace(first, name="a_b", inputs=("a-b",)))
    graph = hardened(Graph(nodes))
    with pytest.raises(HwflowError, match="rename one"):
        build_netlist(graph, choose_reuse(graph))
    with pytest.raises(HwflowError, match="hardened graphs only"):
        build_netlist(random_graph(0), choose_reuse(random_graph(0)))


def test_projects_of_another_design_are_refused(tmp_path: Path) -> None:
    graph, other = hardened(random_graph(1)), hardened(random_graph(2))
    generate(graph, tmp_path / "rtl", choose_reuse(graph))
    with pytest.raises(HwflowError, match="made from another design"):
        RtlExecutor(tmp_path / "rtl", other)
    with pytest.raises(HwflowError, match="no RTL project"):
        RtlExecutor(tmp_path / "none", graph)
    with pytest.raises(HwflowError, match="simulator 'questa' is unknown"):
        RtlExecutor(tmp_path / "rtl", graph, "questa")  # type: ignore[arg-type]
