"""hwflow_cast: every rounding and overflow mode against hwflow.fixed, exhaustive for small widths."""

import random
from itertools import product
from pathlib import Path

import cocotb
import numpy as np
import pytest
from cocotb.triggers import Timer
from common import OVERFLOWS, ROUNDINGS, fixed, parameters, random_codes, rtl, run_tb, to_signed

P = parameters()


def shapes() -> list[dict]:
    """Parameters of every hwflow_cast in cast_modes, in the order of its instances."""
    keys = ("SHIFT", "OUT_W", "IN_SIGNED", "OUT_SIGNED", "ROUNDING", "OVERFLOW")
    choices = (
        range(P["SHIFT_MIN"], P["SHIFT_MAX"] + 1),
        range(P["OUT_W_MIN"], P["OUT_W_MAX"] + 1),
        (0, 1),
        (0, 1),
        range(len(ROUNDINGS)),
        range(len(OVERFLOWS)),
    )
    common = {"IN_W": P["IN_W"], "IN_FRAC": P["IN_FRAC"]}
    rows = [common | dict(zip(keys, row, strict=True)) for row in product(*choices)]
    return [row | {"OUT_FRAC": P["IN_FRAC"] - row["SHIFT"]} for row in rows]


@cocotb.test()
async def equals_the_reference(dut):
    width = P["IN_W"]
    rng = random.Random(cocotb.RANDOM_SEED)
    codes = range(1 << width) if width <= 6 else random_codes(rng, 300, width, False)
    dut.strobe_i.value = 0
    for code in codes:
        dut.code_i.value = code
        await Timer(1, "ns")
        dut.strobe_i.value = 1
        await Timer(1, "ns")
        dut.strobe_i.value = 0
        await Timer(1, "ns")

    lines = Path("results.txt").read_text().splitlines()
    results = np.array([[int(word, 16) for word in line.split()] for line in lines])
    as_signed = [to_signed(code, width) for code in codes]
    assert results.shape == (len(codes), len(shapes()))
    for shape, result in zip(shapes(), results.T, strict=True):
        given = np.array(as_signed if shape["IN_SIGNED"] else codes)
        expected = fixed(shape, "OUT").cast(given, fixed(shape, "IN")) & ((1 << shape["OUT_W"]) - 1)
        wrong = np.flatnonzero(result != expected)
        assert not wrong.size, f"{shape}: {given[wrong[0]]} -> {result[wrong[0]]}, not {expected[wrong[0]]}"


@pytest.mark.parametrize(
    ("in_w", "in_frac", "shift", "out_w", "simulator"),
    [
        (1, 0, (-1, 2), (1, 2), "icarus"),
        (3, -2, (-1, 4), (2, 3), "icarus"),
        (5, 2, (1, 3), (3, 4), "icarus"),
        (6, 9, (3, 5), (2, 2), "icarus"),
        (40, 20, (11, 12), (16, 16), "icarus"),
        (24, 3, (-20, -20), (31, 32), "icarus"),
        (3, 1, (1, 1), (2, 2), "verilator"),
    ],
)
def test_cast(tmp_path, in_w, in_frac, shift, out_w, simulator):
    p = {
        "IN_W": in_w, "IN_FRAC": in_frac, "SHIFT_MIN": shift[0], "SHIFT_MAX": shift[1],
        "OUT_W_MIN": out_w[0], "OUT_W_MAX": out_w[1],
    }  # fmt: skip
    sources = [*rtl("cast"), Path(__file__).with_name("cast_modes.sv")]
    run_tb("cast_modes", sources, p, __name__, simulator, tmp_path)
