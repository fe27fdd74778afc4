"""How far a hardened network is from the Keras model that it was made from, in exact integers, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hwflow.files.rows import Rows
from hwflow.fixed import FixedType
from hwflow.frontends.keras_check import KerasBatch, counterparts, keras_batches
from hwflow.frontends.keras_network import KerasCalls
from hwflow.graph import FloatArray, Graph, IntArray, Lookup, Node, ReLU
from hwflow.graph.decision import class_scores
from hwflow.reference.integer import IntegerExecutor

WORTH_SAYING = 0.05
"""A layer that adds less than this relative error is not warned of."""
OFTEN = 1e-3
"""Share of saturated values that is worth a warning."""


@dataclass(frozen=True)
class LayerAgreement:
    """A layer of the hardened network against Keras'.

    Attributes:
        name: the layer.
        error: root mean square of the differences over that of Keras' values.
        saturated: share of its values that its type cannot hold.
    """

    name: str
    error: float
    saturated: float


@dataclass(frozen=True)
class Agreement:
    """The hardened network against the Keras model, on images.

    Attributes:
        images: how many.
        largest_error: largest difference of an output from Keras'.
        mean_error: mean magnitude of the differences of the outputs.
        output_range: largest minus smallest output of the Keras model.
        same_class: share of images with the largest output in the same place, percent; of one output the share
            on the same side of its threshold.
        unscaled_error: largest difference of a layer before hardening, in parts of its range.
        layers: in order.
        warning: the layer that loses most and what helps, if it loses much.
    """

    images: int
    largest_error: float
    mean_error: float
    output_range: float
    same_class: float
    unscaled_error: float
    layers: tuple[LayerAgreement, ...] = field(default_factory=tuple)
    warning: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The comparison as JSON data."""
        return asdict(self)


class Remedies(NamedTuple):
    """What to try, in words: where values saturate, and where weights are too coarse."""

    saturation: str
    coarseness: str


def measure(graph: Graph, network: KerasCalls, images: Rows, unscaled_error: float, remedies: Remedies) -> Agreement:
    """Compare a hardened graph with the Keras model; saturation and rounding are reported, not refused.

    Args:
        graph: typed.
        network: the calls of the model.
        images: ``(n, *input shape)``.
        unscaled_error: what :func:`check` returned.
        remedies: what a warning proposes.
    """
    # What a ReLU reads is on the ReLU's grid, and what the ReLU cuts off does not count; a table is alike.
    pairs = {
        name: key
        for name, key in counterparts(graph, network).items()
        if not isinstance(graph.sole_consumer(graph[name]), ReLU | Lookup)
    }
    executor = IntegerExecutor(graph)
    tally = _Tally(graph, pairs)
    for keras in keras_batches(graph, network, images, pairs.values()):
        executor.run(executor.encode(keras.images), observe=partial(_compare, tally, keras, network.output))
    return tally.result(unscaled_error, remedies)


def _compare(tally: _Tally, keras: KerasBatch, output: str, node: Node, codes: IntArray) -> None:
    """Take a node's codes of a batch and what Keras computes there."""
    key = tally.pairs.get(node.name)
    if key is not None:
        tally.add(node, codes, keras.take(key))
    if node is tally.graph.output:
        tally.add_output(codes, keras.take(output))


class _Tally:
    """Sums over batches."""

    def __init__(self, graph: Graph, pairs: Mapping[str, str]) -> None:
        self.graph, self.pairs = graph, pairs
        self.squares = {name: [0.0, 0.0] for name in pairs}
        self.saturated = {name: [0, 0] for name in pairs}
        self.images = self.same = 0
        self.largest = self.total = 0.0
        self.outputs = 0
        self.low, self.high = np.inf, -np.inf

    def add(self, node: Node, codes: IntArray, theirs: FloatArray) -> None:
        ours = node.resolved.decode(codes) / np.asarray(node.scale)
        theirs = theirs.reshape(ours.shape)
        self.squares[node.name][0] += float(np.square(ours - theirs).sum())
        self.squares[node.name][1] += float(np.square(theirs).sum())
        self.saturated[node.name][0] += _outside(node, theirs)
        self.saturated[node.name][1] += theirs.size

    def add_output(self, codes: IntArray, theirs: FloatArray) -> None:
        node = self.graph.output
        ours: FloatArray = node.resolved.decode(codes) / np.asarray(node.scale)
        theirs = theirs.reshape(ours.shape)
        difference = np.abs(ours - theirs)
        self.images += len(ours)
        self.same += int(np.count_nonzero(self._classes(ours) == self._classes(theirs)))
        self.largest = max(self.largest, float(difference.max(initial=0.0)))
        self.total += float(difference.sum())
        self.outputs += difference.size
        self.low, self.high = min(self.low, float(theirs.min())), max(self.high, float(theirs.max()))

    def _classes(self, outputs: FloatArray) -> npt.NDArray[np.int64]:
        """The place of the largest output of each image; of a single output whether it is above the threshold."""
        if self.graph.output.shape == (1,):
            outputs = class_scores(self.graph, outputs)
        return outputs.reshape(len(outputs), -1).argmax(axis=1)

    def result(self, unscaled_error: float, remedies: Remedies) -> Agreement:
        layers = tuple(
            LayerAgreement(
                name,
                float(np.sqrt(self.squares[name][0] / self.squares[name][1])) if self.squares[name][1] else 0.0,
                self.saturated[name][0] / max(1, self.saturated[name][1]),
            )
            for name in self.pairs
        )
        return Agreement(
            images=self.images,
            largest_error=self.largest,
            mean_error=self.total / max(1, self.outputs),
            output_range=self.high - self.low,
            same_class=100 * self.same / max(1, self.images),
            unscaled_error=unscaled_error,
            layers=layers,
            warning=_warning(self.graph, layers, remedies),
        )


def _warning(graph: Graph, layers: tuple[LayerAgreement, ...], remedies: Remedies) -> str | None:
    """One line on the layer that adds the largest error to that of its inputs."""
    errors = {layer.name: layer.error for layer in layers}
    loss: dict[str, float] = {}
    reached: dict[str, float] = {}
    for node in graph:
        before = max((reached[name] for name in node.inputs), default=0.0)
        # A node without a counterpart hands on the error of its inputs.
        reached[node.name] = errors.get(node.name, before)
        if node.name in errors:
            loss[node.name] = errors[node.name] - before
    if not loss:
        return None
    worst = max(layers, key=lambda layer: loss[layer.name])
    if loss[worst.name] < WORTH_SAYING:
        return None
    helps = remedies.saturation if worst.saturated > OFTEN else remedies.coarseness
    return (
        f"{worst.name} loses most: its error grows by {100 * loss[worst.name]:.1f} % of its values, "
        f"{100 * worst.saturated:.2g} % of them saturate; {helps}"
    )


def _outside(node: Node, values: FloatArray) -> int:
    """How many true values the type of a node cannot hold; what a ReLU cuts off does not count."""
    type_: FixedType = node.resolved
    stored = values * np.asarray(node.scale)
    above = stored > type_.max + type_.lsb / 2
    if isinstance(node, ReLU):
        limit = None if node.limit is None else float(node.limit.values[0])
        return 0 if limit is not None and limit <= type_.max else int(np.count_nonzero(above))
    return int(np.count_nonzero(above | (stored < type_.min - type_.lsb / 2)))
