"""The graph against the Keras model that it was made from, layer by layer.

Before scaling the two have to agree. Every layer of the graph is given what Keras gives the same layer, so that
the first layer that differs is the one that is wrong, and rounding errors do not add up along the network.
After hardening the same comparison is a measurement: weights and activations then have few bits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from hwflow.calibration import check_calibration
from hwflow.errors import HwflowError
from hwflow.fixed import FixedType
from hwflow.frontends.keras_network import Call, KerasNetwork
from hwflow.graph import FloatArray, Graph, IntArray, Node, ReLU, Reshape, WeightLayer
from hwflow.reference.integer import IntegerExecutor
from hwflow.reference.real import evaluate

TOLERANCE = 1e-4
"""Largest difference, in parts of a layer's range; Keras computes in float32."""
FLOAT32 = 2.0**-20
"""What float32 leaves of cancelled sums, in parts of the largest sum of magnitudes."""
BATCH_ELEMENTS = 1 << 22
"""Elements of all activations of a batch: 32 MiB in float64."""
MAX_BATCH = 32


def check_images(count: int) -> int:
    """How many of ``count`` calibration images are compared: half of them, which costs less than to calibrate."""
    return -(-count // 2)


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
        same_class: share of images with the largest output in the same place, percent; of one output the share of
            the same sign.
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
        return asdict(self) | {"layers": [asdict(layer) for layer in self.layers]}


def counterparts(graph: Graph, network: KerasNetwork) -> dict[str, str]:
    """The call of the Keras model whose output each node of a graph equals, by node name.

    A layer that the graph lacks, because it was fused with the one before it or does nothing, leaves its output
    to the node that stands for it. Inner values of a layer, such as those before its activation, have none.
    """
    found: dict[str, str] = {}
    stands: dict[str, str] = {}
    for call in network.calls:
        node = graph.get(call.key)
        if node is None and len(call.inputs) == 1:
            node = graph.get(stands.get(call.inputs[0], ""))
            if node is None or math.prod(call.shape) != math.prod(node.shape):
                continue  # padding that the layers after it took in
        if node is not None:
            stands[call.key] = node.name
            found[node.name] = call.key
    if isinstance(graph.output, Reshape) and graph.output.inputs[0] in found:
        found[graph.output.name] = found[graph.output.inputs[0]]
    return found


def check(graph: Graph, network: KerasNetwork, images: npt.NDArray[Any], model: Any) -> float:
    """Compare an untyped graph in float64 with the Keras model, layer by layer.

    Args:
        graph: not scaled yet; a quantised ReLU rounds.
        network: the calls of the model.
        images: ``(n, *input shape)``.
        model: the Keras model.

    Returns:
        The largest difference found, in parts of the range of its layer.

    Raises:
        HwflowError: a layer differs by more than ``TOLERANCE``; its name and both figures are in the line.
    """
    check_calibration(graph, images)
    pairs = counterparts(graph, network)
    if pairs.get(graph.output.name) != network.output:
        raise HwflowError(f"{graph.output.name}: is the last layer of the graph, but not of the Keras model")
    worst = 0.0
    for batch, values in _keras_batches(graph, network, images):
        # Eagerly, as the single calls: another order of float32 operations may round a quantiser the other way.
        output = np.asarray(model(batch, training=False), dtype=np.float64)
        _compare(network.output, values[network.output], output, 0.0, "the whole Keras model")
        worst = max(worst, _check_batch(graph, pairs, values))
    return worst


def _check_batch(graph: Graph, pairs: Mapping[str, str], keras: Mapping[str, FloatArray]) -> float:
    worst = 0.0
    own: dict[str, FloatArray] = {}
    for node in graph:
        key = pairs.get(node.name)
        if not node.inputs:
            own[node.name] = keras[pairs[node.name]]
            continue
        sources = [own[name] for name in node.inputs]
        values = _quantised(node, evaluate(node, sources))
        if key is not None:
            noise = FLOAT32 * _gain(node) * max(float(np.max(np.abs(source), initial=0.0)) for source in sources)
            theirs = keras[key].reshape(len(values), *node.shape)
            worst = max(worst, _compare(node.name, values, theirs, noise, "Keras"))
            values = theirs
        own[node.name] = values
    return worst


def _quantised(node: Node, values: FloatArray) -> FloatArray:
    return values if node.type is None else node.type.decode(node.type.encode(values))


def _gain(node: Node) -> float:
    """How much larger than the input the sum of magnitudes behind an output may be."""
    if not isinstance(node, WeightLayer):
        return 1.0
    weights = np.abs(node.weight.values).reshape(-1, node.n_out)
    return float((weights.sum(axis=0) + np.abs(node.bias.values)).max(initial=0.0))


def _compare(name: str, ours: FloatArray, theirs: FloatArray, noise: float, whose: str) -> float:
    """The largest difference in parts of the range of ``theirs``.

    Raises:
        HwflowError: it exceeds ``TOLERANCE`` and ``noise``.
    """
    if ours.shape != theirs.shape:
        raise HwflowError(f"{name}: its output has the shape {ours.shape[1:]}, in {whose} {theirs.shape[1:]}")
    if not np.isfinite(theirs).all():
        raise HwflowError(f"{name}: Keras gives values that are not finite; check the model and the images")
    size = max(float(np.ptp(theirs)), float(np.max(np.abs(theirs), initial=0.0)))
    difference = np.abs(ours - theirs)
    largest = float(difference.max(initial=0.0))
    if largest > TOLERANCE * size + noise:
        place = np.unravel_index(int(difference.argmax()), difference.shape)
        raise HwflowError(
            f"{name}: computes {ours[place]:.6g} where {whose} computes {theirs[place]:.6g}, so that the hardened "
            "network would be another one; replace the layer, or report it"
        )
    return largest / size if size else 0.0


def measure(
    graph: Graph, network: KerasNetwork, images: npt.NDArray[Any], unscaled_error: float, layer_options: bool
) -> Agreement:
    """Compare a hardened graph with the Keras model; saturation and rounding are reported, not refused.

    Args:
        graph: typed.
        network: the calls of the model.
        images: ``(n, *input shape)``.
        unscaled_error: what :func:`check` returned.
        layer_options: whether a constant per output channel is still to be tried.
    """
    # What a ReLU reads is on the ReLU's grid, and what the ReLU cuts off does not count.
    pairs = {
        name: key
        for name, key in counterparts(graph, network).items()
        if not isinstance(graph.sole_consumer(graph[name]), ReLU)
    }
    executor = IntegerExecutor(graph)
    tally = _Tally(graph, pairs)
    for batch, values in _keras_batches(graph, network, images):
        codes: dict[str, IntArray] = {}
        executor.run(executor.encode(batch), observe=partial(_keep, codes))
        tally.add(values, codes, network.output)
    return tally.result(unscaled_error, layer_options)


def _keep(codes: dict[str, IntArray], node: Node, found: IntArray) -> None:
    codes[node.name] = found


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

    def add(self, keras: Mapping[str, FloatArray], codes: Mapping[str, IntArray], output: str) -> None:
        for name, key in self.pairs.items():
            node = self.graph[name]
            ours = node.resolved.decode(codes[name]) / np.asarray(node.scale)
            theirs = keras[key].reshape(ours.shape)
            self.squares[name][0] += float(np.square(ours - theirs).sum())
            self.squares[name][1] += float(np.square(theirs).sum())
            self.saturated[name][0] += _outside(node, theirs)
            self.saturated[name][1] += theirs.size
        ours = self._output(codes)
        theirs = keras[output].reshape(ours.shape)
        difference = np.abs(ours - theirs)
        self.images += len(ours)
        self.same += int(np.count_nonzero(_classes(ours) == _classes(theirs)))
        self.largest = max(self.largest, float(difference.max(initial=0.0)))
        self.total += float(difference.sum())
        self.outputs += difference.size
        self.low, self.high = min(self.low, float(theirs.min())), max(self.high, float(theirs.max()))

    def _output(self, codes: Mapping[str, IntArray]) -> FloatArray:
        node = self.graph.output
        values: FloatArray = node.resolved.decode(codes[node.name]) / np.asarray(node.scale)
        return values

    def result(self, unscaled_error: float, layer_options: bool) -> Agreement:
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
            warning=_warning(self.graph, layers, layer_options),
        )


