"""Files of words as ``$readmemh`` and ``$writememh`` have them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from hwflow.errors import HwflowError

_UNDEFINED = re.compile("[xXzZ]")


def write_hex(path: Path, words: Iterable[int], width: int) -> None:
    """Write words of ``width`` bits, one a line, as ``$readmemh`` reads them."""
    digits = -(-width // 4)
    path.write_text("".join(f"{word:0{digits}x}\n" for word in words))


def read_hex(path: Path, undefined_as_zero: bool = False) -> list[int]:
    """Words of a ``$writememh`` file; simulators differ in the comments and addresses that they add.

    Raises:
        HwflowError: bits of a word are undefined, unless they are to count as 0.
    """
    lines = path.read_text().splitlines()
    words = [word for line in lines for word in line.split("//")[0].split() if not word.startswith("@")]
    if undefined_as_zero:
        words = [_UNDEFINED.sub("0", word) for word in words]
    try:
        return [int(word, 16) for word in words]
    except ValueError as error:
        raise HwflowError(
            "the simulated design gave undefined bits; a memory image of the project is damaged, generate it again"
        ) from error
