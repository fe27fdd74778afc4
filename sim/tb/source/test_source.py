"""hwflow_source: sends a file, beat by beat, as often as it is started."""

from pathlib import Path

import cocotb
import pytest
from common import SIM_DIR, TB, gaps, parameters, run_tb

P = parameters()
FILE = Path("beats.hex")


def write(beats) -> None:
    FILE.write_text("".join(f"{beat:x}\n" for beat in beats))


async def send(tb: TB, sink, count: int) -> int:
    """Send a new file of `count` beats and compare; the cycle of the start pulse."""
    beats = [tb.rng.getrandbits(P["WIDTH"]) for _ in range(count)]
    write(beats)
    sink.beats.clear()
    sink.cycles.clear()
    await tb.step()
    assert tb.dut.done_o.value == 1
    tb.dut.start_i.value, tb.dut.count_i.value = 1, count
    await tb.step()
    started = tb.cycle
    tb.dut.start_i.value, tb.dut.count_i.value = 0, 0
    assert await tb.collect(sink, count) == beats
    assert tb.dut.done_o.value == 1
    return started


async def set_up(tb: TB, stall: float):
    write([0])
    tb.dut.start_i.value = 0
    tb.dut.count_i.value = 0
    sink = tb.sink("m", stall)
    await tb.reset()
    return sink


@cocotb.test()
async def sends_file_after_file(dut):
    tb = TB(dut)
    sink = await set_up(tb, 0.4)
    for count in (1, P["DEPTH"], 7):
        await send(tb, sink, count)


@cocotb.test()
async def stalls_as_often_as_it_should(dut):
    tb = TB(dut)
    sink = await set_up(tb, 0.0)
    started = await send(tb, sink, P["DEPTH"])
    cycles = sink.cycles[-1] - started
    if P["STALL_PERCENT"] == 0:
        assert set(gaps(sink.cycles)) == {1}
        assert sink.cycles[0] - started == 2
    else:
        assert 0.7 < P["DEPTH"] / cycles / (1 - P["STALL_PERCENT"] / 100) < 1.3


@cocotb.test()
async def marks_the_last_beat_of_an_image(dut):
    tb = TB(dut)
    sink = await set_up(tb, 0.0)
    write([0] * P["DEPTH"])
    lasts = []
    dut.start_i.value, dut.count_i.value = 1, P["DEPTH"]
    await tb.step()
    dut.start_i.value = 0
    while len(sink.beats) < P["DEPTH"]:
        before = len(sink.beats)
        await tb.step()
        if len(sink.beats) > before:
            lasts.append(int(dut.m_tlast.value))
    assert lasts == [int((index + 1) % P["BEATS_PER_IMAGE"] == 0) for index in range(P["DEPTH"])]


@pytest.mark.parametrize(
    ("width", "beats_per_image", "stall_percent", "simulator"),
    [(16, 5, 0, "icarus"), (100, 1, 40, "icarus"), (8, 3, 25, "verilator")],
)
def test_source(tmp_path, width, beats_per_image, stall_percent, simulator):
    p = {
        "WIDTH": width, "DEPTH": 200, "BEATS_PER_IMAGE": beats_per_image, "STALL_PERCENT": stall_percent,
        "DATA_FILE": f'"{FILE}"',
    }  # fmt: skip
    run_tb("hwflow_source", [SIM_DIR / "hwflow_source.sv"], p, __name__, simulator, tmp_path)
