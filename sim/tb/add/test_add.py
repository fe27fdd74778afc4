"""hwflow_add: exact sum, difference, maximum or minimum of two types, one cast; neither input runs ahead."""

from fractions import Fraction
from operator import add, sub

import cocotb
import pytest
from common import TB, cast, fixed, gaps, pack_beats, parameters, random_codes, rtl, run_tb, unpack_beats

from hwflow.fixed import FixedType

P = parameters()


def merged(a: int, b: int) -> int:
    """The cast result; the result itself is taken on the finer of the two grids."""
    fraction = max(P["A_FRAC"], P["B_FRAC"])
    merge = (add, sub, max, min)[P.get("OP", 0)]
    code = merge(a / Fraction(2) ** P["A_FRAC"], b / Fraction(2) ** P["B_FRAC"]) * Fraction(2) ** fraction
    assert code.denominator == 1
    return cast(int(code), FixedType(60, 60 - fraction), fixed(P, "OUT"))


async def run(tb: TB, beats: int, stalls: tuple[float, float]) -> tuple:
    first, second = tb.source("a", stalls[0]), tb.source("b", stalls[1])
    sink = tb.sink("m")
    await tb.reset()
    a = random_codes(tb.rng, beats * P["LANES"], P["A_W"], bool(P["A_SIGNED"]))
    b = random_codes(tb.rng, beats * P["LANES"], P["B_W"], bool(P["B_SIGNED"]))
    first.send(pack_beats(a, P["A_W"], P["LANES"]))
    second.send(pack_beats(b, P["B_W"], P["LANES"]))
    out = unpack_beats(await tb.collect(sink, beats), P["OUT_W"], P["LANES"], bool(P["OUT_SIGNED"]))
    assert out == [merged(*terms) for terms in zip(a, b, strict=True)]
    assert first.cycles == second.cycles
    return first, sink


@cocotb.test()
async def merges_under_stalls(dut):
    await run(TB(dut, stall=0.4), 300, (0.2, 0.6))


@cocotb.test()
async def one_beat_a_cycle(dut):
    source, sink = await run(TB(dut), 200, (0.0, 0.0))
    assert set(gaps(sink.cycles)) == {1}
    assert sink.cycles[0] - source.cycles[0] == 1


def types(lanes, a, b, target, rounding, overflow):
    keys = (
        "LANES", "A_W", "A_FRAC", "A_SIGNED", "B_W", "B_FRAC", "B_SIGNED", "OUT_W", "OUT_FRAC", "OUT_SIGNED",
        "ROUNDING", "OVERFLOW",
    )  # fmt: skip
    return dict(zip(keys, (lanes, *a, *b, *target, rounding, overflow), strict=True))


@pytest.mark.parametrize(
    ("p", "simulator"),
    [
        (types(1, (16, 10, 1), (16, 10, 1), (16, 10, 1), 2, 1), "icarus"),
        (types(4, (8, 2, 1), (12, 9, 0), (10, 4, 1), 6, 2), "icarus"),
        (types(2, (6, 0, 0), (6, -3, 0), (8, 0, 0), 0, 0), "icarus"),
        (types(3, (4, 9, 1), (7, -2, 1), (17, 9, 1), 3, 1), "verilator"),
        (types(2, (8, 3, 1), (8, 4, 0), (12, 4, 1), 0, 0) | {"OP": 1}, "icarus"),
        (types(2, (8, 3, 1), (8, 4, 0), (7, 2, 1), 1, 1) | {"OP": 2}, "icarus"),
        (types(2, (8, 3, 0), (9, 4, 0), (7, 2, 0), 1, 1) | {"OP": 3}, "verilator"),
    ],
)
def test_add(tmp_path, p, simulator):
    run_tb("hwflow_add", rtl("add", "cast"), p, __name__, simulator, tmp_path)
