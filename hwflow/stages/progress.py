"""How a stage tells what it does and how far it is."""

from __future__ import annotations

from collections.abc import Callable

Step = Callable[[str], None]
"""Called with what happens next, for a progress display."""


def silent(_: str) -> None:
    """Show no progress."""
