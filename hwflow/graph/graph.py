"""The graph that every executor runs: small, typed, immutable.

One set of node classes serves two stages. After the hls4ml front end a graph is *untyped*: constants
hold the network's real values and ``type`` is ``None``. After hardening it is *typed*: every tensor
and constant has a :class:`~hwflow.fixed.FixedType`, constants lie on their grid, and integer
executors may run it. Shapes leave out the batch axis; images are channels-last.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from hwflow.errors import HwflowError
from hwflow.graph.layers import WeightLayer
from hwflow.graph.node import Input, Node
from hwflow.graph.nodes import LeakyReLU, Lookup, Softmax
from hwflow.graph.saved import SavedArrays, node_from_dict, node_to_dict
from hwflow.graph.shapes import check_kept, check_outliers, check_storage, check_table, output_shape

NodeT = TypeVar("NodeT", bound=Node)
MOST_INDEX_BITS = 16
"""The RTL has tables of so many bits of an index: the reciprocals of softmax for up to 511 classes."""


@dataclass(frozen=True, eq=False)
class Graph:
    """Nodes in topological order, with one input (the first) and one output (the last).

    Raises:
        HwflowError: a name repeats, an input is not defined before its use, a tensor is left over, or
            a shape contradicts its inputs.
    """

    nodes: tuple[Node, ...]
    name: str = "network"
    _index: dict[str, Node] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        index: dict[str, Node] = {}
        for position, node in enumerate(self.nodes):
            if node.name in index:
                raise HwflowError(f"{node.name}: two layers have this name")
            if len(node.inputs) != node.arity:
                raise HwflowError(f"{node.name}: {node.op} takes {node.arity} input(s), not {len(node.inputs)}")
            if isinstance(node, Input) != (position == 0):
                raise HwflowError(f"{node.name}: a network has exactly one input, and it comes first")
            for source in node.inputs:
                if source not in index:
                    raise HwflowError(f"{node.name}: its input {source} is not defined before it")
            check_outliers(node)
            check_kept(node)
            check_storage(node)
            check_table(node)
            expected = output_shape(node, [index[source] for source in node.inputs])
            if expected != node.shape:
                raise HwflowError(f"{node.name}: its shape is {node.shape}, but its inputs give {expected}")
            index[node.name] = node
        object.__setattr__(self, "_index", index)
        if not self.nodes:
            raise HwflowError("a network needs at least an input")
        for node in self.nodes[:-1]:
            if not self.consumers[node.name]:
                raise HwflowError(f"{node.name}: nothing reads it, and a network has one output")

    def __getitem__(self, name: str) -> Node:
        return self._index[name]

    def __contains__(self, name: str) -> bool:
        return name in self._index

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def get(self, name: str) -> Node | None:
        """The node called ``name``, if there is one."""
        return self._index.get(name)

    @cached_property
    def consumers(self) -> Mapping[str, tuple[Node, ...]]:
        """The nodes that read each tensor; one that reads it twice stands there twice."""
        readers: dict[str, tuple[Node, ...]] = {node.name: () for node in self.nodes}
        for node in self.nodes:
            for source in node.inputs:
                readers[source] += (node,)
        return readers

    @property
    def input(self) -> Node:
        """The input node."""
        return self.nodes[0]

    @property
    def output(self) -> Node:
        """The output node."""
        return self.nodes[-1]

    @cached_property
    def logits(self) -> Graph:
        """The graph without a final softmax; the graph itself if it has none."""
        return Graph(self.nodes[:-1], self.name) if isinstance(self.output, Softmax) else self

    @cached_property
    def in_rtl(self) -> Graph:
        """What the RTL has: all of it, or the logits if the tables of a final softmax are too large for a ROM."""
        end = self.output
        small = not isinstance(end, Softmax) or (end.inv_size - 1).bit_length() <= MOST_INDEX_BITS
        return self if small else self.logits

    def inputs_of(self, node: Node) -> tuple[Node, ...]:
        """The nodes that ``node`` reads."""
        return tuple(self._index[name] for name in node.inputs)

    def of_type(self, kind: type[NodeT]) -> tuple[NodeT, ...]:
        """All nodes of one class, in order."""
        return tuple(node for node in self.nodes if isinstance(node, kind))

    @property
    def weight_layers(self) -> tuple[WeightLayer, ...]:
        """The layers with weights, in order."""
        return self.of_type(WeightLayer)

    def sole_consumer(self, node: Node) -> Node | None:
        """The node that alone reads ``node``, else ``None``."""
        readers = self.consumers[node.name]
        return readers[0] if len(readers) == 1 else None

    @property
    def is_typed(self) -> bool:
        """Whether integer executors may run it."""
        return all(map(_is_typed, self.nodes))

    def to_dict(self) -> tuple[dict[str, Any], SavedArrays]:
        """The graph as JSON data, and its arrays by name: codes where typed, else real values."""
        arrays = SavedArrays()
        nodes = [node_to_dict(node, arrays) for node in self.nodes]
        return {"name": self.name, "nodes": nodes}, arrays

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Graph:
        """Inverse of :meth:`to_dict`.

        Raises:
            HwflowError: an unknown operation, a missing array, or a graph that contradicts itself.
        """
        try:
            nodes = tuple(node_from_dict(entry, arrays) for entry in data["nodes"])
            return cls(nodes, data["name"])
        except (KeyError, TypeError) as error:
            raise HwflowError(f"the graph cannot be read: {error!r} is missing or of a wrong kind") from error

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the whole content, in hexadecimal: the model hash that fault lists carry."""
        data, arrays = self.to_dict()
        sha = hashlib.sha256(json.dumps(data, sort_keys=True).encode())
        for name in sorted(arrays):
            array = np.ascontiguousarray(arrays[name])
            sha.update(f"{name}{array.dtype.str}{array.shape}".encode())
            sha.update(array.tobytes())
        return sha.hexdigest()


def _is_typed(node: Node) -> bool:
    match node:
        case WeightLayer():
            constants: tuple[object, ...] = (node.weight.type, node.bias.type, node.accum)
        case LeakyReLU():
            constants = (node.slope.type,)
        case Lookup():
            constants = (node.table,)
        case _:
            constants = ()
    return node.type is not None and None not in constants
