"""Types of more than 62 bits: against the ap_fixed headers, compiled, and sums of products against plain Python."""

import subprocess
from pathlib import Path

import hls4ml
import numpy as np
import pytest

from hwflow.emulation.exact import Exact, limited, tree_sum
from hwflow.emulation.products import Products, product_in_limbs
from hwflow.errors import HwflowError
from hwflow.fixed import FixedType, Overflow, Rounding
from hwflow.wide import WideType, assign, parse_type, reals

HEADERS = Path(hls4ml.__file__).parent / "templates" / "vivado" / "ap_types"
WORDS = 4
"""64-bit words in which the program reads and writes a code."""

PROGRAM = """\
#include "ap_fixed.h"
#include <cstdio>
template <class T> T get() { T x; if (fread(&x, sizeof x, 1, stdin) != 1) abort(); return x; }
template <class T> void put(T x) { fwrite(&x, sizeof x, 1, stdout); }
template <class T> T get_code() {
  ap_int<256> wide = 0;
  for (int i = 0; i < 4; i++) wide |= ap_int<256>(ap_uint<64>(get<unsigned long long>())) << (64 * i);
  T t; t.V = wide.V; return t;
}
template <class T> void put_code(const T& t) {
  ap_int<256> wide = 0; wide.V = t.V;
  for (int i = 0; i < 4; i++) put((unsigned long long)ap_uint<64>(wide >> (64 * i)));
}
template <class T> void encode() { for (int n = 0; n < ROWS; n++) { T t(get<double>()); put_code(t); } }
template <class T> void decode() {
  for (int n = 0; n < ROWS; n++) { T t = get_code<T>(); put(t.to_double()); put((double)t.to_float()); }
}
template <class T, class S> void cast() {
  for (int n = 0; n < ROWS; n++) { T t; t = get_code<S>(); put_code(t); }
}
"""
ROWS = 40


def random_type(rng: np.random.Generator, widths: tuple[int, int], modes: bool = True) -> FixedType:
    width = int(rng.integers(*widths))
    rounding, overflow = rng.choice(list(Rounding)), rng.choice(list(Overflow))
    chosen = f",{rounding.value},{overflow.value}" if modes else ""
    return parse_type(f"{rng.choice(['fixed', 'ufixed'])}<{width},{width - int(rng.integers(-5, width + 20))}{chosen}>")


