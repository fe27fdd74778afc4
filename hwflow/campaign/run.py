"""Running a campaign, taking it up again, and saying how far it is."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from hwflow.campaign.plan import Cell, cells
from hwflow.campaign.sources import inputs_of
from hwflow.campaign.spec import STOPPING, CampaignSpec
from hwflow.campaign.statistics import Stopping
from hwflow.campaign.store import Store, Trial
from hwflow.campaign.trials import Bundle, Runner, prepare
from hwflow.errors import HwflowError
from hwflow.evaluation import Advance, no_progress
from hwflow.outputs import check_outputs
from hwflow.version import __version__

Task = tuple[int, Cell, int]
"""Place of a cell in the plan, the cell, and a round."""

RECORDED_VERSIONS = ("numpy", "tensorflow-cpu", "keras", "hls4ml")


@dataclass(frozen=True)
class Status:
    """How far a campaign is.

    Attributes:
        cells: in the plan.
        finished: cells that have enough rounds.
        trials: stored.
        missing: trials that are known to be needed; more may follow where rounds depend on an interval.
    """

    cells: int
    finished: int
    trials: int
    missing: int


def run_campaign(
    spec: CampaignSpec,
    results: str | Path,
    *,
    dask: str | None = None,
    advance: Advance = no_progress,
    step: Callable[[str], None] = lambda _: None,
) -> Status:
    """Run what is missing of a campaign, and store every trial as it is finished.

    Args:
        spec: the campaign.
        results: the SQLite file, new or of the same campaign. Several processes may work on one file.
        dask: ``local``, ``local:N`` or a scheduler's ``tcp://...``; None runs in this process.
        advance: progress display.
        step: called with the name of each step before the first trial.

    Raises:
        HwflowError: the file is another campaign's or cannot be written, a network or data set does not fit,
            or the scheduler cannot be reached.
    """
    check_outputs(inputs_of(spec), folders={"results": results})
    with Store(results, create=True) as store:
        if not store.is_new:
            check_same(spec, store)  # before anything is loaded
        if dask is not None:
            from hwflow.campaign import cluster

            with cluster.connect(dask) as workers:
                bundle = prepare(spec, step)
                return _run(store, bundle, lambda tasks: workers.run(bundle, tasks), advance)
        bundle = prepare(spec, step)
        runner = Runner(bundle)

        def here(tasks: Sequence[Task]) -> Iterator[Trial]:
            unclaimed = [task for task in tasks if store.claim(task[0], task[2])]
            # What another process has begun may never be finished: it is done here in the end.
            for task in unclaimed or tasks:
                yield runner.run(*task)

        return _run(store, bundle, here, advance)


def status(results: str | Path) -> Status:
    """How far the campaign in a results file is."""
    with Store(results) as store:
        head = store.meta()
        return _status(store, plan_of(head), Stopping(**head["stopping"]))


def plan_of(head: Mapping[str, Any]) -> tuple[Cell, ...]:
    """The cells that a results file lists."""
    return tuple(Cell(**cell) for cell in head["plan"])


def prefix(trials: Sequence[Trial]) -> list[float]:
    """Accuracies of the rounds 0, 1, ... up to the first one that is missing."""
    return [trial.accuracy for number, trial in enumerate(trials) if trial.round == number]


def stopping_of(spec: CampaignSpec) -> dict[str, Any]:
    """The part of a spec that says how many rounds count."""
    return {name: getattr(spec, name) for name in STOPPING}


def check_same(spec: CampaignSpec, store: Store) -> None:
    """Refuse results of another spec; how many rounds count may differ."""
    stored = store.meta()["spec"]
    wanted = _stored_form(spec)
    for key in wanted:
        if key not in STOPPING and stored.get(key) != wanted[key]:
            raise HwflowError(
                f"{store.path}: holds another campaign, its {key!r} is {stored.get(key)}, not {wanted[key]}; "
                "choose another results file, or remove this one"
            )


def _run(
    store: Store, bundle: Bundle, execute: Callable[[Sequence[Task]], Iterable[Trial]], advance: Advance
) -> Status:
    spec = bundle.spec
    plan = cells(spec, {name: tuple(network.layers) for name, network in bundle.networks.items()})
    _begin(store, bundle, plan)
    rule = Stopping(**stopping_of(spec))
    while tasks := _missing(store, plan, rule):
        now = _status(store, plan, rule)
        for number, trial in enumerate(execute(tasks), 1):
            store.add(trial)
            done = now.trials + number
            advance(done, max(done, now.trials + now.missing), plan[trial.cell].format)
    return _status(store, plan, rule)


def _begin(store: Store, bundle: Bundle, plan: Sequence[Cell]) -> None:
    """Write the head of a new file, or compare that of an old one."""
    hashes = {name: {"model": network.digest, "data": network.data_digest} for name, network in bundle.networks.items()}
    store.begin(
        {
            "hwflow": __version__,
            "versions": {"python": platform.python_version(), **{name: _version(name) for name in RECORDED_VERSIONS}},
            "spec": _stored_form(bundle.spec),
            "stopping": stopping_of(bundle.spec),
            "plan": [cell.to_json() for cell in plan],
            "hashes": hashes,
            "layers": [
                {"model": name, "layer": layer, "weights": size, "max_abs": largest}
                for name, network in bundle.networks.items()
                for layer, (size, largest) in network.layers.items()
            ],
        }
    )
    check_same(bundle.spec, store)
    head = store.meta()
    for name, expected in head["hashes"].items():
        for what in ("model", "data"):
            if hashes[name][what] != expected[what]:
                raise HwflowError(
                    f"{store.path}: was made with another {what} ({name}, SHA-256 {expected[what][:12]}, "
                    f"not {hashes[name][what][:12]}); restore it, or choose another results file"
                )
    store.put("stopping", stopping_of(bundle.spec))


def _missing(store: Store, plan: Sequence[Cell], rule: Stopping) -> list[Task]:
    """The trials that are needed next, in the order of the plan."""
    stored = store.trials()
    tasks: list[Task] = []
    for index, cell in enumerate(plan):
        trials = stored.get(index, [])
        there = {trial.round for trial in trials}
        if cell.ber == 0:
            wanted = 1
        elif rule.enough(prefix(trials)) is None:
            wanted = max(rule.rounds, len(prefix(trials)) + 1)
        else:
            continue
        tasks += [(index, cell, round_) for round_ in range(wanted) if round_ not in there]
    return tasks


def _status(store: Store, plan: Sequence[Cell], rule: Stopping) -> Status:
    missing = _missing(store, plan, rule)
    open_cells = {index for index, _, _ in missing}
    trials = sum(len(each) for each in store.trials().values())
    return Status(len(plan), len(plan) - len(open_cells), trials, len(missing))


def _stored_form(spec: CampaignSpec) -> dict[str, Any]:
    """The spec as it comes back from JSON."""
    form: dict[str, Any] = json.loads(json.dumps(spec.to_json()))
    return form


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
