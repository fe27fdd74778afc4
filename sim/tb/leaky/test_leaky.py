"""hwflow_leaky: x beyond the threshold, else the exact product with the channel's slope, one cast."""

import random

import cocotb
import pytest
from common import TB, cast, fixed, gaps, pack, pack_beats, parameters, random_codes, rtl, run_tb, unpack_beats

from hwflow.fixed import FixedType

P = parameters()


def rectified(index: int, code: int) -> int:
    if code > P["THRESHOLD"]:
        return cast(code, fixed(P, "IN"), fixed(P, "OUT"))
    slope = P["slopes"][0 if P["UNIFORM"] else index % P["CHANNELS"]]
    return cast(code * slope, FixedType(60, 60 - P["IN_FRAC"] - P["M_FRAC"]), fixed(P, "OUT"))


async def run(tb: TB, pixels: int) -> tuple:
    source, sink = tb.source("s"), tb.sink("m")
    await tb.reset()
    codes = random_codes(tb.rng, pixels * P["CHANNELS"], P["IN_W"], bool(P["IN_SIGNED"]))
    codes[: P["CHANNELS"]] = [P["THRESHOLD"]] * P["CHANNELS"]
    beats = pack_beats(codes, P["IN_W"], P["LANES"])
    source.send(beats)
    out = unpack_beats(await tb.collect(sink, len(beats)), P["OUT_W"], P["LANES"], bool(P["OUT_SIGNED"]))
    assert out == [rectified(index, code) for index, code in enumerate(codes)]
    return source, sink


@cocotb.test()
async def rectifies_under_stalls(dut):
    await run(TB(dut, stall=0.4), 200 // P["CHANNELS"] * P["LANES"])


@cocotb.test()
async def one_beat_a_cycle(dut):
    source, sink = await run(TB(dut), 40)
    assert set(gaps(sink.cycles)) == {1}
    assert sink.cycles[0] - source.cycles[0] == 6


@cocotb.test()
async def reset_returns_to_channel_0(dut):
    tb = TB(dut)
    source, sink = tb.source("s"), tb.sink("m")
    await tb.reset()
    source.send([0])
    await tb.collect(sink, 1)
    sink.beats.clear()
    await run(tb, 4)


def types(lanes, channels, source, target, rounding, overflow, slope, uniform=0, threshold=0):
    keys = (
        "LANES", "CHANNELS", "IN_W", "IN_FRAC", "IN_SIGNED", "OUT_W", "OUT_FRAC", "OUT_SIGNED",
        "ROUNDING", "OVERFLOW", "M_W", "M_FRAC", "UNIFORM", "THRESHOLD",
    )  # fmt: skip
    values = (lanes, channels, *source, *target, rounding, overflow, *slope, uniform, threshold)
    return dict(zip(keys, values, strict=True))


@pytest.mark.parametrize(
    ("p", "simulator"),
    [
        (types(1, 3, (16, 10, 1), (16, 10, 1), 2, 1, (9, 7)), "icarus"),
        (types(2, 6, (8, 4, 1), (10, 3, 1), 6, 2, (12, 10)), "icarus"),
        (types(4, 4, (9, 4, 0), (8, 2, 0), 0, 0, (5, 2), threshold=77), "icarus"),
        (types(2, 8, (16, 6, 1), (12, 6, 1), 4, 1, (18, 16), uniform=1), "icarus"),
        (types(2, 4, (19, 17, 1), (16, 14, 1), 2, 1, (14, 0), threshold=30000), "icarus"),
        (types(2, 10, (12, 6, 1), (12, 5, 1), 2, 1, (9, 7)), "verilator"),
        (types(1, 4, (12, 6, 1), (12, 6, 0), 2, 1, (2, 0), uniform=1, threshold=300), "verilator"),
    ],
)
def test_leaky(tmp_path, p, simulator):
    count = 1 if p["UNIFORM"] else p["CHANNELS"]
    slopes = random_codes(random.Random(str(p)), count, p["M_W"], True)
    constants = f"{count * p['M_W']}'h{pack(slopes, p['M_W']):x}"
    sources = rtl("leaky", "cast", "catch", "fifo", "ram")
    run_tb("hwflow_leaky", sources, p | {"M": constants}, __name__, simulator, tmp_path, extra={"slopes": slopes})
