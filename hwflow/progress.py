"""How whatever takes long tells what it does and how far it is."""

from __future__ import annotations

from collections.abc import Callable

Step = Callable[[str], None]
"""Called with what happens next, for a progress display."""


def silent(_: str) -> None:
    """Show no progress."""


Advance = Callable[[int, int, str], None]
"""Called with what is done, the total, and the name of the step."""


def no_progress(_done: int, _total: int, _name: str) -> None:
    """Show no progress."""
