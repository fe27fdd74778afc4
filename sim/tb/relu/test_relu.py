"""hwflow_relu: compare, then cast, in every lane."""

import cocotb
import pytest
from common import TB, cast, fixed, gaps, pack_beats, parameters, random_codes, rtl, run_tb, unpack_beats
from second_port import SecondPort

P = parameters()


async def run(tb: TB, beats: int, limit: int = P.get("LIMIT", 0)) -> tuple:
    source, sink = tb.source("s"), tb.sink("m")
    await tb.reset()
    codes = random_codes(tb.rng, beats * P["LANES"], P["IN_W"], bool(P["IN_SIGNED"]))
    source.send(pack_beats(codes, P["IN_W"], P["LANES"]))
    out = unpack_beats(await tb.collect(sink, beats), P["OUT_W"], P["LANES"], bool(P["OUT_SIGNED"]))
    most = limit or 1 << P["OUT_W"]
    assert out == [min(cast(code, fixed(P, "IN"), fixed(P, "OUT")), most) if code > 0 else 0 for code in codes]
    assert not limit or limit in out
    return source, sink


@cocotb.test()
async def rectifies_under_stalls(dut):
    await run(TB(dut, stall=0.4), 300)


@cocotb.test()
async def one_beat_a_cycle(dut):
    source, sink = await run(TB(dut), 200)
    assert set(gaps(sink.cycles)) == {1}
    assert sink.cycles[0] - source.cycles[0] == 1


@cocotb.test(skip=not P.get("LOADABLE"))
async def another_limit_is_loaded(dut):
    tb, port = TB(dut, stall=0.2), SecondPort(dut, "mb")
    limit = P["LIMIT"] // 3
    await port.write(0, limit)
    assert await port.read(0) == limit
    await run(tb, 200, limit)


def types(lanes, source, target, rounding, overflow, limit=0):
    keys = ("LIMIT", "LANES", "IN_W", "IN_FRAC", "IN_SIGNED", "OUT_W", "OUT_FRAC", "OUT_SIGNED", "ROUNDING", "OVERFLOW")
    return dict(zip(keys, (limit, lanes, *source, *target, rounding, overflow), strict=True))


@pytest.mark.parametrize(
    ("p", "simulator"),
    [
        (types(1, (16, 10, 1), (16, 10, 0), 2, 1), "icarus"),
        (types(4, (12, 6, 1), (8, 4, 1), 0, 0), "icarus"),  # large inputs wrap to negative outputs
        (types(2, (8, 4, 0), (6, 2, 0), 6, 1), "icarus"),
        (types(3, (10, 9, 1), (8, 5, 0), 1, 1), "verilator"),
        (types(2, (12, 6, 1), (8, 4, 0), 2, 1, limit=100), "icarus"),
        (types(3, (10, 5, 1), (8, 5, 1), 6, 1, limit=77), "verilator"),
        (types(2, (12, 6, 1), (8, 4, 0), 2, 1, limit=100) | {"LOADABLE": 1}, "icarus"),
    ],
)
def test_relu(tmp_path, p, simulator):
    run_tb("hwflow_relu", rtl("relu", "cast"), p, __name__, simulator, tmp_path)
