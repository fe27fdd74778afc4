"""What each stored bit does: an estimate for all of them, exact runs of single flips for the worst and for a sample."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hwflow.data import DataLike, Preprocessing
from hwflow.errors import HwflowError
from hwflow.executors import encode
from hwflow.faults import FaultList
from hwflow.folders.design import Design, open_design
from hwflow.graph import FloatArray, Graph, IntArray
from hwflow.graph.decision import class_scores
from hwflow.memory import memories
from hwflow.progress import Advance, no_progress
from hwflow.reference import IntegerExecutor
from hwflow.show import Shown
from hwflow.stages.flip_estimates import KEPT_BYTES, bit_estimates, layer_powers, logit_variance, weight_estimates
from hwflow.stages.inputs import fitting, open_for

IMAGES, CONFIRMED, SAMPLED = 64, 1000, 1000


@dataclass(frozen=True)
class BitEffect:
    """A single flipped bit, run exactly.

    Attributes:
        memory, word, bit: where it is.
        estimate: of ``error``.
        error: mean square change of the logits, summed over them, relative to their variance.
        changed: images of which another class is told.
    """

    memory: str
    word: int
    bit: int
    estimate: float
    error: float
    changed: int


@dataclass(frozen=True, repr=False)
class Sensitivity(Shown):
    """Result of :func:`sensitivity`.

    Attributes:
        data: name of the data set.
        images: of every exact run.
        estimates: of every stored bit, ``(words, bits)`` by memory.
        top: the bits with the largest estimates, run exactly.
        sample: bits drawn at random, run exactly.
        correlation: Spearman's rank correlation of estimate and exact error over the sample; ``None`` if all are alike.
        weights: the same of every weight, ``(weights,)`` in storage order by layer, at a small bit error rate.
        seconds: of the estimate.
        faults_per_second: exact runs a second.
    """

    data: str
    images: int
    estimates: dict[str, FloatArray]
    top: tuple[BitEffect, ...]
    sample: tuple[BitEffect, ...]
    correlation: float | None
    weights: dict[str, FloatArray]
    seconds: float
    faults_per_second: float

    @property
    def bits(self) -> int:
        """Stored bits."""
        return sum(each.size for each in self.estimates.values())

    def facts(self) -> dict[str, object]:
        """How well the estimate ranks, and how fast it is."""
        correlation = None if self.correlation is None else round(self.correlation, 3)
        return {
            "data": self.data,
            "images": self.images,
            "bits": self.bits,
            "rank_correlation": correlation,
            "faults_per_second": round(self.faults_per_second),
        }

    def rows(self) -> list[dict[str, Any]]:
        """The bits that were run exactly, the largest estimates first."""
        return [vars(each) for each in self.top]

    def by_bit(self) -> list[dict[str, Any]]:
        """For every memory and bit position the mean estimate of its bits, and its share of the sum of all."""
        total = sum(float(each.sum()) for each in self.estimates.values()) or 1.0
        return [
            {"memory": name, "bit": bit, "mean": float(column.mean()), "share": float(column.sum()) / total}
            for name, found in self.estimates.items()
            for bit, column in enumerate(found.T)
        ]

    def critical(self, design: Design | str | Path, fraction: float) -> FaultList:
        """The bits with the largest estimates, as a fault list: places that ``evaluate(spared=...)`` keeps from faults.

        Args:
            design: the design that was measured.
            fraction: of all stored bits, above 0 and at most 1.

        Raises:
            HwflowError: another fraction.
        """
        if not 0 < fraction <= 1:
            raise HwflowError(f"fraction={fraction:g} must be above 0 and at most 1")
        graph = open_design(design).graph
        prone = memories(graph)
        number, word, bit = _largest([self.estimates[each.name] for each in prone], max(1, round(fraction * self.bits)))
        source = {"kind": "critical", "fraction": fraction}
        return FaultList(prone, number.astype(np.int32), word, bit.astype(np.int16), None, graph.digest, source)

    def to_json(self) -> dict[str, Any]:
        """As the command writes it."""
        return {
            "data": self.data,
            "images": self.images,
            "bits": self.bits,
            "rank_correlation": self.correlation,
            "estimate_seconds": self.seconds,
            "faults_per_second": self.faults_per_second,
            "by_bit": self.by_bit(),
            "top": [vars(each) for each in self.top],
            "sample": [vars(each) for each in self.sample],
        }


def sensitivity(
    design: Design | str | Path,
    data: DataLike,
    *,
    preprocessing: str | Preprocessing | None = None,
    images: int | None = None,
    confirmed: int | None = None,
    sampled: int | None = None,
    seed: int = 0,
    threads: int | None = None,
    advance: Advance = no_progress,
) -> Sensitivity:
    """Rank all stored bits by what their flip does to the logits, and run some of them exactly.

    Args:
        design: a design or its folder.
        data: images; labels are not looked at.
        preprocessing: of a folder's images.
        images: of every exact run: the first of an array, evenly spread over a folder; by default 64, or all of fewer.
        confirmed: bits with the largest estimates that are run; by default 1,000, or all of fewer.
        sampled: bits drawn at random that are run, by which the estimate is judged; by default likewise.
        seed: of that draw.
        threads: of the reference, by default all cores.
        advance: progress of the runs.

    Raises:
        HwflowError: images that do not fit, or numbers that are not positive or more than there are.
    """
    for name, value in (("images", images), ("confirmed", confirmed), ("sampled", sampled)):
        if value is not None and value < 1:
            raise HwflowError(f"{name}={value} must be at least 1")
    design = open_design(design)
    graph = design.graph.logits
    source = open_for(design, data, None, preprocessing, images or IMAGES)
    total = sum(memory.total_bits for memory in memories(graph))
    confirmed, sampled = _bits("confirmed", confirmed, CONFIRMED, total), _bits("sampled", sampled, SAMPLED, total)
    dataset = fitting(source, images or min(IMAGES, len(source)), design.graph)
    codes = encode(design.graph, dataset.images)
    runner = IntegerExecutor(graph, threads)
    start = time.perf_counter()
    powers = layer_powers(graph, runner, codes, advance)
    estimates = bit_estimates(graph, powers)
    seconds = time.perf_counter() - start
    prone, arrays = memories(graph), list(estimates.values())
    largest = _largest(arrays, confirmed)
    drawn = _places(arrays, np.sort(np.random.default_rng(seed).choice(total, sampled, replace=False)))
    start = time.perf_counter()
    exact = _Exact(graph, runner, codes)
    effects: list[list[BitEffect]] = []
    for places in (largest, drawn):
        found = []
        for number, word, bit in zip(*(column.tolist() for column in places), strict=True):
            place = np.array([number], np.int32), np.array([word]), np.array([bit], np.int16)
            faults = FaultList(prone, *place, None, graph.digest)
            error, changed = exact.effect(faults)
            found.append(BitEffect(prone[number].name, word, bit, float(arrays[number][word, bit]), error, changed))
            advance(len(found) + sum(map(len, effects)), len(largest[0]) + len(drawn[0]), "single flips")
        effects.append(found)
    runs = sum(map(len, effects))
    return Sensitivity(
        dataset.name,
        len(codes),
        estimates,
        tuple(effects[0]),
        tuple(effects[1]),
        rank_correlation([each.estimate for each in effects[1]], [each.error for each in effects[1]]),
        weight_estimates(graph, powers),
        seconds,
        runs / max(time.perf_counter() - start, 1e-9),
    )


def _bits(name: str, asked: int | None, usual: int, total: int) -> int:
    """How many stored bits to run."""
    if asked is not None and asked > total:
        raise HwflowError(f"{name}={asked}: the design stores {total} bits")
    return asked or min(usual, total)


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Spearman's; ``None`` where one of them is all the same."""
    from scipy.stats import spearmanr

    if len(set(first)) < 2 or len(set(second)) < 2:
        return None
    return float(spearmanr(first, second).statistic)


