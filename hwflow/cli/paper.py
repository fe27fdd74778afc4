"""The commands of the paper's studies: fig2, fig3, table1, table2, logits."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from hwflow.cli import _options as options
from hwflow.cli._console import print_line, print_table, save_json
from hwflow.cli._help import App, Group
from hwflow.cli._ignored import refuse_ignored
from hwflow.cli._inputs import check_figure, data_path, study_inputs
from hwflow.files.outputs import check_outputs
from hwflow.progress import progress_bar

if TYPE_CHECKING:
    from hwflow.float_study import Msb
    from hwflow.paper.plots import Bars, Width
    from hwflow.paper.studies import Subject

ROUNDS = 10
_NO_FLOAT = "no format has an exponent"
_NO_FIXED = "no format is fixed-point"
_NO_FIGURE = "without --figure nothing is drawn"
STORED = tuple(f"{study}-{number}.sqlite" for study in ("fig3", "table1", "table2") for number in (1, 2))
"""Names of the results files of the studies."""

FigureWidth = Annotated[
    Literal["single", "double"] | None,
    typer.Option(
        "--width",
        rich_help_panel=options.OUTPUT,
        help="Width of --figure: a column of a paper (3.5 inches) or both (7.16). Default single.",
    ),
]

paper = App(cls=Group, no_args_is_help=True, help="The paper's studies: fig2, fig3, table1, table2, logits.")


@paper.command(epilog="Example: hwflow paper fig2 --figure fig2.pdf --json fig2.json")
def fig2(
    formats: options.Formats = None,
    constants: Annotated[
        list[float] | None,
        typer.Option(
            "--c",
            metavar="C",
            rich_help_panel=options.FAULTS,
            help="Constant that weights are multiplied by; repeat for several. By default 1 to 5.",
        ),
    ] = None,
    ber: Annotated[
        float,
        typer.Option(
            "--ber",
            metavar="P",
            min=0.0,
            max=1.0,
            rich_help_panel=options.FAULTS,
            help="Bit error rate: every bit flips with probability P.",
        ),
    ] = 0.1,
    rounds: Annotated[
        int,
        typer.Option(
            "--rounds",
            metavar="N",
            min=2,
            rich_help_panel=options.FAULTS,
            help="Masks drawn for every weight.",
        ),
    ] = 10**6,
    msb: options.SafeMsb = "assume",
    figure: options.Figure = None,
    width: FigureWidth = None,
    seed: options.Seed = 0,
    json: options.Json = None,
) -> None:
    """Absolute error against weight value, by Monte Carlo and over all masks (figure 2)."""
    check_paths(None, figure=figure, json=json)
    refuse_ignored(figure is None, _NO_FIGURE, {"--width": width})
    with progress_bar("loading the study"):
        from hwflow.float_study.words import PAPER_FORMATS
        from hwflow.paper import fig2 as study

    refuse_ignored(_without(formats or PAPER_FORMATS, floats=True), _NO_FLOAT, {"--msb": msb != "assume"})
    from hwflow.paper.plots import fig2_plot, save

    with progress_bar("drawing masks") as shown:
        curves = study.fig2(
            formats or PAPER_FORMATS, constants or study.CONSTANTS, ber, rounds, msb, seed, advance=shown.advance
        )
    rows = [curve.row() for curve in curves]
    print_table(
        f"Mean absolute error over weights of -0.5 to 0.5, BER {ber:g}, {rounds} rounds",
        ("format", "c", "exact", "Monte Carlo", "standard error", "NaN or infinite"),
        (
            (
                row["format"],
                row["c"],
                row["mean_exact"],
                row["mean_monte_carlo"],
                row["standard_error"],
                row["non_finite"],
            )
            for row in rows
        ),
    )
    if figure is not None:
        save(fig2_plot(curves, ber, rounds, width or "single"), figure)
    content = {"ber": ber, "rounds": rounds, "msb": msb, "rows": rows, "curves": [_points(curve) for curve in curves]}
    save_json(json, "paper fig2", seed, content)


@paper.command(epilog="Example: hwflow paper fig3 --model resnet18 --weights resnet18.pth --data val")
def fig3(
    model: options.Model = "digits_cnn",
    weights: options.Weights = None,
    classes: options.Classes = None,
    image_size: options.ImageSize = None,
    data: options.Data = "digits",
    labels: options.Labels = None,
    preprocessing: options.Preprocessing = None,
    images: options.Images = None,
    formats: options.Formats = None,
    rounds: options.Rounds = 10,
    msb: options.Msb = "assume",
    results: options.TrialFolder = None,
    figure: options.Figure = None,
    width: FigureWidth = None,
    bars: Annotated[
        Literal["interval", "std"] | None,
        typer.Option(
            "--bars",
            rich_help_panel=options.OUTPUT,
            help="Error bars: 95 % interval of the mean, or standard deviation, as in the paper. Default interval.",
        ),
    ] = None,
    seed: options.Seed = 0,
    json: options.Json = None,
) -> None:
    """Accuracy against t at three bit error rates (figure 3)."""
    network = (model, weights, classes, image_size)
    subject = _subject(network, data, labels, preprocessing, images, rounds, seed, msb)
    refuse_ignored(figure is None, _NO_FIGURE, {"--width": width, "--bars": bars})
    _study("fig3", subject, formats, results, figure, json, width, bars)


@paper.command(epilog="Example: hwflow paper table1 --model resnet18 --weights resnet18.pth --data val")
def table1(
    model: options.Model = "digits_cnn",
    weights: options.Weights = None,
    classes: options.Classes = None,
    image_size: options.ImageSize = None,
    data: options.Data = "digits",
    labels: options.Labels = None,
    preprocessing: options.Preprocessing = None,
    images: options.Images = None,
    formats: options.Formats = None,
    results: options.TrialFolder = None,
    seed: options.Seed = 0,
    json: options.Json = None,
) -> None:
    """Accuracy without faults in every format (table I)."""
    network = (model, weights, classes, image_size)
    subject = _subject(network, data, labels, preprocessing, images, 1, seed)
    _study("table1", subject, formats, results, None, json)


@paper.command(epilog="Example: hwflow paper table2 --model alexnet --weights alexnet.pth --data val")
def table2(
    model: options.Model = "digits_cnn",
    weights: options.Weights = None,
    classes: options.Classes = None,
    image_size: options.ImageSize = None,
    data: options.Data = "digits",
    labels: options.Labels = None,
    preprocessing: options.Preprocessing = None,
    images: options.Images = None,
    formats: options.Formats = None,
    rounds: options.Rounds = 10,
    msb: options.Msb = "assume",
    results: options.TrialFolder = None,
    seed: options.Seed = 0,
    json: options.Json = None,
) -> None:
    """Accuracy under faults in every format, at t = 1 and the optimum (table II)."""
    network = (model, weights, classes, image_size)
    subject = _subject(network, data, labels, preprocessing, images, rounds, seed, msb)
    _study("table2", subject, formats, results, None, json)


@paper.command(epilog="Example: hwflow paper logits --model alexnet --weights alexnet.pth --data val")
def logits(
    model: options.Model = "digits_cnn",
    weights: options.Weights = None,
    classes: options.Classes = None,
    image_size: options.ImageSize = None,
    data: options.Data = "digits",
    labels: options.Labels = None,
    preprocessing: options.Preprocessing = None,
    images: options.Images = None,
    formats: options.Formats = None,
    ber: Annotated[
        list[float] | None,
        typer.Option(
            "--ber",
            metavar="P",
            min=0.0,
            max=1.0,
            rich_help_panel=options.FAULTS,
            help="Also under faults at bit error rate P; repeat for several. By default fault-free alone.",
        ),
    ] = None,
    rounds: Annotated[
        int | None,
        typer.Option(
            "--rounds",
            metavar="N",
            min=1,
            rich_help_panel=options.FAULTS,
            help="Fault lists for every rate; by default 10.",
        ),
    ] = None,
    msb: options.SafeMsb = "assume",
    calibration: options.Calibration = None,
    seed: options.Seed = 0,
    json: options.Json = None,
) -> None:
    """Divide only the logits, in FP32, FP16 and fixed point (section V.C)."""
    under_faults = {"--rounds": rounds, "--msb": msb != "assume"}
    refuse_ignored(not ber, "it is about faults; give --ber", under_faults)
    with progress_bar("loading the study"):
        from hwflow.campaign.statistics import described
        from hwflow.paper import logits as study

    refuse_ignored(_without(formats or study.FORMATS, floats=False), _NO_FIXED, {"--calibration": calibration})
    refuse_ignored(_without(formats or study.FORMATS, floats=True), _NO_FLOAT, {"--msb": msb != "assume"})
    network = (model, weights, classes, image_size)
    subject = _subject(network, data, labels, preprocessing, images, rounds or ROUNDS, seed, msb)
    check_outputs({**study_inputs(subject), "calibration data": data_path(calibration)}, files={"--json": json})
    with progress_bar("loading network and images") as shown:
        found = study.run_logits(subject, formats or study.FORMATS, ber or (), calibration, shown.advance)
    rows = [each.row(subject) for each in found]
    columns = ["format", "compensation", "renormalised", "log2 scale", "BER", "accuracy %", "std %", "rounds"]
    print_table(
        f"Top-1 accuracy of {model}, {rows[0]['images']} images",
        [*columns, "NaN or infinite", *(["published %"] if subject.is_papers else [])],
        (
            [
                row["format"],
                row["compensation"],
                "yes" if row["renormalised"] else "no",
                row["log2_scale"],
                f"{row['ber']:g}",
                f"{row['accuracy']:.2f}",
                f"{row['std']:.2f}",
                row["rounds"],
                row["bad_images"],
                *([row["published"]] if subject.is_papers else []),
            ]
            for row in rows
        ),
        spare=("rounds", "log2 scale"),
    )
    save_json(json, "paper logits", seed, {"rows": rows, "interval": described("wilson")})


def check_paths(subject: Subject | None, results: Path | None = None, **files: Path | None) -> None:
    """Refuse outputs of a study that would cost an input or each other, or cannot be written, before any long work.

    Args:
        subject: what the study reads.
        results: folder of its results files.
        files: output files by option, without dashes.

    Raises:
        HwflowError: see :func:`hwflow.files.outputs.check_outputs`; or a figure's name has another ending.
    """
    reads = {} if subject is None else study_inputs(subject)
    stored = {} if results is None else {f"--results {name}": results / name for name in STORED}
    check_outputs(reads, files={f"--{name}": path for name, path in files.items()}, folders=stored)
    check_figure(files.get("figure"))


def _without(formats: Iterable[str], floats: bool) -> bool:
    """Whether none of the formats is a floating-point one, or none a fixed-point one."""
    from hwflow.float_study import weight_format

    return all((weight_format(name).exponent_msb is not None) != floats for name in formats)


def _subject(
    network: tuple[str, str | None, int | None, int | None],
    data: str,
    labels: Path | None,
    preprocessing: str | None,
    images: int | None,
    rounds: int = 1,
    seed: int = 0,
    msb: Msb = "assume",
) -> Subject:
    with progress_bar("loading network and images"):
        from hwflow.paper.studies import Subject

    return Subject(*network, data, None if labels is None else str(labels), preprocessing, images, rounds, seed, msb)


def _study(
    name: str,
    subject: Subject,
    formats: list[str] | None,
    results: Path | None,
    figure: Path | None,
    json: Path | None,
    width: Width | None = None,
    bars: Bars | None = None,
) -> None:
    check_paths(subject, results, figure=figure, json=json)
    from hwflow.campaign.statistics import described
    from hwflow.float_study.words import PAPER_FORMATS

    refuse_ignored(_without(formats or PAPER_FORMATS, floats=True), _NO_FLOAT, {"--msb": subject.msb != "assume"})
    from hwflow.paper.plots import fig3_plot, save
    from hwflow.paper.studies import row, run_study

    with progress_bar("loading network and images") as shown:
        found, damaged = run_study(
            name, subject, formats or PAPER_FORMATS, results=results, advance=shown.advance, step=shown.step
        )
    for line in damaged:
        print_line(f"warning: {line}, and computed again")
    rows = [row(name, subject, each) for each in found]
    print_accuracies(f"Top-1 accuracy of {subject.model} on {subject.data}", rows, published=subject.is_papers)
    if figure is not None:
        save(fig3_plot(found, width or "single", bars or "interval", subject), figure)
    save_json(json, f"paper {name}", subject.seed, {"rows": rows, "interval": described("wilson")})


def print_accuracies(
    title: str, rows: Iterable[dict[str, Any]], published: bool = False, labelled: bool = False
) -> None:
    """Print accuracies with their intervals; ``rows`` as in the JSON, ``labelled`` by how weights are stored."""
    from hwflow.campaign.plan import t_text
    from hwflow.campaign.statistics import interval_text

    columns = [
        "model",
        "format",
        "weights" if labelled else "t",
        "BER",
        "accuracy %",
        "std %",
        "95 % interval",
        "rounds",
        "images",
    ]
    print_table(
        title,
        columns + (["published %"] if published else []),
        (
            [
                row["model"],
                row["format"],
                row["protection"] if labelled else "none" if row["t"] is None else t_text(row["t"]),
                f"{row['ber']:g}",
                f"{row['mean']:.2f}",
                f"{row['std']:.2f}" if row["rounds"] > 1 else None,
                interval_text(row["low"], row["high"], row["rounds"]),
                row["rounds"],
                row["images"],
                *([row["published"]] if published else []),
            ]
            for row in rows
        ),
        spare=("images", "rounds", "std %"),
    )


def _points(curve: Any) -> dict[str, Any]:
    """A curve of figure 2 as JSON data, one element a weight."""
    from hwflow.paper.fig2 import WEIGHTS

    return {
        "format": curve.format,
        "c": curve.c,
        "weight": WEIGHTS.tolist(),
        "exact": None if curve.exact is None else curve.exact.tolist(),
        "monte_carlo": curve.monte_carlo.tolist(),
        "standard_error": curve.error.tolist(),
    }
