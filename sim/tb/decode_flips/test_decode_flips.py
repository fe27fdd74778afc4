"""hwflow_decode_flips equals hwflow.codes.flips: any number of errors, and any word, under random enables."""

import cocotb
import numpy as np
import pytest
from common import parameters, rtl, run_tb
from decoders import check_block, upset

from hwflow.codes.flips import Flips, flip, ols
from hwflow.rtl.decoders import flips_parameters

P = parameters()


def code() -> Flips:
    """The code that is built."""
    return {"flip": flip, "ols": ols}[P["family"]](*P["sizes"])


async def check(dut, code: Flips, words, enabled: float) -> None:
    await check_block(dut, code, words, P["PASSES"] + 3, enabled)


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
