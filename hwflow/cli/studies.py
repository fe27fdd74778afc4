"""The commands of campaigns: campaign, report; and with them those of `paper`."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hwflow.cli import _options as options
from hwflow.cli._console import display, print_line, save_json
from hwflow.cli._ignored import refuse_ignored
from hwflow.cli.commands import app
from hwflow.cli.paper import paper, print_accuracies
from hwflow.errors import HwflowError
from hwflow.files.outputs import check_outputs

if TYPE_CHECKING:
    from hwflow.campaign import CampaignSpec, Status

app.add_typer(paper, name="paper")


@app.command(epilog="Example: hwflow campaign examples/digits.toml -o results.sqlite")
def campaign(
    results: Annotated[
        Path, typer.Option("-o", "--output", metavar="RESULTS", help="SQLite file; taken up again if it is there.")
    ],
    spec: Annotated[
        Path | None, typer.Argument(metavar="[SPEC]", help="TOML file; by default the one that RESULTS was made with.")
    ] = None,
    show_status: Annotated[bool, typer.Option("--status", help="Say how far RESULTS is, and run nothing.")] = False,
    dask: Annotated[
        str | None,
        typer.Option("--dask", metavar="WHERE", help="local, local:N, or the tcp://HOST:PORT of a Dask scheduler."),
    ] = None,
    rounds: Annotated[
        int | None, typer.Option("--rounds", metavar="N", min=1, help="Instead of the specification's.")
    ] = None,
    until_ci: Annotated[
        float | None,
        typer.Option(
            "--until-ci", metavar="POINTS", help="Add rounds until the 95 % interval of every mean is within ± POINTS."
        ),
    ] = None,
    max_rounds: Annotated[
        int | None, typer.Option("--max-rounds", metavar="N", min=1, help="Cap of --until-ci; by default 100.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", metavar="N", min=0, help="Instead of the specification's.")
    ] = None,
    json: options.Json = None,
) -> None:
    """Run a sweep of fault injections; the same command resumes it, on any number of processes."""
    # SQLite keeps what is not yet in the file beside it.
    journals = {f"-o's {ending}": Path(f"{results}{ending}") for ending in ("-wal", "-shm", "-journal")}
    check_outputs({"specification": spec}, files={"-o": results, "--json": json}, folders=journals)
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
    with display() as shown:
        reached = stage.run_campaign(chosen, results, dask=dask, advance=shown.advance, step=shown.step)
    _print_status(results, reached)
    content = {"results": str(results), **_as_json(reached), "stopping": stopping_of(chosen)}
    save_json(json, "campaign", chosen.seed, content)


@app.command(epilog="Example: hwflow report results.sqlite -o report --csv results.csv")
def report(
    results: Annotated[Path, typer.Argument(metavar="RESULTS", help="Results file of 'hwflow campaign'.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="DIR", help="Folder for the page and figures; 'report' unless a table is wanted."
        ),
    ] = None,
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Every trial as CSV.")] = None,
    parquet: Annotated[Path | None, typer.Option("--parquet", metavar="FILE", help="Every trial as Parquet.")] = None,
    force: options.Force = False,
    seed: options.UnusedSeed = 0,
    json: options.Json = None,
) -> None:
    """Tables and figures of a campaign, finished or not: one self-contained HTML page, CSV, Parquet."""
    page = output or (Path("report") if csv is None and parquet is None else None)
    check_outputs(
        {"results file": results},
        files={"--csv": csv, "--parquet": parquet, "--json": json},
        folders={"-o": page},
    )
    refuse_ignored(page is None, "no page is written; name its folder with -o", {"--force": force})
    from hwflow.campaign.export import read_results, write_csv, write_parquet
    from hwflow.report import to_json, write_report

    found = read_results(results)
    if csv is not None:
        write_csv(found, csv)
        print_line(f"CSV: {csv}")
    if parquet is not None:
        write_parquet(found, parquet)
        print_line(f"Parquet: {parquet}")
    content = to_json(found)
    print_accuracies(f"Top-1 accuracy, {results}", (row for row in content["cells"] if _whole(row)))
    for engine in content["engines"]:
        print_line(f"computed by {engine['engine']}: {engine['trials']} trials")
    for warning in content["warnings"]:
        print_line(f"warning: {warning}")
    if page is not None:
        print_line(f"page: {write_report(found, page, force)}")
    save_json(json, "report", seed, {"results": str(results), **content})


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


def _whole(row: dict[str, Any]) -> bool:
    return row["layer"] is None and row["bit"] is None
