"""hwflow_pool: maximum and average against plain integers, throughput, bad parameters."""

import cocotb
import pytest
from common import (
    TB,
    cast,
    fixed,
    gaps,
    pack_beats,
    parameters,
    random_codes,
    rtl,
    run_tb,
    unpack_beats,
)

from hwflow.fixed import FixedType
from hwflow.rtl.timing import timing

P = parameters()
SOURCES = rtl("pool", "cast", "catch", "fifo", "ram", "delay")

DEFAULTS = {
    "MODE": 0, "LANES": 1, "CHANNELS": 1, "POSITIONS": 4, "IN_W": 8, "IN_SIGNED": 1, "IN_FRAC": 4, "ACC_W": 40,
    "ACC_SHIFT": 0, "OUT_W": 8, "OUT_FRAC": 4, "OUT_SIGNED": 1, "ROUNDING": 0, "OVERFLOW": 0,
}  # fmt: skip
SUM = {"MODE": 2, "OUT_W": 12}
AVERAGE = {"MODE": 1, "OUT_W": 12, "OUT_FRAC": 6}

CONFIGS = {
    "max": {"CHANNELS": 6, "LANES": 2},
    "max_one_beat": {"CHANNELS": 3, "LANES": 3, "POSITIONS": 9},
    "max_two_beats": {"CHANNELS": 2, "POSITIONS": 3, "OUT_W": 5, "OUT_FRAC": 2, "ROUNDING": 6, "OVERFLOW": 1},
    "max_block_ram": {"CHANNELS": 132, "POSITIONS": 2},
    "max_unsigned": {"IN_SIGNED": 0, "OUT_W": 9, "CHANNELS": 4},
    "max_one_position": {"POSITIONS": 1, "CHANNELS": 2},
    "sum": {**SUM, "CHANNELS": 4, "LANES": 2},
    "sum_one_channel": {**SUM, "POSITIONS": 5, "IN_SIGNED": 0, "OUT_FRAC": 2, "ROUNDING": 2, "OVERFLOW": 1},
    "sum_one_position": {**SUM, "POSITIONS": 1, "CHANNELS": 3},
    "average_shift": {**AVERAGE, "CHANNELS": 4, "LANES": 2, "ACC_SHIFT": 2},
    "average_floor_shift": {**AVERAGE, "POSITIONS": 16, "ACC_SHIFT": 1},
    "average_grow": {**AVERAGE, "POSITIONS": 2, "ACC_SHIFT": 3, "OUT_FRAC": 7, "CHANNELS": 2},
    "average_3": {**AVERAGE, "POSITIONS": 3, "CHANNELS": 5, "ROUNDING": 2},
    "average_9": {**AVERAGE, "POSITIONS": 9, "ACC_SHIFT": 4, "CHANNELS": 3, "LANES": 3, "OUT_FRAC": 8},
    "average_12": {**AVERAGE, "POSITIONS": 12, "ACC_SHIFT": 1, "CHANNELS": 2, "ROUNDING": 4},
    "average_49_global": {**AVERAGE, "POSITIONS": 49, "IN_W": 16, "IN_FRAC": 10, "CHANNELS": 4,
                          "LANES": 4, "OUT_W": 16, "OUT_FRAC": 10},
    "average_unsigned": {**AVERAGE, "IN_SIGNED": 0, "POSITIONS": 7, "ACC_SHIFT": 2, "ACC_W": 11, "CHANNELS": 2},
    "average_one_position": {**AVERAGE, "POSITIONS": 1, "ACC_SHIFT": 1},
    "average_sat": {**AVERAGE, "POSITIONS": 6, "OUT_W": 6, "OUT_FRAC": 4, "OVERFLOW": 2, "ROUNDING": 5},
    "average_wide": {**AVERAGE, "POSITIONS": 99, "IN_W": 24, "ACC_SHIFT": 24, "OUT_W": 48, "OUT_FRAC": 28},
    "average_every_code": {**AVERAGE, "POSITIONS": 11, "IN_W": 5, "ACC_SHIFT": 2, "ACC_W": 9},
}  # fmt: skip


