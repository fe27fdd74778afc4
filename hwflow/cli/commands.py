"""The commands. Each checks its options, calls the function of the same name, and prints the result."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from hwflow.cli import _options as options
from hwflow.cli._console import print_line, save_json
from hwflow.cli._ignored import refuse_ignored
from hwflow.cli._tables import (
    print_area,
    print_demo,
    print_layers,
    print_plan,
    print_tools,
)
from hwflow.data import data_path
from hwflow.errors import HwflowError
from hwflow.files.outputs import check_outputs
from hwflow.models import model_paths
from hwflow.progress import progress_bar
from hwflow.version import __version__

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Begin with: hwflow doctor, then hwflow demo",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"hwflow {__version__}")
        raise typer.Exit


@app.callback()
def hwflow(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Harden neural networks against bit flips in FPGA memory, and show bit for bit what the flips do."""


@app.command(epilog="Example: hwflow harden digits_cnn -o design --weights 'ap_fixed<8,3>'")
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
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DESIGN", help="Design folder to write.")],
    torch_weights: Annotated[
        Path | None,
        typer.Option(
            "--torch-weights",
            metavar="FILE",
            help="State dict for a network known by name: .pth, .pt, .th, .npz or .safetensors.",
        ),
    ] = None,
    classes: Annotated[
        int | None, typer.Option("--classes", metavar="N", help="Its classes; by default as in the original.")
    ] = None,
    image_size: Annotated[
        int | None,
        typer.Option(
            "--image-size", metavar="PIXELS", help="Height and width of its image; by default the original's."
        ),
    ] = None,
    weights: Annotated[
        str, typer.Option("--weights", metavar="TYPE", help="Type of the stored weights.")
    ] = "ap_fixed<8,3>",
    t: Annotated[
        float | None,
        typer.Option(
            "--t",
            metavar="T",
            help="Largest magnitude of the scaled weights; by default just under the type's largest value.",
        ),
    ] = None,
    scale: Annotated[
        Literal["exact", "pow2", "none"],
        typer.Option("--scale", help="c = t / max|W| exactly, rounded down to a power of two, or no scaling."),
    ] = "exact",
    granularity: Annotated[
        Literal["layer", "channel"],
        typer.Option("--granularity", help="One c a layer, or one an output channel, c = t / max|W[channel]|."),
    ] = "layer",
    absorb: Annotated[
        bool,
        typer.Option(
            "--absorb/--no-absorb",
            help="Scales of channels: the next layer's weights take them in, or a multiplier after the layer.",
        ),
    ] = False,
    align: Annotated[
        Literal["shift", "multiply"],
        typer.Option("--align", help="At an Add: lower one c by less than 2x, or spend a constant multiplier."),
    ] = "shift",
    outliers: Annotated[
        float,
        typer.Option(
            "--outliers",
            metavar="FRACTION",
            help="Fraction of a layer's weights, the largest, that do not count for max|W|; a protected side memory "
            "completes those that the type cannot hold.",
        ),
    ] = 0.0,
    protect: Annotated[
        str,
        typer.Option(
            "--protect",
            metavar="NAME[:BER]",
            help="Storage code of the weights, of all layers or by layer (PATTERN=NAME[:BER],...), fitted to a bit "
            "error rate (0.01). plain: none. secded: 8 check bits on 64. bch64-45: eight weights and BCH checks in "
            "64 bits. cosq: a table a layer. docs/protections.md has all of them.",
        ),
    ] = "plain",
    calibrated_rounding: Annotated[
        bool,
        typer.Option(
            "--calibrated-rounding/--no-calibrated-rounding",
            help="Weights fitted to a storage code are rounded so that they make up for each other's errors on the "
            "calibration images, or each alone.",
        ),
    ] = True,
    compensation: Annotated[
        Literal["logits", "layer", "none"],
        typer.Option("--compensation", help="Where the scale is divided out again."),
    ] = "logits",
    activation_bits: Annotated[
        int, typer.Option("--activation-bits", metavar="N", help="Width of activations, 8 to 16 bits.")
    ] = 16,
    guard_bits: Annotated[
        int, typer.Option("--guard-bits", metavar="N", help="Integer bits on top of what calibration finds.")
    ] = 1,
    table_bits: Annotated[
        int,
        typer.Option(
            "--table-bits", metavar="N", help="Bits that address the table of an activation such as tanh, 8 to 16."
        ),
    ] = 13,
    headroom: Annotated[
        int,
        typer.Option(
            "--headroom",
            metavar="N",
            help="Integer bits more for biases, constants and outliers, for networks that are hardened --like this one "
            "later.",
        ),
    ] = 0,
    calibration: Annotated[
        str | None,
        typer.Option(
            "--calibration",
            metavar="DATA",
            help="Images that set the activation types: 'digits' (its training images), an .npz, or a folder.",
        ),
    ] = None,
    preprocessing: options.Preprocessing = None,
    calibration_images: Annotated[
        int, typer.Option("--calibration-images", metavar="N", min=1, help="How many of them, drawn at random.")
    ] = 256,
    like: Annotated[
        Path | None,
        typer.Option(
            "--like",
            metavar="DESIGN",
            help="Take the types of this design, of the same layers and options, so that its hardware, generated with "
            "--loadable, loads this network too.",
        ),
    ] = None,
    saturate: Annotated[
        bool, typer.Option("--saturate", help="Saturate weights that the type cannot hold, instead of refusing them.")
    ] = False,
    force: options.Force = False,
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
    with progress_bar() as shown:
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


