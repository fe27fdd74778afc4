"""Kept weights in C simulation and RTL: the reference's codes under faults, in the words of kept weights too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwflow.firmware import CsimExecutor
from hwflow.firmware import generate as generate_firmware
from hwflow.fixed import FixedType
from hwflow.graph import Graph, Window
from hwflow.hardening import HardenOptions, harden
from hwflow.hardening.options import ScalingOptions
from hwflow.reference import IntegerExecutor
from hwflow.rtl import RtlExecutor
from tests.exact.agreement import assert_agree, kept_faults, random_reuse, rtl, with_kept, with_outliers
from tests.exact.test_rtl_outliers import device
from tests.networks import NetworkBuilder, random_graph, random_images, random_options

WAYS = {
    "plain": ("plain", 0.0, "io_stream"),
    "secded with outliers": ("secded", 0.1, "io_stream"),
    "mixed": ("conv1=secded-null,dense9=bch64-45,*=plain", 0.0, "io_parallel"),
    "plain with outliers": ("plain", 0.1, "io_parallel"),
}
"""Storage code, outliers and IO type."""


def network(storage: str, outliers: float, seed: int = 12) -> Graph:
    """Every kind of layer with weights, a tenth of them kept."""
    net = NetworkBuilder(np.random.default_rng(seed), (6, 5, 2))
    x = net.relu(net.conv(net.nodes[0], 4, Window(kernel=(3, 3), strides=(2, 1), padding=(1, 1, 1, 1))))
    x = net.relu(net.depthwise(x, 2, Window(kernel=(2, 2), padding=(0, 0, 1, 0))))
    x = net.affine(x)
    x = net.relu(net.conv(x, 5, Window(kernel=(1, 1))))
    net.dense(net.flat(x, average=False), 4)
    graph = net.graph("kept")
    scaling = ScalingOptions(weight_type=FixedType(8, 3), outliers=outliers)
    graph = harden(graph, random_images(13, graph, 8), HardenOptions(scaling=scaling, storage=storage)).graph
    return with_kept(graph, 0.1, seed)


@pytest.mark.parametrize("way", [w if w == "mixed" else pytest.param(w, marks=pytest.mark.slow) for w in WAYS])
def test_csim(way: str, tmp_path: Path) -> None:
    storage, outliers, io_type = WAYS[way]
    graph = network(storage, outliers)
    generate_firmware(graph, None, tmp_path / "csim", reuse=random_reuse(graph, 2), io_type=io_type)
    assert_agree(graph, random_images(14, graph, 3), CsimExecutor(tmp_path / "csim", graph), seed=1)


@pytest.mark.parametrize("way", ["secded with outliers", pytest.param("mixed", marks=pytest.mark.slow)])
def test_rtl(way: str, tmp_path: Path) -> None:
    storage, outliers, _ = WAYS[way]
    graph = network(storage, outliers)
    executor = rtl(graph, tmp_path / "rtl", 3)
    images = random_images(15, graph, 2)
    assert_agree(graph, images, executor, seed=2)
    check_stalls(graph, images, executor, 5)


@pytest.mark.parametrize("seed", [pytest.param(seed, marks=pytest.mark.slow) for seed in range(5)])
def test_random_graphs_in_rtl(seed: int, tmp_path: Path) -> None:
    graph = random_graph(seed)
    options = random_options(seed)
    graph = harden(graph, random_images(seed + 1, graph, 8), options).graph
    if seed % 2:
        graph = with_outliers(graph, 0.1, seed)
    graph = with_kept(graph, (0.0, 0.1, 0.5)[seed % 3], seed)
    executor = rtl(graph, tmp_path / "rtl", seed)
    images = random_images(seed, graph, 3)
    assert_agree(graph, images, executor, seed=seed)
    check_stalls(graph, images, executor, seed)


def check_stalls(graph: Graph, images: Any, executor: RtlExecutor, seed: int) -> None:
    """The same under random stalls, with faults in the words of all kept weights."""
    reference, faults = IntegerExecutor(graph), kept_faults(graph, seed)
    codes = reference.encode(images)
    stalled = executor.run(codes, faults, stall_percent=40, seed=seed + 1)
    np.testing.assert_array_equal(stalled, reference.run(codes, faults))


@pytest.mark.parametrize("fold", [pytest.param(fold, marks=pytest.mark.slow) for fold in range(8)])
def test_every_fold(fold: int, tmp_path: Path) -> None:
    """From one weight word a vector to one weight a word."""
    net = NetworkBuilder(np.random.default_rng(11), (3, 4, 2))
    x = net.relu(net.conv(net.nodes[0], 4, Window(kernel=(3, 3), strides=(2, 2), padding=(1, 1, 1, 1))))
    net.dense(net.flat(x, average=False), 4)
    graph = net.graph("two_layers")
    graph = with_kept(harden(graph, random_images(1, graph, 8)).graph, 0.2, 1)
    assert_agree(graph, random_images(2, graph, 2), device(graph, tmp_path / "rtl", fold), bers=(0.05,))


@pytest.mark.parametrize("bit", ["keep", pytest.param("value", marks=pytest.mark.slow)])
def test_the_comparison_sees_a_planted_wrong_entry(bit: str, tmp_path: Path) -> None:
    """An entry that no longer says that it is one, under faults in the words of kept weights, and another value."""
    graph = network("plain", 0.0)
    executor = rtl(graph, tmp_path / "rtl", 1)
    images = random_images(2, graph, 3)
    faults = kept_faults(graph, 1)
    codes = IntegerExecutor(graph).encode(images)
    expected = IntegerExecutor(graph).run(codes, faults)
    np.testing.assert_array_equal(executor.run(codes, faults), expected)
    for layer in graph.weight_layers:
        image = tmp_path / "rtl" / f"{layer.name}_rest.mem"
        lines = image.read_text().split()
        if bit == "keep":
            lines = ["0" * len(line) for line in lines]
        else:
            lines = [f"{int(line, 16) ^ 1 << 6:0{len(line)}x}" for line in lines]
        image.write_text("\n".join(lines) + "\n")
    assert (executor.run(codes, faults) != expected).any()
