"""Estimates of what flips in the weight memories do to the logits.

The estimate is the second-order term of the loss in a weight (Gauss-Newton, its diagonal), from runs instead of
derivatives, so that every operator and every storage code has one: a flip that changes the code of weight (o, i) by d
adds noise of the power d^2 E[x_i^2] to output o of its layer, more where rounding does (see `_Power`). What noise there
adds to the logits is measured by a run in which all weights of output o are moved a little; what that leaves
unexplained, by one for all weights of input i.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hwflow.codes import layout
from hwflow.graph import FloatArray, Graph, IntArray, Node, WeightLayer
from hwflow.memory import Touched
from hwflow.memory.flips import flip_power, weight_power
from hwflow.progress import Advance
from hwflow.reference import IntegerExecutor

_FEWEST_IMAGES, _MOST_IMAGES = 8, 64
_FEWEST_RUNS, _MOST_RUNS = 200, 2000
"""Neighbouring outputs, or inputs, of large networks share a run."""
_PRODUCTS = 1 << 43  # of all runs, a minute or two
_MOVE = 1  # of weight codes
KEPT_BYTES = 1 << 28
SMALL_BER = 1e-3
"""For which weights are ranked that are stored in different codes."""

Powers = dict[str, Callable[[IntArray, IntArray], FloatArray]]
"""By layer: what changes ``(n,)`` of the codes of weights ``(n,)``, by index, add to the logits."""


def bit_estimates(graph: Graph, powers: Powers) -> dict[str, FloatArray]:
    """The estimate of every stored bit, ``(words, bits)``, by memory."""
    return {f"{layer.name}.weight": flip_power(layer, powers[layer.name]) for layer in graph.weight_layers}


def weight_estimates(graph: Graph, powers: Powers) -> dict[str, FloatArray]:
    """What flips at a bit error rate of ``SMALL_BER`` do by way of every weight, ``(weights,)``, by layer."""
    return {layer.name: weight_power(layer, powers[layer.name], SMALL_BER) for layer in graph.weight_layers}


def layer_powers(graph: Graph, runner: IntegerExecutor, codes: IntArray, advance: Advance) -> Powers:
    """What changes of weights add to the logits, relative to their variance, as runs on images ``codes`` say.

    Args:
        graph: a typed graph that ends in logits.
        runner: of that graph.
        codes: of images, evenly spread ones of which are taken.
        advance: progress of the runs.
    """
    layers = graph.weight_layers
    work = sum(layer.vectors * layer.n_in * layer.n_out for layer in layers)  # products of an image
    count = min(len(codes), max(_FEWEST_IMAGES, min(_MOST_IMAGES, _PRODUCTS // (_MOST_RUNS * max(work, 1)))))
    codes = codes[np.arange(count) * len(codes) // count]
    runs = max(_FEWEST_RUNS, min(_MOST_RUNS, _PRODUCTS // (count * max(work, 1))))
    group = -(-sum(layer.n_out + layer.n_in for layer in layers) // runs)
    inputs = _inputs(graph, runner, codes)
    batch = runner.clean_prefix(codes, KEPT_BYTES)
    clean = runner.decode(batch.run())
    variance = logit_variance(clean)
    total = sum(-(-size // group) for layer in layers for size in (layer.n_out, layer.n_in))
    done = 0
    found: Powers = {}

    def error(layer: WeightLayer, index: IntArray) -> float:
        """What moving some weights of a layer does to the logits."""
        nonlocal done
        changed = runner.decode(batch.run_changed([_moved(layer, index)]))
        done += 1
        advance(done, total, "estimate")
        return float(np.square(changed - clean).reshape(len(codes), -1).sum(axis=1).mean()) / variance

    for layer in layers:
        index, gains = np.arange(layer.weight.size), np.ones(layer.weight.size)
        power = _Power(*inputs[layer.name])
        for axis, places in enumerate(layer.position(index)):  # by outputs, then what that leaves by inputs
            for first in range(0, int(places.max()) + 1, group):
                mine = index[(places >= first) & (places < first + group)]
                moves = np.full(len(mine), _MOVE)
                # All inputs of an output add up before it is rounded, the outputs of an input do not meet.
                noise = power.together(mine, moves) if axis == 0 else power(mine, moves)
                expected = float((gains[mine] * noise).sum())
                gains[mine] *= error(layer, mine) / expected if expected else 0.0

        found[layer.name] = _Added(gains, power)
    return found


@dataclass(frozen=True)
class _Added:
    """What changes of weights add to the logits: the power of what they add to the layer's outputs, times gains."""

    gains: FloatArray
    power: _Power

    def __call__(self, index: IntArray, change: IntArray) -> FloatArray:
        return self.gains[index] * self.power(index, change)


