"""hwflow_permute: the beats of an image in another order."""

import cocotb
import numpy as np
import pytest
from common import TB, gaps, pack_beats, parameters, random_codes, rtl, run_tb

P = parameters()


async def run(tb: TB, images: int) -> tuple:
    source, sink = tb.source("s"), tb.sink("m")
    await tb.reset()
    await move(tb, source, sink, images)
    return source, sink


async def move(tb: TB, source, sink, images: int) -> None:
    shape = (images, *P["sizes"], P["LANES"])
    codes = np.array(random_codes(tb.rng, int(np.prod(shape)), P["W"], False), dtype=object).reshape(shape)
    source.send(pack_beats(codes.reshape(-1).tolist(), P["W"], P["LANES"]))
    moved = codes.transpose(0, *(axis + 1 for axis in P["axes"]), 4)
    beats = pack_beats(moved.reshape(-1).tolist(), P["W"], P["LANES"])
    assert await tb.collect(sink, len(beats)) == beats


@cocotb.test()
async def beats_change_places_under_stalls(dut):
    await run(TB(dut, stall=0.4), 5)


@cocotb.test()
async def an_image_goes_out_while_the_next_comes_in(dut):
    images = 4
    source, sink = await run(TB(dut), images)
    size = int(np.prod(P["sizes"]))
    assert sink.cycles[0] - source.cycles[size - 1] == 2
    # The images after the second wait for room: a cycle each.
    assert sink.cycles[-1] - sink.cycles[0] <= images * (size + 2)
    assert set(gaps(sink.cycles[:size])) <= {1}


@cocotb.test()
async def reset_drops_what_is_inside(dut):
    tb = TB(dut)
    source, sink = tb.source("s"), tb.sink("m")
    await tb.reset()
    source.send([0] * (int(np.prod(P["sizes"])) + 1))
    await tb.step(int(np.prod(P["sizes"])) + 4)
    await tb.reset()
    sink.beats.clear()
    await move(tb, source, sink, 3)


@pytest.mark.parametrize(
    ("w", "lanes", "sizes", "axes", "simulator"),
    [
        (8, 1, (2, 3, 4), (2, 0, 1), "icarus"),
        (5, 2, (4, 2, 3), (1, 0, 2), "icarus"),
        (6, 1, (1, 5, 3), (0, 2, 1), "icarus"),
        (3, 2, (1, 1, 1), (0, 1, 2), "icarus"),
        (16, 1, (3, 5, 4), (2, 1, 0), "icarus"),  # the images are in block RAM
        (7, 3, (3, 2, 2), (1, 2, 0), "verilator"),
    ],
)
def test_permute(tmp_path, w, lanes, sizes, axes, simulator):
    strides = (sizes[1] * sizes[2], sizes[2], 1)
    p = {"W": w, "LANES": lanes}
    p |= {f"SIZE_{i}": sizes[axis] for i, axis in enumerate(axes)}
    p |= {f"STRIDE_{i}": strides[axis] for i, axis in enumerate(axes)}
    extra = {"sizes": sizes, "axes": axes}
    run_tb("hwflow_permute", rtl("permute", "ram"), p, __name__, simulator, tmp_path, extra=extra)
