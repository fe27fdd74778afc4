"""What a machine can hold: refused before memory is taken, for what takes too much of it is killed without a word."""

from __future__ import annotations

import os
from pathlib import Path

from hwflow.errors import HwflowError

GIB = 1 << 30
MAX_THREADS = 1024
"""More than any machine has cores."""


def check_memory(what: str, wanted: int) -> None:
    """Refuse work that does not fit into the memory that is free.

    Args:
        what: the option that asks for it, with its value.
        wanted: bytes, about.

    Raises:
        HwflowError: there is less.
    """
    free = free_memory()
    if wanted > free:
        raise HwflowError(
            f"{what}: needs about {wanted / GIB:.3g} GiB of memory, and {free / GIB:.3g} GiB are free; ask for less"
        )


def free_memory() -> int:
    """Bytes that can be taken without pushing anybody else's out."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) << 10
    except OSError:
        pass  # no Linux: all memory there is
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
