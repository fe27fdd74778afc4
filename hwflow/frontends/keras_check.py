"""The graph against the Keras model that it was made from, layer by layer, before it is scaled.

The two have to agree. Every layer of the graph is given what Keras gives the same layer, so that the first layer
that differs is the one that is wrong, and rounding errors do not add up along the network. After hardening the same
comparison is a measurement, see :mod:`hwflow.frontends.keras_agreement`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from hwflow.errors import HwflowError
from hwflow.files.rows import Rows
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


def check(graph: Graph, network: KerasCalls, images: Rows, model: Any) -> float:
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
    for keras in keras_batches(graph, network, images, pairs.values()):
        # Eagerly, as the single calls: another order of float32 operations may round a quantiser the other way.
        output = np.asarray(model(keras.images, training=False), dtype=np.float64)
        try:
            worst = max(worst, _check_batch(graph, pairs, keras))
        finally:  # layers differ, too, where a call was misread; that is what has to be said then
            _compare(network.output, keras.take(network.output), output, 0.0, "the whole Keras model")
    return worst


def _check_batch(graph: Graph, pairs: Mapping[str, str], keras: KerasBatch) -> float:
    worst = 0.0
    own: dict[str, FloatArray] = {}
    pending = {name: len(readers) for name, readers in graph.consumers.items()}
    for node in graph:
        key = pairs.get(node.name)
        if not node.inputs:
            own[node.name] = keras.take(pairs[node.name])
            continue
        sources = [own[name] for name in node.inputs]
        values = _quantised(node, evaluate(node, sources))
        if key is not None:
            noise = FLOAT32 * _gain(node) * max(float(np.max(np.abs(source), initial=0.0)) for source in sources)
            theirs = keras.take(key).reshape(len(values), *node.shape)
            worst = max(worst, _compare(node.name, values, theirs, noise, "Keras"))
            values = theirs
        own[node.name] = values
        for name in node.inputs:
            pending[name] -= 1
            if not pending[name]:
                own.pop(name, None)
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


class KerasBatch:
    """What Keras computes in every call for a batch of images, in order; an output is kept as long as it is needed.

    Args:
        network: the calls.
        images: ``(n, *input shape)``.
        taken: keys of the calls whose outputs are taken, each as often as it is.
    """

    def __init__(self, network: KerasCalls, images: npt.NDArray[Any], taken: Iterable[str]) -> None:
        self.images = images
        self._calls = iter(network.calls)
        self._uses = Counter(taken)
        self._uses.update(key for call in network.calls for key in call.inputs)
        self._values: dict[str, Any] = {}

    def take(self, key: str) -> FloatArray:
        """The output of a call, once for every time that it was announced."""
        while key not in self._values:
            call = next(self._calls)
            self._values[call.key] = _call(call, [self._values[source] for source in call.inputs], self.images)
            for used in (*call.inputs, *(() if self._uses[call.key] else (call.key,))):
                self._release(used)
        value: FloatArray = np.asarray(self._values[key], dtype=np.float64)
        self._release(key)
        return value

    def _release(self, key: str) -> None:
        self._uses[key] -= 1
        if self._uses[key] <= 0:
            del self._values[key]


def keras_batches(graph: Graph, network: KerasCalls, images: Rows, taken: Iterable[str]) -> Iterator[KerasBatch]:
    """Batches of images; the outputs of the calls ``taken``, and that of the network, can be taken once."""
    elements = sum(int(np.prod(node.shape)) for node in graph)
    size = max(1, min(MAX_BATCH, BATCH_ELEMENTS // elements))
    for start in range(0, len(images), size):
        yield KerasBatch(network, np.asarray(images[start : start + size]), (*taken, network.output))


def _call(call: Call, sources: list[Any], batch: npt.NDArray[Any]) -> Any:
    import tensorflow as tf

    if not sources:
        return tf.convert_to_tensor(batch, dtype=call.layer.dtype)
    return call.layer(sources[0] if len(sources) == 1 else sources, training=False)
