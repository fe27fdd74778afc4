"""The scale plan: the scale of every tensor, alignment and compensation.

Each weight layer's weights are multiplied by its constant before they are stored (paper, equations
4 to 6). Every tensor T then carries a scale S(T): stored value = S(T) x true value. Layers multiply
it by their constant, positively homogeneous operations pass it on, an Add, and what is like it, needs it
equal on both inputs, a product has the product of both, the table of an activation takes it in, and
compensation brings it back to one (paper, section V.C).

S may differ from channel to channel: after a Concatenate, and with a constant for every output channel.
Such a vector passes through ReLU, pooling and depthwise convolutions; the next other layer with weights takes it in by
dividing the weights of each input channel by it; an Add, softmax and the output need a multiplier a channel instead.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from hwflow.errors import HwflowError
from hwflow.fixed import FixedType
from hwflow.graph import (
    Affine,
    Aligned,
    Concatenate,
    Constant,
    DepthwiseConv2D,
    FloatArray,
    Graph,
    Input,
    LeakyReLU,
    Lookup,
    Merge,
    Move,
    Multiply,
    Node,
    Outliers,
    ReLU,
    Rescale,
    Scale,
    Softmax,
    WeightLayer,
)
from hwflow.hardening.options import ScalingOptions
from hwflow.hardening.scaling import as_scale, channel_constants, layer_constant, moved_scale, smallest
from hwflow.memory.outliers import find_outliers, most_outliers, signed_width, without_largest


@dataclass(frozen=True)
class LayerScale:
    """One row of the scale plan.

    Attributes:
        name: the layer.
        weights: number of weights.
        max_abs: max|W| before scaling.
        c: the constant that its weights are multiplied by; of several, the smallest.
        scale: S of its output; of several, the smallest.
        alignment: factor by which ``align = "shift"`` lowered c, in (0.5, 1].
        c_largest: the largest of the layer's constants.
        bits_used: bits that the largest stored weight takes, its sign included.
        quantisation_error: root mean square of the rounding errors of the weights in effect over that of the weights.
        outliers: number of weights that the side memory completes.
        side_bits: bits of the side memory, see :attr:`hwflow.graph.WeightLayer.side_bits`.
    """

    name: str
    weights: int
    max_abs: float
    c: float
    scale: float
    alignment: float = 1.0
    c_largest: float = 1.0
    bits_used: int = 0
    quantisation_error: float = 0.0
    outliers: int = 0
    side_bits: int = 0


@dataclass(frozen=True)
class ScalePlan:
    """What scaling did to a network: a row for every weight layer and the multipliers it inserted.

    Attributes:
        layers: in graph order.
        rescales: names of inserted Rescale nodes and their factors, one or one a channel.
        output_scale: S of the network's output after compensation.
        logit_scale: S of the output before compensation, the product of the constants on its path; of several,
            the smallest.
        notes: what the plan had to decide differently from what was asked, one line each.
    """

    layers: tuple[LayerScale, ...]
    rescales: tuple[tuple[str, Scale], ...]
    output_scale: Scale
    logit_scale: float
    notes: tuple[str, ...] = ()

    @property
    def outliers(self) -> int:
        """Outliers of all layers."""
        return sum(layer.outliers for layer in self.layers)

    @property
    def side_bits(self) -> int:
        """Bits of the side memories of all layers."""
        return sum(layer.side_bits for layer in self.layers)


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
    builder = _Builder(graph, options)
    for node in graph:
        builder.add(node)
    return builder.finish()


class _Builder:
    """Rebuilds a graph node by node while it follows the scale of every tensor."""

    def __init__(self, graph: Graph, options: ScalingOptions) -> None:
        self.graph = graph
        self.options = options
        self.alignment: dict[str, float] = {}
        self.nodes: dict[str, Node] = {}
        self.stands_for: dict[str, str] = {}
        self.rescales: list[tuple[str, Scale]] = []
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
        elif isinstance(node, Aligned):
            sources = self._align(node, sources)
        elif isinstance(node, Concatenate):
            sources = self._approach(node, sources)
        elif isinstance(sources[0].scale, tuple) and _needs_one_scale(node, sources[0]):
            sources = [self._rescale(sources[0], f"{node.name}_uniform", smallest(sources[0].scale))]
        node = replace(node, inputs=tuple(source.name for source in sources), scale=sources[0].scale)
        if isinstance(node, WeightLayer):
            self._add_weight_layer(node)
        elif isinstance(node, Softmax):
            self._put(replace(node, scale=1.0))
        elif isinstance(node, Multiply):
            self._put(replace(node, scale=as_scale(np.asarray(sources[0].scale) * np.asarray(sources[1].scale))))
        elif isinstance(node, Lookup):
            assert isinstance(node.scale, float)
            self._put(replace(node, input_scale=node.scale, scale=1.0))
        elif isinstance(node, Rescale):
            self._add_cast(node)
        elif isinstance(node, Concatenate):
            parts = [np.broadcast_to(source.scale, source.shape[-1:]) for source in sources]
            self._put(replace(node, scale=as_scale(np.concatenate(parts))))
        elif isinstance(node, ReLU) and node.limit is not None:
            self._put(replace(node, limit=Constant(node.limit.values * np.asarray(node.scale))))
        elif isinstance(node, LeakyReLU) and node.threshold is not None:
            self._put(replace(node, threshold=Constant(node.threshold.values * np.asarray(node.scale))))
        elif isinstance(node, Move):
            moved = moved_scale(node, sources[0])
            assert moved is not None
            self._put(replace(node, scale=moved))
        else:
            self._put(node)

    def _add_weight_layer(self, node: WeightLayer) -> None:
        """Take in a scale that differs from channel to channel, and multiply by the layer's constants."""
        weight = node.weight
        smallest_base = smallest(node.scale)
        base: float | FloatArray = smallest_base
        if isinstance(node, DepthwiseConv2D) and isinstance(node.scale, tuple):
            base = np.repeat(node.scale, node.n_out // len(node.scale))
        elif isinstance(node.scale, tuple):
            ratio = np.asarray(node.scale) / base
            weight = weight.over(ratio if isinstance(node, Affine) else ratio[:, None])
        counting = without_largest(weight.values, most_outliers(node, self.options.outliers))
        layer = layer_constant(counting, self.options)
        c: Scale = layer
        # An affine layer has one weight a channel: a constant each would leave nothing but its sign.
        if self.options.granularity == "channel" and not isinstance(node, Affine):
            c = as_scale(channel_constants(counting, self.options))
        factors = np.asarray(c)
        scale = base * factors
        if not np.isfinite(scale).all() or not scale.all():
            raise HwflowError(f"{node.name}: the scale of its output leaves float64; use layer compensation")
        put = replace(
            node,
            weight=weight.times(factors),
            bias=Constant(node.bias.values * scale),
            c=c,
            scale=as_scale(scale),
        )
        self._put(put)
        if self.options.compensation == "layer":
            self._stand_for(node, self._compensate(put, f"{node.name}_compensation"))
        elif isinstance(put.scale, tuple) and not self.options.absorb:
            self._stand_for(node, self._rescale(put, f"{node.name}_uniform", smallest_base * layer))
        self._renormalise(node)

    def _add_cast(self, node: Rescale) -> None:
        """Take compensation in: the grid that the network asks for is one of true values."""
        factor = as_scale(node.factor.values / np.asarray(node.scale))
        self.rescales.append((node.name, factor))
        self._put(replace(node, scale=1.0, factor=Constant(np.array(factor, dtype=np.float64).reshape(-1))))

    def _renormalise(self, node: WeightLayer) -> None:
        limit = self.options.renormalise
        source = self.nodes[self.stands_for[node.name]]
        logarithms = np.log2(source.scale)
        if limit is None or np.abs(logarithms).max() <= limit:
            return
        factor = math.ldexp(1.0, -round(float(np.mean(logarithms))))
        target = as_scale(np.asarray(source.scale) * factor)
        self._stand_for(node, self._rescale(source, f"{node.name}_renormalise", target))

    def _put(self, node: Node) -> None:
        self.nodes[node.name] = node
        self.stands_for[node.name] = node.name

    def _stand_for(self, node: Node, substitute: Node) -> None:
        """Let readers of ``node`` read ``substitute``."""
        self.stands_for[node.name] = substitute.name

    def _rescale(self, source: Node, name: str, target: Scale) -> Node:
        """Multiply ``source`` by constants that bring it to the scale ``target``."""
        while name in self.nodes or name in self.graph:
            name += "_"
        factor = as_scale(np.asarray(target) / np.asarray(source.scale))
        node = Rescale(
            name=name,
            inputs=(source.name,),
            shape=source.shape,
            scale=target,
            factor=Constant(np.array(factor, dtype=np.float64).reshape(-1)),
        )
        self.rescales.append((name, factor))
        self._put(node)
        return node

    def _compensate(self, source: Node, name: str) -> Node:
        return source if source.scale == 1.0 else self._rescale(source, name, 1.0)

    def _approach(self, node: Concatenate, sources: list[Node]) -> list[Node]:
        """Bring both inputs to about one scale by a move of the binary point; the next layer takes in the rest."""
        first, second = sources
        exponent = round(float(np.mean(np.log2(first.scale)) - np.mean(np.log2(second.scale))))
        if exponent == 0:
            return sources
        target = as_scale(np.ldexp(second.scale, exponent))
        return [first, self._rescale(second, f"{node.name}_align", target)]

    def _align(self, add: Aligned, sources: list[Node]) -> list[Node]:
        """Bring both inputs of an Add, or what is like it, to one scale."""
        first, second = sources
        if self.options.align == "shift":
            if isinstance(first.scale, tuple) or isinstance(second.scale, tuple):
                if first.scale != second.scale:
                    constants = max(np.size(first.scale), np.size(second.scale))
                    self.notes.append(
                        f"{add.name}: the scale differs from channel to channel, so a multiplier by {constants} "
                        "constants aligns it"
                    )
            elif not _is_power_of_two(first.scale / second.scale):
                first, second = self._lower_branch(add, first, second)
        if first.scale == second.scale:
            return [first, second]
        # A scale per channel gives way to a uniform one. Else a weight layer just before the Add is the one to
        # rescale: its exact accumulator then goes through the multiplier, with one rounding.
        vectors = [isinstance(source.scale, tuple) for source in (first, second)]
        weighted = [isinstance(source, WeightLayer) for source in (first, second)]
        keep_first = vectors[1] if vectors[0] != vectors[1] else weighted == [False, True]
        if keep_first:
            return [first, self._rescale(second, f"{add.name}_align", first.scale)]
        return [self._rescale(first, f"{add.name}_align", second.scale), second]

    def _lower_branch(self, add: Aligned, first: Node, second: Node) -> tuple[Node, Node]:
        """Lower the last constant of one branch by less than two, so that the ratio is a power of two."""
        choices = []
        for branch, other in ((first, second), (second, first)):
            assert isinstance(branch.scale, float) and isinstance(other.scale, float)
            ratio = other.scale / branch.scale
            factor = math.frexp(ratio)[0]
            chain = self._own_chain(branch)
            if chain:
                choices.append((factor, chain))
        if not choices:
            self.notes.append(f"{add.name}: neither branch ends in a layer of its own, so a multiplier aligns it")
            return first, second
        factor, chain = max(choices, key=lambda choice: choice[0])
        other, branch = (second, first) if first.name == chain[-1] else (first, second)
        assert isinstance(branch.scale, float) and isinstance(other.scale, float)
        # The ratio is a power of two by construction; taking it from the exponent keeps it one exactly.
        scale = math.ldexp(other.scale, -math.frexp(other.scale / branch.scale)[1])
        self.alignment[chain[0]] = factor
        for name in chain:
            node = replace(self.nodes[name], scale=scale)
            if isinstance(node, WeightLayer):
                node = replace(
                    node,
                    weight=node.weight.times(np.asarray(factor)),
                    bias=Constant(node.bias.values * factor),
                    c=as_scale(np.asarray(node.c) * factor),
                )
            elif isinstance(node, ReLU) and node.limit is not None:
                node = replace(node, limit=Constant(node.limit.values * factor))
            elif isinstance(node, LeakyReLU) and node.threshold is not None:
                node = replace(node, threshold=Constant(node.threshold.values * factor))
            self.nodes[name] = node
        return self.nodes[first.name], self.nodes[second.name]

    def _own_chain(self, branch: Node) -> list[str]:
        """Names from the last weight layer of a branch to its end, or nothing if anything else reads them."""
        chain: list[str] = []
        node = branch
        while not isinstance(node, Merge | Concatenate | Input | Rescale | Lookup):
            if self.graph.sole_consumer(self.graph[node.name]) is None:
                return []
            chain.insert(0, node.name)
            if isinstance(node, WeightLayer):
                return chain if isinstance(node.scale, float) else []
            node = self.nodes[node.inputs[0]]
        return []

    def finish(self) -> tuple[Graph, ScalePlan]:
        output = self.nodes[self.stands_for[self.graph.output.name]]
        self.logit_scale = smallest(output.scale)
        if self.options.compensation == "logits":
            output = self._compensate(output, f"{output.name}_compensation")
        graph = Graph(tuple(self._ordered(output)), self.graph.name)
        rows = tuple(self._row(layer) for layer in graph.weight_layers)
        plan = ScalePlan(rows, tuple(self.rescales), output.scale, self.logit_scale, tuple(self.notes))
        return graph, plan

    def _row(self, layer: WeightLayer) -> LayerScale:
        original = self.graph[layer.name]
        assert isinstance(original, WeightLayer)
        type_ = self.options.memory_type
        outliers = find_outliers(layer, type_, most_outliers(layer, self.options.outliers))
        bits, error = stored_precision(layer.weight.values, type_, outliers, layer.channelwise)
        return LayerScale(
            name=layer.name,
            weights=layer.weight.size,
            max_abs=float(np.max(np.abs(original.weight.values), initial=0.0)),
            c=smallest(layer.c),
            scale=smallest(layer.scale),
            alignment=self.alignment.get(layer.name, 1.0),
            c_largest=float(np.max(layer.c)),
            bits_used=bits,
            quantisation_error=error,
            outliers=0 if outliers is None else len(outliers.index),
            side_bits=replace(layer, outliers=outliers).side_bits,
        )

    def _ordered(self, output: Node) -> list[Node]:
        """All nodes in the order they were put, the output last."""
        return [node for node in self.nodes.values() if node.name != output.name] + [output]


def _needs_one_scale(node: Node, source: Node) -> bool:
    """Whether a constant of the node serves all channels, or the node moves them apart."""
    match node:
        case ReLU():
            return node.limit is not None
        case LeakyReLU():
            return node.threshold is not None
        case Move():
            return moved_scale(node, source) is None
    return isinstance(node, Lookup)


def stored_precision(
    weights: FloatArray, type_: FixedType, outliers: Outliers | None = None, channelwise: bool = False
) -> tuple[int, float]:
    """Bits that scaled weights take in a format, and the relative root mean square of the errors of those in effect."""
    steps = weights / type_.lsb
    rounded = np.clip(np.rint(steps), type_.min_code, type_.max_code)
    width = signed_width(rounded)
    size = float(np.sqrt(np.mean(np.square(steps)))) if steps.size else 0.0
    steps -= rounded if outliers is None else outliers.add(rounded, outliers.rest.codes, channelwise)
    error = float(np.sqrt(np.mean(np.square(steps)))) / size if size else 0.0
    return width, error


def _is_power_of_two(value: float) -> bool:
    return math.frexp(value)[0] == 0.5


def _check_weights(layer: WeightLayer, options: ScalingOptions) -> None:
    for name, constant in (("weight", layer.weight), ("bias", layer.bias)):
        if not np.all(np.isfinite(constant.values)):
            raise HwflowError(f"{layer.name}: its {name} holds NaN or infinite values; retrain or mend the model")
    if options.scale != "none" or options.saturate:
        return
    largest = float(np.max(np.abs(layer.weight.values), initial=0.0))
    outside = int(np.count_nonzero(np.abs(layer.weight.values) > -options.weight_type.min))
    allowed = most_outliers(layer, options.outliers)
    if outside > allowed:
        too_many = f"{outside} of them, more than the {allowed} outliers, " if options.outliers else ""
        raise HwflowError(
            f"{layer.name}: its weights reach {largest:.4g}, {too_many}outside {options.weight_type} "
            f"({options.weight_type.min} to {options.weight_type.max}); scale them, or allow saturation"
        )
