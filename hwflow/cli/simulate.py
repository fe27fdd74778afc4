"""The command that simulates RTL: simulate, for images, one block, or the user's own tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from hwflow.cli import _options as options
from hwflow.cli._app import DESIGN, app
from hwflow.cli._console import print_line, save_json
from hwflow.cli._ignored import refuse_ignored
from hwflow.cli._inputs import data_path
from hwflow.cli._tables import print_compared, print_inputs, print_state_upsets, print_upset
from hwflow.errors import HwflowError
from hwflow.files.outputs import check_outputs, write_file
from hwflow.progress import progress_bar

if TYPE_CHECKING:
    from hwflow.folders.design import Design
    from hwflow.stages.only import BlockComparison
    from hwflow.stages.simulate import Simulation
    from hwflow.stages.upsets import StateUpsets
    from hwflow.stages.user_test import TestRun

WHAT = "What is simulated"


@app.command(
    rich_help_panel=DESIGN, epilog="Example: hwflow simulate design --data digits --images 50 --ber 1e-3 --csim"
)
def simulate(
    design: options.DesignFolder,
    data: options.OptionalData = None,
    labels: options.Labels = None,
    preprocessing: options.Preprocessing = None,
    images: options.SimulatedImages = 50,
    ber: options.Ber = None,
    rounds: Annotated[
        int | None,
        typer.Option(
            "--rounds",
            metavar="N",
            min=1,
            rich_help_panel=options.FAULTS,
            help="Fault lists drawn for --ber, those of evaluate; by default 1. Runs of --upset, each with one upset; "
            "by default 100.",
        ),
    ] = None,
    faults: options.Faults = None,
    faulty_biases: options.FaultyBiases = False,
    simulator: options.Simulator = "verilator",
    csim: Annotated[
        bool, typer.Option("--csim", rich_help_panel=options.RUN, help="Compare the C++ firmware too.")
    ] = False,
    upset_cycle: Annotated[
        int | None,
        typer.Option(
            "--upset-cycle",
            metavar="N",
            min=0,
            rich_help_panel=options.FAULTS,
            help="Flip the bits just before clock edge N; the first image begins at edge 0. Images inside the design "
            "at that moment are not compared. By default bits are flipped beforehand.",
        ),
    ] = None,
    upset: Annotated[
        list[str] | None,
        typer.Option(
            "--upset",
            metavar="state|PATTERN",
            rich_help_panel=options.FAULTS,
            help="Flip bits of registers, one a run, and class the outcomes; by default codes are compared. state: of "
            "all flip-flops, FIFOs, line buffers and counters; else of registers of this path, such as '*guard*'; may "
            "be repeated.",
        ),
    ] = None,
    max_loss: Annotated[
        float | None,
        typer.Option(
            "--max-loss",
            metavar="POINTS",
            rich_help_panel=options.LIMITS,
            help="Exit status 1 if reference, RTL or firmware loses more percentage points of top-1 against Keras in "
            "float, fault-free or under any fault list; by default any loss passes. Without labels: percent of images "
            "with another largest class.",
        ),
    ] = None,
    min_accuracy: Annotated[
        float | None,
        typer.Option(
            "--min-accuracy",
            metavar="PERCENT",
            rich_help_panel=options.LIMITS,
            help="Exit status 1 if the top-1 of any of them is below this, fault-free or under any fault list. By "
            "default any passes.",
        ),
    ] = None,
    xunit: Annotated[
        Path | None,
        typer.Option(
            "--xunit",
            metavar="FILE",
            rich_help_panel=options.OUTPUT,
            help="Write what cocotb's tests said to FILE, a test suite for a fault list. By default it is not kept.",
        ),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(
            "--only",
            metavar="LAYER|FIRST..LAST",
            rich_help_panel=WHAT,
            help="Only the RTL of this layer or block, with what enters it in the reference; a merge reaches back to "
            "where its branches part. By default the whole design.",
        ),
    ] = None,
    test: Annotated[
        Path | None,
        typer.Option(
            "--test",
            metavar="FILE",
            rich_help_panel=WHAT,
            help="Run the cocotb tests of your own Python file on the RTL; see docs/simulate.md. Without it, --data is "
            "compared.",
        ),
    ] = None,
    dut: Annotated[
        Literal["bench", "top", "firmware"],
        typer.Option(
            "--dut",
            rich_help_panel=WHAT,
            help="bench: the design between a fast source and sink. top, for --test: the design's top module, whose "
            "ports the test drives. firmware: behavioural, hls4ml's C++ over DPI between the bench's block RAMs.",
        ),
    ] = "bench",
    waves: Annotated[
        Path | None,
        typer.Option(
            "--waves",
            metavar="FOLDER",
            rich_help_panel=options.OUTPUT,
            help="With --test: write waves.vcd (Verilator) or waves.fst to it. By default there are no waves.",
        ),
    ] = None,
    registers: Annotated[
        bool,
        typer.Option(
            "--registers",
            rich_help_panel=WHAT,
            help="With --test: Verilator shows every register, for upsets of state; slower.",
        ),
    ] = False,
    project: options.ProjectFolder = None,
    rtl: Annotated[
        Path | None,
        typer.Option(
            "--rtl",
            metavar="FOLDER",
            rich_help_panel=WHAT,
            help="The Verilog that Vitis HLS made of the firmware (solution1/syn/verilog), its weights in ROMs; see "
            "docs/simulate.md. By default hwflow's RTL.",
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
    given = {
        "--data": data,
        "--labels": labels,
        "--preprocessing": preprocessing,
        "--ber": ber,
        "--rounds": rounds,
        "--faults": faults,
        "--faulty-biases": faulty_biases,
        "--csim": csim,
        "--upset-cycle": upset_cycle,
        "--upset": upset,
        "--max-loss": max_loss,
        "--min-accuracy": min_accuracy,
        "--xunit": xunit,
        "--only": only,
        "--dut": dut != "bench",
        "--waves": waves,
        "--registers": registers,
        "--project": project,
        "--rtl": rtl,
    }

    def carry_out(
        stage: Callable[..., Any], show: Callable[[Design, Any], None], about: Mapping[str, object], **arguments: object
    ) -> None:
        from hwflow.folders.design import load_design

        opened = load_design(design)
        with progress_bar("reading images") as shown:
            result = stage(opened, **arguments, simulator=simulator, step=shown.step)
        show(opened, result)
        opening = {"design": str(design), "design_sha256": opened.sha256}
        save_json(json, "simulate", seed, {**opening, **about, **result.to_json()})
        if xunit is not None:
            write_file(xunit, result.xunit())
        result.check()

    if test is not None:
        why = "the tests of --test bring their own images and faults"
        _refuse_others(given, why, "--dut", "--waves", "--registers", "--project", "--xunit")
        with progress_bar("reading the design"):
            from hwflow.stages.user_test import run_test

        variant = {"dut": dut, "waves": waves, "registers": registers}
        show = _show_test if project is not None else _show_unkept_test
        return carry_out(run_test, show, {}, test=test, **variant, project=project, seed=seed)
    if data is None:
        raise HwflowError("simulate needs images, or tests of your own: give --data or --test")
    refuse_ignored(True, "it is for --test", {"--dut top": dut == "top", "--waves": waves, "--registers": registers})
    chosen: dict[str, object] = {"data": data, "preprocessing": preprocessing, "images": images}
    if upset is not None:
        why = "--upset flips registers, and classes what comes out"
        _refuse_others(given, why, "--data", "--labels", "--preprocessing", "--rounds", "--upset", "--project")
        with progress_bar("reading the design"):
            from hwflow.stages.upsets import simulate_upsets

        chosen |= {"upset": upset, "labels": labels, "rounds": rounds or 100}
        return carry_out(simulate_upsets, _show_upsets, {"upset": upset}, **chosen, project=project, seed=seed)
    if only is not None:
        why = "--only compares a block's own RTL, fault-free"
        _refuse_others(given, why, "--data", "--preprocessing", "--only")
        with progress_bar("reading the design"):
            from hwflow.stages.only import simulate_only

        return carry_out(simulate_only, _show_only, {}, **chosen, only=only)
    if rtl is not None:
        without = ("--dut", "--project", "--csim", "--faulty-biases", "--upset-cycle")
        why = "--rtl compares Vitis' Verilog, with weights upset beforehand"
        refuse_ignored(True, why, {name: given[name] for name in without})
    with progress_bar("reading the design"):
        from hwflow.stages.simulate import simulate as compare

    return carry_out(
        compare,
        _show_comparison,
        {"rtl": None if rtl is None else str(rtl), "ber": ber},
        **chosen,
        labels=labels,
        ber=ber,
        rounds=rounds,
        faults=faults,
        faulty_biases=faulty_biases,
        dut=dut,
        csim=csim,
        upset_cycle=upset_cycle,
        max_loss=max_loss,
        min_accuracy=min_accuracy,
        project=project,
        rtl=rtl,
        seed=seed,
    )


def _refuse_others(given: Mapping[str, object], why: str, *used: str) -> None:
    """Refuse every option but those that are used."""
    refuse_ignored(True, why, {name: value for name, value in given.items() if name not in used})


def _show_comparison(design: Design, result: Simulation) -> None:
    title = f"{design.graph.name} on {result.data}: top-1, the same largest class as Keras, codes that differ"
    print_compared(title, result.compared)
    print_upset(result.compared)
    for note in result.notes:
        print_line(f"note: {note}")
    print_inputs(result.inputs)


def _show_upsets(design: Design, result: StateUpsets) -> None:
    print_state_upsets(f"{design.graph.name} on {result.data}: upsets of registers, one a run", result)


def _show_only(_: Design, result: BlockComparison) -> None:
    print_line(
        f"{', '.join(result.layers)}, fed with {result.input}: {result.differing_codes} of {result.output_codes} "
        f"output codes differ from the reference; {result.images} images, {result.cycles_per_image:.0f} cycles an image"
    )


def _show_unkept_test(design: Design, result: TestRun) -> None:
    _show_test(design, result)
    print_line(
        "note: the RTL was generated and built for this run alone; that of a --project of 'hwflow generate' is kept"
    )


def _show_test(_: Design, result: TestRun) -> None:
    for name, message in result.verdicts.items():
        print_line(f"{name}: {'passed' if message is None else f'failed: {message}'}")
    if result.waves is not None:
        print_line(f"waves: {result.waves}")
    for note in result.notes:
        print_line(f"note: {note}")
