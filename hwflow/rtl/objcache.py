"""Compiles as it is told, and keeps Verilator's own run-time library, which takes longer than a small design.

It is a program: ``python objcache.py FOLDER COMPILER ARGUMENT...``, which make starts in place of the compiler. What
the object of a library file depends on is hashed: the command line, the compiler, the source and the headers beside it.
It imports nothing of the package, because make starts it for every file.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

DIGEST_BYTES = hashlib.sha256().digest_size


def main(folder: Path, command: list[str]) -> int:
    """The exit status of the compiler, or 0 where the object is kept."""
    source, output = _source(command), _output(command)
    if source is None or output is None:
        return subprocess.run(command, check=False).returncode
    kept = folder / f"{output.stem}-{_key(command, source)}.o"
    content = _intact(kept)
    if content is not None:
        output.write_bytes(content)
        return 0
    status = subprocess.run(command, check=False).returncode
    if status == 0:
        _keep(kept, output.read_bytes())
    return status


def _source(command: list[str]) -> Path | None:
    """The file of Verilator's library that is compiled, if it is one."""
    sources = [Path(word) for word in command if word.endswith(".cpp")]
    library = len(sources) == 1 and sources[0].is_absolute() and sources[0].name.startswith("verilated")
    return sources[0] if library else None


def _output(command: list[str]) -> Path | None:
    return Path(command[command.index("-o") + 1]) if "-o" in command[:-1] and "-c" in command else None


def _key(command: list[str], source: Path) -> str:
    version = subprocess.run([command[0], "--version"], capture_output=True, check=False).stdout
    digest = hashlib.sha256("\0".join(command).encode() + version)
    for file in (source, *sorted(source.parent.glob("*.h"))):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:20]


def _intact(kept: Path) -> bytes | None:
    """A kept object, unless it was damaged."""
    try:
        content = kept.read_bytes()
    except OSError:
        return None
    body, digest = content[:-DIGEST_BYTES], content[-DIGEST_BYTES:]
    return body if hashlib.sha256(body).digest() == digest else None


def _keep(kept: Path, content: bytes) -> None:
    partial = kept.with_name(f".{kept.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(content + hashlib.sha256(content).digest())
        partial.replace(kept)
    except OSError:  # a full or read-only disk: nothing is kept
        partial.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
