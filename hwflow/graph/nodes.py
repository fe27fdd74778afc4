"""The nodes of a graph: one operation each, with its output tensor and its constants.

A real value has no type: ``type`` is ``None`` before hardening. Shapes leave out the batch axis; images are
channels-last.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from hwflow.fixed import FixedType
from hwflow.graph.constants import Constant
from hwflow.graph.layers import Affine, Conv2D, Dense, DepthwiseConv2D, Window
from hwflow.graph.node import Input, Node


@dataclass(frozen=True, kw_only=True, eq=False)
class ReLU(Node):
    """max(x, 0), cast to the output type, and no more than ``limit``.

    Attributes:
        limit: ``(1,)`` positive; ``None`` if nothing but the type limits the output.
    """

    limit: Constant | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class LeakyReLU(Node):
    """x where x exceeds a threshold, else slope x, which is exact; then one cast.

    Attributes:
        slope: ``(1,)`` or one a channel, ``(channels,)``; zero, or negative, too.
        threshold: ``(1,)`` not negative, on the scale of the tensor; with a type, a code of the input's. ``None``: 0.
    """

    slope: Constant
    threshold: Constant | None = None

    @property
    def never_negative(self) -> bool:
        """Whether what it gives is zero at least."""
        return not self.slope.values.any()


@dataclass(frozen=True, kw_only=True, eq=False)
class Lookup(Node):
    """Any other function of each element, from a table: y = table[cast(x)].

    Attributes:
        function: what it is on real values, see :mod:`hwflow.graph.functions`.
        input_scale: S of the input, which the table takes in: an entry is cast(function(value / input_scale)).
        index: type that x is cast to; its code, as an unsigned number of as many bits, is the address.
        table: codes of the output type by address; constant, faults do not reach it.
    """

    function: str
    input_scale: float = 1.0
    index: FixedType | None = None
    table: Constant | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class MaxPool2D(Node):
    """Maximum over a window; padding never wins."""

    window: Window


@dataclass(frozen=True, kw_only=True, eq=False)
class AveragePool2D(Node):
    """Mean over a window: sum in ``accum``, divided toward zero, then cast.

    Attributes:
        counts_padding: whether padding counts as zeros; else the mean is that of the image's pixels in the window.
    """

    window: Window
    accum: FixedType | None = None
    counts_padding: bool = True

    @property
    def divisor(self) -> int | None:
        """The pixels of every window, or ``None`` where their number depends on the place of the window."""
        return math.prod(self.window.kernel) if self.counts_padding or not any(self.window.padding) else None


@dataclass(frozen=True, kw_only=True, eq=False)
class GlobalAveragePool2D(Node):
    """Mean over all positions: sum in ``accum``, divided toward zero, then cast."""

    accum: FixedType | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Move(Node):
    """Elements of the input at new places, of its type: nothing is computed."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Flatten(Move):
    """Row-major flattening; moves no data."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Reshape(Move):
    """The same elements in the same row-major order under another shape; moves no data."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ZeroPad2D(Move):
    """Zeros around an image: pixels (top, bottom, left, right)."""

    padding: tuple[int, int, int, int]


@dataclass(frozen=True, kw_only=True, eq=False)
class Crop2D(Move):
    """An image without its edges: pixels (top, bottom, left, right)."""

    cropping: tuple[int, int, int, int]


@dataclass(frozen=True, kw_only=True, eq=False)
class UpSample2D(Move):
    """Every pixel ``factors`` (rows, columns) times: the nearest pixel."""

    factors: tuple[int, int]


@dataclass(frozen=True, kw_only=True, eq=False)
class Permute(Move):
    """An image with its axes in another order: axis i of the output is axis ``axes[i]`` of the input."""

    axes: tuple[int, int, int]


@dataclass(frozen=True, kw_only=True, eq=False)
class Merge(Node):
    """Two tensors of one shape, element by element: exact at full width, one cast."""

    arity: ClassVar[int] = 2


@dataclass(frozen=True, kw_only=True, eq=False)
class Aligned(Merge):
    """A merge of two tensors of one scale, which the result has, too."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Add(Aligned):
    """Sum."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Subtract(Aligned):
    """The first minus the second."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Average(Aligned):
    """Half of the sum."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Maximum(Aligned):
    """The larger."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Minimum(Aligned):
    """The smaller."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Multiply(Merge):
    """Product; its scale is the product of the scales."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Concatenate(Node):
    """The channels of the first tensor, then those of the second, each element cast."""

    arity: ClassVar[int] = 2


@dataclass(frozen=True, kw_only=True, eq=False)
class Rescale(Node):
    """Multiplication by positive constants: alignment at an Add, or compensation of the scale; or a cast alone.

    Attributes:
        factor: ``(1,)`` or one constant a channel, ``(channels,)``. A power of two has a one-bit type,
            so it moves the binary point and costs no hardware.
    """

    factor: Constant


@dataclass(frozen=True, kw_only=True, eq=False)
class Softmax(Node):
    """Softmax over the last axis of a vector or an image, as hls4ml's stable implementation computes it from tables.

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
        Input, Conv2D, DepthwiseConv2D, Dense, Affine, ReLU, LeakyReLU, Lookup, MaxPool2D, AveragePool2D,
        GlobalAveragePool2D, Flatten, Reshape, ZeroPad2D, Crop2D, UpSample2D, Permute,
        Add, Subtract, Average, Maximum, Minimum, Multiply, Concatenate,
        Rescale, Softmax,
    )
}  # fmt: skip
