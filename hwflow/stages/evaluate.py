"""Accuracy of a design, clean and under faults, in a chosen executor."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import compress
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hwflow import doctor
from hwflow.data import (
    Data,
    DataLike,
    ImageSet,
    Preprocessing,
    Tally,
    Unreadable,
    accuracy,
    batches,
    data_path,
    preset_name,
    unreadable_text,
)
from hwflow.errors import HwflowError
from hwflow.executors import Executor, Setup, kind_of, open_executor
from hwflow.faults import FaultList, round_seed, sample_ber
from hwflow.faults.models import in_layers, restrict, without
from hwflow.files.folders import FAULT_LISTS, check_output, new_folder
from hwflow.files.outputs import check_outputs
from hwflow.folders.design import Design, open_design
from hwflow.graph import Graph
from hwflow.graph.decision import class_scores
from hwflow.memory import WordCounts, check_faults, count_words, memories
from hwflow.progress import Advance, no_progress
from hwflow.show import Shown
from hwflow.stages.generate import project_for
from hwflow.stages.input_range import InputRange, calibrated_range, input_range
from hwflow.stages.inputs import check_images, labelled, open_for
from hwflow.stages.limits import MAX_THREADS, check_memory

ROUNDS = 10
TOP5_CLASSES = 10
"""Top-5 accuracy is measured of networks with more classes than this."""

_FAULT_BYTES = 40  # of a fault while lists are drawn
_LIST_BYTES = 2000  # of an empty one


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
        if len(set(percents)) == 1:
            return cls(float(percents[0]), 0.0, len(percents), images)
        return cls(float(np.mean(percents)), float(np.std(percents, ddof=1)), len(percents), images)

    def __str__(self) -> str:
        if self.rounds == 1:
            return f"{self.mean:.2f} %"
        return f"{self.mean:.2f} ± {self.std:.2f} %" if self.std else f"{self.mean:.2f} % in all rounds"


@dataclass(frozen=True)
class Draw:
    """One round: a fault list and what it does.

    Attributes:
        seed: what the list was drawn with, if it was drawn.
        flips: bits flipped.
        accuracy: top-1 accuracy, percent.
        top5: top-5 accuracy, percent, where it is measured.
        words: what the decoders make of the words that it hits.
    """

    seed: int | None
    flips: int
    accuracy: float
    top5: float | None = None
    words: WordCounts = field(default_factory=WordCounts)


@dataclass(frozen=True, repr=False)
class Evaluation(Shown):
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
        inputs: input values that saturate, and those outside the calibrated range.
        data_sha256: of the images that count and their labels.
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
    inputs: InputRange | None = None
    data_sha256: str | None = None

    @property
    def words(self) -> WordCounts:
        """What the decoders make of the words hit, in all rounds."""
        return sum((draw.words for draw in self.draws), WordCounts())

    def facts(self) -> dict[str, object]:
        """The accuracies."""
        return {
            "data": self.data,
            "images": self.clean.images,
            "executor": self.executor,
            "clean": self.clean,
            **({} if self.faulted is None else {"faulted": self.faulted, "rounds": self.faulted.rounds}),
        }

    def rows(self) -> list[dict[str, Any]]:
        """A row for every fault list."""
        return [
            {"seed": draw.seed, "flips": draw.flips, "accuracy": draw.accuracy, "top5": draw.top5, **asdict(draw.words)}
            for draw in self.draws
        ]

    def to_json(self) -> dict[str, Any]:
        """The result as JSON data."""
        unreadable = [{"path": str(each.path), "reason": each.reason} for each in self.unreadable]
        inputs = None if self.inputs is None else self.inputs.to_json()
        return {**asdict(self), "unreadable": unreadable, "inputs": inputs}


def evaluate(
    design: Design | str | Path,
    data: DataLike,
    *,
    labels: str | Path | None = None,
    preprocessing: str | Preprocessing | None = None,
    ber: float | None = None,
    rounds: int | None = None,
    faults: FaultList | str | Path | None = None,
    faulty_biases: bool = False,
    layers: Sequence[str] | None = None,
    spared: FaultList | str | Path | None = None,
    executor: str = "reference",
    images: int | None = None,
    seed: int = 0,
    project: str | Path | None = None,
    save_faults: str | Path | None = None,
    threads: int | None = None,
    advance: Advance = no_progress,
) -> Evaluation:
    """Top-1 and top-5 accuracy of a design, clean and under faults; memory does not grow with the set.

    Each batch of images goes through all rounds before the next one. In the reference, a round starts at the
    first layer that it faults, from the activations of the fault-free run, which is made in any case: a round
    that faults only the last third of the layers costs about that third. Activations are kept only if some
    round starts at them, and no more than 256 MiB of them.

    Args:
        design: a design or its folder.
        data: labelled images: ``digits``, an ``.npz``, a folder of images, a data set, a pair of arrays ``(x, y)``, or
            an iterable of such batches, see :data:`hwflow.data.DataLike`.
        labels: of a flat folder of images, see :func:`hwflow.data.open_data`.
        preprocessing: of a folder's images; by default that of the design's calibration.
        ber: probability with which every stored bit is flipped, drawn anew for every round.
        rounds: number of such draws, by default 10.
        faults: a fault list, or its file, instead of ``ber``; one round.
        faulty_biases: biases are in fault-prone memory too.
        layers: patterns of layer names such as ``block1_*``: only faults in these count; by default all.
        spared: a fault list, or its file, whose places faults do not reach: bits that a small protected memory keeps,
            see :meth:`hwflow.stages.sensitivity.Sensitivity.critical`.
        executor: a name in :data:`hwflow.executors.EXECUTORS`: ``reference``, ``csim`` (the C++ firmware), ``rtl`` (in
            Verilator, slow) or ``keras`` (the float network, clean only).
        images: only so many images: the first of an array, evenly spread over a folder.
        seed: round r draws from ``SeedSequence(seed, spawn_key=(r,))``.
        project: a generated project whose part ``csim`` or ``rtl`` runs; by default a temporary one.
        save_faults: folder that receives the fault list of every round.
        threads: threads of the reference, by default all cores; results do not depend on it.
        advance: progress display.

    Raises:
        HwflowError: options that exclude each other, data that do not fit, or a tool that is missing.
    """
    check_options(ber, faults, layers, rounds, executor)
    if spared is not None and ber is None and faults is None:
        raise HwflowError("spared places matter under faults: give a bit error rate or a fault list")
    check_used(ber, rounds, faulty_biases, executor, project, threads)
    rounds = ROUNDS if rounds is None else rounds
    if save_faults is not None:
        if ber is None:
            raise HwflowError("there are no fault lists to save without a bit error rate")
        reads = {"design": design, "data": data_path(data), "labels": labels, "spared": spared, "project": project}
        check_outputs(reads, folders={"save_faults": save_faults})
        check_output(Path(save_faults), FAULT_LISTS, force=False)
    kind = kind_of(executor)
    doctor.require(*kind.programs)
    design = open_design(design)
    source = open_for(design, data, labels, preprocessing, images)
    source = labelled(source, images, design.graph)
    lists = [
        *([] if ber is None else draw_rounds(design, ber, rounds, seed, faulty_biases, layers)),
        *([] if faults is None else [open_faults(design.graph, faults)]),
    ]
    if spared is not None:
        kept = open_faults(design.graph, spared)
        lists = [without(each, kept) for each in lists]
    if save_faults is not None:
        _save(lists, Path(save_faults))
    with project_for(design, project, () if kind.part is None else (kind.part,)) as made:
        part = None if made is None else made.part
        opened = open_executor(executor, Setup(design.graph, design.keras_model, part, threads, lists))
        tallies, inputs, digest = _tally(opened, design, source, [None, *lists], advance)
    clean, *faulted = tallies
    top5 = design.graph.output.shape[-1] > TOP5_CLASSES
    return Evaluation(
        data=source.name,
        executor=executor,
        clean=_over_rounds([clean]),
        faulted=_over_rounds(faulted) if faulted else None,
        draws=tuple(
            Draw(
                each.seed,
                len(each),
                100 * tally.top1,
                100 * tally.top5 if top5 else None,
                count_words(design.graph, each),
            )
            for each, tally in zip(lists, faulted, strict=True)
        ),
        stored_bits=stored_bits(design.graph, faulty_biases, layers) if kind.faults else 0,
        clean_top5=_over_rounds([clean], 5) if top5 else None,
        faulted_top5=_over_rounds(faulted, 5) if top5 and faulted else None,
        preprocessing=preset_name(source.preprocessing) if isinstance(source, ImageSet) else None,
        unreadable=tallies[0].unreadable,
        engine=opened.note,
        inputs=inputs,
        data_sha256=digest,
    )


def _tally(
    executor: Executor, design: Design, source: Data, conditions: Sequence[FaultList | None], advance: Advance
) -> tuple[list[Tally], InputRange, str]:
    """Hits under every condition, the range of the images, and the SHA-256 of images and labels.

    Batches go outside, so that an image is decoded once and then forgotten.
    """
    graph, calibrated = design.graph, calibrated_range(design)
    tallies = [Tally()] * len(conditions)
    seen = input_range(graph, np.zeros(0), calibrated)
    digest, labels = hashlib.sha256(), []
    done, total = 0, len(source) * len(conditions)
    for batch in batches(source, executor.images_at_once):
        if len(batch):
            check_images(source.name, batch.images, graph)
            seen += input_range(graph, batch.images, calibrated)
            digest.update(np.ascontiguousarray(batch.images, np.float32).tobytes())
            labels.append(np.asarray(batch.labels, np.int64))
            logits = executor.start(batch.images)
        for index, faults in enumerate(conditions):
            name = "fault-free" if faults is None else f"fault list {index} of {len(conditions) - 1}"
            counted = Tally(unreadable=batch.unreadable)
            if len(batch) and batch.labels is not None:
                counted += accuracy(class_scores(graph, logits(faults)), batch.labels)
            tallies[index] += counted
            done += len(batch) + len(batch.unreadable)
            advance(done, total, name)
    if not tallies[0].images:
        raise HwflowError(f"{source.name}: {unreadable_text(tallies[0].unreadable, len(source))}")
    digest.update(np.concatenate(labels).tobytes())
    return tallies, seen, digest.hexdigest()


def _over_rounds(tallies: Sequence[Tally], top: Literal[1, 5] = 1) -> Accuracy:
    """Mean and deviation of the top-1 or top-5 accuracy of the rounds."""
    percents = [100 * (tally.top1 if top == 1 else tally.top5) for tally in tallies]
    return Accuracy.of(percents, tallies[0].images)


def draw_rounds(
    design: Design,
    ber: float,
    rounds: int,
    seed: int,
    faulty_biases: bool = False,
    layers: Sequence[str] | None = None,
) -> list[FaultList]:
    """Fault lists of ``rounds`` independent draws, of which the faults in ``layers`` stay.

    Round r does not depend on how many there are, and no fault on which layers were chosen.
    """
    prone = memories(design.graph, faulty_biases)
    flips = rounds * (ber * sum(memory.total_bits for memory in prone) * _FAULT_BYTES + _LIST_BYTES)
    check_memory(f"rounds={rounds}", int(flips))
    seeds = [round_seed(seed, r) for r in range(rounds)]
    return [restrict(sample_ber(prone, ber, each, design.graph.digest), layers) for each in seeds]


def open_faults(graph: Graph, faults: FaultList | str | Path) -> FaultList:
    """``faults`` itself, or the fault list in that file, before any long work.

    Raises:
        HwflowError: it cannot be read, or is for another design.
    """
    found = faults if isinstance(faults, FaultList) else FaultList.load(faults)
    check_faults(graph, found)
    return found


def stored_bits(graph: Graph, faulty_biases: bool = False, layers: Sequence[str] | None = None) -> int:
    """Bits in fault-prone memory, of all layers or of those that match the patterns."""
    prone = memories(graph, faulty_biases)
    return sum(memory.total_bits for memory in compress(prone, in_layers(prone, ["*"] if layers is None else layers)))


def check_options(
    ber: float | None, faults: object, layers: Sequence[str] | None, rounds: int | None, executor: str
) -> None:
    """Refuse options that exclude each other.

    Raises:
        HwflowError: they do.
    """
    kind = kind_of(executor)
    if ber is not None and faults is not None:
        raise HwflowError("give a bit error rate or a fault list, not both")
    if layers is not None and ber is None:
        raise HwflowError("layers are chosen for faults that are drawn: give a bit error rate")
    if rounds is not None and rounds < 1:
        raise HwflowError(f"rounds={rounds} must be at least 1")
    if not kind.faults and (ber is not None or faults is not None):
        raise HwflowError("the Keras network stores no weight codes to flip; use --executor reference, csim or rtl")


def check_used(
    ber: float | None,
    rounds: int | None,
    faulty_biases: bool,
    executor: str,
    project: str | Path | None,
    threads: int | None,
) -> None:
    """Refuse options that would have no effect.

    Raises:
        HwflowError: there is one.
    """
    if ber is None and (rounds is not None or faulty_biases):
        given = "rounds are" if rounds is not None else "faulty biases are"
        raise HwflowError(f"{given} for faults that are drawn: give a bit error rate")
    if project is not None and kind_of(executor).part is None:
        raise HwflowError(f"{project}: a project is for the executors csim and rtl; the {executor} executor needs none")
    if threads is not None and executor != "reference":
        raise HwflowError(f"threads={threads}: is for the reference executor only")
    if threads is not None and not 1 <= threads <= MAX_THREADS:
        raise HwflowError(f"threads={threads} must be 1 to {MAX_THREADS}")


def _save(lists: Sequence[FaultList], folder: Path) -> None:
    """Write fault lists as ``round-0.json``, ``round-1.json``, ... into a new folder."""
    with new_folder(folder, FAULT_LISTS) as work:
        for index, fault_list in enumerate(lists):
            fault_list.save(work / f"round-{index}.json")
