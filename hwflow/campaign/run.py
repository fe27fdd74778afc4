"""Running a campaign, taking it up again, and saying how far it is."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from hwflow.campaign.constants import constant_rows
from hwflow.campaign.place import check_place
from hwflow.campaign.plan import Cell, Claim, Task, cells
from hwflow.campaign.records import Damage, Stored, Trial
from hwflow.campaign.sources import inputs_of
from hwflow.campaign.spec import STOPPING, CampaignSpec
from hwflow.campaign.statistics import Stopping, summarise
from hwflow.campaign.store import Store
from hwflow.campaign.trials import Bundle, Runner, prepare
from hwflow.errors import HwflowError
from hwflow.files.outputs import check_outputs
from hwflow.progress import Advance, no_progress
from hwflow.stages.input_range import InputRange
from hwflow.version import __version__

Run = Callable[[Sequence[Task], Claim], Iterable[Trial]]

RECORDED_VERSIONS = ("numpy", "tensorflow-cpu", "keras", "hls4ml")


@dataclass(frozen=True)
class Status:
    """How far a campaign is.

    Attributes:
        cells: in the plan.
        finished: cells that have enough rounds.
        trials: stored, and sound.
        missing: trials that are known to be needed; more may follow where rounds depend on an interval.
        not_reached: finished cells that stopped at ``max_rounds`` with a wider interval than ``until_ci`` asks for.
        widest: half of the widest of their intervals, points; None if there are none.
        damaged: stored trials that cannot be trusted; after a run, those that it found and computed again.
        inputs: of every network, its images' values against the reference's input type; None in the float executor.
    """

    cells: int
    finished: int
    trials: int
    missing: int
    not_reached: int = 0
    widest: float | None = None
    damaged: tuple[Damage, ...] = ()
    inputs: Mapping[str, InputRange | None] = field(default_factory=dict)


def run_campaign(
    spec: CampaignSpec,
    results: str | Path,
    *,
    dask: str | None = None,
    advance: Advance = no_progress,
    step: Callable[[str], None] = lambda _: None,
) -> Status:
    """Run what is missing of a campaign, and store every trial as it is finished.

    A new results file appears when networks and data are loaded and checked, with its head complete; it is removed
    again if the campaign fails before its first trial.

    Args:
        spec: the campaign.
        results: the SQLite file, new or of the same campaign. Several processes may work on one file: each trial is
            computed by one of them, and taken over if its process dies.
        dask: ``local``, ``local:N`` or a scheduler's ``tcp://...``; None runs in this process.
        advance: progress display.
        step: called with the name of each step before the first trial.

    Raises:
        HwflowError: the file is another campaign's or no results file, is damaged beyond its rows or cannot be
            written, a network or data set does not fit, or the scheduler cannot be reached.
    """
    path, known = Path(results), None
    check_outputs(inputs_of(spec), folders={"results": results})
    check_place(path)
    if (begun := Store.begun(path)) is not None:
        with begun:  # before anything is loaded
            check_same(spec, begun)
            known = {name: each["correct"] for name, each in begun.meta()["float"].items()}
    if dask is not None:
        from hwflow.campaign import cluster

        with cluster.connect(dask) as workers:
            bundle = prepare(spec, step, known)
            return execute(path, bundle, lambda tasks, claim: workers.run(bundle, tasks, claim), advance)
    bundle = prepare(spec, step, known)
    runner = Runner(bundle)

    def here(tasks: Sequence[Task], claim: Claim) -> Iterator[Trial]:
        for task in tasks:
            if claim(task[0], task[2]):
                yield runner.run(*task)

    return execute(path, bundle, here, advance)


def status(results: str | Path) -> Status:
    """How far the campaign in a results file is."""
    with Store(results) as store:
        head = store.meta()
        found = _status(store.load(), plan_of(head), Stopping(**head["stopping"]))
        return replace(found, inputs=input_ranges(head))


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
    stored = {**_stored_form(CampaignSpec()), **store.meta()["spec"]}  # what is not there was not known then
    wanted = _stored_form(spec)
    for key in wanted:
        if key not in STOPPING and stored[key] != wanted[key]:
            raise HwflowError(
                f"{store.path}: holds another campaign, its {key!r} is {stored[key]}, not {wanted[key]}; "
                "choose another results file, or remove this one"
            )


def execute(path: Path, bundle: Bundle, run: Run, advance: Advance) -> Status:
    """Make or open the results file, and run what is missing of its campaign.

    Args:
        path: of the results file.
        bundle: the campaign's specification, networks and images.
        run: runs the tasks that it can claim, and yields their trials.
        advance: progress display.
    """
    spec = bundle.spec
    plan = cells(spec, {name: tuple(network.layers) for name, network in bundle.networks.items()}, bundle.designs)
    rule = Stopping(**stopping_of(spec))
    with Store.create(path, _head(bundle, plan)) as store:
        _check_head(store, bundle)
        store.share()
        damaged = store.repair()
        try:
            with store.joined():
                while tasks := _missing((stored := store.load()).trials, plan, rule):
                    now, number = _status(stored, plan, rule), 0
                    for number, trial in enumerate(run(tasks, store.claim), 1):
                        store.add(trial)
                        done = now.trials + number
                        advance(done, max(done, now.trials + now.missing), plan[trial.cell].format)
                    if not number:  # other processes are at all that is left
                        store.wait()
        except BaseException:
            store.discard()
            raise
        store.settle()
        inputs = {name: network.inputs for name, network in bundle.networks.items()}
        return replace(_status(stored, plan, rule), damaged=damaged, inputs=inputs)


def input_ranges(head: Mapping[str, Any]) -> dict[str, InputRange | None]:
    """The images' values of every network, from the head of a results file."""
    return {name: None if each is None else InputRange.from_json(each) for name, each in head["inputs"].items()}


