"""hwflow_depthwise beside its hwflow_weights: exact sums a channel over positions, one cast; stalls, late weights."""

import random
from pathlib import Path

import cocotb
import pytest
from common import (
    TB,
    cast,
    fixed,
    gaps,
    pack,
    pack_beats,
    parameters,
    random_codes,
    rtl,
    run_tb,
    unpack_beats,
)

from hwflow.rtl.timing import timing

P = parameters()
TOP = "depthwise_with_weights"
SOURCES = [
    Path(__file__).with_name(f"{TOP}.sv"),
    *rtl("depthwise", "weights", "weight_mem", "outliers", "delay", "cast", "catch", "fifo", "ram"),
]

DEFAULTS = {
    "PE": 2, "CHANNELS": 6, "POSITIONS": 6, "MULTIPLIER": 1, "X_W": 8, "X_SIGNED": 1, "W_W": 8, "W_LATENCY": 3,
    "ACC_W": 24, "ACC_FRAC": 10, "B_W": 10, "B_SHIFT": 3, "OUT_W": 12, "OUT_FRAC": 7, "OUT_SIGNED": 1, "ROUNDING": 6,
    "OVERFLOW": 1,
}  # fmt: skip

CONFIGS = {
    "folds": {},
    "two_beats": {"CHANNELS": 4, "POSITIONS": 2, "ROUNDING": 2},
    "one_fold": {"W_LATENCY": 4, "PE": 4, "CHANNELS": 4, "POSITIONS": 9, "ROUNDING": 0, "OVERFLOW": 0},
    "one_channel": {"PE": 1, "CHANNELS": 1, "B_SHIFT": 0},
    "one_position": {"PE": 1, "CHANNELS": 5, "POSITIONS": 1, "ROUNDING": 3},
    "one_of_each": {"PE": 1, "CHANNELS": 1, "POSITIONS": 1, "W_LATENCY": 4},
    "sums_in_block_ram": {"PE": 1, "CHANNELS": 45, "POSITIONS": 2, "W_LATENCY": 4},
    "multiplied": {"PE": 6, "CHANNELS": 12, "MULTIPLIER": 3, "POSITIONS": 4},
    "multiplied_one_lane": {"PE": 2, "CHANNELS": 6, "MULTIPLIER": 2},
    "unsigned_input": {"W_LATENCY": 6, "X_SIGNED": 0, "X_W": 9, "ACC_FRAC": 12, "ROUNDING": 3},
    "unsigned_output": {"OUT_SIGNED": 0, "OUT_W": 9, "ROUNDING": 4, "PE": 6},
    "wide": {"X_W": 16, "W_W": 11, "ACC_W": 40, "ACC_FRAC": 20, "B_W": 16, "B_SHIFT": 6, "OUT_W": 16, "OVERFLOW": 2},
}  # fmt: skip


