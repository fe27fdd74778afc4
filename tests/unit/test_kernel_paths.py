"""Which kernels are chosen, how they are built, and what their instructions compute."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from hwflow.errors import HwflowError
from hwflow.faults import chosen
from hwflow.files import compiled
from hwflow.files.leftovers import hidden
from hwflow.fixed import FixedType
from hwflow.memory import memories
from hwflow.reference import IntegerExecutor
from hwflow.reference.kernels import build, library
from hwflow.reference.kernels.library import (
    FLAGS,
    PATHS,
    PLAIN_VNNI,
    VARIABLE,
    KernelPath,
    compile_and_load,
    compiler_name,
)
from tests.unit.test_kernels import dense_graph

# Not where there is one and it refuses the kernels: that is what these tests are to find.
pytestmark = pytest.mark.skipif(shutil.which(compiler_name()) is None, reason=f"no C++ compiler {compiler_name()}")

BY_NAME = {path.name: path for path in PATHS}


@pytest.mark.parametrize("path", [path for path in PATHS if not path.missing], ids=lambda path: path.name)
def test_the_kernels_compile_and_multiply(path: KernelPath, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without them the reference falls back to NumPy, which every other test would take for well."""
    monkeypatch.setenv(VARIABLE, path.name)
    assert build().library is not None, build().note


@pytest.mark.parametrize("damage", ["truncated", "a bit", "empty", "foreign"])
def test_a_damaged_library_in_the_cache_is_built_again(
    damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(library, "FLAGS", [flag for flag in FLAGS if flag != "-O3"])
    monkeypatch.setattr(library, "sources", lambda: {library.SOURCE: b'extern "C" int answer() { return 42; }'})

    def answer() -> int:
        built = compile_and_load("g++", "portable C++", ())
        assert built.library is not None, built.note
        assert not built.note.endswith("not cached")
        return int(built.library.answer())

    assert answer() == 42
    (file,) = (tmp_path / "hwflow").iterdir()
    whole = file.read_bytes()
    bit = whole[:1000] + bytes([whole[1000] ^ 1]) + whole[1001:]
    damaged = {"truncated": whole[: len(whole) // 2], "a bit": bit, "empty": b"", "foreign": b"not a library"}[damage]
    file.unlink()  # the one that this process has mapped stays as it is
    file.write_bytes(damaged)
    leftover = hidden(file, "partial")
    leftover.mkdir()
    assert answer() == 42
    assert list((tmp_path / "hwflow").iterdir()) == [file]
    assert compiled.intact(file)


USES = """
#include "vectors.h"
namespace {
Vector words(Vector sum, const char* x, const char* w) { return dot_words(sum, unit(x), load(w)); }
#if defined(HWFLOW_BYTES)
Vector bytes(Vector sum, const char* x, const char* w) { return dot_bytes(sum, unit(x), load(w)); }
#endif
}
void use(const char* x, const char* w, int32_t* to) {
    store(to, words(same(1), x, w));
#if defined(HWFLOW_BYTES)
    store(to + 16, bytes(same(1), x, w));
#endif
}
"""


def instructions(path: KernelPath, folder: Path) -> set[str]:
    """The product instructions that a path's two operations compile to."""
    for name, content in library.sources().items():
        (folder / name).write_bytes(content)
    (folder / "use.cpp").write_text(USES)
    command = [shutil.which("g++"), "-O2", "-std=c++17", *path.flags, "-S", "-o", "-", str(folder / "use.cpp")]
    assembly = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"\b(?:vpdp|vpmadd|pmadd)\w+", assembly))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("vnni", {"vpdpbusd", "vpdpwssd"}),
        ("avxvnni", {"vpdpbusd", "vpdpwssd"}),
        ("avx512", {"vpmaddwd"}),
        ("avx2", {"vpmaddwd"}),
        ("portable", set()),
    ],
)
def test_no_path_uses_an_instruction_that_saturates(name: str, expected: set[str], tmp_path: Path) -> None:
    """vpdpbusds, vpdpwssds and vpmaddubsw would."""
    assert instructions(BY_NAME[name], tmp_path) == expected


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_every_path_compiles_wherever_there_is_a_compiler(path: KernelPath, tmp_path: Path) -> None:
    compiler = shutil.which("g++")
    assert compiler is not None
    library._compile(compiler, path.flags, library.sources(), tmp_path / "kernels.so")
    assert (tmp_path / "kernels.so").stat().st_size


SUM = "total += uint32_t(int32_t(inputs[j]) * int32_t(weights[count * i + j]));"
BROKEN = {
    # what vpmaddubsw does: the sum of two products of bytes saturates at 16 bits
    "pairs": """{
            const int32_t product = int32_t(inputs[j]) * int32_t(weights[count * i + j]);
            const int32_t before = j % 2 ? int32_t(inputs[j - 1]) * int32_t(weights[count * i + j - 1]) : 0;
            const int32_t both = before + product;
            total += uint32_t((sizeof(X) == 1 ? std::min(std::max(both, -32768), 32767) : both) - before);
        }""",
    # what vpdpbusds does: the sum saturates at 32 bits
    "sums": """{
            const int64_t sum = int64_t(int32_t(total)) + int32_t(inputs[j]) * int32_t(weights[count * i + j]);
            total = uint32_t(sizeof(X) == 1 ? std::min<int64_t>(sum, 2147483647) : sum);
        }""",
}


