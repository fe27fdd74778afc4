"""The cocotb tests by which hwflow itself runs a network: faults into its memories, images through it, verdicts.

They read ``job.json``, ``images.npy`` and ``faults.json`` in the working folder, and write ``outputs.npy``,
``begun.npy`` and ``finished.npy``. If the job says what to expect, two more tests judge the codes and the accuracy, so
that the xunit report has them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cocotb
import numpy as np

from hwflow.faults import FaultList
from hwflow.graph import IntArray
from hwflow.sim.network import Network

_JOB = Path("job.json")
JOB: dict[str, Any] = json.loads(_JOB.read_text()) if _JOB.exists() else {"check": None}
CHECK: dict[str, Any] | None = JOB["check"]
RESULTS = ("outputs", "begun", "finished")


@cocotb.test()
async def stream_images(dut: Any) -> None:
    """Run the images, with an upset at its cycle, and save what came out."""
    net = Network(dut)
    net.alone = True
    await net.reset()
    upsets = {JOB["upset_cycle"] or 0: FaultList.load("faults.json")} if JOB["faults"] else {}
    outputs = await net.run(
        np.load("images.npy"),
        upsets=upsets,
        stall_percent=JOB["stall_percent"],
        seed=JOB["seed"],
    )
    for name, array in zip(RESULTS, (outputs, net.begun, net.finished), strict=True):
        np.save(f"{name}.npy", array)
    assert not net.wrong_last, "m_axis_tlast does not mark the last beat of each image"


@cocotb.test(skip=CHECK is None)
async def codes_equal_the_reference(_dut: Any) -> None:
    """Every output code of every image that is compared."""
    pairs = list(_compared())
    differing = sum(int(np.count_nonzero(codes != expected)) for codes, expected in pairs)
    total = sum(expected.size for _, expected in pairs)
    cocotb.log.info("%d of %d output codes differ from the reference", differing, total)
    assert total, "no image is compared"
    assert not differing, f"{differing} of {total} output codes differ from the reference"


@cocotb.test(skip=CHECK is None or CHECK["keras"] is None)
async def accuracy_keeps_its_limits(_dut: Any) -> None:
    """Top-1 against the Keras model, within the limits of the job."""
    assert CHECK is not None
    labels, keras, limits = CHECK["labels"], CHECK["keras"], CHECK["limits"]
    outputs = np.load("outputs.npy")
    images = [index for index, expected in enumerate(_expected()) if expected is not None]
    at = CHECK["threshold"]
    classes = {index: int(outputs[index].argmax() if at is None else outputs[index, 0] > at) for index in images}
    count = len(images)
    lost = 100 * sum(classes[index] != keras[index] for index in images) / count
    report = f"the largest class differs from Keras' in {lost:.2f} % of {count} images"
    top1 = None
    if labels is not None:
        top1 = 100 * sum(classes[i] == labels[i] for i in images) / count
        floats = 100 * sum(keras[i] == labels[i] for i in images) / count
        lost = floats - top1
        report += f"; top-1 {top1:.2f} %, Keras {floats:.2f} %"
    cocotb.log.info(report)
    # Percentages of fewer than a million images differ by more than the rounding of their quotients.
    if limits["max_loss"] is not None:
        assert lost <= limits["max_loss"] + 1e-9, f"more than {limits['max_loss']:g} points lost: {report}"
    if limits["min_accuracy"] is not None:
        assert top1 is not None
        assert top1 >= limits["min_accuracy"] - 1e-9, f"below {limits['min_accuracy']:g} %: {report}"


def _compared() -> Iterator[tuple[IntArray, IntArray]]:
    """Codes and expected codes of every image that is compared."""
    for codes, expected in zip(np.load("outputs.npy"), _expected(), strict=True):
        if expected is not None:
            yield codes, expected


def _expected() -> list[IntArray | None]:
    """What each image must give; None for those that an upset found inside the design."""
    faulted = list(np.load("expected.npy"))
    cycle = JOB["upset_cycle"]
    if not cycle:
        return faulted
    clean, begun, finished = (np.load(f"{name}.npy") for name in ("expected_clean", "begun", "finished"))
    before, after = finished < cycle, begun >= cycle
    return [
        clean[index] if before[index] else faulted[index] if after[index] else None for index in range(len(faulted))
    ]
