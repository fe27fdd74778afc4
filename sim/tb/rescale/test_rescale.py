"""hwflow_rescale: exact product with the channel's constant, one cast; other constants through the second port."""

import random

import cocotb
import pytest
from common import TB, cast, fixed, gaps, pack, pack_beats, parameters, random_codes, rtl, run_tb, unpack_beats
from second_port import SecondPort

from hwflow.fixed import FixedType

P = parameters()


def rescaled(index: int, code: int, factors: list[int]) -> int:
    factor = factors[0 if P["UNIFORM"] else index % P["CHANNELS"]]
    fraction = P["IN_FRAC"] + P["M_FRAC"]
    return cast(code * factor, FixedType(60, 60 - fraction), fixed(P, "OUT"))


async def run(tb: TB, pixels: int, factors: list[int] | None = None) -> tuple:
    source, sink = tb.source("s"), tb.sink("m")
    await tb.reset()
    codes = random_codes(tb.rng, pixels * P["CHANNELS"], P["IN_W"], bool(P["IN_SIGNED"]))
    beats = pack_beats(codes, P["IN_W"], P["LANES"])
    source.send(beats)
    out = unpack_beats(await tb.collect(sink, len(beats)), P["OUT_W"], P["LANES"], bool(P["OUT_SIGNED"]))
    assert out == [rescaled(index, code, factors or P["factors"]) for index, code in enumerate(codes)]
    return source, sink


@cocotb.test()
async def scales_under_stalls(dut):
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
    await tb.reset()
    codes = random_codes(tb.rng, P["CHANNELS"], P["IN_W"], bool(P["IN_SIGNED"]))
    source.send(pack_beats(codes, P["IN_W"], P["LANES"]))
    beats = await tb.collect(sink, P["CHANNELS"] // P["LANES"])
    out = unpack_beats(beats, P["OUT_W"], P["LANES"], bool(P["OUT_SIGNED"]))
    assert out == [rescaled(index, code, P["factors"]) for index, code in enumerate(codes)]


@cocotb.test(skip=not P.get("LOADABLE"))
async def constants_are_loaded(dut):
    tb, port = TB(dut, stall=0.2), SecondPort(dut, "mb")
    factors = random_codes(tb.rng, len(P["factors"]), P["M_W"], False)
    lanes = 1 if P["UNIFORM"] else P["LANES"]
    words = [pack(factors[i : i + lanes], P["M_W"]) for i in range(0, len(factors), lanes)]
    for address, word in enumerate(words):
        await port.write(address, word)
    assert [await port.read(address) for address in range(len(words))] == words
    await run(tb, 40, factors)


def types(lanes, channels, source, target, rounding, overflow, factor, uniform=0):
    keys = (
        "LANES", "CHANNELS", "IN_W", "IN_FRAC", "IN_SIGNED", "OUT_W", "OUT_FRAC", "OUT_SIGNED",
        "ROUNDING", "OVERFLOW", "M_W", "M_FRAC", "UNIFORM",
    )  # fmt: skip
    values = (lanes, channels, *source, *target, rounding, overflow, *factor, uniform)
    return dict(zip(keys, values, strict=True))


@pytest.mark.parametrize(
    ("p", "simulator"),
    [
        (types(1, 3, (16, 10, 1), (16, 10, 1), 2, 1, (8, 7)), "icarus"),
        (types(2, 6, (8, 4, 1), (10, 3, 1), 6, 2, (12, 13)), "icarus"),
        (types(4, 4, (9, 4, 0), (8, 2, 0), 0, 0, (5, 2)), "icarus"),
        (types(2, 8, (16, 6, 1), (12, 6, 0), 4, 1, (16, 15), uniform=1), "icarus"),
        (types(1, 2, (28, 17, 1), (16, 9, 1), 2, 1, (16, 17)), "icarus"),
        (types(2, 4, (19, 17, 0), (16, 14, 0), 2, 1, (14, 14)), "icarus"),
        (types(2, 10, (12, 6, 1), (12, 5, 1), 2, 1, (9, 8)), "verilator"),
        (types(2, 10, (12, 6, 1), (12, 5, 1), 2, 1, (9, 8)) | {"LOADABLE": 1}, "icarus"),
        (types(3, 3, (12, 6, 1), (12, 5, 1), 2, 1, (9, 8)) | {"LOADABLE": 1}, "icarus"),
        (types(2, 8, (12, 6, 1), (12, 5, 1), 2, 1, (9, 8), uniform=1) | {"LOADABLE": 1}, "verilator"),
    ],
)
def test_rescale(tmp_path, p, simulator):
    rng = random.Random(str(p))
    count = 1 if p["UNIFORM"] else p["CHANNELS"]
    factors = random_codes(rng, count, p["M_W"], False)
    constants = f"{count * p['M_W']}'h{pack(factors, p['M_W']):x}"
    sources = rtl("rescale", "cast", "catch", "fifo", "ram")
    run_tb("hwflow_rescale", sources, p | {"M": constants}, __name__, simulator, tmp_path, extra={"factors": factors})
