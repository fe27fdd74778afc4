"""hwflow_decode_secded equals hwflow.codes.Secded: clean words, every single error, many larger ones, any word."""

import random

import cocotb
import numpy as np
import pytest
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge
from common import parameters, rtl, run_tb

from hwflow.codes import Secded
from hwflow.codes.words import pack, to_integers, word_bytes
from hwflow.fixed import FixedType

P = parameters()
POLICIES = ("null", "pass")
LATENCY = 2


def code() -> Secded:
    return Secded(FixedType(P["W_W"], P["W_W"]), POLICIES[P["ON_DOUBLE"]])


def random_words(rng: random.Random, count: int) -> list[int]:
    """Valid stored words."""
    low, high = -(1 << P["W_W"] - 1), (1 << P["W_W"] - 1) - 1
    codes = [[rng.randint(low, high) for _ in range(code().weights_per_word)] for _ in range(count)]
    return to_integers(code().encode(np.array(codes)))


def decoded(words: list[int]) -> list[int]:
    """The reference's weights of stored words, side by side."""
    raw = b"".join(word.to_bytes(word_bytes(code().bits), "little") for word in words)
    codes = code().decode(np.frombuffer(raw, dtype=np.uint8).reshape(len(words), -1))
    return to_integers(pack(codes, P["W_W"]))


def upset(rng: random.Random, word: int, errors: int) -> int:
    return word ^ sum(1 << bit for bit in rng.sample(range(code().bits), errors))


async def check(dut, rng: random.Random, words: list[int], enabled: float) -> None:
    """Words in, a word an enabled cycle; data holds in the others."""
    Clock(dut.clk_i, 10, unit="ns").start(start_high=False)
    expected = [None] * LATENCY + decoded(words)
    shown = 0
    await FallingEdge(dut.clk_i)
    while shown < len(words):
        en = rng.random() < enabled
        dut.en_i.value = int(en)
        dut.data_i.value = words[shown] if en else rng.getrandbits(len(dut.data_i))
        await FallingEdge(dut.clk_i)
        shown += en
        if expected[shown] is not None:
            assert int(dut.data_o.value) == expected[shown], f"word {words[shown - LATENCY]:x}"


@cocotb.test()
async def single_errors_are_corrected(dut):
    rng = random.Random(cocotb.RANDOM_SEED)
    clean = random_words(rng, 3)
    words = [word ^ (1 << bit >> 1) for word in clean for bit in range(code().bits + 1)]
    assert set(decoded(words)) == set(decoded(clean))
    await check(dut, rng, [*words, 0, 0], 0.6)


@cocotb.test()
async def double_errors_are_detected(dut):
    rng = random.Random(cocotb.RANDOM_SEED)
    words = [upset(rng, word, 2) for word in random_words(rng, 300)]
    if POLICIES[P["ON_DOUBLE"]] == "null":
        assert set(decoded(words)) == {0}
    await check(dut, rng, [*words, 0, 0], 1.0)


@cocotb.test()
@cocotb.parametrize(errors=[0, 3, 4, 5])
async def errors_that_the_code_does_not_cover(dut, errors):
    rng = random.Random(cocotb.RANDOM_SEED)
    words = [upset(rng, word, errors) for word in random_words(rng, 200)]
    await check(dut, rng, [*words, 0, 0], 0.8)


@cocotb.test()
async def any_word(dut):
    rng = random.Random(cocotb.RANDOM_SEED)
    words = [rng.getrandbits(code().bits) for _ in range(300)]
    await check(dut, rng, [*words, 0, 0], 1.0)


@pytest.mark.parametrize(
    ("width", "on_double", "simulator"),
    [
        (8, 0, "icarus"),
        (8, 1, "icarus"),
        (6, 0, "icarus"),
        (16, 1, "icarus"),
        (1, 0, "icarus"),
        (33, 0, "icarus"),
        (8, 0, "verilator"),
        (8, 0, "yosys"),
    ],
)
def test_decode_secded(tmp_path, width, on_double, simulator):
    p = {"W_W": width, "ON_DOUBLE": on_double}
    run_tb("hwflow_decode_secded", rtl("decode_secded"), p, __name__, simulator, tmp_path)
