"""A design with weights in URAM: empty at first, as the hardware is, no image begins until the bus has loaded it.

The test builds the design for a part with hardly any block RAM, and runs the cocotb tests of this file in the
simulator; cocotbext-axi is the bus master.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path

import cocotb
import numpy as np
import pytest

from hwflow.codes import CodeSpec
from hwflow.cost import parts
from hwflow.cost.area import Area
from hwflow.cost.parts import Part
from hwflow.cost.reuse import choose_reuse
from hwflow.faults import sample_ber
from hwflow.graph import Graph
from hwflow.hardening import harden
from hwflow.memory import memories
from hwflow.rtl import generate
from hwflow.sim.design import RtlDesign
from hwflow.sim.stuck import blocked
from tests.exact.test_axi_lite import PROJECT, Bench, retrained, run_tb
from tests.networks import NetworkBuilder, random_images, same

PART = Part("tiny", "xcup", Area(luts=1, flip_flops=10**6, dsp=10**3, block_ram=2, uram=8), "none")
EMPTY = bool(int(os.environ.get("HWFLOW_TEST_EMPTY", "0")))


@cache
def network() -> Graph:
    """A dense layer under SECDED behind a convolution; the weights of the first are too many for LUTs."""
    net = NetworkBuilder(np.random.default_rng(5), (4, 4, 1))
    x = net.relu(net.conv(net.nodes[0], 5, same((4, 4), (3, 3), (1, 1))))
    net.dense(net.flat(x, average=False), 4)
    graph = net.graph("uram")
    graph = harden(graph, random_images(1, graph, 8)).graph
    dense = graph.weight_layers[1].name
    return Graph(tuple(replace(n, storage=CodeSpec("secded")) if n.name == dense else n for n in graph), graph.name)


@cocotb.test(skip=not EMPTY)
async def no_image_begins_until_it_is_loaded(dut):
    bench = Bench(dut, graph=network(), count=2)
    device = await bench.start()
    assert await bench.call(lambda: device.empty)
    assert await bench.call(lambda: device.design) == "0" * 16
    bench.s.send(beat for image in bench.images(bench.codes) for beat in image)
    await bench.step(1000)
    assert not bench.m.beats
    assert not await bench.call(lambda: device.busy)
    counters = await bench.call(device.counters)
    assert "DESIGN" in blocked(dut, RtlDesign.load(PROJECT))
    assert counters.images == 0
    assert counters.in_stalls > 900
    await bench.reset()  # is no load
    assert await bench.call(lambda: device.empty)
    await bench.call(device.load, network())
    assert not await bench.call(lambda: device.empty)
    assert await bench.call(device.differing) == 0
    await bench.check()
    await bench.reset()  # keeps what was loaded
    await bench.check()


@cocotb.test(skip=EMPTY)
async def a_simulation_starts_with_the_weights(dut):
    bench = Bench(dut, graph=network(), count=2)
    device = await bench.start()
    assert not await bench.call(lambda: device.empty)
    assert await bench.call(lambda: device.design) == network().digest[:16]
    assert await bench.call(device.differing) == 0
    await bench.check()


@cocotb.test(skip=not EMPTY)
async def weights_in_uram_are_loaded_flipped_and_healed(dut):
    bench = Bench(dut, graph=network(), count=2)
    device = await bench.start()
    faults = sample_ber(memories(bench.graph), 0.05, 1, bench.graph.digest)
    assert (bench.reference.run(bench.codes, faults) != bench.reference.run(bench.codes)).any()
    await bench.call(device.inject, faults)
    await bench.check(faults=faults)
    assert await bench.call(device.restore) > 0
    await bench.check()
    other = retrained(bench.graph)
    await bench.call(device.load, other)
    await bench.check(other)


@cocotb.test(skip=not EMPTY)
async def a_load_that_fails_lets_no_image_begin(dut):
    bench = Bench(dut, graph=network(), count=2)
    device = await bench.start()
    write, left = bench.bus.write32, iter(range(40))

    def fails(address: int, value: int) -> None:
        if next(left, None) is None:
            raise OSError("the link is down")
        write(address, value)

    def load() -> None:
        with pytest.raises(OSError, match="the link is down"):
            device.load(network())

    bench.bus.write32 = fails
    await bench.call(load)
    bench.bus.write32 = write
    await bench.call(device.enable)
    assert await bench.call(lambda: device.empty)
    bench.s.send(bench.images(bench.codes)[0])
    await bench.step(500)
    assert not bench.m.beats


@pytest.mark.parametrize(
    ("empty", "simulator"),
    [(True, "icarus"), (False, "icarus"), pytest.param(True, "verilator", marks=pytest.mark.slow)],
)
def test_a_design_with_uram(empty: bool, simulator: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "parts", lambda: (PART,))
    project, build = tmp_path / "rtl", tmp_path / "build"
    graph = network()
    written = generate(graph, project, choose_reuse(graph), part="tiny-1", uram=True)
    assert [layer["place"] for layer in written["layers"]] == ["LUTs", "URAM"]
    assert graph.weight_layers[1].name in " ".join(written["notes"])
    assert sum(cell["uram"] for cell in json.loads((project / "rtl.json").read_text())["cells"]) > 0
    build.mkdir()
    for image in project.glob("*.mem"):
        shutil.copy(image, build)
    monkeypatch.setenv("HWFLOW_TEST_PROJECT", str(project))
    monkeypatch.setenv("HWFLOW_TEST_EMPTY", str(int(empty)))
    parameters = {"PRELOADED": 0} if empty else {}
    run_tb(written["top"], sorted(project.glob("*.sv")), parameters, __name__, simulator, build)
