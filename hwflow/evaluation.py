"""Accuracy of a design, clean and under faults, in a chosen executor."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt

from hwflow import doctor
from hwflow.data import Accuracy as Tally
from hwflow.data import (
    Data,
    Float32,
    ImageSet,
    Preprocessing,
    Unreadable,
    accuracy,
    batches,
    preset_name,
    unreadable_text,
)
from hwflow.design import Design, open_design
from hwflow.errors import HwflowError
from hwflow.faults import FaultList, sample_ber
from hwflow.files import FAULT_LISTS, check_output, new_folder
from hwflow.graph import Conv2D, Graph, IntArray
from hwflow.inputs import check_images, labelled, open_for
from hwflow.memory import memories
from hwflow.reference import IntegerExecutor

ExecutorName = Literal["reference", "csim", "keras"]
MAX_BATCH = 256
TOP5_CLASSES = 10
"""Top-5 accuracy is measured of networks with more classes than this."""
_BATCH_ELEMENTS = 1 << 24  # float64 elements of a convolution's patches: 128 MiB
_RUN_ELEMENTS = 1 << 23  # int64 input codes of one C simulation, which is a process of its own: 64 MiB

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
    """Top-1 or top-5 accuracy in percent.

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
        top5: top-5 accuracy, percent, where it is measured.
    """

    seed: int | None
    flips: int
    accuracy: float
    top5: float | None = None


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
        clean_top5: top-5 accuracy without faults, of networks with more than ``TOP5_CLASSES`` classes.
        faulted_top5: the same under faults.
        preprocessing: of the images of a folder, the name in :data:`hwflow.data.PRESETS`.
        unreadable: images that could not be decoded and so do not count.
        engine: one line on how the reference computed and why; ``None`` for other executors.
    """

    data: str
    executor: str
    clean: Accuracy
    faulted: Accuracy | None
    draws: tuple[Draw, ...]
    stored_bits: int
    clean_top5: Accuracy | None = None
    faulted_top5: Accuracy | None = None
    preprocessing: str | None = None
    unreadable: tuple[Unreadable, ...] = ()
    engine: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The result as JSON data."""
        unreadable = [{"path": str(each.path), "reason": each.reason} for each in self.unreadable]
        return {**asdict(self), "unreadable": unreadable}


def evaluate(
    design: Design | str | Path,
    data: str | Path | Data,
    *,
    labels: str | Path | None = None,
    preprocessing: str | Preprocessing | None = None,
    ber: float | None = None,
    rounds: int = 10,
    faults: FaultList | str | Path | None = None,
    faulty_biases: bool = False,
    executor: ExecutorName = "reference",
    images: int | None = None,
    seed: int = 0,
    project: str | Path | None = None,
    save_faults: str | Path | None = None,
    threads: int | None = None,
    advance: Advance = no_progress,
) -> Evaluation:
    """Top-1 and top-5 accuracy of a design, clean and under faults; memory does not grow with the set.

    Args:
        design: a design or its folder.
        data: labelled images: ``digits``, an ``.npz``, a folder of images, or a data set.
        labels: of a flat folder of images, see :func:`hwflow.data.open_data`.
        preprocessing: of a folder's images; by default that of the design's calibration.
        ber: probability with which every stored bit is flipped, drawn anew for every round.
        rounds: number of such draws.
        faults: a fault list, or its file, instead of ``ber``; one round.
        faulty_biases: biases are in fault-prone memory too.
        executor: ``reference``, ``csim`` (the C++ firmware) or ``keras`` (the float network, clean only).
        images: only so many images: the first of an array, evenly spread over a folder.
        seed: round r draws from ``SeedSequence(seed, spawn_key=(r,))``.
        project: a generated project whose firmware ``csim`` runs; by default a temporary one.
        save_faults: folder that receives the fault list of every round.
        threads: threads of the reference, by default all cores; results do not depend on it.
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
    source = open_for(design, data, labels, preprocessing)
    source = labelled(source, images, design.graph)
    lists = [
        *([] if ber is None else draw_rounds(design, ber, rounds, seed, faulty_biases)),
        *([] if faults is None else [open_faults(faults)]),
    ]
    if save_faults is not None:
        _save(lists, Path(save_faults))
    with _open_network(design, executor, project, threads) as network:
        clean, *faulted = tallies = _tally(network, design.graph, source, [None, *lists], advance)
    top5 = design.graph.output.shape[-1] > TOP5_CLASSES
    return Evaluation(
        data=source.name,
        executor=executor,
        clean=_over_rounds([clean]),
        faulted=_over_rounds(faulted) if faulted else None,
        draws=tuple(
            Draw(each.seed, len(each), 100 * tally.top1, 100 * tally.top5 if top5 else None)
            for each, tally in zip(lists, faulted, strict=True)
        ),
        stored_bits=0 if executor == "keras" else stored_bits(design.graph, faulty_biases),
        clean_top5=_over_rounds([clean], 5) if top5 else None,
        faulted_top5=_over_rounds(faulted, 5) if top5 and faulted else None,
        preprocessing=preset_name(source.preprocessing) if isinstance(source, ImageSet) else None,
        unreadable=tallies[0].unreadable,
        engine=network.engine,
    )


