"""Files of words as ``$readmemh`` and ``$writememh`` have them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from hwflow.errors import HwflowError


def write_hex(path: Path, words: Iterable[int], width: int) -> None:
    """Write words of ``width`` bits, one a line, as ``$readmemh`` reads them."""
    digits = -(-width // 4)
    path.write_text("".join(f"{word:0{digits}x}\n" for word in words))


def read_hex(path: Path) -> list[int]:
    """Words of a ``$writememh`` file; simulators differ in the comments and addresses that they add.

    Raises:
        HwflowError: bits of a word are undefined.
    """
    lines = path.read_text().splitlines()
    words = [word for line in lines for word in line.split("//")[0].split() if not word.startswith("@")]
    try:
        return [int(word, 16) for word in words]
    except ValueError as error:
        raise HwflowError(
            "the simulated design gave undefined bits; a memory image of the project is damaged, generate it again"
        ) from error
