"""What a results file has measured, condition by condition: of a campaign, or of ``hwflow evaluate --json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwflow.campaign.export import CellResult, Results, read_results
from hwflow.campaign.plan import LABELLED, Cell
from hwflow.campaign.statistics import Summary, summarise
from hwflow.errors import HwflowError
from hwflow.float_study import weight_format
from hwflow.report.tables import warnings

COORDINATES = (
    "model", "design", "format", "t", *(name for name in LABELLED if name != "target"), "layer", "bit", "ber",
)  # fmt: skip
"""What a condition is: `t` is ``none``, ``optimal`` or a number; the others are `hwflow.campaign.plan.Cell`'s."""

_SHORT = 12
_SETTINGS = ("labels", "preprocessing", "calibration", "msb")
_EVALUATED = ("data", "executor", "clean", "faulted", "draws", "stored_bits", "ber", "design")


@dataclass(frozen=True)
class Condition:
    """Accuracies of some rounds under the same settings.

    Attributes:
        coordinates: a value for each of ``COORDINATES``; None where it is not known or has no meaning.
        target: the t in use; None without scaling, or if it is not known.
        accuracies: of every round, percent.
        seeds, flips: of every round's fault list; a seed is None of a list that was not drawn.
        summary: of the accuracies.
        images: in every round.
        data: SHA-256 of images and labels; None if the file does not say.
        faults: how memories fail, in words.
        stored_bits: that faults could hit.
        complete: whether there are as many rounds as were asked for.
    """

    coordinates: Mapping[str, Any]
    target: float | None
    accuracies: tuple[float, ...]
    seeds: tuple[int | None, ...]
    flips: tuple[int, ...]
    summary: Summary
    images: int
    data: str | None
    faults: str
    stored_bits: int
    complete: bool = True


@dataclass(frozen=True)
class Measured:
    """A file to compare.

    Attributes:
        name: what it is called on the page.
        path: where it lies; None of results in memory.
        conditions: in the order of the file.
        facts: what is the same in all of its conditions, as text.
        warnings: what a reader must know, a line each.
    """

    name: str
    path: Path | None
    conditions: tuple[Condition, ...]
    facts: Mapping[str, str]
    warnings: tuple[str, ...] = ()


def measured(name: str, source: Results | str | Path) -> Measured:
    """Open a file by what it begins with.

    Raises:
        HwflowError: it is no results file, and no JSON of an accuracy by ``hwflow evaluate``.
    """
    if isinstance(source, Results):
        return of_campaign(name, source)
    path = Path(source)
    try:
        with path.open("rb") as file:
            is_json = file.read(1) == b"{"
    except OSError:
        is_json = False  # the reader of results files says what is wrong
    return _of_evaluation(name, path) if is_json else of_campaign(name, read_results(path))


def of_campaign(name: str, results: Results) -> Measured:
    """What a campaign has measured so far."""
    head = results.head
    spec, faults = head["spec"], _faults_text(head["spec"]["faults"])
    conditions = tuple(_of_cell(each, head["hashes"], faults) for each in results.cells)
    facts = {
        "from": "campaign",
        "executor": spec["executor"],
        "data": spec["data"],
        "images": _spread(each.images for each in conditions),
        "faults": faults,
        **{key: str(spec[key]) for key in _SETTINGS if spec.get(key) is not None},
        "seed": str(spec["seed"]),
        "rounds": _spread(each.summary.rounds for each in conditions if each.coordinates["ber"]),
        "interval of a mean": head["stopping"]["interval"],
        **{f"{network}, SHA-256": each["model"][:_SHORT] for network, each in head["hashes"].items()},
        **{f"images of {network}, SHA-256": each["data"][:_SHORT] for network, each in head["hashes"].items()},
        **{
            f"{network} in float": f"{100 * each['correct'] / each['images']:.2f} %"
            for network, each in head["float"].items()
        },
        "hwflow": head["hwflow"],
        **{package: version or "absent" for package, version in head["versions"].items()},
    }
    said = list(warnings(results))
    if not conditions:
        said.append("no trial is finished")
    elif len(results.cells) < len(head["plan"]) or not all(each.complete for each in results.cells):
        said.append("the campaign is not finished; conditions with fewer rounds than it asks for are provisional")
    return Measured(name, results.path, conditions, facts, tuple(said))