@dataclass(frozen=True)
class _Network:
    """What computes logits.

    Attributes:
        prepare: from images to what ``run`` takes.
        run: from that and a fault list to logits ``(n, classes)``.
        size: images that it takes at once.
        engine: what the reference says of how it computes.
    """

    prepare: Callable[[Float32], npt.NDArray[Any]]
    run: Callable[[npt.NDArray[Any], FaultList | None], npt.NDArray[Any]]
    size: int
    engine: str | None = None


@contextmanager
def _open_network(design: Design, name: str, project: str | Path | None, threads: int | None) -> Iterator[_Network]:
    graph = design.graph
    if name == "keras":
        model = design.keras_model()
        yield _Network(lambda images: images, lambda images, _: model.predict_on_batch(images), batch_size(graph))
        return
    with open_executor(design, name, project, threads) as runner:
        engine = runner.engine.note if isinstance(runner, IntegerExecutor) else None
        yield _Network(lambda images: encode(graph, images), runner.run, images_at_once(runner, graph), engine)


def _tally(
    network: _Network, graph: Graph, source: Data, conditions: Sequence[FaultList | None], advance: Advance
) -> list[Tally]:
    """Hits under every condition. Batches go outside, so that an image is decoded once and then forgotten."""
    tallies = [Tally()] * len(conditions)
    done, total = 0, len(source) * len(conditions)
    for batch in batches(source, network.size):
        if len(batch):
            check_images(source.name, batch.images, graph)
            prepared = network.prepare(batch.images)
        for index, faults in enumerate(conditions):
            name = "fault-free" if faults is None else f"fault list {index} of {len(conditions) - 1}"
            counted = Tally(unreadable=batch.unreadable)
            if len(batch) and batch.labels is not None:
                counted += accuracy(network.run(prepared, faults), batch.labels)
            tallies[index] += counted
            done += len(batch) + len(batch.unreadable)
            advance(done, total, name)
    if not tallies[0].images:
        raise HwflowError(f"{source.name}: {unreadable_text(tallies[0].unreadable, len(source))}")
    return tallies


def _over_rounds(tallies: Sequence[Tally], top: Literal[1, 5] = 1) -> Accuracy:
    """Mean and deviation of the top-1 or top-5 accuracy of the rounds."""
    percents = [100 * (tally.top1 if top == 1 else tally.top5) for tally in tallies]
    return Accuracy.of(percents, tallies[0].images)


@contextmanager
def open_executor(
    design: Design, name: str, project: str | Path | None = None, threads: int | None = None
) -> Iterator[Executor]:
    """The executor ``reference`` or ``csim``; the firmware of ``csim`` is generated if no project is given.

    Raises:
        HwflowError: g++ is missing, or the project does not belong to the design.
    """
    if name == "reference":
        yield IntegerExecutor(design.graph, threads)
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
    """Output codes of any number of images; an executor is given no more than its memory allows.

    Args:
        executor: what computes them.
        graph: the design's graph.
        codes: input codes ``(n, *input shape)``.
        faults: present for the whole run.
        advance: called with the number of images done.
    """
    size = images_at_once(executor, graph)
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


def images_at_once(executor: Executor, graph: Graph) -> int:
    """Images that an executor is given at once.

    The reference holds all their activations; the others start a process a run, which many images must share.
    """
    if isinstance(executor, IntegerExecutor):
        return batch_size(graph)
    return max(1, _RUN_ELEMENTS // math.prod(graph.input.shape))


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
