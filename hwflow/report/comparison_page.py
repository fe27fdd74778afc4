"""The page of a comparison: one file that needs no other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hwflow.campaign.statistics import INTERVALS, PAIRED_INTERVAL, UNPAIRED_INTERVAL
from hwflow.files.outputs import check_outputs, write_file
from hwflow.report.comparison import PAIRINGS, Comparison, Key
from hwflow.report.measured import Condition
from hwflow.report.page import filled


def write_comparison(comparison: Comparison, path: str | Path) -> Path:
    """Write the page, completely or not at all; a file of this name is replaced.

    Raises:
        HwflowError: it is one of the compared files, or cannot be written.
    """
    path = Path(path)
    check_outputs({f"results file {file.name}": file.path for file in comparison.files}, files={"page": path})
    write_file(path, comparison_html(comparison).encode("utf-8", "backslashreplace"))
    return path


def comparison_html(comparison: Comparison) -> str:
    """The page as HTML."""
    kinds = {file.facts["interval of a mean"] for file in comparison.files}
    return filled(
        "comparison.html",
        comparison.figures(),
        files=comparison.files,
        equal=comparison.equal,
        differing=comparison.differing,
        notes=comparison.notes,
        rows=[_row(comparison, key, found) for key, found in comparison.aligned.items()],
        has_ways=bool(_way_names(comparison)),
        intervals=[text for kind, text in INTERVALS.items() if kind in kinds],
        paired=PAIRED_INTERVAL,
        unpaired=UNPAIRED_INTERVAL,
        pairings=PAIRINGS,
    )


def _way_names(comparison: Comparison) -> list[str]:
    return [name for name in comparison.varying if name != "ber"]


def _row(comparison: Comparison, key: Key, found: dict[str, Condition]) -> dict[str, Any]:
    ber = dict(zip(comparison.varying, key, strict=True))["ber"]
    return {
        "way": comparison.label(key, ("ber",)),
        "ber": "fault list" if ber is None else f"{ber:g}",
        "cells": [(found.get(file.name), comparison.difference(key, file.name)) for file in comparison.files],
    }
