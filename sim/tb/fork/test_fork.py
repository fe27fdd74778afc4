"""hwflow_fork: every output gets every beat once, and none waits for another within a beat."""

from pathlib import Path

import cocotb
import pytest
from common import TB, gaps, parameters, rtl, run_tb

P = parameters()


async def run(tb: TB, count: int, stalls: tuple[float, float, float]) -> tuple:
    source = tb.source("s")
    sinks = [tb.sink(f"m{i}", stall) for i, stall in enumerate(stalls)]
    await tb.reset()
    beats = [tb.rng.getrandbits(P["WIDTH"]) for _ in range(count)]
    source.send(beats)
    for sink in sinks:
        assert await tb.collect(sink, count) == beats
    return source, sinks


@cocotb.test()
async def all_outputs_get_all_beats(dut):
    await run(TB(dut, stall=0.3), 300, (0.0, 0.3, 0.6))


@cocotb.test()
async def one_beat_a_cycle(dut):
    source, sinks = await run(TB(dut), 100, (0.0, 0.0, 0.0))
    for sink in sinks:
        assert set(gaps(sink.cycles)) == {1}
        assert sink.cycles == source.cycles


@cocotb.test()
async def a_ready_output_does_not_wait(dut):
    tb = TB(dut)
    source, sinks = tb.source("s"), [tb.sink("m0"), tb.sink("m1", stall=1.0), tb.sink("m2")]
    await tb.reset()
    source.send([1, 0, 1])
    await tb.step(10)
    assert [sink.beats for sink in sinks] == [[1], [], [1]]
    assert not source.cycles


@pytest.mark.parametrize(("width", "simulator"), [(8, "icarus"), (70, "icarus"), (16, "verilator")])
def test_fork(tmp_path, width, simulator):
    sources = [*rtl("fork"), Path(__file__).with_name("fork_pins.sv")]
    run_tb("fork_pins", sources, {"WIDTH": width}, __name__, simulator, tmp_path)
