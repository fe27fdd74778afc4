"""The firmware's decoders of stored words are the storage codes of the reference, whatever bits flip."""

from __future__ import annotations

import ctypes
import re
import subprocess
from importlib.resources import files

import numpy as np
import pytest

from hwflow.codes import CodeSpec, StorageCode, Table, WordCode, Words, storage_code
from hwflow.codes.bch import Bch
from hwflow.codes.blocks import BlockCode
from hwflow.codes.flips import Flips, flip, ols
from hwflow.codes.layout import Layout
from hwflow.codes.registry import WordFamily, family_of
from hwflow.codes.words import pack, word_bytes
from hwflow.firmware.csim import FLAGS
from hwflow.firmware.storage import Stored
from hwflow.fixed import FixedType
from hwflow.resources import folder

TYPES = ("ap_fixed<8,3>", "ap_ufixed<7,2>", "ap_fixed<11,4>", "ap_fixed<22,2>", "ap_fixed<63,20>")
CODED = [
    pytest.param(storage_code(CodeSpec(name), FixedType.parse(type_)), id=f"{name}-{type_}")
    for name in ("secded", "secded-null")
    for type_ in TYPES
]


def tables(type_: FixedType, seed: int) -> Table:
    """A code through any table: codes of the type in any order, some of them more than once."""
    rng = np.random.default_rng([20261203, seed])
    codes = np.arange(type_.min_code, type_.max_code + 1)
    decoder = rng.permutation(codes) if seed % 2 == 0 else rng.choice(codes, len(codes))
    nearest = np.abs(decoder - codes[:, None]).argmin(axis=1)
    return Table("cosq", type_, decoder, nearest)


TABLE_TYPES = ("ap_fixed<8,3>", "ap_ufixed<7,2>", "ap_fixed<10,4>", "ap_fixed<2,1>", "ap_ufixed<1,1>")
CODED += [
    pytest.param(storage_code(CodeSpec(name), FixedType.parse(type_)), id=f"{name}-{type_}")
    for name in ("parity", "mset", "cep3")
    for type_ in ("ap_fixed<8,3>", "ap_ufixed<7,2>")
]
CODED += [
    pytest.param(storage_code(CodeSpec(name), FixedType(8, 3)), id=name) for name in ("zero-space", "value-aware")
]
CODED += [
    pytest.param(tables(FixedType.parse(type_), seed), id=f"cosq-{type_}-{seed}")
    for type_ in TABLE_TYPES
    for seed in range(2)
]


BLOCKS = {"bch": WordFamily(Bch), "flip": WordFamily(flip), "ols": WordFamily(ols)}


def labels(name: str, type_: FixedType) -> WordCode:
    """A word code of random tables: any weight code for any label, in doubt or not, and any label for any code."""
    rng = np.random.default_rng([20261204, *name.encode(), type_.width])
    shape, _ = BLOCKS[re.split(r"\d", name)[0]].shape(name, family_of(name)[1], type_)
    tables = {}
    for i, kind in enumerate(shape.kinds):
        tables[f"decoder{i}"] = rng.integers(type_.min_code, type_.max_code, 2 << kind.bits, endpoint=True)
        tables[f"encoder{i}"] = rng.integers(0, 1 << kind.bits, 1 << type_.width)
    code = storage_code(CodeSpec(name, tables), type_)
    assert isinstance(code, WordCode)
    return code


