"""The command that ranks stored bits: sensitivity."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hwflow.cli import _options as options
from hwflow.cli._app import STUDY, app
from hwflow.cli._console import print_line, print_table, save_json
from hwflow.cli._inputs import data_path
from hwflow.errors import HwflowError
from hwflow.files.folders import DESIGN, check_output
from hwflow.files.outputs import check_outputs
from hwflow.progress import progress_bar

if TYPE_CHECKING:
    from hwflow.folders.design import Design
    from hwflow.stages.sensitivity import Sensitivity

_SHOWN = 10


@app.command(
    rich_help_panel=STUDY, epilog="Example: hwflow sensitivity design --data digits --protect-top 0.1% -o protected"
)
def sensitivity(
    design: options.DesignFolder,
    data: options.Data,
    preprocessing: options.Preprocessing = None,
    images: Annotated[
        int | None,
        typer.Option(
            "--images", metavar="N", min=1, rich_help_panel=options.IMAGES,
            help="Images of every exact run; by default 64, or all of fewer.",
        ),
    ] = None,
    confirmed: Annotated[
        int | None,
        typer.Option(
            "--confirm", metavar="N", min=1, rich_help_panel=options.FAULTS,
            help="Bits with the largest estimates to run, one flip a run; by default 1000, or all of fewer.",
        ),
    ] = None,
    sampled: Annotated[
        int | None,
        typer.Option(
            "--sample", metavar="N", min=1, rich_help_panel=options.FAULTS,
            help="Bits drawn at random to run; by default 1000, or all of fewer.",
        ),
    ] = None,
    protect_top: Annotated[
        str | None,
        typer.Option(
            "--protect-top", metavar="F", rich_help_panel=options.OUTPUT,
            help="Write to -o a design that keeps the fraction F of the weights (0.001 or 0.1%), those with the "
            "largest estimates, in a side memory that faults do not reach. By default nothing is written.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="DIR|FILE.json", rich_help_panel=options.OUTPUT,
            help="The design folder that --protect-top writes, which does not go without; or, if it ends in .json, a "
            "fault list of the fraction F of all bits with the largest estimates, for 'evaluate --spared'.",
        ),
    ] = None,
    force: options.Force = False,
    threads: options.Threads = None,
    seed: options.Seed = 0,
    json: options.Json = None,
) -> None:  # fmt: skip
    """Rank all stored bits by what their flip does to the logits; run the worst and a sample exactly."""
    if (protect_top is None) != (output is None):
        raise HwflowError("--protect-top says how much -o gets: give both, or neither")
    fraction = None if protect_top is None else _fraction(protect_top)
    is_list = output is not None and output.suffix == ".json"
    reads, files = {"design": design, "data": data_path(data)}, {"--json": json, "-o": output if is_list else None}
    check_outputs(reads, files=files, folders={"-o": None if is_list else output})
    with progress_bar("reading the design"):
        from hwflow.folders.design import load_design
        from hwflow.stages import sensitivity as stage
        from hwflow.stages.protect import refuse_kept

        opened = load_design(design)
    if output is not None and not is_list:
        check_output(output, DESIGN, force)
        refuse_kept(opened.graph)
    with progress_bar("reading images") as shown:
        result = stage.sensitivity(
            opened, data, preprocessing=preprocessing, images=images, confirmed=confirmed, sampled=sampled, seed=seed,
            threads=threads, advance=shown.advance,
        )  # fmt: skip
    _print(opened.graph.name, result)
    kept = None
    if fraction is not None and output is not None:
        kept = _spare(opened, result, fraction, output) if is_list else _keep(opened, result, fraction, output, force)
    about = {"design": str(design), "design_sha256": opened.sha256, "protect_top": kept}
    save_json(json, "sensitivity", seed, {**about, **result.to_json()})


def _fraction(text: str) -> float:
    """The fraction that ``0.001`` or ``0.1%`` says."""
    try:
        value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        raise HwflowError(f"--protect-top {text}: give a fraction, such as 0.001 or 0.1%") from None
    if not 0 < value <= 1:
        raise HwflowError(f"--protect-top {text}: must be above 0 and at most 1")
    return value


def _spare(design: Design, result: Sensitivity, fraction: float, output: Path) -> dict[str, int]:
    critical = result.critical(design, fraction)
    critical.save(output)
    # Where a bit is, and its value.
    side = len(critical) * (1 + (result.bits - 1).bit_length())
    print_line(f"{output}: {len(critical)} bits; a side memory of place and value would have {side} bits")
    return {"bits": len(critical), "side_bits": side}


def _keep(design: Design, result: Sensitivity, fraction: float, output: Path, force: bool) -> dict[str, int]:
    from hwflow.stages.protect import protect

    about: dict[str, int] = protect(design, result, fraction, output, force=force).manifest["kept"]
    share = 100 * about["side_bits"] / result.bits
    print_line(
        f"{output}: {about['weights']} weights kept; side memories have {about['side_bits']} bits, {share:.2g} % of "
        "what the weight memories have"
    )
    return {"weights": about["weights"], "side_bits": about["side_bits"]}


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
