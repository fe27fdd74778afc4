"""hwflow_cfg_mem: 32-bit accesses of a memory of wide words against a model; foreign addresses pass."""

import random

import cocotb
import pytest
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge
from common import parameters, rtl, run_tb
from ring import ANSWER, READ, WRITE, XOR, Ring

P = parameters()


class Memory:
    """The cell, the memory at its port, and what that must hold.

    It has ``P["LATE"]`` registers before it, but none for the data of a write, and as many behind it.
    """

    def __init__(self, dut, wait=0.0):
        self.dut, self.rng = dut, random.Random(cocotb.RANDOM_SEED)
        self.wait, self.waited = wait, 0
        self.taken, self.read = [None] * P["LATE"], [None] * P["LATE"]
        self.words = [self.rng.getrandbits(P["WIDTH"]) for _ in range(P["DEPTH"])]
        self.model = list(self.words)
        self.slices = -(-P["WIDTH"] // 32)
        self.stride = 1 << (self.slices - 1).bit_length()
        self.ring = Ring(dut, P["ADDR_W"], self.step)
        Clock(dut.clk_i, 10, unit="ns").start(start_high=False)

    async def step(self):
        dut = self.dut
        enable, write = (dut.rst_ni.value == 1 and pin.value == 1 for pin in (dut.mem_en_o, dut.mem_we_o))
        wait = self.rng.random() < self.wait  # of no meaning but while it writes
        dut.mem_wait_i.value = int(wait)
        waits = write and wait
        self.waited += waits
        self.taken.append((int(dut.mem_addr_o.value), write) if enable and not waits else None)
        access, data = self.taken.pop(0), dut.mem_wdata_o.value
        await FallingEdge(dut.clk_i)
        address, write = access or (None, False)
        self.read.append(None if address is None else self.words[address])
        if (word := self.read.pop(0)) is not None:
            dut.mem_rdata_i.value = word
        if write:
            self.words[address] = int(data)

    async def start(self):
        self.dut.rst_ni.value = 0
        self.dut.mem_rdata_i.value = self.dut.mem_wait_i.value = 0
        for _ in range(3):
            await FallingEdge(self.dut.clk_i)
        self.dut.rst_ni.value = 1

    def address(self, word, part):
        return P["BASE"] + word * self.stride + part

    def part(self, word, part):
        return self.model[word] >> 32 * part & 0xFFFFFFFF

    def change(self, word, part, data, op):
        before = self.part(word, part)
        after = (before ^ data if op == XOR else data) & (1 << P["WIDTH"] - 32 * part) - 1
        self.model[word] ^= (before ^ after) << 32 * part


@cocotb.test()
@cocotb.parametrize(wait=[0.0, 0.6])
async def accesses_equal_the_model(dut, wait):
    """A write that has to wait takes as many cycles longer."""
    memory = Memory(dut, wait)
    await memory.start()
    for _ in range(200):
        word, part = memory.rng.randrange(P["DEPTH"]), memory.rng.randrange(memory.slices)
        op, data = memory.rng.choice([READ, WRITE, XOR]), memory.rng.getrandbits(32)
        before = memory.waited
        (answer, flags, value), cycles = await memory.ring.send(op, memory.address(word, part), data)
        assert (answer, flags, cycles) == (ANSWER, 0, 8 + memory.waited - before)
        if op == READ:
            assert value == memory.part(word, part)
        else:
            memory.change(word, part, data, op)
        assert memory.words == memory.model
        for _ in range(memory.rng.choice([0, 0, 1, 7])):
            await memory.step()


@cocotb.test()
async def every_word_is_at_its_address(dut):
    memory = Memory(dut)
    await memory.start()
    for word in range(P["DEPTH"]):
        for part in range(memory.slices):
            assert await memory.ring.read(memory.address(word, part)) == memory.part(word, part)


@cocotb.test()
async def other_addresses_and_answers_pass(dut):
    memory = Memory(dut)
    await memory.start()
    span = (1 << (P["DEPTH"] - 1).bit_length()) * memory.stride
    mine = {memory.address(word, part) for word in range(P["DEPTH"]) for part in range(memory.slices)}
    places = {*range(max(0, P["BASE"] - 3), P["BASE"] + span + 3), 0, (1 << P["ADDR_W"]) - 1}
    for address in sorted(places - mine):
        for op in (READ, WRITE, XOR):
            assert await memory.ring.send(op, address, 123) == ((op, address, 123), 1)
    assert await memory.ring.send(ANSWER, P["BASE"], 123) == ((ANSWER, P["BASE"], 123), 1)
    assert memory.words == memory.model


@pytest.mark.parametrize(
    ("width", "depth", "base", "late", "simulator"),
    [
        (72, 12, 64, 1, "icarus"), (8, 16, 16, 0, "icarus"), (32, 1, 5, 1, "icarus"), (33, 1, 6, 0, "icarus"),
        (130, 7, 128, 1, "verilator"),
    ],
)  # fmt: skip
def test_cfg_mem(tmp_path, width, depth, base, late, simulator):
    p = {"ADDR_W": 9, "WIDTH": width, "DEPTH": depth, "BASE": base}
    run_tb("hwflow_cfg_mem", rtl("cfg_mem"), p, __name__, simulator, tmp_path, extra={"LATE": late})
