"""What the commands print: tables, progress on a terminal, one-line errors, JSON."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from hwflow.errors import HwflowError
from hwflow.files.folders import write_json
from hwflow.progress import plain
from hwflow.version import __version__

if TYPE_CHECKING:
    from rich.console import RenderableType

# A pipe has no width; wide enough that no table is cut.
_PIPE_WIDTH = 140
_SPELLED = {"±": "+-"}

_lost: list[str] = []
"""Why standard output could not be written; a result in a file is still worth having, so the command goes on."""


class _Text(io.StringIO):
    """Text that rich draws for standard output."""

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Of standard output: where it knows no lines, boxes are drawn in ASCII."""
        return sys.stdout.encoding or "utf-8"


def open_streams(process: bool) -> None:
    """Make standard output and error usable, also where they are closed or know few characters.

    Args:
        process: whether they belong to this command alone.
    """
    _lost.clear()
    if not process:
        return
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # Else the next file to be opened became standard output, and was printed to.
            os.open(os.devnull, os.O_RDWR)
            if descriptor == 1:
                _lost.append("is closed")
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()


def _nowhere() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")


def lost_output() -> str | None:
    """Why standard output could not be written, if it could not."""
    return _lost[0] if _lost else None


def working_folder() -> None:
    """Refuse to work in a folder that was removed, where relative paths lead nowhere.

    Raises:
        HwflowError: the current folder is gone.
    """
    try:
        os.getcwd()
    except OSError as error:
        raise HwflowError("the current folder no longer exists; change to another one") from error


def print_error(message: str) -> None:
    """Print ``hwflow: error: ...`` on standard error, in one line."""
    with contextlib.suppress(OSError):  # there is nowhere else to say it
        print(f"hwflow: error: {plain(' '.join(message.split()))}", file=sys.stderr, flush=True)


def _print(content: RenderableType, **options: Any) -> None:
    """Print on standard output; if that fails, the command goes on without."""
    from rich.console import Console

    drawn, terminal = _Text(), sys.stdout.isatty()
    width = None if terminal else _PIPE_WIDTH
    Console(file=drawn, width=width, highlight=False, force_terminal=terminal).print(content, **options)
    text, encoding = drawn.getvalue(), drawn.encoding
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        for character, spelling in _SPELLED.items():
            text = text.replace(character, spelling)
        text = text.encode(encoding, "backslashreplace").decode(encoding)
    if _lost:
        return
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        _lost.append(error.strerror or str(error))
        # What is left in the buffer would fail once more when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; columns of numbers stand right-aligned."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(
        title=escape(plain(title)), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False
    )
    cells = [list(row) for row in rows]
    for index, column in enumerate(columns):
        numeric = all(_is_number(row[index]) for row in cells)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in cells:
        table.add_row(*(escape(plain(_text(cell))) for cell in row))
    _print(table)


def print_line(text: str) -> None:
    """Print one line of plain text; paths are not wrapped."""
    _print(plain(text), markup=False, soft_wrap=True)


def _is_number(cell: object) -> bool:
    """Whether a cell is a number, missing, or a formatted number."""
    return cell is None or isinstance(cell, int | float) or (isinstance(cell, str) and cell.lstrip("-")[:1].isdigit())


def _text(cell: object) -> str:
    return f"{cell:.4g}" if isinstance(cell, float) else "-" if cell is None else str(cell)


def save_json(path: Path | None, command: str, seed: int | None, data: Mapping[str, Any]) -> None:
    """Write a command's result, if a file was asked for."""
    if path is None:
        return
    write_json(path, {"command": command, "hwflow": __version__, "seed": seed, **data})
