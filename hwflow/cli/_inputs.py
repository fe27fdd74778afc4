"""The files that commands read, by what the user wrote.

What finds them is imported with NumPy, which takes a moment: a bar stands there meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hwflow.progress import progress_bar


def data_path(data: str | None) -> Path | None:
    """See :func:`hwflow.data.data_path`."""
    with progress_bar():
        from hwflow.data import data_path as found

    return found(data)


def model_paths(model: str) -> Mapping[str, object]:
    """See :func:`hwflow.models.model_paths`."""
    with progress_bar():
        from hwflow.models import model_paths as found

    return found(model)
