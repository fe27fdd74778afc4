"""Several results files beside each other: what is equal, what differs, and by how many points."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hwflow.campaign.export import Results, csv_text
from hwflow.campaign.plan import t_text
from hwflow.campaign.statistics import PAIRED_INTERVAL, UNPAIRED_INTERVAL, compare, compare_unpaired
from hwflow.data.proportion import CONFIDENCE
from hwflow.errors import HwflowError
from hwflow.report.comparison_figures import comparison_figures
from hwflow.report.figures import Figure
from hwflow.report.measured import COORDINATES, Condition, Measured, measured
from hwflow.show import Shown

Key = tuple[Any, ...]

PAIRINGS = {
    "fault lists": "paired by round: the same seeds, the same number of flips in as many stored bits, the same images",
    "seeds": "paired by round: the same seeds and images, in memories of other sizes",
    "unpaired": "not paired: other seeds or faults, the same images",
    "no faults": "nothing is drawn: the difference on these images has no interval",
}
"""What a difference comes from."""

COLUMNS = (
    "condition", "file", *COORDINATES, "target", "mean", "std", "low", "high", "rounds", "images", "complete",
    "against", "difference", "difference_low", "difference_high", "p", "pairing", "pairs", "reason",
)  # fmt: skip
"""Of the rows of a comparison."""

_BRIEF = (
    "condition", "ber", "file", "mean", "low", "high", "rounds", "difference", "difference_low", "difference_high",
    "pairing",
)  # fmt: skip


@dataclass(frozen=True)
class Difference:
    """A condition against the same one in the first file.

    Attributes:
        points: mean of this file less that of the first one; None if they cannot be compared. Of pairs, over the rounds
            that both have.
        low, high: 95 % interval; None where there is none.
        p: of the t test; None likewise.
        pairing: one of ``PAIRINGS``; None if they cannot be compared.
        pairs: rounds that were paired; 0 if none were.
        reason: why they cannot be compared; empty if they can.
    """

    points: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    pairing: str | None = None
    pairs: int = 0
    reason: str = ""


@dataclass(frozen=True, repr=False)
class Comparison(Shown):
    """Several results files; the first one is what the others are compared with.

    Attributes:
        files: in the order given.
    """

    files: tuple[Measured, ...]

    @cached_property
    def varying(self) -> tuple[str, ...]:
        """Coordinates that have several values within a file, by which conditions are matched; ``ber`` always."""
        return tuple(
            name
            for name in COORDINATES
            if name == "ber"
            or any(len({each.coordinates[name] for each in file.conditions}) > 1 for file in self.files)
        )

    @cached_property
    def aligned(self) -> dict[Key, dict[str, Condition]]:
        """The conditions of all files by what they are matched by: of each file one, by its name."""
        found: dict[Key, dict[str, Condition]] = {}
        for file in self.files:
            for each in file.conditions:
                key = tuple(each.coordinates[name] for name in self.varying)
                found.setdefault(key, {})[file.name] = each
        return found

    def label(self, key: Key, without: Sequence[str] = ()) -> str:
        """A condition in words."""
        values = dict(zip(self.varying, key, strict=True))
        words = (_word(name, value) for name, value in values.items() if name not in without)
        return ", ".join(filter(None, words)) or "all"

    def difference(self, key: Key, name: str) -> Difference | None:
        """A file's condition against the first file's; None of the first file, and where one of them has none."""
        first, second = (self.aligned[key].get(each) for each in (self.files[0].name, name))
        if name == self.files[0].name or first is None or second is None:
            return None
        return _difference(first, second)

    @cached_property
    def facts_of(self) -> dict[str, list[str]]:
        """Every fact, with its value in each file; ``-`` where a file does not have it."""
        tables = [{**_constant(file, self.varying), **file.facts} for file in self.files]
        names = dict.fromkeys(name for table in tables for name in table)
        return {name: [table.get(name, "-") for table in tables] for name in names}

    @property
    def equal(self) -> dict[str, str]:
        """What is the same in all files."""
        return {name: values[0] for name, values in self.facts_of.items() if len(set(values)) == 1 and values[0] != "-"}

    @property
    def differing(self) -> dict[str, list[str]]:
        """What is not, with its value in each file."""
        return {name: values for name, values in self.facts_of.items() if len(set(values)) > 1}

    @property
    def notes(self) -> list[str]:
        """What a reader must know before the numbers, a line each."""
        found = [f"{file.name}: {line}" for file in self.files for line in file.warnings]
        for file in self.files[1:]:
            found += self._notes_on(file)
        if len({file.facts["interval of a mean"] for file in self.files}) > 1:
            found.append("the files' means have intervals of other kinds, see what differs")
        return found

    def _notes_on(self, file: Measured) -> Iterator[str]:
        first = self.files[0].name
        keys = [key for key, each in self.aligned.items() if file.name in each]
        lone = sum(first not in self.aligned[key] for key in keys)
        reasons: dict[str, int] = {}
        for key in keys:
            difference = self.difference(key, file.name)
            if difference is not None and difference.reason:
                reasons[difference.reason] = reasons.get(difference.reason, 0) + 1
        data = [each.facts["data"] for each in (file, self.files[0])]
        for reason, number in reasons.items():
            if data[0] != data[1]:
                reason += f"; data {data[0]}, not {data[1]}"
            of = "" if number == len(keys) else f" in {number} of {len(keys)} conditions"
            yield f"{file.name} cannot be compared with {first}{of}: {reason}"
        if lone:
            yield f"{file.name}: {lone} of {len(keys)} conditions are not in {first}"

    def facts(self) -> dict[str, object]:
        """Which files, how many conditions, and how many of them are compared."""
        differences = [self.difference(key, name) for key, each in self.aligned.items() for name in each]
        return {
            "files": ", ".join(file.name for file in self.files),
            "conditions": len(self.aligned),
            "differences": sum(each is not None and each.points is not None for each in differences),
        }

    def rows(self) -> list[dict[str, Any]]:
        """A row for every condition and file that has it, of ``COLUMNS``; a difference is None in the first file."""
        return [self._row(key, name, each) for key, found in self.aligned.items() for name, each in found.items()]

    def brief(self) -> list[dict[str, Any]]:
        """The rows without coordinates that are not in the condition's words."""
        return [{name: row[name] for name in _BRIEF} for row in self.rows()]

    def _row(self, key: Key, name: str, each: Condition) -> dict[str, Any]:
        difference = self.difference(key, name)
        apart = difference or Difference()
        summary = each.summary
        values = {
            "condition": self.label(key, ("ber",)),
            "file": name,
            **each.coordinates,
            "target": each.target,
            **{of: getattr(summary, of) for of in ("mean", "std", "low", "high", "rounds")},
            "images": each.images,
            "complete": each.complete,
            "against": None if difference is None else self.files[0].name,
            "difference": apart.points,
            "difference_low": apart.low,
            "difference_high": apart.high,
            "p": apart.p,
            "pairing": apart.pairing,
            "pairs": apart.pairs,
            "reason": apart.reason,
        }
        return {column: values[column] for column in COLUMNS}

    def to_json(self) -> dict[str, Any]:
        """Everything that the page says, as JSON data."""
        return {
            "files": [
                {"name": file.name, "path": None if file.path is None else str(file.path)} for file in self.files
            ],
            "interval": {"confidence": CONFIDENCE, "paired": PAIRED_INTERVAL, "unpaired": UNPAIRED_INTERVAL},
            "equal": self.equal,
            "differing": [{"what": name, "values": values} for name, values in self.differing.items()],
            "warnings": self.notes,
            "rows": self.rows(),
        }

    def csv(self) -> str:
        """The rows as CSV."""
        return csv_text(COLUMNS, ([row[name] for name in COLUMNS] for row in self.rows()))

    def figures(self) -> list[Figure]:
        """Accuracy against the bit error rate: all curves in one, and of many one for every way."""
        found: dict[str, dict[str, dict[float, Condition]]] = {}
        for key, files in self.aligned.items():
            way = self.label(key, ("ber", "layer", "bit"))
            for name, each in files.items():
                at = each.coordinates
                if at["layer"] is None and at["bit"] is None and at["ber"] is not None:
                    found.setdefault(way, {}).setdefault(name, {})[at["ber"]] = each
        return comparison_figures(found, [file.name for file in self.files])

    def figure(self) -> str:
        """The figures as SVG."""
        return "".join(figure.svg for figure in self.figures())


