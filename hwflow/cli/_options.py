"""Options that several commands share, spelled once; and the themes that help groups them by."""

from pathlib import Path
from typing import Annotated, Literal

import typer

NETWORK = "Network"
SCALING = "Scaling and storage"
TYPES = "Activation types"
IMAGES = "Images"
FAULTS = "Faults"
HARDWARE = "Hardware"
LIMITS = "Limits"
RUN = "How it runs"
OUTPUT = "Output"

DesignFolder = Annotated[Path, typer.Argument(metavar="DESIGN", help="Design folder, made by 'hwflow harden'.")]
_DATA = typer.Option(
    "--data",
    metavar="DATA",
    rich_help_panel=IMAGES,
    help="'digits' (its 500 test images), an .npz with arrays x and y (class numbers or one-hot), or a folder "
    "of images: one folder a class, or flat with --labels.",
)
Data = Annotated[str, _DATA]
OptionalData = Annotated[
    str | None,
    typer.Option(
        "--data", metavar="DATA", rich_help_panel=IMAGES, help=f"{_DATA.help} Needed by everything without --test."
    ),
]
Labels = Annotated[
    Path | None,
    typer.Option(
        "--labels",
        metavar="FILE|DEVKIT",
        rich_help_panel=IMAGES,
        help="Labels of a flat folder: a text file (file name and class index a line), or ImageNet's unpacked devkit; "
        "by default labels.txt in the folder.",
    ),
]
PreprocessingName = Literal["imagenet", "cifar", "caffe", "unchanged", "unit", "pixels"]
Preprocessing = Annotated[
    PreprocessingName | None,
    typer.Option(
        "--preprocessing",
        rich_help_panel=IMAGES,
        help="Of a folder's images. imagenet: resize, crop to 224, normalise as torchvision; cifar or unchanged: "
        "normalise alone; caffe: BGR minus the mean; unit: RGB from 0 to 1; pixels: RGB from 0 to 255. By default as "
        "in calibration; there, cifar up to 64 pixels, else imagenet.",
    ),
]
CalibrationPreprocessing = Annotated[
    PreprocessingName | None,
    typer.Option(
        "--preprocessing",
        rich_help_panel=TYPES,
        help="Of a folder's images. imagenet: resize, crop to 224, normalise as torchvision; cifar or unchanged: "
        "normalise alone; caffe: BGR minus the mean; unit: RGB from 0 to 1; pixels: RGB from 0 to 255. By default "
        "cifar up to 64 pixels, else imagenet.",
    ),
]
Images = Annotated[
    int | None,
    typer.Option(
        "--images",
        metavar="N",
        min=1,
        rich_help_panel=IMAGES,
        help="Only N images: the first of an array, evenly spread over a folder; by default all of them.",
    ),
]
SimulatedImages = Annotated[
    int,
    typer.Option(
        "--images",
        metavar="N",
        min=1,
        rich_help_panel=IMAGES,
        help="Only N images: the first of an array, evenly spread over a folder.",
    ),
]
Ber = Annotated[
    float | None,
    typer.Option(
        "--ber",
        metavar="P",
        min=0.0,
        max=1.0,
        rich_help_panel=FAULTS,
        help="Bit error rate: every stored bit flips with probability P. Without it and --faults: no faults.",
    ),
]
Faults = Annotated[
    Path | None,
    typer.Option(
        "--faults", metavar="FILE", rich_help_panel=FAULTS, help="A saved fault list; by default --ber draws them."
    ),
]
FaultyBiases = Annotated[
    bool,
    typer.Option(
        "--faulty-biases",
        rich_help_panel=FAULTS,
        help="Biases are in fault-prone memory too; by default only weights are.",
    ),
]
Layers = Annotated[
    list[str] | None,
    typer.Option(
        "--layers",
        metavar="PATTERN",
        rich_help_panel=FAULTS,
        help="Only faults in layers of this name, such as 'block1_*'; may be repeated. By default in all layers.",
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads", metavar="N", min=1, rich_help_panel=RUN, help="Threads of the reference; by default all cores."
    ),
]
ProjectFolder = Annotated[
    Path | None,
    typer.Option(
        "--project",
        metavar="PROJECT",
        rich_help_panel=RUN,
        help="Use this generated project; by default a temporary one.",
    ),
]
Simulator = Annotated[
    Literal["verilator", "icarus"], typer.Option("--simulator", rich_help_panel=RUN, help="RTL simulator.")
]
Seed = Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Seed of everything random.")]
UnusedSeed = Annotated[
    int, typer.Option("--seed", metavar="N", min=0, help="Accepted by every command; nothing is random in this one.")
]
Json = Annotated[
    Path | None,
    typer.Option(
        "--json",
        metavar="FILE",
        help="Write the result to FILE as JSON; docs/json.md explains its keys. Without it the result is only printed.",
    ),
]
Force = Annotated[
    bool,
    typer.Option(
        "--force",
        rich_help_panel=OUTPUT,
        help="Replace the output folder if hwflow wrote it; the new one must be complete. Without it a folder that is "
        "there is refused.",
    ),
]
Calibration = Annotated[
    str | None,
    typer.Option(
        "--calibration",
        metavar="DATA",
        rich_help_panel=TYPES,
        help="Images that set the activation types: 'digits' (its training images), an .npz, or a folder. By default "
        "digits for an embedded network; other networks need it.",
    ),
]
TorchWeights = Annotated[
    Path | None,
    typer.Option(
        "--torch-weights",
        metavar="FILE",
        rich_help_panel=NETWORK,
        help="State dict for a network known by name: .pth, .pt, .th, .npz or .safetensors. Networks that come without "
        "their weights need it.",
    ),
]
Model = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="MODEL",
        rich_help_panel=NETWORK,
        help="Embedded network, port (resnet18, alexnet, ...) or model file.",
    ),
]
Weights = Annotated[
    str | None,
    typer.Option(
        "--weights",
        metavar="FILE",
        rich_help_panel=NETWORK,
        help="A port's state dict (.pth, .npz); ports come without their weights.",
    ),
]
Classes = Annotated[
    int | None,
    typer.Option(
        "--classes",
        metavar="N",
        min=1,
        rich_help_panel=NETWORK,
        help="A port's classes; by default as in the original.",
    ),
]
ImageSize = Annotated[
    int | None,
    typer.Option(
        "--image-size",
        metavar="PIXELS",
        min=1,
        rich_help_panel=NETWORK,
        help="Height and width of a port's image; by default the original's.",
    ),
]
Rounds = Annotated[
    int,
    typer.Option("--rounds", metavar="N", min=1, rich_help_panel=FAULTS, help="Fault lists for every condition."),
]
Formats = Annotated[
    list[str] | None,
    typer.Option(
        "--format",
        metavar="TYPE",
        rich_help_panel=FAULTS,
        help="Weight format: fp32, fp16 or ap_fixed<W,I>; repeat for several. By default all of the paper's.",
    ),
]
Msb = Annotated[
    Literal["assume", "clamp", "sparse", "none"],
    typer.Option(
        "--msb",
        rich_help_panel=FAULTS,
        help="Most significant exponent bit. assume: it never flips; clamp: weights are held within -2 to 2, and it is "
        "not stored; sparse: the same, and a side memory has larger weights; none: it flips.",
    ),
]
SafeMsb = Annotated[
    Literal["assume", "none"],
    typer.Option("--msb", rich_help_panel=FAULTS, help="The top exponent bit never flips (assume), or it does (none)."),
]
TrialFolder = Annotated[
    Path | None,
    typer.Option(
        "--results",
        metavar="DIR",
        rich_help_panel=OUTPUT,
        help="Keep every trial here, to take the study up again. Without it a study that is interrupted begins anew.",
    ),
]
Figure = Annotated[
    Path | None,
    typer.Option(
        "--figure",
        metavar="FILE",
        rich_help_panel=OUTPUT,
        help="Draw it too: FILE ends in .pdf, .svg or .png. Without it nothing is drawn.",
    ),
]
