"""From an exact sum to the next tensor: casts, ReLU and constant factors as one compiled epilogue."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hwflow.fixed import FixedType, Overflow, Rounding

INT64_BITS = 60
"""Widest value that the step-by-step path takes: a rounding constant added to it stays inside int64."""

_ROUNDINGS = tuple(Rounding)
_CAST, _RELU, _MULTIPLY, _CLIP = range(4)
_FITS, _WRAP, _SATURATE = range(3)
STAGES, INT32, FLOAT64 = range(3)


class NotCompiled(Exception):
    """No compiled kernel is exact for this node; the message says which bound it misses."""


@dataclass(frozen=True)
class Storage:
    """How a tensor is held between kernels.

    Attributes:
        wide: int64 codes; else code - ``offset``, in int16 or in bytes.
        offset: 32768 for unsigned 16-bit types, which int16 holds only shifted; -128 for signed types in bytes.
        bytes: uint8 instead of int16.
    """

    wide: bool
    offset: int = 0
    bytes: bool = False

    @classmethod
    def of(cls, type_: FixedType, bytes: bool = False) -> Storage:
        """The narrowest storage of a type; ``bytes`` says whether the kernels take uint8."""
        if bytes and type_.width <= 8:
            return cls(False, -(1 << 7) if type_.signed else 0, True)
        if type_.width + (not type_.signed) <= 16:
            return cls(False)
        return cls(False, 1 << 15) if type_.width == 16 else cls(True)

    @property
    def dtype(self) -> npt.DTypeLike:
        """Element type of the array."""
        return np.int64 if self.wide else np.uint8 if self.bytes else np.int16

    @property
    def kind(self) -> int:
        """``Kind`` of interface.h."""
        return 1 if self.wide else 2 if self.bytes else 0


@dataclass(frozen=True)
class Relu:
    """max(value, 0)."""


@dataclass(frozen=True)
class Clip:
    """min(value, high), of codes that are not negative."""

    high: int


@dataclass(frozen=True)
class Multiply:
    """The exact product with constant codes, one or one a channel, of a type."""

    codes: npt.NDArray[np.int64]
    type: FixedType


@dataclass(frozen=True)
class Cast:
    """Assignment from one type to another."""

    source: FixedType
    target: FixedType

    @property
    def right(self) -> int:
        """Bits that are dropped; negative: added."""
        right = self.source.fraction - self.target.fraction
        # beyond it every value is less than half of the LSB
        return min(right, self.source.width + 1)

    @property
    def bounds(self) -> tuple[int, int]:
        """Codes that a saturating target yields; of others, all that it can hold."""
        if self.target.overflow is Overflow.WRAP:
            return lowest(self.target), self.target.max_code
        return self.target.min_code, self.target.max_code

    @property
    def fits(self) -> bool:
        """Whether no value of the source overflows the target, however it is rounded."""
        low = lowest(self.source)
        low = low >> self.right if self.right > 0 else low << -self.right
        return self.bounds[0] <= low and self.fits_above

    @property
    def fits_above(self) -> bool:
        """Whether no positive value of the source overflows the target."""
        high = self.source.max_code
        return (-(-high >> self.right) if self.right > 0 else high << -self.right) <= self.bounds[1]


EpilogueStep = Cast | Relu | Clip | Multiply


def lowest(type_: FixedType) -> int:
    """The smallest code that the wires carry; saturation may stop earlier."""
    return -(1 << (type_.width - 1)) if type_.signed else 0


def cast(source: FixedType, target: FixedType) -> list[EpilogueStep]:
    """An assignment; between equal types it copies the bits."""
    return [] if source == target else [Cast(source, target)]


@dataclass(frozen=True)
class _Fast:
    """clamp(round(value x factor x 2^-right), low, high)."""

    right: int
    rounding: Rounding
    low: int
    high: int
    factor: Multiply | None


def _collapse(steps: Sequence[EpilogueStep]) -> _Fast | None:
    """The steps as one rounding and one clamp, if they are that.

    Rounding is monotone and keeps 0, so ReLU before a saturating cast is ReLU after it; clamps in a row
    are one clamp.
    """
    factor: Multiply | None = None
    relu = False
    fast: _Fast | None = None
    for step in steps:
        if isinstance(step, Relu):
            relu = True
            if fast is not None:
                fast = _Fast(fast.right, fast.rounding, max(fast.low, 0), max(fast.high, 0), fast.factor)
        elif isinstance(step, Clip):
            if fast is None:
                fast = _Fast(0, Rounding.TRN, 0 if relu else -(1 << 31), (1 << 31) - 1, factor)
            fast = _Fast(fast.right, fast.rounding, min(fast.low, step.high), min(fast.high, step.high), fast.factor)
        elif isinstance(step, Multiply):
            if factor is not None or fast is not None or relu:
                return None
            factor = step
        else:
            if step.target.overflow is Overflow.WRAP and not (step.fits or (relu and step.fits_above)):
                return None
            low, high = step.bounds
            if fast is None:
                # after ReLU the value is not negative
                fast = _Fast(step.right, step.target.rounding, max(low, 0) if relu else low, high, factor)
            elif step.right == 0:
                clamped = [min(max(bound, low), high) for bound in (fast.low, fast.high)]
                fast = _Fast(fast.right, fast.rounding, clamped[0], clamped[1], fast.factor)
            else:
                return None
    if fast is None and factor is None:
        return _Fast(0, Rounding.TRN, 0 if relu else -(1 << 31), (1 << 31) - 1, None)
    return fast


class StageStruct(ctypes.Structure):
    """``Stage`` of interface.h."""

    _fields_ = (
        ("kind", ctypes.c_int32),
        ("right", ctypes.c_int32),
        ("rounding", ctypes.c_int32),
        ("overflow", ctypes.c_int32),
        ("width", ctypes.c_int32),
        ("is_signed", ctypes.c_int32),
        ("low", ctypes.c_int64),
        ("high", ctypes.c_int64),
        ("factors", ctypes.c_void_p),
        ("factor_count", ctypes.c_int64),
    )


class EpilogueStruct(ctypes.Structure):
    """``Epilogue`` of interface.h."""

    _fields_ = (
        ("path", ctypes.c_int32),
        ("right", ctypes.c_int32),
        ("rounding", ctypes.c_int32),
        ("out_kind", ctypes.c_int32),
        ("low", ctypes.c_int64),
        ("high", ctypes.c_int64),
        ("out_offset", ctypes.c_int64),
        ("factors", ctypes.c_void_p),
        ("stage_count", ctypes.c_int32),
        ("reserved", ctypes.c_int32),
        ("stages", ctypes.c_void_p),
    )


class Epilogue:
    """Compiled form of some steps, with the proof of the path that they take.

    Args:
        steps: from the exact sum to the output.
        magnitude: no sum exceeds it.
        channels: channels of the output.
        out: storage of the output.
        int32_sums: whether the kernel hands over sums in int32 or can.

    Raises:
        NotCompiled: a value may need more than the 60 bits that the slowest path takes.
    """

    def __init__(
        self, steps: Sequence[EpilogueStep], magnitude: int, channels: int, out: Storage, int32_sums: bool = True
    ) -> None:
        fast = None if out.wide else _collapse(steps)
        self._keep: list[object] = []
        self.struct = EpilogueStruct(out_kind=out.kind, out_offset=out.offset)
        if fast is not None:
            product = magnitude * (1 if fast.factor is None else int(fast.factor.codes.max()))
            # int32: the sum and the rounding constant, at most 2^right, stay inside.
            if fast.factor is None and 0 <= fast.right <= 30 and int32_sums and magnitude + (1 << fast.right) < 1 << 31:
                self._fast(INT32, fast)
                return
            # float64: a product below 2^52 is exact, and so is half an LSB added to it.
            if product < 1 << 52:
                self._fast(FLOAT64, fast)
                if fast.factor is not None:
                    padded = np.zeros(channels + 32, dtype=np.float64)
                    padded[:channels] = fast.factor.codes
                    self.struct.factors = self._hold(padded)
                return
        self.struct.path = STAGES
        if magnitude.bit_length() > INT64_BITS:
            raise NotCompiled(f"a sum needs more than {INT64_BITS} bits")
        stages = (StageStruct * max(len(steps), 1))()
        for stage, step in zip(stages, steps, strict=False):
            self._stage(stage, step)
        self._keep.append(stages)
        self.struct.stages = ctypes.addressof(stages)
        self.struct.stage_count = len(steps)

    @property
    def path(self) -> int:
        """``STAGES``, ``INT32`` or ``FLOAT64``."""
        return int(self.struct.path)

    @property
    def shift(self) -> int:
        """Bits that are dropped, if nothing but a constant, a shift and a clamp are left to do; else 0."""
        struct = self.struct
        constant = _ROUNDINGS[struct.rounding] in (Rounding.TRN, Rounding.RND, Rounding.RND_MIN_INF)
        plain = self.path != STAGES and not struct.factors and constant
        return int(struct.right) if plain and 0 < struct.right <= 30 else 0

    def _fast(self, path: int, fast: _Fast) -> None:
        self.struct.path, self.struct.right = path, fast.right
        self.struct.rounding = _ROUNDINGS.index(fast.rounding)
        self.struct.low, self.struct.high = fast.low, fast.high

    def _hold(self, array: npt.NDArray[np.generic]) -> int:
        """Keep an array alive as long as this object; its address."""
        self._keep.append(array)
        return int(array.ctypes.data)

    def _stage(self, stage: StageStruct, step: EpilogueStep) -> None:
        if isinstance(step, Relu):
            stage.kind = _RELU
        elif isinstance(step, Clip):
            stage.kind, stage.high = _CLIP, step.high
        elif isinstance(step, Multiply):
            stage.kind = _MULTIPLY
            codes = np.ascontiguousarray(step.codes, dtype=np.int64)
            stage.factors, stage.factor_count = self._hold(codes), codes.size
        else:
            right = step.right
            if step.source.width - min(right, 0) > INT64_BITS:
                raise NotCompiled(f"a cast from {step.source} to {step.target} needs more than {INT64_BITS} bits")
            stage.kind, stage.right = _CAST, right
            stage.rounding = _ROUNDINGS.index(step.target.rounding)
            stage.overflow = _WRAP if step.target.overflow is Overflow.WRAP else _SATURATE
            if step.fits:
                stage.overflow = _FITS
            stage.width, stage.is_signed = step.target.width, int(step.target.signed)
            stage.low, stage.high = step.bounds
