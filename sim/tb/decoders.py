"""What the benches of decoders share: codewords with wrong bits, and a word in and out each enabled cycle."""

import random
from collections.abc import Sequence

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

from hwflow.codes.blocks import Bits, BlockCode
from hwflow.codes.words import to_integers


def integers(bits: Bits) -> list[int]:
    """Rows of bits, the least significant first."""
    return to_integers(np.packbits(bits, axis=1, bitorder="little"))


def upset(rng: np.random.Generator, code: BlockCode, errors: int, count: int) -> Bits:
    """Codewords with so many wrong bits each."""
    data = rng.integers(0, 2, (count, code.data_bits), dtype=np.uint8)
    words = np.concatenate([data, code.checks(data)], axis=1)
    for word in words:
        word[rng.choice(code.bits, errors, replace=False)] ^= 1
    return words


async def check_block(dut, code: BlockCode, words: Bits, latency: int, enabled: float) -> None:
    """Data and doubt of a block decoder are those of its code."""
    data, doubtful = code.decode(words)
    expected = {"data_o": integers(data), "doubt_o": integers(doubtful)}
    await check_pipeline(dut, integers(words), code.bits, expected, latency, enabled)


async def check_pipeline(
    dut, words: Sequence[int], width: int, expected: dict[str, list[int]], latency: int, enabled: float
) -> None:
    """Words in, what is expected out, one an enabled cycle; outputs hold in the others."""
    rng = random.Random(cocotb.RANDOM_SEED)
    sent = [*words, *[0] * latency]
    Clock(dut.clk_i, 10, unit="ns").start(start_high=False)
    shown = 0
    await FallingEdge(dut.clk_i)
    while shown < len(sent):
        en = rng.random() < enabled
        dut.en_i.value = int(en)
        dut.data_i.value = sent[shown] if en else rng.getrandbits(width)
        await FallingEdge(dut.clk_i)
        shown += en
        if latency <= shown < len(sent):
            got = {name: int(getattr(dut, name).value) for name in expected}
            assert got == {name: each[shown - latency] for name, each in expected.items()}, (
                f"word {sent[shown - latency]:x}"
            )
