"""Choose the kernels for this processor, compile them at first use, and find them again later.

The library is named after a hash of everything that it depends on: source, flags (which name the machine
class, never the machine) and compiler. A cache shared by several machines thus holds one file for each.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from numpy.core._multiarray_umath import __cpu_features__  # of processor and system; NumPy itself dispatches on it

from hwflow.errors import HwflowError
from hwflow.files import compiled
from hwflow.files.cache import cache_folder
from hwflow.reference.kernels.check import wrong_products

SOURCE = "kernels.cpp"
VARIABLE = "HWFLOW_KERNELS"
"""Environment variable that forces one of ``PATHS``."""

FLAGS = (
    "-O3",
    "-std=c++17",
    "-shared",
    "-fPIC",
    "-pthread",
    # The kernels never look at errno or at floating-point exceptions; without these flags rounding is a call.
    "-fno-math-errno",
    "-fno-trapping-math",
    "-ffp-contract=off",
)
COMPILE_SECONDS = 120


@dataclass(frozen=True)
class Build:
    """The compiled library, or why there is none.

    Attributes:
        library: the loaded library.
        note: one line: machine class and compiler, or the reason.
    """

    library: ctypes.CDLL | None
    note: str


@dataclass(frozen=True)
class KernelPath:
    """One class of machines.

    Attributes:
        name: value of ``HWFLOW_KERNELS`` that forces it.
        kind: its name for the note.
        features: what the processor must have.
        flags: the flags that compile for it.
    """

    name: str
    kind: str
    features: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()

    @property
    def missing(self) -> tuple[str, ...]:
        """Features that this processor, or its operating system, lacks."""
        have = cpu_features()
        return tuple(feature for feature in self.features if feature not in have)


_AVX512 = ("AVX512F", "AVX512BW", "AVX512VL", "AVX512DQ", "FMA3")
_AVX512_FLAGS = ("-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mfma", "-mprefer-vector-width=512")
_AVX2_FLAGS = ("-mavx2", "-mfma")

PATHS = (
    KernelPath("vnni", "AVX512-VNNI", (*_AVX512, "AVX512VNNI"), (*_AVX512_FLAGS, "-mavx512vnni")),
    KernelPath("avxvnni", "AVX-VNNI", ("AVX2", "FMA3", "AVX_VNNI"), (*_AVX2_FLAGS, "-mavxvnni")),
    KernelPath("avx512", "AVX512", _AVX512, _AVX512_FLAGS),
    KernelPath("avx2", "AVX2", ("AVX2", "FMA3"), _AVX2_FLAGS),
    KernelPath("portable", "portable C++"),
)
"""From the fastest to the one that runs anywhere."""

PLAIN_VNNI = KernelPath("plain-vnni", "AVX512-VNNI in plain C++", (), ("-DHWFLOW_PLAIN_VNNI",))
"""What the first of ``PATHS`` does, its few instructions replaced by C++; runs anywhere, only where asked for."""


@cache
def cpu_features() -> frozenset[str]:
    """Features of this processor that its operating system lets programs use."""
    features = {name for name, there in __cpu_features__.items() if there}
    info = Path("/proc/cpuinfo")  # NumPy does not know AVX-VNNI
    if info.exists() and " avx_vnni" in info.read_text():
        features.add("AVX_VNNI")
    return frozenset(features)


def machine_class() -> str:
    """What of ``PATHS`` this processor could run: the fastest one's name for notes."""
    return next(path.kind for path in PATHS if not path.missing)


def build() -> Build:
    """Load the fastest kernels that this processor runs and that pass the self-check.

    Compiles them if this source was never compiled for their class of machines.

    Raises:
        HwflowError: ``HWFLOW_KERNELS`` names no path, or one that this processor cannot run.
    """
    return _build(compiler_name(), os.environ.get(VARIABLE, ""))


def compiler_name() -> str:
    """The C++ compiler that is asked for."""
    return os.environ.get("CXX") or "g++"


