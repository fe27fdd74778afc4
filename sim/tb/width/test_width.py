"""hwflow_width: the same elements in the same order, other lanes."""

import cocotb
import pytest
from common import TB, gaps, pack_beats, parameters, random_codes, rtl, run_tb

P = parameters()


async def run(tb: TB, groups: int) -> tuple:
    source, sink = tb.source("s"), tb.sink("m")
    await tb.reset()
    await convert(tb, source, sink, groups)
    return source, sink


async def convert(tb: TB, source, sink, groups: int) -> None:
    elements = random_codes(tb.rng, groups * max(P["LANES_IN"], P["LANES_OUT"]), P["W"], False)
    source.send(pack_beats(elements, P["W"], P["LANES_IN"]))
    expected = pack_beats(elements, P["W"], P["LANES_OUT"])
    assert await tb.collect(sink, len(expected)) == expected


@cocotb.test()
async def elements_keep_their_order(dut):
    await run(TB(dut, stall=0.4), 100)


@cocotb.test()
async def narrow_side_moves_every_cycle(dut):
    source, sink = await run(TB(dut), 50)
    narrow = source if P["LANES_IN"] <= P["LANES_OUT"] else sink
    assert set(gaps(narrow.cycles)) == {1}
    group = max(1, P["LANES_OUT"] // P["LANES_IN"])
    assert sink.cycles[0] - source.cycles[group - 1] == int(P["LANES_IN"] != P["LANES_OUT"])


@cocotb.test()
async def reset_drops_a_part_of_a_group(dut):
    tb = TB(dut)
    source, sink = tb.source("s"), tb.sink("m")
    await tb.reset()
    source.send([(1 << (P["W"] * P["LANES_IN"])) - 1])
    await tb.step(2)
    await tb.reset()
    sink.beats.clear()
    await convert(tb, source, sink, 5)


@pytest.mark.parametrize(
    ("w", "lanes_in", "lanes_out", "simulator"),
    [(8, 1, 4, "icarus"), (5, 2, 6, "icarus"), (8, 4, 1, "icarus"), (3, 6, 3, "icarus"), (4, 2, 2, "icarus"),
     (7, 1, 3, "verilator"), (7, 8, 2, "verilator")],
)  # fmt: skip
def test_width(tmp_path, w, lanes_in, lanes_out, simulator):
    p = {"W": w, "LANES_IN": lanes_in, "LANES_OUT": lanes_out}
    run_tb("hwflow_width", rtl("width"), p, __name__, simulator, tmp_path)