def codes_of(type: FixedType, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Random codes of any magnitude, some with few bits set, some at the extremes."""
    low, high = (-(1 << (type.width - 1)), type.max_code) if type.signed else (0, type.max_code)
    codes = []
    for _ in range(int(np.prod(shape))):
        code = int.from_bytes(rng.bytes(WORDS * 8), "little") >> (WORDS * 64 - int(rng.integers(1, type.width + 1)))
        code = int(rng.choice(np.array([code, ~code, 1 << (code % type.width), low, high], dtype=object)))
        codes.append(min(max(code, low), high))
    return np.array(codes, dtype=object if type.width > 62 else np.int64).reshape(shape)


def packed(codes: np.ndarray) -> bytes:
    return b"".join(int(code).to_bytes(WORDS * 8, "little", signed=True) for code in codes)


def spelt(type: FixedType) -> str:
    """Without defaults of the modes, which ap_fixed_base lacks."""
    modes = f"AP_{type.rounding.value},AP_{type.overflow.value}"
    return f"ap_{'' if type.signed else 'u'}fixed<{type.width},{type.integer},{modes}>"


@pytest.mark.parametrize(("seed", "count"), [(1, 6), pytest.param(2, 60, marks=pytest.mark.slow)])
def test_conversions_against_the_headers(seed: int, count: int, tmp_path: Path) -> None:
    """Few types in the quick suite: each takes g++ a second."""
    rng = np.random.default_rng(seed)
    calls, request, expected = [], [], []
    for number in range(count):
        widths = [(63, 200), (63, 200)] if number % 2 else [(63, 200), (2, 63)]
        source, target = (random_type(rng, each) for each in rng.permutation(widths))
        codes = codes_of(source, (ROWS,), rng)
        calls.append(f"cast<{spelt(target)}, {spelt(source)}>();")
        request.append(packed(codes))
        expected.append(packed(Exact.of(codes, source).to(target)))
    for _ in range(count // 3):
        type = random_type(rng, (63, 200))
        values = rng.normal(size=ROWS) * 2.0 ** rng.integers(-type.fraction - 3, type.integer + 3, ROWS)
        calls.append(f"encode<{spelt(type)}>();")
        request.append(values.tobytes())
        expected.append(packed(type.encode(values)))
        type = type.with_(integer=int(rng.integers(type.width - 120, 120)))
        codes = codes_of(type, (ROWS,), rng)
        calls.append(f"decode<{spelt(type)}>();")
        request.append(packed(codes))
        expected.append(np.stack([type.decode(codes), reals(codes, type, np.float32)], 1).astype(np.float64).tobytes())
    source, binary = tmp_path / "wide.cpp", tmp_path / "wide"
    source.write_text(PROGRAM + "int main() {\n" + "\n".join(calls) + "\n}\n", encoding="utf-8")
    options = ["-std=c++17", "-O0", "-w", "-DNDEBUG", f"-DROWS={ROWS}", f"-I{HEADERS}"]
    subprocess.run(["g++", *options, source, "-o", binary], check=True, timeout=600)
    done = subprocess.run([binary], input=b"".join(request), capture_output=True, check=True, timeout=300)
    size = len(done.stdout)
    wrong, start = [], 0
    for call, part in zip(calls, expected, strict=True):
        wrong += [] if done.stdout[start : start + len(part)] == part else [call]
        start += len(part)
    assert wrong == []
    assert size == start


@pytest.mark.parametrize("seed", range(60))
def test_sums_of_products(seed: int) -> None:
    """Every way to sum against one Python number after the other."""
    rng = np.random.default_rng(seed)
    wide, narrow = (63, 130), (2, 63)
    data, weight = (random_type(rng, [wide, narrow][int(rng.integers(2))], modes=False) for _ in range(2))
    accum = random_type(rng, [wide, narrow][int(rng.integers(2))], modes=bool(rng.integers(2)))
    inputs, outputs = int(rng.integers(1, 6)), int(rng.integers(1, 4))
    grid, rows = codes_of(weight, (inputs, outputs), rng), codes_of(data, (3, inputs), rng)
    bias = Exact.of(codes_of(accum, (outputs,), rng), accum).to(accum.with_(overflow=Overflow.SAT))
    if accum.overflow is Overflow.SAT_SYM:
        bias = np.maximum(bias, accum.min_code)
    order = rng.permutation(inputs)
    expected = np.empty((3, outputs), dtype=object)
    fraction = data.fraction + weight.fraction
    for row, column in np.ndindex(expected.shape):
        total = int(bias[column])
        for index in order:
            product = int(rows[row, index]) * int(grid[index, column])
            total += int(assign(np.array(product, dtype=object), fraction, accum))
            total = int(assign(np.array(total, dtype=object), accum.fraction, accum))
        expected[row, column] = total
    sums = Products(data, grid, weight, bias, accum, order).sums()(rows)
    assert sums.dtype == (object if accum.width > 62 else np.int64)
    assert np.array_equal(sums, expected)


def test_long_sums_in_limbs() -> None:
    type = parse_type("fixed<70,6>")
    rows, grid = np.full((2, 3000), type.max_code), np.full((3000, 2), -(1 << 69))
    grid[:, 1] = type.max_code
    products = product_in_limbs(rows, 70, grid, 70)
    assert products[0].tolist() == [3000 * type.max_code * -(1 << 69), 3000 * type.max_code**2]


def test_numbers_grow_beyond_int64() -> None:
    number = Exact(np.array([3, -(1 << 39)]), 5, 40)
    assert (number * number).codes.tolist() == [9, 1 << 78]
    assert (number + Exact.integer(1 << 60)).codes.tolist() == [3 + (1 << 65), (1 << 65) - (1 << 39)]
    assert (number > Exact(np.array(1), 70, 2)).tolist() == [True, False]
    assert (number * number).over(-2).codes.tolist() == [-4, -(1 << 77)]
    with pytest.raises(HwflowError, match="640 bits"):
        Exact(np.array([1]), 0, 320) * Exact(np.array([1]), 0, 320)


def test_trees_and_limits() -> None:
    wide = parse_type("fixed<70,70,TRN,SAT>")
    codes = np.array([[1 << 68, 1 << 68, -5, 3]], dtype=object)
    assert tree_sum(codes, wide).tolist() == [(1 << 69) - 3]
    assert limited(np.array([1 << 62, -3]), parse_type("ufixed<66,0>")).tolist() == [1 << 62, (1 << 66) - 3]


def test_which_types_are_wide() -> None:
    assert type(parse_type("fixed<62,3>")) is FixedType
    assert type(parse_type("ufixed<63,3,RND,SAT>")) is WideType
    assert str(parse_type("ufixed<64,3,RND,SAT>")) == "ap_ufixed<64,3,AP_RND,AP_SAT>"
    for text, word in (
        ("fixed<513,3>", "512 bits"),
        ("fixed<99,-600>", "integer bits"),
        ("float", "not a fixed-point"),
    ):
        with pytest.raises(HwflowError, match=word):
            parse_type(text)
    with pytest.raises(HwflowError, match="float32"):
        reals(np.array([1], dtype=object), parse_type("fixed<200,40>"), np.float32)
    with pytest.raises(HwflowError, match="NaN"):
        parse_type("fixed<70,3>").encode(np.inf)
    with pytest.raises(HwflowError, match="integers"):  # never computed wrong
        FixedType(8, 8).cast(np.array([1 << 70], dtype=object), FixedType(63, 63))
