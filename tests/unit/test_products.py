"""Sums of products against a scalar model, and against hls4ml's own header compiled with random types."""

import subprocess
from pathlib import Path

import hls4ml
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwflow.emulation.exact import Exact, limited
from hwflow.emulation.products import Products, sum_of_remainders
from hwflow.fixed import FixedType, Overflow, Rounding

TEMPLATES = Path(hls4ml.__file__).parent / "templates" / "vivado"


def fixed_types(widths: st.SearchStrategy[int], modes: bool) -> st.SearchStrategy[FixedType]:
    return st.builds(
        lambda width, left, signed, rounding, overflow: FixedType(width, width - left, signed, rounding, overflow),
        widths,
        st.integers(-3, 14),
        st.booleans(),
        st.sampled_from(Rounding) if modes else st.just(Rounding.TRN),
        st.sampled_from(Overflow) if modes else st.just(Overflow.WRAP),
    )


def codes_of(type: FixedType, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Random codes, a fifth of them at the extremes."""
    low, high = type.with_(overflow=Overflow.WRAP).min_code, type.max_code
    codes = rng.integers(low, high, shape, dtype=np.int64, endpoint=True)
    return np.where(rng.random(shape) < 0.2, rng.choice(np.array([low, high]), shape), codes)


def scalar(products: Products, data: np.ndarray) -> np.ndarray:
    """The header's loop, one Python number after the other."""
    accum, fraction = products.accum, products.data.fraction + products.weight_type.fraction
    wide = FixedType(63, 63 - fraction)
    out = np.empty((len(data), products.weights.shape[1]), dtype=np.int64)
    for row, column in np.ndindex(out.shape):
        total = int(products.bias[column])
        for index in products.order:
            product = int(data[row, index]) * int(products.weights[index, column])
            total += int(accum.cast(np.array(product), wide))
            total = int(accum.cast(np.array(total), FixedType(63, 63 - accum.fraction)))
        out[row, column] = total
    return out


def make(data: FixedType, weight: FixedType, accum: FixedType, shape: tuple[int, int], seed: int) -> Products:
    rng = np.random.default_rng(seed)
    bias = codes_of(accum, (shape[1],), rng)
    if accum.overflow is Overflow.SAT_SYM:
        bias = np.maximum(bias, accum.min_code)
    return Products(data, codes_of(weight, shape, rng), weight, bias, accum, rng.permutation(shape[0]))


@settings(max_examples=120, deadline=None)
@given(
    data=fixed_types(st.integers(1, 18), modes=False),
    weight=fixed_types(st.integers(1, 18), modes=False),
    accum=fixed_types(st.integers(2, 30), modes=True),
    shape=st.tuples(st.integers(1, 9), st.integers(1, 4)),
    seed=st.integers(0, 1 << 30),
)
def test_any_types(data: FixedType, weight: FixedType, accum: FixedType, shape: tuple[int, int], seed: int) -> None:
    products = make(data, weight, accum, shape, seed)
    inputs = codes_of(data, (3, shape[0]), np.random.default_rng(seed + 1))
    assert np.array_equal(products.sums()(inputs), scalar(products, inputs))


@settings(max_examples=60, deadline=None)
@given(
    bits=st.integers(1, 31),
    rows=st.integers(1, 40),
    inputs=st.integers(1, 70),
    outputs=st.integers(1, 40),
    seed=st.integers(0, 1 << 30),
)
def test_remainders(bits: int, rows: int, inputs: int, outputs: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    data = rng.integers(-(1 << 20), 1 << 20, (rows, inputs))
    weights = rng.integers(-(1 << 20), 1 << 20, (inputs, outputs))
    expected = (data[:, :, None] * weights % (1 << bits)).sum(axis=1)
    assert np.array_equal(sum_of_remainders(data, weights, bits), expected)


@pytest.mark.parametrize("weight", [FixedType(16, 6), FixedType(30, 6), FixedType(44, 6)])
def test_long_sums_at_the_extremes(weight: FixedType) -> None:
    """Float64 alone, float64 in halves, and integers: 16-bit data whose sums pass every bound."""
    data, accum = FixedType(16, 6), FixedType(40, 12)
    grid = np.full((300, 2), weight.min_code)
    grid[:, 1] = weight.max_code
    products = Products(data, grid, weight, np.array([5, -7]), accum, np.arange(300))
    inputs = np.full((2, 300), data.min_code)
    inputs[1] = data.max_code
    assert np.array_equal(products.sums()(inputs), scalar(products, inputs))


def test_sums_modulo_two_to_the_64_wrap() -> None:
    assert limited(np.array([-(1 << 63), (1 << 63) - 1]), FixedType(8, 8)).tolist() == [0, -1]


HEADER_PROGRAM = """\
#include "hls_stream.h"
#include "ap_fixed.h"
#include "nnet_utils/nnet_dense.h"
#include <cstdio>
namespace nnet { bool trace_enabled; std::map<std::string, void *> *trace_outputs; size_t trace_type_size; }
template <class T> void get(T *x, int n) {
  for (long long i = 0, v; i < n; i++) { if (fread(&v, 8, 1, stdin) != 1) abort(); x[i].V = v; }
}
template <class X, class R, class C> void run() {
  static X x[C::n_in]; static R r[C::n_out];
  static typename C::weight_t w[C::n_in * C::n_out]; static typename C::bias_t b[C::n_out];
  get(w, C::n_in * C::n_out); get(b, C::n_out);
  for (int n = 0; n < ROWS; n++) {
    get(x, C::n_in);
    nnet::dense<X, R, C>(x, r, w, b);
    for (int i = 0; i < C::n_out; i++) { long long v = r[i].V.to_int64(); fwrite(&v, 8, 1, stdout); }
  }
}
"""
ROWS = 20


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow), pytest.param(3, marks=pytest.mark.slow)])
def test_random_types_against_the_header(seed: int, tmp_path: Path) -> None:
    """``nnet::dense`` itself, compiled with eight random sets of types, in both strategies."""
    rng = np.random.default_rng(seed)
    program, request, expected = [HEADER_PROGRAM], [], []
    for number in range(8):
        data, weight, bias, result = (_random_type(rng, 16) for _ in range(4))
        accum = _random_type(rng, 24)
        inputs, outputs, latency = int(rng.integers(1, 5)) * 3, int(rng.integers(1, 5)), number % 2 == 0
        kernel = "DenseLatency" if latency else "DenseResource_rf_leq_nin"
        program.append(
            f"struct c{number} : nnet::dense_config {{\n"
            f"  static const unsigned n_in = {inputs}, n_out = {outputs}, reuse_factor = {1 if latency else 3};\n"
            f"  typedef {accum} accum_t; typedef {weight} weight_t; typedef {bias} bias_t;\n"
            f"  template <class X, class R, class C> using kernel = nnet::{kernel}<X, R, C>;\n}};\n"
            f"void run{number}() {{ run<{data}, {result}, c{number}>(); }}"
        )
        grid, offsets = codes_of(weight, (inputs, outputs), rng), codes_of(bias, (outputs,), rng)
        rows = codes_of(data, (ROWS, inputs), rng)
        request += [(grid if latency else grid.T).tobytes(), offsets.tobytes(), rows.tobytes()]
        order = np.arange(inputs) if latency else np.arange(inputs).reshape(-1, 3).T.reshape(-1)
        sums = Products(data, grid, weight, Exact.of(offsets, bias).to(accum), accum, order).sums()
        expected.append(Exact.of(sums(rows), accum).to(result).reshape(-1))
    program.append("int main() { " + " ".join(f"run{number}();" for number in range(8)) + " }")
    source, binary = tmp_path / "dense.cpp", tmp_path / "dense"
    source.write_text("\n".join(program), encoding="utf-8")
    includes = [f"-I{TEMPLATES}", f"-I{TEMPLATES / 'ap_types'}", f"-I{TEMPLATES / 'nnet_utils'}"]
    options = ["-std=c++17", "-O0", "-w", "-DNDEBUG", f"-DROWS={ROWS}"]
    subprocess.run(["g++", *options, *includes, source, "-o", binary], check=True, timeout=600)
    done = subprocess.run([binary], input=b"".join(request), capture_output=True, check=True, timeout=300)
    actual = np.frombuffer(done.stdout, np.int64)
    assert np.array_equal(actual, np.concatenate(expected))


def _random_type(rng: np.random.Generator, widest: int) -> FixedType:
    width = int(rng.integers(2, widest))
    signed = bool(rng.random() < 0.7)
    rounding, overflow = rng.choice(list(Rounding)), rng.choice(list(Overflow))
    return FixedType(width, int(rng.integers(-2, 9)), signed, rounding, overflow)
