"""The networks of MLPerf Tiny from file to RTL: agreement with Keras, codes of all executors, images a second, faults.

    python benchmarks/mlperf_tiny.py FOLDER                       the four .h5 files of mlcommons/tiny are in FOLDER
    python benchmarks/mlperf_tiny.py FOLDER --networks resnet8 --cifar TEST_IMAGES --rtl --csim

Images of the CIFAR test set (one folder a class) calibrate and measure ResNet8, and resized to 96 pixels MobileNet; the
others are calibrated with numbers drawn at random, for which there is no accuracy.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from measure import take_turns
from PIL import Image

import hwflow
from hwflow.cost.reuse import choose_reuse
from hwflow.faults import sample_ber
from hwflow.firmware import CsimExecutor
from hwflow.firmware import generate as generate_firmware
from hwflow.folders.design import Design
from hwflow.graph import Softmax
from hwflow.memory import memories
from hwflow.models import load_model
from hwflow.reference import IntegerExecutor
from hwflow.rtl import RtlExecutor
from hwflow.rtl import generate as generate_rtl

CALIBRATION, TIMED = 256, 64


@dataclass(frozen=True)
class Network:
    """A network and its inputs: pixels a side of an image and its largest value, or random numbers of a shape."""

    file: str
    pixels: int = 0
    largest: float = 1.0


NETWORKS = {
    "resnet8": Network("pretrainedResnet.h5", 32, 255.0),
    "mobilenet": Network("vww_96.h5", 96, 1.0),
    "autoencoder": Network("ad01.h5"),
    "wakeword": Network("str_ww_ref_model.h5"),
}


def pictures(folder: Path, network: Network, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Images ``(count, pixels, pixels, 3)`` drawn without replacement, and their classes."""
    classes = sorted(path for path in folder.iterdir() if path.is_dir())
    files = [(file, number) for number, path in enumerate(classes) for file in sorted(path.iterdir())]
    chosen = [files[index] for index in np.random.default_rng(seed).permutation(len(files))[:count]]
    size = (network.pixels, network.pixels)
    images = [np.asarray(Image.open(file).convert("RGB").resize(size)) for file, _ in chosen]
    return np.stack(images).astype(np.float32) * (network.largest / 255), np.array([number for _, number in chosen])


def inputs(
    network: Network, shape: tuple[int, ...], options: argparse.Namespace
) -> tuple[np.ndarray, np.ndarray | None]:
    count = CALIBRATION + options.images
    if network.pixels and options.cifar is not None:
        return pictures(options.cifar, network, count, options.seed)
    drawn = np.random.default_rng(options.seed).uniform(0, network.largest, (count, *shape)).astype(np.float32)
    return drawn, None


def accuracies(design: Design, images: np.ndarray, labels: np.ndarray, options: argparse.Namespace) -> Iterator[dict]:
    """Top-1 without faults, and its mean and standard deviation over rounds of each bit error rate."""
    executor = IntegerExecutor(design.graph)
    codes = executor.encode(images)
    yield {"ber": 0.0, "top1": 100 * float((executor.run(codes).argmax(axis=1) == labels).mean())}
    places = memories(design.graph)
    for ber in options.bers:
        found = []
        for round_ in range(options.rounds):
            faults = sample_ber(places, ber, 1000 * options.seed + round_, design.graph.digest)
            found.append(100 * float((executor.run(codes, faults).argmax(axis=1) == labels).mean()))
        yield {"ber": ber, "top1": float(np.mean(found)), "deviation": float(np.std(found, ddof=1))}


def differing(expected: np.ndarray, run: Callable[[], np.ndarray]) -> dict[str, object]:
    start = time.perf_counter()
    found = run()
    return {"differing": int((found != expected).sum()), "codes": found.size, "seconds": time.perf_counter() - start}


def measured(name: str, options: argparse.Namespace) -> dict[str, object]:
    network = NETWORKS[name]
    model = load_model(options.folder / network.file)
    images, labels = inputs(network, tuple(model.input_shape[1:]), options)
    rest = images[CALIBRATION:]
    keras = np.asarray(model.predict(rest, verbose=0))
    row: dict[str, object] = {"network": name, "weights": int(model.count_params())}
    with tempfile.TemporaryDirectory() as made:
        work = Path(made)
        np.savez(work / "x.npz", x=images[:CALIBRATION])
        designs = {
            scale: hwflow.harden(
                options.folder / network.file,
                work / scale,
                hwflow.HardenOptions(
                    hwflow.ScalingOptions(scale=scale, saturate=scale == "none"),
                    activation_bits=options.activation_bits,
                ),
                calibration=work / "x.npz",
            )
            for scale in ("exact", "none")
        }
        design = designs["exact"]
        executor = IntegerExecutor(design.graph)
        codes = executor.encode(rest)
        outputs = executor.decode(executor.run(codes))
        row["largest_error"] = float(np.abs(outputs - keras.reshape(outputs.shape)).max())
        row["output_range"] = float(np.ptp(keras))
        row["engine"] = executor.engine.note
        if labels is not None and keras.shape[1] == int(labels.max()) + 1:
            row["keras_top1"] = 100 * float((keras.argmax(axis=1) == labels[CALIBRATION:]).mean())
            row["accuracy"] = {
                scale: list(accuracies(each, rest, labels[CALIBRATION:], options)) for scale, each in designs.items()
            }
        batch = codes[:TIMED]
        tensor = rest[:TIMED]
        times = take_turns({"hwflow": lambda: executor.run(batch), "keras": lambda: model.predict_on_batch(tensor)})
        row["images_per_second"] = {subject: len(batch) / each.best for subject, each in times.items()}
        graph = design.graph.in_rtl
        logits = IntegerExecutor(graph)
        one = logits.encode(rest[:1])
        if options.rtl:
            generate_rtl(graph, work / "rtl", choose_reuse(graph))
            simulated = RtlExecutor(work / "rtl", graph, "verilator")
            row["rtl"] = differing(logits.run(one), lambda: simulated.run(one))
            assert simulated.statistics is not None
            row["cycles"] = simulated.statistics.cycles_per_image
        if options.csim:
            generate_firmware(design.graph, None, work / "csim", reuse=choose_reuse(design.graph))
            row["csim"] = differing(executor.run(one), lambda: CsimExecutor(work / "csim", design.graph).run(one))
        row["softmax"] = bool(design.graph.of_type(Softmax))
    return row


def main() -> None:
    """Measure the networks named, one after the other, and print a JSON line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="with the .h5 files of MLPerf Tiny")
    parser.add_argument("--networks", nargs="*", default=list(NETWORKS), choices=NETWORKS, help="by default all")
    parser.add_argument("--cifar", type=Path, help="CIFAR test images, a folder a class")
    parser.add_argument("--images", type=int, default=500, help="that are measured, beside those of the calibration")
    parser.add_argument("--bers", type=float, nargs="*", default=[1e-4, 1e-3, 3e-3, 1e-2], help="bit error rates")
    parser.add_argument("--rounds", type=int, default=10, help="fault lists a bit error rate")
    parser.add_argument("--activation-bits", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rtl", action="store_true", help="simulate one image in RTL with Verilator")
    parser.add_argument("--csim", action="store_true", help="simulate one image in hls4ml's C++")
    options = parser.parse_args()
    for name in options.networks:
        print(json.dumps(measured(name, options)), flush=True)


if __name__ == "__main__":
    main()
