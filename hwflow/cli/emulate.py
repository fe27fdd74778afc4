"""The command that runs networks in hls4ml's own types: emulate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hwflow.cli import _options as options
from hwflow.cli._app import OTHERS, app
from hwflow.cli._console import print_line, print_table, save_json
from hwflow.cli._ignored import refuse_ignored
from hwflow.cli._inputs import data_path, model_paths
from hwflow.errors import HwflowError
from hwflow.files.outputs import check_outputs
from hwflow.progress import progress_bar

if TYPE_CHECKING:
    from hwflow.stages.emulate import Emulation

CONFIGURATION = "hls4ml's configuration of a model"


@app.command(rich_help_panel=OTHERS, epilog="Example: hwflow emulate model.h5 --random 100 --against-csim")
def emulate(
    source: Annotated[
        str,
        typer.Argument(
            metavar="PROJECT_OR_MODEL",
            help="Folder that hls4ml wrote, or a Keras or QKeras file (.h5, .keras, .json with its weights beside it).",
        ),
    ],
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            metavar="DATA",
            rich_help_panel=options.IMAGES,
            help="'digits', an .npz with an array x, or a folder of images. Without it: --random.",
        ),
    ] = None,
    images: options.Images = None,
    random: Annotated[
        int | None,
        typer.Option(
            "--random",
            metavar="N",
            min=1,
            rich_help_panel=options.IMAGES,
            help="N random inputs, extremes included. Without it: --data.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="OUT.npz",
            rich_help_panel=options.OUTPUT,
            help="Write inputs and outputs to this file. Without it they are not kept.",
        ),
    ] = None,
    against_csim: Annotated[
        bool,
        typer.Option(
            "--against-csim",
            rich_help_panel=options.RUN,
            help="Compile hls4ml's C simulation and compare every code of every layer.",
        ),
    ] = False,
    precision: Annotated[
        str | None,
        typer.Option(
            "--precision",
            metavar="TYPE",
            rich_help_panel=CONFIGURATION,
            help="hls4ml's precision of a model where no layer's own says more; by default fixed<16,6>.",
        ),
    ] = None,
    io_type: Annotated[
        Literal["io_parallel", "io_stream"] | None,
        typer.Option(
            "--io-type",
            rich_help_panel=CONFIGURATION,
            help="hls4ml's interface style of a model; by default io_parallel.",
        ),
    ] = None,
    granularity: Annotated[
        Literal["model", "type", "name"] | None,
        typer.Option(
            "--granularity",
            rich_help_panel=CONFIGURATION,
            help="What hls4ml's configuration has an entry for: the model (by default), a type of layers, or a layer.",
        ),
    ] = None,
    hls_config: Annotated[
        Path | None,
        typer.Option(
            "--hls-config",
            metavar="FILE",
            rich_help_panel=CONFIGURATION,
            help="hls4ml's configuration of a model, YAML or JSON; by default one that hls4ml makes.",
        ),
    ] = None,
    seed: options.Seed = 0,
    json: options.Json = None,
) -> None:
    """Run an hls4ml network in hls4ml's own types, bit for bit; exit status 1 if the C simulation differs."""
    check_outputs(
        {**model_paths(source), "data": data_path(data), "configuration": hls_config},
        files={"-o": output, "--json": json},
    )
    if output is not None and output.suffix != ".npz":
        raise HwflowError(f"-o {output}: must end in .npz")
    refuse_ignored(data is None, "it counts the images of --data", {"--images": images})
    from hwflow.emulation.source import Options
    from hwflow.stages import emulate as stage

    with progress_bar("reading the network") as shown:
        result = stage.run(
            source,
            data=data,
            images=images,
            random=random,
            seed=seed,
            options=Options(precision, io_type, granularity, hls_config),
            against_csim=against_csim,
            step=shown.step,
            advance=shown.advance,
        )
    _print(result)
    if output is not None:
        result.save(output)
        print_line(f"values: {output}")
    save_json(json, "emulate", seed, result.to_json())
    if result.csim is not None:
        result.csim.check()


def _print(result: Emulation) -> None:
    print_table(
        f"{result.source} in hls4ml's types, {result.io_type}",
        ("layer", "kind", "shape", "type", "accumulator"),
        ((each.name, each.kind, "x".join(map(str, each.shape)), each.type, each.accum) for each in result.layers),
        spare=("kind", "shape"),
    )
    print_line(f"{result.images} images ({result.data}), {result.images_per_second:.0f} images/s")
    if result.csim is not None:
        print_line(
            f"C simulation: {result.csim.differing_codes} of {result.csim.output_codes} output codes differ, "
            f"{result.csim.layers} layers compared"
        )
