"""hwflow_catch behind a pipeline: no result is lost, and the depth that its header names keeps the pipeline full."""

from collections import deque

import cocotb
import pytest
from common import TB, gaps, parameters, rtl, run_tb

P = parameters()


class Pipeline:
    """Begins a result every INTERVAL cycles, or later, if there is room; it arrives LATENCY cycles later."""

    def __init__(self, dut, tb, stall):
        self.dut, self.tb, self.stall = dut, tb, stall
        self.idle()

    def idle(self):
        self.begun, self.wait = [], 0
        self.line = deque([None] * P["LATENCY"])
        self.dut.begin_i.value = self.dut.valid_i.value = 0

    async def step(self):
        """One cycle; what the module shows after the edge before decides."""
        await self.tb.step()
        await cocotb.triggers.Timer(1, unit="ns")
        self.wait = max(0, self.wait - 1)
        begins = bool(int(self.dut.room_o.value)) and not self.wait and self.tb.rng.random() >= self.stall
        arrived = self.line.popleft()
        self.line.append(self.tb.rng.getrandbits(P["WIDTH"]) if begins else None)
        if begins:
            self.begun.append(self.line[-1])
            self.wait = P["INTERVAL"]
        self.dut.begin_i.value = int(begins)
        self.dut.valid_i.value = int(arrived is not None)
        self.dut.data_i.value = self.tb.rng.getrandbits(P["WIDTH"]) if arrived is None else arrived


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.5], sink_stall=[0.0, 0.3, 0.8])
async def no_result_is_lost(dut, stall, sink_stall):
    tb = TB(dut)
    pipeline, sink = Pipeline(dut, tb, stall), tb.sink("m", sink_stall)
    await tb.reset()
    for _ in range(300 + 20 * P["INTERVAL"]):
        await pipeline.step()
    assert len(sink.beats) >= 8
    assert sink.beats == pipeline.begun[: len(sink.beats)]
    assert len(pipeline.begun) - len(sink.beats) <= P["DEPTH"]


@cocotb.test()
async def the_pipeline_stays_full(dut):
    tb = TB(dut)
    pipeline, sink = Pipeline(dut, tb, 0.0), tb.sink("m")
    await tb.reset()
    for _ in range(40 * P["INTERVAL"] + P["LATENCY"]):
        await pipeline.step()
    assert set(gaps(sink.cycles)) == {P["INTERVAL"]}


@cocotb.test()
async def a_full_one_stops_the_pipeline(dut):
    tb = TB(dut)
    pipeline = Pipeline(dut, tb, 0.0)
    dut.m_tready.value = 0
    await tb.reset()
    for _ in range((P["DEPTH"] + 3) * P["INTERVAL"] + P["LATENCY"]):
        await pipeline.step()
    assert len(pipeline.begun) == P["DEPTH"]
    pipeline.stall = 1.0
    sink = tb.sink("m")
    for _ in range(P["DEPTH"] + P["LATENCY"] + 5):
        await pipeline.step()
    assert sink.beats == pipeline.begun


@cocotb.test()
async def reset_gives_all_room_back(dut):
    tb = TB(dut)
    pipeline = Pipeline(dut, tb, 0.0)
    dut.m_tready.value = 0
    await tb.reset()
    for _ in range(P["INTERVAL"] * 3 + 1):
        await pipeline.step()
    pipeline.idle()
    await tb.reset()
    for _ in range((P["DEPTH"] + 3) * P["INTERVAL"] + P["LATENCY"]):
        await pipeline.step()
    assert len(pipeline.begun) == P["DEPTH"]


@pytest.mark.parametrize(
    ("width", "latency", "interval", "simulator"),
    [(8, 7, 1, "icarus"), (1, 1, 1, "icarus"), (20, 9, 4, "icarus"), (5, 3, 30, "icarus"), (8, 7, 2, "verilator")],
)
def test_catch(tmp_path, width, latency, interval, simulator):
    p = {"WIDTH": width, "DEPTH": -(-(latency + 4) // interval)}
    extra = {"LATENCY": latency, "INTERVAL": interval}
    run_tb("hwflow_catch", rtl("catch", "fifo", "ram"), p, __name__, simulator, tmp_path, extra=extra)
