"""hwflow_decode_flips equals hwflow.codes.flips: any number of errors, and any word, under random enables."""

import random

import cocotb
import numpy as np
import pytest
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge
from common import parameters, rtl, run_tb

from hwflow.codes.flips import Flips, flip, ols
from hwflow.codes.words import to_integers
from hwflow.rtl.netlist import flips_parameters

P = parameters()


def code() -> Flips:
    """The code that is built."""
    return {"flip": flip, "ols": ols}[P["family"]](*P["sizes"])


def integers(bits) -> list[int]:
    """Rows of bits, the least significant first."""
    return to_integers(np.packbits(bits, axis=1, bitorder="little"))


def upset(rng: np.random.Generator, code: Flips, errors: int, count: int):
    """Codewords with so many wrong bits each."""
    data = rng.integers(0, 2, (count, code.data_bits), dtype=np.uint8)
    words = np.concatenate([data, code.checks(data)], axis=1)
    for word in words:
        word[rng.choice(code.bits, errors, replace=False)] ^= 1
    return words


async def check(dut, code: Flips, words, enabled: float) -> None:
    """Words in, a word an enabled cycle; data and doubt hold in the others."""
    rng, latency = random.Random(cocotb.RANDOM_SEED), P["PASSES"] + 3
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
async def more_and_more_errors(dut):
    built, rng = code(), np.random.default_rng(cocotb.RANDOM_SEED)
    most = max(P["EACH"] + 2, built.bits // 10)
    words = rng.permutation(np.concatenate([upset(rng, built, errors, P["words"]) for errors in range(most)]))
    data, doubtful = built.decode(words)
    flipped = (data != words[:, : built.data_bits]).any(axis=1)
    assert min(flipped.sum(), (~flipped).sum(), doubtful.any(axis=1).sum()) > 0
    await check(dut, built, words, 0.7)


@cocotb.test()
async def any_word(dut):
    built, rng = code(), np.random.default_rng(cocotb.RANDOM_SEED)
    await check(dut, built, rng.integers(0, 2, (2 * P["words"], built.bits), dtype=np.uint8), 1.0)


@cocotb.test()
async def every_single_error(dut):
    built, rng = code(), np.random.default_rng(cocotb.RANDOM_SEED)
    await check(dut, built, np.eye(built.bits, dtype=np.uint8) ^ upset(rng, built, 0, 1), 0.9)


@pytest.mark.parametrize(
    ("family", "sizes", "words", "simulator"),
    [
        ("flip", (20, 10, 1, 2), 60, "icarus"),
        ("flip", (56, 32), 100, "icarus"),
        ("flip", (112, 64), 60, "verilator"),
        ("flip", (56, 32, 8, 3), 40, "icarus"),
        ("ols", (45, 25, 2), 60, "icarus"),
        ("ols", (65, 30, 3, 5), 40, "icarus"),
        ("flip", (416, 256, 5, 3), 10, "icarus"),
    ],
)
def test_decode_flips(tmp_path, family, sizes, words, simulator):
    built = {"flip": flip, "ols": ols}[family](*sizes)
    p = {"N": built.bits, "K": built.data_bits, **flips_parameters(built)}
    extra = {"family": family, "sizes": sizes, "words": words}
    run_tb("hwflow_decode_flips", rtl("decode_flips"), p, __name__, simulator, tmp_path, extra=extra)
