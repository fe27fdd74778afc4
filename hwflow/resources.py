"""Where the shipped templates and testbenches lie: in the package once installed, else in the source tree."""

from __future__ import annotations

from pathlib import Path

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
