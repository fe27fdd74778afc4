"""The command that writes hardware: generate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from hwflow.cli import _options as options
from hwflow.cli._app import DESIGN, app
from hwflow.cli._console import print_line, save_json
from hwflow.cli._ignored import refuse_ignored
from hwflow.cli._inputs import data_path
from hwflow.cli._tables import print_area, print_layers, print_pace
from hwflow.errors import HwflowError
from hwflow.files.outputs import check_outputs
from hwflow.progress import progress_bar

SPEED = "Speed and part"


@app.command(rich_help_panel=DESIGN, epilog="Example: hwflow generate design -o project --target-cycles 2000")
def generate(
    design: options.DesignFolder,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="PROJECT",
            rich_help_panel=options.OUTPUT,
            help="Project folder to write. Only --estimate goes without.",
        ),
    ] = None,
    force: options.Force = False,
    firmware: Annotated[
        bool,
        typer.Option("--firmware/--no-firmware", rich_help_panel=options.OUTPUT, help="Write the HLS project."),
    ] = True,
    rtl: Annotated[
        bool, typer.Option("--rtl/--no-rtl", rich_help_panel=options.OUTPUT, help="Write the SystemVerilog.")
    ] = True,
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            metavar="DATA",
            rich_help_panel=options.OUTPUT,
            help="Images for the project's own testbenches, as for 'hwflow simulate'; by default digits, if the design "
            "was calibrated on them, else random values.",
        ),
    ] = None,
    part: Annotated[
        str | None,
        typer.Option(
            "--part",
            metavar="PART",
            rich_help_panel=SPEED,
            help="FPGA, by default a Zynq UltraScale+. A design that does not fit is refused; without --reuse and "
            "targets it is the fastest that takes up to 80 % of the part.",
        ),
    ] = None,
    reuse: Annotated[
        int | None,
        typer.Option(
            "--reuse",
            metavar="N",
            min=1,
            rich_help_panel=SPEED,
            help="Reuse factor of every layer, cycles a matrix-vector product; the nearest valid one is used. By "
            "default every layer's own, so that all take about as long.",
        ),
    ] = None,
    target_cycles: Annotated[
        int | None,
        typer.Option(
            "--target-cycles",
            metavar="N",
            min=1,
            rich_help_panel=SPEED,
            help="Clock cycles from image to image at most, instead of --reuse; without either, see --reuse.",
        ),
    ] = None,
    target_fps: Annotated[
        float | None,
        typer.Option(
            "--target-fps",
            metavar="F",
            rich_help_panel=SPEED,
            help="Images a second at --clock, instead of --target-cycles; without either, see --reuse.",
        ),
    ] = None,
    clock: Annotated[
        float | None,
        typer.Option(
            "--clock",
            metavar="MHZ",
            rich_help_panel=SPEED,
            help="Clock rate in MHz for --target-fps, which does not go without.",
        ),
    ] = None,
    io_type: Annotated[
        Literal["io_stream", "io_parallel"],
        typer.Option("--io-type", rich_help_panel=options.HARDWARE, help="hls4ml's interface style of the firmware."),
    ] = "io_stream",
    bram_ports: Annotated[
        bool,
        typer.Option(
            "--bram-ports",
            rich_help_panel=options.HARDWARE,
            help="The firmware's weights as external block-RAM ports. Without it they are inside.",
        ),
    ] = False,
    loadable: Annotated[
        bool,
        typer.Option(
            "--loadable",
            rich_help_panel=options.HARDWARE,
            help="Outliers' rests, decoder tables and constants of the RTL as memories that the bus writes, so that it "
            "loads any network of the same shape and types. Without it only weights and biases are.",
        ),
    ] = False,
    uram: Annotated[
        bool,
        typer.Option(
            "--uram",
            rich_help_panel=options.HARDWARE,
            help="Weights may lie in the URAM of --part where its block RAM has no room for them. No image begins then "
            "until they are loaded over the bus.",
        ),
    ] = False,
    estimate: Annotated[
        bool,
        typer.Option(
            "--estimate",
            rich_help_panel=options.HARDWARE,
            help="Print what the RTL takes of an FPGA; without -o write nothing.",
        ),
    ] = False,
    synth: Annotated[
        Literal["yosys"] | None,
        typer.Option(
            "--synth",
            rich_help_panel=options.HARDWARE,
            help="Synthesise the RTL, and print that beside the estimate. By default there is only the estimate.",
        ),
    ] = None,
    seed: options.UnusedSeed = 0,
    json: options.Json = None,
) -> None:
    """Write the HLS project (hls4ml) and the RTL of a design."""
    check_outputs({"design": design, "--data": data_path(data)}, files={"--json": json}, folders={"-o": output})
    only_firmware = {"--io-type": io_type != "io_stream", "--bram-ports": bram_ports}
    refuse_ignored(not firmware, "--no-firmware writes no HLS project", only_firmware)
    refuse_ignored(target_fps is None, "there is no --target-fps", {"--clock": clock})
    with progress_bar("reading the design"):
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
        with progress_bar("reading the design") as shown:
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
        print_pace(found.pace, target_fps, clock)
        for note in found.notes:
            print_line(f"note: {note}")
        save_json(json, "generate", seed, found.to_json())
        return
    with progress_bar("reading the design") as shown:
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
    print_pace(project.pace, target_fps, clock)
    for name, size in project.sizes.items():
        print_line(f"{name}: {project.path / name}  ({size / 1024:.0f} KiB)")
    for note in project.notes:
        print_line(f"note: {note}")
    save_json(json, "generate", seed, project.to_json())
