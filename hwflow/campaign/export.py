"""Results as tables: every trial, and every cell with its interval; the same bytes from the same campaign."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from hwflow.campaign.plan import Cell, Labels
from hwflow.campaign.records import Damage, Trial
from hwflow.campaign.run import plan_of, prefix
from hwflow.campaign.statistics import Paired, Stopping, Summary, compare, summarise
from hwflow.campaign.store import Store
from hwflow.files.outputs import check_outputs, write_file
from hwflow.show import Shown

_COORDINATES = (
    "model", "design", "format", "t", "target", "protection", "granularity", "outliers", "protect_top", "align",
    "compensation", "activation_bits", "ber", "layer", "bit",
)  # fmt: skip
_VALUES = (
    "round", "seed", "flips", "bad_weights", "bad_images", "correct", "images", "side_bits", "stored_bits", "corrected",
    "detected", "silent", "accuracy",
)  # fmt: skip
COLUMNS = (*_COORDINATES, *_VALUES)
_ALWAYS = ("ber", "round", "flips", "accuracy")


_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a formula begins with (OWASP, "CSV Injection"), full-width forms too."""


@dataclass(frozen=True)
class CellResult:
    """A cell and the rounds that count.

    Attributes:
        cell: the condition.
        trials: in the order of the rounds; cut where the stopping rule was met.
        summary: of their accuracies.
        complete: whether there are enough.
        reached: whether the interval is as narrow as ``until_ci`` asks for; None where it asks for nothing, and
            without faults.
    """

    cell: Cell
    trials: tuple[Trial, ...]
    summary: Summary
    complete: bool
    reached: bool | None = None


@dataclass(frozen=True, repr=False)
class Results(Shown):
    """What a results file holds.

    Attributes:
        head: spec, hashes, versions.
        cells: those that have any trial, in the order of the plan.
        damaged: stored trials that cannot be trusted and are left out.
        engines: what computed the trials that count, and how many of them.
        path: the results file, which no table or page may overwrite.
    """

    head: Mapping[str, Any]
    cells: tuple[CellResult, ...]
    damaged: tuple[Damage, ...] = ()
    engines: Mapping[str, int] = field(default_factory=dict)
    path: Path | None = field(default=None, compare=False)

    def facts(self) -> dict[str, object]:
        """How far the campaign is."""
        return {
            "path": None if self.path is None else str(self.path),
            "cells": f"{sum(each.complete for each in self.cells)} of {len(self.head['plan'])} complete",
            "trials": sum(len(each.trials) for each in self.cells),
            **({"damaged": len(self.damaged)} if self.damaged else {}),
        }

    def rows(self) -> list[dict[str, Any]]:
        """Every trial that counts."""
        return [dict(zip(COLUMNS, row, strict=True)) for row in rows(self)]

    def brief(self) -> list[dict[str, Any]]:
        """The rows without the columns that are alike in all of them, but for rates, rounds and accuracies."""
        found = self.rows()
        varied = [name for name in COLUMNS if name in _ALWAYS or len({repr(row[name]) for row in found}) > 1]
        return [{name: row[name] for name in varied} for row in found]

    @cached_property
    def labels(self) -> Labels:
        """Names of the ways to store the weights."""
        return Labels(plan_of(self.head))

    def find(self, **coordinates: Any) -> list[CellResult]:
        """The cells with these coordinates."""
        return [
            each for each in self.cells if all(getattr(each.cell, key) == value for key, value in coordinates.items())
        ]


