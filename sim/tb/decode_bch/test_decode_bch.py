"""hwflow_decode_bch equals hwflow.codes.bch: words with no error to T + 3, and any word, under random enables."""

import cocotb
import numpy as np
import pytest
from common import parameters, rtl, run_tb
from decoders import check_block, upset

from hwflow.codes.bch import Bch

P = parameters()


async def check(dut, words, enabled: float) -> None:
    code = Bch(P["N"], P["K"])
    await check_block(dut, code, words, 2 * code.t + 5, enabled)


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
