"""The firmware's decoders of stored words are the storage codes of the reference, whatever bits flip."""

from __future__ import annotations

import ctypes
import subprocess
from importlib.resources import files

import numpy as np
import pytest

from hwflow.codes import CodeSpec, StorageCode, Words, storage_code
from hwflow.firmware.csim import FLAGS
from hwflow.firmware.storage import CPP_CODES
from hwflow.fixed import FixedType
from hwflow.resources import folder

TYPES = ("ap_fixed<8,3>", "ap_ufixed<7,2>", "ap_fixed<11,4>", "ap_fixed<22,2>", "ap_fixed<63,20>")
CODED = [
    pytest.param(storage_code(CodeSpec(name), FixedType.parse(type_)), id=f"{name}-{type_}")
    for name in ("secded", "secded-null")
    for type_ in TYPES
]
HARNESS = """
#include "hwflow_csim.h"
#include "hwflow_stored.h"

extern "C" void decode_{i}(long count, const unsigned char *words, long long *codes) {{
    typedef {code} code_t;
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
    codes = [case.values[0] for case in CODED]
    (made / "decoders.cpp").write_text(
        "\n".join(HARNESS.format(i=i, code=CPP_CODES[type(c)](c)) for i, c in enumerate(codes))
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


@pytest.mark.parametrize("code", CODED)
def test_decoders(code: StorageCode, library: ctypes.CDLL) -> None:
    """Clean words, all single and double errors, and random errors of three to six bits."""
    rng = np.random.default_rng(20261201)
    type_ = code.type  # type: ignore[attr-defined]  # of every code but the protocol
    first, second = np.triu_indices(code.bits, 1)
    errors = [np.zeros((50, 0), dtype=np.int64), np.arange(code.bits)[:, None], np.stack([first, second], axis=1)]
    errors += [np.argsort(rng.random((2000, code.bits)), axis=1)[:, :count] for count in range(3, 7)]
    for bits in errors:
        codes = rng.integers(type_.min_code, type_.max_code, (len(bits), code.weights_per_word), endpoint=True)
        words = flipped(code.encode(codes), bits)
        np.testing.assert_array_equal(decode(library, code, words), code.decode(words))
        if bits.shape[1] < 2:
            np.testing.assert_array_equal(code.decode(words), codes)