def _of_cell(each: CellResult, hashes: Mapping[str, Mapping[str, str]], faults: str) -> Condition:
    cell = each.cell
    return Condition(
        coordinates={**{key: getattr(cell, key) for key in COORDINATES}, "t": _t(cell)},
        target=cell.target,
        accuracies=tuple(trial.accuracy for trial in each.trials),
        seeds=tuple(trial.seed for trial in each.trials),
        flips=tuple(trial.flips for trial in each.trials),
        summary=each.summary,
        images=each.trials[0].images,
        data=hashes.get(cell.subject, {}).get("data"),
        faults=faults,
        stored_bits=each.trials[0].stored_bits,
        complete=each.complete,
    )


def _t(cell: Cell) -> str | float:
    """``none``, ``optimal`` for the format's own optimum however it was written, or a number."""
    if cell.target is None:
        return "none"
    return "optimal" if abs(cell.target - weight_format(cell.format).optimal_t) < 1e-9 else cell.target


def _of_evaluation(name: str, path: Path) -> Measured:
    """What ``hwflow evaluate --json`` wrote: a condition without faults, and one with."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise HwflowError(f"{path}: cannot be read as JSON ({error})") from error
    if data.get("command") != "evaluate" or any(key not in data for key in _EVALUATED):
        raise HwflowError(
            f"{path}: holds no accuracies; give results of 'hwflow campaign', or the --json of 'hwflow evaluate' "
            "(without --deviation)"
        )
    try:
        return _evaluated(name, path, data)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise HwflowError(f"{path}: is damaged, no result of 'hwflow evaluate' is so; run it again") from error


def _evaluated(name: str, path: Path, data: Mapping[str, Any]) -> Measured:
    faults = "a fault list that was given" if data["ber"] is None and data["faulted"] else "ber"
    if data.get("layers"):
        faults += f", layers {', '.join(data['layers'])}"
    design = Path(data["design"]).name
    images = data["clean"]["images"]

    def condition(ber: float | None, accuracies: list[float], seeds: list[int | None], flips: list[int]) -> Condition:
        coordinates = {**dict.fromkeys(COORDINATES), "design": design, "ber": ber}
        return Condition(
            coordinates, None, tuple(accuracies), tuple(seeds), tuple(flips), summarise(accuracies), images,
            data.get("data_sha256"), faults, data["stored_bits"],
        )  # fmt: skip

    conditions = [condition(0.0, [data["clean"]["mean"]], [None], [0])]
    if draws := data["draws"]:
        columns = ([each[key] for each in draws] for key in ("accuracy", "seed", "flips"))
        conditions.append(condition(data["ber"], *columns))
    facts = {
        "from": "evaluate",
        "executor": data["executor"],
        "data": data["data"],
        "images": str(images),
        "faults": faults,
        **({"preprocessing": data["preprocessing"]} if data.get("preprocessing") else {}),
        "seed": str(data["seed"]),
        "rounds": str(len(draws)),
        "interval of a mean": "wilson",
        f"{design}, SHA-256": str(data.get("design_sha256"))[:_SHORT],
        **({f"images of {design}, SHA-256": data["data_sha256"][:_SHORT]} if data.get("data_sha256") else {}),
        "hwflow": data["hwflow"],
    }
    return Measured(name, path, tuple(conditions), facts)


def _faults_text(faults: Mapping[str, Any]) -> str:
    """How memories fail, with the keys that matter to its model."""
    of_model = {"asymmetric": ("up", "down"), "stuck-at": ("ones",), "clustered": ("sizes", "interleave")}
    shown = [*of_model.get(faults["model"], ()), *(key for key in ("layers", "bits") if faults.get(key) is not None)]
    return ", ".join([faults["model"], *(f"{key} {_listed(faults[key])}" for key in shown)])


def _listed(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _spread(values: Any) -> str:
    found = sorted(set(values))
    return "-" if not found else f"{found[0]}" if len(found) == 1 else f"{found[0]} to {found[-1]}"
