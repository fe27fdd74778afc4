"""Tables that fit a terminal: headers are folded, then columns left out, then long words shortened. No row wraps."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hwflow.progress import plain

if TYPE_CHECKING:
    from rich.table import Table

GAP = 2
"""Spaces between columns."""
_LINES = 3  # of a header
_SHORTEST = 8  # characters that a shortened cell keeps


@dataclass(frozen=True)
class Fitted:
    """A table as it fits.

    Attributes:
        columns: headers of the columns that are shown.
        rows: their cells, as text.
        widths: of the columns, characters.
        left_out: headers of the columns that are not.
        shortened: whether cells are.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    widths: tuple[int, ...]
    left_out: tuple[str, ...]
    shortened: bool

    @property
    def width(self) -> int:
        """Characters of a row."""
        return _total(self.widths)

    @property
    def note(self) -> str | None:
        """What is not shown, if anything."""
        parts = [f"{', '.join(self.left_out)} left out"] if self.left_out else []
        parts += ["names shortened"] if self.shortened else []
        return "; ".join(parts) or None


def fit(columns: Sequence[str], rows: Iterable[Sequence[object]], width: int, spare: Sequence[str] = ()) -> Fitted:
    """Lay a table out.

    Args:
        columns: headers.
        rows: cells; None is missing.
        width: characters that a row may take.
        spare: headers of columns that may be left out, the least important one first.
    """
    cells = [tuple(text(cell) for cell in row) for row in rows]
    kept, left_out = list(range(len(columns))), []
    waiting = [each for each in spare if each in columns]
    while (widths := _widths([columns[at] for at in kept], [[row[at] for at in kept] for row in cells], width)) is None:
        if not waiting:
            break
        left_out.append(waiting.pop(0))
        kept.remove(columns.index(left_out[-1]))
    shown = [tuple(row[at] for at in kept) for row in cells]
    headers = tuple(columns[at] for at in kept)
    if widths is not None:
        return Fitted(headers, tuple(shown), widths, tuple(left_out), False)
    widths = _squeezed(headers, shown, width)
    short = (tuple(shorten(cell, room) for cell, room in zip(row, widths, strict=True)) for row in shown)
    return Fitted(headers, tuple(short), widths, tuple(left_out), True)


def drawn(fitted: Fitted) -> Table:
    """A table for rich; columns of numbers stand right-aligned."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, GAP - 1, 0, 0), show_edge=False)
    for at, (column, width) in enumerate(zip(fitted.columns, fitted.widths, strict=True)):
        numeric = all(is_number(row[at]) for row in fitted.rows)
        table.add_column(column, justify="right" if numeric else "left", width=width, vertical="bottom")
    for row in fitted.rows:
        table.add_row(*map(escape, row))
    return table


def wrapped(line: str, width: int) -> list[str]:
    """A sentence in lines that fit, broken between words alone: paths stay whole."""
    if len(line) <= width:
        return [line]
    return textwrap.wrap(line, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def text(cell: object) -> str:
    """A cell as it is printed."""
    return plain(f"{cell:.4g}" if isinstance(cell, float) else "-" if cell is None else str(cell))


def is_number(cell: str) -> bool:
    """Whether a cell is a number, one with what belongs to it, or missing."""
    return cell == "-" or cell.lstrip("-+")[:1].isdigit()


def shorten(cell: str, width: int) -> str:
    """A cell without its middle, where most names are alike."""
    from rich.cells import cell_len, set_cell_size

    if cell_len(cell) <= width:
        return cell
    head = (width - 1) // 2
    tail = cell
    while cell_len(tail) > width - 1 - head:
        tail = tail[1:]
    return set_cell_size(cell, head) + "…" + tail


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)


def _longest(column: int, rows: Sequence[Sequence[str]]) -> int:
    from rich.cells import cell_len

    return max((cell_len(row[column]) for row in rows), default=0)


def _widths(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> tuple[int, ...] | None:
    """Widths with whole cells, and headers in as few lines as fit; None if that is too wide."""
    content = [_longest(at, rows) for at in range(len(columns))]
    for lines in range(1, _LINES + 1):
        widths = tuple(max(cells, _folded(each, lines)) for cells, each in zip(content, columns, strict=True))
        if _total(widths) <= width:
            return widths
    return None


def _folded(header: str, lines: int) -> int:
    """The least width in which a header takes that many lines at most, its words whole."""
    least = max(map(len, header.split()), default=0)
    for width in range(least, len(header)):
        if len(textwrap.wrap(header, width, break_on_hyphens=False)) <= lines:
            return width
    return len(header)


def _squeezed(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> tuple[int, ...]:
    """Widths that fit, by taking from the widest column of words; numbers stay whole, however narrow the terminal."""
    words = [at for at in range(len(columns)) if not all(is_number(row[at]) for row in rows)]
    widths = [max(_longest(at, rows), _folded(each, _LINES)) for at, each in enumerate(columns)]
    while words and _total(widths) > width:
        widest = max(words, key=lambda at: widths[at])
        if widths[widest] <= max(_SHORTEST, _folded(columns[widest], _LINES)):
            break
        widths[widest] -= 1
    return tuple(widths)
