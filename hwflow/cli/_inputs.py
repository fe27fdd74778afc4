"""The files that commands read, by what the user wrote; and what a figure may be.

What finds them is imported with NumPy, which takes a moment: a bar stands there meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from hwflow.errors import HwflowError
from hwflow.progress import progress_bar

if TYPE_CHECKING:
    from hwflow.paper.studies import Subject


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


def study_inputs(subject: Subject) -> dict[str, object]:
    """The files that a study reads, by what they are."""
    return {
        **model_paths(subject.model),
        "state dict": subject.weights,
        "data": data_path(subject.data),
        "labels": subject.labels,
    }


def check_figure(figure: Path | None) -> None:
    """Refuse a figure's name with another ending than .pdf, .svg or .png.

    Raises:
        HwflowError: it has one.
    """
    if figure is not None and figure.suffix not in (".pdf", ".svg", ".png"):
        raise HwflowError(f"--figure {figure}: must end in .pdf, .svg or .png")