def golden(windows):
    """Output codes of windows, each a list of POSITIONS pixels of CHANNELS / MULTIPLIER codes."""
    out = []
    for pixels in windows:
        for channel, bias in enumerate(P["biases"]):
            total = bias << P["B_SHIFT"]
            for pixel, weights in zip(pixels, P["weights"], strict=True):
                total += weights[channel] * pixel[channel // P["MULTIPLIER"]]
            out.append(cast(total, fixed(P, "ACC"), fixed(P, "OUT")))
    return out


def make_windows(rng, count):
    """Random windows, the first at one end of the range."""
    channels = P["CHANNELS"] // P["MULTIPLIER"]
    codes = random_codes(rng, count * P["POSITIONS"] * channels, P["X_W"], bool(P["X_SIGNED"]))
    pixels = [codes[i : i + channels] for i in range(0, len(codes), channels)]
    windows = [pixels[i : i + P["POSITIONS"]] for i in range(0, len(pixels), P["POSITIONS"])]
    highest = (1 << (P["X_W"] - P["X_SIGNED"])) - 1
    return [[[highest] * channels] * P["POSITIONS"], *windows[1:]]


class Bench:
    """The module between a source and a sink."""

    def __init__(self, dut, source_stall=0.0, sink_stall=0.0):
        self.tb = TB(dut)
        self.source, self.sink = self.tb.source("s", source_stall), self.tb.sink("m", sink_stall)

    async def check(self, windows):
        codes = [code for pixels in windows for pixel in pixels for code in pixel]
        self.source.send(pack_beats(codes, P["X_W"], P["PE"] // P["MULTIPLIER"]))
        got = await self.tb.collect(self.sink, len(windows) * P["CHANNELS"] // P["PE"])
        assert unpack_beats(got, P["OUT_W"], P["PE"], bool(P["OUT_SIGNED"])) == golden(windows)


@cocotb.test()
@cocotb.parametrize(source_stall=[0.0, 0.5], sink_stall=[0.0, 0.8])
async def equals_the_model(dut, source_stall, sink_stall):
    bench = Bench(dut, source_stall, sink_stall)
    await bench.tb.reset()
    await bench.check(make_windows(bench.tb.rng, 15))


@cocotb.test()
async def one_beat_a_cycle(dut):
    bench = Bench(dut)
    await bench.tb.reset()
    await bench.check(make_windows(bench.tb.rng, 8))
    assert set(gaps(bench.source.cycles)) <= {1}
    first = bench.source.cycles[(P["POSITIONS"] - 1) * P["CHANNELS"] // P["PE"]]
    assert bench.sink.cycles[0] - first == P["W_LATENCY"] + 6 == timing("hwflow_depthwise", P).latency


@cocotb.test()
async def reset_forgets_the_window(dut):
    bench = Bench(dut)
    await bench.tb.reset()
    beats = P["POSITIONS"] * P["CHANNELS"] // P["PE"]
    lanes = P["PE"] // P["MULTIPLIER"]
    bench.source.send([bench.tb.rng.getrandbits(lanes * P["X_W"]) for _ in range(beats + beats // 2)])
    await bench.tb.step(beats + beats // 2)
    bench.sink.beats.clear()
    await bench.tb.reset()
    bench.sink.beats.clear()
    await bench.check(make_windows(bench.tb.rng, 4))


def run(tmp_path, name, simulator, wrong=None):
    p = DEFAULTS | CONFIGS[name] | (wrong or {})
    rng = random.Random(name)
    weights = [random_codes(rng, p["CHANNELS"], p["W_W"], signed=True) for _ in range(p["POSITIONS"])]
    biases = random_codes(rng, p["CHANNELS"], p["B_W"], signed=True)
    files = {}
    flat = [code for row in weights for code in row]
    for kind, codes, width in (("WEIGHT", flat, p["W_W"]), ("BIAS", biases, p["B_W"])):
        path = tmp_path / f"{kind.lower()}.mem"
        words = [pack(codes[i : i + p["PE"]], width) for i in range(0, len(codes), p["PE"])]
        path.write_text("".join(f"{word:x}\n" for word in words))
        files[f"{kind}_FILE"] = f'"{path}"'
    extra = {"weights": weights, "biases": biases, "ACC_SIGNED": 1}
    run_tb(TOP, SOURCES, p | files, __name__, simulator, tmp_path, extra=extra)


@pytest.mark.parametrize(
    ("name", "simulator"),
    [*((name, "icarus") for name in CONFIGS), ("folds", "verilator"), ("multiplied", "verilator")],
)
def test_depthwise(tmp_path, name, simulator):
    run(tmp_path, name, simulator)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"PE": 4}, "must divide CHANNELS"),
        ({"MULTIPLIER": 4}, "MULTIPLIER (4) PE"),
        ({"ACC_W": 12}, "holds not every product"),
    ],
)
def test_bad_parameters_are_refused(tmp_path, capfd, wrong, message):
    with pytest.raises((SystemExit, RuntimeError, AssertionError)):
        run(tmp_path, "folds", "icarus", wrong)
    assert message in capfd.readouterr().out