@cache
def _build(name: str, wanted: str) -> Build:
    compiler = shutil.which(name)
    if compiler is None:
        return Build(None, f"no C++ compiler ({name} is not on the PATH)")
    if wanted:
        return _load(compiler, _forced(wanted))
    passed_over: list[str] = []
    built = Build(None, "")
    for path in PATHS:
        if path.missing:
            continue
        built = _load(compiler, path)
        if built.library is not None:
            break
        passed_over.append(f"not {path.kind}: {built.note}")
    if built.library is None:
        return built
    return Build(built.library, "; ".join([built.note, *passed_over]))


def _forced(name: str) -> KernelPath:
    """The path that ``HWFLOW_KERNELS`` names."""
    paths = {path.name: path for path in (*PATHS, PLAIN_VNNI)}
    if name not in paths:
        raise HwflowError(f"{VARIABLE}={name} is unknown; choose one of {', '.join(paths)}")
    if paths[name].missing:
        raise HwflowError(f"{VARIABLE}={name}: this processor has no {', '.join(paths[name].missing)}; unset it")
    return paths[name]


def _load(compiler: str, path: KernelPath) -> Build:
    """The library of one path, if it multiplies as integers do."""
    built = compile_and_load(compiler, path.kind, path.flags)
    wrong = None if built.library is None else wrong_products(built.library)
    return built if wrong is None else Build(None, wrong)


def sources() -> dict[str, bytes]:
    """The source files of the library by name."""
    folder = resources.files(__package__)
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.name.endswith((".cpp", ".h"))}


def compile_and_load(
    compiler: str, kind: str, flags: tuple[str, ...], source: str = SOURCE, files: Mapping[str, bytes] | None = None
) -> Build:
    """The library for one machine class, from the cache or compiled into it.

    Args:
        compiler: path of a C++ compiler that takes g++'s options.
        kind: name of the machine class, for the note.
        flags: its compiler flags.
        source: the file to compile.
        files: that file and those that it includes; by default the kernels'.
    """
    files = sources() if files is None else files
    stem = Path(source).stem
    try:
        version = subprocess.run([compiler, "--version"], capture_output=True, timeout=COMPILE_SECONDS, check=True)
        version_line = version.stdout.decode(errors="replace").partition("\n")[0]
        named = [part for name in sorted(files) for part in (name.encode(), files[name])]
        parts = (*named, " ".join((*FLAGS, *flags)).encode(), version_line.encode())
        digest = hashlib.sha256(b"\0".join(parts)).hexdigest()[:20]
        note = f"{kind}, {version_line}"
        folder = cache_folder()
        library = None if folder is None else folder / f"{stem}-{digest}.so"
        kept = library is not None and compiled.intact(library)
        if library is not None and (kept or os.access(library.parent, os.W_OK)):
            if not kept:
                compiled.build(library, lambda made: _compile(compiler, flags, files, made, source))
            return Build(ctypes.CDLL(str(library)), note)
        # No writable cache: a private folder for this process, removed as soon as the library is mapped.
        with tempfile.TemporaryDirectory(prefix="hwflow-") as private:
            library = Path(private) / f"{stem}.so"
            _compile(compiler, flags, files, library, source)
            return Build(ctypes.CDLL(str(library)), f"{note}, not cached")
    except subprocess.CalledProcessError as error:
        reason = error.stderr.decode(errors="replace").strip().partition("\n")[0]
        return Build(None, f"{compiler} fails: {reason}")
    except (OSError, subprocess.TimeoutExpired) as error:
        return Build(None, f"the {stem} cannot be built: {error}")


def _compile(
    compiler: str, flags: tuple[str, ...], files: Mapping[str, bytes], library: Path, source: str = SOURCE
) -> None:
    with tempfile.TemporaryDirectory(prefix="hwflow-") as work:
        for name, content in files.items():
            (Path(work) / name).write_bytes(content)
        command = [compiler, *FLAGS, *flags, str(Path(work) / source), "-o", str(library)]
        subprocess.run(command, capture_output=True, timeout=COMPILE_SECONDS, check=True)
