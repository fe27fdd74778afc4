"""Top-1 and top-5 accuracy."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hwflow.data.folders import Unreadable
from hwflow.data.labels import Int64
from hwflow.errors import HwflowError

FEWEST = 50
"""Images, of which an accuracy tells from guessing."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How often a network was right.

    Attributes:
        images: that were classified.
        hits1: of them, those whose label has the largest logit.
        hits5: of them, those whose label is among the five largest.
        unreadable: images that could not be decoded and so do not count.
    """

    images: int = 0
    hits1: int = 0
    hits5: int = 0
    unreadable: tuple[Unreadable, ...] = ()

    @property
    def top1(self) -> float:
        """The fraction of `hits1`, NaN of no images."""
        return self.hits1 / self.images if self.images else float("nan")

    @property
    def top5(self) -> float:
        """The fraction of `hits5`, NaN of no images."""
        return self.hits5 / self.images if self.images else float("nan")

    def __add__(self, other: "Tally") -> "Tally":
        """Return the accuracy over both sets of images."""
        return Tally(
            self.images + other.images,
            self.hits1 + other.hits1,
            self.hits5 + other.hits5,
            self.unreadable + other.unreadable,
        )


def ranks(logits: npt.NDArray[Any], labels: Int64) -> Int64:
    """Return how many classes come before the label of each image, (N,): 0 is a hit.

    Of equal logits the first class wins, as in argmax. A label whose logit is NaN comes last.

    Args:
        logits: (N, classes), real numbers or fixed-point codes.
        labels: (N,).

    Raises:
        HwflowError: the shapes do not match, or a label is not one of the classes.
    """
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        raise HwflowError(f"logits {logits.shape} and labels {labels.shape} are not of the same images")
    classes = logits.shape[1]
    if len(labels) and not (labels.min() >= 0 and labels.max() < classes):
        raise HwflowError(f"labels from {labels.min()} to {labels.max()}, but the network has {classes} classes")
    own = logits[np.arange(len(labels)), labels][:, None]
    before = np.arange(classes) < labels[:, None]
    ahead = (logits > own) | ((logits == own) & before)
    return np.where(np.isnan(own[:, 0]), classes, ahead.sum(1)).astype(np.int64)


def accuracy(logits: npt.NDArray[Any], labels: Int64) -> Tally:
    """Return the accuracy of `logits` (N, classes) against `labels` (N,); errors as in `ranks`."""
    positions = ranks(logits, labels)
    return Tally(len(labels), int((positions < 1).sum()), int((positions < 5).sum()))


def guessing(percent: float, images: int, classes: int) -> str | None:
    """What may be wrong, if guessing reaches an accuracy: two standard deviations above 1 of ``classes``, or less.

    Args:
        percent: top-1 accuracy.
        images: that it was measured on; of fewer than ``FEWEST`` it says nothing.
        classes: 1 for a network with one output, which has two.
    """
    classes = max(2, classes)
    chance = 1 / classes
    if images < FEWEST or percent / 100 > chance + 2 * math.sqrt(chance * (1 - chance) / images):
        return None
    return (
        f"{percent:.2f} % is no better than guessing among {classes} classes: are images preprocessed as in training "
        "(--preprocessing, for calibration too), and classes in the model's order?"
    )
