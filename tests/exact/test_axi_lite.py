"""A whole design through its AXI4-Lite port: another network's weights, faults, scrubbing, counters, damaged images.

The test builds the design and runs the cocotb tests of this file in the simulator; cocotbext-axi is the bus master.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cocotb
import numpy as np
import pytest
from cocotb.task import bridge, resume

from hwflow.codes import CodeSpec
from hwflow.cost.reuse import choose_reuse, valid_reuse_factors
from hwflow.errors import HwflowError
from hwflow.faults import chosen, sample_ber
from hwflow.graph import Constant, Graph, WeightLayer
from hwflow.hardening import harden
from hwflow.memory import memories, stored_words
from hwflow.reference import IntegerExecutor
from hwflow.rtl import Device, generate
from hwflow.rtl.address_map import REGISTERS, AddressMap, address_map
from hwflow.rtl.c_header import render_c_header
from hwflow.rtl.folder import beats
from hwflow.rtl.netlist import build_netlist
from tests.networks import NetworkBuilder, random_images, same

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "sim" / "tb"))

from common import TB, run_tb  # noqa: E402  (from that folder)

PROJECT = Path(os.environ.get("HWFLOW_TEST_PROJECT", ""))


def network() -> Graph:
    """A convolution under SECDED beside others, with a shortcut; every kind of hardware word."""
    net = NetworkBuilder(np.random.default_rng(5), (4, 4, 2))
    x = net.relu(net.conv(net.nodes[0], 4, same((4, 4), (3, 3), (1, 1))))
    y = net.add(net.conv(x, 4, same((4, 4), (1, 1), (1, 1))), x)
    net.dense(net.flat(y, average=True), 3)
    graph = net.graph("axi")
    graph = harden(graph, random_images(1, graph, 8)).graph
    protected = graph.weight_layers[0].name
    return Graph(tuple(replace(n, storage=CodeSpec("secded")) if n.name == protected else n for n in graph), graph.name)


def retrained(graph: Graph) -> Graph:
    """The same structure with other weights and biases."""
    rng = np.random.default_rng(6)

    def other(constant: Constant) -> Constant:
        assert constant.type is not None
        low, high = constant.codes.min(), constant.codes.max()
        return Constant.from_codes(rng.integers(low, high, constant.codes.shape, endpoint=True), constant.type)

    nodes = (
        replace(node, weight=other(node.weight), bias=other(node.bias)) if isinstance(node, WeightLayer) else node
        for node in graph
    )
    return Graph(tuple(nodes), graph.name)


class CocotbBus:
    """Accesses that wait for the simulator, from a thread of their own."""

    def __init__(self, master) -> None:
        self.master = master

    @resume
    async def read32(self, address: int) -> int:
        got = await self.master.read(address, 4)
        assert got.resp == 0, got.resp
        return int.from_bytes(got.data, "little")

    @resume
    async def write32(self, address: int, value: int) -> None:
        got = await self.master.write(address, value.to_bytes(4, "little"))
        assert got.resp == 0, got.resp


class Bench(TB):
    """The design, its streams, and a device that speaks to it."""

    def __init__(self, dut, stall: float = 0.0, graph: Graph | None = None, count: int = 6) -> None:
        from cocotbext.axi import AxiLiteBus, AxiLiteMaster

        super().__init__(dut, stall)
        self.s, self.m = self.source("s_axis", flags=("tlast",)), self.sink("m_axis", flags=("tlast", "tuser"))
        self.master = AxiLiteMaster(
            AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk_i, dut.rst_ni, reset_active_level=False
        )
        self.master.write_if.log.disabled = self.master.read_if.log.disabled = True
        self.bus = CocotbBus(self.master)
        self.graph = network() if graph is None else graph
        self.reference = IntegerExecutor(self.graph)
        self.codes = self.reference.encode(random_images(2, self.graph, count))
        netlist = build_netlist(self.graph, choose_reuse(self.graph))
        self.input, self.output = netlist.input, netlist.output
        self.width = len(dut.m_axis_tdata)

    async def start(self) -> Device:
        await self.reset()
        self.device = await self.call(Device, self.bus, PROJECT, self.graph)
        return self.device

    async def call(self, function, *arguments):
        """The result of a function that uses the bus, in a thread, while the streams go on."""
        task = cocotb.start_soon(bridge(function)(*arguments))
        while not task.done():
            await self.step()
        return task.result()

    def images(self, codes) -> list[list[int]]:
        """The beats of images, tlast on the last one."""
        words = beats(codes, self.input.type, self.input.lanes)
        last = 1 << len(self.dut.s_axis_tdata)
        groups = (words[i : i + self.input.beats] for i in range(0, len(words), self.input.beats))
        return [[*group[:-1], group[-1] | last] for group in groups]

    def results(self, codes, damaged: tuple[int, ...] = ()) -> list[int]:
        """The beats of results: tlast on the last one, tuser on that of damaged images."""
        words = beats(codes, self.output.type, self.output.lanes)
        size = self.output.beats
        for image in range(len(codes)):
            words[(image + 1) * size - 1] |= (3 if image in damaged else 1) << self.width
        return words

    async def run(self, codes) -> list[int]:
        """What comes out for images."""
        self.m.beats.clear()
        self.s.send(beat for image in self.images(codes) for beat in image)
        return await self.collect(self.m, len(codes) * self.output.beats)

    async def check(self, graph: Graph | None = None, faults=None) -> None:
        """The design computes what the reference does."""
        reference = self.reference if graph is None else IntegerExecutor(graph)
        assert await self.run(self.codes) == self.results(reference.run(self.codes, faults))


@cocotb.test()
async def another_network_loads_and_reads_back(dut):
    bench = Bench(dut)
    device = await bench.start()
    assert await bench.call(lambda: device.design) == bench.graph.digest[:16]
    await bench.check()
    assert await bench.call(device.differing) == 0
    other = retrained(bench.graph)
    clean, changed = (IntegerExecutor(graph).run(bench.codes) for graph in (bench.graph, other))
    assert (clean != changed).any()
    await bench.call(device.load, other)
    assert await bench.call(lambda: device.design) == other.digest[:16]
    await bench.check(other)
    held = await bench.call(device.read_back)
    for (layer, kind), words in held.items():
        node = other[layer]
        assert isinstance(node, WeightLayer)
        region = next(r for r in device.addresses.regions if (r.layer, r.kind) == (layer, kind))
        assert words == device._image(other, region)
        assert np.array_equal(device._memory(other, region)[1].unpack(words), stored_words(node, kind))
    await bench.call(device.load, bench.graph)
    await bench.check()


@cocotb.test()
async def faults_are_injected_and_healed(dut):
    bench = Bench(dut)
    device = await bench.start()
    faults = sample_ber(memories(bench.graph, faulty_biases=True), 0.05, 1, bench.graph.digest)
    assert (bench.reference.run(bench.codes, faults) != bench.reference.run(bench.codes)).any()
    await bench.call(device.inject, faults)
    await bench.check(faults=faults)
    assert await bench.call(device.restore) > 0
    await bench.check()
    assert await bench.call(device.differing) == 0


@cocotb.test()
async def single_errors_are_scrubbed(dut):
    bench = Bench(dut)
    device = await bench.start()
    secded, plain = memories(bench.graph)[:2]
    flips = [(secded.name, word, (7 * word) % secded.bits) for word in range(secded.words)]
    lost = [(secded.name, 0, 71)]  # beside the one of word 0: detected, not corrected
    faults = chosen(memories(bench.graph), [*flips, *lost, (plain.name, 3, 7)], bench.graph.digest)
    await bench.call(device.inject, faults)
    counts = await bench.call(device.scrub)
    assert (counts.corrected, counts.detected) == (secded.words - 1, 1)
    assert await bench.call(device.differing) == 2
    left = chosen(memories(bench.graph), [flips[0], *lost, (plain.name, 3, 7)], bench.graph.digest)
    await bench.check(faults=left)
    assert await bench.call(device.restore) == 2
    await bench.check()


@cocotb.test()
async def words_with_errors_are_counted(dut):
    bench = Bench(dut)
    device = await bench.start()
    layer = bench.graph.weight_layers[0]
    secded = memories(bench.graph)[0]
    images, reads = len(bench.codes), layer.vectors  # every image reads every word for each of its pixels
    singles = [(secded.name, word, 5 * word % secded.bits) for word in range(3)]
    doubles = [(secded.name, 4, bit) for bit in (0, 70)]
    for flips, words in ((singles, (3, 0)), (doubles, (0, 1)), (singles + doubles, (3, 1)), ([], (0, 0))):
        faults = chosen(memories(bench.graph), flips, bench.graph.digest)
        await bench.call(device.inject, faults)
        await bench.call(device.clear)
        await bench.check(faults=faults)
        counts = (await bench.call(device.errors))[layer.name]
        assert (counts.corrected, counts.detected) == tuple(count * images * reads for count in words)
        await bench.call(device.restore)


@cocotb.test()
async def damaged_images_are_flagged_and_the_next_is_right(dut):
    bench = Bench(dut, stall=0.2)
    device = await bench.start()
    await bench.call(device.clear)
    expected, damaged, total = [], [], 0
    for _ in range(6):
        for image, beat in enumerate(bench.images(bench.codes)):
            kind = bench.rng.choice(["whole", "whole", "lost", "surplus"])
            codes = bench.codes[image : image + 1]
            if kind == "lost":
                at = bench.rng.randrange(len(beat) - 1)
                beat = beat[:at] + beat[at + 1 :]
                flat = bench.codes[image].reshape(-1, bench.input.lanes)
                codes = np.vstack([np.delete(flat, at, axis=0), 0 * flat[:1]]).reshape(codes.shape)
            elif kind == "surplus":
                at = bench.rng.randrange(len(beat) - 1)
                beat = beat[: at + 1] + beat[at:]
                flat = bench.codes[image].reshape(-1, bench.input.lanes)
                codes = np.insert(flat, at, flat[at], axis=0)[:-1].reshape(codes.shape)
            bench.s.send(beat)
            expected.append(codes)
            damaged.append(kind)
        total += len(bench.codes)
    flags = tuple(i for i, kind in enumerate(damaged) if kind != "whole")
    want = bench.results(bench.reference.run(np.concatenate(expected)), flags)
    got = await bench.collect(bench.m, total * bench.output.beats)
    certain = [~(2 << bench.width) if i % bench.output.beats != bench.output.beats - 1 else -1 for i in range(len(got))]
    assert [a & mask for a, mask in zip(got, certain, strict=True)] == want
    counters = await bench.call(device.counters)
    assert (counters.images, counters.early, counters.late) == (total, damaged.count("lost"), damaged.count("surplus"))
    assert await bench.call(device.read, "STATUS") == 6
    assert counters.early
    assert counters.late


@cocotb.test()
async def it_counts_and_stops(dut):
    bench = Bench(dut)
    device = await bench.start()
    await bench.call(device.clear)
    first = await bench.call(device.counters)
    start = bench.cycle
    await bench.check()
    counters = await bench.call(device.counters)
    assert counters.images == len(bench.codes)
    assert counters.in_stalls > 0
    assert counters.in_idle > 0
    assert counters.out_stalls == 0
    assert counters.cycles - first.cycles >= bench.cycle - start
    await bench.call(device.enable, False)
    bench.m.beats.clear()
    bench.s.send(beat for image in bench.images(bench.codes[:1]) for beat in image)
    await bench.step(1000)
    assert not bench.m.beats
    assert not await bench.call(lambda: device.busy)
    await bench.call(device.enable)
    assert await bench.collect(bench.m, bench.output.beats) == bench.results(bench.reference.run(bench.codes[:1]))


@cocotb.test()
async def what_nothing_has_is_refused(dut):
    from cocotbext.axi import AxiResp

    bench = Bench(dut)
    device = await bench.start()
    everything = (*device.addresses.regions, *device.addresses.errors)
    ends = {region.base + region.words * region.stride for region in everything}
    starts = {(r.base + w * r.stride, r.parts) for r in everything for w in range(r.words)}
    used = {start + 4 * part for start, parts in starts for part in range(parts)}
    nothing = sorted((ends | {device.addresses.inject - 4}) - used - {device.addresses.inject})
    assert nothing
    for address in nothing:
        assert (await bench.master.read(address, 4)).resp == AxiResp.DECERR
        assert (await bench.master.write(address, bytes(4))).resp == AxiResp.DECERR
    assert (await bench.master.write(0, bytes(4))).resp == AxiResp.SLVERR
    assert (await bench.master.read(0x40, 4)).resp == AxiResp.SLVERR
    assert (await bench.master.write(device.addresses.regions[0].base, bytes(2))).resp == AxiResp.SLVERR
    assert await bench.call(device.differing) == 0


@pytest.mark.parametrize("simulator", ["icarus", pytest.param("verilator", marks=pytest.mark.slow)])
def test_the_whole_design(simulator: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = network()
    project = tmp_path / "rtl"
    top = generate(graph, project, choose_reuse(graph))["top"]
    build = tmp_path / "build"
    build.mkdir()
    for image in project.glob("*.mem"):
        shutil.copy(image, build)
    monkeypatch.setenv("HWFLOW_TEST_PROJECT", str(project))
    run_tb(top, sorted(project.glob("*.sv")), {}, __name__, simulator, build)


class Memory:
    """A bus to a design that is not there."""

    def __init__(self, words: dict[int, int]) -> None:
        self.words = words

    def read32(self, address: int) -> int:
        return self.words.get(address, 0)

    def write32(self, address: int, value: int) -> None:
        self.words[address] = value


def identity(addresses: AddressMap) -> dict[int, int]:
    structure = int(addresses.structure, 16)
    return {0: 0x4857464C, 4: 0x10000, 8: structure & 0xFFFFFFFF, 12: structure >> 32, 24: 3}


def test_other_designs_are_refused(tmp_path: Path) -> None:
    graph = network()
    metadata = generate(graph, tmp_path / "rtl", choose_reuse(graph))
    words = identity(AddressMap.from_json(metadata["addresses"]))
    with pytest.raises(HwflowError, match="no RTL project with an address map"):
        Device(Memory(words), tmp_path, graph)
    with pytest.raises(HwflowError, match="no design by hwflow at this address"):
        Device(Memory({}), tmp_path / "rtl", graph)
    with pytest.raises(HwflowError, match="build the bitstream from this project"):
        Device(Memory(words | {8: 1}), tmp_path / "rtl", graph)
    bus = Memory(words)
    device = Device(bus, tmp_path / "rtl", graph)
    before = dict(bus.words)
    plain = Graph(tuple(replace(n, storage=CodeSpec("plain")) if isinstance(n, WeightLayer) else n for n in graph))
    with pytest.raises(HwflowError, match="another structure"):
        device.load(plain)
    with pytest.raises(HwflowError, match="other layers"):
        device.load(Graph(graph.nodes[:2], "cut"))
    assert bus.words == before
    bus.words[0x1C] = 1
    with pytest.raises(HwflowError, match="still inside"), device.paused(timeout=0):
        pass
    assert bus.words[24] == 3


def test_addresses_are_the_bus_of_the_retrained_network() -> None:
    graph = network()
    reuse = choose_reuse(graph)
    first, second = (address_map(g, build_netlist(g, reuse)) for g in (graph, retrained(graph)))
    assert first.structure == second.structure
    assert first.design != second.design
    assert AddressMap.from_json(first.to_json()) == first
    assert [region.layer for region in first.errors] == [graph.weight_layers[0].name]
    spans = sorted((region.base, region.base + region.span) for region in (*first.regions, *first.errors))
    assert spans[0][0] >= 0x100
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))
    assert spans[-1][1] <= first.inject
    other = dict(reuse)
    first_layer = graph.weight_layers[0]
    other[first_layer.name] = next(r for r in valid_reuse_factors(first_layer) if r != reuse[first_layer.name])
    assert address_map(graph, build_netlist(graph, other)).structure != first.structure


def test_the_documentation_lists_the_registers() -> None:
    lines = (ROOT / "docs" / "registers.md").read_text().splitlines()
    rows = [line for line in lines if line.startswith("| 0x")]
    assert rows == [
        f"| {r.offset:#04x} | {r.name} | {r.access}{', 64 bits' if r.words == 2 else ''} | {r.meaning} |"
        for r in REGISTERS
    ]


def test_the_c_header_has_the_addresses(tmp_path: Path) -> None:
    graph = network()
    addresses = address_map(graph, build_netlist(graph, choose_reuse(graph)))
    (tmp_path / "axi.h").write_text(render_c_header(addresses, "axi"))
    region = addresses.regions[0]
    checks = {"AXI_CTRL": 24, "AXI_DESIGN_HIGH": 20, "AXI_INJECT": addresses.inject}
    checks |= {"AXI_CONV1_WEIGHT_BASE": region.base, "AXI_CONV1_WEIGHT_BITS": region.width}
    checks |= {"AXI_STRUCTURE_VALUE": int(addresses.structure, 16)}
    lines = [f'_Static_assert({name} == {value:#x}, "{name}");' for name, value in checks.items()]
    (tmp_path / "axi.c").write_text("\n".join(['#include "axi.h"', '#include "axi.h"', *lines, ""]))
    subprocess.run(["gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-c", "axi.c"], cwd=tmp_path, check=True)
