"""How whatever takes long tells what it does and how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Step = Callable[[str], None]
"""Called with what happens next, for a progress display."""


def silent(_: str) -> None:
    """Show no progress."""


Advance = Callable[[int, int, str], None]
"""Called with what is done, the total, and the name of the step."""


def no_progress(_done: int, _total: int, _name: str) -> None:
    """Show no progress."""


def plain(text: str) -> str:
    """Text that moves no cursor: control characters, which a name in a file may hold, are spelled out."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


class Display:
    """A progress bar that names the current step; its methods are what functions take as ``step`` and ``advance``."""

    def __init__(self, progress: Any, task: Any) -> None:
        self._progress = progress
        self._task = task

    def step(self, name: str) -> None:
        """Show what happens now, of unknown length."""
        self._progress.update(self._task, description=plain(name), total=None)

    def advance(self, done: int, total: int, name: str) -> None:
        """Show that ``done`` of ``total`` are finished."""
        self._progress.update(self._task, description=plain(name), completed=done, total=total)


@contextmanager
def progress_bar(first: str = "starting") -> Iterator[Display]:
    """A bar with percentage and time left while the block runs: on a terminal's standard error, or in a notebook.

    Nothing at all where neither is. It is there at once, and so is best begun before slow imports.

    Args:
        first: what is done first.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    seen = console.is_terminal or console.is_jupyter
    with Progress(*columns, console=console, transient=True, disable=not seen) as progress:
        yield Display(progress, progress.add_task(first, total=None))
