"""hwflow_control: its registers, against a model of what was counted."""

import random

import cocotb
import pytest
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge
from common import parameters, rtl, run_tb
from ring import ANSWER, READ, WRITE, XOR, Ring

P = parameters()
STRUCTURE, DESIGN = 0x0123456789ABCDEF, 0xFEDCBA9876543210
CTRL, STATUS, COUNTERS = 6, 7, range(10, 16)
EVENTS = ("early_i", "late_i", "s_tvalid", "s_tready", "m_tvalid", "m_tready", "m_tlast")


class Control:
    def __init__(self, dut):
        self.dut, self.rng = dut, random.Random(cocotb.RANDOM_SEED)
        self.ring = Ring(dut, P["ADDR_W"], self.step)
        self.counts, self.cycles, self.active = [0] * 6, 0, False
        Clock(dut.clk_i, 10, unit="ns").start(start_high=False)

    async def step(self):
        event = {name: int(self.active and self.rng.random() < 0.5) for name in EVENTS}
        for name, value in event.items():
            getattr(self.dut, name).value = value
        await FallingEdge(self.dut.clk_i)
        self.cycles += 1
        if self.active:
            out = event["m_tvalid"], event["m_tready"], event["m_tlast"]
            happened = (
                all(out), event["early_i"], event["late_i"], event["s_tvalid"] > event["s_tready"],
                event["s_tvalid"] < event["s_tready"], out[0] > out[1],
            )  # fmt: skip
            self.counts = [count + int(now) for count, now in zip(self.counts, happened, strict=True)]

    async def start(self):
        self.dut.rst_ni.value, self.dut.busy_i.value = 0, 0
        for _ in range(3):
            await self.step()
        self.dut.rst_ni.value = 1
        await self.step()

    async def run(self, cycles):
        self.active = True
        for _ in range(cycles):
            await self.step()
        self.active = False
        for _ in range(3):
            await self.step()

    async def counters(self):
        return [await self.ring.read(index) for index in COUNTERS]


@cocotb.test()
async def says_what_it_is(dut):
    control = Control(dut)
    await control.start()
    assert [await control.ring.read(index) for index in (0, 1, 2, 3)] == [
        0x4857464C, 0x10000, STRUCTURE & 0xFFFFFFFF, STRUCTURE >> 32,
    ]  # fmt: skip
    assert [await control.ring.read(index) for index in (4, 5)] == [DESIGN & 0xFFFFFFFF, DESIGN >> 32]
    await control.ring.write(4, 17)
    await control.ring.write(5, 18)
    await control.start()  # a reset leaves the name of what the memories hold
    assert [await control.ring.read(index) for index in (4, 5)] == [17, 18]
    await control.ring.write(4, DESIGN & 0xFFFFFFFF)
    await control.ring.write(5, DESIGN >> 32)


@cocotb.test()
async def no_image_begins_without_a_design(dut):
    control = Control(dut)
    await control.start()
    await control.ring.write(CTRL, 3)
    for high, low in ((0, 0), (0, 1), (0, 0), (1 << 31, 0), (0, 0)):
        await control.ring.write(5, high)
        await control.ring.write(4, low)
        await control.step()
        await control.step()
        empty = not (high or low)
        assert int(dut.enable_o.value) == (not empty)
        assert await control.ring.read(STATUS) == 8 * empty
        assert await control.ring.read(CTRL) == 3
    await control.ring.write(STATUS, 0xFFFFFFFF)
    await control.start()  # neither that nor a reset is a load
    assert await control.ring.read(STATUS) == 8
    assert int(dut.enable_o.value) == 0
    await control.ring.write(4, DESIGN & 0xFFFFFFFF)
    await control.ring.write(5, DESIGN >> 32)


@cocotb.test()
async def counts(dut):
    control = Control(dut)
    await control.start()
    for _ in range(3):
        await control.run(50)
        assert await control.counters() == control.counts
    assert await control.ring.read(STATUS) == 6
    await control.ring.write(STATUS, 2)
    assert await control.ring.read(STATUS) == 4
    await control.ring.write(STATUS, 4)
    assert await control.ring.read(STATUS) == 0
    dut.busy_i.value = 1
    await control.step()
    assert await control.ring.read(STATUS) == 1
    await control.ring.write(CTRL, 7 if P["TLAST"] else 5)
    await control.step()
    assert await control.counters() == [0] * 6
    first, at = await control.ring.read(8), control.cycles
    assert await control.ring.read(8) - first == control.cycles - at
    assert await control.ring.read(9) == 0


@cocotb.test()
async def cycles_carry(dut):
    control = Control(dut)
    await control.start()
    dut.cycles_low_reg.value = 0xFFFFFFF0
    for _ in range(20):
        await control.step()
    assert await control.ring.read(9) == 1
    assert await control.ring.read(8) < 20


@cocotb.test()
async def controls(dut):
    control = Control(dut)
    await control.start()
    assert (int(dut.enable_o.value), int(dut.check_o.value)) == (1, P["TLAST"])
    for value in (0, 1, 2, 3):
        await control.ring.write(CTRL, value)
        await control.step()
        assert (int(dut.enable_o.value), int(dut.check_o.value)) == (value & 1, value >> 1)
        assert await control.ring.read(CTRL) == value


@cocotb.test()
async def refuses_and_passes(dut):
    control = Control(dut)
    await control.start()
    for address in range(64):
        for op in (READ, WRITE, XOR):
            if (op == WRITE and address in (4, 5, CTRL, STATUS)) or (op == READ and address < 16):
                continue
            assert await control.ring.send(op, address, 99) == ((ANSWER, 1, 0), 2)
    for address in (64, 100, (1 << P["ADDR_W"]) - 1):
        for op in (READ, WRITE, XOR, ANSWER):
            assert await control.ring.send(op, address, 99) == ((op, address, 99), 2)


@pytest.mark.parametrize(("address_bits", "tlast", "simulator"), [(7, 1, "icarus"), (12, 0, "verilator")])
def test_control(tmp_path, address_bits, tlast, simulator):
    p = {
        "ADDR_W": address_bits, "TLAST": tlast, "STRUCTURE": f"64'h{STRUCTURE:x}", "DESIGN": f"64'h{DESIGN:x}",
    }  # fmt: skip
    run_tb("hwflow_control", rtl("control"), p, __name__, simulator, tmp_path)
