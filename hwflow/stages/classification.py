"""How executors classify: top-1, agreement with the float network, and limits on what may be lost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from hwflow.data.labels import Int64
from hwflow.errors import HwflowError
from hwflow.stages.evaluate import Accuracy

KERAS = "keras"
ROUNDING = 1e-9
"""Percentages of fewer than a million images differ by more than the rounding of their quotients."""


@dataclass(frozen=True)
class Score:
    """How one executor classifies the images under one fault list.

    Attributes:
        faults: name of the fault list, or ``none``.
        seed: what it was drawn with, if it was drawn.
        flips: bits flipped.
        images: images that count.
        top1: top-1 accuracy, percent; ``None`` without labels.
        agreement: percent of the images whose largest class is that of the Keras model in float.
        loss: percentage points of top-1 below the Keras model's on the same images, negative if above; ``None``
            without labels.
        differing_codes: output codes that differ from the reference; ``None`` for the reference and Keras.
    """

    faults: str
    seed: int | None
    flips: int
    images: int
    top1: float | None
    agreement: float
    loss: float | None
    differing_codes: int | None = None

    @property
    def lost(self) -> float:
        """What a limit on the loss is for: ``loss``, or without labels its upper bound.

        Top-1 falls by no more than the share of the images whose largest class is another.
        """
        return 100 - self.agreement if self.loss is None else self.loss


@dataclass(frozen=True)
class ExecutorAccuracy:
    """How one executor classifies, fault-free and under every fault list.

    Attributes:
        clean: top-1 accuracy without faults; ``None`` without labels.
        faulted: top-1 accuracy over the fault lists; ``None`` without labels or faults.
        conditions: a score for each.
    """

    clean: Accuracy | None
    faulted: Accuracy | None
    conditions: tuple[Score, ...]

    @classmethod
    def of(cls, scores: Sequence[Score]) -> ExecutorAccuracy:
        """The accuracy over scores, of which the first is without faults."""
        clean, *faulted = (None if each.top1 is None else Accuracy.of([each.top1], each.images) for each in scores)
        percents = [each.mean for each in faulted if each is not None]
        return cls(clean, Accuracy.of(percents, scores[-1].images) if percents else None, tuple(scores))


@dataclass(frozen=True, eq=False)
class Truth:
    """What the classes of an executor are held against, image by image.

    Attributes:
        keras: ``(n,)``, the largest class of the Keras model in float.
        labels: ``(n,)``, or ``None`` if they are not known.
    """

    keras: Int64
    labels: Int64 | None

    def score(
        self,
        classes: Int64,
        counted: npt.NDArray[np.bool_],
        faults: str = "none",
        seed: int | None = None,
        flips: int = 0,
        differing_codes: int | None = None,
    ) -> Score:
        """The score of an executor whose largest classes are ``(n,)``, over the images that count, a mask ``(n,)``."""
        classes, keras = classes[counted], self.keras[counted]
        top1 = loss = None
        if self.labels is not None:
            labels = self.labels[counted]
            hits, of_keras = (int((of == labels).sum()) for of in (classes, keras))
            top1, loss = 100 * hits / len(labels), 100 * (of_keras - hits) / len(labels)
        agreement = 100 * float(np.mean(classes == keras))
        return Score(faults, seed, flips, len(classes), top1, agreement, loss, differing_codes)


@dataclass(frozen=True)
class Limits:
    """What accuracy must be kept, by every executor but Keras itself, fault-free and under every fault list.

    Attributes:
        max_loss: percentage points of top-1 that may be lost against the Keras model in float on the same images;
            without labels, the percentage of the images whose largest class may be another, which is never less.
        min_accuracy: top-1 in percent that there must be.

    Raises:
        HwflowError: a limit outside 0 to 100.
    """

    max_loss: float | None = None
    min_accuracy: float | None = None

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value is not None and not (math.isfinite(value) and 0 <= value <= 100):
                raise HwflowError(f"--{name.replace('_', '-')} {value:g}: must be from 0 to 100")

    def missed(self, accuracy: Mapping[str, ExecutorAccuracy]) -> list[str]:
        """One line for every figure outside a limit, the worst of each limit first."""
        figures = [(name, score) for name, each in accuracy.items() if name != KERAS for score in each.conditions]
        lines = []
        if self.max_loss is not None:
            for name, score in sorted(figures, key=lambda figure: -figure[1].lost):
                if score.lost > self.max_loss + ROUNDING:
                    lines.append(f"--max-loss {self.max_loss:g}: {_loss_text(name, score)}")
        if self.min_accuracy is not None:
            for name, score in sorted(figures, key=lambda figure: figure[1].top1 or 0):
                if score.top1 is not None and score.top1 < self.min_accuracy - ROUNDING:
                    where = f"{name} under faults {score.faults!r}"
                    lines.append(
                        f"--min-accuracy {self.min_accuracy:g}: {where} has top-1 {score.top1:.2f} % "
                        f"({score.images} images)"
                    )
        return lines


def _loss_text(name: str, score: Score) -> str:
    where = f"{name} under faults {score.faults!r}"
    if score.loss is None or score.top1 is None:
        return f"{where} has another largest class than Keras for {score.lost:.2f} % of {score.images} images"
    return (
        f"{where} has top-1 {score.top1:.2f} %, {score.loss:.2f} points below Keras' {score.top1 + score.loss:.2f} % "
        f"({score.images} images)"
    )
