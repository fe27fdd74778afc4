"""hwflow_sink: captures beats into a file, with the cycle in which each image was complete."""

from pathlib import Path

import cocotb
import pytest
from common import SIM_DIR, TB, gaps, parameters, run_tb

P = parameters()
OUT_FILE, CYCLE_FILE = Path("out.mem"), Path("cycles.mem")


def read(path: Path) -> list[int]:
    """The words of a $writememh file, whose comments and addresses some simulators write."""
    lines = (line.split("//")[0].strip() for line in path.read_text().splitlines())
    return [int(word, 16) for line in lines if not line.startswith("@") for word in line.split()]


async def capture(tb: TB, images: int, stall_percent: int, wrong_last: int | None = None):
    """Feed the sink with images and compare its files; the source that they came from.

    The lowest bit of a beat is also its tlast, inverted in beat `wrong_last`.
    """
    OUT_FILE.unlink(missing_ok=True)
    count, last = images * P["IMAGE_BEATS"], P["IMAGE_BEATS"] - 1
    tb.dut.count_i.value = count
    tb.dut.stall_percent_i.value = stall_percent
    tb.dut.seed_i.value = 7
    tb.dut.cycle_i.value = 0
    tb.dut.s_tlast.value = 0
    source = tb.source("s")
    tb.dut.start_i.value = 0
    await tb.reset()
    await tb.step()
    tb.dut.start_i.value = 1
    tb.cycle = 0
    marks = [int(index % P["IMAGE_BEATS"] == last) ^ int(index == wrong_last) for index in range(count)]
    beats = [(tb.rng.getrandbits(P["WIDTH"]) & ~1) | mark for mark in marks]
    source.send(beats)
    while tb.dut.done_o.value == 0 and tb.cycle < 20_000:
        await tb.step()
        # Sampled at the next edge, which is the one that `tb.cycle` will then count.
        tb.dut.cycle_i.value = tb.cycle + 1
        tb.dut.s_tlast.value = marks[min(len(source.cycles), count - 1)]
    assert tb.dut.done_o.value == 1
    assert read(OUT_FILE) == beats
    assert read(CYCLE_FILE) == source.cycles[last :: P["IMAGE_BEATS"]]
    assert tb.dut.wrong_last_o.value == int(wrong_last is not None)
    return source


@cocotb.test()
async def captures_all_images(dut):
    await capture(TB(dut), P["DEPTH"] // P["IMAGE_BEATS"], 40)


@cocotb.test()
async def captures_some_images_without_pauses(dut):
    source = await capture(TB(dut), 3, 0)
    assert set(gaps(source.cycles)) == {1}


@cocotb.test()
async def writes_what_it_has_when_start_falls(dut):
    tb = TB(dut)
    OUT_FILE.unlink(missing_ok=True)
    CYCLE_FILE.unlink(missing_ok=True)
    for name, value in {"start_i": 0, "count_i": 300, "stall_percent_i": 0, "seed_i": 7, "s_tlast": 0}.items():
        getattr(dut, name).value = value
    source = tb.source("s")
    await tb.reset()
    await tb.step()
    dut.start_i.value = 1
    beats = list(range(1, P["IMAGE_BEATS"] + 2))
    source.send(beats)
    await tb.step(20)
    dut.start_i.value = 0
    await tb.step(2)
    assert read(OUT_FILE) == beats
    assert len(read(CYCLE_FILE)) == len(beats) // P["IMAGE_BEATS"]
    assert dut.done_o.value == 0


@cocotb.test()
async def pauses_as_often_as_asked(dut):
    source = await capture(TB(dut), P["DEPTH"] // P["IMAGE_BEATS"], 40)
    assert 0.5 < len(source.cycles) / (source.cycles[-1] - source.cycles[0] + 1) < 0.7


@cocotb.test()
async def a_wrong_tlast_is_seen(dut):
    await capture(TB(dut), 4, 0, wrong_last=P["IMAGE_BEATS"])


@pytest.mark.parametrize(
    ("width", "image_beats", "simulator"), [(16, 4, "icarus"), (100, 1, "icarus"), (9, 3, "verilator")]
)
def test_sink(tmp_path, width, image_beats, simulator):
    p = {
        "WIDTH": width, "DEPTH": 300, "IMAGE_BEATS": image_beats,
        "DATA_FILE": f'"{OUT_FILE}"', "CYCLE_FILE": f'"{CYCLE_FILE}"',
    }  # fmt: skip
    sources = [SIM_DIR / "hwflow_pause.sv", SIM_DIR / "hwflow_sink.sv"]
    run_tb("hwflow_sink", sources, p, __name__, simulator, tmp_path)
