"""The commands to begin with: doctor and demo."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hwflow.cli import _options as options
from hwflow.cli._app import BEGIN, app
from hwflow.cli._console import save_json
from hwflow.cli._tables import print_demo, print_tools
from hwflow.files.outputs import check_outputs
from hwflow.progress import progress_bar

if TYPE_CHECKING:
    from hwflow.doctor import Finding


@app.command(rich_help_panel=BEGIN, epilog="Example: hwflow demo -o demo")
def demo(
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", rich_help_panel=options.OUTPUT, help="Folder to write.")
    ] = Path("demo"),
    quick: Annotated[
        bool,
        typer.Option("--quick", rich_help_panel=options.RUN, help="Fewer images and rounds, to see that all runs."),
    ] = False,
    simulator: options.Simulator = "verilator",
    force: options.Force = False,
    seed: options.Seed = 0,
    json: options.Json = None,
) -> None:
    """Run the whole path on the embedded network and digits, in less than 10 minutes."""
    check_outputs({}, files={"--json": json}, folders={"-o": output})
    with progress_bar("hardening the embedded network") as shown:
        from hwflow.stages import demo as stage

        result = stage.demo(output, quick=quick, simulator=simulator, force=force, seed=seed, step=shown.step)
    print_demo(result)
    save_json(json, "demo", seed, result.to_json())
    result.check()


@app.command(rich_help_panel=BEGIN, epilog="Example: hwflow doctor")
def doctor(seed: options.UnusedSeed = 0, json: options.Json = None) -> None:
    """Show which tools are here, their versions, and how to get what is missing."""
    check_outputs({}, files={"--json": json})
    from hwflow import doctor as stage

    with progress_bar("looking for tools") as shown:
        findings = stage.examine()
        shown.step("compiling the reference's kernels")
        kernels = _kernels(findings)
    print_tools(findings, kernels)
    save_json(json, "doctor", seed, {**stage.to_json(findings), "kernels": kernels})
    stage.check(findings)


def _kernels(findings: Sequence[Finding]) -> str:
    """Which kernels the reference has on this machine, or why it has none."""
    if not any(each.found for each in findings if each.tool.name == "numpy"):
        return "none, as NumPy is missing"
    from hwflow.reference.kernels.library import build

    return build().note
