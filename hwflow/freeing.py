"""Memory that was freed, back to the system."""

from __future__ import annotations

import ctypes
import gc
import sys


def give_back() -> None:
    """Give the system what the C library keeps of freed memory for later, if it is one that can: glibc.

    Worth it between steps that each take much and leave little.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
