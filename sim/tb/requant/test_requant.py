"""hwflow_requant: every lane cast, full throughput."""

import cocotb
import pytest
from common import TB, cast, fixed, gaps, pack_beats, parameters, random_codes, rtl, run_tb, unpack_beats

P = parameters()


async def run(tb: TB, beats: int) -> tuple:
    source, sink = tb.source("s"), tb.sink("m")
    await tb.reset()
    codes = random_codes(tb.rng, beats * P["LANES"], P["IN_W"], bool(P["IN_SIGNED"]))
    source.send(pack_beats(codes, P["IN_W"], P["LANES"]))
    out = unpack_beats(await tb.collect(sink, beats), P["OUT_W"], P["LANES"], bool(P["OUT_SIGNED"]))
    assert out == [cast(code, fixed(P, "IN"), fixed(P, "OUT")) for code in codes]
    return source, sink


@cocotb.test()
async def casts_under_stalls(dut):
    await run(TB(dut, stall=0.4), 300)


@cocotb.test()
async def one_beat_a_cycle(dut):
    source, sink = await run(TB(dut), 200)
    assert set(gaps(sink.cycles)) == {1}
    assert sink.cycles[0] - source.cycles[0] == 1


def types(lanes, source, target, rounding, overflow):
    keys = ("LANES", "IN_W", "IN_FRAC", "IN_SIGNED", "OUT_W", "OUT_FRAC", "OUT_SIGNED", "ROUNDING", "OVERFLOW")
    return dict(zip(keys, (lanes, *source, *target, rounding, overflow), strict=True))


@pytest.mark.parametrize(
    ("p", "simulator"),
    [
        (types(1, (24, 12, 1), (16, 10, 1), 2, 1), "icarus"),
        (types(4, (12, 9, 1), (8, 5, 1), 6, 2), "icarus"),
        (types(3, (9, 3, 0), (6, 6, 1), 0, 0), "icarus"),
        (types(2, (10, 4, 1), (7, -1, 0), 4, 1), "verilator"),
    ],
)
def test_requant(tmp_path, p, simulator):
    run_tb("hwflow_requant", rtl("requant", "cast"), p, __name__, simulator, tmp_path)
