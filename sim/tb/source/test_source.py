"""hwflow_source: sends the beats of a file, with as many pauses as asked for, and notes when images begin."""

import random
from pathlib import Path

import cocotb
import pytest
from common import SIM_DIR, TB, gaps, parameters, run_tb

P = parameters()
CYCLE_FILE = Path("begun.mem")


def read(path: Path) -> list[int]:
    """The words of a $writememh file, whose comments and addresses some simulators write."""
    lines = (line.split("//")[0].strip() for line in path.read_text().splitlines())
    return [int(word, 16) for line in lines if not line.startswith("@") for word in line.split()]


async def send(tb: TB, count: int, stall_percent: int, sink_stall: float = 0.0):
    """Send the first `count` beats and compare them with the file; the sink that they went to."""
    tb.dut.start_i.value = 0
    tb.dut.count_i.value = count
    tb.dut.stall_percent_i.value = stall_percent
    tb.dut.seed_i.value = 7
    tb.dut.cycle_i.value = 0
    CYCLE_FILE.unlink(missing_ok=True)
    sink = tb.sink("m", sink_stall, ("tlast",))
    await tb.reset()
    await tb.step(10)
    assert tb.dut.m_tvalid.value == 0, "sends before the start"
    assert tb.dut.started_o.value == 0
    tb.dut.start_i.value = 1
    tb.cycle = 0
    offered: list[int] = []  # of every beat, the first edge that finds it valid
    while len(sink.beats) < count and tb.cycle < 10_000:
        # Sampled at the next edge, which is the one that `tb.cycle` will then count.
        tb.dut.cycle_i.value = tb.cycle + 1
        await tb.settle()
        if tb.dut.m_tvalid.value == 1 and len(offered) == len(sink.beats):
            offered.append(tb.cycle + 1)
        await tb.step()
    marks = (1 << P["WIDTH"] if i % P["IMAGE_BEATS"] == P["IMAGE_BEATS"] - 1 else 0 for i in range(count))
    assert await tb.collect(sink, count) == [beat | mark for beat, mark in zip(P["image"], marks, strict=False)]
    assert tb.dut.started_o.value == 1
    assert read(CYCLE_FILE) == offered[:: P["IMAGE_BEATS"]]
    if sink_stall:
        assert offered != sink.cycles, "every beat was taken at once, so that this shows nothing"
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
    p = {
        "WIDTH": width, "DEPTH": 300, "IMAGE_BEATS": {16: 5, 100: 1, 7: 3}[width],
        "DATA_FILE": '"beats.mem"', "CYCLE_FILE": f'"{CYCLE_FILE}"',
    }  # fmt: skip
    image = [rng.getrandbits(width) for _ in range(p["DEPTH"])]
    (tmp_path / "beats.mem").write_text("".join(f"{beat:x}\n" for beat in image))
    sources = [SIM_DIR / "hwflow_pause.sv", SIM_DIR / "hwflow_source.sv"]
    run_tb("hwflow_source", sources, p, __name__, simulator, tmp_path, extra={"image": image})
