"""hwflow_fifo: order, capacity, throughput."""

import cocotb
import pytest
from common import TB, gaps, parameters, rtl, run_tb

P = parameters()


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
    period = 2 if P["DEPTH"] == 1 else 1
    assert max(gaps(sink.cycles)) <= period
    assert sink.cycles[0] - source.cycles[0] == 2 + P["block"]


@cocotb.test()
async def holds_depth_beats_and_its_registers(dut):
    tb = TB(dut)
    source, sink = tb.source("s"), tb.sink("m", stall=1.0)
    await tb.reset()
    source.send([tb.rng.getrandbits(P["WIDTH"]) for _ in range(P["DEPTH"] + 5)])
    await tb.step(P["DEPTH"] * 2 + 20)
    assert len(source.cycles) == P["DEPTH"] + 1 + P["block"]
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
    ("width", "depth", "simulator"),
    [(8, 1, "icarus"), (1, 2, "icarus"), (7, 3, "icarus"), (64, 8, "icarus"), (33, 100, "icarus"), (8, 100, "icarus"),
     (16, 5, "verilator"), (16, 5, "yosys")],
)  # fmt: skip
def test_fifo(tmp_path, width, depth, simulator):
    p, extra = {"WIDTH": width, "DEPTH": depth}, {"block": int(depth > 32 and width * depth > 1024)}
    run_tb("hwflow_fifo", rtl("fifo", "ram"), p, __name__, simulator, tmp_path, extra=extra)