EDGES = {**AVERAGE, "EDGES": 1, "IN_W_PX": 5, "IN_H": 4, "ACC_SHIFT": 4}
CONFIGS |= {
    "edges_3x3": {**EDGES, "K_H": 3, "K_W": 3, "PAD_T": 1, "PAD_L": 1, "OUT_H": 4, "OUT_W_PX": 5, "CHANNELS": 4,
                  "LANES": 2},
    "edges_strides": {**EDGES, "K_H": 2, "K_W": 3, "STRIDE_H": 2, "STRIDE_W": 2, "PAD_L": 1, "OUT_H": 2, "OUT_W_PX": 3,
                      "IN_H": 3},
    "edges_two": {**EDGES, "K_H": 1, "K_W": 2, "OUT_H": 4, "OUT_W_PX": 5, "CHANNELS": 1, "IN_SIGNED": 0},
    "edges_block_ram": {**EDGES, "K_H": 2, "K_W": 1, "PAD_T": 1, "OUT_H": 5, "OUT_W_PX": 5, "CHANNELS": 132},
}  # fmt: skip
for _config in CONFIGS.values():
    if "EDGES" in _config:
        _config["POSITIONS"] = _config["K_H"] * _config["K_W"]


def counts(p):
    """How many pixels of the image lie in each window of it."""
    size = {name: p.get(name, 1) for name in ("STRIDE_H", "STRIDE_W")} | {s: p.get(s, 0) for s in ("PAD_T", "PAD_L")}
    found = []
    for row in range(p["OUT_H"]):
        for column in range(p["OUT_W_PX"]):
            top, left = row * size["STRIDE_H"] - size["PAD_T"], column * size["STRIDE_W"] - size["PAD_L"]
            rows = [y for y in range(top, top + p["K_H"]) if 0 <= y < p["IN_H"]]
            found.append(len(rows) * len([x for x in range(left, left + p["K_W"]) if 0 <= x < p["IN_W_PX"]]))
    return found


def golden(p, windows):
    """Output codes of windows, each a list of POSITIONS pixels of CHANNELS codes."""
    shift = p["ACC_SHIFT"] if p["MODE"] == 1 else 0
    code = fixed(p, "IN")
    wider = shift if p["MODE"] < 2 else (p["POSITIONS"] - 1).bit_length()
    code = FixedType(code.width + wider, code.integer + wider - shift, code.signed)
    out = []
    divisors = counts(p) if p.get("EDGES") else [p["POSITIONS"]]
    for number, pixels in enumerate(windows):
        divisor = divisors[number % len(divisors)]
        for codes in zip(*pixels, strict=True):
            if p["MODE"] == 1:
                total = sum(codes) << shift
                result = abs(total) // divisor * (1 if total >= 0 else -1)
            else:
                result = sum(codes) if p["MODE"] == 2 else max(codes)
            out.append(cast(result, code, fixed(p, "OUT")))
    return out


def make_windows(p, rng, count):
    """Random windows, the first three at the ends of the range and at zero."""
    low, high = (-(1 << (p["IN_W"] - 1)), (1 << (p["IN_W"] - 1)) - 1) if p["IN_SIGNED"] else (0, (1 << p["IN_W"]) - 1)
    windows = [[[code] * p["CHANNELS"]] * p["POSITIONS"] for code in (low, high, 0)]
    for _ in range(count - 3):
        codes = random_codes(rng, p["POSITIONS"] * p["CHANNELS"], p["IN_W"], bool(p["IN_SIGNED"]))
        windows.append([codes[i : i + p["CHANNELS"]] for i in range(0, len(codes), p["CHANNELS"])])
    if p.get("EDGES"):  # what lies in the padding is zero
        for window, inside in zip(windows, counts(p) * len(windows), strict=False):
            window[inside:] = [[0] * p["CHANNELS"]] * (p["POSITIONS"] - inside)
    return windows


