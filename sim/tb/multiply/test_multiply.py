"""hwflow_multiply: exact product of two types, one cast; neither input runs ahead."""

import cocotb
import pytest
from common import TB, cast, fixed, gaps, pack_beats, parameters, random_codes, rtl, run_tb, unpack_beats

from hwflow.fixed import FixedType

P = parameters()


def multiplied(a: int, b: int) -> int:
    """The cast product."""
    fraction = P["A_FRAC"] + P["B_FRAC"]
    return cast(a * b, FixedType(60, 60 - fraction), fixed(P, "OUT"))


async def run(tb: TB, beats: int, stalls: tuple[float, float]) -> tuple:
    first, second = tb.source("a", stalls[0]), tb.source("b", stalls[1])
    sink = tb.sink("m")
    await tb.reset()
    a = random_codes(tb.rng, beats * P["LANES"], P["A_W"], bool(P["A_SIGNED"]))
    b = random_codes(tb.rng, beats * P["LANES"], P["B_W"], bool(P["B_SIGNED"]))
    first.send(pack_beats(a, P["A_W"], P["LANES"]))
    second.send(pack_beats(b, P["B_W"], P["LANES"]))
    out = unpack_beats(await tb.collect(sink, beats), P["OUT_W"], P["LANES"], bool(P["OUT_SIGNED"]))
    assert out == [multiplied(*factors) for factors in zip(a, b, strict=True)]
    assert first.cycles == second.cycles
    return first, sink


@cocotb.test()
async def multiplies_under_stalls(dut):
    await run(TB(dut, stall=0.4), 300, (0.2, 0.6))


@cocotb.test()
async def one_beat_a_cycle(dut):
    source, sink = await run(TB(dut), 200, (0.0, 0.0))
    assert set(gaps(sink.cycles)) == {1}
    assert sink.cycles[0] - source.cycles[0] == 6


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
    ],
)
def test_multiply(tmp_path, p, simulator):
    run_tb("hwflow_multiply", rtl("multiply", "cast", "catch", "fifo", "ram"), p, __name__, simulator, tmp_path)
