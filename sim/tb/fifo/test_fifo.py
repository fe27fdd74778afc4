"""hwflow_fifo: order, capacity, throughput."""

import cocotb
import pytest
from common import TB, gaps, parameters, rtl, run_tb

from hwflow.rtl.timing import timing

P = parameters()
# As the cycle model has it, of block RAM and of LUTs.
HELD = timing("hwflow_fifo", {"WIDTH": 33, "DEPTH": 40 if P.get("BLOCK") else 4})


@cocotb.test()
async def beats_come_out_in_order(dut):
    tb = TB(dut, stall=0.4)
    source, sink = tb.source("s"), tb.sink("m")
    await tb.reset()
    beats = [tb.rng.getrandbits(P["WIDTH"]) for _ in range(300)]
    source.send(beats)
    assert await tb.collect(sink, len(beats)) == beats


@cocotb.test()
async def full_throughput(dut):
    tb = TB(dut)
    source, sink = tb.source("s"), tb.sink("m")
    await tb.reset()
    beats = [tb.rng.getrandbits(P["WIDTH"]) for _ in range(100)]
    source.send(beats)
    assert await tb.collect(sink, len(beats)) == beats
    assert max(gaps(sink.cycles)) == (2 if P["DEPTH"] == 1 else 1)
    assert sink.cycles[0] - source.cycles[0] == HELD.latency


@cocotb.test()
async def holds_depth_beats_and_what_is_behind(dut):
    tb = TB(dut)
    source, sink = tb.source("s"), tb.sink("m", stall=1.0)
    await tb.reset()
    source.send([tb.rng.getrandbits(P["WIDTH"]) for _ in range(P["DEPTH"] + 12)])
    await tb.step(P["DEPTH"] * 2 + 20)
    assert len(source.cycles) == P["DEPTH"] + HELD.capacity
    assert not sink.beats


@cocotb.test()
async def reset_empties_it(dut):
    tb = TB(dut)
    source, sink = tb.source("s"), tb.sink("m")
    await tb.reset()
    source.send([1] * (P["DEPTH"] + 5))
    await tb.step(2 + P["DEPTH"] // 2)
    await tb.reset()
    sink.beats.clear()
    beats = [(1 << P["WIDTH"]) - 1, 0, 1]
    source.send(beats)
    assert await tb.collect(sink, len(beats)) == beats


@pytest.mark.parametrize(
    ("width", "depth", "block", "simulator"),
    [(8, 1, 0, "icarus"), (1, 2, 0, "icarus"), (7, 3, 0, "icarus"), (64, 8, 0, "icarus"), (33, 100, 1, "icarus"),
     (8, 100, 0, "icarus"), (16, 5, 0, "verilator"), (16, 5, 0, "yosys"), (7, 1, 1, "icarus"), (7, 2, 1, "icarus"),
     (7, 3, 1, "verilator"), (7, 3, 1, "yosys")],
)  # fmt: skip
def test_fifo(tmp_path, width, depth, block, simulator):
    p = {"WIDTH": width, "DEPTH": depth, "BLOCK": block}
    run_tb("hwflow_fifo", rtl("fifo", "ram"), p, __name__, simulator, tmp_path)


def test_deep_and_wide_is_block_ram(tmp_path):
    run_tb(
        "hwflow_fifo", rtl("fifo", "ram"), {"WIDTH": 33, "DEPTH": 40}, __name__, "icarus", tmp_path, extra={"BLOCK": 1}
    )
