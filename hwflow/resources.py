"""The shipped templates and testbenches: in the package once installed, else in the source tree; text made of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hwflow.errors import HwflowError

_PACKAGE = Path(__file__).resolve().parent


def folder(name: str) -> Path:
    """The folder ``hls_templates`` or ``sim``.

    Raises:
        HwflowError: the installation lacks it.
    """
    for root in (_PACKAGE / "_data", _PACKAGE.parent):
        if (root / name).is_dir():
            return root / name
    raise HwflowError(f"the folder {name} is missing from this installation of hwflow; install it again")


def render(template: str, values: Mapping[str, Any]) -> str:
    """The text of a template in ``hls_templates``.

    Args:
        template: its path, with forward slashes.
        values: what it is made with.
    """
    import jinja2  # few commands need it

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder("hls_templates")),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(values)


def markdown(text: str) -> str:
    """A user's text as it can stand in a table of a Markdown page."""
    return "".join(char if char.isalnum() or char in " _-.,:/+%" else f"&#{ord(char)};" for char in text)
