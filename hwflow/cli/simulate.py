"""The command that simulates RTL: simulate, for images, one block, or the user's own tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import typer

from hwflow.cli import _options as options
from hwflow.cli._console import display, print_line, save_json
from hwflow.cli._ignored import refuse_ignored
from hwflow.cli._tables import print_compared, print_inputs, print_state_upsets, print_upset
from hwflow.cli.commands import app
from hwflow.data import data_path
from hwflow.errors import HwflowError
from hwflow.files.outputs import check_outputs, write_file


@app.command(epilog="Example: hwflow simulate design --data digits --images 50 --ber 1e-3 --csim")
def simulate(
    design: options.DesignFolder,
    data: options.OptionalData = None,
    labels: options.Labels = None,
    preprocessing: options.Preprocessing = None,
    images: options.Images = 50,
    ber: options.Ber = None,
    rounds: Annotated[
        int | None,
        typer.Option(
            "--rounds",
            metavar="N",
            min=1,
            help="Fault lists drawn for --ber, those of evaluate; default 1. Runs of --upset, each with one upset; "
            "default 100.",
        ),
    ] = None,
    faults: options.Faults = None,
    faulty_biases: options.FaultyBiases = False,
    simulator: options.Simulator = "verilator",
    csim: Annotated[bool, typer.Option("--csim", help="Compare the C++ firmware too.")] = False,
    upset_cycle: Annotated[
        int | None,
        typer.Option(
            "--upset-cycle",
            metavar="N",
            min=0,
            help="Flip the bits just before this clock edge, not beforehand; the first image begins at edge 0. "
            "Images inside the design at that moment are not compared.",
        ),
    ] = None,
    upset: Annotated[
        list[str] | None,
        typer.Option(
            "--upset",
            metavar="state|PATTERN",
            help="Instead of comparing codes, flip bits of registers, one a run, and class the outcomes. state: of all "
            "flip-flops, FIFOs, line buffers and counters; else of registers of this path, such as '*guard*'; may be "
            "repeated.",
        ),
    ] = None,
    max_loss: Annotated[
        float | None,
        typer.Option(
            "--max-loss",
            metavar="POINTS",
            help="Exit status 1 if reference, RTL or firmware loses more percentage points of top-1 against Keras in "
            "float, fault-free or under any fault list. Without labels: percent of images with another largest class.",
        ),
    ] = None,
    min_accuracy: Annotated[
        float | None,
        typer.Option(
            "--min-accuracy",
            metavar="PERCENT",
            help="Exit status 1 if the top-1 of any of them is below this, fault-free or under any fault list.",
        ),
    ] = None,
    xunit: Annotated[
        Path | None,
        typer.Option(
            "--xunit", metavar="FILE", help="Write what cocotb's tests said to FILE, a test suite for every fault list."
        ),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(
            "--only",
            metavar="LAYER|FIRST..LAST",
            help="Only the RTL of this layer or block, with what enters it in the reference; a merge reaches back to "
            "where its branches part.",
        ),
    ] = None,
    test: Annotated[
        Path | None,
        typer.Option(
            "--test",
            metavar="FILE",
            help="Run the cocotb tests of your own Python file on the RTL, instead of --data; see docs/simulate.md.",
        ),
    ] = None,
    dut: Annotated[
        Literal["bench", "top"],
        typer.Option(
            "--dut",
            help="What --test gets. bench: the design between a fast source and sink. top: the design's top module, "
            "whose ports the test drives.",
        ),
    ] = "bench",
    waves: Annotated[
        Path | None,
        typer.Option("--waves", metavar="FOLDER", help="With --test: write waves.vcd (Verilator) or waves.fst to it."),
    ] = None,
    registers: Annotated[
        bool,
        typer.Option("--registers", help="With --test: Verilator shows every register, for upsets of state; slower."),
    ] = False,
    project: options.ProjectFolder = None,
    rtl: Annotated[
        Path | None,
        typer.Option(
            "--rtl",
            metavar="FOLDER",
            help="Instead of hwflow's RTL, the Verilog that Vitis HLS made of the firmware (solution1/syn/verilog), "
            "its weights in ROMs; see docs/simulate.md.",
        ),
    ] = None,
    seed: options.Seed = 0,
    json: options.Json = None,
) -> None:
    """Simulate the RTL fault-free and under fault lists: codes against the reference, top-1 against Keras.

    Exit status 1 if a code differs from the reference, an accuracy misses a limit, or a test of --test fails.
    """
    check_outputs(
        {
            "design": design,
            "data": data_path(data),
            "labels": labels,
            "fault list": faults,
            "test": test,
            "project": project,
            "RTL": rtl,
        },
        files={"--json": json, "--xunit": xunit},
        folders={"--waves": waves},
    )
    refuse_ignored(
        test is None, "it is for --test", {"--dut": dut != "bench", "--waves": waves, "--registers": registers}
    )
    if test is not None:
        _run_test(
            design,
            test,
            simulator,
            dut,
            waves,
            registers,
            project,
            xunit,
            seed,
            json,
            {
                "--data": data,
                "--only": only,
                "--upset": upset,
                "--rtl": rtl,
                "--labels": labels,
                "--preprocessing": preprocessing,
                "--ber": ber,
                "--rounds": rounds,
                "--faults": faults,
                "--faulty-biases": faulty_biases,
                "--csim": csim,
                "--upset-cycle": upset_cycle,
                "--max-loss": max_loss,
                "--min-accuracy": min_accuracy,
            },
        )
        return
    if data is None:
        raise HwflowError("simulate needs images, or tests of your own: give --data or --test")
    compares = {
        "--ber": ber,
        "--faults": faults,
        "--faulty-biases": faulty_biases,
        "--csim": csim,
        "--upset-cycle": upset_cycle,
        "--max-loss": max_loss,
        "--min-accuracy": min_accuracy,
        "--xunit": xunit,
        "--rtl": rtl,
    }
    refuse_ignored(
        rtl is not None,
        "--rtl compares Vitis' Verilog, with weights upset beforehand",
        {"--project": project, "--csim": csim, "--faulty-biases": faulty_biases, "--upset-cycle": upset_cycle},
    )
    if upset is not None:
        refuse_ignored(True, "--upset flips registers, and classes what comes out", {"--only": only, **compares})
        _run_upsets(design, data, upset, labels, preprocessing, images, rounds or 100, simulator, project, seed, json)
        return
    if only is not None:
        others = {"--labels": labels, "--rounds": rounds, "--project": project, **compares}
        _run_only(design, only, data, preprocessing, images, simulator, seed, json, others)
        return
    from hwflow.folders.design import load_design
    from hwflow.stages import simulate as stage

    opened = load_design(design)
    with display() as shown:
        result = stage.simulate(
            opened,
            data,
            labels=labels,
            preprocessing=preprocessing,
            images=images,
            ber=ber,
            rounds=rounds,
            faults=faults,
            faulty_biases=faulty_biases,
            simulator=simulator,
            csim=csim,
            upset_cycle=upset_cycle,
            max_loss=max_loss,
            min_accuracy=min_accuracy,
            project=project,
            rtl=rtl,
            seed=seed,
            step=shown.step,
        )
    title = f"{opened.graph.name} on {result.data}: top-1, the same largest class as Keras, codes that differ"
    print_compared(title, result.compared)
    print_upset(result.compared)
    for note in result.notes:
        print_line(f"note: {note}")
    print_inputs(result.inputs)
    about = {
        "design": str(design),
        "design_sha256": opened.sha256,
        "rtl": None if rtl is None else str(rtl),
        "ber": ber,
    }
    save_json(json, "simulate", seed, {**about, **result.to_json()})
    if xunit is not None:
        write_file(xunit, result.xunit())
    result.check()


def _run_upsets(
    design: Path,
    data: str,
    upset: list[str],
    labels: Path | None,
    preprocessing: str | None,
    images: int | None,
    rounds: int,
    simulator: Literal["verilator", "icarus"],
    project: Path | None,
    seed: int,
    json: Path | None,
) -> None:
    """``hwflow simulate --upset``."""
    from hwflow.folders.design import load_design
    from hwflow.stages.upsets import simulate_upsets

    opened = load_design(design)
    with display() as shown:
        result = simulate_upsets(
            opened,
            data,
            upset=upset,
            labels=labels,
            preprocessing=preprocessing,
            images=images,
            rounds=rounds,
            simulator=simulator,
            project=project,
            seed=seed,
            step=shown.step,
        )
    print_state_upsets(f"{opened.graph.name} on {result.data}: upsets of registers, one a run", result)
    about = {"design": str(design), "design_sha256": opened.sha256, "upset": upset}
    save_json(json, "simulate", seed, {**about, **result.to_json()})


def _run_only(
    design: Path,
    only: str,
    data: str,
    preprocessing: str | None,
    images: int | None,
    simulator: Literal["verilator", "icarus"],
    seed: int,
    json: Path | None,
    others: Mapping[str, object],
) -> None:
    """``hwflow simulate --only``."""
    refuse_ignored(True, "--only compares a block's own RTL, fault-free", others)
    from hwflow.folders.design import load_design
    from hwflow.stages.only import simulate_only

    opened = load_design(design)
    with display() as shown:
        result = simulate_only(
            opened, only, data, preprocessing=preprocessing, images=images, simulator=simulator, step=shown.step
        )
    print_line(
        f"{', '.join(result.layers)}, fed with {result.input}: {result.differing_codes} of {result.output_codes} "
        f"output codes differ from the reference; {result.images} images, {result.cycles_per_image:.0f} cycles an image"
    )
    save_json(json, "simulate", seed, {"design": str(design), "design_sha256": opened.sha256, **result.to_json()})
    result.check()


def _run_test(
    design: Path,
    test: Path,
    simulator: Literal["verilator", "icarus"],
    dut: Literal["bench", "top"],
    waves: Path | None,
    registers: bool,
    project: Path | None,
    xunit: Path | None,
    seed: int,
    json: Path | None,
    others: Mapping[str, object],
) -> None:
    """``hwflow simulate --test``."""
    refuse_ignored(True, "the tests of --test bring their own images and faults", others)
    from hwflow.folders.design import load_design
    from hwflow.stages.user_test import run_test

    opened = load_design(design)
    with display() as shown:
        result = run_test(
            opened,
            test,
            simulator=simulator,
            dut=dut,
            waves=waves,
            registers=registers,
            project=project,
            seed=seed,
            step=shown.step,
        )
    for name, message in result.verdicts.items():
        print_line(f"{name}: {'passed' if message is None else f'failed: {message}'}")
    if result.waves is not None:
        print_line(f"waves: {result.waves}")
    save_json(json, "simulate", seed, {"design": str(design), "design_sha256": opened.sha256, **result.to_json()})
    if xunit is not None:
        write_file(xunit, result.xunit())
    result.check()
