"""The graph against the Keras model that it was made from, layer by layer, before it is scaled.

The two have to agree. Every layer of the graph is given what Keras gives the same layer, so that the first layer
that differs is the one that is wrong, and rounding errors do not add up along the network. After hardening the same
comparison is a measurement, see :mod:`hwflow.frontends.keras_agreement`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from hwflow.errors import HwflowError
from hwflow.frontends.keras_network import Call, KerasCalls
from hwflow.graph import Flatten, FloatArray, Graph, Node, Reshape, WeightLayer
from hwflow.reference.real import check_calibration, evaluate

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


def counterparts(graph: Graph, network: KerasCalls) -> dict[str, str]:
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
    last = graph.output
    while isinstance(last, Flatten | Reshape) and last.name not in found:  # what hwflow has put behind a layer
        last = graph[last.inputs[0]]
    if last.name in found:
        found[graph.output.name] = found[last.name]
    return found


def check(graph: Graph, network: KerasCalls, images: npt.NDArray[Any], model: Any) -> float:
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
    for batch, values in keras_batches(graph, network, images):
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


def keras_batches(
    graph: Graph, network: KerasCalls, images: npt.NDArray[Any]
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
