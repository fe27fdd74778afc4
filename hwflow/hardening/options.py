"""The options of hardening."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from hwflow.codes import Protections
from hwflow.errors import HwflowError
from hwflow.fixed import FixedType, Overflow, Rounding

Scaling = Literal["exact", "pow2", "none"]
Align = Literal["shift", "multiply"]
Compensation = Literal["logits", "layer", "none"]
Granularity = Literal["layer", "channel"]

T_MARGIN = 1.97 / 1.984375
"""The paper's t as a fraction of the largest value of its 8-bit format (section IV.D)."""

MAX_HEADROOM = 4
"""Of the 16 bits of a bias."""


@dataclass(frozen=True)
class ScalingOptions:
    """How weights are scaled.

    Attributes:
        weight_type: type of the stored weights.
        t: largest magnitude of the scaled weights; by default the largest value of ``weight_type``
            times 1.97/1.984375.
        scale: ``exact`` stores c W with c = t / max|W|; ``pow2`` rounds every c down to a power of
            two; ``none`` stores W as it is (the baseline).
        align: how the inputs of an Add are brought to one scale: ``shift`` lowers the last constant
            of one branch by less than two so that a move of the binary point does it, ``multiply``
            keeps every constant optimal and spends a constant multiplier.
        compensation: divide the output ``logits`` by the product of the constants, or every
            ``layer``'s accumulator by its own constant, or ``none`` at all.
        saturate: accept scaled weights outside the format and saturate them.
        granularity: one constant a ``layer``, or one an output ``channel`` (at most ``CHANNEL_SPREAD`` times the
            layer's), c = t / max|W[channel]|.
        absorb: with a constant per output channel, let the next layer's weights take in the scale per channel. It
            costs no hardware, but a flipped bit in a weight of a large-scaled input channel then weighs more, and
            accuracy suffers; else a multiplier per channel after the layer makes the scale uniform again.
        outliers: fraction of the weights of every convolution and dense layer, the largest, that do not count for
            max|W|, so that c grows. What of them the format cannot hold is kept in a side memory, see
            :class:`~hwflow.graph.Outliers`. Without scaling, weights outside the format are kept there.
        renormalise: for float targets: where |log2 S| exceeds this, a multiplication by a power of two brings S
            back to about one. Fixed point needs none: there the power of two is a move of the binary point.
    """

    weight_type: FixedType = FixedType(8, 3)
    t: float | None = None
    scale: Scaling = "exact"
    align: Align = "shift"
    compensation: Compensation = "logits"
    saturate: bool = False
    granularity: Granularity = "layer"
    absorb: bool = False
    renormalise: float | None = None
    outliers: float = 0.0

    def __post_init__(self) -> None:
        for name, kind in (
            ("scale", Scaling),
            ("align", Align),
            ("compensation", Compensation),
            ("granularity", Granularity),
        ):
            if getattr(self, name) not in get_args(kind):
                raise HwflowError(f"{name}={getattr(self, name)!r} is not one of {', '.join(get_args(kind))}")
        if self.t is not None and not (math.isfinite(self.t) and self.t > 0):
            raise HwflowError(f"t={self.t} must be a positive number")
        if self.renormalise is not None and not (math.isfinite(self.renormalise) and self.renormalise >= 1):
            raise HwflowError(f"renormalise={self.renormalise} must be at least 1, in bits of |log2 S|")
        if not 0 <= self.outliers < 1:
            raise HwflowError(f"outliers={self.outliers} must be a fraction of the weights, from 0 to less than 1")
        if not self.weight_type.signed:
            raise HwflowError(f"weights need a signed type, not {self.weight_type}")
        if self.scale != "none" and not self.saturate and self.target > self.weight_type.max:
            raise HwflowError(
                f"t={self.target} does not fit {self.weight_type}, whose largest value is {self.weight_type.max}; "
                "lower t or allow saturation"
            )

    @property
    def target(self) -> float:
        """The t in use."""
        return self.weight_type.max * T_MARGIN if self.t is None else self.t

    @property
    def memory_type(self) -> FixedType:
        """The type of the weight memory: weights are rounded to nearest even, and saturate."""
        return replace(self.weight_type, rounding=Rounding.RND_CONV, overflow=Overflow.SAT)


@dataclass(frozen=True)
class HardenOptions:
    """How a network is hardened.

    Attributes:
        scaling: weight format, t and the scale plan's options.
        activation_bits: width of every activation, 8 to 16.
        table_bits: bits that address the table of an activation, 8 to 16: entries are 2 to that.
        guard_bits: integer bits added to what calibration finds, for images and faults that go beyond.
        rounding: how an accumulator is rounded when it becomes an activation.
        storage: storage code of the weight memories, ``NAME[:BER]``, or by layer ``PATTERN=NAME[:BER],...``; see
            :class:`hwflow.codes.Protections`.
        calibrated_rounding: weights that are fitted to a storage code make up for each other's rounding, see
            :mod:`hwflow.hardening.compensation`.
        headroom: integer bits added to biases, constant multipliers, rests of outliers and accumulators, for networks
            that are hardened like this one later (:class:`hwflow.hardening.Like`).
    """

    scaling: ScalingOptions = field(default_factory=ScalingOptions)
    activation_bits: int = 16
    guard_bits: int = 1
    rounding: Rounding = Rounding.RND
    storage: str = "plain"
    calibrated_rounding: bool = True
    headroom: int = 0
    table_bits: int = 13

    def __post_init__(self) -> None:
        if not 8 <= self.activation_bits <= 16:
            raise HwflowError(f"activation_bits={self.activation_bits} must be 8 to 16")
        if not 0 <= self.guard_bits < self.activation_bits:
            raise HwflowError(f"guard_bits={self.guard_bits} must be 0 to {self.activation_bits - 1}")
        if not 8 <= self.table_bits <= 16:
            raise HwflowError(f"table_bits={self.table_bits} must be 8 to 16")
        if not 0 <= self.headroom <= MAX_HEADROOM:
            raise HwflowError(f"headroom={self.headroom} must be 0 to {MAX_HEADROOM} bits")
        self.protections.bits(self.scaling.weight_type)  # refuses what a code does not take, before any work
        if self.protections.fitted and self.scaling.outliers:
            raise HwflowError(f"storage={self.storage!r} is fitted to all weights of a layer; leave out the outliers")
        if not self.protections.lossless and self.scaling.outliers:
            raise HwflowError(
                f"storage={self.storage!r} does not have the weights that outliers complete; leave out the outliers"
            )

    @property
    def protections(self) -> Protections:
        """``storage``, taken apart."""
        return Protections.parse(self.storage)
