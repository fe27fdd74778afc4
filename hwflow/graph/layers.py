"""Layers with weights in fault-prone memory."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwflow.codes import PLAIN, CodeSpec
from hwflow.codes.layout import at, channelwise_position, position
from hwflow.errors import HwflowError
from hwflow.fixed import FixedType
from hwflow.graph.constants import Constant, FloatArray, IntArray, Kept, Outliers, Scale, Side
from hwflow.graph.node import Node


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
        kept: weights that do not come from the memory at all, but from the side memory, if there are any.
    """

    weight: Constant
    bias: Constant
    accum: FixedType | None = None
    c: Scale = 1.0
    storage: CodeSpec = PLAIN
    outliers: Outliers | None = None
    kept: Kept | None = None

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
        """Bits of the side memory: for every entry ceil(log2 n) that name one of n cells, and the width of a value.

        Where weights are kept, an entry has a bit more, which says that it is one.
        """
        side = self.side
        if side is None:
            return 0
        return len(side.index) * ((self.weight.size - 1).bit_length() + side.bits + (self.kept is not None))

    @property
    def side(self) -> Side | None:
        """What the side memory holds, if it holds anything."""
        index = np.zeros(0, dtype=np.int64)
        if self.outliers is not None:
            index = np.union1d(index, self.outliers.index)
        if self.kept is not None:
            index = np.union1d(index, self.kept.index)
        if not len(index):
            return None
        whole = np.zeros(len(index), dtype=bool) if self.kept is None else self.kept.holds(index)
        value = np.zeros(len(index), dtype=np.int64) if self.outliers is None else self.outliers.at(index)
        value = value + np.where(whole, self.stored_at(index), 0)
        types = (None if self.outliers is None else self.outliers.rest.type, self.weight.type if whole.any() else None)
        bits = [each.width + (not each.signed) for each in types if each is not None]
        return Side(index, value, whole, max([*bits, int(np.maximum(value, -1 - value).max()).bit_length() + 1]))

    def stored_at(self, index: IntArray) -> IntArray:
        """``(m,)`` codes that the memory stores of the weights ``index`` ``(m,)``."""
        return at(self.weight.array, index, self.channelwise).astype(np.int64)

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