def compare_results(sources: Sequence[Results | str | Path] | Mapping[str, Results | str | Path]) -> Comparison:
    """Put results files beside each other: of campaigns, and of ``hwflow evaluate --json``.

    Conditions are matched by the coordinates that have several values within a file, bit error rate included. Those
    with one value in every file may differ from file to file: another network, code, design or setting is then what
    is compared. Differences are against the first file.

    Args:
        sources: two files or more, or results in memory; of a mapping, the keys are their names.

    Raises:
        HwflowError: fewer than two, or a file that cannot be read or holds no accuracies.
    """
    if len(sources) < 2:
        raise HwflowError("a comparison needs at least two results files")
    named = dict(sources) if isinstance(sources, Mapping) else dict(zip(_names(sources), sources, strict=True))
    return Comparison(tuple(measured(name, source) for name, source in named.items()))


def _names(sources: Sequence[Results | str | Path]) -> list[str]:
    """A name for every file: as short as tells them apart."""
    paths = [each.path if isinstance(each, Results) else Path(each) for each in sources]
    stems = ["results" if path is None else path.stem for path in paths]
    names = [
        stem if path is None or stems.count(stem) == 1 else str(path) for stem, path in zip(stems, paths, strict=True)
    ]
    counted = [names[: index + 1].count(name) for index, name in enumerate(names)]
    return [
        name if names.count(name) == 1 else f"{name} ({number})" for name, number in zip(names, counted, strict=True)
    ]


