"""hwflow_source: sends the beats of a file, with as many pauses as asked for."""

import random

import cocotb
import pytest
from common import SIM_DIR, TB, gaps, parameters, run_tb

P = parameters()


async def send(tb: TB, count: int, stall_percent: int, sink_stall: float = 0.0):
    """Send the first `count` beats and compare them with the file; the sink that they went to."""
    tb.dut.start_i.value = 0
    tb.dut.count_i.value = count
    tb.dut.stall_percent_i.value = stall_percent
    tb.dut.seed_i.value = 7
    sink = tb.sink("m", sink_stall)
    await tb.reset()
    await tb.step(10)
    assert tb.dut.m_tvalid.value == 0, "sends before the start"
    assert tb.dut.started_o.value == 0
    tb.dut.start_i.value = 1
    assert await tb.collect(sink, count) == P["image"][:count]
    assert tb.dut.started_o.value == 1
    return sink


@cocotb.test()
async def sends_the_file(dut):
    await send(TB(dut), P["DEPTH"], 30, sink_stall=0.4)


@cocotb.test()
async def sends_a_part_of_it_without_pauses(dut):
    sink = await send(TB(dut), P["DEPTH"] // 2, 0)
    assert set(gaps(sink.cycles)) == {1}


@cocotb.test()
async def pauses_as_often_as_asked(dut):
    sink = await send(TB(dut), P["DEPTH"], 40)
    assert 0.5 < P["DEPTH"] / (sink.cycles[-1] - sink.cycles[0] + 1) < 0.7


@pytest.mark.parametrize(("width", "simulator"), [(16, "icarus"), (100, "icarus"), (7, "verilator")])
def test_source(tmp_path, width, simulator):
    rng = random.Random(width)
    p = {"WIDTH": width, "DEPTH": 300, "DATA_FILE": '"beats.mem"'}
    image = [rng.getrandbits(width) for _ in range(p["DEPTH"])]
    (tmp_path / "beats.mem").write_text("".join(f"{beat:x}\n" for beat in image))
    sources = [SIM_DIR / "hwflow_pause.sv", SIM_DIR / "hwflow_source.sv"]
    run_tb("hwflow_source", sources, p, __name__, simulator, tmp_path, extra={"image": image})
