"""A scaled graph in floating-point hardware: every tensor in one format, sums in FP32, weights in faulty memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from hwflow.codes.layout import ordered, unordered
from hwflow.codes.words import to_uint64
from hwflow.faults import FaultList, Memory
from hwflow.float_study import Outcome
from hwflow.float_study.words import FloatFormat
from hwflow.graph import Constant, Graph, Node, WeightLayer
from hwflow.graph.decision import scaled_threshold
from hwflow.reference.real import evaluate

BATCH = 32

Float32 = npt.NDArray[np.float32]


class FloatNetwork:
    """A scaled graph whose tensors are rounded to a format, with the interface of `FaultyNetwork`.

    Args:
        graph: scaled, without types.
        format_: of weights and of every tensor.
        msb_flips: whether faults reach the most significant exponent bit; else they leave it alone.
    """

    def __init__(self, graph: Graph, format_: FloatFormat, msb_flips: bool = False) -> None:
        self.graph, self.format = graph, format_
        # Only float32 and float16 have a format's bits.
        self._dtype = np.float16 if format_.bits == 16 else np.float32
        self._reachable = np.uint64(2**format_.bits - 1 if msb_flips else 2**format_.bits - 1 - 2**format_.exponent_msb)
        self._clean = {node.name: self._stored(node) for node in graph}

    @property
    def memories(self) -> tuple[Memory, ...]:
        """The memories that faults can hit, ``<layer>.weight``, one word a weight in the order of `hwflow.memory`."""
        return tuple(
            Memory(f"{layer.name}.weight", layer.weight.values.size, self.format.bits)
            for layer in self.graph.weight_layers
        )

    @property
    def digest(self) -> str:
        """The model hash that fault lists of this network carry: that of the scaled graph."""
        return self.graph.digest

    def logits(self, images: npt.NDArray[Any], faults: FaultList | None = None) -> tuple[Float32, int]:
        """Outputs ``(n, classes)`` under `faults`, and how many weights were read as NaN or infinity.

        Raises:
            HwflowError: the faults are another network's, by their memories or their model hash.
        """
        nodes, bad = self._upset(faults)
        batches = [self._run(nodes, images[start : start + BATCH]) for start in range(0, len(images), BATCH)]
        return np.concatenate(batches), bad

    def evaluate(
        self, images: npt.NDArray[Any], labels: npt.NDArray[np.int64], faults: FaultList | None = None
    ) -> Outcome:
        """Top-1 hits under `faults`."""
        logits, bad = self.logits(images, faults)
        return Outcome.of(logits, labels, faults, bad, scaled_threshold(self.graph))

    def _stored(self, node: Node) -> Node:
        """A layer with its weights in the format; biases are FP32, multipliers stay."""
        if not isinstance(node, WeightLayer):
            return node
        weight = self.format.decode(self.format.encode(node.weight.values)).astype(np.float32)
        with np.errstate(over="ignore"):
            bias = node.bias.values.astype(np.float32)
        return replace(node, weight=_constant(weight), bias=_constant(bias))

    def _upset(self, faults: FaultList | None) -> tuple[dict[str, Node], int]:
        nodes, bad = dict(self._clean), 0
        if faults is None:
            return nodes, bad
        faults.check(self.memories, self.digest)
        for layer in self.graph.weight_layers:
            words, masks = faults.masks(f"{layer.name}.weight")
            if not len(words):
                continue
            clean = cast(WeightLayer, nodes[layer.name])
            stored = ordered(clean.weight.values, clean.channelwise).copy()
            flipped = self.format.encode(stored[words]) ^ (to_uint64(masks) & self._reachable)
            stored[words] = self.format.decode(flipped).astype(np.float32)
            bad += int(np.count_nonzero(~np.isfinite(stored[words])))
            weight = unordered(stored, clean.weight.shape, clean.channelwise)
            nodes[layer.name] = replace(clean, weight=_constant(weight))
        return nodes, bad

    def _run(self, nodes: dict[str, Node], images: npt.NDArray[Any]) -> Float32:
        values: dict[str, Float32] = {}
        for node in self.graph:
            sources: list[Any] = [values[name] for name in node.inputs]
            with np.errstate(over="ignore", invalid="ignore"):  # as hardware: infinity and NaN
                result = evaluate(nodes[node.name], sources) if sources else images
                values[node.name] = result.astype(self._dtype).astype(np.float32)
        return values[self.graph.output.name]


def _constant(values: Float32) -> Constant:
    # float32 on purpose: evaluate computes in the precision that it is given
    return Constant(cast(Any, values))
