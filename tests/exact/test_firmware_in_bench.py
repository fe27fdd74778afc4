"""hls4ml's C++ over DPI between a design's block RAMs: as the reference and the RTL, whatever the memories hold."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from hwflow import firmware, load_design, rtl
from hwflow.cost.reuse import choose_reuse
from hwflow.errors import HwflowError
from hwflow.faults import chosen, sample_ber
from hwflow.graph import Graph, Softmax
from hwflow.hardening import HardenOptions, harden
from hwflow.hardening.options import ScalingOptions
from hwflow.memory import memories
from hwflow.reference import IntegerExecutor
from hwflow.rtl import RtlExecutor
from hwflow.rtl.behavioural import behavioural_project, check_behavioural
from hwflow.sim.design import METADATA
from hwflow.stages.user_test import run_test
from tests.cli.conftest import hwflow
from tests.exact.agreement import assert_agree, random_reuse
from tests.exact.test_firmware_storage import FLIPS, MIXED, hardened, images
from tests.networks import NetworkBuilder, random_graph, random_images, random_options


def written(graph: Graph, folder: Path, seed: int = 0) -> tuple[Path, Path]:
    """RTL with random reuse factors, and firmware."""
    rtl.generate(graph, folder / "rtl", random_reuse(graph, seed))
    firmware.generate(graph, None, folder / "firmware", reuse=choose_reuse(graph))
    return folder / "rtl", folder / "firmware"


def test_a_network_and_its_faults(tmp_path: Path) -> None:
    """Words of several parts and of one, biases, stalls, an upset in mid-run, wrong bits in an image, no library."""
    net = NetworkBuilder(np.random.default_rng(7), (12,))
    net.dense(net.relu(net.dense(net.nodes[0], 6)), 4)
    graph = net.graph("small")
    first, last = (layer.name for layer in graph.weight_layers)
    options = HardenOptions(scaling=ScalingOptions(saturate=True), storage=f"{first}=secded,{last}=plain")
    graph = harden(graph, random_images(1, graph, 8), options).graph
    hardware, made = written(graph, tmp_path)
    with behavioural_project(hardware, made, graph) as project:
        executor, reference = RtlExecutor(project, graph), IntegerExecutor(graph)
        codes = reference.encode(random_images(2, graph, 9))
        clean = reference.run(codes)
        np.testing.assert_array_equal(executor.run(codes, stall_percent=30), clean)
        faults = sample_ber(memories(graph, True), 0.1, 1, graph.digest)
        faulted = reference.run(codes, faults)
        assert (faulted != clean).any(axis=1).all()
        assert executor.statistics is not None
        cycle = executor.statistics.begun[4]
        upset = executor.run(codes, faults, cycle, stall_percent=30)
        before, after = executor.statistics.sides(cycle)
        assert (before.sum(), after.sum()) == (3, 5)
        np.testing.assert_array_equal(upset[before], clean[before])
        np.testing.assert_array_equal(upset[after], faulted[after])
        image = project / json.loads((project / METADATA).read_text())["layers"][-1]["weight_file"]
        image.write_text(re.sub(r"^\w", lambda digit: f"{int(digit[0], 16) ^ 4:x}", image.read_text(), flags=re.M))
        assert (executor.run(codes) != clean).any()
        (project / "firmware.so").unlink()
        with pytest.raises(HwflowError, match=r"verilator failed: error: \./firmware\.so: cannot open"):
            executor.run(codes)


def test_what_cannot_take_the_place_of_the_rtl(tmp_path: Path) -> None:
    graph = hardened("plain", 8, 0.0)
    with pytest.raises(HwflowError, match="Icarus does not have"):
        check_behavioural(graph, "icarus")
    output = graph.output
    end = Softmax(name="classes", inputs=(output.name,), shape=output.shape, inv_size=1 << 17)
    with pytest.raises(HwflowError, match="classes: --dut firmware cannot be simulated"):
        check_behavioural(Graph((*graph, end), "ends"), "verilator")
    rtl.generate(graph, tmp_path / "rtl", choose_reuse(graph), loadable=True)
    with (
        pytest.raises(HwflowError, match="generated with --loadable"),
        behavioural_project(tmp_path / "rtl", tmp_path / "firmware", graph),
    ):
        pass


@pytest.mark.slow
@pytest.mark.parametrize(
    ("storage", "width", "outliers"),
    [
        ("plain", 5, 0.1),
        ("secded", 11, 0.1),
        ("secded-null", 8, 0.0),
        ("cosq:1e-2", 5, 0.0),
        (MIXED, 8, 0.0),
        ("bch64-36", 4, 0.0),
        (FLIPS, 8, 0.0),
    ],
)
def test_storage_codes(storage: str, width: int, outliers: float, tmp_path: Path) -> None:
    graph = hardened(storage, width, outliers)
    with behavioural_project(*written(graph, tmp_path), graph) as project:
        assert_agree(graph, images(graph, 12), RtlExecutor(project, graph), bers=(0.02, 0.3))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_random_graphs(seed: int, tmp_path: Path) -> None:
    graph = random_graph(seed)
    graph = harden(graph, random_images(seed + 1, graph, 8), random_options(seed)).graph
    hardware, made = written(graph, tmp_path, seed)
    with behavioural_project(hardware, made, graph) as project:
        executors = RtlExecutor(project, graph), RtlExecutor(hardware, graph)
        assert_agree(graph, random_images(seed, graph, 4), *executors)


TEST = """
import cocotb, numpy as np
from hwflow.sim import Network
from hwflow.faults import FaultList

