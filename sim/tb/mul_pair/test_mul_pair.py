"""hwflow_mul_pair: both products of every pair, at the ends of the ranges and at random, a pair a cycle."""

import random
from itertools import product

import cocotb
import pytest
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge
from common import parameters, rtl, run_tb

P = parameters()
LATENCY = 3


def ends(bits: int) -> list[int]:
    """Codes at which carries and signs change."""
    return [-(1 << bits - 1), -(1 << bits - 1) + 1, -1, 0, 1, (1 << bits - 1) - 1]


@cocotb.test()
async def products_of_both(dut):
    rng = random.Random(1)
    inputs = list(product(ends(P["W"]), ends(P["W"]), ends(P["X_W"])))
    ranges = [(-(1 << bits - 1), (1 << bits - 1) - 1) for bits in (P["W"], P["W"], P["X_W"])]
    inputs += [tuple(rng.randint(*limits) for limits in ranges) for _ in range(2000)]
    cocotb.start_soon(Clock(dut.clk_i, 10, unit="ns").start())
    for cycle in range(len(inputs) + LATENCY):
        await FallingEdge(dut.clk_i)
        if cycle >= LATENCY:
            a, b, x = inputs[cycle - LATENCY]
            assert (dut.ax_o.value.to_signed(), dut.bx_o.value.to_signed()) == (a * x, b * x), (a, b, x)
        if cycle < len(inputs):
            dut.a_i.value, dut.b_i.value, dut.x_i.value = inputs[cycle]


@pytest.mark.parametrize(
    ("bits", "x_bits", "simulator"),
    [(8, 9, "icarus"), (8, 10, "icarus"), (4, 18, "icarus"), (2, 2, "icarus"), (8, 8, "verilator")],
)
def test_mul_pair(tmp_path, bits, x_bits, simulator):
    run_tb("hwflow_mul_pair", rtl("mul_pair"), {"W": bits, "X_W": x_bits}, __name__, simulator, tmp_path)


@pytest.mark.parametrize("wrong", [{"W": 9, "X_W": 9}, {"W": 1}, {"W": 3, "X_W": 19}])
def test_bad_parameters_are_refused(tmp_path, capfd, wrong):
    with pytest.raises((SystemExit, RuntimeError, AssertionError)):
        run_tb("hwflow_mul_pair", rtl("mul_pair"), {"W": 8, "X_W": 9, **wrong}, __name__, "icarus", tmp_path)
    assert "at most 26" in capfd.readouterr().out
