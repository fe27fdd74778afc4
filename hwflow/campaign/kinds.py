"""The kinds of value of a specification file, and how a message shows one."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, Strict

from hwflow.errors import HwflowError


def listed(value: Any) -> Any:
    """A list, also where a single value was written."""
    return value if isinstance(value, list | tuple) else [value]


# What a specification file may hold: nothing is converted but whole numbers to fractions, and one value to a list.
Whole = Annotated[int, Strict()]
Real = Annotated[float, Strict()]
Text = Annotated[str, Strict()]
Wholes = Annotated[tuple[Whole, ...], BeforeValidator(listed)]
Texts = Annotated[tuple[Text, ...], BeforeValidator(listed)]
Reals = Annotated[tuple[Real, ...], BeforeValidator(listed)]


def nearest(value: str, known: Sequence[str]) -> str:
    """What was meant, or could be."""
    near = difflib.get_close_matches(str(value), known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"choose one of {', '.join(known)}"


def check_range(name: str, value: int | None, least: int, most: int | None) -> None:
    """Refuse a whole number out of range.

    Raises:
        HwflowError: names the key.
    """
    if value is None or (least <= value and (most is None or value <= most)):
        return
    if value < least:
        raise HwflowError(f"{name}: {shown(value)} must be at least {least}")
    raise HwflowError(f"{name}: {shown(value)} must be at most {most}")


def shown(value: object) -> str:
    """A value for a message: short, and printable."""
    if isinstance(value, int) and value.bit_length() > 128:
        return f"a number of {value.bit_length()} bits"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:50]}... ({len(text)} characters)"
