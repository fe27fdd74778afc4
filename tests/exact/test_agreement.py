"""Reference, C simulation and RTL agree bit for bit on the embedded networks and on random ones."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hwflow.cost.reuse import choose_reuse
from hwflow.data import load_digits
from hwflow.errors import HwflowError
from hwflow.faults import chosen, sample_ber
from hwflow.firmware import CsimExecutor, read_keras
from hwflow.firmware import generate as generate_firmware
from hwflow.fixed import Rounding
from hwflow.graph import Graph, Window
from hwflow.hardening import HardenOptions, harden
from hwflow.hardening.options import ScalingOptions
from hwflow.memory import memories
from hwflow.models import EMBEDDED, embedded
from hwflow.reference import IntegerExecutor
from hwflow.rtl import RtlExecutor
from hwflow.rtl import generate as generate_rtl
from tests.exact.agreement import assert_agree, random_reuse, rtl
from tests.networks import NetworkBuilder, random_graph, random_images, random_options, random_rows, to_keras

RTL_SEEDS, CSIM_SEEDS = (0, 1, 4), 2
DEEP_RTL_SEEDS, DEEP_CSIM_SEEDS = 500, 100


def hardened(graph: Graph, seed: int) -> Graph:
    return harden(graph, random_images(seed + 1, graph, 8), random_options(seed)).graph


def check_rtl(seed: int, folder: Path) -> None:
    graph = hardened(random_graph(seed) if seed % 8 else random_rows(seed), seed)
    executor = rtl(graph, folder / f"rtl{seed}", seed)
    images = random_images(seed, graph, 2)
    assert_agree(graph, images, executor, seed=seed)
    codes = IntegerExecutor(graph).encode(images)
    stalled = executor.run(codes, stall_percent=40, seed=seed + 1)
    np.testing.assert_array_equal(stalled, IntegerExecutor(graph).run(codes))
    shutil.rmtree(folder / f"rtl{seed}")


def check_csim(seed: int, folder: Path, io_type: str) -> None:
    """All three executors on a graph that went through Keras and hls4ml's front end."""
    original = random_graph(seed, keras=True) if seed % 5 else random_rows(seed)
    model = to_keras(original)
    graph = read_keras(model)
    # Keras may order independent branches differently.
    assert {node.name: (node.op, node.shape, node.inputs) for node in graph} == {
        node.name: (node.op, node.shape, node.inputs) for node in original
    }
    graph = hardened(graph, seed)
    project = folder / f"csim{seed}"
    generate_firmware(graph, model, project, reuse=random_reuse(graph, seed), io_type=io_type)
    executors = (CsimExecutor(project, graph), rtl(graph, folder / f"rtl{seed}", seed))
    assert_agree(graph, random_images(seed, graph, 3), *executors, seed=seed)
    shutil.rmtree(project)
    shutil.rmtree(folder / f"rtl{seed}")


@pytest.mark.parametrize("seed", RTL_SEEDS)
def test_rtl_equals_the_reference_on_random_graphs(seed: int, tmp_path: Path) -> None:
    check_rtl(seed, tmp_path)


@pytest.mark.parametrize("seed", range(CSIM_SEEDS))
def test_csim_and_rtl_equal_the_reference_on_random_networks(seed: int, tmp_path: Path) -> None:
    check_csim(seed, tmp_path, "io_stream")


