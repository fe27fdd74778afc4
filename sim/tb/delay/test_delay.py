"""hwflow_delay: words come out STAGES enabled cycles later."""

import random

import cocotb
import pytest
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, Timer
from common import parameters, rtl, run_tb

P = parameters()


@cocotb.test()
@cocotb.parametrize(enabled=[1.0, 0.5])
async def words_come_late(dut, enabled):
    Clock(dut.clk_i, 10, unit="ns").start(start_high=False)
    rng = random.Random(cocotb.RANDOM_SEED)
    line = [None] * P["STAGES"]
    await FallingEdge(dut.clk_i)
    for _ in range(200):
        en, word = rng.random() < enabled, rng.getrandbits(P["WIDTH"])
        dut.en_i.value, dut.data_i.value = int(en), word
        await Timer(1, unit="ns")
        expected = line[0] if line else word
        assert expected is None or int(dut.data_o.value) == expected
        await FallingEdge(dut.clk_i)
        if en and line:
            line = [*line[1:], word]


@pytest.mark.parametrize(
    ("width", "stages", "simulator"), [(8, 0, "icarus"), (1, 1, "icarus"), (40, 3, "icarus"), (9, 2, "verilator")]
)
def test_delay(tmp_path, width, stages, simulator):
    p = {"WIDTH": width, "STAGES": stages}
    run_tb("hwflow_delay", rtl("delay"), p, __name__, simulator, tmp_path)