class _Exact:
    """Single flips on a batch, run exactly: what lies in front of the layer is kept."""

    def __init__(self, graph: Graph, runner: IntegerExecutor, codes: IntArray) -> None:
        self._graph, self._runner = graph, runner
        self._batch = runner.clean_prefix(codes, KEPT_BYTES)
        clean = self._batch.run()
        self._clean = runner.decode(clean)
        self._classes = class_scores(graph, clean).argmax(axis=1)
        self._variance = logit_variance(self._clean)

    def effect(self, faults: FaultList) -> tuple[float, int]:
        """The error of the logits, relative to their variance, and images of another class."""
        codes = self._batch.run(faults)
        error = np.square(self._runner.decode(codes) - self._clean).reshape(len(codes), -1).sum(axis=1).mean()
        changed = class_scores(self._graph, codes).argmax(axis=1) != self._classes
        return float(error) / self._variance, int(changed.sum())


def _largest(arrays: Sequence[FloatArray], count: int) -> tuple[IntArray, IntArray, IntArray]:
    """Memory, word and bit of the largest values, the largest first; of equal ones the first."""
    flat = np.concatenate([each.reshape(-1) for each in arrays])
    return _places(arrays, np.argsort(-flat, kind="stable")[:count])


def _places(arrays: Sequence[FloatArray], flat: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """Memory, word and bit of positions in all arrays one after the other."""
    ends = np.cumsum([each.size for each in arrays])
    number = np.searchsorted(ends, flat, side="right")
    within = flat - np.concatenate([[0], ends])[number]
    bits = np.array([each.shape[1] for each in arrays])[number]
    return number, within // bits, within % bits
