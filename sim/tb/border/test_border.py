"""hwflow_border: pixels at the edges of an image dropped, then zeros put around it."""

import cocotb
import numpy as np
import pytest
from common import TB, gaps, pack_beats, parameters, random_codes, rtl, run_tb

P = parameters()
SIDES = ("T", "B", "L", "R")


def expected(image: np.ndarray) -> np.ndarray:
    top, bottom, left, right = (P[f"CROP_{side}"] for side in SIDES)
    image = image[top : P["IN_H"] - bottom, left : P["IN_W_PX"] - right]
    top, bottom, left, right = (P[f"PAD_{side}"] for side in SIDES)
    return np.pad(image, ((top, bottom), (left, right), (0, 0)))


async def run(tb: TB, images: int) -> tuple:
    source, sink = tb.source("s"), tb.sink("m")
    await tb.reset()
    await move(tb, source, sink, images)
    return source, sink


async def move(tb: TB, source, sink, images: int) -> None:
    shape = (images, P["IN_H"], P["IN_W_PX"], P["BEATS"] * P["LANES"])
    codes = np.array(random_codes(tb.rng, int(np.prod(shape)), P["W"], False), dtype=object).reshape(shape)
    source.send(pack_beats(codes.reshape(-1).tolist(), P["W"], P["LANES"]))
    beats = [beat for image in codes for beat in pack_beats(expected(image).reshape(-1).tolist(), P["W"], P["LANES"])]
    assert await tb.collect(sink, len(beats)) == beats  # and none follows: zeros wait for their image
    await tb.step(500)  # the last pixels may be dropped
    assert source.empty
    assert len(sink.beats) == len(beats)


@cocotb.test()
async def edges_change_under_stalls(dut):
    await run(TB(dut, stall=0.4), 5)


@cocotb.test()
async def a_beat_a_cycle(dut):
    source, sink = await run(TB(dut), 3)
    drops = any(P[f"CROP_{side}"] for side in SIDES)
    pads = any(P[f"PAD_{side}"] for side in SIDES)
    if not drops:
        assert set(gaps(sink.cycles)) == {1}
    if not pads:
        assert set(gaps(source.cycles)) == {1}
    if not drops and not pads:
        assert sink.cycles[0] - source.cycles[0] == 1


@cocotb.test()
async def reset_begins_a_new_image(dut):
    tb = TB(dut)
    source, sink = tb.source("s"), tb.sink("m")
    await tb.reset()
    source.send([(1 << (P["W"] * P["LANES"])) - 1])
    await tb.step(6)
    await tb.reset()
    sink.beats.clear()
    await move(tb, source, sink, 2)


def sizes(w, lanes, beats, size, crop, pad):
    edges = {
        f"{kind}_{side}": n
        for kind, values in (("CROP", crop), ("PAD", pad))
        for side, n in zip(SIDES, values, strict=True)
    }
    return {"W": w, "LANES": lanes, "BEATS": beats, "IN_H": size[0], "IN_W_PX": size[1], **edges}


@pytest.mark.parametrize(
    ("p", "simulator"),
    [
        (sizes(8, 1, 1, (3, 4), (0, 0, 0, 0), (1, 1, 1, 1)), "icarus"),
        (sizes(5, 2, 3, (4, 5), (1, 2, 0, 3), (0, 0, 0, 0)), "icarus"),
        (sizes(8, 3, 1, (5, 5), (1, 0, 2, 1), (0, 2, 1, 3)), "icarus"),
        (sizes(4, 1, 2, (1, 6), (0, 0, 0, 0), (0, 0, 0, 0)), "icarus"),
        (sizes(7, 2, 2, (1, 1), (0, 0, 0, 0), (2, 1, 0, 1)), "verilator"),
    ],
)
def test_border(tmp_path, p, simulator):
    run_tb("hwflow_border", rtl("border", "between"), p, __name__, simulator, tmp_path)