def _constant(file: Measured, varying: Sequence[str]) -> dict[str, str]:
    """Coordinates of which a file has one value, and no file several."""
    if not file.conditions:
        return {}
    values = {name: file.conditions[0].coordinates[name] for name in COORDINATES if name not in varying}
    found = {name: str(value) for name, value in values.items() if value is not None}
    if "t" in found and file.conditions[0].target is not None:
        found["t"] = t_text(file.conditions[0].target)
    return found


def _difference(first: Condition, second: Condition) -> Difference:
    if first.data is None or second.data is None:
        return Difference(reason="a file does not say which images it used; run it again")
    if first.data != second.data:
        return Difference(reason=f"other images (SHA-256 {second.data[:12]}, not {first.data[:12]})")
    if first.coordinates["ber"] == 0:
        return Difference(second.summary.mean - first.summary.mean, pairing="no faults")
    rounds = min(len(first.seeds), len(second.seeds))
    seeds = [each.seeds[:rounds] for each in (first, second)]
    if seeds[0] != seeds[1] or None in seeds[0] or first.faults != second.faults:
        apart = compare_unpaired(first.accuracies, second.accuracies)
        return Difference(apart.difference, apart.low, apart.high, apart.p, "unpaired")
    paired = compare(first.accuracies, second.accuracies)
    alike = first.stored_bits == second.stored_bits and first.flips[:rounds] == second.flips[:rounds]
    low, high = (paired.low, paired.high) if rounds > 1 else (None, None)
    return Difference(paired.difference, low, high, paired.p, "fault lists" if alike else "seeds", rounds)


def _word(name: str, value: Any) -> str:
    """A coordinate and its value, in words; empty where it has no meaning."""
    match name:
        case "ber":
            return "a fault list" if value is None else f"BER {value:g}" if value else "no faults"
        case "t":
            return "unscaled" if value == "none" else f"t = {value if isinstance(value, str) else t_text(value)}"
        case "layer" | "bit":
            return f"all {name}s" if value is None else f"{name} {value}"
        case "design":
            return "no design" if value is None else f"design {value}"
        case "model" | "format" | "protection":
            return value or ""
    return "" if value is None else f"{name.replace('_', ' ')} {value}"
