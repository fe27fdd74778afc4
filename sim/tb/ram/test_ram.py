"""hwflow_ram: equals a model in block RAM and in LUTs."""

import random

import cocotb
import pytest
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge
from common import parameters, rtl, run_tb

P = parameters()


@cocotb.test()
async def equals_the_model(dut):
    Clock(dut.clk_i, 10, unit="ns").start(start_high=False)
    await FallingEdge(dut.clk_i)
    rng, model, shown = random.Random(cocotb.RANDOM_SEED), {}, None
    for _ in range(500):
        write, read = rng.random() < 0.6, rng.random() < 0.6
        address, word = rng.randrange(P["DEPTH"]), rng.getrandbits(P["WIDTH"])
        wanted = rng.randrange(P["DEPTH"])
        dut.write_en_i.value, dut.write_addr_i.value, dut.write_data_i.value = int(write), address, word
        dut.read_en_i.value, dut.read_addr_i.value = int(read), wanted
        await FallingEdge(dut.clk_i)
        if read:
            shown = None if write and wanted == address else model.get(wanted)
        if write:
            model[address] = word
        assert shown is None or int(dut.read_data_o.value) == shown


@pytest.mark.parametrize(
    ("width", "depth", "simulator"), [(8, 4, "icarus"), (1, 1, "icarus"), (40, 33, "icarus"), (40, 33, "verilator")]
)
def test_ram(tmp_path, width, depth, simulator):
    run_tb("hwflow_ram", rtl("ram"), {"WIDTH": width, "DEPTH": depth}, __name__, simulator, tmp_path)
