"""What an hls4ml configuration says and hls4ml pastes into C++, file names and scripts: plain names and types only."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hwflow.errors import HwflowError

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
# A type such as ap_fixed<16, 6, AP_RND, AP_SAT>, a strategy, a part, a number.
_PLAIN = re.compile(r"[A-Za-z0-9_<>,.:+ -]{0,200}")
_LAYERS = ("LayerName", "LayerType")


def short(value: Any) -> str:
    """A value as a message quotes it: printable, on one line, not long."""
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


def check_project_name(path: Path, name: Any) -> None:
    """Refuse a ``ProjectName`` that is no identifier: it becomes a function, and part of file names.

    Raises:
        HwflowError: it is none.
    """
    if not isinstance(name, str) or not _IDENTIFIER.fullmatch(name):
        raise HwflowError(f"{path}: its ProjectName {short(name)} is no identifier of C++")


def check_pasted(path: Path, config: Any) -> None:
    """Refuse a configuration with a value that is more than a name, a number or a type.

    Names of layers are the model's, and are derived from it, not from here.

    Raises:
        HwflowError: the first such value.
    """
    seen: set[int] = set()
    waiting: list[tuple[str, Any, bool]] = [("HLSConfig", config, False)]
    while waiting:
        name, value, of_layers = waiting.pop()
        if isinstance(value, dict | list):
            if id(value) in seen:
                continue
            seen.add(id(value))
            items = value.items() if isinstance(value, dict) else enumerate(value)
            for key, item in items:
                if isinstance(value, dict) and not of_layers:
                    _check(path, name, key)
                waiting.append((name if of_layers else str(key), item, key in _LAYERS))
        else:
            _check(path, name, value)


def _check(path: Path, name: str, value: Any) -> None:
    if value is None or isinstance(value, bool | int | float):
        return
    if not isinstance(value, str) or not _PLAIN.fullmatch(value):
        raise HwflowError(f"{path}: {short(value)} under {short(name)} is no name, number or type that hls4ml takes")
