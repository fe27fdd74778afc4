"""Weight scaling: the constants ``c = t / max|W|`` and the scale of every tensor.

Each weight layer's weights are multiplied by its constant before they are stored (paper, equations
4 to 6). Every tensor T then carries a scale S(T): stored value = S(T) x true value. Layers multiply
it by their constant, positively homogeneous operations pass it on, an Add needs it equal on both
inputs, and compensation brings it back to one (paper, section V.C).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from hwflow.errors import HwflowError
from hwflow.fixed import FixedType
from hwflow.graph import (
    Add,
    Constant,
    FloatArray,
    Graph,
    Input,
    Node,
    Rescale,
    Softmax,
    WeightLayer,
)

Scale = Literal["exact", "pow2", "none"]
Align = Literal["shift", "multiply"]
Compensation = Literal["logits", "layer", "none"]

T_MARGIN = 1.97 / 1.984375
"""The paper's t as a fraction of the largest value of its 8-bit format (section IV.D)."""


@dataclass(frozen=True)
class ScalingOptions:
    """How weights are scaled.

    Attributes:
        weight_type: type of the stored weights.
        t: largest magnitude of the scaled weights; by default the largest value of ``weight_type``
            times 1.97/1.984375.
        scale: ``exact`` stores c W with c = t / max|W|; ``pow2`` rounds every c down to a power of
            two; ``none`` stores W as it is (the baseline).
        align: how the inputs of an Add are brought to one scale: ``shift`` lowers the last constant
            of one branch by less than two so that a move of the binary point does it, ``multiply``
            keeps every constant optimal and spends a constant multiplier.
        compensation: divide the output ``logits`` by the product of the constants, or every
            ``layer``'s accumulator by its own constant, or ``none`` at all.
        saturate: accept scaled weights outside the format and saturate them.
    """

    weight_type: FixedType = FixedType(8, 3)
    t: float | None = None
    scale: Scale = "exact"
    align: Align = "shift"
    compensation: Compensation = "logits"
    saturate: bool = False

    def __post_init__(self) -> None:
        for name, kind in (("scale", Scale), ("align", Align), ("compensation", Compensation)):
            if getattr(self, name) not in get_args(kind):
                raise HwflowError(f"{name}={getattr(self, name)!r} is not one of {', '.join(get_args(kind))}")
        if self.t is not None and not (math.isfinite(self.t) and self.t > 0):
            raise HwflowError(f"t={self.t} must be a positive number")
        if not self.weight_type.signed:
            raise HwflowError(f"weights need a signed type, not {self.weight_type}")
        if self.scale != "none" and not self.saturate and self.target > self.weight_type.max:
            raise HwflowError(
                f"t={self.target} does not fit {self.weight_type}, whose largest value is {self.weight_type.max}; "
                "lower t or allow saturation"
            )

    @property
    def target(self) -> float:
        """The t in use."""
        return self.weight_type.max * T_MARGIN if self.t is None else self.t


@dataclass(frozen=True)
class LayerScale:
    """One row of the scale plan.

    Attributes:
        name: the layer.
        weights: number of weights.
        max_abs: max|W| before scaling.
        c: the constant that its weights are multiplied by.
        scale: S of its output.
        alignment: factor by which ``align = "shift"`` lowered c, in (0.5, 1].
    """

    name: str
    weights: int
    max_abs: float
    c: float
    scale: float
    alignment: float = 1.0


@dataclass(frozen=True)
class ScalePlan:
    """What scaling did to a network: a row for every weight layer and the multipliers it inserted.

    Attributes:
        layers: in graph order.
        rescales: names of inserted Rescale nodes and their factors.
        output_scale: S of the network's output after compensation.
        logit_scale: S of the output before compensation, the product of the constants on its path.
        notes: what the plan had to decide differently from what was asked, one line each.
    """

    layers: tuple[LayerScale, ...]
    rescales: tuple[tuple[str, float], ...]
    output_scale: float
    logit_scale: float
    notes: tuple[str, ...] = ()