def read_results(path: str | Path) -> Results:
    """Read a results file, finished or not. Every value is held against its checksum.

    Raises:
        HwflowError: missing, not a results file, or one whose head is damaged.
    """
    with Store(path) as store:
        head, all_stored = store.meta(), store.load()
    stored = all_stored.trials
    rule = Stopping(**head["stopping"])
    found = []
    for index, cell in enumerate(plan_of(head)):
        accuracies = prefix(stored.get(index, []))
        enough = min(1, len(accuracies)) if cell.ber == 0 else rule.enough(accuracies)
        count = len(accuracies) if enough is None else enough
        if count:
            summary = summarise(accuracies[:count], rule.interval)
            reached = rule.reached(summary) if cell.ber else None
            found.append(CellResult(cell, tuple(stored[index][:count]), summary, bool(enough), reached))
    engines = Counter(trial.engine for each in found for trial in each.trials)
    return Results(head, tuple(found), all_stored.damaged, dict(sorted(engines.items())), Path(path))


def rows(results: Results) -> Iterator[tuple[Any, ...]]:
    """Every trial that counts, in the order of `COLUMNS`."""
    for each in results.cells:
        coordinates = [getattr(each.cell, name) for name in _COORDINATES]
        for trial in each.trials:
            yield (*coordinates, *(getattr(trial, name) for name in _VALUES))


def write_csv(results: Results, path: str | Path) -> None:
    """Write every trial as CSV, completely or not at all.

    Raises:
        HwflowError: the file cannot be written, or is the results file.
    """
    check_outputs({"results file": results}, files={"path": path})
    write_file(Path(path), csv_text(COLUMNS, rows(results)).encode("utf-8", "backslashreplace"))


def csv_text(columns: Sequence[str], found: Iterable[Iterable[Any]]) -> str:
    """Rows as CSV; a text that a spreadsheet would take for a formula gets an apostrophe in front."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_inert(value) for value in row] for row in found)
    return text.getvalue()


def write_parquet(results: Results, path: str | Path) -> None:
    """Write every trial as Parquet, completely or not at all; errors as `write_csv`."""
    check_outputs({"results file": results}, files={"path": path})
    import pyarrow
    from pyarrow import parquet

    columns = list(zip(*rows(results), strict=True)) or [()] * len(COLUMNS)
    kinds = {"target": "f8", "outliers": "f8", "protect_top": "f8", "ber": "f8", "accuracy": "f8"}
    text = ("model", "design", "format", "t", "protection", "granularity", "align", "compensation", "layer")
    table = pyarrow.table(
        {
            name: pyarrow.array(values, pyarrow.string() if name in text else _arrow(kinds.get(name, "i8")))
            for name, values in zip(COLUMNS, columns, strict=True)
        }
    )
    buffer = io.BytesIO()
    parquet.write_table(table, buffer)
    write_file(Path(path), buffer.getvalue())


@dataclass(frozen=True)
class ProtectionPair:
    """A way to store the weights against the first one of its model, format and rate, round by round."""

    first: Cell
    second: Cell
    paired: Paired


def protection_pairs(results: Results) -> list[ProtectionPair]:
    """Paired comparisons with the first way of the plan, of the first value of every axis; whole networks only."""
    found: list[ProtectionPair] = []
    baselines: dict[tuple[Any, ...], CellResult] = {}
    for each in results.cells:
        cell = each.cell
        if cell.ber == 0 or cell.layer is not None or cell.bit is not None:
            continue
        key = (cell.model, cell.format, cell.ber)
        if key not in baselines:
            baselines[key] = each
            continue
        first = baselines[key]
        found.append(ProtectionPair(first.cell, cell, compare(_accuracies(first.trials), _accuracies(each.trials))))
    return found


def _inert(value: Any) -> Any:
    """A cell that no spreadsheet computes; numbers stay numbers."""
    if not isinstance(value, str):
        return value
    # The writer does not quote a lone carriage return, which would end the row.
    return ("'" if value.startswith(_FORMULA) else "") + value.replace("\r", " ")


def _accuracies(trials: Sequence[Trial]) -> list[float]:
    return [trial.accuracy for trial in trials]


def _arrow(kind: str) -> Any:
    import pyarrow

    return pyarrow.float64() if kind == "f8" else pyarrow.int64()
