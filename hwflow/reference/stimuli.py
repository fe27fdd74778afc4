"""Images that a generated project is tested with, where no simulation of hwflow's own drives it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hwflow.graph import Graph, IntArray

MOST_IMAGES = 4
_MOST_ELEMENTS = 1 << 19  # input elements of all images: they are text in the project


@dataclass(frozen=True, eq=False)
class Stimuli:
    """Input codes and where they come from.

    Attributes:
        source: for users, one line.
        codes: ``(n, *input shape)``, codes of the input type.
    """

    source: str
    codes: IntArray


def stimuli_count(graph: Graph) -> int:
    """How many images a project gets: 4, or fewer large ones."""
    return max(1, min(MOST_IMAGES, _MOST_ELEMENTS // math.prod(graph.input.shape)))


def stimuli_of(graph: Graph, source: str, images: npt.NDArray[np.floating]) -> Stimuli:
    """The first of the real images ``(n, *input shape)``, as codes of a typed graph's input."""
    images = images[: stimuli_count(graph)]
    count = "1 image" if len(images) == 1 else f"{len(images)} images"
    return Stimuli(f"{source}, {count}", graph.input.resolved.encode(images))


def random_stimuli(graph: Graph, span: tuple[float, float] | None = None) -> Stimuli:
    """Evenly distributed values, always the same; over ``span``, or over all that the input type holds."""
    type_ = graph.input.resolved
    low, high = span or (type_.min, type_.max)
    rng = np.random.default_rng(0)
    images = rng.uniform(low, high, (stimuli_count(graph), *graph.input.shape))
    return stimuli_of(graph, f"random values from {low:g} to {high:g}", images)
