"""What the commands print: tables, progress on a terminal, one-line errors, JSON."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwflow.errors import HwflowError
from hwflow.files import write_json
from hwflow.version import __version__

if TYPE_CHECKING:
    from rich.console import Console

# A pipe has no width; wide enough that no table is cut.
_PIPE_WIDTH = 140


@cache
def console() -> Console:
    """Standard output."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, highlight=False)


def print_error(message: str) -> None:
    """Print ``hwflow: error: ...`` on standard error, in one line."""
    print(f"hwflow: error: {' '.join(message.split())}", file=sys.stderr)


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; columns of numbers stand right-aligned."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(title), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    cells = [list(row) for row in rows]
    for index, column in enumerate(columns):
        numeric = all(_is_number(row[index]) for row in cells)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in cells:
        table.add_row(*(escape(_text(cell)) for cell in row))
    console().print(table)


def print_line(text: str) -> None:
    """Print one line of plain text; paths are not wrapped."""
    console().print(text, markup=False, soft_wrap=True)


def _is_number(cell: object) -> bool:
    """Whether a cell is a number, missing, or a formatted number."""
    return cell is None or isinstance(cell, int | float) or (isinstance(cell, str) and cell.lstrip("-")[:1].isdigit())


def _text(cell: object) -> str:
    return f"{cell:.4g}" if isinstance(cell, float) else "-" if cell is None else str(cell)


class Display:
    """A progress bar that names the current step."""

    def __init__(self, progress: Any, task: Any) -> None:
        self._progress = progress
        self._task = task

    def step(self, name: str) -> None:
        """Show what happens now, of unknown length."""
        self._progress.update(self._task, description=name, total=None)

    def advance(self, done: int, total: int, name: str) -> None:
        """Show that ``done`` of ``total`` are finished."""
        self._progress.update(self._task, description=name, completed=done, total=total)


@contextmanager
def display() -> Iterator[Display]:
    """A progress bar on standard error while the block runs; nothing at all when that is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    stderr = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=stderr, transient=True, disable=not stderr.is_terminal) as progress:
        yield Display(progress, progress.add_task("starting", total=None))


def check_json(path: Path | None) -> None:
    """Refuse a ``--json`` file that could not be written, before any long work.

    Raises:
        HwflowError: its folder is missing, or it is a folder itself.
    """
    if path is None:
        return
    if path.is_dir():
        raise HwflowError(f"--json {path}: is a folder; name a file")
    if not path.resolve().parent.is_dir():
        raise HwflowError(f"--json {path}: the folder {path.resolve().parent} does not exist; make it first")


def save_json(path: Path | None, command: str, seed: int | None, data: Mapping[str, Any]) -> None:
    """Write a command's result, if a file was asked for."""
    if path is None:
        return
    write_json(path, {"command": command, "hwflow": __version__, "seed": seed, **data})
