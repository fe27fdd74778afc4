"""Packages that libraries take along where they are installed, and a process of hwflow's own does without."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

_left_out: set[str] = set()


def leave_out(*packages: str) -> None:
    """Let no library take these packages along that is imported under :func:`without`.

    For a process that is hwflow's alone: a user's own code may want what the library makes of them.
    """
    _left_out.update(packages)


@contextmanager
def without() -> Iterator[None]:
    """Import as if the packages that are left out were not installed, unless they are imported already."""
    hidden = [name for name in sorted(_left_out) if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None refuses an import
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
