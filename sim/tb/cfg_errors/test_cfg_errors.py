"""hwflow_cfg_errors: counts flags, is read and written, passes what is not its own."""

import random

import cocotb
import pytest
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge
from common import parameters, rtl, run_tb
from ring import ANSWER, READ, WRITE, XOR, Ring

P = parameters()


class Counters:
    def __init__(self, dut):
        self.dut, self.rng = dut, random.Random(cocotb.RANDOM_SEED)
        self.counts, self.active = [0, 0], False
        self.ring = Ring(dut, P["ADDR_W"], self.step)
        Clock(dut.clk_i, 10, unit="ns").start(start_high=False)

    async def step(self):
        flags = [self.rng.getrandbits(P["FLAGS"]) if self.active else 0 for _ in range(2)]
        self.dut.corrected_i.value, self.dut.uncorrectable_i.value = flags
        await FallingEdge(self.dut.clk_i)
        self.counts = [count + flag.bit_count() for count, flag in zip(self.counts, flags, strict=True)]

    async def run(self, cycles):
        self.active = True
        for _ in range(cycles):
            await self.step()
        self.active = False
        for _ in range(3):
            await self.step()

    async def start(self):
        self.dut.rst_ni.value = 0
        for _ in range(3):
            await self.step()
        self.dut.rst_ni.value = 1


@cocotb.test()
async def counts(dut):
    counters = Counters(dut)
    await counters.start()
    for _ in range(4):
        await counters.run(40)
        assert [await counters.ring.read(P["BASE"] + i) for i in range(2)] == counters.counts
    await counters.ring.write(P["BASE"], 0)
    assert [await counters.ring.read(P["BASE"] + i) for i in range(2)] == [0, counters.counts[1]]
    await counters.ring.write(P["BASE"] + 1, 0xFFFFFFFF)
    counters.counts = [0, 0xFFFFFFFF]
    await counters.run(10)
    assert [await counters.ring.read(P["BASE"] + i) for i in range(2)] == [c & 0xFFFFFFFF for c in counters.counts]


@cocotb.test()
async def refuses_and_passes(dut):
    counters = Counters(dut)
    await counters.start()
    for address in (P["BASE"], P["BASE"] + 1):
        assert await counters.ring.send(XOR, address, 5) == ((ANSWER, 1, 0), 1)
        assert await counters.ring.send(ANSWER, address, 5) == ((ANSWER, address, 5), 1)
    for address in (P["BASE"] - 1, P["BASE"] + 2, 0):
        for op in (READ, WRITE, XOR):
            assert await counters.ring.send(op, address, 5) == ((op, address, 5), 1)


@pytest.mark.parametrize(("flags", "base", "simulator"), [(1, 66, "icarus"), (7, 128, "icarus"), (4, 64, "verilator")])
def test_cfg_errors(tmp_path, flags, base, simulator):
    p = {"ADDR_W": 9, "FLAGS": flags, "BASE": base}
    run_tb("hwflow_cfg_errors", rtl("cfg_errors"), p, __name__, simulator, tmp_path)
