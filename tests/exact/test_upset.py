"""An upset in mid-run, on a pipeline that holds more images than it has layers: an image a cycle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwflow.cost.reuse import choose_reuse
from hwflow.faults import FaultList, chosen, sample_ber
from hwflow.graph import Graph, IntArray
from hwflow.hardening import harden
from hwflow.memory import memories
from hwflow.reference import IntegerExecutor
from hwflow.rtl import RtlExecutor, generate
from hwflow.rtl.executor import Expectation
from tests.exact.agreement import rtl
from tests.networks import NetworkBuilder, random_graph, random_images, random_options

IMAGES = 90
READ_CYCLES = 5
"""From the edge that offers a beat to the one at which the first layer's weights are read: 3 of `hwflow_guard`, one of
`hwflow_mvu`, and one of `hwflow_weights`."""


class Mlp:
    """Nine nodes at reuse factor 1, its images, and a fault list that changes every image's output."""

    def __init__(self, folder: Path, simulator: str) -> None:
        net = NetworkBuilder(np.random.default_rng(3), (4,))
        x = net.nodes[0]
        for _ in range(4):
            x = net.dense(net.relu(x) if x.inputs else x, 5)
        net.relu(x)
        original = net.graph("mlp")
        assert len(original.nodes) == 9
        self.graph: Graph = harden(original, random_images(1, original, 16)).graph
        generate(self.graph, folder / "rtl", choose_reuse(self.graph, reuse=1))
        self.rtl = RtlExecutor(folder / "rtl", self.graph, simulator)  # type: ignore[arg-type]
        self.reference = IntegerExecutor(self.graph)
        self.codes = self.reference.encode(random_images(2, self.graph, IMAGES))
        self.clean = self.reference.run(self.codes)

    def faults(self, layers: slice = slice(None), biases: bool = True) -> FaultList:
        """The sign bit of every weight of some layers, and of every bias."""
        names = {layer.name for layer in self.graph.weight_layers[layers]}
        places = memories(self.graph, biases)
        flips = [
            (memory.name, word, memory.bits - 1)
            for memory in places
            if memory.name.rsplit(".", 1)[0] in names
            for word in range(memory.words)
        ]
        return chosen(places, flips, self.graph.digest)


