"""The command that ranks stored bits: sensitivity."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hwflow.cli import _options as options
from hwflow.cli._app import STUDY, app
from hwflow.cli._console import print_line, print_table, save_json
from hwflow.data import data_path
from hwflow.errors import HwflowError
from hwflow.files.outputs import check_outputs
from hwflow.progress import progress_bar

if TYPE_CHECKING:
    from hwflow.stages.sensitivity import Sensitivity

_SHOWN = 10


@app.command(
    rich_help_panel=STUDY, epilog="Example: hwflow sensitivity design --data digits --protect-top 1e-3 -o bits.json"
)
def sensitivity(
    design: options.DesignFolder,
    data: options.Data,
    preprocessing: options.Preprocessing = None,
    images: Annotated[
        int,
        typer.Option("--images", metavar="N", min=1, rich_help_panel=options.IMAGES, help="Images of every exact run."),
    ] = 64,
    confirmed: Annotated[
        int,
        typer.Option(
            "--confirm", metavar="N", min=1, rich_help_panel=options.FAULTS,
            help="Bits with the largest estimates to run, one flip a run.",
        ),
    ] = 1000,
    sampled: Annotated[
        int,
        typer.Option(
            "--sample", metavar="N", min=1, rich_help_panel=options.FAULTS, help="Bits drawn at random to run."
        ),
    ] = 1000,
    protect_top: Annotated[
        float | None,
        typer.Option(
            "--protect-top", metavar="F", min=0.0, max=1.0, rich_help_panel=options.OUTPUT,
            help="Write the fraction F of all bits with the largest estimates to -o, for 'evaluate --spared'. By "
            "default nothing is written.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FILE", rich_help_panel=options.OUTPUT,
            help="The fault list that --protect-top writes, which does not go without.",
        ),
    ] = None,
    threads: options.Threads = None,
    seed: options.Seed = 0,
    json: options.Json = None,
) -> None:  # fmt: skip
    """Rank all stored bits by what their flip does to the logits; run the worst and a sample exactly."""
    if (protect_top is None) != (output is None):
        raise HwflowError("--protect-top says how many bits -o FILE gets: give both, or neither")
    if protect_top == 0:
        raise HwflowError("--protect-top must be above 0")
    check_outputs({"design": design, "data": data_path(data)}, files={"--json": json, "-o": output})
    from hwflow.folders.design import load_design
    from hwflow.stages import sensitivity as stage

    opened = load_design(design)
    with progress_bar() as shown:
        result = stage.sensitivity(
            opened, data, preprocessing=preprocessing, images=images, confirmed=confirmed, sampled=sampled, seed=seed,
            threads=threads, advance=shown.advance,
        )  # fmt: skip
    _print(opened.graph.name, result)
    kept = None
    if protect_top is not None and output is not None:
        critical = result.critical(opened, protect_top)
        critical.save(output)
        # Where a bit is, and its value.
        side = len(critical) * (1 + (result.bits - 1).bit_length())
        print_line(f"{output}: {len(critical)} bits; a side memory of place and value would have {side} bits")
        kept = {"bits": len(critical), "side_bits": side}
    about = {"design": str(design), "design_sha256": opened.sha256, "protect_top": kept}
    save_json(json, "sensitivity", seed, {**about, **result.to_json()})


def _print(name: str, result: Sensitivity) -> None:
    bits = sorted(result.by_bit(), key=lambda row: -row["share"])[:_SHOWN]
    print_table(
        f"{name} on {result.data}: where the estimate says that flips matter, the first {_SHOWN} of all positions",
        ("memory", "bit", "mean error", "share of all %"),
        ((row["memory"], row["bit"], f"{row['mean']:.3g}", f"{100 * row['share']:.1f}") for row in bits),
    )
    print_table(
        f"single flips, run on {result.images} images: the first {_SHOWN} of {len(result.top)}",
        ("memory", "word", "bit", "estimate", "error", "classes changed"),
        (
            (each.memory, each.word, each.bit, f"{each.estimate:.3g}", f"{each.error:.3g}", each.changed)
            for each in result.top[:_SHOWN]
        ),
    )
    found = "none: all are alike" if result.correlation is None else f"{result.correlation:.3f}"
    print_line("errors: mean square change of the logits, relative to their variance")
    print_line(f"rank correlation (Spearman) of estimate and error over {len(result.sample)} random bits: {found}")
    print_line(
        f"{result.bits} bits estimated in {result.seconds:.1f} s; {result.faults_per_second:.0f} exact flips a second"
    )
