"""hwflow_slice: order under stalls, full throughput, two beats of room, nothing combinational."""

import cocotb
import pytest
from cocotb.triggers import Timer
from common import TB, gaps, parameters, rtl, run_tb

P = parameters()


async def start(tb):
    source, sink = tb.source("s"), tb.sink("m")
    await tb.reset()
    return source, sink


def beats(tb, count):
    return [tb.rng.getrandbits(P["WIDTH"]) for _ in range(count)]


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.2, 0.6])
async def beats_come_out_in_order(dut, stall):
    tb = TB(dut, stall=stall)
    source, sink = await start(tb)
    sent = beats(tb, 300)
    source.send(sent)
    assert await tb.collect(sink, len(sent)) == sent


@cocotb.test()
async def full_throughput(dut):
    tb = TB(dut)
    source, sink = await start(tb)
    sent = beats(tb, 50)
    source.send(sent)
    assert await tb.collect(sink, len(sent)) == sent
    assert set(gaps(sink.cycles)) == {1}
    assert sink.cycles[0] - source.cycles[0] == 1


@cocotb.test()
async def holds_two_beats(dut):
    tb = TB(dut)
    source, sink = tb.source("s"), tb.sink("m", stall=1.0)
    await tb.reset()
    source.send(beats(tb, 5))
    await tb.step(20)
    assert len(source.cycles) == 2
    assert not sink.beats


@cocotb.test()
async def neither_side_sees_the_other(dut):
    tb = TB(dut)
    dut.m_tready.value = dut.s_tvalid.value = dut.s_tdata.value = 0
    await tb.reset()
    for _ in range(40):
        await tb.step()
        await Timer(1, unit="ns")
        before = [int(port.value) for port in (dut.s_tready, dut.m_tvalid)]
        dut.m_tready.value, dut.s_tvalid.value = tb.rng.getrandbits(1), tb.rng.getrandbits(1)
        await Timer(1, unit="ns")
        assert [int(port.value) for port in (dut.s_tready, dut.m_tvalid)] == before


@cocotb.test()
async def reset_empties_it(dut):
    tb = TB(dut)
    source, sink = await start(tb)
    source.send(beats(tb, 4))
    await tb.step(2)
    await tb.reset()
    sink.beats.clear()
    sent = beats(tb, 3)
    source.send(sent)
    assert await tb.collect(sink, 3) == sent


@pytest.mark.parametrize(("width", "simulator"), [(1, "icarus"), (33, "icarus"), (8, "verilator")])
def test_slice(tmp_path, width, simulator):
    run_tb("hwflow_slice", rtl("slice"), {"WIDTH": width}, __name__, simulator, tmp_path)
