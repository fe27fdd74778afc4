"""Reuse factors: hls4ml's one knob, for the firmware and for the RTL alike.

A layer with ``n_in x n_out`` weights and reuse factor R does ``n_in n_out / R`` multiplications a
cycle. The firmware (Resource strategy) and the RTL each accept only some R; a factor chosen here is
valid for both.
"""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

from hwflow.cost.pairs import fit_in_pairs
from hwflow.errors import HwflowError
from hwflow.graph import Conv2D, DepthwiseConv2D, Graph, WeightLayer
from hwflow.memory import layer_storage


def layer_fold(graph: Graph, layer: WeightLayer, reuse_factor: int) -> tuple[int, int]:
    """:func:`fold` of a layer of a typed graph: with an even PE, if there is one, where products fit in pairs.

    Outliers make weights wider, but do not count here: networks that differ in them alone have the same fold.
    """
    x, weight = graph.inputs_of(layer)[0].resolved, layer.weight.type
    assert weight is not None
    return fold(layer, reuse_factor, fit_in_pairs(weight.width, x.width, x.signed))


def fold(layer: WeightLayer, reuse_factor: int, pairs: bool = False) -> tuple[int, int]:
    """PE and SIMD of the RTL's matrix-vector unit: outputs and inputs that it handles in a cycle.

    PE x SIMD = n_in n_out / R. SIMD divides what one position of the kernel offers (a convolution's input
    channels, all inputs of a dense layer), PE divides the outputs, and SIMD is as large as it can be,
    which leaves the fewest accumulators. A convolution with R below its kernel's positions takes several at
    once, all channels of rows of the kernel that divide it, and no more rows than R needs. Where a stored
    word holds several weights, SIMD is a multiple or a divisor of their number, or all of n_in. A layer that
    works channel by channel has PE instead of SIMD, some channels; of a depthwise convolution with all their outputs.

    Args:
        layer: the layer.
        reuse_factor: R.
        pairs: prefer an even PE to a large SIMD, as two outputs can share multipliers.

    Raises:
        HwflowError: R has no such fold.
    """
    found = _folds(_matrix(layer), reuse_factor)
    if not found:
        raise HwflowError(
            f"{layer.name}: reuse factor {reuse_factor} is not valid; choose from "
            f"{', '.join(map(str, valid_reuse_factors(layer)))}"
        )
    if layer.channelwise:
        return found[0][::-1]
    return next((each for each in found if pairs and each[0] % 2 == 0), found[0])


def valid_reuse_factors(layer: WeightLayer) -> list[int]:
    """Reuse factors that both hls4ml's Resource strategy and the RTL can build, ascending."""
    return list(_valid(_matrix(layer)))


def choose_reuse(graph: Graph, reuse: int | None = None, target_cycles: int | None = None) -> dict[str, int]:
    """A valid reuse factor for every weight layer.

    Args:
        graph: the network.
        reuse: the factor wanted for every layer; the nearest valid one is taken.
        target_cycles: cycles an image instead: every layer gets the largest factor that keeps it
            within the target, so that the layers are balanced.

    Returns:
        Factors by layer name. With neither argument, the target is what the busiest layer needs with
        one input channel and one output at a time, divided by 16, and no convolution takes several
        positions of its kernel at once: small designs at little cost.

    Raises:
        HwflowError: both arguments, or a number below one.
    """
    if reuse is not None and target_cycles is not None:
        raise HwflowError("give a reuse factor or target cycles, not both")
    for name, value in (("reuse", reuse), ("target cycles", target_cycles)):
        if value is not None and value < 1:
            raise HwflowError(f"{name}={value} must be at least 1")
    layers = graph.weight_layers
    if reuse is not None:
        return {layer.name: _nearest(valid_reuse_factors(layer), reuse) for layer in layers}
    if target_cycles is None:
        busiest = max((layer.vectors * layer.n_in * layer.n_out for layer in layers), default=1)
        target = max(1, busiest // 16)
        return {layer.name: _within(_of_one_position(layer), target / layer.vectors) for layer in layers}
    return {layer.name: _within(valid_reuse_factors(layer), target_cycles / layer.vectors) for layer in layers}


def _of_one_position(layer: WeightLayer) -> list[int]:
    """The valid factors with which it takes a position of its kernel at a time, if there are any."""
    factors, positions = valid_reuse_factors(layer), math.prod(_matrix(layer).kernel)
    return [factor for factor in factors if factor >= positions] or factors


class _Matrix(NamedTuple):
    """What decides how a layer can be folded.

    Attributes:
        n_in, n_out: the matrix.
        kernel: rows and columns of positions, each of which offers as many inputs.
        per_word: weights of a stored word.
        rows: of a layer that works channel by channel, those of its memory, which are used one after the other; the
            matrix is one of them.
        multiplier: inputs that go together.
    """

    n_in: int
    n_out: int
    kernel: tuple[int, int]
    per_word: int
    rows: int = 1
    multiplier: int = 1

    def simds(self, reuse_factor: int) -> list[int]:
        """SIMD, the best first."""
        rows, columns = self.kernel
        channels = self.n_in // (rows * columns)
        if reuse_factor < rows * columns:
            return [channels * columns * some for some in sorted(_divisors(rows))]
        return sorted(_divisors(channels), reverse=True)


def _matrix(layer: WeightLayer) -> _Matrix:
    """One without types yet is stored plainly."""
    per_word = 1 if layer.weight.type is None else layer_storage(layer).weights_per_word
    if layer.channelwise:
        multiplier = layer.multiplier if isinstance(layer, DepthwiseConv2D) else 1
        return _Matrix(layer.n_out, 1, (1, 1), per_word, layer.rows, multiplier)
    kernel = layer.window.kernel if isinstance(layer, Conv2D) else (1, 1)
    return _Matrix(layer.n_in, layer.n_out, kernel, per_word)


@cache
def _folds(matrix: _Matrix, reuse_factor: int) -> tuple[tuple[int, int], ...]:
    """PE and SIMD, the best first."""
    n_in, n_out, _, per_word, rows, multiplier = matrix
    if reuse_factor % rows:
        return ()
    reuse_factor //= rows
    if reuse_factor < 1 or (n_in * n_out) % reuse_factor:
        return ()
    if n_in % reuse_factor if reuse_factor <= n_in else reuse_factor % n_in:
        return ()
    products = n_in * n_out // reuse_factor
    return tuple(
        (products // simd, simd)
        for simd in matrix.simds(reuse_factor)
        if (simd == n_in or simd % per_word == 0 or per_word % simd == 0)
        and simd % multiplier == 0
        and products % simd == 0
        and n_out % (products // simd) == 0
    )


@cache
def _valid(matrix: _Matrix) -> tuple[int, ...]:
    candidates = _divisors(matrix.n_in) | {matrix.n_in * outputs for outputs in _divisors(matrix.n_out)}
    return tuple(sorted(matrix.rows * factor for factor in candidates if _folds(matrix, matrix.rows * factor)))


@cache
def _divisors(number: int) -> frozenset[int]:
    small = [divisor for divisor in range(1, math.isqrt(number) + 1) if number % divisor == 0]
    return frozenset(small + [number // divisor for divisor in small])


def _nearest(factors: list[int], wanted: int) -> int:
    return min(factors, key=lambda factor: (abs(factor - wanted), factor))


def _within(factors: list[int], limit: float) -> int:
    return max((factor for factor in factors if factor <= limit), default=factors[0])