def _head(bundle: Bundle, plan: Sequence[Cell]) -> dict[str, Any]:
    """The head of a new results file."""
    networks = bundle.networks
    of = {name: bundle.designs[name].model if name in bundle.designs else name for name in networks}
    images = {of[name]: len(each.labels) for name, each in networks.items()}
    graphs = {name: each.graph.weight_layers if each.graph else () for name, each in networks.items()}
    vectors = {name: {layer.name: layer.vectors for layer in layers} for name, layers in graphs.items()}
    return {
        "hwflow": __version__,
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in RECORDED_VERSIONS}},
        "spec": _stored_form(bundle.spec),
        "stopping": stopping_of(bundle.spec),
        "plan": [cell.to_json() for cell in plan],
        "hashes": _hashes(bundle),
        "inputs": {name: each.inputs and each.inputs.to_json() for name, each in networks.items()},
        "layers": [
            {"model": name, "layer": layer, "weights": size, "max_abs": largest, "vectors": vectors[name].get(layer)}
            for name, network in networks.items()
            for layer, (size, largest) in network.layers.items()
        ],
        "constants": constant_rows(
            plan,
            {name: each.graph for name, each in networks.items()},
            {name: networks[name].constants for name in bundle.designs},
        ),
        "float": {name: {"correct": hits, "images": images[name]} for name, hits in bundle.in_float.items()},
    }


def _hashes(bundle: Bundle) -> dict[str, dict[str, str]]:
    return {name: {"model": each.digest, "data": each.data_digest} for name, each in bundle.networks.items()}


def _check_head(store: Store, bundle: Bundle) -> None:
    """Refuse a file of another campaign; take over how many rounds count."""
    check_same(bundle.spec, store)
    hashes, head = _hashes(bundle), store.meta()
    for name, expected in head["hashes"].items():
        for what in ("model", "data"):
            if hashes[name][what] != expected[what]:
                raise HwflowError(
                    f"{store.path}: was made with another {what} ({name}, SHA-256 {expected[what][:12]}, "
                    f"not {hashes[name][what][:12]}); restore it, or choose another results file"
                )
    if head["stopping"] != stopping_of(bundle.spec):
        store.put("stopping", stopping_of(bundle.spec))


def _missing(stored: Mapping[int, Sequence[Trial]], plan: Sequence[Cell], rule: Stopping) -> list[Task]:
    """The trials that are needed next, in the order of the plan."""
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


def _status(stored: Stored, plan: Sequence[Cell], rule: Stopping) -> Status:
    missing = _missing(stored.trials, plan, rule)
    open_cells = {index for index, _, _ in missing}
    trials = sum(len(each) for each in stored.trials.values())
    wide = []
    for index, cell in enumerate(plan):
        if rule.until_ci is not None and cell.ber and index not in open_cells:
            accuracies = prefix(stored.trials[index])
            summary = summarise(accuracies[: rule.enough(accuracies)], rule.interval)
            if not rule.reached(summary):
                wide.append(summary.half_width)
    finished = len(plan) - len(open_cells)
    return Status(len(plan), finished, trials, len(missing), len(wide), max(wide, default=None), stored.damaged)


def _stored_form(spec: CampaignSpec) -> dict[str, Any]:
    """The spec as it comes back from JSON."""
    form: dict[str, Any] = json.loads(json.dumps(spec.to_json()))
    return form


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
