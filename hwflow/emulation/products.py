"""Sums of products as hls4ml's headers form them: each product is put into accum_t, then accumulated there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from hwflow.emulation.exact import Exact, limited
from hwflow.fixed import Codes, FixedType, Overflow, Rounding
from hwflow.wide import NARROW, as_objects

Order = npt.NDArray[np.int64]
Sums = Callable[[Codes], Codes]

EXACT_FLOAT = 1 << 53
"""Integers below it are float64 numbers, and so are sums of products whose magnitudes add up to less."""

BLOCK = 1 << 14
"""Elements that stay in the cache."""

_ROWS = 64
"""Rows of a matrix product that are worth a call."""

_LIMB = 16
"""Bits of the parts of wide integers."""

_MANY = 1 << 20
"""Elements of a block of single products."""


@dataclass(frozen=True)
class Products:
    """A matrix product with a type for its products and sums.

    Args:
        data: type of the data.
        weights: codes ``(inputs, outputs)``.
        weight_type: their type.
        bias: codes ``(outputs,)`` of ``accum``, where accumulation starts.
        accum: type that every product is put into, and every sum.
        order: in which inputs are accumulated; it matters where a sum saturates.
    """

    data: FixedType
    weights: Codes
    weight_type: FixedType
    bias: Codes
    accum: FixedType
    order: Order

    def sums(self) -> Sums:
        """A function from data codes ``(rows, inputs)`` to codes of ``accum`` ``(rows, outputs)``.

        Three facts make it fast. Where no product loses a bit, the sum is an ordinary matrix product,
        exact in float64 below 2**53. Where products are cut downward by d bits,
        ``sum(floor(p / 2**d)) = (sum(p) - sum(p mod 2**d)) / 2**d``, and remainders need few bits. And a sum
        that wraps, or cannot saturate, does not depend on the order.
        """
        wide = max(self.data.width, self.weight_type.width, self.accum.width) > NARROW
        if self.accum.overflow is not Overflow.WRAP and not self._fits():
            return self._in_order
        if self.dropped <= 0:
            return self._in_limbs if wide else self._without_loss
        if wide:
            return self._one_by_one
        cut = self.accum.rounding is Rounding.TRN and self.dropped < 32 and self._bound() < 1 << 62
        return self._cut if cut else self._one_by_one

    @property
    def dropped(self) -> int:
        """Bits that a product has below the accumulator's LSB."""
        return self.data.fraction + self.weight_type.fraction - self.accum.fraction

    def _largest(self) -> int:
        return max(self.data.max_code, -self.data.with_(overflow=Overflow.WRAP).min_code)

    def _bound(self) -> int:
        """No sum of products, nor any part of one, is larger in magnitude."""
        return int(np.abs(self.weights).sum(axis=0, dtype=np.float64).max(initial=0.0)) * self._largest() + 1

    def _fits(self) -> bool:
        """Whether no sum can leave the accumulator's range, in any order."""
        left = max(-self.dropped, 0)
        products = np.abs(self.weights).astype(object) * self._largest() * (1 << left)
        rounded = -(-products // (1 << max(self.dropped, 0)))
        worst = rounded.sum(axis=0) + np.abs(self.bias)
        return bool((worst <= min(self.accum.max_code, -self.accum.min_code)).all())

    def _without_loss(self, data: Codes) -> Codes:
        sums = self._plain(data) << min(-self.dropped, 63)
        return limited(sums + self.bias, self.accum)

    def _in_limbs(self, data: Codes) -> Codes:
        """Operands or sums that int64 does not hold, no product cut."""
        sums = product_in_limbs(data, self.data.width, self.weights, self.weight_type.width)
        return limited((sums << -self.dropped) + self.bias, self.accum)

    def _cut(self, data: Codes) -> Codes:
        remainders = sum_of_remainders(data, self.weights, self.dropped)
        return limited(((self._plain(data) - remainders) >> self.dropped) + self.bias, self.accum)

    def _one_by_one(self, data: Codes) -> Codes:
        """Any rounding: every product by itself."""
        out = np.empty((len(data), self.weights.shape[1]), dtype=self.bias.dtype)
        step = max(1, _MANY // max(self.weights.size, 1))
        for start in range(0, len(data), step):
            products = self._put(data[start : start + step, :, None], self.weights)
            out[start : start + step] = products.sum(axis=1)
        return limited(out + self.bias, self.accum)

    def _in_order(self, data: Codes) -> Codes:
        """A saturating sum, in the header's order."""
        sums = np.broadcast_to(self.bias, (len(data), len(self.bias)))
        for index in self.order:
            sums = limited(sums + self._put(data[:, index, None], self.weights[index]), self.accum)
        return sums

    def _put(self, data: Codes, weights: Codes) -> Codes:
        return (Exact.of(data, self.data) * Exact.of(weights, self.weight_type)).to(self.accum)

    def _plain(self, data: Codes) -> Codes:
        """The sums of whole products, modulo 2**64."""
        if self._bound() < EXACT_FLOAT:
            return _in_floats(data, self.weights)
        high, low = data >> 16, data & 0xFFFF
        column = int(np.abs(self.weights).sum(axis=0, dtype=np.float64).max(initial=0.0)) + 1
        if column * max(1 << 16, self._largest() >> 15) < EXACT_FLOAT:
            return (_in_floats(high, self.weights) << 16) + _in_floats(low, self.weights)
        return data @ self.weights


def product_in_limbs(data: Codes, data_bits: int, weights: Codes, weight_bits: int) -> Any:
    """A matrix product of integers of any width, as Python integers.

    Args:
        data: ``(rows, inputs)``, below 2**data_bits in magnitude.
        weights: ``(inputs, outputs)``, below 2**weight_bits.
    """
    total = as_objects(np.zeros((len(data), weights.shape[1]), dtype=np.int64))
    ones, twos = _limbs(data, data_bits), _limbs(weights, weight_bits)
    for (low, one), (other_low, two) in product(ones, twos):
        total = total + (as_objects(_in_floats(one, two)) << (low + other_low))
    return total


def _limbs(codes: Codes, bits: int) -> list[tuple[int, Codes]]:
    """Integers as sums of small ones, each with its power of two; 2**21 products of two add up exactly in float64."""
    lows = range(0, bits, _LIMB)
    parts = [codes >> low if low + _LIMB >= bits else (codes >> low) & ((1 << _LIMB) - 1) for low in lows]
    return [(low, np.asarray(part, dtype=np.int64)) for low, part in zip(lows, parts, strict=True)]


def _in_floats(data: Codes, weights: Codes) -> Codes:
    """A matrix product of integers in float64, a few rows at a time: they stay in the cache, on one thread."""
    floats = weights.astype(np.float64)
    out = np.empty((len(data), weights.shape[1]), dtype=np.int64)
    step = max(_ROWS, BLOCK * 16 // max(weights.size, 1))
    for start in range(0, len(data), step):
        out[start : start + step] = data[start : start + step].astype(np.float64) @ floats
    return out


def sum_of_remainders(data: Codes, weights: Codes, bits: int) -> Codes:
    """``sum over i of (data[r, i] weights[i, o] mod 2**bits)``, as ``(rows, outputs)``.

    Args:
        data: ``(rows, inputs)``.
        weights: ``(inputs, outputs)``.
        bits: below 32; only so many low bits of the operands matter.
    """
    width = 16 if bits <= 12 else 32 if bits <= 28 else 64
    word = np.dtype(f"uint{width}").type
    mask = word((1 << bits) - 1)
    one, two = np.ascontiguousarray(data.T).astype(word), weights.astype(word)
    out = np.empty((len(data), weights.shape[1]), dtype=np.int64)
    # The long axis comes last, where NumPy's inner loop is.
    swapped = len(data) > weights.shape[1]
    a, b, result = (two, one, out.T) if swapped else (one, two, out)
    columns = min(b.shape[1], BLOCK)
    rows = max(1, BLOCK // max(columns, 1))
    room = 1 << (width - bits)  # remainders that can be added before a word overflows
    for top in range(0, a.shape[1], rows):
        for left in range(0, b.shape[1], columns):
            part = _remainders(a[:, top : top + rows], b[:, left : left + columns], mask, room)
            result[top : top + rows, left : left + columns] = part
    return out


def _remainders(a: npt.NDArray, b: npt.NDArray, mask: np.unsignedinteger, room: int) -> Codes:
    total = np.zeros((a.shape[1], b.shape[1]), dtype=np.int64)
    sums, product = np.zeros(total.shape, dtype=a.dtype), np.empty(total.shape, dtype=a.dtype)
    for index in range(len(a)):
        np.multiply(a[index][:, None], b[index], out=product)
        np.bitwise_and(product, mask, out=product)
        np.add(sums, product, out=sums)
        if (index + 1) % room == 0:
            total += sums
            sums[:] = 0
    return total + sums.astype(np.int64)