@app.command(epilog="Example: hwflow generate design -o project --target-cycles 2000")
def generate(
    design: options.DesignFolder,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="PROJECT", help="Project folder to write.")
    ] = None,
    io_type: Annotated[
        Literal["io_stream", "io_parallel"], typer.Option("--io-type", help="hls4ml's interface style.")
    ] = "io_stream",
    reuse: Annotated[
        int | None,
        typer.Option("--reuse", metavar="N", min=1, help="Reuse factor of every layer; the nearest valid one is used."),
    ] = None,
    target_cycles: Annotated[
        int | None,
        typer.Option("--target-cycles", metavar="N", min=1, help="Cycles an image, instead of --reuse."),
    ] = None,
    target_fps: Annotated[
        float | None,
        typer.Option("--target-fps", metavar="F", help="Images a second at --clock, instead of --target-cycles."),
    ] = None,
    clock: Annotated[float | None, typer.Option("--clock", metavar="MHZ", help="Clock rate for --target-fps.")] = None,
    part: Annotated[
        str | None,
        typer.Option(
            "--part",
            metavar="PART",
            help="FPGA, by default a Zynq UltraScale+. A design that does not fit is refused; without --reuse and "
            "targets it is the fastest that takes up to 80 % of the part.",
        ),
    ] = None,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Print what the RTL takes of an FPGA; without -o write nothing.")
    ] = False,
    synth: Annotated[
        Literal["yosys"] | None, typer.Option("--synth", help="Synthesise the RTL, and print that beside the estimate.")
    ] = None,
    bram_ports: Annotated[
        bool, typer.Option("--bram-ports", help="The firmware's weights as external block-RAM ports.")
    ] = False,
    loadable: Annotated[
        bool,
        typer.Option(
            "--loadable",
            help="Outliers' rests, decoder tables and constants of the RTL as memories that the bus writes, so that it "
            "loads any network of the same shape and types.",
        ),
    ] = False,
    uram: Annotated[
        bool,
        typer.Option(
            "--uram",
            help="Weights may lie in the URAM of --part where its block RAM has no room for them. No image begins then "
            "until they are loaded over the bus.",
        ),
    ] = False,
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            metavar="DATA",
            help="Images for the project's own testbenches, as for 'hwflow simulate'; by default digits, if the design "
            "was calibrated on them, else random values.",
        ),
    ] = None,
    firmware: Annotated[bool, typer.Option("--firmware/--no-firmware", help="Write the HLS project.")] = True,
    rtl: Annotated[bool, typer.Option("--rtl/--no-rtl", help="Write the SystemVerilog.")] = True,
    force: options.Force = False,
    seed: options.UnusedSeed = 0,
    json: options.Json = None,
) -> None:
    """Write the HLS project (hls4ml) and the RTL of a design."""
    check_outputs({"design": design, "--data": data_path(data)}, files={"--json": json}, folders={"-o": output})
    only_firmware = {"--io-type": io_type != "io_stream", "--bram-ports": bram_ports}
    refuse_ignored(not firmware, "--no-firmware writes no HLS project", only_firmware)
    refuse_ignored(target_fps is None, "there is no --target-fps", {"--clock": clock})
    from hwflow.stages import area as area_stage
    from hwflow.stages import generate as stage
    from hwflow.stages.folding import target_of_rate

    if target_fps is not None:
        if clock is None or target_cycles is not None:
            raise HwflowError("--target-fps needs --clock, and stands instead of --target-cycles")
        target_cycles = target_of_rate(target_fps, clock)
    if output is None:
        if not estimate:
            raise HwflowError("--output is missing, the project folder to write; only --estimate needs none")
        written = {"--synth": synth, "--data": data, "--force": force, **only_firmware}
        refuse_ignored(True, "without -o nothing is written", written)
        with progress_bar() as shown:
            found = area_stage.estimate(
                design,
                reuse=reuse,
                target_cycles=target_cycles,
                part=part,
                loadable=loadable,
                uram=uram,
                step=shown.step,
            )
        print_layers(found.layers)
        print_area(found.area)
        for note in found.notes:
            print_line(f"note: {note}")
        save_json(json, "generate", seed, found.to_json())
        return
    with progress_bar() as shown:
        project = stage.generate(
            design,
            output,
            io_type=io_type,
            reuse=reuse,
            target_cycles=target_cycles,
            part=part,
            bram_ports=bram_ports,
            loadable=loadable,
            uram=uram,
            data=data,
            firmware=firmware,
            rtl=rtl,
            synth=synth,
            force=force,
            step=shown.step,
        )
    print_layers(project.layers)
    if estimate or synth is not None:
        print_area(project.area)
    for name, size in project.sizes.items():
        print_line(f"{name}: {project.path / name}  ({size / 1024:.0f} KiB)")
    for note in project.notes:
        print_line(f"note: {note}")
    save_json(json, "generate", seed, project.to_json())


@app.command(epilog="Example: hwflow demo -o demo")
def demo(
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder to write.")] = Path("demo"),
    quick: Annotated[bool, typer.Option("--quick", help="Fewer images and rounds, to see that all runs.")] = False,
    simulator: options.Simulator = "verilator",
    force: options.Force = False,
    seed: options.Seed = 0,
    json: options.Json = None,
) -> None:
    """Run the whole path on the embedded network and digits, in less than 10 minutes."""
    check_outputs({}, files={"--json": json}, folders={"-o": output})
    from hwflow.stages import demo as stage

    with progress_bar() as shown:
        result = stage.demo(output, quick=quick, simulator=simulator, force=force, seed=seed, step=shown.step)
    print_demo(result)
    save_json(json, "demo", seed, result.to_json())
    result.check()


@app.command(epilog="Example: hwflow doctor")
def doctor(seed: options.UnusedSeed = 0, json: options.Json = None) -> None:
    """Show which tools are here, their versions, and how to get what is missing."""
    check_outputs({}, files={"--json": json})
    from hwflow import doctor as stage

    findings = stage.examine()
    print_tools(findings)
    save_json(json, "doctor", seed, stage.to_json(findings))
    stage.check(findings)
