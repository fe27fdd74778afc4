"""Three loops of hls4ml that take minutes for a deep or a wide network, in another order or with less to do."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import hls4ml
from hls4ml.backends.fpga.fpga_backend import FPGABackend
from hls4ml.model.layers import Layer
from hls4ml.model.optimizer.optimizer import ModelOptimizerPass, get_optimizer


@contextlib.contextmanager
def fast_passes(without: Iterable[str] = ()) -> Iterator[None]:
    """Replace hls4ml's searches while the block runs.

    Args:
        without: passes to leave out, by name.

    - A layer's input: hls4ml looks through all layers, for every pass and layer again after each change of the
      network, which takes minutes for a DenseNet. What is remembered is checked before it is used.
    - Valid reuse factors: hls4ml tries every number up to the number of weights, not just its divisors.
    - Optimizer passes: after every change hls4ml starts again with the first pass and the first layer. Here a
      pass goes over the layers until it changes nothing, and only then the first one has its turn again. Either
      way a pass begins when those before it have nothing left to do.
    """
    slow_input, slow_factors = Layer.get_input_node, FPGABackend.get_valid_reuse_factors
    remembered: WeakKeyDictionary[Any, dict[str, Any]] = WeakKeyDictionary()

    def get_input_node(self: Any, input_name: str | None = None) -> Any:
        if input_name is None:
            if not self.inputs:
                return None
            input_name = self.inputs[0]
        nodes = remembered.setdefault(self.model, {})
        node = nodes.get(input_name)
        if node is None or self.model.graph.get(node.name) is not node or input_name not in node.outputs:
            node = nodes[input_name] = slow_input(self, input_name)
        return node

    def get_valid_reuse_factors(self: Any, n_in: int, n_out: int) -> list[int]:
        weights = n_in * n_out
        small = [factor for factor in range(1, math.isqrt(weights) + 1) if weights % factor == 0]
        divisors = sorted({*small, *(weights // factor for factor in small)})
        return [factor for factor in divisors if self._validate_reuse_factor(n_in, n_out, factor)]

    slow_optimize = hls4ml.model.graph.optimize_model
    Layer.get_input_node = get_input_node
    FPGABackend.get_valid_reuse_factors = get_valid_reuse_factors
    hls4ml.model.graph.optimize_model = partial(optimize_model, without=frozenset(without))
    try:
        yield
    finally:
        Layer.get_input_node = slow_input
        FPGABackend.get_valid_reuse_factors = slow_factors
        hls4ml.model.graph.optimize_model = slow_optimize


def optimize_model(model: Any, passes: Iterable[str], without: frozenset[str] = frozenset()) -> set[str]:
    """Apply passes by name to a ModelGraph until none changes it; the names of those that did something."""
    optimizers = {name: get_optimizer(name) for name in passes if name not in without}
    applied: set[str] = set()
    while any(_apply(name, optimizer, model, applied) for name, optimizer in optimizers.items()):
        pass
    return applied


def _apply(name: str, optimizer: Any, model: Any, applied: set[str]) -> bool:
    """Apply one pass to the whole model; whether layers changed, so that earlier passes may have work again."""
    if isinstance(optimizer, ModelOptimizerPass):
        if name not in applied and optimizer.transform(model):
            applied.add(name)
        return False
    changed = False
    again = True
    while again:
        again = False
        for node in list(model.graph.values()):
            if model.graph.get(node.name) is node and optimizer.match(node):
                again = bool(optimizer.transform(model, node)) or again
                applied.add(name)
        changed = changed or again
    return changed