@pytest.mark.parametrize("fault", BROKEN)
def test_instructions_that_saturate_are_noticed(fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The self-check passes such a path over, the next one runs, and the note says why."""
    files = library.sources()
    assert files["vectors.h"].decode().count(SUM) == 1
    files["vectors.h"] = files["vectors.h"].replace(SUM.encode(), BROKEN[fault].encode())
    with monkeypatch.context() as patch:
        patch.setattr(library, "sources", lambda: files)
        patch.setattr(library, "FLAGS", [flag for flag in FLAGS if flag != "-O3"])
        patch.setenv("XDG_CACHE_HOME", str(tmp_path))
        broken = compile_and_load("g++", PLAIN_VNNI.kind, PLAIN_VNNI.flags)
    load = library.compile_and_load
    monkeypatch.setattr(library, "compile_and_load", lambda c, k, f: broken if f == PLAIN_VNNI.flags else load(c, k, f))
    monkeypatch.setattr(library, "PATHS", (PLAIN_VNNI, BY_NAME["portable"]))
    monkeypatch.delenv(VARIABLE, raising=False)
    library._build.cache_clear()
    try:
        graph = dense_graph(np.full((8, 2), 127), FixedType(8, 3, False))
        executor = IntegerExecutor(graph, engine="compiled")
        assert "kernels (portable C++" in executor.engine.note
        reason = "not AVX512-VNNI in plain C++: its 8-bit products differ from integer arithmetic"
        assert reason in executor.engine.note
        codes = np.full((3, 8), 255)
        np.testing.assert_array_equal(executor.run(codes), IntegerExecutor(graph, engine="numpy").run(codes))
        monkeypatch.setenv(VARIABLE, PLAIN_VNNI.name)
        with pytest.raises(HwflowError, match="there are no compiled kernels: its 8-bit products differ"):
            IntegerExecutor(graph, engine="compiled")
    finally:
        library._build.cache_clear()


def test_a_path_can_be_forced_and_a_wrong_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "plain-vnni")
    graph = dense_graph(np.ones((2, 2), dtype=np.int64), FixedType(8, 3))
    assert "int8 and int16 kernels (AVX512-VNNI in plain C++" in IntegerExecutor(graph).engine.note
    monkeypatch.setenv(VARIABLE, "fastest")
    with pytest.raises(HwflowError, match="HWFLOW_KERNELS=fastest is unknown; choose one of vnni, avxvnni, avx512,"):
        IntegerExecutor(graph)
    monkeypatch.setattr(library, "cpu_features", lambda: frozenset({"AVX2", "FMA3"}))
    monkeypatch.setenv(VARIABLE, "avx512")
    with pytest.raises(HwflowError, match="this processor has no AVX512F, AVX512BW, AVX512VL, AVX512DQ; unset it"):
        IntegerExecutor(graph)


def test_a_compiler_too_old_for_a_path_leaves_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    newest = KernelPath("newest", "Newest", (), ("-mno-such-instructions",))
    monkeypatch.setattr(library, "PATHS", (newest, BY_NAME["portable"]))
    library._build.cache_clear()
    try:
        built = build()
    finally:
        library._build.cache_clear()
    assert built.library is not None
    assert built.note.startswith("portable C++, ")
    assert "; not Newest: " in built.note
    assert "no-such-instructions" in built.note


def test_without_a_compiler_numpy_runs_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    graph = dense_graph(np.ones((2, 2), dtype=np.int64), FixedType(8, 3))
    executor = IntegerExecutor(graph)
    assert "NumPy" in executor.engine.note
    assert "no-such-compiler is not on the PATH" in executor.engine.note
    prefix = executor.clean_prefix(np.array([[3, 4]]))
    faults = chosen(memories(graph), [("fc.weight", 0, 2)], graph.digest)
    np.testing.assert_array_equal(prefix.run(faults), executor.run(np.array([[3, 4]]), faults))
    with pytest.raises(HwflowError, match="there are no compiled kernels"):
        IntegerExecutor(graph, engine="compiled")


def test_a_cache_that_cannot_be_written_costs_a_compilation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    built = compile_and_load("g++", "portable C++", ("-O1",))
    assert built.library is not None
    assert built.note.endswith("not cached")


def test_a_compiler_that_fails_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    built = compile_and_load("g++", "none", ("-fno-such-flag",))
    assert built.library is None
    assert "g++ fails" in built.note
    assert not list(tmp_path.glob("hwflow/*"))
    assert "-O3" in FLAGS
