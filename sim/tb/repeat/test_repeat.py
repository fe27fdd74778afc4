"""hwflow_repeat: every pixel of an image several times."""

import cocotb
import numpy as np
import pytest
from common import TB, gaps, pack_beats, parameters, random_codes, rtl, run_tb

P = parameters()
HEIGHT = 3


async def run(tb: TB, images: int) -> tuple:
    source, sink = tb.source("s"), tb.sink("m")
    await tb.reset()
    await move(tb, source, sink, images)
    return source, sink


async def move(tb: TB, source, sink, images: int) -> None:
    shape = (images * HEIGHT, P["IN_W_PX"], P["BEATS"] * P["LANES"])
    codes = np.array(random_codes(tb.rng, int(np.prod(shape)), P["W"], False), dtype=object).reshape(shape)
    source.send(pack_beats(codes.reshape(-1).tolist(), P["W"], P["LANES"]))
    repeated = codes.repeat(P["ROWS"], axis=0).repeat(P["COLUMNS"], axis=1)
    beats = pack_beats(repeated.reshape(-1).tolist(), P["W"], P["LANES"])
    assert await tb.collect(sink, len(beats)) == beats


@cocotb.test()
async def pixels_repeat_under_stalls(dut):
    await run(TB(dut, stall=0.4), 4)


@cocotb.test()
async def a_beat_out_a_cycle(dut):
    source, sink = await run(TB(dut), 2)
    assert set(gaps(sink.cycles)) == {1}
    assert sink.cycles[0] - source.cycles[0] == 1


@cocotb.test()
async def reset_begins_a_new_row(dut):
    tb = TB(dut)
    source, sink = tb.source("s"), tb.sink("m")
    await tb.reset()
    source.send([(1 << (P["W"] * P["LANES"])) - 1])
    await tb.step(4)
    await tb.reset()
    sink.beats.clear()
    await move(tb, source, sink, 2)


@pytest.mark.parametrize(
    ("sizes", "simulator"),
    [
        ((8, 1, 1, 4, 2, 2), "icarus"),
        ((5, 2, 3, 5, 3, 1), "icarus"),
        ((6, 1, 2, 1, 1, 3), "icarus"),
        ((4, 3, 1, 3, 1, 1), "icarus"),
        ((16, 2, 2, 20, 2, 3), "verilator"),  # the row is in block RAM
    ],
)
def test_repeat(tmp_path, sizes, simulator):
    p = dict(zip(("W", "LANES", "BEATS", "IN_W_PX", "ROWS", "COLUMNS"), sizes, strict=True))
    run_tb("hwflow_repeat", rtl("repeat", "ram"), p, __name__, simulator, tmp_path)