@pytest.fixture(scope="module", params=["icarus", pytest.param("verilator", marks=pytest.mark.slow)])
def mlp(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Mlp:
    return Mlp(tmp_path_factory.mktemp("mlp"), request.param)


def run(mlp: Mlp, faults: FaultList, cycle: int, stall: int = 0) -> tuple[IntArray, np.ndarray, np.ndarray]:
    """Outputs, and which images the upset leaves clean and which it faults, as the bench too sees it."""
    expected = Expectation(mlp.reference.run(mlp.codes, faults), mlp.clean)
    outputs = mlp.rtl.run(mlp.codes, faults, cycle, stall, expected=expected)
    statistics = mlp.rtl.statistics
    assert statistics is not None
    before, after = statistics.sides(cycle)
    assert not (before & after).any()
    np.testing.assert_array_equal(outputs[before], mlp.clean[before])
    np.testing.assert_array_equal(outputs[after], expected.codes[after])
    assert not statistics.failures
    return outputs, before, after


def test_more_images_are_inside_than_there_are_layers(mlp: Mlp) -> None:
    faults = mlp.faults()
    assert (mlp.reference.run(mlp.codes, faults) != mlp.clean).any(axis=1).all()
    mlp.rtl.run(mlp.codes)
    assert mlp.rtl.statistics is not None
    first = mlp.rtl.statistics.finished[0]
    for cycle in (0, 1, first + 3, first + 18):
        outputs, before, after = run(mlp, faults, cycle)
        assert after.any()
        inside = ~(before | after)
        if cycle == 0:
            assert after.all()
        if cycle > first:
            assert before.any()
            # A bound of one image a layer would have compared these with the wrong codes.
            assert inside.sum() > len(mlp.graph.nodes)
            assert not np.array_equal(outputs[inside], mlp.reference.run(mlp.codes, faults)[inside])


def test_the_borders_are_exact(mlp: Mlp) -> None:
    """The first layer reads its only word a cycle after the guard lets the image in, neither earlier nor later."""
    mlp.rtl.run(mlp.codes)
    assert mlp.rtl.statistics is not None
    begun, finished = mlp.rtl.statistics.begun, mlp.rtl.statistics.finished
    assert begun == tuple(range(IMAGES))
    assert len(set(np.subtract(finished, begun))) == 1
    first = mlp.faults(slice(0, 1), biases=False)
    for cycle, split in ((begun[40], 40), (begun[40] + 1, 41)):
        outputs, _, after = run(mlp, first, cycle)
        assert after.argmax() == split
        # What was inside had left the first layer's memory behind already, but for what had not asked yet.
        read = split - READ_CYCLES
        np.testing.assert_array_equal(outputs[:read], mlp.clean[:read])
        np.testing.assert_array_equal(outputs[read:], mlp.reference.run(mlp.codes, first)[read:])
    last = mlp.faults(slice(-1, None))
    _, before, _ = run(mlp, last, finished[5])
    assert before.sum() == 5
    _, before, _ = run(mlp, last, finished[5] + 1)
    assert before.sum() == 6


@pytest.mark.parametrize("cycle", [17, 75])
def test_stalls_move_the_borders_along(mlp: Mlp, cycle: int) -> None:
    _, before, after = run(mlp, mlp.faults(), cycle, stall=40)
    assert after.any()
    assert before.any() == (cycle == 75)


def check_random(seed: int, folder: Path) -> None:
    """A random network, stalled or not, upset where images begin and end: in weights and biases, behind forks too."""
    graph = random_graph(seed)
    graph = harden(graph, random_images(seed + 1, graph, 8), random_options(seed)).graph
    simulator = "verilator" if seed == 4 else "icarus"  # which takes twice as long for it
    executor, reference = rtl(graph, folder / f"rtl{seed}", seed, simulator), IntegerExecutor(graph)
    codes = reference.encode(random_images(seed, graph, 6))
    faults = sample_ber(memories(graph, faulty_biases=True), 0.3, seed, graph.digest)
    clean, faulted = reference.run(codes), reference.run(codes, faults)
    stall = 35 * (1 - seed % 2)
    executor.run(codes, stall_percent=stall)
    assert executor.statistics is not None
    begun, finished = executor.statistics.begun, executor.statistics.finished
    for cycle in (begun[1], begun[4] + 1, finished[3] + 1):
        outputs = executor.run(codes, faults, cycle, stall, expected=Expectation(faulted, clean))
        assert (executor.statistics.begun, executor.statistics.finished) == (begun, finished)
        assert not executor.statistics.failures, (seed, cycle)
        before, after = executor.statistics.sides(cycle)
        assert after[-1] or cycle > begun[-1]
        np.testing.assert_array_equal(outputs[before], clean[before])
        np.testing.assert_array_equal(outputs[after], faulted[after])


# The first one forks its input: one branch uses a pixel before the other, and with it the source, lets it go.
@pytest.mark.parametrize("seed", [0, 4])
def test_no_memory_is_read_for_an_image_before_it_is_offered(seed: int, tmp_path: Path) -> None:
    check_random(seed, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [3, *range(5, 100)])
def test_no_memory_is_read_for_an_image_before_it_is_offered_deep(seed: int, tmp_path: Path) -> None:
    check_random(seed, tmp_path)


def test_the_bench_sees_an_image_on_the_wrong_side(mlp: Mlp) -> None:
    faults = mlp.faults()
    wrong = mlp.clean.copy()
    wrong[0, 0] += 1
    mlp.rtl.run(mlp.codes, faults, 80, expected=Expectation(mlp.reference.run(mlp.codes, faults), wrong))
    assert mlp.rtl.statistics is not None
    message = mlp.rtl.statistics.failures["codes_equal_the_reference"]
    assert "1 of " in message
    assert "codes differ" in message
    assert 'failures="1"' in mlp.rtl.statistics.xunit
