"""Compiled libraries that are kept: each ends with the hash of itself, and one that was damaged is built again.

A library that lost its end, because a disk was full or a machine went down, is mapped all the same, and the process
dies of a bus error where the end is used. What follows its sections is nothing to the loader of an ELF file.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from hwflow.files.leftovers import partial_folder, remove_leftovers, remove_tree

_DIGEST_BYTES = hashlib.sha256().digest_size


def intact(library: Path) -> bool:
    """Whether the file is there, and is what :func:`build` has put there."""
    try:
        content = library.read_bytes()
    except FileNotFoundError:
        return False
    body, digest = content[:-_DIGEST_BYTES], content[-_DIGEST_BYTES:]
    return hashlib.sha256(body).digest() == digest


def build(library: Path, compile_to: Callable[[Path], None]) -> None:
    """Build a library and put it in its place, whole, whoever else builds or loads it at the same time.

    Args:
        library: where it goes; its folder exists.
        compile_to: writes it to the path that it is given.

    Raises:
        OSError: it cannot be written.
    """
    remove_leftovers(library)
    # In a folder, because a linker makes its file anew, without the lock of one that is there.
    with partial_folder(library) as work:
        try:
            made = work / library.name
            compile_to(made)
            with made.open("r+b") as file:
                digest = hashlib.file_digest(file, "sha256").digest()
                file.seek(0, os.SEEK_END)
                file.write(digest)
            os.replace(made, library)
        finally:
            remove_tree(work)
