"""hwflow_sink: captures into a file, with the cycles of each image."""

from pathlib import Path

import cocotb
import pytest
from common import SIM_DIR, TB, parameters, run_tb

P = parameters()
OUT_FILE, CYCLE_FILE = Path("out.hex"), Path("cycles.txt")


async def set_up(tb: TB, stall: float):
    tb.dut.start_i.value = 0
    tb.dut.count_i.value = 0
    source = tb.source("s", stall)
    await tb.reset()
    return source


async def capture(tb: TB, source, count: int) -> None:
    OUT_FILE.unlink(missing_ok=True)
    beats = [tb.rng.getrandbits(P["WIDTH"]) for _ in range(count)]
    source.cycles.clear()
    source.send(beats)
    tb.dut.start_i.value, tb.dut.count_i.value = 1, count
    await tb.step()
    started = tb.cycle
    tb.dut.start_i.value, tb.dut.count_i.value = 0, 0
    await tb.step()
    for _ in range(20_000):
        await tb.step()
        if tb.dut.done_o.value == 1:
            break
    assert tb.dut.done_o.value == 1
    assert int(tb.dut.beats_o.value) == count
    assert [int(line, 16) for line in OUT_FILE.read_text().split()] == beats
    cycles = [cycle - started for cycle in source.cycles]
    images = [cycles[i : i + P["BEATS_PER_IMAGE"]] for i in range(0, count, P["BEATS_PER_IMAGE"])]
    lines = [[int(word) for word in line.split()] for line in CYCLE_FILE.read_text().splitlines()]
    assert lines == [[image[0], image[-1]] for image in images]


@cocotb.test()
async def captures_again_and_again(dut):
    tb = TB(dut)
    source = await set_up(tb, 0.3)
    for count in (P["DEPTH"], 1, 12):
        await capture(tb, source, count)
        assert dut.overrun_o.value == 0


@cocotb.test()
async def stalls_as_often_as_it_should(dut):
    tb = TB(dut)
    source = await set_up(tb, 0.0)
    await capture(tb, source, P["DEPTH"])
    cycles = source.cycles[-1] - source.cycles[0] + 1
    rate = P["DEPTH"] / cycles / (1 - P["STALL_PERCENT"] / 100)
    assert rate == 1 if P["STALL_PERCENT"] == 0 else 0.7 < rate < 1.3


@cocotb.test()
async def a_beat_too_many_is_seen(dut):
    tb = TB(dut)
    source = await set_up(tb, 0.0)
    await capture(tb, source, 3)
    source.send([1])
    await tb.step(5)
    assert dut.overrun_o.value == 1
    assert not source.empty


@pytest.mark.parametrize(
    ("width", "beats_per_image", "stall_percent", "simulator"),
    [(16, 4, 0, "icarus"), (100, 1, 40, "icarus"), (9, 3, 25, "verilator")],
)
def test_sink(tmp_path, width, beats_per_image, stall_percent, simulator):
    p = {
        "WIDTH": width, "DEPTH": 180, "BEATS_PER_IMAGE": beats_per_image, "STALL_PERCENT": stall_percent,
        "OUT_FILE": f'"{OUT_FILE}"', "CYCLE_FILE": f'"{CYCLE_FILE}"',
    }  # fmt: skip
    run_tb("hwflow_sink", [SIM_DIR / "hwflow_sink.sv"], p, __name__, simulator, tmp_path)