LABELS = (
    ("bch32-21", "ap_fixed<8,3>"),
    ("bch64-57", "ap_fixed<8,3>"),
    ("bch64-51", "ap_fixed<8,3>"),
    ("bch64-45", "ap_fixed<8,3>"),
    ("bch64-39", "ap_ufixed<8,2>"),
    ("bch64-40-32", "ap_fixed<8,3>"),  # bits of labels that are not protected
    ("bch64-39-31", "ap_fixed<8,3>"),  # with an overall parity below them
    ("bch64-36", "ap_fixed<4,1>"),  # no more than two and three bits of a label
    ("bch40-22", "ap_fixed<10,4>"),  # without an overall parity, as the next one
    ("bch60-27", "ap_fixed<5,2>"),
    ("bch70-49-44", "ap_fixed<7,2>"),  # words and labels that go on in the next 64 bits
    ("bch128-78", "ap_fixed<8,3>"),
    ("bch160-120-104", "ap_fixed<8,3>"),
    ("bch252-183", "ap_fixed<6,2>"),
    ("bch256-155", "ap_fixed<8,3>"),
    ("flip64-40-32", "ap_fixed<8,3>"),
    ("flip64-40-32", "ap_ufixed<8,2>"),  # the same block code again
    ("flip64-40-32-1", "ap_fixed<8,3>"),
    ("ols64-40-32", "ap_fixed<8,3>"),  # of the same size, in other checks
    ("flip70-49-44-2-3", "ap_fixed<7,2>"),  # words and labels that go on in the next 64 bits
    ("ols96-64", "ap_fixed<8,3>"),
    ("flip128-80-64", "ap_fixed<8,3>"),
    ("flip256-160-128-3-5", "ap_fixed<8,3>"),
    ("flip512-320-256-8-6", "ap_fixed<8,3>"),
)
CODED += [pytest.param(labels(name, FixedType.parse(type_)), id=f"{name}-{type_}") for name, type_ in LABELS]
HARNESS = """
#include "hwflow_csim.h"
#include "hwflow_stored.h"
#include "hwflow_words.h"

{definitions}
extern "C" void decode_{i}(long count, const unsigned char *words, long long *codes) {{
    typedef {decoder} code_t;
    const unsigned bytes = (code_t::word_t::width + 7) / 8;
    const long long first = 0;
    for (long n = 0; n < count; n++) {{
        code_t::word_t word = 0;
        hwflow::flip(&word, 1, &first, words + n * bytes);
        code_t::weight_t weights[code_t::weights_per_word];
        code_t::decode(word, weights);
        hwflow::store<code_t::weight_t, code_t::weights_per_word>(weights, codes + n * code_t::weights_per_word);
    }}
}}
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """Every code's decoder, ``decode_<place in CODED>``."""
    made = tmp_path_factory.mktemp("decoders")
    decoders = [Stored("", case.values[0], Layout(1, 1, 1), f"table_{i}") for i, case in enumerate(CODED)]
    (made / "decoders.cpp").write_text(
        "\n".join(
            HARNESS.format(i=i, definitions=each.definitions, decoder=each.decoder) for i, each in enumerate(decoders)
        )
    )
    includes = [folder("hls_templates") / "firmware", files("hls4ml") / "templates" / "vivado" / "ap_types"]
    command = ["g++", *FLAGS, *(f"-I{include}" for include in includes), "decoders.cpp", "-o", "decoders.so"]
    subprocess.run(command, cwd=made, check=True)
    return ctypes.CDLL(str(made / "decoders.so"))


def decode(library: ctypes.CDLL, code: StorageCode, words: Words) -> np.ndarray:
    codes = np.zeros((len(words), code.weights_per_word), dtype=np.int64)
    words = np.ascontiguousarray(words)
    place = [case.values[0] for case in CODED].index(code)
    arguments = ctypes.c_long(len(words)), ctypes.c_void_p(words.ctypes.data), ctypes.c_void_p(codes.ctypes.data)
    getattr(library, f"decode_{place}")(*arguments)
    return codes


