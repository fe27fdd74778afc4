"""The command that measures designs on data: evaluate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from hwflow.cli import _options as options
from hwflow.cli._app import DESIGN, app
from hwflow.cli._console import print_line, save_json
from hwflow.cli._inputs import data_path
from hwflow.cli._tables import print_deviations, print_evaluation
from hwflow.errors import HwflowError
from hwflow.files.outputs import check_outputs
from hwflow.progress import progress_bar


@app.command(
    rich_help_panel=DESIGN, epilog="Example: hwflow evaluate design --data digits --ber 1e-3 --rounds 10 --seed 1"
)
def evaluate(
    design: options.DesignFolder,
    data: options.Data,
    labels: options.Labels = None,
    preprocessing: options.Preprocessing = None,
    images: options.Images = None,
    ber: options.Ber = None,
    rounds: Annotated[
        int | None,
        typer.Option(
            "--rounds",
            metavar="N",
            min=1,
            rich_help_panel=options.FAULTS,
            help="Fault lists drawn for --ber; by default 10.",
        ),
    ] = None,
    faults: options.Faults = None,
    faulty_biases: options.FaultyBiases = False,
    layers: options.Layers = None,
    spared: Annotated[
        Path | None,
        typer.Option(
            "--spared",
            metavar="FILE",
            rich_help_panel=options.FAULTS,
            help="Bits that faults do not reach, as 'hwflow sensitivity -o' writes them. By default they reach all.",
        ),
    ] = None,
    executor: Annotated[
        Literal["reference", "csim", "rtl", "keras"],
        typer.Option(
            "--executor",
            rich_help_panel=options.RUN,
            help="Integer reference, C++ firmware, RTL in Verilator, or the float network (clean only).",
        ),
    ] = "reference",
    deviation: Annotated[
        bool,
        typer.Option(
            "--deviation",
            rich_help_panel=options.RUN,
            help="Root mean square from the Keras model's outputs, which needs no labels. By default: accuracy.",
        ),
    ] = False,
    project: options.ProjectFolder = None,
    save_faults: Annotated[
        Path | None,
        typer.Option(
            "--save-faults",
            metavar="DIR",
            rich_help_panel=options.FAULTS,
            help="Write the fault list of every round to this folder. By default none is kept.",
        ),
    ] = None,
    threads: options.Threads = None,
    seed: options.Seed = 0,
    json: options.Json = None,
) -> None:
    """Accuracy of a design, clean and under faults, top-1, top-5 of more than 10 classes, or their deviation."""
    check_outputs(
        {
            "design": design,
            "data": data_path(data),
            "labels": labels,
            "fault list": faults,
            "project": project,
            "--spared": spared,
        },
        files={"--json": json},
        folders={"--save-faults": save_faults},
    )
    with progress_bar("reading the design"):
        from hwflow.data import guessing
        from hwflow.folders.design import load_design
        from hwflow.stages import deviation as of_outputs
        from hwflow.stages import evaluate as stage

        opened = load_design(design)
    name = f"BER {ber:g}" if ber is not None else str(faults)
    about = {"design": str(design), "design_sha256": opened.sha256, "ber": ber, "layers": layers or None}
    same: dict[str, Any] = {
        "preprocessing": preprocessing,
        "ber": ber,
        "rounds": rounds,
        "faults": faults,
        "faulty_biases": faulty_biases,
        "layers": layers or None,
        "executor": executor,
        "images": images,
        "seed": seed,
        "project": project,
        "threads": threads,
    }
    if deviation:
        for option, given in (("--labels", labels), ("--spared", spared), ("--save-faults", save_faults)):
            if given is not None:
                raise HwflowError(f"{option}: is for accuracy; leave it out, or leave out --deviation")
        with progress_bar("reading images") as shown:
            found = of_outputs.deviations(opened, data, **same, advance=shown.advance)
        print_deviations(f"{opened.graph.name} on {found.data}, {executor} executor", found, name)
        save_json(json, "evaluate", seed, {**about, **found.to_json()})
        return
    with progress_bar("reading images") as shown:
        result = stage.evaluate(
            opened, data, **same, labels=labels, spared=spared, save_faults=save_faults, advance=shown.advance
        )
    how = "" if result.preprocessing is None else f" (preprocessing {result.preprocessing})"
    print_evaluation(f"{opened.graph.name} on {result.data}{how}, {executor} executor", result, name)
    if reason := guessing(result.clean.mean, result.clean.images, opened.graph.output.shape[-1]):
        print_line(f"warning: without faults, {reason}")
    save_json(json, "evaluate", seed, {**about, **result.to_json()})
