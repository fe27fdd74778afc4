"""The whole path on the embedded network: harden, evaluate under faults, generate, compare bit for bit.

The folder that it writes holds

    demo.json          the result
    design/            digits_cnn, hardened
    design-unscaled/   the same without weight scaling
    project/           firmware and RTL of ``design``
    faults/            the fault lists of the comparison
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hwflow import doctor
from hwflow.cost.layers import LayerCost
from hwflow.data import DIGITS, Dataset, load_data
from hwflow.faults import FaultList
from hwflow.files.folders import DEMO, FILES, check_output, files_in, json_text, new_folder
from hwflow.folders.design import Design
from hwflow.hardening import HardenOptions
from hwflow.hardening.options import ScalingOptions
from hwflow.models import load_model
from hwflow.progress import Step, silent
from hwflow.rtl.executor import Simulator
from hwflow.stages.comparator import compare
from hwflow.stages.comparison import Compared, Comparison, Condition
from hwflow.stages.evaluate import Accuracy, draw_rounds, evaluate, stored_bits
from hwflow.stages.generate import generate
from hwflow.stages.harden import harden
from hwflow.version import __version__

NETWORK = "digits_cnn"
BIT_ERROR_RATES = (1e-4, 1e-3, 1e-2)


@dataclass(frozen=True)
class Effort:
    """How much the demo computes.

    Attributes:
        images: test images for accuracies.
        rounds: fault lists a bit error rate.
        compared: images on which the executors are compared.
    """

    images: int = 500
    rounds: int = 10
    compared: int = 50


FULL = Effort()
QUICK = Effort(images=100, rounds=3, compared=10)


@dataclass(frozen=True)
class DemoResult:
    """What the demo found.

    Attributes:
        path: folder with everything that was generated.
        float_accuracy: of the Keras network.
        clean: accuracy without faults of the quantised network, ``scaled`` and ``unscaled``.
        faulted: the same under faults, by bit error rate.
        compared: csim and RTL against the reference, and the accuracy of all executors on the same images.
        layers: cost of every weight layer.
        sizes: bytes on disk, by what was generated.
        stored_bits: bits of the weight memories.
        seconds: time that it took.
    """

    path: Path
    float_accuracy: Accuracy
    clean: Mapping[str, Accuracy]
    faulted: Mapping[float, Mapping[str, Accuracy]]
    compared: Compared
    layers: tuple[LayerCost, ...]
    sizes: Mapping[str, int]
    stored_bits: int
    seconds: float

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """Of csim and RTL with the reference, fault-free and under every fault list."""
        return self.compared.comparisons

    @property
    def cycles_per_image(self) -> float:
        """Clock cycles an image of the RTL, fault-free."""
        return next(each.cycles_per_image for each in self.comparisons if each.cycles_per_image is not None)

    def to_json(self) -> dict[str, Any]:
        """The result as JSON data."""
        return {
            "path": str(self.path),
            "network": NETWORK,
            "data": DIGITS,
            "float": asdict(self.float_accuracy),
            "clean": {name: asdict(accuracy) for name, accuracy in self.clean.items()},
            "faulted": [
                {"ber": ber, **{name: asdict(accuracy) for name, accuracy in row.items()}}
                for ber, row in self.faulted.items()
            ],
            **self.compared.to_json(),
            "layers": [asdict(cost) for cost in self.layers],
            "bytes": dict(self.sizes),
            "stored_bits": self.stored_bits,
            "cycles_per_image": self.cycles_per_image,
            "seconds": self.seconds,
        }

    def check(self) -> None:
        """Refuse a result that is not bit-exact.

        Raises:
            HwflowError: codes differ.
        """
        self.compared.check()


def demo(
    output: str | Path,
    *,
    quick: bool = False,
    simulator: Simulator = "verilator",
    seed: int = 0,
    force: bool = False,
    step: Step = silent,
) -> DemoResult:
    """Run the demo and keep what it generates.

    Args:
        output: folder to write.
        quick: fewer images and rounds.
        simulator: ``verilator`` or ``icarus``.
        seed: seed of every fault list.
        force: replace the folder of an earlier demo.
        step: called with the name of each step.

    Raises:
        HwflowError: a tool is missing, or the folder exists.
    """
    start = time.monotonic()
    output = Path(output)
    check_output(output, DEMO, force)
    doctor.require("g++")
    doctor.require_simulator(simulator)
    effort = QUICK if quick else FULL
    data = load_data(DIGITS)
    with new_folder(output, DEMO, force) as folder:
        designs = _harden(folder, seed, step)
        step("float accuracy")
        test = data.head(effort.images)
        float_accuracy = evaluate(designs["scaled"], test, executor="keras").clean
        clean, faulted = _accuracies(designs, test, effort, seed, step)
        design = designs["scaled"]
        project = generate(design, folder / "project", step=step)
        lists = {f"BER {ber:g}": draw_rounds(design, ber, 1, seed)[0] for ber in BIT_ERROR_RATES}
        _save(lists, folder / "faults")
        conditions = [Condition(), *(Condition(name, faults) for name, faults in lists.items())]
        rtl, firmware = project.part("rtl"), project.part("firmware")
        compared = compare(
            design, rtl, data.head(effort.compared), conditions, simulator=simulator, firmware=firmware, step=step
        )
        # Builds hold absolute paths, which the folder's final name makes stale.
        for build in (folder / "project" / "rtl" / "build", folder / "project" / "firmware" / "csim"):
            shutil.rmtree(build, ignore_errors=True)
        result = DemoResult(
            path=output,
            float_accuracy=float_accuracy,
            clean=clean,
            faulted=faulted,
            compared=compared,
            layers=project.layers,
            sizes={"design": sum(file["bytes"] for file in design.manifest["files"].values()), **project.sizes},
            stored_bits=stored_bits(design.graph),
            seconds=time.monotonic() - start,
        )
        manifest = {
            "format": DEMO.format,
            "hwflow": __version__,
            "seed": seed,
            **result.to_json(),
            FILES: files_in(folder),
        }
        (folder / DEMO.manifest).write_text(json_text(manifest), encoding="utf-8")
    return result


def _harden(folder: Path, seed: int, step: Step) -> dict[str, Design]:
    step("loading the model")
    model = load_model(NETWORK)
    unscaled = HardenOptions(ScalingOptions(scale="none"))
    return {
        "scaled": harden(model, folder / "design", calibration=DIGITS, seed=seed, step=step),
        "unscaled": harden(model, folder / "design-unscaled", unscaled, calibration=DIGITS, seed=seed, step=step),
    }


def _accuracies(
    designs: Mapping[str, Design], data: Dataset, effort: Effort, seed: int, step: Step
) -> tuple[dict[str, Accuracy], dict[float, dict[str, Accuracy]]]:
    """Clean accuracies by design, and faulted ones by bit error rate and design."""
    clean: dict[str, Accuracy] = {}
    faulted: dict[float, dict[str, Accuracy]] = {}
    for ber in BIT_ERROR_RATES:
        faulted[ber] = {}
        for name, design in designs.items():
            step(f"accuracy at BER {ber:g}, {name}")
            result = evaluate(design, data, ber=ber, rounds=effort.rounds, seed=seed)
            assert result.faulted is not None
            clean[name], faulted[ber][name] = result.clean, result.faulted
    return clean, faulted


def _save(lists: Mapping[str, FaultList], folder: Path) -> None:
    folder.mkdir()
    for name, fault_list in lists.items():
        fault_list.save(folder / f"{name.lower().replace(' ', '-')}.json")
