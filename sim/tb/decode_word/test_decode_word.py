"""hwflow_decode_word equals hwflow.codes.WordCode with random tables, for every number of wrong bits in a word."""

import cocotb
import numpy as np
import pytest
from common import parameters, rtl, run_tb
from decoders import check_pipeline, check_words

from hwflow.codes import CodeSpec, WordCode, storage_code
from hwflow.codes.bch import Bch
from hwflow.codes.registry import family_of
from hwflow.codes.word import Shape
from hwflow.codes.words import pack, to_integers
from hwflow.fixed import FixedType
from hwflow.rtl.decoders import word_latency, word_parameters
from hwflow.rtl.memory_image import label_tables

P = parameters()


def random_code(name: str, width: int) -> WordCode:
    """A storage code with a random weight code for every label, in doubt or not."""
    type_, rng = FixedType(width, width), np.random.default_rng(len(name))
    _, (bits, labels, *protected) = family_of(name)
    tables = {}
    for i, kind in enumerate(Shape.of(name, bits, labels, (protected or [labels])[0], width).kinds):
        tables[f"decoder{i}"] = rng.integers(type_.min_code, type_.max_code + 1, 2 << kind.bits)
        tables[f"encoder{i}"] = rng.integers(0, 1 << kind.bits, 1 << width)
    code = storage_code(CodeSpec(name, tables), type_)
    assert isinstance(code, WordCode)
    return code


def upset(rng: np.random.Generator, code: WordCode, count: int):
    """Stored words, so many each with no wrong bit, with one and so on to three more than a BCH code corrects."""
    type_, most = code.type, code.block.t + 3 if isinstance(code.block, Bch) else code.bits // 8
    codes = rng.integers(type_.min_code, type_.max_code + 1, (count * (most + 1), code.weights_per_word))
    bits = np.unpackbits(code.encode(codes), axis=1, count=code.bits, bitorder="little")
    for i, word in enumerate(bits):
        word[rng.choice(code.bits, i // count, replace=False)] ^= 1
    return rng.permutation(np.packbits(bits, axis=1, bitorder="little"))


@cocotb.test()
@cocotb.parametrize(enabled=[1.0, 0.6])
async def wrong_bits(dut, enabled):
    code = random_code(P["code"], P["W_W"])
    words = upset(np.random.default_rng(cocotb.RANDOM_SEED), code, P["words"])
    assert 0 < code.detected(words).sum() < len(words)
    codes, stored, beats = code.decode(words), to_integers(words), code.weights_per_word // P["LANES"]
    latency = word_latency(code, beats, P["CYCLES"])
    if beats == 1:
        expected = {"data_o": to_integers(pack(codes, code.type.width))}
        await check_pipeline(dut, stored, code.bits, expected, latency, enabled)
    else:
        of_beats = to_integers(pack(codes.reshape(len(words) * beats, P["LANES"]), code.type.width))
        by_word = {"data_o": [of_beats[i : i + beats] for i in range(0, len(of_beats), beats)]}
        await check_words(dut, stored, code.bits, by_word, latency, P["CYCLES"], beats)


@pytest.mark.parametrize(
    ("name", "width", "lanes", "cycles", "words", "simulator"),
    [
        ("bch32-22-16", 8, 4, 1, 40, "verilator"),
        ("bch64-45", 8, 8, 1, 20, "icarus"),
        ("bch64-40-32", 8, 8, 1, 20, "icarus"),
        ("bch64-46-45", 8, 8, 1, 20, "icarus"),
        ("bch60-41", 10, 6, 1, 20, "icarus"),
        ("bch128-78", 8, 16, 1, 4, "icarus"),
        ("flip64-40-32", 8, 8, 1, 20, "icarus"),
        ("ols64-44-25-2", 8, 8, 1, 20, "icarus"),
        ("bch64-45", 8, 1, 8, 20, "icarus"),
        ("bch64-45", 8, 2, 3, 20, "icarus"),
        ("bch60-41", 10, 3, 2, 20, "icarus"),
        ("flip64-40-32", 8, 2, 4, 20, "icarus"),
        pytest.param("bch64-46-45", 8, 4, 1, 10, "icarus", marks=pytest.mark.slow),
        pytest.param("bch128-78", 8, 1, 16, 4, "icarus", marks=pytest.mark.slow),
        pytest.param("flip256-160-128-3-5", 8, 32, 1, 4, "icarus", marks=pytest.mark.slow),
        pytest.param("bch256-155", 8, 32, 1, 2, "icarus", marks=pytest.mark.slow),
        pytest.param("bch256-155", 8, 8, 4, 2, "icarus", marks=pytest.mark.slow),
    ],
)
def test_decode_word(tmp_path, name, width, lanes, cycles, words, simulator):
    code = random_code(name, width)
    path = tmp_path / "table.hex"
    path.write_text("".join(f"{entry & (1 << width) - 1:x}\n" for entry in label_tables(code).tolist()))
    p = {**word_parameters(code), "W_W": width, "LANES": lanes, "CYCLES": cycles, "TABLE_FILE": f'"{path}"'}
    modules = ("decode_word", "decode_bch", "decode_bch_folded", "decode_flips", "decode_table", "delay", "delay_words")
    run_tb("hwflow_decode_word", rtl(*modules), p, __name__, simulator, tmp_path, extra={"code": name, "words": words})
