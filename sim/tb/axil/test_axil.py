"""hwflow_axil: accesses by an AXI4-Lite master that pauses at random, with a model of the ring behind the slave."""

import random
from itertools import cycle

import cocotb
import pytest
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge, with_timeout
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiResp
from common import parameters, rtl, run_tb
from ring import ANSWER, DECERR, OKAY, READ, SLVERR, XOR, fields, message

P = parameters()
WORDS, REFUSED = 40, 7  # words of the model, one of which may not be accessed
ALIAS = 4 << P.get("ADDR_W", 0)


class Bench:
    """The slave, a master unless the test is one, and a ring with some words in it."""

    def __init__(self, dut, stall=0.0, master=True):
        self.dut, self.rng = dut, random.Random(cocotb.RANDOM_SEED)
        self.words = [self.rng.getrandbits(32) for _ in range(WORDS)]
        dut.rst_ni.value, dut.cfg_i.value = 0, 0
        Clock(dut.clk_i, 10, unit="ns").start()
        if master:
            self.attach(stall)
        else:
            for name in ("awvalid", "wvalid", "arvalid"):
                getattr(dut, f"s_axil_{name}").value = 0
        cocotb.start_soon(self.ring())

    def attach(self, stall):
        dut = self.dut
        self.master = AxiLiteMaster(
            AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk_i, dut.rst_ni, reset_active_level=False
        )
        self.master.write_if.log.disabled = self.master.read_if.log.disabled = True
        if stall:
            write, read = self.master.write_if, self.master.read_if
            for channel in (write.aw_channel, write.w_channel, write.b_channel, read.ar_channel, read.r_channel):
                channel.set_pause_generator(cycle([self.rng.random() < stall for _ in range(101)]))

    async def start(self):
        await ClockCycles(self.dut.clk_i, 3)
        self.dut.rst_ni.value = 1
        await ClockCycles(self.dut.clk_i, 2)

    async def ring(self):
        while True:
            await FallingEdge(self.dut.clk_i)
            out = fields(self.dut.cfg_o, P["ADDR_W"]) if self.dut.rst_ni.value else None
            self.dut.cfg_i.value = 0
            if out is None:
                continue
            op, address, data = out
            for _ in range(self.rng.choice([0, 1, 5])):
                await FallingEdge(self.dut.clk_i)
                assert fields(self.dut.cfg_o, P["ADDR_W"]) is None, "two messages at a time"
            if address < WORDS:
                before = self.words[address]
                if address == REFUSED:
                    op, address, data = ANSWER, 1, 0
                else:
                    self.words[address] = before if op == READ else before ^ data if op == XOR else data
                    op, address, data = ANSWER, 0, before
            self.dut.cfg_i.value = message(op, address, data, P["ADDR_W"])

    def response(self, index):
        return AxiResp(SLVERR if index == REFUSED else OKAY if index < WORDS else DECERR)


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.5])
async def accesses_equal_the_model(dut, stall):
    bench = Bench(dut, stall)
    await bench.start()
    model = list(bench.words)
    for _ in range(80):
        index = bench.rng.choice([REFUSED, WORDS, *range(WORDS)])
        kind, data = bench.rng.choice(["read", "write", "xor"]), bench.rng.getrandbits(32)
        if kind == "read":
            got = await bench.master.read(4 * index, 4)
            assert got.resp == bench.response(index)
            if index < WORDS and index != REFUSED:
                assert int.from_bytes(got.data, "little") == model[index]
        else:
            offset = ALIAS if kind == "xor" else 0
            got = await bench.master.write(offset + 4 * index, data.to_bytes(4, "little"))
            assert got.resp == bench.response(index)
            if index < WORDS and index != REFUSED:
                model[index] = model[index] ^ data if kind == "xor" else data
        assert bench.words == model


@cocotb.test()
async def reads_and_writes_at_a_time_take_turns(dut):
    bench = Bench(dut)
    await bench.start()
    writes = [cocotb.start_soon(bench.master.write(4 * i, bytes([i] * 4))) for i in range(8, 20)]
    reads = [cocotb.start_soon(bench.master.read(4 * i, 4)) for i in range(20, 32)]
    for i, task in enumerate(reads):
        assert int.from_bytes((await task).data, "little") == bench.words[20 + i]
    for task in writes:
        assert (await task).resp == AxiResp.OKAY
    assert bench.words[8:20] == [i * 0x01010101 for i in range(8, 20)]


@cocotb.test()
async def parts_of_words_are_refused(dut):
    bench = Bench(dut)
    await bench.start()
    before = list(bench.words)
    for address, length in ((0, 1), (4, 2), (6, 2), (9, 3)):
        assert (await bench.master.write(address, bytes([170] * length))).resp == AxiResp.SLVERR
    assert bench.words == before


@cocotb.test()
async def misaligned_addresses_are_refused(dut):
    bench = Bench(dut, master=False)
    await bench.start()
    before = list(bench.words)
    dut.s_axil_bready.value = dut.s_axil_rready.value = 1
    for address in (1, 2, 3, 4 * WORDS + 2):
        for strobe in (15, 0):
            dut.s_axil_awaddr.value, dut.s_axil_wdata.value, dut.s_axil_wstrb.value = address, 123, strobe
            dut.s_axil_awvalid.value = dut.s_axil_wvalid.value = 1
            await RisingEdge(dut.clk_i)
            dut.s_axil_awvalid.value = dut.s_axil_wvalid.value = 0
            await with_timeout(RisingEdge(dut.s_axil_bvalid), 500, "ns")
            await FallingEdge(dut.clk_i)
            assert int(dut.s_axil_bresp.value) == SLVERR
            await ClockCycles(dut.clk_i, 3)
        dut.s_axil_araddr.value, dut.s_axil_arvalid.value = address, 1
        await RisingEdge(dut.clk_i)
        dut.s_axil_arvalid.value = 0
        await with_timeout(RisingEdge(dut.s_axil_rvalid), 500, "ns")
        await FallingEdge(dut.clk_i)
        assert int(dut.s_axil_rresp.value) == SLVERR
        await ClockCycles(dut.clk_i, 3)
    assert bench.words == before


@cocotb.test()
async def a_write_of_nothing_is_one(dut):
    bench = Bench(dut, master=False)
    await bench.start()
    before = list(bench.words)
    dut.s_axil_bready.value = 1
    dut.s_axil_awaddr.value, dut.s_axil_wdata.value, dut.s_axil_wstrb.value = 8, 123, 0
    dut.s_axil_awvalid.value = dut.s_axil_wvalid.value = 1
    await RisingEdge(dut.clk_i)
    dut.s_axil_awvalid.value = dut.s_axil_wvalid.value = 0
    await with_timeout(RisingEdge(dut.s_axil_bvalid), 500, "ns")
    await FallingEdge(dut.clk_i)
    assert int(dut.s_axil_bresp.value) == OKAY
    assert bench.words == before


@pytest.mark.parametrize(("address_bits", "simulator"), [(10, "icarus"), (21, "verilator")])
def test_axil(tmp_path, address_bits, simulator):
    run_tb("hwflow_axil", rtl("axil"), {"ADDR_W": address_bits}, __name__, simulator, tmp_path)
