"""The command that hardens networks: harden."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from hwflow.cli import _options as options
from hwflow.cli._app import DESIGN, app
from hwflow.cli._console import print_line, save_json
from hwflow.cli._ignored import refuse_ignored
from hwflow.cli._inputs import data_path, model_paths
from hwflow.cli._tables import print_plan
from hwflow.files.outputs import check_outputs
from hwflow.progress import progress_bar


@app.command(rich_help_panel=DESIGN, epilog="Example: hwflow harden digits_cnn -o design --weights 'ap_fixed<8,3>'")
def harden(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="digits_cnn, digits_qcnn, a Keras, QKeras, PyTorch or ONNX file (.h5, .keras, .json, .pt2, .onnx), or "
            "with --torch-weights alexnet, densenet121, densenet169, resnet18, resnet34, resnet50, squeezenet1_1 or, "
            "for CIFAR, resnet20, resnet32, resnet44, resnet56.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", metavar="DESIGN", rich_help_panel=options.OUTPUT, help="Design folder to write."
        ),
    ],
    force: options.Force = False,
    torch_weights: options.TorchWeights = None,
    classes: options.Classes = None,
    image_size: options.ImageSize = None,
    weights: Annotated[
        str,
        typer.Option(
            "--weights",
            metavar="TYPE",
            rich_help_panel=options.SCALING,
            help="Type of the stored weights, ap_fixed<W,I>: W bits, I of them before the binary point, sign included.",
        ),
    ] = "ap_fixed<8,3>",
    t: Annotated[
        float | None,
        typer.Option(
            "--t",
            metavar="T",
            rich_help_panel=options.SCALING,
            help="Largest magnitude of the scaled weights; by default just under the type's largest value.",
        ),
    ] = None,
    scale: Annotated[
        Literal["exact", "pow2", "none"],
        typer.Option(
            "--scale",
            rich_help_panel=options.SCALING,
            help="c = t / max|W| exactly, rounded down to a power of two, or no scaling.",
        ),
    ] = "exact",
    granularity: Annotated[
        Literal["layer", "channel"],
        typer.Option(
            "--granularity",
            rich_help_panel=options.SCALING,
            help="One c for a layer, or one for an output channel, c = t / max|W[channel]|.",
        ),
    ] = "layer",
    absorb: Annotated[
        bool,
        typer.Option(
            "--absorb/--no-absorb",
            rich_help_panel=options.SCALING,
            help="Scales of channels: the next layer's weights take them in, or a multiplier after the layer.",
        ),
    ] = False,
    align: Annotated[
        Literal["shift", "multiply"],
        typer.Option(
            "--align",
            rich_help_panel=options.SCALING,
            help="At an Add: lower one c by less than 2x, or spend a constant multiplier.",
        ),
    ] = "shift",
    compensation: Annotated[
        Literal["logits", "layer", "none"],
        typer.Option(
            "--compensation",
            rich_help_panel=options.SCALING,
            help="Where the scale is divided out again: once at the logits, after every layer, or nowhere.",
        ),
    ] = "logits",
    outliers: Annotated[
        float,
        typer.Option(
            "--outliers",
            metavar="FRACTION",
            rich_help_panel=options.SCALING,
            help="Fraction of a layer's weights, the largest, that do not count for max|W|; a protected side memory "
            "completes those that the type cannot hold.",
        ),
    ] = 0.0,
    saturate: Annotated[
        bool,
        typer.Option(
            "--saturate",
            rich_help_panel=options.SCALING,
            help="Saturate weights that the type cannot hold. Without it they are refused.",
        ),
    ] = False,
    protect: Annotated[
        str,
        typer.Option(
            "--protect",
            metavar="NAME[:BER]",
            rich_help_panel=options.SCALING,
            help="Storage code of the weights, of all layers or by layer (PATTERN=NAME[:BER],...), fitted to a bit "
            "error rate (0.01). plain: none. secded: 8 check bits on 64. bch64-45: eight weights and BCH checks in "
            "64 bits. cosq: a table for a layer. docs/protections.md has all of them.",
        ),
    ] = "plain",
    calibrated_rounding: Annotated[
        bool,
        typer.Option(
            "--calibrated-rounding/--no-calibrated-rounding",
            rich_help_panel=options.SCALING,
            help="Weights fitted to a storage code are rounded so that they make up for each other's errors on the "
            "calibration images, or each alone.",
        ),
    ] = True,
    calibration: options.Calibration = None,
    preprocessing: options.CalibrationPreprocessing = None,
    calibration_images: Annotated[
        int | None,
        typer.Option(
            "--calibration-images",
            metavar="N",
            min=1,
            rich_help_panel=options.TYPES,
            help="How many of them, drawn at random; by default 256, or all of fewer.",
        ),
    ] = None,
    activation_bits: Annotated[
        int,
        typer.Option(
            "--activation-bits", metavar="N", rich_help_panel=options.TYPES, help="Width of activations, 8 to 16 bits."
        ),
    ] = 16,
    guard_bits: Annotated[
        int,
        typer.Option(
            "--guard-bits",
            metavar="N",
            rich_help_panel=options.TYPES,
            help="Integer bits on top of what calibration finds.",
        ),
    ] = 1,
    table_bits: Annotated[
        int,
        typer.Option(
            "--table-bits",
            metavar="N",
            rich_help_panel=options.TYPES,
            help="Bits that address the table of an activation such as tanh, 8 to 16.",
        ),
    ] = 13,
    headroom: Annotated[
        int,
        typer.Option(
            "--headroom",
            metavar="N",
            rich_help_panel=options.TYPES,
            help="Integer bits more for biases, constants and outliers, for networks that are hardened --like this one "
            "later.",
        ),
    ] = 0,
    like: Annotated[
        Path | None,
        typer.Option(
            "--like",
            metavar="DESIGN",
            rich_help_panel=options.TYPES,
            help="Take the types of this design, of the same layers and options, so that its hardware, generated with "
            "--loadable, loads this network too. By default types come from the calibration images.",
        ),
    ] = None,
    seed: options.Seed = 0,
    json: options.Json = None,
) -> None:
    """Scale, quantise and calibrate a network; write a design folder."""
    check_outputs(
        {**model_paths(model), "state dict": torch_weights, "calibration data": data_path(calibration), "--like": like},
        files={"--json": json},
        folders={"-o": output},
    )
    refuse_ignored(
        scale == "none",
        "--scale none scales nothing",
        {
            "--t": t,
            "--align": align != "shift",
            "--granularity": granularity != "layer",
            "--compensation": compensation == "layer",
        },
    )
    refuse_ignored(granularity != "channel", "it is for --granularity channel", {"--absorb": absorb})
    refuse_ignored(compensation == "layer", "--compensation layer leaves no scale to take in", {"--absorb": absorb})
    from hwflow.fixed import FixedType
    from hwflow.hardening import HardenOptions
    from hwflow.hardening.options import ScalingOptions
    from hwflow.stages.harden import harden as run

    scaling = ScalingOptions(
        FixedType.parse(weights),
        t,
        scale,
        align,
        compensation,
        saturate,
        granularity=granularity,
        absorb=absorb,
        outliers=outliers,
    )
    with progress_bar("loading the model") as shown:
        design = run(
            model,
            output,
            HardenOptions(
                scaling,
                activation_bits,
                guard_bits,
                storage=protect,
                calibrated_rounding=calibrated_rounding,
                headroom=headroom,
                table_bits=table_bits,
            ),
            torch_weights=torch_weights,
            classes=classes,
            image_size=image_size,
            calibration=calibration,
            preprocessing=preprocessing,
            calibration_images=calibration_images,
            like=like,
            seed=seed,
            force=force,
            step=shown.step,
        )
    print_plan(design, preprocessing is not None)
    print_line(f"design: {design.path}  (SHA-256 {design.sha256[:12]})")
    save_json(json, "harden", seed, {**design.manifest, "design": str(design.path), "layers": design.layers()})
