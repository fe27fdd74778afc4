"""What storing, hitting and reading weights does to a network's outputs, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hwflow.codes import Protection, layout, storage_code
from hwflow.codes.noise import read_noisy
from hwflow.fixed import FixedType
from hwflow.graph import Constant, FloatArray, Graph, WeightLayer
from hwflow.hardening.compensation import output_error, rounded
from hwflow.hardening.moments import LayerMoments
from hwflow.reference.real import RealExecutor

_SEED = 20261126  # of the flips and of the noise
_LEAST_READ, _MOST_READS = 1 << 15, 64  # weights, so that small layers are not judged by a few flips
_NOISE = 1e-2  # of a layer's output, relative to its variance: small enough to act linearly
_PRODUCTS = 1 << 36  # of all runs of :func:`sensitivities`
_FEWEST_IMAGES, _MOST_IMAGES = 4, 32


@dataclass(frozen=True)
class LayerError:
    """A layer under a storage code.

    Attributes:
        error: mean square error of its outputs under faults, relative to their variance.
        bits: that its memory stores, with what rows leave empty.
    """

    error: float
    bits: int


class LayerErrors:
    """The errors that rounding and faults add to the outputs of layers.

    Args:
        layers: of a graph that is scaled and has no types.
        moments: of the layers' inputs, by name.
        type_: of the weight memories.
        ber: bit error rate.
        calibrated_rounding: whether fitted weights are rounded with the moments in mind.
    """

    def __init__(
        self,
        layers: Sequence[WeightLayer],
        moments: Mapping[str, LayerMoments],
        type_: FixedType,
        ber: float,
        calibrated_rounding: bool,
    ) -> None:
        self.layers = layers
        self.type, self.ber = type_, ber
        self._moments, self._calibrated = moments, calibrated_rounding
        self._found: dict[tuple[int, Protection], LayerError] = {}

    def of(self, number: int, protection: Protection) -> LayerError:
        """What a way to store the weights does to a layer."""
        key = number, protection
        if key not in self._found:
            self._found[key] = self._measured(number, protection)
        return self._found[key]

    def _measured(self, number: int, protection: Protection) -> LayerError:
        layer = self.layers[number]
        weights = _rows(layer, layer.weight.values)
        stored, moments = protection.fit(weights, self.type), self._moments[layer.name]
        clean = rounded(stored, weights, moments if self._calibrated else None)
        code = storage_code(stored.spec, self.type)
        rng = np.random.default_rng([_SEED, number])
        reads = [read_noisy(code, clean, self.ber, rng) for _ in range(min(_MOST_READS, -(-_LEAST_READ // clean.size)))]
        steps = weights / self.type.lsb
        words = layout.Layout(layer.rows, weights.shape[1], code.weights_per_word).words
        return LayerError(
            error=float(np.mean([output_error(steps, clean, read, moments) for read in reads])),
            bits=words * code.bits,
        )


def sensitivities(
    graph: Graph, layers: Sequence[WeightLayer], moments: Mapping[str, LayerMoments], images: FloatArray
) -> FloatArray:
    """How much of an error of each layer's outputs reaches the logits, both relative to their variance.

    Every layer's weights get a little noise in turn. What it adds to the mean of an output counts, as that of faults
    does in :class:`LayerErrors`; so a layer whose outputs are the logits has 1.

    Args:
        graph: scaled, without types.
        layers: of the graph.
        moments: of the layers' inputs, by name.
        images: that the network is run on; so many of them as the time allows, spread evenly.

    Returns:
        ``(layers,)``.
    """
    graph = graph.logits
    work = sum(layer.vectors * layer.n_in * layer.n_out for layer in layers) * len(layers)
    count = min(len(images), max(_FEWEST_IMAGES, min(_MOST_IMAGES, _PRODUCTS // max(work, 1))))
    images = images[np.arange(count) * len(images) // count]
    clean = RealExecutor(graph, np.float32).run(images)
    variance = float(np.var(clean, axis=0).sum())
    found = np.zeros(len(layers))
    for number, layer in enumerate(layers):
        weights, of_inputs = layer.weight.values, moments[layer.name]
        noise = np.random.default_rng([_SEED, number]).standard_normal(weights.shape) * weights.std()
        clean_rows, noise_rows = _rows(layer, weights), _rows(layer, noise)
        error = output_error(clean_rows, clean_rows, clean_rows + noise_rows, of_inputs)
        if error * variance > 0:
            noisy = replace(layer, weight=Constant(weights + noise * np.sqrt(_NOISE / error)))
            nodes = tuple(noisy if node.name == layer.name else node for node in graph)
            changed = RealExecutor(Graph(nodes, graph.name), np.float32).run(images)
            found[number] = float(np.square(changed - clean).mean(axis=0).sum()) / variance / _NOISE
    return found


def _rows(layer: WeightLayer, weights: FloatArray) -> FloatArray:
    """Values of the shape of a layer's weights as rows of its memory."""
    return layout.ordered(weights, layer.channelwise).reshape(layer.rows, -1)
