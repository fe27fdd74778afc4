"""The nodes of a graph: one operation each, with its output tensor and its constants.

A real value has no type: ``type`` is ``None`` before hardening. Shapes leave out the batch axis; images are
channels-last.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from hwflow.codes import PLAIN, CodeSpec
from hwflow.codes.layout import channelwise_position, position
from hwflow.errors import HwflowError
from hwflow.fixed import FixedType

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Scale = float | tuple[float, ...]
"""S of a tensor: one number, or one an element of its last axis."""


@dataclass(frozen=True, eq=False)
class Constant:
    """An array of real values, or with a type of the integer codes of values on the type's grid.

    Attributes:
        array: real values of any shape; with a type, codes in the narrowest integers that hold them.
        type: the fixed-point type of the stored values, or ``None`` before hardening.
    """

    array: npt.NDArray[Any]
    type: FixedType | None = None

    @classmethod
    def from_codes(cls, codes: npt.NDArray[Any], type_: FixedType) -> Constant:
        """A typed constant whose integer codes are ``codes``.

        Raises:
            HwflowError: ``codes`` are no integers, or one is not a code of the type.
        """
        return cls(type_.checked(codes).astype(np.min_scalar_type(min(type_.min_code, -1 - type_.max_code))), type_)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the array."""
        return self.array.shape

    @property
    def size(self) -> int:
        """Elements of the array."""
        return self.array.size

    @property
    def values(self) -> FloatArray:
        """Real values."""
        return self.array if self.type is None else self.type.decode(self.array)

    @property
    def codes(self) -> IntArray:
        """Integer codes.

        Raises:
            HwflowError: the constant has no type yet.
        """
        if self.type is None:
            raise HwflowError("a constant without a type has no codes; harden the graph first")
        return self.array.astype(np.int64)


@dataclass(frozen=True, eq=False)
class Outliers:
    """What the largest weights of a layer exceed its memory by, kept in a side memory that faults do not reach.

    The memory's cell holds such a weight saturated, the side memory the rest: the weight in effect is
    their sum, and a flip of the cell costs what a flip of any other cell costs.

    Attributes:
        index: ``(k,)`` ascending positions in the order of the weight memory, see :mod:`hwflow.codes.layout`.
        rest: ``(k,)`` what is added, never zero, on the grid of the weights.
    """

    index: IntArray
    rest: Constant

    def at(self, index: IntArray) -> IntArray:
        """Rest codes ``(m,)`` of the cells ``index`` ``(m,)`` of the weight memory: 0 where nothing is added."""
        rests = np.zeros(len(index), dtype=np.int64)
        place = np.searchsorted(self.index, index)
        hit = np.append(self.index, -1)[place] == index
        rests[hit] = self.rest.codes[place[hit]]
        return rests

    def largest_sum(self, n_in: int, length: int) -> int:
        """The largest sum of the magnitudes of the rests in ``length`` cells in a row of one output's ``n_in``."""
        sums = np.concatenate([[0], np.cumsum(np.abs(self.rest.codes))])
        ends = np.minimum(self.index + length, (self.index // n_in + 1) * n_in)
        return int((sums[np.searchsorted(self.index, ends)] - sums[:-1]).max(initial=0))

    def add(self, weights: npt.NDArray[Any], rests: npt.NDArray[Any], channelwise: bool = False) -> npt.NDArray[Any]:
        """``weights`` ``(..., out)`` plus ``rests`` ``(k,)``, codes or values, where these belong.

        Args:
            weights: of a layer.
            rests: to add.
            channelwise: whether the layer works channel by channel.
        """
        result = weights.reshape(-1, weights.shape[-1]).copy()
        n_in, n_out = result.shape
        output, source = channelwise_position(self.index, n_out) if channelwise else position(self.index, n_in)
        result[source, output] += rests
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
        weight: ``(kernel_h, kernel_w, in, out)`` for a convolution, ``(kernel_h, kernel_w, 1, out)`` for a depthwise
            one, ``(in, out)`` for a dense layer, ``(1, out)`` for a layer that is affine channel by channel.
        bias: ``(out,)``, stored times the scale of the output; kept in registers.
        accum: type of the exact accumulator.
        c: the constant that the weights were multiplied by (paper, equation 6), or one an output.
        storage: the storage code of the weight memory.
        outliers: what is added to the largest weights on their way from the memory, if any exceed it.
    """

    weight: Constant
    bias: Constant
    accum: FixedType | None = None
    c: Scale = 1.0
    storage: CodeSpec = PLAIN
    outliers: Outliers | None = None

    channelwise: ClassVar[bool] = False
    """Whether an output depends on one channel of the input, and the memory has a row an input, not an output; see
    :mod:`hwflow.codes.layout`."""

    @property
    def effective_codes(self) -> IntArray:
        """Codes of the weights in effect, of the shape of ``weight``: the stored ones plus the outliers' rests."""
        codes = self.weight.codes
        if self.outliers is None:
            return codes
        return self.outliers.add(codes, self.outliers.rest.codes, self.channelwise)

    @property
    def effective_values(self) -> FloatArray:
        """The weights in effect as real values, of the shape of ``weight``."""
        values = self.weight.values
        if self.outliers is None:
            return values
        return self.outliers.add(values, self.outliers.rest.values, self.channelwise)

    @property
    def side_bits(self) -> int:
        """Bits of the side memory: for every outlier ceil(log2 n) that name one of n cells, and the width of a rest."""
        if self.outliers is None:
            return 0
        rest = self.outliers.rest.type
        assert rest is not None
        return len(self.outliers.index) * ((self.weight.size - 1).bit_length() + rest.width)

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
        if self.outliers is None:
            return 0
        if not self.channelwise:
            return self.outliers.largest_sum(self.n_in, self.n_in)
        sums = np.zeros(self.n_out, dtype=np.int64)
        np.add.at(sums, self.position(self.outliers.index)[0], np.abs(self.outliers.rest.codes))
        return int(sums.max(initial=0))

    @property
    def n_out(self) -> int:
        """Outputs (a convolution: output channels)."""
        return int(self.weight.shape[-1])

    @property
    def n_in(self) -> int:
        """Products that one output sums up."""
        return self.weight.size // self.n_out

    @property
    def rows(self) -> int:
        """Rows of the weight memory: an output each, or channel by channel an input; no word has weights of two."""
        return self.n_in if self.channelwise else self.n_out

    def position(self, index: IntArray) -> tuple[IntArray, IntArray]:
        """Output and input of the weights at some indices ``(m,)`` of the weight memory."""
        return channelwise_position(index, self.n_out) if self.channelwise else position(index, self.n_in)

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
class DepthwiseConv2D(WeightLayer):
    """2-D convolution of every channel of ``(height, width, channels)`` by itself.

    Attributes:
        window: over the images.
        multiplier: outputs of a channel; output o reads channel ``o // multiplier``.
    """

    window: Window
    multiplier: int = 1

    channelwise: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True, eq=False)
class Dense(WeightLayer):
    """Fully connected layer over a vector."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Affine(WeightLayer):
    """y[ch] = cast(bias[ch] + w[ch] x[ch]): a batch normalisation that no layer before it could take in."""

    channelwise: ClassVar[bool] = True


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
