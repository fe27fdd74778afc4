"""How whatever takes long tells what it does and how far it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
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


class _Notebook:
    """A bar of HTML in a notebook, which needs IPython alone; it is gone when the work is done."""

    def __init__(self, first: str) -> None:
        from IPython.display import HTML, display

        self._html = HTML
        self._began = self._shown = time.monotonic()
        self._handle = display(HTML(self._bar(first, None, 0)), display_id=True)

    def update(self, _task: None, *, description: str, total: int | None, completed: int = 0) -> None:
        """Show how far it is, five times a second at most."""
        now = time.monotonic()
        if now - self._shown >= 0.2 or completed == total:
            self._shown = now
            self._handle.update(self._html(self._bar(description, total, completed)))

    def close(self) -> None:
        """Leave nothing behind."""
        self._handle.update(self._html(""))

    def _bar(self, description: str, total: int | None, completed: int) -> str:
        elapsed = time.monotonic() - self._began
        if not total:
            return f"{escape(description)} <progress></progress> {_clock(elapsed)}"
        left = f", {_clock(elapsed * (total - completed) / completed)} left" if completed else ""
        bar = f'<progress value="{completed}" max="{total}"></progress> {100 * completed // total} %'
        return f"{escape(description)} {bar} {_clock(elapsed)}{left}"


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


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
    if console.is_jupyter:
        notebook = _Notebook(first)
        try:
            yield Display(notebook, None)
        finally:
            notebook.close()
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield Display(progress, progress.add_task(first, total=None))
