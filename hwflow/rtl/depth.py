"""Depths of the FIFOs before an Add or a Concatenate with which no design can deadlock, from the graph alone.

The cycle model makes them less deep (:mod:`hwflow.rtl.sizing`), where it can be compiled.

A fork hands both branches the same pixels, at most one pixel apart. To put out its pixel k, an Add (or a
Concatenate, for which all of this is the same) needs pixel k of each branch, and a branch needs a certain
number of the fork's pixels for that: a convolution with a 3x3 window needs more than a row. Meanwhile the
other branch, which may need fewer, has emitted more pixels than the Add could take; its FIFO must hold
them. With room for all of them the other branch never refuses a pixel that this branch still needs.
"""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
import numpy.typing as npt

from hwflow.graph import (
    AveragePool2D,
    Concatenate,
    Conv2D,
    Crop2D,
    Dense,
    DepthwiseConv2D,
    Flatten,
    GlobalAveragePool2D,
    Graph,
    MaxPool2D,
    Merge,
    Node,
    Permute,
    Reshape,
    UpSample2D,
    Window,
    ZeroPad2D,
)
from hwflow.graph.moves import move

Counts = npt.NDArray[np.int64]

SLACK_PIXELS = 2
"""One pixel by which the fork lets one branch be ahead, and one on its way through a register."""


OVERLAP = 2
"""Once the backlog avoids a deadlock; twice lets the next image follow while this one's last pixels wait."""


class FifoDepths:
    """FIFO depths, in pixels, of every Add and Concatenate of a graph."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def of(self, merge: Merge | Concatenate) -> tuple[int, int]:
        """Depths of the FIFOs before the first and the second input of ``merge``, in pixels."""
        return self._depths[merge.name]

    @cached_property
    def _depths(self) -> dict[str, tuple[int, int]]:
        # One fork after the other: the needs of all forks together would take gigabytes in a DenseNet.
        merges = [node for node in self.graph if isinstance(node, Merge | Concatenate)]
        depths = {merge.name: (SLACK_PIXELS, SLACK_PIXELS) for merge in merges}
        for fork, readers in self.graph.consumers.items():
            if len(readers) < 2:
                continue
            needs = self.needs(fork)
            for merge in merges:
                first, second = merge.inputs
                if first not in needs or second not in needs:
                    continue
                a, b = needs[first], needs[second]
                deepest = depths[merge.name]
                depths[merge.name] = (
                    max(deepest[0], OVERLAP * backlog(a, b) + SLACK_PIXELS),
                    max(deepest[1], OVERLAP * backlog(b, a) + SLACK_PIXELS),
                )
        return depths

    def needs(self, fork: str) -> dict[str, Counts]:
        """For every tensor below ``fork`` and each of its pixels: how many pixels of ``fork`` it needs."""
        needs: dict[str, Counts] = {}
        for node in self.graph:
            if node.name == fork:
                needs[fork] = np.arange(1, _pixels(node) + 1)
                continue
            above = [needs[name] for name in node.inputs if name in needs]
            if above:
                # A merge below the fork may have an input that does not depend on it; that one never waits.
                needs[node.name] = np.maximum.reduce([self._node_needs(node, counts) for counts in above])
        return needs

    def _node_needs(self, node: Node, source: Counts) -> Counts:
        """Needs of ``node``'s pixels from the needs of its input's pixels."""
        match node:
            case Conv2D() | DepthwiseConv2D() | MaxPool2D() | AveragePool2D():
                shape = self.graph.inputs_of(node)[0].shape
                last = last_pixel(node.window, shape[0], shape[1])
                return np.asarray(np.maximum.accumulate(source[last]))
            case GlobalAveragePool2D() | Dense():
                return source[-1:]
            case ZeroPad2D() | Crop2D() | UpSample2D():
                # The place of every pixel's source, row-major; one without waits for those before it, at least for one.
                height, width, _ = self.graph.inputs_of(node)[0].shape
                places = move(node, np.arange(1, height * width + 1).reshape(1, height, width, 1))
                return source[np.maximum.accumulate(np.maximum(places.reshape(-1), 1)) - 1]
            case Permute():
                return np.full(_pixels(node), source[-1])
            case Flatten() | Reshape():
                ends = np.arange(1, _pixels(node) + 1) * node.shape[-1]
                return source[-(-ends // self.graph.inputs_of(node)[0].shape[-1]) - 1]
        return source


def backlog(branch: Counts, other: Counts) -> int:
    """The most pixels that ``branch`` has ready while the merge still waits for ``other``.

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
