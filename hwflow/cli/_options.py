"""Options that several commands share, spelled once."""

from pathlib import Path
from typing import Annotated, Literal

import typer

DesignFolder = Annotated[Path, typer.Argument(metavar="DESIGN", help="Design folder, made by 'hwflow harden'.")]
_DATA = typer.Option(
    "--data",
    metavar="DATA",
    help="'digits' (its 500 test images), an .npz with arrays x and y (class numbers or one-hot), or a folder "
    "of images: one folder a class, or flat with --labels.",
)
Data = Annotated[str, _DATA]
OptionalData = Annotated[str | None, _DATA]
Labels = Annotated[
    Path | None,
    typer.Option(
        "--labels",
        metavar="FILE|DEVKIT",
        help="Labels of a flat folder: a text file (file name and class index a line), or ImageNet's unpacked devkit; "
        "by default labels.txt in the folder.",
    ),
]
PreprocessingName = Literal["imagenet", "cifar", "caffe", "unchanged", "unit", "pixels"]
Preprocessing = Annotated[
    PreprocessingName | None,
    typer.Option(
        "--preprocessing",
        help="Of a folder's images. imagenet: resize, crop to 224, normalise as torchvision; cifar or unchanged: "
        "normalise alone; caffe: BGR minus the mean; unit: RGB from 0 to 1; pixels: RGB from 0 to 255. By default as "
        "in calibration; there, cifar up to 64 pixels, else imagenet.",
    ),
]
Images = Annotated[
    int | None,
    typer.Option(
        "--images",
        metavar="N",
        min=1,
        help="Only N images: the first of an array, evenly spread over a folder; by default all of them.",
    ),
]
Ber = Annotated[
    float | None,
    typer.Option(
        "--ber", metavar="P", min=0.0, max=1.0, help="Bit error rate: every stored bit flips with probability P."
    ),
]
Faults = Annotated[Path | None, typer.Option("--faults", metavar="FILE", help="A saved fault list, instead of --ber.")]
FaultyBiases = Annotated[
    bool, typer.Option("--faulty-biases", help="Biases are in fault-prone memory too; by default only weights are.")
]
Layers = Annotated[
    list[str] | None,
    typer.Option(
        "--layers", metavar="PATTERN", help="Only faults in layers of this name, such as 'block1_*'; may be repeated."
    ),
]
Threads = Annotated[
    int | None,
    typer.Option("--threads", metavar="N", min=1, help="Threads of the reference; by default all cores."),
]
ProjectFolder = Annotated[
    Path | None,
    typer.Option("--project", metavar="PROJECT", help="Use this generated project; by default a temporary one."),
]
Simulator = Annotated[Literal["verilator", "icarus"], typer.Option("--simulator", help="RTL simulator.")]
Seed = Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Seed of everything random.")]
UnusedSeed = Annotated[
    int, typer.Option("--seed", metavar="N", min=0, help="Accepted by every command; nothing is random in this one.")
]
Json = Annotated[
    Path | None,
    typer.Option("--json", metavar="FILE", help="Write the result to FILE as JSON; docs/json.md explains its keys."),
]
Force = Annotated[
    bool, typer.Option("--force", help="Replace the output folder if hwflow wrote it; the new one must be complete.")
]
Model = Annotated[
    str, typer.Option("--model", metavar="MODEL", help="Embedded network, port (resnet18, alexnet, ...) or model file.")
]
Weights = Annotated[str | None, typer.Option("--weights", metavar="FILE", help="A port's state dict (.pth, .npz).")]
Classes = Annotated[
    int | None, typer.Option("--classes", metavar="N", help="A port's classes; by default as in the original.")
]
ImageSize = Annotated[
    int | None, typer.Option("--image-size", metavar="PIXELS", help="A port's image; by default the original's.")
]
Rounds = Annotated[int, typer.Option("--rounds", metavar="N", min=1, help="Fault lists a condition.")]
Formats = Annotated[
    list[str] | None,
    typer.Option("--format", metavar="TYPE", help="Weight format; repeat for several. By default all of the paper's."),
]
Msb = Annotated[
    Literal["assume", "clamp", "sparse", "none"],
    typer.Option("--msb", help="Most significant exponent bit: never flips, or how it is protected."),
]
SafeMsb = Annotated[
    Literal["assume", "none"], typer.Option("--msb", help="The top exponent bit never flips, or it does.")
]
TrialFolder = Annotated[
    Path | None,
    typer.Option("--results", metavar="DIR", help="Keep every trial here, to take the study up again."),
]
Figure = Annotated[
    Path | None, typer.Option("--figure", metavar="FILE", help="Draw it too: FILE ends in .svg or .png.")
]
