"""hwflow_decode_bch equals hwflow.codes.bch: words with no error to T + 3, and any word, under random enables."""

import random

import cocotb
import numpy as np
import pytest
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge
from common import parameters, rtl, run_tb

from hwflow.codes.bch import Bch
from hwflow.codes.words import to_integers

P = parameters()


def integers(bits) -> list[int]:
    """Rows of bits, the least significant first."""
    return to_integers(np.packbits(bits, axis=1, bitorder="little"))


def upset(rng: np.random.Generator, code: Bch, errors: int, count: int):
    """Codewords with so many wrong bits each."""
    data = rng.integers(0, 2, (count, code.data_bits), dtype=np.uint8)
    words = np.concatenate([data, code.checks(data)], axis=1)
    for word in words:
        word[rng.choice(code.bits, errors, replace=False)] ^= 1
    return words


async def check(dut, words, enabled: float) -> None:
    """Words in, a word an enabled cycle; data and doubt hold in the others."""
    code, rng = Bch(P["N"], P["K"]), random.Random(cocotb.RANDOM_SEED)
    latency = 2 * code.t + 5
    data, doubtful = code.decode(words)
    expected = list(zip(integers(data), integers(doubtful), strict=True))
    sent = [*integers(words), *[0] * latency]
    Clock(dut.clk_i, 10, unit="ns").start(start_high=False)
    shown = 0
    await FallingEdge(dut.clk_i)
    while shown < len(sent):
        en = rng.random() < enabled
        dut.en_i.value = int(en)
        dut.data_i.value = sent[shown] if en else rng.getrandbits(code.bits)
        await FallingEdge(dut.clk_i)
        shown += en
        if latency <= shown < len(sent):
            got = int(dut.data_o.value), int(dut.doubt_o.value)
            assert got == expected[shown - latency], f"word {sent[shown - latency]:x}"


@cocotb.test()
async def errors_up_to_more_than_the_code_corrects(dut):
    code, rng = Bch(P["N"], P["K"]), np.random.default_rng(cocotb.RANDOM_SEED)
    words = np.concatenate([upset(rng, code, errors, P["words"]) for errors in range(code.t + 4)])
    await check(dut, rng.permutation(words), 0.7)


@cocotb.test()
async def any_word(dut):
    words = np.random.default_rng(cocotb.RANDOM_SEED).integers(0, 2, (2 * P["words"], P["N"]), dtype=np.uint8)
    await check(dut, words, 1.0)


@cocotb.test()
async def every_single_error(dut):
    code, rng = Bch(P["N"], P["K"]), np.random.default_rng(cocotb.RANDOM_SEED)
    words = np.eye(code.bits, dtype=np.uint8) ^ upset(rng, code, 0, 1)
    assert not code.decode(words)[1].any()
    await check(dut, words, 0.9)


@pytest.mark.parametrize(
    ("bits", "data_bits", "words", "simulator"),
    [
        (7, 4, 60, "icarus"),
        (32, 26, 60, "icarus"),
        (32, 20, 60, "icarus"),
        pytest.param(64, 51, 40, "icarus", marks=pytest.mark.slow),
        (64, 45, 200, "verilator"),
        (56, 32, 40, "icarus"),
        (64, 39, 40, "icarus"),
        pytest.param(128, 92, 20, "icarus", marks=pytest.mark.slow),
        pytest.param(256, 155, 3, "icarus", marks=pytest.mark.slow),
    ],
)
def test_decode_bch(tmp_path, bits, data_bits, words, simulator):
    code = Bch(bits, data_bits)
    p = {"N": bits, "K": data_bits, "M": code.m, "T": code.t, "EXTENDED": int(code.extended)}
    run_tb("hwflow_decode_bch", rtl("decode_bch", "delay"), p, __name__, simulator, tmp_path, extra={"words": words})
