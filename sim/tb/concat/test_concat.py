"""hwflow_concat: of every pixel the channels of a, then those of b, each cast."""

import cocotb
import pytest
from common import TB, cast, fixed, gaps, pack_beats, parameters, random_codes, rtl, run_tb, unpack_beats

P = parameters()


async def run(tb: TB, pixels: int, stalls: tuple[float, float]) -> tuple:
    first, second = tb.source("a", stalls[0]), tb.source("b", stalls[1])
    sink = tb.sink("m")
    await tb.reset()
    sizes = [P[f"{name}_BEATS"] * P["LANES"] for name in "AB"]
    streams = [
        random_codes(tb.rng, pixels * size, P[f"{name}_W"], bool(P[f"{name}_SIGNED"]))
        for name, size in zip("AB", sizes, strict=True)
    ]
    for source, name, codes in zip((first, second), "AB", streams, strict=True):
        source.send(pack_beats(codes, P[f"{name}_W"], P["LANES"]))
    beats = await tb.collect(sink, pixels * (P["A_BEATS"] + P["B_BEATS"]))
    expected = []
    for pixel in range(pixels):
        for name, size, codes in zip("AB", sizes, streams, strict=True):
            part = codes[pixel * size : (pixel + 1) * size]
            expected += [cast(code, fixed(P, name), fixed(P, "OUT")) for code in part]
    assert unpack_beats(beats, P["OUT_W"], P["LANES"], bool(P["OUT_SIGNED"])) == expected
    return first, sink


@cocotb.test()
async def concatenates_under_stalls(dut):
    await run(TB(dut, stall=0.4), 60, (0.2, 0.6))


@cocotb.test()
async def one_beat_a_cycle(dut):
    source, sink = await run(TB(dut), 40, (0.0, 0.0))
    assert set(gaps(sink.cycles)) == {1}
    assert sink.cycles[0] - source.cycles[0] == 1


@cocotb.test()
async def reset_returns_to_the_first_input(dut):
    tb = TB(dut)
    source, sink = tb.source("a"), tb.sink("m")
    await tb.reset()
    source.send([0])
    await tb.collect(sink, 1)
    sink.beats.clear()
    await tb.reset()
    source.send([0] * P["A_BEATS"])
    await tb.collect(sink, P["A_BEATS"])


def types(lanes, beats, a, b, target, rounding, overflow):
    keys = (
        "LANES", "A_BEATS", "B_BEATS", "A_W", "A_FRAC", "A_SIGNED", "B_W", "B_FRAC", "B_SIGNED",
        "OUT_W", "OUT_FRAC", "OUT_SIGNED", "ROUNDING", "OVERFLOW",
    )  # fmt: skip
    return dict(zip(keys, (lanes, *beats, *a, *b, *target, rounding, overflow), strict=True))


@pytest.mark.parametrize(
    ("p", "simulator"),
    [
        (types(1, (1, 1), (16, 10, 1), (16, 10, 1), (16, 10, 1), 2, 1), "icarus"),
        (types(4, (3, 1), (8, 2, 1), (12, 9, 0), (10, 4, 1), 6, 2), "icarus"),
        (types(2, (1, 5), (6, 0, 0), (6, -3, 0), (8, 0, 0), 0, 0), "icarus"),
        (types(3, (2, 2), (4, 9, 1), (7, -2, 1), (17, 9, 1), 3, 1), "verilator"),
    ],
)
def test_concat(tmp_path, p, simulator):
    run_tb("hwflow_concat", rtl("concat", "cast"), p, __name__, simulator, tmp_path)
