"""The commands of campaigns: campaign and advise; and with them those of `paper`."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hwflow.cli import _options as options
from hwflow.cli._app import OTHERS, STUDY, app
from hwflow.cli._console import print_command, print_line, print_table, save_json
from hwflow.cli._ignored import refuse_ignored
from hwflow.cli._inputs import check_figure, data_path, model_paths
from hwflow.cli.paper import paper
from hwflow.errors import HwflowError
from hwflow.files.outputs import check_outputs
from hwflow.progress import progress_bar

if TYPE_CHECKING:
    from hwflow.campaign import CampaignSpec, Status
    from hwflow.campaign.advised import Advice

CANDIDATES = "Candidates"
ROUNDS = 4
"""Fault lists that advice takes for a candidate."""

app.add_typer(paper, name="paper", rich_help_panel=OTHERS)


@app.command(rich_help_panel=STUDY, epilog="Example: hwflow campaign examples/digits.toml -o results.sqlite")
def campaign(
    results: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            metavar="RESULTS",
            rich_help_panel=options.OUTPUT,
            help="SQLite file; taken up again if it is there.",
        ),
    ],
    spec: Annotated[
        Path | None, typer.Argument(metavar="SPEC", help="TOML file; by default the one that RESULTS was made with.")
    ] = None,
    show_status: Annotated[
        bool, typer.Option("--status", rich_help_panel=options.RUN, help="Say how far RESULTS is, and run nothing.")
    ] = False,
    dask: Annotated[
        str | None,
        typer.Option(
            "--dask",
            metavar="WHERE",
            rich_help_panel=options.RUN,
            help="local, local:N (processes), or the tcp://HOST:PORT of a Dask scheduler. By default in this process.",
        ),
    ] = None,
    rounds: Annotated[
        int | None,
        typer.Option(
            "--rounds",
            metavar="N",
            min=1,
            rich_help_panel=options.FAULTS,
            help="Fault lists for every condition; by default the specification's.",
        ),
    ] = None,
    until_ci: Annotated[
        float | None,
        typer.Option(
            "--until-ci",
            metavar="POINTS",
            rich_help_panel=options.FAULTS,
            help="Add rounds until the 95 % interval of every mean is within +- POINTS, percentage points of top-1; by "
            "default as the specification says.",
        ),
    ] = None,
    max_rounds: Annotated[
        int | None,
        typer.Option(
            "--max-rounds",
            metavar="N",
            min=1,
            rich_help_panel=options.FAULTS,
            help="Rounds that --until-ci stops at; by default the specification's, or 100.",
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", metavar="N", min=0, help="Seed of everything random; by default the specification's."),
    ] = None,
    json: options.Json = None,
) -> None:
    """Run a sweep of fault injections; the same command resumes it, on any number of processes."""
    # SQLite keeps what is not yet in the file beside it.
    journals = {f"-o's {ending}": Path(f"{results}{ending}") for ending in ("-wal", "-shm", "-journal")}
    check_outputs({"specification": spec}, files={"-o": results, "--json": json}, folders=journals)
    with progress_bar("reading the specification"):
        from hwflow import campaign as stage
        from hwflow.campaign.run import stopping_of

    running = {
        "SPEC": spec, "--dask": dask, "--rounds": rounds, "--until-ci": until_ci, "--max-rounds": max_rounds,
        "--seed": seed,
    }  # fmt: skip
    refuse_ignored(show_status, "--status runs nothing", running)
    if show_status:
        reached = stage.status(results)
        _print_status(results, reached)
        content = {"results": str(results), **_as_json(reached), "stopping": _head(results)["stopping"]}
        save_json(json, "campaign", None, content)
        return
    chosen = stage.load_spec(spec) if spec is not None else _stored_spec(results)
    if max_rounds is not None and until_ci is None and chosen.until_ci is None:
        raise HwflowError("--max-rounds: is the cap of --until-ci, which is not given")
    given: dict[str, Any] = {"rounds": rounds, "until_ci": until_ci, "max_rounds": max_rounds, "seed": seed}
    chosen = replace(chosen, **{name: value for name, value in given.items() if value is not None})
    check_outputs(stage.inputs_of(chosen), files={"-o": results, "--json": json})
    with progress_bar("loading networks and images") as shown:
        reached = stage.run_campaign(chosen, results, dask=dask, advance=shown.advance, step=shown.step)
    _print_status(results, reached)
    content = {"results": str(results), **_as_json(reached), "stopping": stopping_of(chosen)}
    save_json(json, "campaign", chosen.seed, content)


@app.command(rich_help_panel=STUDY, epilog="Example: hwflow advise digits_cnn --data digits --ber 1e-2")
def advise(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL|DESIGN", help="As for 'hwflow harden', or a design folder, whose types are taken over."
        ),
    ],
    data: options.Data,
    ber: Annotated[
        float,
        typer.Option(
            "--ber", metavar="P", rich_help_panel=options.FAULTS, help="Bit error rate of the memory, up to 0.5."
        ),
    ],
    loss: Annotated[
        float,
        typer.Option(
            "--loss",
            metavar="POINTS",
            rich_help_panel=options.LIMITS,
            help="Percentage points of top-1 that may be lost against the float network.",
        ),
    ] = 1.0,
    max_luts: Annotated[
        float | None,
        typer.Option(
            "--max-luts",
            metavar="N",
            rich_help_panel=options.LIMITS,
            help="LUTs that a decoder may take for a weight a cycle; by default any number.",
        ),
    ] = None,
    code: Annotated[
        list[str] | None,
        typer.Option(
            "--code",
            metavar="NAME[:BER]",
            rich_help_panel=CANDIDATES,
            help="Only this storage code; may be repeated. By default many.",
        ),
    ] = None,
    by_layer: Annotated[
        bool,
        typer.Option(
            "--by-layer/--one-code",
            rich_help_panel=CANDIDATES,
            help="Also choose a code for every layer, within a budget of LUTs.",
        ),
    ] = True,
    kept: Annotated[
        bool,
        typer.Option(
            "--kept/--not-kept",
            rich_help_panel=CANDIDATES,
            help="Where the fewest bits lose too much, also try with the most critical 0.1 and 1 % of the weights in a "
            "side memory that faults do not reach.",
        ),
    ] = True,
    tried: Annotated[
        int,
        typer.Option(
            "--tried",
            metavar="N",
            min=1,
            rich_help_panel=CANDIDATES,
            help="Candidates that are tried on the images, the best of the ranking.",
        ),
    ] = 8,
    torch_weights: options.TorchWeights = None,
    classes: options.Classes = None,
    image_size: options.ImageSize = None,
    calibration: options.Calibration = None,
    labels: options.Labels = None,
    preprocessing: options.Preprocessing = None,
    images: Annotated[
        int,
        typer.Option("--images", metavar="N", min=1, rich_help_panel=options.IMAGES, help="Images of a trial."),
    ] = 500,
    rounds: Annotated[
        int,
        typer.Option(
            "--rounds",
            metavar="N",
            min=2,
            rich_help_panel=options.FAULTS,
            help="Fault lists for every candidate that is tried; 2 are too few for an interval.",
        ),
    ] = ROUNDS,
    figure: options.Figure = None,
    seed: options.Seed = 0,
    json: options.Json = None,
) -> None:
    """Rank the storage codes for a network and a bit error rate, try the best, and say which to take."""
    reads = {
        **model_paths(model), "state dict": torch_weights, "data": data_path(data), "labels": labels,
        "calibration data": data_path(calibration),
    }  # fmt: skip
    check_outputs(reads, files={"--json": json, "--figure": figure})
    check_figure(figure)
    with progress_bar("loading networks and images") as shown:
        from hwflow.campaign.advice import KEPT
        from hwflow.campaign.advice import advise as run

        found = run(
            model, data, ber, loss=loss, max_luts=max_luts, codes=code, by_layer=by_layer, tried=tried,
            torch_weights=torch_weights, classes=classes, image_size=image_size, calibration=calibration,
            labels=None if labels is None else str(labels), preprocessing=preprocessing, images=images, rounds=rounds,
            kept=KEPT if kept else (), seed=seed, step=shown.step, advance=shown.advance,
        )  # fmt: skip
    _print_advice(found)
    if figure is not None:
        from hwflow.paper.plots import save
        from hwflow.report.advice import advice_plot

        save(advice_plot(found), figure)
    save_json(json, "advise", seed, found.to_json())


def _print_advice(found: Advice) -> None:
    def number(value: float | None) -> str:
        return "-" if value is None else f"{value:.0f}"

    print_table(
        f"Points lost at BER {found.ber:g} of {found.accuracy:.2f} %, {found.images} images, {found.rounds} rounds",
        ("code", "scale a", "lost", "95 % interval", "clean", "bits a weight", "LUTs a weight", "cycles"),
        (
            (
                each.candidate.label,
                each.candidate.granularity,
                f"{each.loss:.2f}",
                None if each.low is None else f"{each.low:.2f} .. {each.high:.2f}",
                f"{each.clean:.2f}",
                f"{each.candidate.bits:.2f}",
                number(each.candidate.luts),
                number(each.candidate.latency),
            )
            for each in found.tried
        ),
        spare=("cycles", "clean"),
    )
    unknown = "-: its decoder was not synthesised. " if any(each.candidate.luts is None for each in found.tried) else ""
    print_line(
        f"{len(found.ranked)} ways ranked, {len(found.tried)} tried; lost below 0: better than in float. "
        f"{unknown}Intervals are over fault lists; the images are the same."
    )
    sure = f"surely loses {found.accepted:g} point{'' if found.accepted == 1 else 's'} or less"
    if found.best.low is None:
        print_line(f"{found.rounds} rounds are too few for intervals, so nothing is sure; give --rounds {ROUNDS}")
    elif found.cheapest is None:
        print_line(f"none of them {sure}: the upper end of no interval does")
    elif found.cheapest is found.best:
        print_line(f"loses least, and is the cheapest that {sure}, {found.best.candidate.label}:")
        print_command(found.command(found.best))
        return
    else:
        print_line(f"cheapest that {sure}, {found.cheapest.candidate.label}:")
        print_command(found.command(found.cheapest))
    print_line(f"loses least, {found.best.candidate.label}:")
    print_command(found.command(found.best))


def _print_status(results: Path, reached: Status) -> None:
    from hwflow.report.tables import damage_text, not_reached_text

    left = f", {reached.missing} trials missing" if reached.missing else ""
    print_line(f"{results}: {reached.finished} of {reached.cells} conditions finished, {reached.trials} trials{left}")
    if reached.widest is not None:
        print_line(f"warning: {not_reached_text(reached.not_reached, reached.widest, _head(results)['stopping'])}")
    for damage in reached.damaged:
        outcome = "and computed again" if not reached.missing else "and does not count"
        print_line(f"warning: {damage_text(damage, _head(results))}, {outcome}")
    for name, inputs in reached.inputs.items():
        if inputs is not None and (warning := inputs.warning()):
            print_line(f"warning: {name}: {warning}")


def _as_json(reached: Status) -> dict[str, Any]:
    inputs = {name: each and each.to_json() for name, each in reached.inputs.items()}
    return {**asdict(reached), "inputs": inputs}


def _head(results: Path) -> dict[str, Any]:
    from hwflow.campaign import Store

    with Store(results) as store:
        return store.meta()


def _stored_spec(results: Path) -> CampaignSpec:
    from hwflow.campaign.spec_file import parse_spec

    head = _head(results)
    return parse_spec({**head["spec"], **head["stopping"]})
