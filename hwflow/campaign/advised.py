"""What an advice says: ways to store the weights, what they lose on images, and how to harden with them."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hwflow.campaign.statistics import student
from hwflow.show import Shown

FEWEST = 3
"""Rounds that an interval needs: of two, one in twenty lies outside of 9 times their distance, which says nothing."""


@dataclass(frozen=True)
class Candidate:
    """A way to store the weights.

    Attributes:
        protection: storage code, or storage codes by layer, as ``--protect`` takes it.
        granularity: one scale a layer or a channel.
        error: what rounding and faults add to the logits, relative to their variance; summed over layers.
        bits: stored bits a weight, with what rows leave empty.
        luts: of a decoder for one weight a cycle, of codes by layer on average over the multipliers of a design whose
            layers are all busy all the time; None if the code was not synthesised.
        latency: cycles of the decoder, of codes by layer of the slowest.
        kept: fraction of the weights, the most critical ones, that a side memory holds, which faults do not reach; its
            bits are in ``bits``, its logic is not in ``luts``, and ``error`` is that without it.
    """

    protection: str
    granularity: str
    error: float
    bits: float
    luts: float | None
    latency: int | None
    kept: float = 0.0

    def affordable(self, most: float | None) -> bool:
        """Whether its decoder takes at most so many LUTs."""
        return most is None or (self.luts is not None and self.luts <= most)

    @property
    def label(self) -> str:
        """What to call it in tables and figures."""
        name = self.protection if "=" not in self.protection or self.luts is None else f"by layer, {self.luts:.0f} LUTs"
        return name + self.kept_text

    @property
    def kept_text(self) -> str:
        """What is kept, after the name of the code; nothing if nothing is."""
        return f", {100 * self.kept:g} % kept" if self.kept else ""

    @property
    def options(self) -> str:
        """What ``hwflow harden`` takes for it."""
        protect = shlex.join(["--protect", self.protection])
        return protect + (" --granularity channel" if self.granularity == "channel" else "")


@dataclass(frozen=True)
class Tried:
    """A candidate on the images.

    Attributes:
        candidate: the way to store the weights.
        clean: points that it loses without faults.
        loss: points that it loses under faults, on average over the rounds.
        low, high: 95 % interval of the loss over the rounds, see :func:`interval`; the images are always the same.
            None of fewer than ``FEWEST`` rounds.
    """

    candidate: Candidate
    clean: float
    loss: float
    low: float | None
    high: float | None

    def within(self, loss: float) -> bool:
        """Whether it surely loses so many points at most: at the upper end of its interval."""
        return self.high is not None and self.high <= loss


@dataclass(frozen=True, repr=False)
class Advice(Shown):
    """Result of :func:`advise`.

    Attributes:
        model: what was asked about.
        ber: bit error rate.
        accepted: points that may be lost.
        accuracy: of the float network on the images, percent.
        images, rounds: of every trial.
        ranked: all candidates, the least error first.
        tried: those that were tried, the least loss first.
        front: those of them that no other one beats in loss, bits and LUTs at once.
        cheapest: the fewest bits, then LUTs, of those that lose no more than ``accepted`` at the upper end of their
            interval; None if there is none.
        best: the least loss.
        hardening: words after ``hwflow harden`` that all candidates share: network, images and types.
        data: images that the kept weights are chosen by.
    """

    model: str
    ber: float
    accepted: float
    accuracy: float
    images: int
    rounds: int
    ranked: tuple[Candidate, ...]
    tried: tuple[Tried, ...]
    front: tuple[Tried, ...]
    cheapest: Tried | None
    best: Tried
    hardening: tuple[str, ...] = ()
    data: str = ""

    def command(self, chosen: Tried) -> str:
        """What to type to harden the network so, into the folder ``hardened``; with kept weights into ``protected``."""
        harden = f"{shlex.join(['hwflow', 'harden', *self.hardening, '-o', 'hardened'])} {chosen.candidate.options}"
        if not chosen.candidate.kept:
            return harden
        words = ["--data", self.data, "--protect-top", f"{chosen.candidate.kept:g}", "-o", "protected"]
        return f"{harden} && {shlex.join(['hwflow', 'sensitivity', 'hardened', *words])}"

    def facts(self) -> dict[str, object]:
        """What was asked, and the answer."""
        return {
            "model": self.model,
            "ber": self.ber,
            "accuracy": f"{self.accuracy:.2f} %",
            "cheapest": None if self.cheapest is None else self.cheapest.candidate.protection,
            "best": f"{self.best.candidate.protection} (loses {self.best.loss:.2f} points)",
            "images": self.images,
            "rounds": self.rounds,
        }

    def rows(self) -> list[dict[str, Any]]:
        """A row for every candidate, the least error first; its trial, if it was tried."""
        found = {each.candidate: each for each in self.tried}
        kept = [each.candidate for each in self.tried if each.candidate.kept]
        of_trial = ("clean", "loss", "low", "high")
        return [
            {**asdict(each), **{name: getattr(found.get(each), name, None) for name in of_trial}}
            for each in (*self.ranked, *kept)
        ]

    def to_json(self) -> dict[str, Any]:
        """The advice as JSON data."""
        chosen = {"cheapest": self.cheapest, "best": self.best}
        commands = {name: None if each is None else self.command(each) for name, each in chosen.items()}
        return {**asdict(self), "commands": commands}


def interval(accuracies: Sequence[float], in_float: float, images: int) -> tuple[float, float] | None:
    """Student's 95 % interval of the points lost on average, cut where no loss can be.

    Rounds that are alike do not make it a point: an accuracy is a count of images, and their spread is taken to be at
    least what rounding to whole images makes of any, a step's over the root of 12.

    Args:
        accuracies: of the rounds, percent.
        in_float: of the float network on the same images, percent.
        images: how many.

    Returns:
        Its ends; None of fewer than ``FEWEST`` rounds.
    """
    count = len(accuracies)
    if count < FEWEST:
        return None
    spread = max(float(np.std(accuracies, ddof=1)), 100 / images / math.sqrt(12))
    half, lost = student(count) * spread / math.sqrt(count), in_float - float(np.mean(accuracies))
    return max(lost - half, in_float - 100), min(lost + half, in_float)
