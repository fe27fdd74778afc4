"""The graph that every executor runs: small, typed, immutable.

One set of node classes serves two stages. After the hls4ml front end a graph is *untyped*: constants
hold the network's real values and ``type`` is ``None``. After hardening it is *typed*: every tensor
and constant has a :class:`~hwflow.fixed.FixedType`, constants lie on their grid, and integer
executors may run it. Shapes leave out the batch axis; images are channels-last.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, TypeVar

import numpy as np
import numpy.typing as npt

from hwflow.errors import HwflowError
from hwflow.fixed import FixedType

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Scale = float | tuple[float, ...]
"""S of a tensor: one number, or one an element of its last axis."""
NodeT = TypeVar("NodeT", bound="Node")


@dataclass(frozen=True, eq=False)
class Constant:
    """An array of real values; with a type, every value lies on the type's grid.

    Attributes:
        values: float64 values of any shape.
        type: the fixed-point type of the stored values, or ``None`` before hardening.
    """

    values: FloatArray
    type: FixedType | None = None

    @classmethod
    def from_codes(cls, codes: IntArray, type_: FixedType) -> Constant:
        """A typed constant whose integer codes are ``codes``."""
        return cls(type_.decode(codes), type_)

    @property
    def codes(self) -> IntArray:
        """Integer codes, of the shape of ``values``.

        Raises:
            HwflowError: the constant has no type yet.
        """
        if self.type is None:
            raise HwflowError("a constant without a type has no codes; harden the graph first")
        return self.type.encode(self.values)


@dataclass(frozen=True, eq=False)
class Outliers:
    """What the largest weights of a layer exceed its memory by, kept in a side memory that faults do not reach.

    The memory's cell holds such a weight saturated, the side memory the rest: the weight in effect is
    their sum, and a flip of the cell costs what a flip of any other cell costs.

    Attributes:
        index: ``(k,)`` ascending positions in the order of the weight memory, ``(out, kernel_h, kernel_w, in)``.
        rest: ``(k,)`` what is added, never zero, on the grid of the weights.
    """

    index: IntArray
    rest: Constant

    def at(self, index: IntArray) -> IntArray:
        """Rest codes ``(m,)`` of the cells ``index`` ``(m,)`` of the weight memory: 0 where nothing is added."""
        rests = np.zeros(len(index), dtype=np.int64)
        place = np.searchsorted(self.index, index)
        hit = np.append(self.index, -1)[place] == index
        rests[hit] = Constant(self.rest.values[place[hit]], self.rest.type).codes
        return rests

    def largest_sum(self, n_in: int, length: int) -> int:
        """The largest sum of the magnitudes of the rests in ``length`` cells in a row of one output's ``n_in``."""
        sums = np.concatenate([[0], np.cumsum(np.abs(self.rest.codes))])
        ends = np.minimum(self.index + length, (self.index // n_in + 1) * n_in)
        return int((sums[np.searchsorted(self.index, ends)] - sums[:-1]).max(initial=0))

    def add(self, weights: npt.NDArray[Any], rests: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """``weights`` ``(..., out)`` plus ``rests`` ``(k,)``, codes or values, where these belong."""
        n_out = weights.shape[-1]
        n_in = weights.size // n_out
        result = weights.reshape(n_in, n_out).copy()
        result[self.index % n_in, self.index // n_in] += rests
        return result.reshape(weights.shape)


@dataclass(frozen=True, kw_only=True, eq=False)
class Node:
    """One operation and its single output tensor.

    Attributes:
        name: unique name, the layer's own name where the network has one.
        inputs: names of the nodes whose outputs it reads.
        shape: shape of the output without the batch axis.
        type: type of the output tensor; before hardening ``None`` or the quantiser that the network asks for.
        scale: S of the tensor: stored value = scale x true value; one number, or one an element of the last axis.
    """

    name: str
    inputs: tuple[str, ...] = ()
    shape: tuple[int, ...]
    type: FixedType | None = None
    scale: Scale = 1.0

    arity: ClassVar[int] = 1

    @property
    def resolved(self) -> FixedType:
        """The output type.

        Raises:
            HwflowError: the node has none yet.
        """
        if self.type is None:
            raise HwflowError(f"{self.name}: its type is not resolved; harden the graph first")
        return self.type

    @property
    def op(self) -> str:
        """Name of the operation, as users read it."""
        return type(self).__name__


@dataclass(frozen=True, kw_only=True, eq=False)
class Input(Node):
    """The network's input; its type is the grid that images are rounded to."""

    arity: ClassVar[int] = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class WeightLayer(Node):
    """A layer with weights in fault-prone memory: y = cast(bias + sum of w x).

    Attributes:
        weight: ``(kernel_h, kernel_w, in, out)`` for a convolution, ``(in, out)`` for a dense layer, ``(1, out)``
            for a layer that is affine channel by channel.
        bias: ``(out,)``, stored times the scale of the output; kept in registers.
        accum: type of the exact accumulator.
        c: the constant that the weights were multiplied by (paper, equation 6), or one an output.
        storage: name of the storage code of the weight memory.
        outliers: what is added to the largest weights on their way from the memory, if any exceed it.
    """

    weight: Constant
    bias: Constant
    accum: FixedType | None = None
    c: Scale = 1.0
    storage: str = "plain"
    outliers: Outliers | None = None

    @property
    def effective_codes(self) -> IntArray:
        """Codes of the weights in effect, of the shape of ``weight``: the stored ones plus the outliers' rests."""
        codes = self.weight.codes
        return codes if self.outliers is None else self.outliers.add(codes, self.outliers.rest.codes)

    @property
    def effective_values(self) -> FloatArray:
        """The weights in effect as real values, of the shape of ``weight``."""
        values = self.weight.values
        return values if self.outliers is None else self.outliers.add(values, self.outliers.rest.values)

    @property
    def side_bits(self) -> int:
        """Bits of the side memory: for every outlier ceil(log2 n) that name one of n cells, and the width of a rest."""
        if self.outliers is None:
            return 0
        rest = self.outliers.rest.type
        assert rest is not None
        return len(self.outliers.index) * ((self.weight.values.size - 1).bit_length() + rest.width)

    @property
    def weight_range(self) -> tuple[int, int]:
        """The lowest and the highest code of a weight in effect, whatever bits of the memory flip.

        Raises:
            HwflowError: the weights have no type yet.
        """
        if self.weight.type is None:
            raise HwflowError(f"{self.name}: its weights have no type yet; harden the graph first")
        rest = np.zeros(1, dtype=np.int64) if self.outliers is None else self.outliers.rest.codes
        low, high = int(rest.min(initial=0)), int(rest.max(initial=0))
        highest = self.weight.type.max_code
        return low - (highest + 1) * self.weight.type.signed, highest + high

    @property
    def rest_sum(self) -> int:
        """The largest sum of the magnitudes of the rests that one output adds, in codes; 0 without outliers."""
        return 0 if self.outliers is None else self.outliers.largest_sum(self.n_in, self.n_in)

    @property
    def n_out(self) -> int:
        """Outputs (a convolution: output channels)."""
        return int(self.weight.values.shape[-1])

    @property
    def n_in(self) -> int:
        """Products that one output sums up."""
        return self.weight.values.size // self.n_out

    @property
    def vectors(self) -> int:
        """Matrix-vector products for one image."""
        return math.prod(self.shape) // self.n_out


@dataclass(frozen=True, kw_only=True, eq=False)
class Window:
    """A sliding window: kernel, strides (rows, columns) and zero padding (top, bottom, left, right)."""

    kernel: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the output for an input of ``height`` x ``width``."""
        top, bottom, left, right = self.padding
        return (
            (height + top + bottom - self.kernel[0]) // self.strides[0] + 1,
            (width + left + right - self.kernel[1]) // self.strides[1] + 1,
        )

    def touches(self, height: int, width: int) -> bool:
        """Whether every position of the window covers a pixel of the ``height`` x ``width`` image."""
        rows, columns = self.output_size(height, width)
        top, _, left, _ = self.padding
        return (
            top < self.kernel[0]
            and left < self.kernel[1]
            and (rows - 1) * self.strides[0] - top < height
            and (columns - 1) * self.strides[1] - left < width
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Conv2D(WeightLayer):
    """2-D convolution over ``(height, width, channels)``."""

    window: Window


@dataclass(frozen=True, kw_only=True, eq=False)
class Dense(WeightLayer):
    """Fully connected layer over a vector."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Affine(WeightLayer):
    """y[ch] = cast(bias[ch] + w[ch] x[ch]): a batch normalisation that no layer before it could take in."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ReLU(Node):
    """max(x, 0), cast to the output type, and no more than ``limit``.

    Attributes:
        limit: ``(1,)`` positive; ``None`` if nothing but the type limits the output.
    """

    limit: Constant | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class MaxPool2D(Node):
    """Maximum over a window; padding never wins."""

    window: Window


@dataclass(frozen=True, kw_only=True, eq=False)
class AveragePool2D(Node):
    """Mean over a window, whose padding counts as zeros: sum in ``accum``, divided toward zero, then cast."""

    window: Window
    accum: FixedType | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class GlobalAveragePool2D(Node):
    """Mean over all positions: sum in ``accum``, divided toward zero, then cast."""

    accum: FixedType | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Flatten(Node):
    """Row-major flattening; moves no data."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Reshape(Node):
    """Rows ``(rows, channels)`` as an image one pixel high ``(1, rows, channels)``, or back; moves no data."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Add(Node):
    """Sum of two tensors of one shape and one scale: full width, one cast."""

    arity: ClassVar[int] = 2


@dataclass(frozen=True, kw_only=True, eq=False)
class Concatenate(Node):
    """The channels of the first tensor, then those of the second, each element cast."""

    arity: ClassVar[int] = 2


@dataclass(frozen=True, kw_only=True, eq=False)
class Rescale(Node):
    """Multiplication by positive constants: alignment at an Add, or compensation of the scale.

    Attributes:
        factor: ``(1,)`` or one constant a channel, ``(channels,)``. A power of two has a one-bit type,
            so it moves the binary point and costs no hardware.
    """

    factor: Constant


@dataclass(frozen=True, kw_only=True, eq=False)
class Softmax(Node):
    """Softmax over a vector, as hls4ml's stable implementation computes it from tables.

    Attributes:
        norm: type of max - x (hls4ml's ``inp_norm_t``), whose top bits address the table of exponentials.
        exp_table: type of the entries of that table.
        accum: type in which exponentials are summed.
        inv_input: type of the sum (``inv_inp_t``), whose top bits address the table of reciprocals.
        inv_table: type of the entries of that table.
        exp_size: entries of the table of exponentials, a power of two.
        inv_size: entries of the table of reciprocals, a power of two.
    """

    norm: FixedType | None = None
    exp_table: FixedType | None = None
    accum: FixedType | None = None
    inv_input: FixedType | None = None
    inv_table: FixedType | None = None
    exp_size: int = 1024
    inv_size: int = 1024


OPERATIONS: Mapping[str, type[Node]] = {
    cls.__name__: cls
    for cls in (
        Input, Conv2D, Dense, Affine, ReLU, MaxPool2D, AveragePool2D, GlobalAveragePool2D, Flatten, Reshape, Add,
        Concatenate,
        Rescale, Softmax,
    )
}  # fmt: skip


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
            _check_outliers(node)
            expected = _output_shape(node, [index[source] for source in node.inputs])
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
        """The graph without a final softmax, which is where the RTL ends; the graph itself if it has none."""
        return Graph(self.nodes[:-1], self.name) if isinstance(self.output, Softmax) else self

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
        return all(node.type is not None for node in self.nodes) and all(
            layer.weight.type is not None and layer.bias.type is not None and layer.accum is not None
            for layer in self.weight_layers
        )

    def to_dict(self) -> tuple[dict[str, Any], dict[str, FloatArray | IntArray]]:
        """The graph as JSON data, and its arrays by name: codes where typed, else real values."""
        arrays: dict[str, FloatArray | IntArray] = {}
        nodes = [_node_to_dict(node, arrays) for node in self.nodes]
        return {"name": self.name, "nodes": nodes}, arrays

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Graph:
        """Inverse of :meth:`to_dict`.

        Raises:
            HwflowError: an unknown operation, a missing array, or a graph that contradicts itself.
        """
        try:
            nodes = tuple(_node_from_dict(entry, arrays) for entry in data["nodes"])
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


def _check_outliers(node: Node) -> None:
    """Refuse rests that do not belong to cells of a layer's memory, or lie on another grid."""
    if not isinstance(node, WeightLayer) or node.outliers is None:
        return
    if not isinstance(node, Conv2D | Dense):
        raise HwflowError(f"{node.name}: it has outliers, which only Conv2D and Dense can have")
    index, rest, weight = node.outliers.index, node.outliers.rest, node.weight
    cells = index.ndim == 1 and (np.diff(index, prepend=-1, append=weight.values.size) > 0).all()
    grids = rest.type is not None and weight.type is not None and rest.type.fraction == weight.type.fraction
    if not cells or not grids or rest.values.shape != index.shape or not rest.values.all():
        raise HwflowError(f"{node.name}: its outliers do not fit its {weight.values.size} weights of {weight.type}")


def _output_shape(node: Node, sources: list[Node]) -> tuple[int, ...]:
    """The output shape that ``node``'s inputs imply."""
    if isinstance(node, Input):
        return node.shape
    shape = sources[0].shape
    if isinstance(node, Add) and sources[1].shape != shape:
        raise HwflowError(f"{node.name}: it adds tensors of shapes {shape} and {sources[1].shape}")
    if isinstance(node, Conv2D | MaxPool2D | AveragePool2D):
        if len(shape) != 3:
            raise HwflowError(f"{node.name}: {node.op} needs (height, width, channels), not {shape}")
        rows, columns = node.window.output_size(shape[0], shape[1])
        if rows < 1 or columns < 1:
            raise HwflowError(f"{node.name}: its {node.window.kernel} window does not fit into {shape}")
        channels = shape[2]
        if isinstance(node, MaxPool2D) and not node.window.touches(shape[0], shape[1]):
            raise HwflowError(
                f"{node.name}: a window lies wholly in the padding {node.window.padding}, it has no maximum"
            )
        if isinstance(node, Conv2D):
            if node.weight.values.shape[:3] != (*node.window.kernel, channels):
                raise HwflowError(
                    f"{node.name}: weights of shape {node.weight.values.shape} do not fit {channels} channels "
                    f"and a {node.window.kernel} kernel"
                )
            channels = node.n_out
        return (rows, columns, channels)
    if isinstance(node, Affine) and node.weight.values.shape != (1, shape[-1]):
        raise HwflowError(f"{node.name}: weights of shape {node.weight.values.shape} do not fit {shape[-1]} channels")
    if isinstance(node, Concatenate):
        if sources[1].shape[:-1] != shape[:-1]:
            raise HwflowError(f"{node.name}: it joins the channels of shapes {shape} and {sources[1].shape}")
        return (*shape[:-1], shape[-1] + sources[1].shape[-1])
    if isinstance(node, Dense):
        if len(shape) != 1 or node.weight.values.shape[0] != shape[0]:
            raise HwflowError(f"{node.name}: weights of shape {node.weight.values.shape} do not fit an input {shape}")
        return (node.n_out,)
    if isinstance(node, GlobalAveragePool2D):
        return (shape[-1],)
    if isinstance(node, Flatten):
        return (math.prod(shape),)
    if isinstance(node, Reshape):
        if (1, *shape) != node.shape and shape != (1, *node.shape):
            raise HwflowError(f"{node.name}: it makes {node.shape} of {shape}; only one row of pixels can be added")
        return node.shape
    if isinstance(node, Rescale) and node.factor.values.shape not in ((1,), (shape[-1],)):
        raise HwflowError(f"{node.name}: {node.factor.values.shape} factors do not fit {shape[-1]} channels")
    return shape


def _node_to_dict(node: Node, arrays: dict[str, FloatArray | IntArray]) -> dict[str, Any]:
    entry: dict[str, Any] = {"op": node.op}
    for item in dataclasses.fields(node):
        value = getattr(node, item.name)
        if isinstance(value, FixedType):
            value = {"type": str(value)}
        elif isinstance(value, Window):
            value = {"window": dataclasses.asdict(value)}
        elif isinstance(value, Constant):
            key = f"{node.name}.{item.name}"
            arrays[key] = value.values if value.type is None else value.codes
            value = {"constant": key, "type": None if value.type is None else str(value.type)}
        elif isinstance(value, Outliers):
            key = f"{node.name}.{item.name}"
            arrays[f"{key}.index"], arrays[f"{key}.rest"] = value.index, value.rest.codes
            value = {"outliers": key, "type": str(value.rest.type)}
        entry[item.name] = value
    return entry


def _node_from_dict(entry: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Node:
    if entry["op"] not in OPERATIONS:
        raise HwflowError(f"{entry.get('name')}: unknown operation {entry['op']!r}; was it made by a newer hwflow?")
    values = {}
    for key, value in entry.items():
        if key == "op":
            continue
        if isinstance(value, Mapping) and "constant" in value:
            array = np.asarray(arrays[value["constant"]])
            if value["type"] is None:
                value = Constant(array.astype(np.float64))
            else:
                value = Constant.from_codes(array.astype(np.int64), FixedType.parse(value["type"]))
        elif isinstance(value, Mapping) and "outliers" in value:
            index, codes = (np.asarray(arrays[f"{value['outliers']}.{part}"]) for part in ("index", "rest"))
            rest = Constant.from_codes(codes.astype(np.int64), FixedType.parse(value["type"]))
            value = Outliers(index.astype(np.int64), rest)
        elif isinstance(value, Mapping) and "window" in value:
            value = Window(**{name: tuple(size) for name, size in value["window"].items()})
        elif isinstance(value, Mapping):
            value = FixedType.parse(value["type"])
        elif isinstance(value, list):
            value = tuple(value)
        values[key] = value
    return OPERATIONS[entry["op"]](**values)
