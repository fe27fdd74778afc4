"""The command that shows what campaigns have found: report, of one results file or of several beside each other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hwflow.cli import _options as options
from hwflow.cli._app import STUDY, app
from hwflow.cli._console import print_line, print_table, save_json
from hwflow.cli._ignored import refuse_ignored
from hwflow.cli.paper import print_accuracies
from hwflow.errors import HwflowError
from hwflow.files.folders import REPORT, check_output
from hwflow.files.outputs import check_outputs, write_file
from hwflow.progress import progress_bar

if TYPE_CHECKING:
    from hwflow.report import Comparison

COMPARISON = Path("comparison.html")


@app.command(rich_help_panel=STUDY, epilog="Example: hwflow report a.sqlite b.sqlite -o page.html")
def report(
    results: Annotated[
        list[Path],
        typer.Argument(
            metavar="RESULTS...",
            help="Results file of 'hwflow campaign'. Several are compared with the first one on one page; the --json "
            "of 'hwflow evaluate' may be among them.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="DIR|PAGE",
            rich_help_panel=options.OUTPUT,
            help="Folder for the page and figures of one RESULTS; by default 'report', unless --csv or --parquet is "
            "given. Of several the page, a .html file; by default 'comparison.html', unless --csv is given.",
        ),
    ] = None,
    force: options.Force = False,
    csv: Annotated[
        Path | None,
        typer.Option(
            "--csv",
            metavar="FILE",
            rich_help_panel=options.OUTPUT,
            help="Write every trial, or of several RESULTS every condition of each, to FILE as CSV. By default it is "
            "not written.",
        ),
    ] = None,
    parquet: Annotated[
        Path | None,
        typer.Option(
            "--parquet",
            metavar="FILE",
            rich_help_panel=options.OUTPUT,
            help="Write every trial of one RESULTS to FILE as Parquet. By default it is not written.",
        ),
    ] = None,
    seed: options.UnusedSeed = 0,
    json: options.Json = None,
) -> None:
    """Tables and figures of a campaign, finished or not, on an HTML page; or of several beside each other."""
    if len(results) > 1:
        refuse_ignored(True, "it is for one results file", {"--parquet": parquet})
        refuse_ignored(True, "a page that compares is a file, which is replaced", {"--force": force})
        _compare(results, output, csv, json, seed)
    else:
        _report(results[0], output, force, csv, parquet, json, seed)


def _report(
    results: Path,
    output: Path | None,
    force: bool,
    csv: Path | None,
    parquet: Path | None,
    json: Path | None,
    seed: int,
) -> None:
    page = output or (Path("report") if csv is None and parquet is None else None)
    check_outputs(
        {"results file": results},
        files={"--csv": csv, "--parquet": parquet, "--json": json},
        folders={"-o": page},
    )
    refuse_ignored(page is None, "no page is written; name its folder with -o", {"--force": force})
    if page is not None:
        check_output(page, REPORT, force)
    with progress_bar("reading the results") as shown:
        from hwflow.campaign.export import read_results, write_csv, write_parquet
        from hwflow.report import to_json, write_report

        found = read_results(results)
        content = to_json(found)
        if csv is not None:
            write_csv(found, csv)
        if parquet is not None:
            write_parquet(found, parquet)
        if page is not None:
            shown.step("drawing the figures")
            page = write_report(found, page, force)
    print_accuracies(f"Top-1 accuracy, {results}", (row for row in content["cells"] if _whole(row)), labelled=True)
    for answer in content["answers"]:
        for choice in answer["choices"]:
            print_line(f"{answer['model']}, BER {choice['ber']:g}: {_chosen(choice)}")
    for engine in content["engines"]:
        print_line(f"computed by {engine['engine']}: {engine['trials']} trials")
    for warning in content["warnings"]:
        print_line(f"warning: {warning}")
    for name, path in (("CSV", csv), ("Parquet", parquet), ("page", page)):
        if path is not None:
            print_line(f"{name}: {path}")
    save_json(json, "report", seed, {"results": str(results), **content})


def _compare(results: list[Path], output: Path | None, csv: Path | None, json: Path | None, seed: int) -> None:
    page = output or (COMPARISON if csv is None else None)
    if page is not None and page.suffix != ".html":
        raise HwflowError(f"-o {page}: must end in .html; a page that compares several results files is one file")
    reads = {f"results file {number}": path for number, path in enumerate(results, 1)}
    check_outputs(reads, files={"-o": page, "--csv": csv, "--json": json})
    with progress_bar("reading the results") as shown:
        from hwflow.report import compare_results, write_comparison

        found = compare_results(results)
        if csv is not None:
            write_file(csv, found.csv().encode("utf-8", "backslashreplace"))
        if page is not None:
            shown.step("drawing the figures")
            page = write_comparison(found, page)
    _print_comparison(found)
    for name, path in (("CSV", csv), ("page", page)):
        if path is not None:
            print_line(f"{name}: {path}")
    save_json(json, "report", seed, found.to_json())


def _print_comparison(found: Comparison) -> None:
    rows = [row for row in found.rows() if _whole(row)]
    several = len({row["condition"] for row in rows}) > 1
    columns = ("BER", "file", "accuracy %", "95 % interval", "difference", "its interval", "pairing", "rounds")
    print_table(
        f"Top-1 accuracy, and differences from {found.files[0].name} in points",
        ("condition", *columns) if several else columns,
        ([row["condition"], *_cells(row)] if several else _cells(row) for row in rows),
        spare=("rounds", "95 % interval", "pairing"),
    )
    print_line("Intervals are 95 % ones, over fault lists; differences are on the same images.")
    for line in found.notes:
        print_line(f"warning: {line}")


def _cells(row: dict[str, Any]) -> list[object]:
    from hwflow.campaign.statistics import interval_text

    return [
        "-" if row["ber"] is None else f"{row['ber']:g}",
        row["file"],
        f"{row['mean']:.2f}",
        interval_text(row["low"], row["high"], row["rounds"]),
        None if row["difference"] is None else f"{row['difference']:+.2f}",
        interval_text(row["difference_low"], row["difference_high"], sign=True),
        row["pairing"],
        row["rounds"],
    ]


def _chosen(choice: dict[str, Any]) -> str:
    best, cheapest = choice["best"], choice["cheapest"]
    text = f"{best['way']} loses least, {best['lost']:.2f} points against float; "
    if cheapest is None:
        return text + "none surely loses 1 point or less"
    return text + f"cheapest that surely loses 1 or less: {cheapest['way']}, {cheapest['lost']:.2f}"


def _whole(row: dict[str, Any]) -> bool:
    return row["layer"] is None and row["bit"] is None