def layer_constant(weights: FloatArray, options: ScalingOptions) -> float:
    """c = t / max|W| (equation 6), rounded down to a power of two for ``pow2``; 1 for an all-zero layer."""
    largest = float(np.max(np.abs(weights), initial=0.0))
    if options.scale == "none" or largest == 0.0:
        return 1.0
    c = options.target / largest
    return power_of_two_below(c) if options.scale == "pow2" else c


def power_of_two_below(value: float) -> float:
    """The largest power of two that does not exceed the positive ``value``."""
    return math.ldexp(1.0, math.frexp(value)[1] - 1)


def scale_graph(graph: Graph, options: ScalingOptions) -> tuple[Graph, ScalePlan]:
    """Multiply every layer's weights by its constant and insert alignment and compensation.

    The result is still a graph of real values: in exact arithmetic its outputs equal the original's
    (times ``plan.output_scale``).

    Args:
        graph: an untyped graph.
        options: see :class:`ScalingOptions`.

    Returns:
        The scaled graph, ``scale`` set on every node, and the plan.

    Raises:
        HwflowError: NaN or infinite weights, or weights that the format cannot hold.
    """
    for layer in graph.weight_layers:
        _check_weights(layer, options)
    constants = {layer.name: layer_constant(layer.weight.values, options) for layer in graph.weight_layers}
    builder = _Builder(graph, constants, options)
    for node in graph:
        builder.add(node)
    return builder.finish()


