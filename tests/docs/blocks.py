"""Code blocks of README and docs: fenced ones with their language, and indented ones."""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
NAMES = {page.relative_to(ROOT).as_posix(): page for page in PAGES}

_FENCE = re.compile(r'```(\w*)(?: title="([^"]+)")?')
_ITEM = re.compile(r"(?:[-*] |\d+\. |!!! |\?\?\? )")
"""What begins a paragraph whose further paragraphs are indented, and no code."""


class Block(NamedTuple):
    """Code of a page.

    Attributes:
        language: what stands after the fence, ``indented`` without a fence.
        title: the name of the file that it is, or empty.
        text: its lines, without the indentation.
        line: the line of the page that it begins at.
    """

    language: str
    title: str
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    """All code blocks of a page, in their order."""
    found: list[Block] = []
    lines = page.read_text().splitlines()
    number, item, paragraph = 0, False, False
    while number < len(lines):
        line, begin = lines[number], number + 1
        if line.startswith("```"):
            fence = _FENCE.fullmatch(line)
            assert fence, f"{page}:{begin}: {line}"
            end = next(index for index in range(begin, len(lines)) if lines[index].startswith("```"))
            found.append(Block(fence[1], fence[2] or "", "\n".join(lines[begin:end]) + "\n", begin))
            number = end
        elif line.startswith("    ") and not item and not paragraph:
            end = number
            while end < len(lines) and (lines[end].startswith("    ") or not lines[end].strip()):
                end += 1
            text = "\n".join(each[4:] for each in lines[number:end]).rstrip()
            found.append(Block("indented", "", text + "\n", begin))
            number = end - 1
        elif line.strip() and not line.startswith(" "):
            item, paragraph = bool(_ITEM.match(line)) or (item and paragraph), True
        if not lines[number].strip():
            paragraph = False
        number += 1
    return found
