"""Types of a network that was hardened before, for one that takes its place in the same hardware."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from hwflow.errors import HwflowError
from hwflow.fixed import FixedType
from hwflow.graph import Constant, Graph, LeakyReLU, Lookup, Node, Outliers, Rescale, WeightLayer
from hwflow.hardening.calibration import Calibration, magnitude_bits

_MORE = "harden that design with more headroom, or this network by itself"
_LEAST_FACTOR = 1 << 11
"""Smallest code of a constant multiplier: 12 significant bits."""


@dataclass(frozen=True)
class Like:
    """A hardened network, whose types another one of the same layers takes.

    Attributes:
        name: what messages call it.
        graph: its typed graph.
        ranges: lowest and highest value of every tensor in its calibration.
    """

    name: str
    graph: Graph
    ranges: Mapping[str, tuple[float, float]]

    def check_layers(self, graph: Graph) -> None:
        """Refuse a scaled graph of other layers.

        Raises:
            HwflowError: the first layer that differs, by name.
        """
        mine, theirs = (
            [(node.name, node.op, node.shape, node.inputs) for node in each] for each in (graph, self.graph)
        )
        for own, other in zip(mine, theirs, strict=False):
            if own != other:
                raise HwflowError(
                    f"{own[0]}: {own[1]} of shape {own[2]}, where {self.name} has {other[0]}, {other[1]} "
                    f"of shape {other[2]}; only a network of the same layers can be hardened like it"
                )
        if len(mine) != len(theirs):
            longer = max(mine, theirs, key=len)
            only = longer[min(len(mine), len(theirs))][0]
            raise HwflowError(
                f"{only}: only one of the network and {self.name} has it; only a network of the same layers can be "
                "hardened like it"
            )

    def integer_bits(self, name: str, signed: bool, guard: int, own: Calibration) -> int:
        """Integer bits that a tensor has here; what it takes itself may use the guard bits up.

        Raises:
            HwflowError: its own range does not fit.
        """
        room = Calibration(own.images, self.ranges).integer_bits(name, signed, guard)
        bits = own.integer_bits(name, signed, 0)
        if bits > room:
            low, high = own.ranges[name]
            raise HwflowError(
                f"{name}: values from {low:.4g} to {high:.4g} need {bits} integer bits, {self.name} has {room}; "
                "harden that design with more guard bits, or this network by itself"
            )
        return room

    def bias(self, layer: WeightLayer) -> Constant:
        """A layer's real bias in the type that it has here.

        Raises:
            HwflowError: it does not fit.
        """
        type_ = self._layer(layer).bias.type
        assert type_ is not None
        return self._encoded(layer, "bias", layer.bias, type_, magnitude_bits(_largest(layer.bias)) + 1)

    def factor(self, node: Rescale) -> Constant:
        """A rescaling's constants in the type that they have here, and as many.

        Raises:
            HwflowError: they do not fit, differ where there is one here, or were a power of two here, and another one.
        """
        theirs = self._rescale(node).factor
        type_ = theirs.type
        assert type_ is not None
        factor = node.factor
        if factor.shape != theirs.shape:
            if factor.array.size > 1:
                raise HwflowError(
                    f"{node.name}: its factors differ by channel, {self.name} has one of all; harden it by itself"
                )
            factor = Constant(np.broadcast_to(factor.values, theirs.shape).copy())
        if type_.width == 1 and (factor.values != type_.lsb).any():
            raise HwflowError(
                f"{node.name}: its factor is {_largest(factor):.6g}, where {self.name} moves the binary "
                f"point, by {type_.lsb:g}; harden both with --align multiply, or both with other options"
            )
        encoded = self._encoded(node, "factor", factor, type_, magnitude_bits(_largest(factor)))
        if type_.width > 1 and encoded.codes.min() < _LEAST_FACTOR:
            raise HwflowError(
                f"{node.name}: its least factor has fewer than 12 bits in {type_} of {self.name}; harden it by itself"
            )
        return encoded

    def slope(self, node: LeakyReLU) -> Constant:
        """A leaky ReLU's slopes in the type that they have here.

        Raises:
            HwflowError: they do not fit.
        """
        found = self.graph[node.name]
        assert isinstance(found, LeakyReLU) and found.slope.type is not None
        type_ = found.slope.type
        if not type_.signed and node.slope.values.min() < 0:
            raise HwflowError(f"{node.name}: it has negative slopes and {self.name} has none; harden it by itself")
        return self._encoded(node, "slope", node.slope, type_, magnitude_bits(_largest(node.slope)) + type_.signed)

    def index(self, node: Lookup) -> FixedType:
        """The type that addresses a table here."""
        found = self.graph[node.name]
        assert isinstance(found, Lookup) and found.index is not None
        return found.index

    def outliers(self, layer: WeightLayer, found: Outliers | None) -> Outliers | None:
        """A layer's outliers with rests of the type that they have here; there may be fewer, or none.

        Raises:
            HwflowError: there are none here, or a rest does not fit.
        """
        if found is None:
            return None
        theirs = self._layer(layer).outliers
        if theirs is None:
            raise HwflowError(f"{layer.name}: it has outliers and {self.name} has none there; harden it by itself")
        own, type_ = found.rest.type, theirs.rest.type
        assert own is not None and type_ is not None
        if own.width > type_.width:
            raise HwflowError(
                f"{layer.name}: what its outliers exceed the weight type by needs {own.width} bits, "
                f"{self.name} has {type_.width}; {_MORE}"
            )
        return replace(found, rest=Constant.from_codes(found.rest.codes, type_))

    def accumulator(self, layer: WeightLayer, own: FixedType) -> FixedType:
        """The accumulator that a layer has here.

        Raises:
            HwflowError: the layer's own needs more bits.
        """
        type_ = self._layer(layer).accum
        assert type_ is not None
        if own.fraction != type_.fraction or own.width > type_.width:
            raise HwflowError(f"{layer.name}: its accumulator needs {own}, {self.name} has {type_}; {_MORE}")
        return type_

    def check(self, node: Node) -> None:
        """Refuse a typed node whose types are not the same after all.

        Raises:
            HwflowError: what differs.
        """
        other = self.graph[node.name]
        for what in ("type", "accum", "index"):
            mine, theirs = (str(getattr(each, what, None)) for each in (node, other))
            if mine != theirs:
                raise HwflowError(f"{node.name}: its {what} is {mine}, {self.name} has {theirs}; harden it by itself")
        if (getattr(node, "limit", None) is None) != (getattr(other, "limit", None) is None):
            raise HwflowError(
                f"{node.name}: only one of the network and {self.name} has a limit that clips; harden it by itself"
            )

    def _layer(self, layer: WeightLayer) -> WeightLayer:
        found = self.graph[layer.name]
        assert isinstance(found, WeightLayer)
        return found

    def _rescale(self, node: Rescale) -> Rescale:
        found = self.graph[node.name]
        assert isinstance(found, Rescale)
        return found

    def _encoded(self, node: Node, what: str, constant: Constant, type_: FixedType, bits: int) -> Constant:
        if bits > type_.integer:
            raise HwflowError(
                f"{node.name}: its {what} of up to {_largest(constant):.4g} needs {bits} integer bits, "
                f"{self.name} has {type_}; {_MORE}"
            )
        return Constant.from_codes(type_.encode(constant.values), type_)


def _largest(constant: Constant) -> float:
    return float(np.max(np.abs(constant.values), initial=0.0))