class _Builder:
    """Rebuilds a graph node by node while it follows the scale of every tensor."""

    def __init__(self, graph: Graph, constants: dict[str, float], options: ScalingOptions) -> None:
        self.graph = graph
        self.options = options
        self.constants = constants
        self.alignment: dict[str, float] = {}
        self.nodes: dict[str, Node] = {}
        self.stands_for: dict[str, str] = {}
        self.rescales: list[tuple[str, float]] = []
        self.notes: list[str] = []
        self.logit_scale = 1.0

    def add(self, node: Node) -> None:
        """Append ``node`` with its inputs aligned or compensated as its operation needs."""
        if isinstance(node, Input):
            self._put(replace(node, scale=1.0))
            return
        sources = [self.nodes[self.stands_for[name]] for name in node.inputs]
        if isinstance(node, Softmax):
            sources = [self._compensate(sources[0], f"{node.name}_compensation")]
        elif isinstance(node, Add):
            sources = self._align(node, sources)
        node = replace(node, inputs=tuple(source.name for source in sources), scale=sources[0].scale)
        if isinstance(node, WeightLayer):
            self._add_weight_layer(node)
        elif isinstance(node, Softmax):
            self._put(replace(node, scale=1.0))
        else:
            self._put(node)

    def _add_weight_layer(self, node: WeightLayer) -> None:
        c = self.constants[node.name]
        scale = node.scale * c
        if not math.isfinite(scale) or scale == 0.0:
            raise HwflowError(f"{node.name}: the scale of its output leaves float64; use layer compensation")
        self._put(
            replace(
                node,
                weight=Constant(node.weight.values * c),
                bias=Constant(node.bias.values * scale),
                c=c,
                scale=scale,
            )
        )
        if self.options.compensation == "layer":
            compensated = self._compensate(self.nodes[node.name], f"{node.name}_compensation")
            self.stands_for[node.name] = compensated.name

    def _put(self, node: Node) -> None:
        self.nodes[node.name] = node
        self.stands_for[node.name] = node.name

    def _rescale(self, source: Node, name: str, target: float) -> Node:
        """Multiply ``source`` by a constant that brings it to the scale ``target``."""
        while name in self.nodes or name in self.graph:
            name += "_"
        factor = target / source.scale
        node = Rescale(
            name=name,
            inputs=(source.name,),
            shape=source.shape,
            scale=target,
            factor=Constant(np.array([factor])),
        )
        self.rescales.append((name, factor))
        self._put(node)
        return node

    def _compensate(self, source: Node, name: str) -> Node:
        return source if source.scale == 1.0 else self._rescale(source, name, 1.0)

    def _align(self, add: Add, sources: list[Node]) -> list[Node]:
        """Bring both inputs of an Add to one scale."""
        first, second = sources
        if self.options.align == "shift" and not _is_power_of_two(first.scale / second.scale):
            first, second = self._lower_branch(add, first, second)
        if first.scale == second.scale:
            return [first, second]
        # A weight layer just before the Add is the one to rescale: its exact accumulator then goes
        # through the multiplier, with one rounding.
        if isinstance(second, WeightLayer) and not isinstance(first, WeightLayer):
            return [first, self._rescale(second, f"{add.name}_align", first.scale)]
        return [self._rescale(first, f"{add.name}_align", second.scale), second]

    def _lower_branch(self, add: Add, first: Node, second: Node) -> tuple[Node, Node]:
        """Lower the last constant of one branch by less than two, so that the ratio is a power of two."""
        choices = []
        for branch, other in ((first, second), (second, first)):
            ratio = other.scale / branch.scale
            factor = math.frexp(ratio)[0]
            chain = self._own_chain(branch)
            if chain:
                choices.append((factor, chain))
        if not choices:
            self.notes.append(f"{add.name}: neither branch ends in a layer of its own, so a multiplier aligns it")
            return first, second
        factor, chain = max(choices, key=lambda choice: choice[0])
        other = second if first.name == chain[-1] else first
        # The ratio is a power of two by construction; taking it from the exponent keeps it one exactly.
        scale = math.ldexp(other.scale, -math.frexp(other.scale / self.nodes[chain[0]].scale)[1])
        self.alignment[chain[0]] = factor
        for name in chain:
            node = replace(self.nodes[name], scale=scale)
            if isinstance(node, WeightLayer):
                node = replace(
                    node,
                    weight=Constant(node.weight.values * factor),
                    bias=Constant(node.bias.values * factor),
                    c=node.c * factor,
                )
            self.nodes[name] = node
        return self.nodes[first.name], self.nodes[second.name]

    def _own_chain(self, branch: Node) -> list[str]:
        """Names from the last weight layer of a branch to its end, or nothing if anything else reads them."""
        chain: list[str] = []
        node = branch
        while not isinstance(node, Add | Input | Rescale):
            if self.graph.sole_consumer(self.graph[node.name]) is None:
                return []
            chain.insert(0, node.name)
            if isinstance(node, WeightLayer):
                return chain
            node = self.nodes[node.inputs[0]]
        return []

    def finish(self) -> tuple[Graph, ScalePlan]:
        output = self.nodes[self.stands_for[self.graph.output.name]]
        self.logit_scale = output.scale
        if self.options.compensation == "logits":
            output = self._compensate(output, f"{output.name}_compensation")
        graph = Graph(tuple(self._ordered(output)), self.graph.name)
        rows = tuple(
            LayerScale(
                name=layer.name,
                weights=layer.weight.values.size,
                max_abs=float(np.max(np.abs(self._original(layer.name).weight.values), initial=0.0)),
                c=layer.c,
                scale=layer.scale,
                alignment=self.alignment.get(layer.name, 1.0),
            )
            for layer in graph.weight_layers
        )
        plan = ScalePlan(rows, tuple(self.rescales), output.scale, self.logit_scale, tuple(self.notes))
        return graph, plan

    def _original(self, name: str) -> WeightLayer:
        node = self.graph[name]
        assert isinstance(node, WeightLayer)
        return node

    def _ordered(self, output: Node) -> list[Node]:
        """All nodes in the order they were put, the output last."""
        return [node for node in self.nodes.values() if node.name != output.name] + [output]


def _is_power_of_two(value: float) -> bool:
    return math.frexp(value)[0] == 0.5


def _check_weights(layer: WeightLayer, options: ScalingOptions) -> None:
    for name, constant in (("weight", layer.weight), ("bias", layer.bias)):
        if not np.all(np.isfinite(constant.values)):
            raise HwflowError(f"{layer.name}: its {name} holds NaN or infinite values; retrain or mend the model")
    largest = float(np.max(np.abs(layer.weight.values), initial=0.0))
    if options.scale == "none" and not options.saturate and largest > -options.weight_type.min:
        raise HwflowError(
            f"{layer.name}: its weights reach {largest:.4g}, outside {options.weight_type} "
            f"({options.weight_type.min} to {options.weight_type.max}); scale them, or allow saturation"
        )