@settings(max_examples=2, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(DEEP_RTL_SEEDS, 10**9))
def test_rtl_equals_the_reference_on_graphs_never_seen_before(seed: int, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / f"rtl{seed}", ignore_errors=True)
    check_rtl(seed, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", sorted({*range(DEEP_RTL_SEEDS)} - {*RTL_SEEDS}))
def test_rtl_equals_the_reference_deep(seed: int, tmp_path: Path) -> None:
    check_rtl(seed, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(CSIM_SEEDS, DEEP_CSIM_SEEDS))
def test_csim_and_rtl_equal_the_reference_deep(seed: int, tmp_path: Path) -> None:
    check_csim(seed, tmp_path, "io_parallel" if seed % 10 == 0 else "io_stream")


class Embedded:
    """An embedded network, hardened, with its projects."""

    def __init__(self, name: str, folder: Path) -> None:
        model = embedded(name)
        self.graph = harden(read_keras(model), load_digits("train").images[:200]).graph
        reuse = choose_reuse(self.graph)
        self.rtl, self.firmware = folder / "rtl", folder / "firmware"
        generate_rtl(self.graph, self.rtl, reuse)
        generate_firmware(self.graph, model, self.firmware, reuse=reuse)


@pytest.fixture(
    scope="module", params=[EMBEDDED[0], *(pytest.param(name, marks=pytest.mark.slow) for name in EMBEDDED[1:])]
)
def network(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Embedded:
    return Embedded(request.param, tmp_path_factory.mktemp(request.param))


@pytest.mark.slow
def test_all_executors_agree_on_the_embedded_networks(network: Embedded) -> None:
    """With Verilator, and more faults than the demo has."""
    images = load_digits("test").images[:20]
    csim = CsimExecutor(network.firmware, network.graph)
    executors = (csim, RtlExecutor(network.rtl, network.graph, "verilator"))
    assert_agree(network.graph, images, *executors, bers=(1e-4, 1e-3, 1e-2))


@pytest.mark.slow
def test_icarus_agrees_on_the_embedded_networks(network: Embedded) -> None:
    images = load_digits("test").images[:3]
    assert_agree(network.graph, images, RtlExecutor(network.rtl, network.graph, "icarus"), bers=(1e-2,))


def test_an_upset_in_the_middle_of_the_stream(network: Embedded) -> None:
    """Images that were finished before the upset are clean, images that enter after it are faulted."""
    executor = RtlExecutor(network.rtl, network.graph, "icarus")
    reference = IntegerExecutor(network.graph)
    codes = reference.encode(load_digits("test").images[:12])
    clean = reference.run(codes)
    np.testing.assert_array_equal(executor.run(codes[:4]), clean[:4])
    assert executor.statistics is not None
    finished = executor.statistics.finished
    faults = sample_ber(memories(network.graph), 0.01, 3, network.graph.digest)
    faulted = reference.run(codes, faults)
    assert (clean != faulted).any(axis=1).all()
    cycle = (finished[1] + finished[2]) // 2
    outputs = executor.run(codes, faults, upset_cycle=cycle)
    is_clean, is_faulted = (outputs == clean).all(axis=1), (outputs == faulted).all(axis=1)
    assert is_clean[:2].all()
    assert is_faulted[11:].all()
    assert not is_clean[2:].all()


def test_an_upset_in_the_middle_of_an_image_splits_it_at_one_pixel(tmp_path: Path) -> None:
    net = NetworkBuilder(np.random.default_rng(7), (8, 8, 1))
    net.conv(net.nodes[0], 1, Window(kernel=(3, 3), padding=(1, 1, 1, 1)))
    options = replace(random_options(1), storage="plain")
    original = net.graph("one_layer")
    graph = harden(original, random_images(2, original, 8), options).graph
    executor = rtl(graph, tmp_path / "rtl", 1)
    reference = IntegerExecutor(graph)
    codes = reference.encode(np.full((1, 8, 8, 1), 1.0))
    name = f"{graph.weight_layers[0].name}.weight"
    faults = chosen(memories(graph), [(name, 4, 6)], graph.digest)
    clean, faulted = reference.run(codes).reshape(-1), reference.run(codes, faults).reshape(-1)
    assert (clean != faulted).all()
    executor.run(codes)
    assert executor.statistics is not None
    cycle = executor.statistics.finished[0] * 6 // 10
    outputs = executor.run(codes, faults, upset_cycle=cycle).reshape(-1)
    split = int((outputs == clean).sum())
    assert 10 < split < 54
    np.testing.assert_array_equal(outputs[:split], clean[:split])
    np.testing.assert_array_equal(outputs[split:], faulted[split:])


@pytest.fixture
def planted(tmp_path: Path) -> tuple[Graph, Path, np.ndarray]:
    """A project of one convolution and images on which it rounds."""
    net = NetworkBuilder(np.random.default_rng(11), (6, 6, 2))
    net.conv(net.nodes[0], 3, Window(kernel=(3, 3)))
    original = net.graph("planted")
    options = HardenOptions(ScalingOptions(compensation="none"), activation_bits=10, rounding=Rounding.RND)
    graph = harden(original, random_images(1, original, 8), options).graph
    generate_rtl(graph, tmp_path / "rtl", choose_reuse(graph))
    images = random_images(2, graph, 4)
    assert_agree(graph, images, RtlExecutor(tmp_path / "rtl", graph, "icarus"))
    shutil.rmtree(tmp_path / "rtl" / "build")
    return graph, tmp_path / "rtl", images


def test_the_comparison_sees_a_planted_wrong_weight(planted: tuple[Graph, Path, np.ndarray]) -> None:
    graph, project, images = planted
    image = next(project.glob("*_weight.mem"))
    lines = image.read_text().split()
    lines[1] = f"{int(lines[1], 16) ^ 1:0{len(lines[1])}x}"
    image.write_text("\n".join(lines) + "\n")
    with pytest.raises(AssertionError, match="codes differ"):
        assert_agree(graph, images, RtlExecutor(project, graph, "icarus"))


def test_the_comparison_sees_a_planted_wrong_rounding_mode(planted: tuple[Graph, Path, np.ndarray]) -> None:
    graph, project, images = planted
    top = project / f"{graph.name}.sv"
    text, count = re.subn(r"\.ROUNDING\(2\)", ".ROUNDING(0)", top.read_text())
    assert count == 1
    top.write_text(text)
    with pytest.raises(AssertionError, match="codes differ"):
        assert_agree(graph, images, RtlExecutor(project, graph, "icarus"))


def test_a_stuck_design_is_reported_not_waited_for(planted: tuple[Graph, Path, np.ndarray]) -> None:
    graph, project, images = planted
    top = project / f"{graph.name}.sv"
    top.write_text(top.read_text().replace(".s_tvalid(", ".s_tvalid(1'b0 & ", 1))
    with pytest.raises(HwflowError, match="stuck"):
        RtlExecutor(project, graph, "icarus").run(IntegerExecutor(graph).encode(images[:1]))


def test_codes_of_another_shape_and_too_many_images_are_refused(planted: tuple[Graph, Path, np.ndarray]) -> None:
    graph, project, _ = planted
    executor = RtlExecutor(project, graph, "icarus")
    with pytest.raises(HwflowError, match="inputs have shape"):
        executor.run(np.zeros((1, 2, 2, 2), dtype=np.int64))
    with pytest.raises(HwflowError, match="of one simulation; run fewer"):
        executor.run(np.zeros((executor.capacity + 1, *graph.input.shape), dtype=np.int64))


def test_faults_of_another_design_are_refused(planted: tuple[Graph, Path, np.ndarray]) -> None:
    graph, project, images = planted
    faults = sample_ber(memories(graph), 0.01, 1, "another")
    with pytest.raises(HwflowError, match="design"):
        RtlExecutor(project, graph, "icarus").run(IntegerExecutor(graph).encode(images), faults)


@pytest.mark.slow
def test_the_smallest_reuse_factors_and_uneven_padding(tmp_path: Path) -> None:
    """Everything parallel that can be: one weight word a vector."""
    net = NetworkBuilder(np.random.default_rng(2), (7, 5, 4))
    conv = net.conv(net.nodes[0], 4, Window(kernel=(3, 3), padding=(2, 0, 1, 2)))
    net.dense(net.flat(conv, average=False), 3)
    graph = hardened(net.graph("wide"), 4)
    generate_rtl(graph, tmp_path / "rtl", choose_reuse(graph, reuse=1))
    assert_agree(graph, random_images(1, graph, 3), RtlExecutor(tmp_path / "rtl", graph, "icarus"))
