"""How far a design's outputs are from the Keras model's in float: what there is to say of a network without classes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hwflow import doctor
from hwflow.data import Data, Dataset, Preprocessing, Unreadable, batches, some, unreadable_text
from hwflow.data.given import DataLike
from hwflow.errors import HwflowError
from hwflow.executors import Executor, Setup, kind_of, open_executor
from hwflow.faults import FaultList
from hwflow.folders.design import Design, open_design
from hwflow.graph import FloatArray, Graph
from hwflow.progress import Advance, no_progress
from hwflow.stages.classification import KERAS
from hwflow.stages.evaluate import ROUNDS, check_options, check_used, draw_rounds, open_faults
from hwflow.stages.generate import project_for
from hwflow.stages.inputs import check_images, open_for


@dataclass(frozen=True)
class Deviation:
    """Root mean square of the differences from the Keras model's outputs, over all images and outputs.

    Attributes:
        rms: on average over the rounds, as outputs have it.
        std: sample standard deviation over the rounds; 0 for a single round.
        relative: ``rms`` in percent of the standard deviation of the Keras model's outputs over the images.
        rounds: fault lists; 1 without faults.
        images: of every round.
    """

    rms: float
    std: float
    relative: float
    rounds: int
    images: int


@dataclass(frozen=True)
class DeviationRound:
    """One fault list and what it does: seed, if it was drawn, flips, and the root mean square."""

    seed: int | None
    flips: int
    rms: float


@dataclass(frozen=True)
class Deviations:
    """Result of :func:`deviations`.

    Attributes:
        data: name of the data set.
        executor: what computed it.
        clean: without faults.
        faulted: under faults, if any were asked for.
        draws: the rounds behind ``faulted``.
        output_std: standard deviation of the Keras model's outputs over the images, each output about its mean.
    """

    data: str
    executor: str
    clean: Deviation
    faulted: Deviation | None
    draws: tuple[DeviationRound, ...]
    output_std: float

    def to_json(self) -> dict[str, Any]:
        """The result as JSON data."""
        return asdict(self)


def deviations(
    design: Design | str | Path,
    data: DataLike,
    *,
    preprocessing: str | Preprocessing | None = None,
    ber: float | None = None,
    rounds: int | None = None,
    faults: FaultList | str | Path | None = None,
    faulty_biases: bool = False,
    layers: Sequence[str] | None = None,
    executor: str = "reference",
    images: int | None = None,
    seed: int = 0,
    project: str | Path | None = None,
    threads: int | None = None,
    advance: Advance = no_progress,
) -> Deviations:
    """How far a design's outputs are from the Keras model's, clean and under faults; labels are not looked at.

    Args:
        design: a design or its folder.
        data: images, as for :func:`hwflow.stages.evaluate.evaluate`, as are all other arguments.
        preprocessing: of a folder's images.
        ber: probability with which every stored bit is flipped, drawn anew for every round.
        rounds: number of such draws, by default 10.
        faults: a fault list, or its file, instead of ``ber``.
        faulty_biases: biases are in fault-prone memory too.
        layers: patterns of layer names; only faults in these count.
        executor: any but ``keras``.
        images: only so many images.
        seed: of the rounds.
        project: a generated project whose part ``csim`` or ``rtl`` runs.
        threads: of the reference.
        advance: progress display.

    Raises:
        HwflowError: options that exclude each other, data that do not fit, or outputs that are not the Keras model's.
    """
    check_options(ber, faults, layers, rounds, executor)
    check_used(ber, rounds, faulty_biases, executor, project, threads)
    kind = kind_of(executor)
    if executor == KERAS:
        raise HwflowError("outputs are compared with the Keras network itself; choose another executor")
    doctor.require(*kind.programs)
    design = open_design(design)
    if kind.part == "rtl" and design.graph.in_rtl is not design.graph:
        raise HwflowError("the RTL ends before the outputs of the Keras model; use --executor reference or csim")
    source = some(open_for(design, data, None, preprocessing, images), images)
    if isinstance(source, Dataset):
        check_images(source.name, source.images, design.graph)
    lists = [
        *([] if ber is None else draw_rounds(design, ber, rounds or ROUNDS, seed, faulty_biases, layers)),
        *([] if faults is None else [open_faults(design.graph, faults)]),
    ]
    with project_for(design, project, () if kind.part is None else (kind.part,)) as made:
        part = None if made is None else made.part
        opened = open_executor(executor, Setup(design.graph, design.keras_model, part, threads, lists))
        keras = open_executor(KERAS, Setup(design.graph, design.keras_model))
        sums = _compared(opened, keras, design.graph, source, [None, *lists], advance)
    clean, *faulted = sums.rms
    return Deviations(
        data=source.name,
        executor=executor,
        clean=sums.deviation([clean]),
        faulted=sums.deviation(faulted) if faulted else None,
        draws=tuple(DeviationRound(each.seed, len(each), rms) for each, rms in zip(lists, faulted, strict=True)),
        output_std=sums.output_std,
    )


class _Sums:
    """Sums over batches: squares of differences of every condition, and of the Keras model's outputs."""

    def __init__(self, conditions: int) -> None:
        self.images = 0
        self.squares = np.zeros(conditions)
        self._sum: FloatArray | float = 0.0
        self._square: FloatArray | float = 0.0

    def start(self, expected: FloatArray) -> None:
        self.images += len(expected)
        self._sum = self._sum + expected.sum(axis=0)
        self._square = self._square + np.square(expected).sum(axis=0)

    @property
    def rms(self) -> list[float]:
        """Of every condition."""
        return [float(each) for each in np.sqrt(self.squares / (self.images * np.size(self._sum)))]

    @property
    def output_std(self) -> float:
        mean = np.asarray(self._sum) / self.images
        variance = np.maximum(np.asarray(self._square) / self.images - np.square(mean), 0.0)
        return float(np.sqrt(variance.mean()))

    def deviation(self, rms: Sequence[float]) -> Deviation:
        mean = float(np.mean(rms))
        std = float(np.std(rms, ddof=1)) if len(rms) > 1 else 0.0
        relative = 100 * mean / self.output_std if self.output_std > 0 else math.inf
        return Deviation(mean, std, relative, len(rms), self.images)