@cocotb.test()
async def memories_and_upsets(dut):
    net = Network(dut)
    await net.reset()
    codes = np.random.default_rng(1).integers(0, 17, (8, *net.design.input.shape))
    clean = await net.run(codes, stall_percent=20)
    assert not net.wrong_last
    layer = net.layers[-1]
    words = [net.read(layer, i) for i in range(net.design.stored(layer, "weight").memory.words)]
    net.load(layer, [0] * len(words))
    empty = await net.run(codes)
    assert (empty == empty[0]).all() and (clean != clean[0]).any()
    net.load(layer, words)
    faults = FaultList.load({faults!r})
    clean = await net.run(codes)
    cycle = int(net.finished[1]) + 1
    upset = await net.run(codes, upsets={{cycle: faults}})
    assert net.begun[-1] >= cycle and (upset[:2] == clean[:2]).all() and (upset[-1] != clean[-1]).any()
    np.save({output!r}, upset[[0, 1, -1]])
"""


@pytest.mark.slow
def test_digits_and_a_test_of_ones_own(tmp_path: Path) -> None:
    """The same file on the firmware and on the RTL."""
    design, faults = tmp_path / "design", tmp_path / "faults.json"
    hwflow("harden", "digits_cnn", "-o", design, "--protect", "secded").succeeds()
    hwflow("generate", design, "-o", tmp_path / "project").succeeds()
    data = ("simulate", design, "--project", tmp_path / "project", "--data", "digits", "--ber", 3e-3, "--faulty-biases")
    report = tmp_path / "report.json"
    out = hwflow(*data, "--rounds", 2, "--dut", "firmware", "--csim", "--json", report).succeeds()
    found = json.loads(report.read_text())
    assert "firmware, behavioural" in out
    assert "note: behavioural: " in out
    assert found["behavioural"] is True
    assert found["dut"] == "firmware"
    assert found["differing_codes"] == 0
    assert {each["cycles_per_image"] for each in found["comparisons"]} == {None}
    assert found["accuracy"]["firmware"] == found["accuracy"]["csim"]
    hwflow(*data, "--dut", "firmware", "--upset-cycle", 1000).succeeds()

    loaded = load_design(design).graph
    places = memories(loaded, True)
    chosen(places, [(f"{loaded.weight_layers[-1].name}.bias", i, 12) for i in range(10)], loaded.digest).save(faults)
    outputs = {}
    for dut in ("firmware", "bench"):
        test, output = tmp_path / f"{dut}_test.py", tmp_path / f"{dut}.npy"
        test.write_text(TEST.format(faults=str(faults), output=str(output)))
        run_test(design, test, dut=dut, project=tmp_path / "project").check()
        outputs[dut] = np.load(output)
    np.testing.assert_array_equal(outputs["firmware"], outputs["bench"])
