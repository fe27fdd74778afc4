"""The four networks at ImageNet size through the commands: times, memory, sizes, agreement with the reference.

    python benchmarks/networks.py                                 all four, some hours of C simulation on one core
    python benchmarks/networks.py --networks resnet18,resnet50
    python benchmarks/networks.py --no-csim --json networks.json

Weights are random (He initialisation, batch-norm statistics from the images themselves), because no trained
ones are at hand; neither times nor agreement depend on that. Images are random with the spectrum of natural
ones, unless ``--data`` names a folder. Every step is a process of its own, so that its peak memory is its own.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path

NETWORKS = ("alexnet", "resnet18", "resnet50", "densenet169")
HWFLOW = (sys.executable, "-m", "hwflow")
MIB = 1 << 20


@dataclass(frozen=True)
class Usage:
    """What a process took."""

    seconds: float
    peak_mib: float


def measured(*command: object) -> Usage:
    start = time.perf_counter()
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"status {process.returncode}: {' '.join(map(str, command))}")
    return Usage(time.perf_counter() - start, usage.ru_maxrss * 1024 / MIB)


def benchmark(name: str, work: Path, options: argparse.Namespace) -> dict[str, object]:
    """All measurements of one network."""
    model, images = work / "model.h5", work / "images.npz"
    design, project = work / "design", work / "project"
    size = ("--size", options.size, "--width", options.width, "--images", options.images)
    data = ("--data", options.data) if options.data else ()
    measured(sys.executable, __file__, "make", name, model, images, *size, *data)
    harden = measured(
        *HWFLOW, "harden", model, "-o", design, "--calibration", images, "--json", work / "harden.json", *options.harden
    )
    generate = measured(
        *HWFLOW, "generate", design, "-o", project, "--no-rtl", "--json", work / "generate.json", *options.generate
    )
    hardened = json.loads((work / "harden.json").read_text())
    made = json.loads((work / "images.json").read_text())
    result = {
        "network": name,
        **made,
        "layers": len(hardened["layers"]),
        "weights": sum(row["weights"] for row in hardened["layers"]),
        "c_smallest": min(row["c"] for row in hardened["layers"]),
        "c_largest": max(row["c_largest"] for row in hardened["layers"]),
        "harden": asdict(harden),
        "generate": asdict(generate),
        "design_mib": sum(file["bytes"] for file in hardened["files"].values()) / MIB,
        "project_mib": json.loads((work / "generate.json").read_text())["bytes"]["firmware"] / MIB,
    }
    if options.csim:
        measured(
            sys.executable, __file__, "compare", design, project, images, work / "compare.json",
            "--images", options.images, "--ber", options.ber,
        )  # fmt: skip
        result["agreement"] = json.loads((work / "compare.json").read_text())
    return result


def make(options: argparse.Namespace) -> None:
    """Build a network with random weights, and images for it."""
    import numpy as np

    from hwflow.models import NETWORKS as BUILDERS

    shape = (options.size, options.size, 3)
    rng = np.random.default_rng(0)
    count = max(options.calibration, options.images)
    images = natural(rng, count, shape) if options.data is None else opened(options.data, count)
    model = BUILDERS[options.network](input_shape=shape, width=options.width)
    for layer in model.layers:
        if type(layer).__name__ == "BatchNormalization":
            channels = layer.gamma.shape
            layer.gamma.assign(rng.uniform(0.5, 1.5, channels))
            layer.beta.assign(rng.normal(0, 0.1, channels))
            layer.momentum = 0.0  # the statistics become those of one batch
        elif layer.weights:
            kernel = layer.get_weights()[0]
            he = rng.normal(0, np.sqrt(2 / np.prod(kernel.shape[:-1])), kernel.shape)
            layer.set_weights([he, *(rng.normal(0, 0.05, bias.shape) for bias in layer.get_weights()[1:])])
    model(images[:8], training=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras calls HDF5 legacy
        model.save(options.model, include_optimizer=False)
    np.savez(options.out, x=images)
    # As PyTorch counts: the statistics of batch normalisation are none.
    parameters = sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)
    options.out.with_suffix(".json").write_text(json.dumps({"parameters": parameters}))


def natural(rng, count, shape):
    """Images with an amplitude spectrum of 1/f, as natural ones have, of mean 0 and deviation 1."""
    import numpy as np

    height, width, _ = shape
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.normal(size=(count, *shape)), axes=(1, 2)) / frequency[:, :, None]
    images = np.fft.irfft2(spectrum, s=(height, width), axes=(1, 2))
    return (images / images.std(axis=(1, 2, 3), keepdims=True)).astype(np.float32)


def opened(folder, count):
    from hwflow.data import open_data

    return open_data(folder).spread(count).load().images


def compare(options: argparse.Namespace) -> None:
    """C simulation against the reference, fault-free and under one fault list."""
    import numpy as np

    from hwflow import load_design
    from hwflow.data import load_data
    from hwflow.executors import Setup, open_executor
    from hwflow.firmware.csim import CsimExecutor
    from hwflow.stages.evaluate import draw_rounds

    design = load_design(options.design)
    reference, csim = (
        open_executor("reference", Setup(design.graph)),
        CsimExecutor(options.project / "firmware", design.graph),
    )
    images = load_data(str(options.data_file)).images[: options.images]
    codes = design.graph.input.resolved.encode(images)
    start = time.perf_counter()
    csim.build()
    result: dict[str, object] = {"build_seconds": time.perf_counter() - start, "images": len(codes)}
    for name, faults in (("none", None), (f"BER {options.ber:g}", draw_rounds(design, options.ber, 1, 0)[0])):
        start = time.perf_counter()
        size = reference.images_at_once
        parts = [reference.start(images[first : first + size])(faults) for first in range(0, len(images), size)]
        expected = np.concatenate(parts)
        between = time.perf_counter()
        outputs = csim.run(codes, faults)
        result[name] = {
            "flips": 0 if faults is None else len(faults),
            "output_codes": int(expected.size),
            "distinct_codes": len(np.unique(expected)),
            "differing_codes": int(np.count_nonzero(outputs != expected)),
            "reference_seconds_an_image": (between - start) / len(codes),
            "csim_seconds_an_image": (time.perf_counter() - between) / len(codes),
        }
    options.out.write_text(json.dumps(result))


def table(results: list[dict]) -> str:
    """The results as a Markdown table."""
    heads = (
        "network", "parameters", "layers", "c", "harden s / GiB", "generate s / GiB", "project MiB", "csim s an image",
        "codes that differ, fault-free", "under faults",
    )  # fmt: skip
    lines = [heads, ["---"] * len(heads)]
    for each in results:
        agreement = each.get("agreement", {})
        conditions = [value for value in agreement.values() if isinstance(value, dict)]
        lines.append(
            [
                each["network"],
                f"{each['parameters']:,}",
                str(each["layers"]),
                f"{each['c_smallest']:.3g} to {each['c_largest']:.3g}",
                *(f"{each[key]['seconds']:.0f} / {each[key]['peak_mib'] / 1024:.1f}" for key in ("harden", "generate")),
                f"{each['project_mib']:.0f}",
                f"{conditions[0]['csim_seconds_an_image']:.1f}" if conditions else "-",
                *(
                    f"{row['differing_codes']} of {row['output_codes']}" + (f" ({row['flips']} flips)" * bool(number))
                    for number, row in enumerate(conditions)
                ),
                *(["-", "-"] if not conditions else []),
            ]
        )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(options: argparse.Namespace) -> None:
    unknown = set(options.networks.split(",")) - set(NETWORKS)
    if unknown:
        sys.exit(f"unknown networks {', '.join(sorted(unknown))}; choose from {', '.join(NETWORKS)}")
    results = []
    for name in options.networks.split(","):
        with tempfile.TemporaryDirectory(prefix="hwflow-benchmark-") as folder:
            results.append(benchmark(name, Path(folder), options))
            if options.keep:
                shutil.copytree(folder, options.keep / name, dirs_exist_ok=True)
        # After each, because the next one may take an hour.
        print(json.dumps(results[-1]), file=sys.stderr, flush=True)
        if options.json:
            options.json.write_text(json.dumps({"cores": os.cpu_count(), "networks": results}, indent=2) + "\n")
    print(table(results))


def parser() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--size", type=int, default=224, help="pixels a side")
    shared.add_argument("--width", type=float, default=1.0, help="multiplies the channels of hidden layers")
    shared.add_argument("--images", type=int, default=1, help="images compared with C simulation")
    shared.add_argument("--ber", type=float, default=1e-4, help="bit error rate of the comparison under faults")
    shared.add_argument("--data", type=Path, help="folder of real images, preprocessed as for ImageNet")
    shared.add_argument("--calibration", type=int, default=8, help="calibration images")
    result = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = result.add_subparsers(dest="command")
    every = commands.add_parser("all", parents=[shared], help="the benchmark; the default")
    every.add_argument("--networks", default=",".join(NETWORKS), help="which, with commas between")
    every.add_argument("--csim", action=argparse.BooleanOptionalAction, default=True, help="run C simulation")
    every.add_argument("--json", type=Path, help="write all results there")
    every.add_argument("--keep", type=Path, help="keep designs and projects in this folder")
    every.add_argument("--harden", type=str.split, default=[], help="more options for hwflow harden, in one word")
    every.add_argument("--generate", type=str.split, default=[], help="more options for hwflow generate, in one word")
    one = commands.add_parser("make", parents=[shared])
    one.add_argument("network")
    one.add_argument("model", type=Path)
    one.add_argument("out", type=Path)
    two = commands.add_parser("compare", parents=[shared])
    for name in ("design", "project", "data_file", "out"):
        two.add_argument(name, type=Path)
    return result


if __name__ == "__main__":
    words = sys.argv[1:]
    if not words or words[0] not in ("all", "make", "compare", "-h", "--help"):
        words = ["all", *words]
    arguments = parser().parse_args(words)
    {"all": main, "make": make, "compare": compare}[arguments.command](arguments)