WORTH_SAYING = 0.05
"""A layer that adds less than this relative error is not warned of."""
OFTEN = 1e-3
"""Share of saturated values that is worth a warning."""


def _warning(graph: Graph, layers: tuple[LayerAgreement, ...], layer_options: bool) -> str | None:
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
    if worst.saturated > OFTEN:
        helps = "more calibration images, or a larger --guard-bits"
    elif layer_options:
        helps = "--granularity channel"
    else:
        helps = "--outliers 0.01, or a wider --weights"
    return (
        f"{worst.name} loses most: its error grows by {100 * loss[worst.name]:.1f} % of its values, "
        f"{100 * worst.saturated:.2g} % of them saturate; {helps} may help"
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


def _classes(outputs: FloatArray) -> npt.NDArray[np.int64]:
    """The place of the largest output of each image; of a single output whether it is positive."""
    flat = outputs.reshape(len(outputs), -1)
    return flat.argmax(axis=1) if flat.shape[1] > 1 else (flat[:, 0] > 0).astype(np.int64)


def _keras_batches(
    graph: Graph, network: KerasNetwork, images: npt.NDArray[Any]
) -> Iterator[tuple[npt.NDArray[Any], dict[str, FloatArray]]]:
    """Batches of images, and what Keras computes in every call, by key."""
    elements = sum(int(np.prod(node.shape)) for node in graph)
    size = max(1, min(MAX_BATCH, BATCH_ELEMENTS // elements))
    for start in range(0, len(images), size):
        batch = np.asarray(images[start : start + size])
        values: dict[str, Any] = {}
        for call in network.calls:
            values[call.key] = _call(call, [values[key] for key in call.inputs], batch)
        yield batch, {key: np.asarray(value, dtype=np.float64) for key, value in values.items()}


def _call(call: Call, sources: list[Any], batch: npt.NDArray[Any]) -> Any:
    import tensorflow as tf

    if not sources:
        return tf.convert_to_tensor(batch, dtype=call.layer.dtype)
    return call.layer(sources[0] if len(sources) == 1 else sources, training=False)
