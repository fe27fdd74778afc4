"""A network with every odd name that Keras takes, through all executors, fault lists included."""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hwflow.cost.reuse import choose_reuse
from hwflow.faults import FaultList, sample_ber
from hwflow.firmware import CsimExecutor
from hwflow.firmware import generate as generate_firmware
from hwflow.folders.design import _read_graph, write_graph
from hwflow.frontends.legal import renamed
from hwflow.graph import Graph, Window
from hwflow.hardening import HardenOptions, harden
from hwflow.memory import memories
from hwflow.reference import IntegerExecutor
from hwflow.rtl import RtlExecutor
from hwflow.rtl import generate as generate_rtl
from tests.exact.agreement import assert_agree
from tests.names import NAMES
from tests.networks import NetworkBuilder

SHAPE = (2, 2, 2)


def every_name() -> Graph:
    """A convolution, then vectors: layers, sums and joins, a tensor twice among them; every node has an odd name."""
    net = NetworkBuilder(np.random.default_rng(1), SHAPE)
    image = net.nodes[0]
    x = net.flat(net.relu(net.conv(image, 2, Window(kernel=(3, 3), padding=(1, 1, 1, 1)))), average=False)
    while len(net.nodes) < len(NAMES):
        x = net.dense(x, 3)
        y = net.relu(net.add(x, x))
        x = net.concatenate(net.add(x, y), y)
    net.dense(x, 5)
    names = dict(zip((node.name for node in net.nodes[1:]), NAMES, strict=False))
    return renamed(net.graph(""), names | {image.name: "größer\n"}, "\x1b[31m\ud800")


TEXTS = st.text(st.characters(codec=None), max_size=60) | st.sampled_from(NAMES)


@pytest.mark.slow
@settings(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck))
@given(names=st.lists(TEXTS, min_size=25, max_size=25, unique=True))
def test_fuzzed_names(names: list[str], tmp_path: Path) -> None:
    """Names that not even Keras takes, through firmware and RTL."""
    net = NetworkBuilder(np.random.default_rng(3), (4,))
    x = net.nodes[0]
    while len(net.nodes) < len(names):
        x = net.dense(net.add(x, x), 4)
    odd = renamed(net.graph(""), dict(zip((node.name for node in net.nodes), names, strict=True)), names[0])
    images = np.random.default_rng(4).normal(0, 1, (4, 4))
    graph = harden(odd, images, HardenOptions()).graph
    with tempfile.TemporaryDirectory(dir=tmp_path) as folder:
        reuse = choose_reuse(graph)
        generate_firmware(graph, None, Path(folder) / "firmware", reuse=reuse)
        generate_rtl(graph, Path(folder) / "rtl", reuse)
        executors = (CsimExecutor(Path(folder) / "firmware", graph), RtlExecutor(Path(folder) / "rtl", graph, "icarus"))
        assert_agree(graph, images, *executors, bers=(0.05,))


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Any:
    original = every_name()
    assert {node.name for node in original} >= set(NAMES)
    images = np.random.default_rng(2).normal(0, 1, (8, *SHAPE))
    graph = harden(original, images, HardenOptions()).graph
    return SimpleNamespace(graph=graph, images=images[:3], folder=tmp_path_factory.mktemp("names"))


def test_the_design_keeps_the_names(network: Any, tmp_path: Path) -> None:
    write_graph(tmp_path, network.graph)
    again = _read_graph(tmp_path)
    assert [node.name for node in again] == [node.name for node in network.graph]
    assert (again.name, again.digest) == (network.graph.name, network.graph.digest)


def test_fault_lists_keep_the_names(network: Any, tmp_path: Path) -> None:
    faults = sample_ber(memories(network.graph), 0.05, 1, network.graph.digest)
    faults.save(tmp_path / "faults.json")
    again = FaultList.load(tmp_path / "faults.json")
    assert {f"{layer.name}.weight" for layer in network.graph.weight_layers} == {each.name for each in again.memories}
    reference = IntegerExecutor(network.graph)
    codes = reference.encode(network.images)
    np.testing.assert_array_equal(reference.run(codes, again), reference.run(codes, faults))


@pytest.mark.parametrize("io_type", ["io_stream", pytest.param("io_parallel", marks=pytest.mark.slow)])
def test_firmware_agrees(network: Any, io_type: str, tmp_path: Path) -> None:
    generate_firmware(network.graph, None, tmp_path / "project", reuse=choose_reuse(network.graph), io_type=io_type)
    assert_agree(network.graph, network.images, CsimExecutor(tmp_path / "project", network.graph))


@pytest.mark.parametrize("simulator", ["icarus", pytest.param("verilator", marks=pytest.mark.slow)])
def test_rtl_agrees(network: Any, simulator: str, tmp_path: Path) -> None:
    generate_rtl(network.graph, tmp_path / "rtl", choose_reuse(network.graph))
    assert_agree(network.graph, network.images, RtlExecutor(tmp_path / "rtl", network.graph, simulator), bers=(0.05,))
