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
        """The memory, one word a weight, and where weights are read together as many as fill the last of a row."""
        return Memory(f"{self.name}.weight", self._layout.words * self._layout.per_word, self.format.bits)

    @cached_property
    def _layout(self) -> Layout:
        together = 1 if self.protection is None else self.protection.together
        return Layout(self.n_out, self.weights.size // self.n_out, together)

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
        """The stored words ``(memory.words,)``, fault-free."""
        if self.protection is None:
            return self._plain(np.arange(self.weights.size))
        return self._together(np.arange(self._layout.words), self.protection)[1].reshape(-1)

    def read(self) -> Float32:
        """The weights as they are read without faults, of the Keras shape."""
        out = np.empty(self.weights.size, dtype=np.float32)
        size = max(1, _BLOCK // self._layout.per_word)
        for start in range(0, self._layout.words, size):
            groups = np.arange(start, min(start + size, self._layout.words))
            if self.protection is None:
                words, read = groups, self._plain(groups)
            else:
                members, stored = self._together(groups, self.protection)
                words, read = members[members >= 0], self.protection.decode(stored)[members >= 0]
            out[self._position(words)] = self._recovered(words, read)
        return out.reshape(self.weights.shape)

    def upset(self, faults: FaultList) -> tuple[npt.NDArray[np.int64], Float32]:
        """What reading the words that `faults` touches gives.

        Returns:
            Flat positions ``(m,)`` in the Keras kernel and the float32 weights there.
        """
        words, flips = faults.masks(self.memory.name)
        masks = to_uint64(flips)
        if self.protection is not None:
            group, place = np.divmod(words, self._layout.per_word)
            groups, inverse = np.unique(group, return_inverse=True)
            members, stored = self._together(groups, self.protection)
            stored[inverse.reshape(-1), place] ^= masks
            read, held = self.protection.decode(stored)[members >= 0], members[members >= 0]
            return self._position(held), self._recovered(held, read)
        if self._msb_is_safe:
            masks = masks & ~np.uint64(1 << self._msb)
            hit = masks != 0
            words, masks = words[hit], masks[hit]
        if len(self.outside):
            inside = ~np.isin(words, self.outside)
            words, masks = words[inside], masks[inside]
        return self._position(words), self._recovered(words, self._plain(words) ^ masks)

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

    def _together(
        self, groups: npt.NDArray[np.int64], protection: FloatProtection
    ) -> tuple[npt.NDArray[np.int64], Patterns]:
        """The weights ``(n, together)`` that are read together, by index, -1 beyond a row's end; and as stored."""
        members = self._layout.indices(groups)
        plain = np.zeros(members.shape, dtype=np.uint64)
        plain[members >= 0] = self._plain(members[members >= 0])
        return members, protection.encode(plain)

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