@dataclass(frozen=True)
class _Power:
    """The power of what changes of weights add to a layer's outputs, after these are rounded, in steps of the output.

    A change u of a value before it is rounded to whole numbers changes it afterwards by u in the mean, and by the power
    of u^2 where u is large; where it is small, by 1 with the chance |u|, which has the power |u|.

    Attributes:
        size: mean magnitude ``(weights,)`` of the input that each weight meets, times the steps of the output that a
            step of the weight and one of the input make.
        square: the mean square ``(weights,)`` of the same.
    """

    size: FloatArray
    square: FloatArray

    def __call__(self, index: IntArray, change: IntArray) -> FloatArray:
        """``(n,)`` of changes ``(n,)`` of the codes of some weights, each alone."""
        return np.maximum(np.square(change) * self.square[index], np.abs(change) * self.size[index])

    def together(self, index: IntArray, change: IntArray) -> FloatArray:
        """``(n,)`` of the same where all are made, at random signs, at one output: their shares of its power."""
        alone = np.square(change) * self.square[index]
        total = float(alone.sum())
        return alone * max(1.0, 0.8 / np.sqrt(total)) if total else alone


def _moved(layer: WeightLayer, index: IntArray) -> Touched:
    """Some weights of a layer, each moved by ``_MOVE`` codes, to the side where there is room or by chance."""
    codes = layout.at(layer.weight.array, index, layer.channelwise).astype(np.int64)
    type_ = layer.weight.type
    assert type_ is not None
    sides = np.where(np.random.default_rng(index.size).integers(0, 2, index.size) == 1, _MOVE, -_MOVE)
    sides = np.where((codes + sides < type_.min_code) | (codes + sides > type_.max_code), -sides, sides)
    return Touched(layer, "weight", index, codes + sides)


def _inputs(graph: Graph, runner: IntegerExecutor, codes: IntArray) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Mean magnitude and mean square of the input that each weight of a layer meets, see :class:`_Power`, by layer."""
    channels: dict[str, tuple[FloatArray, FloatArray]] = {}

    def observe(node: Node, values: IntArray) -> None:
        axes = tuple(range(values.ndim - 1))
        real = np.abs(values.astype(np.float64))
        channels[node.name] = real.mean(axis=axes), np.square(real).mean(axis=axes)

    runner.engine.run(codes, observe)
    found = {}
    for layer in graph.weight_layers:
        (source,) = graph.inputs_of(layer)
        size, square = channels[source.name]
        outputs, inputs = layer.position(np.arange(layer.weight.size))
        channel = outputs // max(1, layer.n_out // len(size)) if layer.channelwise else inputs % len(size)
        assert layer.weight.type is not None
        step = 2.0 ** (layer.resolved.fraction - layer.weight.type.fraction - source.resolved.fraction)
        found[layer.name] = step * size[channel], step**2 * square[channel]
    return found


def logit_variance(logits: FloatArray) -> float:
    """The variance of logits ``(n, ...)`` over the images, summed over the logits; 1 where it is 0."""
    return float(logits.reshape(len(logits), -1).var(axis=0).sum()) or 1.0
