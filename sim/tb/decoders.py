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


async def check_words(
    dut, words: Sequence[int], width: int, expected: dict[str, list[list[int]]], latency: int, cycles: int, beats: int
) -> None:
    """Words in, each with some beats, whose outputs follow them by the latency; random enables and bubbles.

    Args:
        expected: outputs of each word's beats.
        latency: enabled cycles from a beat to its outputs.
        cycles: enabled cycles from a word to the next one, at least.
        beats: of a word at most. ``next_i`` asks for those after the first; the last ones may be left out.
    """
    rng = random.Random(cocotb.RANDOM_SEED)
    Clock(dut.clk_i, 10, unit="ns").start(start_high=False)
    await FallingEdge(dut.clk_i)
    line: list[tuple[int, int] | None] = [None] * latency
    seen = 0
    for index, word in enumerate([*words, *[0] * (latency // cycles + 1)]):
        busy = rng.random() < 0.7  # a word after the other, or with pauses
        used = rng.randint(min(cycles, beats), beats)
        passed = beat = 0
        while beat < used or passed < cycles or (not busy and rng.random() < 0.3):
            en = rng.random() < 0.8
            first = en and passed == 0
            further = en and 0 < beat < used and (busy or rng.random() < 0.5)
            dut.en_i.value, dut.start_i.value = int(en), int(first)
            dut.data_i.value = word if first else rng.getrandbits(width)
            if beats > 1:
                dut.next_i.value = int(further)
            await FallingEdge(dut.clk_i)
            if en:
                line = [*line[1:], (index, beat) if first or further else None]
                beat += first or further
                passed += 1
            if line[0] is not None and line[0][0] < len(words):
                index_now, beat_now = line[0]
                got = {name: int(getattr(dut, name).value) for name in expected}
                wanted = {name: each[index_now][beat_now] for name, each in expected.items()}
                assert got == wanted, f"word {words[index_now]:x}, beat {beat_now}"
                seen += en
    assert seen >= len(words)


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
