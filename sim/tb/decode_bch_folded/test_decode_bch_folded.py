"""hwflow_decode_bch_folded equals hwflow.codes.bch: no error to T + 3, any word, random enables and pauses."""

import cocotb
import numpy as np
import pytest
from common import parameters, rtl, run_tb
from decoders import check_words, integers, upset

from hwflow.codes.bch import Bch
from hwflow.rtl.decoders import bch_latency

P = parameters()


async def check(dut, words) -> None:
    code = Bch(P["N"], P["K"])
    data, doubtful = code.decode(words)
    expected = {"data_o": [[each] for each in integers(data)], "doubt_o": [[each] for each in integers(doubtful)]}
    await check_words(dut, integers(words), code.bits, expected, bch_latency(code, P["CYCLES"]), P["CYCLES"], 1)


@cocotb.test()
async def errors_up_to_more_than_the_code_corrects(dut):
    code, rng = Bch(P["N"], P["K"]), np.random.default_rng(cocotb.RANDOM_SEED)
    words = np.concatenate([upset(rng, code, errors, P["words"]) for errors in range(code.t + 4)])
    await check(dut, rng.permutation(words))


@cocotb.test()
async def any_word(dut):
    words = np.random.default_rng(cocotb.RANDOM_SEED).integers(0, 2, (2 * P["words"], P["N"]), dtype=np.uint8)
    await check(dut, words)


@cocotb.test()
async def every_single_error(dut):
    code, rng = Bch(P["N"], P["K"]), np.random.default_rng(cocotb.RANDOM_SEED)
    words = np.eye(code.bits, dtype=np.uint8) ^ upset(rng, code, 0, 1)
    await check(dut, words)


@pytest.mark.parametrize(
    ("bits", "data_bits", "cycles", "words", "simulator"),
    [
        (7, 4, 2, 40, "icarus"),
        (32, 26, 3, 40, "icarus"),
        (32, 20, 4, 40, "icarus"),
        (64, 45, 8, 100, "verilator"),
        (56, 32, 3, 20, "icarus"),
        (64, 39, 8, 20, "icarus"),
        pytest.param(7, 4, 7, 40, "icarus", marks=pytest.mark.slow),
        pytest.param(64, 51, 5, 40, "icarus", marks=pytest.mark.slow),
        pytest.param(64, 45, 2, 200, "verilator", marks=pytest.mark.slow),
        pytest.param(128, 92, 32, 20, "icarus", marks=pytest.mark.slow),
        pytest.param(128, 78, 2, 10, "icarus", marks=pytest.mark.slow),
        pytest.param(256, 155, 4, 4, "icarus", marks=pytest.mark.slow),
        pytest.param(256, 155, 27, 4, "icarus", marks=pytest.mark.slow),
    ],
)
def test_decode_bch_folded(tmp_path, bits, data_bits, cycles, words, simulator):
    code = Bch(bits, data_bits)
    p = {"N": bits, "K": data_bits, "M": code.m, "T": code.t, "EXTENDED": int(code.extended), "CYCLES": cycles}
    sources = rtl("decode_bch_folded", "delay", "delay_words")
    run_tb("hwflow_decode_bch_folded", sources, p, __name__, simulator, tmp_path, extra={"words": words})
