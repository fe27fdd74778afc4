"""hwflow_affine beside its hwflow_weights: exact product and bias a channel, one cast; late weights."""

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

P = parameters()
TOP = "affine_with_weights"
SOURCES = [
    Path(__file__).with_name(f"{TOP}.sv"),
    *rtl("affine", "weights", "weight_mem", "outliers", "delay", "cast", "catch", "fifo", "ram"),
]

DEFAULTS = {
    "PE": 2, "CHANNELS": 6, "X_W": 8, "X_SIGNED": 1, "W_W": 8, "W_LATENCY": 3, "ACC_W": 24, "ACC_FRAC": 10,
    "B_W": 10, "B_SHIFT": 3, "OUT_W": 12, "OUT_FRAC": 7, "OUT_SIGNED": 1, "ROUNDING": 6, "OVERFLOW": 1,
}  # fmt: skip

CONFIGS = {
    "folds": {},
    "serial": {"PE": 1, "CHANNELS": 5, "ROUNDING": 2},
    "one_fold": {"W_LATENCY": 4, "PE": 4, "CHANNELS": 4, "ROUNDING": 0, "OVERFLOW": 0},
    "one_channel": {"PE": 1, "CHANNELS": 1, "B_SHIFT": 0},
    "unsigned_input": {"W_LATENCY": 6, "X_SIGNED": 0, "X_W": 9, "ACC_FRAC": 12, "ROUNDING": 3},
    "unsigned_output": {"OUT_SIGNED": 0, "OUT_W": 9, "ROUNDING": 4, "PE": 6},
    "wide": {"X_W": 16, "W_W": 11, "ACC_W": 40, "ACC_FRAC": 20, "B_W": 16, "B_SHIFT": 6, "OUT_W": 16, "OVERFLOW": 2},
}  # fmt: skip


def golden(codes):
    """Output codes of pixels, channel by channel."""
    out = []
    for index, code in enumerate(codes):
        channel = index % P["CHANNELS"]
        total = (P["biases"][channel] << P["B_SHIFT"]) + P["weights"][channel] * code
        out.append(cast(total, fixed(P, "ACC"), fixed(P, "OUT")))
    return out


async def start(tb: TB) -> tuple:
    source, sink = tb.source("s"), tb.sink("m")
    await tb.reset()
    return source, sink


async def check(tb: TB, source, sink, pixels: int) -> None:
    codes = random_codes(tb.rng, pixels * P["CHANNELS"], P["X_W"], bool(P["X_SIGNED"]))
    beats = pack_beats(codes, P["X_W"], P["PE"])
    source.send(beats)
    got = await tb.collect(sink, len(beats))
    sink.beats.clear()
    assert unpack_beats(got, P["OUT_W"], P["PE"], bool(P["OUT_SIGNED"])) == golden(codes)


@cocotb.test()
async def equals_the_model_under_stalls(dut):
    tb = TB(dut, stall=0.4)
    await check(tb, *await start(tb), 60)


@cocotb.test()
async def one_beat_a_cycle(dut):
    tb = TB(dut)
    source, sink = await start(tb)
    await check(tb, source, sink, 30)
    assert set(gaps(sink.cycles)) == {1}
    assert sink.cycles[0] - source.cycles[0] == P["W_LATENCY"] + 6


@pytest.mark.parametrize(
    ("name", "simulator"),
    [*((name, "icarus") for name in CONFIGS), ("folds", "verilator"), ("unsigned_input", "verilator")],
)
def test_affine(tmp_path, name, simulator):
    p = DEFAULTS | CONFIGS[name]
    rng = random.Random(name)
    weights = random_codes(rng, p["CHANNELS"], p["W_W"], signed=True)
    biases = random_codes(rng, p["CHANNELS"], p["B_W"], signed=True)
    files = {}
    for kind, codes, width in (("WEIGHT", weights, p["W_W"]), ("BIAS", biases, p["B_W"])):
        path = tmp_path / f"{kind.lower()}.mem"
        words = [pack(codes[i : i + p["PE"]], width) for i in range(0, len(codes), p["PE"])]
        path.write_text("".join(f"{word:x}\n" for word in words))
        files[f"{kind}_FILE"] = f'"{path}"'
    extra = {"weights": weights, "biases": biases, "ACC_SIGNED": 1}
    run_tb(TOP, SOURCES, p | files, __name__, simulator, tmp_path, extra=extra)
