"""Accuracy of a design, clean and under faults, in a chosen executor."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt

from hwflow import doctor
from hwflow.data import Dataset, check_shape, load_data
from hwflow.design import Design, open_design
from hwflow.errors import HwflowError
from hwflow.faults import FaultList, sample_ber
from hwflow.files import FAULT_LISTS, check_output, new_folder
from hwflow.graph import Conv2D, Graph, IntArray
from hwflow.memory import memories
from hwflow.reference import IntegerExecutor

ExecutorName = Literal["reference", "csim", "keras"]
MAX_BATCH = 256
_BATCH_ELEMENTS = 1 << 24  # float64 elements of a convolution's patches: 128 MiB

Advance = Callable[[int, int, str], None]
"""Called with what is done, the total, and the name of the step."""


def no_progress(_done: int, _total: int, _name: str) -> None:
    """Show no progress."""


class Executor(Protocol):
    """Input codes ``(n, *input shape)`` and faults to output codes ``(n, *output shape)``."""

    def run(self, codes: IntArray, faults: FaultList | None = None) -> IntArray:
        """Output codes of input codes under ``faults``."""


@dataclass(frozen=True)
class Accuracy:
    """Top-1 accuracy in percent.

    Attributes:
        mean: over the rounds.
        std: sample standard deviation over the rounds (n - 1); 0 for a single round.
        rounds: number of fault lists; a clean accuracy has 1.
        images: number of images in every round.
    """

    mean: float
    std: float
    rounds: int
    images: int

    @classmethod
    def of(cls, percents: Sequence[float], images: int) -> Accuracy:
        """The accuracy over the rounds whose accuracies are ``percents``."""
        std = float(np.std(percents, ddof=1)) if len(percents) > 1 else 0.0
        return cls(float(np.mean(percents)), std, len(percents), images)

    def __str__(self) -> str:
        spread = f" ± {self.std:.2f}" if self.rounds > 1 else ""
        return f"{self.mean:.2f}{spread} %"


@dataclass(frozen=True)
class Draw:
    """One round: a fault list and what it does.

    Attributes:
        seed: what the list was drawn with, if it was drawn.
        flips: bits flipped.
        accuracy: top-1 accuracy, percent.
    """

    seed: int | None
    flips: int
    accuracy: float


@dataclass(frozen=True)
class Evaluation:
    """Result of :func:`evaluate`.

    Attributes:
        data: name of the data set.
        executor: what computed it.
        clean: accuracy without faults.
        faulted: accuracy under faults, if any were asked for.
        draws: the rounds behind ``faulted``.
        stored_bits: bits that faults could hit.
    """

    data: str
    executor: str
    clean: Accuracy
    faulted: Accuracy | None
    draws: tuple[Draw, ...]
    stored_bits: int


def evaluate(
    design: Design | str | Path,
    data: str | Dataset,
    *,
    ber: float | None = None,
    rounds: int = 10,
    faults: FaultList | str | Path | None = None,
    faulty_biases: bool = False,
    executor: ExecutorName = "reference",
    images: int | None = None,
    seed: int = 0,
    project: str | Path | None = None,
    save_faults: str | Path | None = None,
    advance: Advance = no_progress,
) -> Evaluation:
    """Top-1 accuracy of a design, clean and under faults.

    Args:
        design: a design or its folder.
        data: labelled images: ``digits``, an ``.npz``, or a data set.
        ber: probability with which every stored bit is flipped, drawn anew for every round.
        rounds: number of such draws.
        faults: a fault list, or its file, instead of ``ber``; one round.
        faulty_biases: biases are in fault-prone memory too.
        executor: ``reference``, ``csim`` (the C++ firmware) or ``keras`` (the float network, clean only).
        images: only the first so many images.
        seed: round r draws from ``SeedSequence(seed, spawn_key=(r,))``.
        project: a generated project whose firmware ``csim`` runs; by default a temporary one.
        save_faults: folder that receives the fault list of every round.
        advance: progress display.

    Raises:
        HwflowError: options that exclude each other, data that do not fit, or a tool that is missing.
    """
    _check_options(ber, faults, rounds, executor)
    if save_faults is not None:
        if ber is None:
            raise HwflowError("there are no fault lists to save without a bit error rate")
        check_output(Path(save_faults), FAULT_LISTS, force=False)
    design = open_design(design)
    dataset = labelled(data, images, design.graph)
    lists = [
        *([] if ber is None else draw_rounds(design, ber, rounds, seed, faulty_biases)),
        *([] if faults is None else [open_faults(faults)]),
    ]
    if save_faults is not None:
        _save(lists, Path(save_faults))
    labels = dataset.labels
    assert labels is not None
    if executor == "keras":
        predictions = _keras_predictions(design, dataset)
        return Evaluation(
            dataset.name, executor, Accuracy.of([percent(predictions, labels)], len(dataset)), None, (), 0
        )
    with open_executor(design, executor, project) as runner:
        codes = encode(design.graph, dataset.images)
        total = (1 + len(lists)) * len(codes)

        def accuracy(index: int, fault_list: FaultList | None) -> float:
            name = "fault-free" if fault_list is None else f"fault list {index} of {len(lists)}"
            start = index * len(codes)
            outputs = run_batches(
                runner, design.graph, codes, fault_list, lambda done: advance(start + done, total, name)
            )
            return percent(np.argmax(outputs, axis=-1), labels)

        clean = accuracy(0, None)
        faulted = [accuracy(index, fault_list) for index, fault_list in enumerate(lists, 1)]
    return Evaluation(
        data=dataset.name,
        executor=executor,
        clean=Accuracy.of([clean], len(dataset)),
        faulted=Accuracy.of(faulted, len(dataset)) if faulted else None,
        draws=tuple(Draw(each.seed, len(each), value) for each, value in zip(lists, faulted, strict=True)),
        stored_bits=stored_bits(design.graph, faulty_biases),
    )


@contextmanager
def open_executor(design: Design, name: str, project: str | Path | None = None) -> Iterator[Executor]:
    """The executor ``reference`` or ``csim``; the firmware of ``csim`` is generated if no project is given.

    Raises:
        HwflowError: g++ is missing, or the project does not belong to the design.
    """
    if name == "reference":
        yield IntegerExecutor(design.graph)
        return
    doctor.require("g++")
    from hwflow.firmware.csim import CsimExecutor
    from hwflow.generation import generate, load_project

    if project is not None:
        yield CsimExecutor(load_project(project, design).part("firmware"), design.graph)
        return
    with tempfile.TemporaryDirectory(prefix="hwflow-") as folder:
        made = generate(design, Path(folder) / "project", rtl=False)
        yield CsimExecutor(made.part("firmware"), design.graph)


def run_batches(
    executor: Executor,
    graph: Graph,
    codes: IntArray,
    faults: FaultList | None,
    advance: Callable[[int], None] = lambda _: None,
) -> IntArray:
    """Output codes of any number of images; the reference is given no more than its memory allows.

    Args:
        executor: what computes them.
        graph: the design's graph.
        codes: input codes ``(n, *input shape)``.
        faults: present for the whole run.
        advance: called with the number of images done.
    """
    # Only the reference holds every activation at once; the others would start a simulation a batch.
    size = batch_size(graph) if isinstance(executor, IntegerExecutor) else len(codes)
    outputs = []
    for start in range(0, len(codes), size):
        outputs.append(executor.run(codes[start : start + size], faults))
        advance(min(start + size, len(codes)))
    return np.concatenate(outputs)


def batch_size(graph: Graph) -> int:
    """Images that the reference runs at once: as many as keep a convolution's patches within 128 MiB."""
    largest = max((layer.vectors * layer.n_in for layer in graph.of_type(Conv2D)), default=1)
    return max(1, min(MAX_BATCH, _BATCH_ELEMENTS // largest))


def encode(graph: Graph, images: npt.NDArray[Any]) -> IntArray:
    """Input codes of real images."""
    return graph.input.resolved.encode(images)


def labelled(data: str | Dataset, images: int | None, graph: Graph) -> Dataset:
    """The first ``images`` of a labelled data set that fits the network.

    Raises:
        HwflowError: no labels, labels that the network does not have, or another shape.
    """
    dataset = fitting(data, images, graph)
    if dataset.labels is None:
        raise HwflowError(f"{dataset.name}: accuracy needs labels; add an array 'y' to the .npz")
    classes = graph.output.shape[-1]
    if dataset.labels.max() >= classes:
        raise HwflowError(f"{dataset.name}: has class {dataset.labels.max()}, but the network knows 0 to {classes - 1}")
    return dataset


def fitting(data: str | Dataset, images: int | None, graph: Graph) -> Dataset:
    """The first ``images`` of a data set whose shape fits the network.

    Raises:
        HwflowError: there are fewer, or they have another shape.
    """
    dataset = load_data(data) if isinstance(data, str) else data
    try:
        check_shape(dataset.images, graph.input.shape)
    except HwflowError as error:
        raise HwflowError(f"{dataset.name}: {error}") from error
    return dataset if images is None else dataset.head(images)


def draw_rounds(design: Design, ber: float, rounds: int, seed: int, faulty_biases: bool = False) -> list[FaultList]:
    """Fault lists of ``rounds`` independent draws; round r does not depend on how many there are."""
    prone = memories(design.graph, faulty_biases)
    # Each list carries a seed of its own, from which alone it can be drawn again.
    seeds = [int(np.random.SeedSequence(seed, spawn_key=(r,)).generate_state(1, np.uint64)[0]) for r in range(rounds)]
    return [sample_ber(prone, ber, each, design.graph.digest) for each in seeds]


def open_faults(faults: FaultList | str | Path) -> FaultList:
    """``faults`` itself, or the fault list in that file."""
    return faults if isinstance(faults, FaultList) else FaultList.load(faults)


def stored_bits(graph: Graph, faulty_biases: bool = False) -> int:
    """Bits in fault-prone memory."""
    return sum(memory.total_bits for memory in memories(graph, faulty_biases))


def percent(predictions: npt.NDArray[Any], labels: npt.NDArray[Any]) -> float:
    """Share of ``predictions`` that equal ``labels``, in percent."""
    return 100.0 * float(np.mean(predictions == labels))


def _check_options(ber: float | None, faults: object, rounds: int, executor: str) -> None:
    if executor not in get_args(ExecutorName):
        raise HwflowError(f"executor {executor!r} is unknown; choose one of {', '.join(get_args(ExecutorName))}")
    if ber is not None and faults is not None:
        raise HwflowError("give a bit error rate or a fault list, not both")
    if rounds < 1:
        raise HwflowError(f"rounds={rounds} must be at least 1")
    if executor == "keras" and (ber is not None or faults is not None):
        raise HwflowError("the Keras network stores no weight codes to flip; use --executor reference or csim")


def _save(lists: Sequence[FaultList], folder: Path) -> None:
    """Write fault lists as ``round-0.json``, ``round-1.json``, ... into a new folder."""
    with new_folder(folder, FAULT_LISTS) as work:
        for index, fault_list in enumerate(lists):
            fault_list.save(work / f"round-{index}.json")


def _keras_predictions(design: Design, dataset: Dataset) -> npt.NDArray[np.int64]:
    outputs = design.keras_model().predict(dataset.images, batch_size=MAX_BATCH, verbose=0)
    return np.asarray(np.argmax(outputs, axis=-1))
