"""What the commands print: tables, progress on a terminal, one-line errors, JSON."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from hwflow.cli._layout import drawn as drawn_table
from hwflow.cli._layout import fit, wrapped
from hwflow.errors import HwflowError
from hwflow.files.folders import write_json
from hwflow.progress import plain
from hwflow.version import __version__

if TYPE_CHECKING:
    from rich.console import RenderableType

_SPELLED = {"±": "+-", "…": "~"}

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


def width() -> int:
    """Characters of a line: the terminal's, or what ``COLUMNS`` says; 80 where neither is."""
    from rich.console import Console

    return Console().width


def rendered(content: RenderableType, width: int | None = None, **options: Any) -> str:
    """What is to be written to standard output, in characters that it knows; styled if it is a terminal."""
    from rich.console import Console

    drawn = _Text()
    console = Console(file=drawn, width=width, highlight=False, force_terminal=sys.stdout.isatty())
    console.print(content, **options)
    text, encoding = drawn.getvalue(), drawn.encoding
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        for character, spelling in _SPELLED.items():
            text = text.replace(character, spelling)
        text = text.encode(encoding, "backslashreplace").decode(encoding)
    return text


def _print(content: RenderableType, width: int | None = None, **options: Any) -> None:
    """Print on standard output; if that fails, the command goes on without."""
    text = rendered(content, width, **options)
    if _lost:
        return
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        _lost.append(error.strerror or str(error))
        # What is left in the buffer would fail once more when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    spare: Sequence[str] = (),
    more: str = "--json FILE has all",
) -> None:
    """Print a table as wide as the terminal at most, see :mod:`hwflow.cli._layout`.

    Args:
        title: what stands above it.
        columns: headers.
        rows: cells; None is missing.
        spare: columns that may be left out where there is no room, the least important one first.
        more: where what is left out is to be found.
    """
    from rich.text import Text

    room = width()
    fitted = fit(columns, rows, room, spare)
    _print(Text("\n".join(wrapped(plain(title), room)), style="bold"), soft_wrap=True)
    _print(drawn_table(fitted), max(room, fitted.width))
    if fitted.note is not None:
        print_line(f"({room} columns: {fitted.note}; {more})")
    print_line("")


def print_line(text: str) -> None:
    """Print plain text: on a terminal broken between words, elsewhere in one line."""
    text = plain(text)
    if sys.stdout.isatty():
        text = "\n".join(wrapped(text, width()))
    _print(text, markup=False, soft_wrap=True)


def print_command(text: str) -> None:
    """Print a command to be copied: in one line, however long."""
    _print(f"  {plain(text)}", markup=False, soft_wrap=True)


def save_json(path: Path | None, command: str, seed: int | None, data: Mapping[str, Any]) -> None:
    """Write a command's result, if a file was asked for."""
    if path is None:
        return
    write_json(path, {"command": command, "hwflow": __version__, "seed": seed, **data})
