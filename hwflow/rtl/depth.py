"""How deep the FIFOs before an Add must be, so that a design with residual paths cannot deadlock.

A fork hands both branches the same pixels, at most one pixel apart. To put out its pixel k, an Add
needs pixel k of each branch, and a branch needs a certain number of the fork's pixels for that: a
convolution with a 3x3 window needs more than a row. Meanwhile the other branch, which may need fewer,
has emitted more pixels than the Add could take; its FIFO must hold them. With room for all of them
the other branch never refuses a pixel that this branch still needs.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from hwflow.graph import (
    Add,
    AveragePool2D,
    Conv2D,
    Dense,
    Flatten,
    GlobalAveragePool2D,
    Graph,
    MaxPool2D,
    Node,
    Window,
)

Counts = npt.NDArray[np.int64]

SLACK_PIXELS = 2
"""One pixel by which the fork lets one branch be ahead, and one on its way through a register."""


class FifoDepths:
    """FIFO depths, in pixels, of every Add of a graph."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._ancestors: dict[str, frozenset[str]] = {}
        for node in graph:
            above = [self._ancestors[name] | {name} for name in node.inputs]
            self._ancestors[node.name] = frozenset().union(*above)

    def of(self, add: Add) -> tuple[int, int]:
        """Depths of the FIFOs before the first and the second input of ``add``, in pixels."""
        first, second = self.graph.inputs_of(add)
        depths = [SLACK_PIXELS, SLACK_PIXELS]
        shared = (self._ancestors[first.name] | {first.name}) & (self._ancestors[second.name] | {second.name})
        for fork in shared:
            if len(self.graph.consumers[fork]) < 2:
                continue
            needs = self.needs(fork)
            a, b = needs[first.name], needs[second.name]
            depths[0] = max(depths[0], backlog(a, b) + SLACK_PIXELS)
            depths[1] = max(depths[1], backlog(b, a) + SLACK_PIXELS)
        return depths[0], depths[1]

    def needs(self, fork: str) -> dict[str, Counts]:
        """For every tensor below ``fork`` and each of its pixels: how many pixels of ``fork`` it needs."""
        needs: dict[str, Counts] = {}
        for node in self.graph:
            if node.name == fork:
                needs[fork] = np.arange(1, _pixels(node) + 1)
                continue
            above = [needs[name] for name in node.inputs if name in needs]
            if above:
                # An Add below the fork may have an input that does not depend on it; that one never waits.
                needs[node.name] = np.maximum.reduce([self._node_needs(node, counts) for counts in above])
        return needs

    def _node_needs(self, node: Node, source: Counts) -> Counts:
        """Needs of ``node``'s pixels from the needs of its input's pixels."""
        match node:
            case Conv2D() | MaxPool2D() | AveragePool2D():
                shape = self.graph.inputs_of(node)[0].shape
                last = last_pixel(node.window, shape[0], shape[1])
                return np.asarray(np.maximum.accumulate(source[last]))
            case GlobalAveragePool2D() | Dense() | Flatten():
                return source[-1:]
        return source


def backlog(branch: Counts, other: Counts) -> int:
    """The most pixels that ``branch`` has ready while the Add still waits for ``other``.

    Args:
        branch, other: pixels of the fork that each pixel of the two inputs needs, ascending.
    """
    ready = np.searchsorted(branch, other, side="right")
    return int(np.max(ready - np.arange(len(other))))


def last_pixel(window: Window, height: int, width: int) -> Counts:
    """Index of the last input pixel that each output pixel of a window reads, row-major."""
    rows, columns = window.output_size(height, width)
    top, _, left, _ = window.padding
    bottom = np.arange(rows) * window.strides[0] - top + window.kernel[0] - 1
    right = np.arange(columns) * window.strides[1] - left + window.kernel[1] - 1
    row, column = np.clip(bottom, 0, height - 1), np.clip(right, 0, width - 1)
    return np.asarray(row[:, None] * width + column[None, :]).reshape(-1)


def _pixels(node: Node) -> int:
    return math.prod(node.shape[:-1])
