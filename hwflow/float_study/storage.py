"""Scaled weights in fault-prone memory, and what reading them under faults gives (equations 2 to 6)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from hwflow.codes.layout import Layout, position
from hwflow.codes.words import to_uint64
from hwflow.errors import HwflowError
from hwflow.faults import FaultList, Memory
from hwflow.float_study.protections import FloatProtection
from hwflow.float_study.words import FloatFormat, Patterns, Values, WeightFormat

Msb = Literal["assume", "clamp", "sparse", "none"]
MSB_MODES: tuple[Msb, ...] = get_args(Msb)
PerWhat = Literal["layer", "channel"]
Float32 = npt.NDArray[np.float32]

_INDEX_BITS = 32  # of an entry in the side memory
_BLOCK = 1 << 20  # words; bounds the float64 temporaries of large layers


@dataclass(frozen=True, eq=False)
class StoredLayer:
    """One layer's weights, stored as `c W` in a format; word order as in `hwflow.memory`.

    Attributes:
        name: of the layer; its memory is ``<name>.weight``.
        weights: float32 of the Keras shape ``(..., outputs)``.
        c: constants ``(1,)``, or one an output, ``(outputs,)``.
        format: what they are stored in.
        msb: what protects the most significant exponent bit: ``assume`` (it never flips), ``clamp``
            (weights clamped to (-2, 2), the bit is not stored), ``sparse`` (the same, but weights outside
            are kept in a protected side memory), or ``none``. Fixed point has no such bit.
        protection: what protects bits by others of the weight or of its neighbours; it needs ``msb = "none"``.
    """

    name: str
    weights: Float32
    c: Values
    format: WeightFormat
    msb: Msb = "assume"
    protection: FloatProtection | None = None

    def __post_init__(self) -> None:
        if self.msb not in MSB_MODES:
            raise HwflowError(f"msb={self.msb!r} is not one of {', '.join(MSB_MODES)}")
        if self.protection is not None and self.msb != "none":
            raise HwflowError(
                f"a protection covers the most significant exponent bit; it needs msb='none', not {self.msb!r}"
            )
        if not np.isfinite(self.weights).all():
            raise HwflowError(f"{self.name}: its weights hold NaN or infinity; retrain or mend the model")

    @property
    def memory(self) -> Memory:
        """The memory, one word a weight."""
        return Memory(f"{self.name}.weight", self.weights.size, self.format.bits)

    @property
    def n_out(self) -> int:
        """Outputs: the last axis."""
        return int(self.weights.shape[-1])

    @cached_property
    def outside(self) -> npt.NDArray[np.int64]:
        """Patterns whose weight is kept in the side memory, ascending."""
        if self.msb != "sparse" or not isinstance(self.format, FloatFormat):
            return np.empty(0, dtype=np.int64)
        scaled = np.abs(self._scaled(np.arange(self.weights.size)))
        return np.flatnonzero(self.format.decode(self.format.encode(scaled)) >= 2.0)

    @property
    def side_bits(self) -> int:
        """Bits of the protected side memory: an index and a weight for each entry."""
        return len(self.outside) * (_INDEX_BITS + self.format.bits)

    def words(self) -> Patterns:
        """The stored words ``(weights,)``, fault-free."""
        return self._stored(np.arange(self.weights.size))

    def read(self) -> Float32:
        """The weights as they are read without faults, of the Keras shape."""
        out = np.empty(self.weights.size, dtype=np.float32)
        for start in range(0, self.weights.size, _BLOCK):
            words = np.arange(start, min(start + _BLOCK, self.weights.size))
            if self.protection is None:
                out[self._position(words)] = self._recovered(words, self._plain(words))
            else:
                unharmed = np.zeros(len(words), dtype=np.uint64)
                positions, values = self._read_together(words, unharmed, self.protection)
                out[positions] = values
        return out.reshape(self.weights.shape)

    def upset(self, faults: FaultList) -> tuple[npt.NDArray[np.int64], Float32]:
        """What reading the words that `faults` touches gives.

        Returns:
            Flat positions ``(m,)`` in the Keras kernel and the float32 weights there.
        """
        words, flips = faults.masks(self.memory.name)
        masks = to_uint64(flips)
        if self.protection is not None:
            return self._read_together(words, masks, self.protection)
        if self._msb_is_safe:
            masks = masks & ~np.uint64(1 << self._msb)
            hit = masks != 0
            words, masks = words[hit], masks[hit]
        if len(self.outside):
            inside = ~np.isin(words, self.outside)
            words, masks = words[inside], masks[inside]
        return self._position(words), self._recovered(words, self._stored(words) ^ masks)

    @property
    def _msb(self) -> int:
        return self.format.exponent_msb or 0

    @property
    def _msb_is_safe(self) -> bool:
        return self.format.exponent_msb is not None and self.msb != "none"

    def _position(self, words: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Where in the flat Keras kernel (outputs last) a word (outputs first) belongs."""
        output, source = position(words, self.weights.size // self.n_out)
        return source * self.n_out + output

    def _constants(self, words: npt.NDArray[np.int64]) -> Values:
        if len(self.c) == 1:
            return self.c
        return self.c[position(words, self.weights.size // self.n_out)[0]]

    def _scaled(self, words: npt.NDArray[np.int64]) -> Values:
        values = self.weights.reshape(-1)[self._position(words)].astype(np.float64)
        return values * self._constants(words)

    def _read_together(
        self, words: npt.NDArray[np.int64], masks: Patterns, protection: FloatProtection
    ) -> tuple[npt.NDArray[np.int64], Float32]:
        """Positions and values of the weights that are read with some words, whose bits are flipped."""
        members, stored, at = self._groups(words, protection)
        stored[at] ^= masks
        read, held = protection.decode(stored)[members >= 0], members[members >= 0]
        return self._position(held), self._recovered(held, read)

    def _groups(
        self, words: npt.NDArray[np.int64], protection: FloatProtection
    ) -> tuple[npt.NDArray[np.int64], Patterns, tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
        """The words that are read with some, -1 where a row ends, as they are stored, and where the some are."""
        layout = Layout(self.n_out, self.weights.size // self.n_out, protection.together)
        group, place = layout.place(words)
        groups, inverse = np.unique(group, return_inverse=True)
        members = layout.indices(groups)
        plain = np.zeros(members.shape, dtype=np.uint64)
        plain[members >= 0] = self._plain(members[members >= 0])
        return members, protection.encode(plain), (inverse.reshape(-1), place)

    def _stored(self, words: npt.NDArray[np.int64]) -> Patterns:
        if self.protection is None:
            return self._plain(words)
        _, stored, at = self._groups(words, self.protection)
        return stored[at]

    def _plain(self, words: npt.NDArray[np.int64]) -> Patterns:
        scaled = self._scaled(words)
        if isinstance(self.format, FloatFormat) and self.msb in ("clamp", "sparse"):
            limit = self.format.largest_below_two
            scaled = np.clip(scaled, -limit, limit)
        return self.format.encode(scaled)

    def _recovered(self, words: npt.NDArray[np.int64], stored: Patterns) -> Float32:
        values = self.format.decode(stored)
        if len(self.outside):
            kept = np.isin(words, self.outside)
            values[kept] = self.format.decode(self.format.encode(self._scaled(words[kept])))
        with np.errstate(over="ignore"):
            return (values / self._constants(words)).astype(np.float32)


def store(
    name: str,
    weights: Float32,
    format_: WeightFormat,
    t: float | None,
    msb: Msb = "assume",
    per: PerWhat = "layer",
    protection: FloatProtection | None = None,
) -> StoredLayer:
    """Weights scaled by `c = t / max|W|` (equation 6); t None stores them as they are.

    Args:
        name: of the layer.
        weights: float32, ``(..., outputs)``.
        format_: what they are stored in.
        t: largest magnitude of the scaled weights. Beyond the format's range they overflow, as the type says.
        msb: see `StoredLayer`.
        per: one constant a ``layer``, or one an output ``channel``.
        protection: see `StoredLayer`.

    Raises:
        HwflowError: weights that are not finite, or a t that is not positive.
    """
    if t is not None and not (np.isfinite(t) and t > 0):
        raise HwflowError(f"t={t} must be a positive number")
    axes = tuple(range(weights.ndim - 1)) if per == "channel" else None
    largest = np.atleast_1d(np.max(np.abs(weights), axis=axes, initial=0.0)).astype(np.float64)
    c = np.ones_like(largest)
    if t is not None:
        np.divide(t, largest, out=c, where=largest > 0)
    return StoredLayer(name, weights, c if t is not None else c[:1], format_, msb, protection)
