"""Compile the kernels at first use, and find them again later.

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
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from numpy.core._multiarray_umath import __cpu_features__  # what NumPy itself dispatches on

SOURCE = "kernels.cpp"
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


def machine_flags() -> tuple[str, tuple[str, ...]]:
    """Name of the machine class that this processor belongs to, and the flags that compile for it."""
    if __cpu_features__.get("AVX2") and __cpu_features__.get("FMA3"):
        return "AVX2", ("-mavx2", "-mfma")
    return "portable C++", ()


@cache
def build() -> Build:
    """Load the kernels, compiling them if this source was never compiled for this machine class."""
    name = os.environ.get("CXX") or "g++"
    compiler = shutil.which(name)
    if compiler is None:
        return Build(None, f"no C++ compiler ({name} is not on the PATH)")
    kind, flags = machine_flags()
    return compile_and_load(compiler, kind, flags)


def compile_and_load(compiler: str, kind: str, flags: tuple[str, ...]) -> Build:
    """The library for one machine class, from the cache or compiled into it.

    Args:
        compiler: path of a C++ compiler that takes g++'s options.
        kind: name of the machine class, for the note.
        flags: its compiler flags.
    """
    source = resources.files(__package__).joinpath(SOURCE).read_bytes()
    try:
        version = subprocess.run([compiler, "--version"], capture_output=True, timeout=COMPILE_SECONDS, check=True)
        version_line = version.stdout.decode(errors="replace").partition("\n")[0]
        parts = (source, " ".join((*FLAGS, *flags)).encode(), version_line.encode())
        digest = hashlib.sha256(b"\0".join(parts)).hexdigest()[:20]
        note = f"{kind}, {version_line}"
        folder = _cache_folder()
        library = None if folder is None else folder / f"kernels-{digest}.so"
        if library is not None and (library.exists() or os.access(library.parent, os.W_OK)):
            if not library.exists():
                _compile(compiler, flags, source, library)
            return Build(ctypes.CDLL(str(library)), note)
        # No writable cache: a private folder for this process, removed as soon as the library is mapped.
        with tempfile.TemporaryDirectory(prefix="hwflow-") as private:
            library = Path(private) / "kernels.so"
            _compile(compiler, flags, source, library)
            return Build(ctypes.CDLL(str(library)), f"{note}, not cached")
    except subprocess.CalledProcessError as error:
        reason = error.stderr.decode(errors="replace").strip().partition("\n")[0]
        return Build(None, f"{compiler} fails: {reason}")
    except (OSError, subprocess.TimeoutExpired) as error:
        return Build(None, f"the kernels cannot be built: {error}")


def _cache_folder() -> Path | None:
    """The cache folder, if there is one or it can be made."""
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        folder = (Path(base) if base else Path.home() / ".cache") / "hwflow"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # RuntimeError: no home directory
        return None
    return folder


def _compile(compiler: str, flags: tuple[str, ...], source: bytes, library: Path) -> None:
    """Compile to a name of our own, then rename: a process that loads it at the same time sees all or nothing."""
    with tempfile.TemporaryDirectory(dir=library.parent, prefix=".build-") as work:
        path = Path(work) / SOURCE
        path.write_bytes(source)
        made = Path(work) / library.name
        command = [compiler, *FLAGS, *flags, str(path), "-o", str(made)]
        subprocess.run(command, capture_output=True, timeout=COMPILE_SECONDS, check=True)
        os.replace(made, library)