def _compared(
    executor: Executor,
    keras: Executor,
    graph: Graph,
    source: Data,
    conditions: Sequence[FaultList | None],
    advance: Advance,
) -> _Sums:
    """Batch by batch, so that memory does not grow with the set."""
    sums, done = _Sums(len(conditions)), 0
    unreadable: tuple[Unreadable, ...] = ()
    total = len(source) * len(conditions)
    for batch in batches(source, min(executor.images_at_once, keras.images_at_once)):
        unreadable += batch.unreadable
        if len(batch):
            check_images(source.name, batch.images, graph)
            expected = np.asarray(keras.start(batch.images)(None), dtype=np.float64).reshape(len(batch), -1)
            sums.start(expected)
            outputs = executor.start(batch.images)
            for index, faults in enumerate(conditions):
                found = _true(graph, np.asarray(outputs(faults))).reshape(len(batch), -1)
                sums.squares[index] += float(np.square(found - expected).sum())
        done += (len(batch) + len(batch.unreadable)) * len(conditions)
        advance(done, total, "")
    if not sums.images:
        raise HwflowError(f"{source.name}: {unreadable_text(unreadable, len(source))}")
    return sums


def _true(graph: Graph, outputs: npt.NDArray[Any]) -> FloatArray:
    """True values of an executor's outputs, which are codes or values."""
    if outputs.dtype.kind not in "iu":
        return np.asarray(outputs, dtype=np.float64)
    values: FloatArray = graph.output.resolved.decode(outputs) / np.asarray(graph.output.scale)
    return values