def sums_of(p):
    """Windows that have every possible sum, in turn (one channel, one lane)."""
    low, high, n = -(1 << (p["IN_W"] - 1)), (1 << (p["IN_W"] - 1)) - 1, p["POSITIONS"]
    windows = []
    for total in range(n * low, n * high + 1):
        base, rest = divmod(total, n)
        windows.append([[base + (i < rest)] for i in range(n)])
    return windows


class Bench:
    """The module between a source and a sink."""

    def __init__(self, dut, source_stall=0.0, sink_stall=0.0):
        self.tb = TB(dut)
        self.source, self.sink = self.tb.source("s", source_stall), self.tb.sink("m", sink_stall)

    async def check(self, windows):
        await self.tb.reset()
        codes = [code for pixels in windows for pixel in pixels for code in pixel]
        self.source.send(pack_beats(codes, P["IN_W"], P["LANES"]))
        beats = await self.tb.collect(self.sink, len(windows) * P["CHANNELS"] // P["LANES"])
        assert unpack_beats(beats, P["OUT_W"], P["LANES"], bool(P["OUT_SIGNED"])) == golden(P, windows)


@cocotb.test()
@cocotb.parametrize(source_stall=[0.0, 0.5], sink_stall=[0.0, 0.8])
async def pools(dut, source_stall, sink_stall):
    bench = Bench(dut, source_stall, sink_stall)
    await bench.check(make_windows(P, bench.tb.rng, 24))


@cocotb.test()
async def every_sum_is_divided_exactly(dut):
    if P["every_sum"]:
        await Bench(dut).check(sums_of(P))


@cocotb.test()
async def full_throughput(dut):
    bench = Bench(dut)
    await bench.check(make_windows(P, bench.tb.rng, 8))
    assert set(gaps(bench.source.cycles)) <= {1}
    beats = P["CHANNELS"] // P["LANES"]
    latency = bench.sink.cycles[0] - bench.source.cycles[(P["POSITIONS"] - 1) * beats]
    assert latency == timing("hwflow_pool", P).latency


@cocotb.test()
async def reset_forgets_the_window(dut):
    bench = Bench(dut)
    await bench.tb.reset()
    beats = P["POSITIONS"] * P["CHANNELS"] // P["LANES"]
    bench.source.send([bench.tb.rng.getrandbits(P["LANES"] * P["IN_W"]) for _ in range(beats + beats // 2)])
    await bench.tb.step(beats + beats // 2)
    bench.sink.beats.clear()
    await bench.check(make_windows(P, bench.tb.rng, 4))


def run(tmp_path, name, simulator):
    every_sum = name == "average_every_code"
    run_tb("hwflow_pool", SOURCES, {**DEFAULTS, **CONFIGS[name]}, __name__, simulator, tmp_path,
           extra={"every_sum": every_sum})  # fmt: skip


@pytest.mark.parametrize("name", CONFIGS)
def test_pool(tmp_path, name):
    run(tmp_path, name, "icarus")


@pytest.mark.parametrize("name", ["average_9"])
def test_pool_verilator(tmp_path, name):
    run(tmp_path, name, "verilator")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"MODE": 3}, "1 for average or 2 for sum"),
        ({"CHANNELS": 3, "LANES": 2}, "must divide CHANNELS"),
        ({"ACC_SHIFT": -1}, "not negative"),
        ({"MODE": 1, "POSITIONS": 5, "ACC_W": 10}, "it takes 11 bits"),
        ({"EDGES": 1, "K_H": 2, "K_W": 2}, "are of averages"),
    ],
)
def test_bad_parameters_are_refused(tmp_path, capfd, wrong, message):
    with pytest.raises((SystemExit, RuntimeError, AssertionError)):
        run_tb("hwflow_pool", SOURCES, {**DEFAULTS, **wrong}, __name__, "icarus", tmp_path)
    assert message in capfd.readouterr().out