def flipped(words: Words, bits: np.ndarray) -> Words:
    """Words with the bits ``(n, k)`` flipped, one word each."""
    words = words.copy()
    for column in bits.T:
        words[np.arange(len(words)), column // 8] ^= (1 << column % 8).astype(np.uint8)
    return words


@pytest.mark.parametrize("code", [case for case in CODED if isinstance(case.values[0], Table)])
def test_tables(code: Table, library: ctypes.CDLL) -> None:
    """Every word."""
    words = pack(np.arange(1 << code.bits)[:, None], code.bits)
    np.testing.assert_array_equal(decode(library, code, words)[:, 0], code.decoder)
    np.testing.assert_array_equal(code.decode(words)[:, 0], code.decoder)


@pytest.mark.parametrize("code", [case for case in CODED if not isinstance(case.values[0], Table | WordCode)])
def test_decoders(code: StorageCode, library: ctypes.CDLL) -> None:
    """Clean words, all single and double errors, and random errors of three to six bits."""
    rng = np.random.default_rng(20261201)
    type_ = code.type
    first, second = np.triu_indices(code.bits, 1)
    errors = [np.zeros((50, 0), dtype=np.int64), np.arange(code.bits)[:, None], np.stack([first, second], axis=1)]
    errors += [np.argsort(rng.random((2000, code.bits)), axis=1)[:, :count] for count in range(3, 7)]
    for bits in errors:
        codes = rng.integers(type_.min_code, type_.max_code, (len(bits), code.weights_per_word), endpoint=True)
        words = flipped(code.encode(codes), bits)
        np.testing.assert_array_equal(decode(library, code, words), code.decode(words))
        if bits.shape[1] < 2:
            np.testing.assert_array_equal(code.decode(words), codes)


def of_labels(block: type[BlockCode]) -> list[object]:
    """The word codes of a kind of block code."""
    words = ((case, case.values[0]) for case in CODED)
    return [case for case, code in words if isinstance(code, WordCode) and isinstance(code.block, block)]


def distorted(code: WordCode, count: int, rng: np.random.Generator) -> Words:
    """Words with so many flips: 200 in the codeword alone, where a code says what happens, and 200 anywhere."""
    codes = rng.integers(code.type.min_code, code.type.max_code, (400, code.weights_per_word), endpoint=True)
    flips = [np.argsort(rng.random((200, bits)), axis=1)[:, :count] for bits in (code.block.bits, code.bits)]
    return flipped(code.encode(codes), np.concatenate(flips))


def anything(code: WordCode, rng: np.random.Generator) -> Words:
    """Words of any bits."""
    words = rng.integers(0, 256, (4000, word_bytes(code.bits)), dtype=np.uint8)
    words[:, -1] &= 0xFF >> -code.bits % 8
    return words


@pytest.mark.parametrize("code", of_labels(Bch))
def test_block_decoders(code: WordCode, library: ctypes.CDLL) -> None:
    """Clean words, up to three flips more than are corrected, and any bits whatever."""
    rng = np.random.default_rng(20261205)
    block = code.block
    assert isinstance(block, Bch)
    detected, mistaken = [], 0
    for count in range(block.t + 4):
        words = distorted(code, count, rng)
        np.testing.assert_array_equal(decode(library, code, words), code.decode(words))
        known = code.detected(words)
        detected.append(int(known[:200].sum()))
        mistaken += int((~known[:200]).sum()) if count > block.t else 0
    assert not any(detected[: block.t + 1])
    assert detected[block.t + 1]
    assert mistaken or block.t > 4  # words within t flips of a wrong codeword are one in t! or fewer
    words = anything(code, rng)
    np.testing.assert_array_equal(decode(library, code, words), code.decode(words))


@pytest.mark.parametrize("code", of_labels(Flips))
def test_bit_flipping_decoders(code: WordCode, library: ctypes.CDLL) -> None:
    """Clean words, up to eight flips, and any bits whatever: a bit in doubt, or wrong, beside others that are not."""
    rng = np.random.default_rng(20261206)
    block = code.block
    detected = []
    for count in range(9):
        words = distorted(code, count, rng)
        np.testing.assert_array_equal(decode(library, code, words), code.decode(words))
        detected.append(int(code.detected(words).sum()))
    assert detected[0] == 0
    assert 0 < detected[8] <= 400
    words = anything(code, rng)
    np.testing.assert_array_equal(decode(library, code, words), code.decode(words))
    received = np.unpackbits(words, axis=1, count=block.bits, bitorder="little")
    data, doubtful = block.decode(received)
    assert (data != received[:, : block.data_bits]).any()
    assert (doubtful.any(axis=1) & ~doubtful.all(axis=1)).any()
