"""hwflow_lookup: one cast to an index, then the table's entry; another table through the second port."""

import random

import cocotb
import pytest
from common import TB, cast, fixed, gaps, pack, pack_beats, parameters, random_codes, rtl, run_tb, unpack_beats
from second_port import SecondPort

P = parameters()


def looked_up(code: int, table: list[int]) -> int:
    modes = {"ROUNDING": P["ROUNDING"], "OVERFLOW": P["OVERFLOW"]}
    target = modes | {f"OUT_{part}": P[f"INDEX_{part}"] for part in ("W", "FRAC", "SIGNED")}
    index = cast(code, fixed(P, "IN"), fixed(target, "OUT"))
    return table[index % len(table)]


async def run(tb: TB, beats: int, table: list[int] | None = None) -> tuple:
    source, sink = tb.source("s"), tb.sink("m")
    await tb.reset()
    codes = random_codes(tb.rng, beats * P["LANES"], P["IN_W"], bool(P["IN_SIGNED"]))
    source.send(pack_beats(codes, P["IN_W"], P["LANES"]))
    out = unpack_beats(await tb.collect(sink, beats), P["OUT_W"], P["LANES"], False)
    assert out == [looked_up(code, table or P["table"]) for code in codes]
    return source, sink


@cocotb.test()
async def looks_up_under_stalls(dut):
    await run(TB(dut, stall=0.4), 300)


@cocotb.test()
async def one_beat_a_cycle(dut):
    source, sink = await run(TB(dut), 200)
    assert set(gaps(sink.cycles)) == {1}
    assert sink.cycles[0] - source.cycles[0] == 5


@cocotb.test(skip=not P.get("LOADABLE"))
async def another_table_is_loaded(dut):
    tb, port = TB(dut, stall=0.2), SecondPort(dut, "mb")
    table = random_codes(tb.rng, len(P["table"]), P["OUT_W"], False)
    for address, word in enumerate(table):
        await port.write(address, word)
    assert [await port.read(address) for address in range(len(table))] == table
    await run(tb, 200, table)


def types(lanes, source, index, rounding, overflow, out_bits):
    keys = (
        "LANES", "IN_W", "IN_FRAC", "IN_SIGNED", "INDEX_W", "INDEX_FRAC", "INDEX_SIGNED", "ROUNDING", "OVERFLOW",
        "OUT_W",
    )  # fmt: skip
    return dict(zip(keys, (lanes, *source, *index, rounding, overflow, out_bits), strict=True))


@pytest.mark.parametrize(
    ("p", "simulator"),
    [
        (types(1, (16, 10, 1), (8, 5, 1), 2, 1, 16), "icarus"),
        (types(3, (8, 4, 0), (8, 4, 0), 0, 1, 6), "icarus"),
        (types(2, (12, 6, 1), (6, 2, 1), 0, 2, 9), "icarus"),
        (types(1, (9, 3, 1), (2, -2, 1), 0, 1, 1), "icarus"),
        (types(2, (16, 12, 1), (10, 7, 1), 2, 1, 12), "verilator"),
        (types(2, (10, 6, 1), (6, 2, 1), 2, 1, 11) | {"LOADABLE": 1}, "icarus"),
        (types(1, (10, 6, 0), (5, 2, 0), 2, 1, 8) | {"LOADABLE": 1}, "verilator"),
    ],
)
def test_lookup(tmp_path, p, simulator):
    table = random_codes(random.Random(str(p)), 1 << p["INDEX_W"], p["OUT_W"], False)
    file = tmp_path / "table.mem"
    file.write_text("".join(f"{pack([word], p['OUT_W']):x}\n" for word in table))
    sources = rtl("lookup", "cast", "catch", "fifo", "ram")
    given = p | {"TABLE_FILE": f'"{file}"'}
    run_tb("hwflow_lookup", sources, given, __name__, simulator, tmp_path, extra={"table": table})
