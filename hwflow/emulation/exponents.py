"""Weights that are powers of two: ``product::weight_exponential``, a shift and a sign."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hwflow.emulation.exact import Exact, limited
from hwflow.fixed import Codes, FixedType, Values
from hwflow.wide import as_objects, assign, parse_type


@dataclass(frozen=True)
class Exponents:
    """An array of powers of two.

    Attributes:
        signs: -1 or 1 each.
        powers: of two, each.
        width: of hls4ml's type of the powers.
    """

    signs: Codes
    powers: Codes
    width: int

    @classmethod
    def of(cls, values: Values, width: int, signed: bool) -> Exponents:
        """Of real values other than zero; powers are cut toward zero, and wrap in their type."""
        powers = FixedType(width, width, signed).encode(np.trunc(np.log2(np.abs(values))))
        return cls(np.where(values < 0, -1, 1), powers, width)

    def __getitem__(self, index: Codes) -> Exponents:
        return Exponents(self.signs[index], self.powers[index], self.width)

    def reshape(self, *shape: int) -> Exponents:
        """The same in another shape."""
        return Exponents(self.signs.reshape(shape), self.powers.reshape(shape), self.width)

    @property
    def T(self) -> Exponents:
        """The matrix transposed."""
        return Exponents(self.signs.T, self.powers.T, self.width)

    def times(self, codes: Codes, source: FixedType) -> Exact:
        """Products, in the header's type: of twice the bits of both operands, half of them before the point."""
        half = self.width + source.width
        room = parse_type(f"fixed<{2 * half},{half}>")
        left, right = (as_objects(np.clip(each, 0, 2 * half)) for each in (self.powers, -self.powers))
        shifted = assign(as_objects(Exact.of(codes, source).to(room)) << left >> right, room.fraction, room)
        return Exact.of(assign(as_objects(shifted) * as_objects(self.signs), room.fraction, room), room)

    def sums(self, source: FixedType, bias: Codes, accum: FixedType, order: Codes) -> Callable[[Codes], Codes]:
        """As :meth:`hwflow.emulation.products.Products.sums`, of a matrix ``(inputs, outputs)``."""

        def apply(rows: Codes) -> Codes:
            total = np.broadcast_to(bias, (len(rows), len(bias)))
            for index in order:
                total = limited(total + self[index].times(rows[:, index, None], source).to(accum), accum)
            return total

        return apply
