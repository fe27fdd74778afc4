"""`hwflow.fixed` against the ap_fixed headers that hls4ml ships, compiled with g++, code by code.

Template instantiation is what costs here (about 20 ms each). So the fast tests encode and decode
every type of up to 4 bits in rotating integer positions and cast into every type of up to 5 bits
from a seeded choice of sources; the slow ones take every combination.
"""

import itertools
import os
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import hls4ml
import numpy as np
import pytest

from hwflow.fixed import FixedType, Overflow, Rounding

HEADERS = Path(hls4ml.__file__).parent / "templates" / "vivado" / "ap_types"
MODES = list(itertools.product(Rounding, Overflow))
SPECIAL = [0.0, -0.0, 5e-324, -5e-324, 1e-300, -1e-300, 1e300, -1e300, np.finfo(float).max]

# Each job reads its number of inputs and the inputs from stdin and writes as many outputs.
PRELUDE = """\
#include "ap_fixed.h"
#include <cstdio>
template <class T> T get() { T x; if (fread(&x, sizeof x, 1, stdin) != 1) abort(); return x; }
template <class T> void put(T x) { fwrite(&x, sizeof x, 1, stdout); }
template <class T> void put_code(const T& t) { put<long long>(t.V.to_int64()); }
template <class T> void encode() {
  for (long long n = get<long long>(); n--;) { T t(get<double>()); put_code(t); }
}
template <class T> void decode() {
  for (long long n = get<long long>(); n--;) { T t; t.V = get<long long>(); put(t.to_double()); }
}
template <class T, class S> void cast() {
  for (long long n = get<long long>(); n--;) { S s; s.V = get<long long>(); T t; t = s; put_code(t); }
}
"""


OPTIONS = ["-std=c++11", "-O0", "-w", f"-I{HEADERS}"]
OPTIONS += ["-DNDEBUG"]  # the headers' assertions forbid rounding away all of a source's bits


@dataclass(frozen=True)
class Job:
    """One C++ instantiation with its inputs, and what hwflow makes of them."""

    call: str
    inputs: np.ndarray
    expected: np.ndarray


def cpp(fixed: FixedType) -> str:
    """ap_fixed's base class: the same arithmetic, compiled in two thirds of the time."""
    signed = "true" if fixed.signed else "false"
    modes = f"AP_{fixed.rounding.value},AP_{fixed.overflow.value}"
    return f"ap_fixed_base<{fixed.width},{fixed.integer},{signed},{modes},0>"


def encode_job(target: FixedType, values: np.ndarray) -> Job:
    return Job(f"encode<{cpp(target)}>()", values, target.encode(values))


def decode_job(source: FixedType, codes: np.ndarray) -> Job:
    return Job(f"decode<{cpp(source)}>()", codes, source.decode(codes))


def cast_job(target: FixedType, source: FixedType, codes: np.ndarray, spell=cpp) -> Job:
    return Job(f"cast<{spell(target)}, {spell(source)}>()", codes, target.cast(codes, source))


def all_codes(fixed: FixedType) -> np.ndarray:
    first = -(1 << (fixed.width - 1)) if fixed.signed else 0
    return np.arange(first, first + (1 << fixed.width), dtype=np.int64)


def probing_values(fixed: FixedType) -> np.ndarray:
    """Every quarter of an LSB over more than twice the range, both neighbours of each tie, extremes."""
    reach = 2 << fixed.width
    quarters = np.arange(-4 * reach, 4 * reach + 1) / 4
    ties = np.arange(-2 * reach, 2 * reach + 1) / 2
    steps = np.concatenate([quarters, np.nextafter(ties, np.inf), np.nextafter(ties, -np.inf)])
    return np.concatenate([np.ldexp(steps, -fixed.fraction), SPECIAL])


def small_types(widths: Iterable[int], modes: Sequence = MODES) -> Iterator[FixedType]:
    """All types of these widths with integer = width, i.e. LSB 1."""
    for width, signed, (rounding, overflow) in itertools.product(widths, (True, False), modes):
        yield FixedType(width, width, signed, rounding, overflow)


@pytest.fixture(scope="module")
def prelude(tmp_path_factory) -> Path:
    """The headers, precompiled: 2 s less for every program."""
    header = tmp_path_factory.mktemp("ap_types") / "prelude.h"
    header.write_text(PRELUDE, encoding="utf-8")
    subprocess.run(["g++", *OPTIONS, "-x", "c++-header", header, "-o", f"{header}.gch"], check=True, timeout=300)
    return header


