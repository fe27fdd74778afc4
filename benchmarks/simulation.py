"""Processor time of a clock cycle in the cocotb bench, against a C++ main that is a loop around the same bench.

    python benchmarks/simulation.py [--network digits_cnn|resnet20] [--images N] [--rounds N]

Both are built of the same sources with the same options, but that the loop has no VPI. Each measures its processor time
from the first image to the last, what it reads and writes of files included, but not how Python starts. They take
turns, so that a busy machine disturbs both. Weights are random but for the digits.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from hwflow.cost.reuse import choose_reuse
from hwflow.data import load_digits
from hwflow.doctor import find_program
from hwflow.frontends.keras_graph import read_keras
from hwflow.graph import Graph
from hwflow.hardening import harden
from hwflow.models import NETWORKS, embedded
from hwflow.models._tf import tensorflow
from hwflow.rtl import generate
from hwflow.rtl.simulator import BENCH, BUILD_ARGS, TIMESCALE, Build, make_variables
from hwflow.sim.design import RtlDesign
from hwflow.sim.hexfile import write_hex

ROOT = Path(__file__).resolve().parents[1]
IMAGES = {"digits_cnn": 1000, "resnet20": 4}
"""By network, so that a run takes about a second."""


def hardened(name: str) -> Graph:
    """The network, the same in every process, with random weights unless it is the digits'."""
    if name == "digits_cnn":
        return harden(read_keras(embedded(name)), load_digits("train").images).graph
    tensorflow().keras.utils.set_random_seed(1)
    model = NETWORKS[name]()
    rng = np.random.default_rng(1)
    for layer in model.layers:
        if type(layer).__name__ == "BatchNormalization":
            shape = layer.get_weights()[0].shape
            layer.set_weights(
                [rng.uniform(0.5, 1.5, shape), *rng.normal(0, 0.1, (2, *shape)), rng.uniform(0.5, 2, shape)]
            )
    return harden(read_keras(model), rng.normal(size=(1, *model.input_shape[1:]))).graph


def build_loop(design: RtlDesign) -> Path:
    """The C++ main around the same sources, with the clock as an input of the bench."""
    folder = design.folder / "build" / "loop"
    program = folder / BENCH
    sim = [ROOT / "sim" / f"{name}.sv" for name in ("hwflow_pause", "hwflow_source", "hwflow_sink", BENCH)]
    verilator = find_program("verilator")
    assert verilator is not None
    command = [verilator, "-cc", "--exe", "-Mdir", str(folder), "--top-module", BENCH, "--prefix", "Vtop", "-o", BENCH]
    command += [*BUILD_ARGS["verilator"], "--no-timing", "--timescale", "/".join(TIMESCALE), "-DHWFLOW_CLOCK_PORT"]
    parameters = Build("verilator", design).parameters
    command += [f"-DHWFLOW_TOP={design.top}", *(f"-G{name}={value}" for name, value in parameters.items())]
    command += [str(Path(__file__).with_suffix(".cpp")), *map(str, (*sorted(design.folder.glob("*.sv")), *sim))]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(
        ["make", "-C", str(folder), "-f", "Vtop.mk", *make_variables()], check=True, stdout=subprocess.DEVNULL
    )
    return program


def nanoseconds(measured: str) -> float:
    """Of a cycle, from "cycles seconds"."""
    cycles, seconds = measured.split()
    return 1e9 * float(seconds) / int(cycles)


def compare(graph: Graph, images: int, rounds: int, folder: Path) -> list[tuple[float, float]]:
    """Nanoseconds of a cycle in the bench and in the loop, by turns."""
    generate(graph, folder / "rtl", choose_reuse(graph))
    design = RtlDesign.load(folder / "rtl")
    build = Build("verilator", design)
    build.build()
    program = build_loop(design)
    work, type_ = folder / "work", design.input.type
    work.mkdir()
    shape = (images, *graph.input.shape)
    codes = np.random.default_rng(1).integers(type_.min_code, type_.max_code + 1, shape)
    np.save(work / "images.npy", codes)
    write_hex(work / "loop.mem", design.input.words(codes), design.input.bus_bits)

    def bench() -> float:
        build.run("simulation_bench", work, log=folder / "log", path=(Path(__file__).parent,))
        return nanoseconds((work / "measured.txt").read_text())

    def loop() -> float:
        (work / "loop.mem").replace(work / "input.mem")
        command = [str(program), str(images * design.input.beats), str(images * design.output.beats)]
        out = subprocess.run(command, cwd=work, check=True, capture_output=True, text=True).stdout
        (work / "input.mem").replace(work / "loop.mem")
        return nanoseconds(out)

    return [(bench(), loop()) for _ in range(rounds)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--network", choices=IMAGES, default="digits_cnn")
    parser.add_argument("--images", type=int)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    images = options.images or IMAGES[options.network]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        pairs = compare(hardened(options.network), images, options.rounds, Path(folder))
    for ours, theirs in pairs:
        print(f"bench {ours:.0f} ns a cycle, loop {theirs:.0f} ns a cycle; {100 * (ours / theirs - 1):+.1f} %")
    middle = statistics.median(ours / theirs for ours, theirs in pairs)
    fastest = min(ours for ours, _ in pairs) / min(theirs for _, theirs in pairs)
    print(f"median of the ratios {middle:.3f}, ratio of the fastest {fastest:.3f}")


if __name__ == "__main__":
    main()