def disagreements(jobs: Sequence[Job], prelude: Path, folder: Path) -> list[str]:
    """Compile and run the jobs, one program a processor; what the headers compute differently."""
    processes = os.cpu_count() or 1
    size = min(800, -(-len(jobs) // processes))
    parts = [jobs[start : start + size] for start in range(0, len(jobs), size)]
    with ThreadPoolExecutor(processes) as pool:
        programs = [folder / f"part{number}" for number in range(len(parts))]
        outputs = pool.map(_run, parts, itertools.repeat(prelude), programs)
        return [line for part, output in zip(parts, outputs, strict=True) for line in _compare(part, output)]


def _run(jobs: Sequence[Job], prelude: Path, program: Path) -> bytes:
    source = program.with_suffix(".cpp")
    calls = "\n".join(f"  {job.call};" for job in jobs)
    source.write_text(f"int main() {{\n{calls}\n}}\n", encoding="utf-8")
    subprocess.run(["g++", *OPTIONS, "-include", prelude, source, "-o", program], check=True, timeout=300)
    data = b"".join(np.int64(job.inputs.size).tobytes() + job.inputs.tobytes() for job in jobs)
    return subprocess.run([program], input=data, capture_output=True, check=True, timeout=300).stdout


def _compare(jobs: Sequence[Job], output: bytes) -> Iterator[str]:
    assert len(output) == 8 * sum(job.inputs.size for job in jobs)
    start = 0
    for job in jobs:
        actual = np.frombuffer(output, job.expected.dtype, job.inputs.size, start)
        start += actual.nbytes
        for i in np.flatnonzero(actual != job.expected)[:3]:
            yield f"{job.call}: {job.inputs[i]!r} gives {actual[i]}, hwflow says {job.expected[i]}"


def test_encode_and_decode_small_types(prelude, tmp_path):
    jobs = []
    positions = itertools.cycle([-2, 0, 1, 2, 5])  # integer bits; five, so that each mode meets each
    for fixed in small_types(range(1, 5)):
        moved = fixed.shifted(next(positions) - fixed.width)
        jobs.append(encode_job(moved, probing_values(moved)))
    for fixed in small_types(range(1, 6), modes=MODES[:1]):
        for position in (-2, 0, 1, 2, 5, 8):
            moved = fixed.shifted(position - fixed.width)
            jobs.append(decode_job(moved, all_codes(moved)))
    assert disagreements(jobs, prelude, tmp_path) == []


def test_cast_into_small_types(prelude, tmp_path):
    rng = np.random.default_rng(1)
    sources = list(small_types(range(1, 6), modes=MODES[:1]))
    jobs = []
    for target in small_types(range(1, 6)):
        moved = sources[rng.integers(len(sources))].shifted(int(rng.integers(-7, 7)))
        jobs.append(cast_job(target, moved, all_codes(moved)))
    assert disagreements(jobs, prelude, tmp_path) == []


def test_wide_types(prelude, tmp_path):
    """Accumulator to activation, and the widest types: random and extreme codes."""
    rng = np.random.default_rng(2)
    jobs = []
    widths = [8, 16, 24, 31, 32, 33, 48, 53, 54, 61, 62, 63]
    for number, (rounding, overflow) in enumerate(MODES):
        source = FixedType(int(rng.choice(widths)), int(rng.integers(-4, 70)), bool(number & 1))
        target = FixedType(int(rng.choice(widths)), int(rng.integers(-4, 70)), bool(number & 2), rounding, overflow)
        low, high = (source.min_code, source.max_code)
        codes = rng.integers(low, high, 500, endpoint=True)
        codes[:100] >>= rng.integers(0, 63, 100)
        codes[100:104] = low, high, 0, 1
        jobs.append(cast_job(target, source, codes))
        jobs.append(decode_job(source, codes))
        values = np.ldexp(rng.normal(size=500), rng.integers(-70, 140, 500))
        jobs.append(encode_job(target, np.concatenate([values, source.decode(codes), SPECIAL])))
    assert disagreements(jobs, prelude, tmp_path) == []


def test_equal_types_copy_bits(prelude, tmp_path):
    """ap_fixed itself, not its base: an assignment between equal types is a copy."""
    types = [fixed.shifted(-1) for fixed in small_types([3], [(r, o) for r, o in MODES if r is Rounding.RND])]
    jobs = [cast_job(fixed, fixed, all_codes(fixed), spell=str) for fixed in types]
    jobs += [cast_job(fixed, fixed.with_(rounding=Rounding.TRN), all_codes(fixed), spell=str) for fixed in types]
    assert disagreements(jobs, prelude, tmp_path) == []


def test_comparison_can_fail(prelude, tmp_path):
    """A planted wrong rounding mode is seen."""
    wrong = FixedType(4, 2, True, Rounding.RND)
    job = encode_job(wrong.with_(rounding=Rounding.TRN), probing_values(wrong))
    planted = Job(f"encode<{cpp(wrong)}>()", job.inputs, job.expected)
    assert disagreements([planted], prelude, tmp_path)


@pytest.mark.slow
def test_encode_all_small_types(prelude, tmp_path):
    moved = [fixed.shifted(k - fixed.width) for fixed in small_types(range(1, 6)) for k in (-9, -2, 0, 1, 2, 5, 9)]
    assert disagreements([encode_job(fixed, probing_values(fixed)) for fixed in moved], prelude, tmp_path) == []


@pytest.mark.slow
def test_cast_all_small_types(prelude, tmp_path):
    sources = list(small_types(range(1, 6), modes=MODES[:1]))
    jobs = [
        cast_job(target, source.shifted(k), all_codes(source))
        for target, source, k in itertools.product(small_types(range(1, 6)), sources, range(-6, 7))
    ]
    assert disagreements(jobs, prelude, tmp_path) == []
