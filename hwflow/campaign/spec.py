"""What a campaign sweeps, checked before anything runs; `hwflow.campaign.spec_file` reads it from TOML."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, ConfigDict

from hwflow.campaign.kinds import Real, Reals, Text, Texts, Whole, Wholes, check_range, listed, nearest
from hwflow.campaign.statistics import Interval
from hwflow.codes import Protections
from hwflow.errors import HwflowError
from hwflow.faults.models import MODELS, Asymmetric, Clustered, FaultModel, Independent, StuckAt
from hwflow.float_study import MSB_MODES, Msb, WeightFormat, float_protection, weight_format
from hwflow.float_study.words import FixedFormat
from hwflow.hardening import HardenOptions
from hwflow.hardening.options import Align, Compensation, Granularity, ScalingOptions

ExecutorName = Literal["float", "reference"]
Where = Literal["all", "layers", "bits"]
T = float | Literal["none", "optimal"]

MAX_ROUNDS = 1_000_000
MAX_CLASSES = 1_000_000
MAX_PIXELS = 8192
MAX_INTERLEAVE = 1 << 30
MAX_SEED = (1 << 64) - 1
MAX_BITS = 512
"""Of a stored word."""


def _table(value: Any) -> Any:
    return {"model": value} if isinstance(value, str) else value


def _one_t(value: Any) -> T:
    if value == "none" or value == "optimal":
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    raise HwflowError("is not a number, 'none' or 'optimal'")


Ts = Annotated[tuple[Annotated[T, BeforeValidator(_one_t)], ...], BeforeValidator(listed)]


@dataclass(frozen=True)
class ModelSpec:
    """A network of a campaign, or a design of one.

    Attributes:
        model: an embedded network, a port such as ``resnet20``, or a model file. Of a design, the name of the network
            that it is compared as; by default what was hardened.
        weights: a port's state dict.
        name: what to call it; by default ``model``, or the name of the design's folder.
        classes: a port's logits; None for the original's.
        image_size: a port's image, pixels; None for the original's.
        design: a folder that ``hwflow harden`` wrote: its graph runs as it is, so that it has one value of every
            axis.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    model: Text = ""
    weights: Text | None = None
    name: Text = ""
    classes: Whole | None = None
    image_size: Whole | None = None
    design: Text | None = None

    def __post_init__(self) -> None:
        if not self.model and self.design is None:
            raise HwflowError("model: is missing; name a network, or a 'design'")
        if self.design == "":
            raise HwflowError("design: is empty; name a folder of 'hwflow harden'")
        if self.design is not None and (self.weights, self.classes, self.image_size) != (None, None, None):
            raise HwflowError("design: brings its weights and shape; leave out weights, classes and image_size")
        if not self.name:
            name = self.model if self.design is None else Path(self.design).name or self.design
            object.__setattr__(self, "name", name)
        if not self.name.isprintable():
            raise HwflowError(f"name: {self.name!r} has characters that cannot be printed")
        check_range("classes", self.classes, 1, MAX_CLASSES)
        check_range("image_size", self.image_size, 1, MAX_PIXELS)


@dataclass(frozen=True)
class FaultSpec:
    """How memories fail at a bit error rate; see `hwflow.faults.models`.

    Attributes:
        model: ``ber``, ``asymmetric``, ``stuck-at`` or ``clustered``.
        up, down: asymmetric: times the bit error rate, of 0 -> 1 and 1 -> 0.
        ones: stuck-at: share of the stuck cells that is stuck at 1.
        sizes, interleave: clustered: probabilities of the cluster sizes, and words that share a row.
        layers, bits: faults in layers of these names, at these bit positions, only; None for all.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    model: Text = "ber"
    up: Real = 1.0
    down: Real = 1.0
    ones: Real = 0.5
    sizes: tuple[Real, ...] = (0.7, 0.2, 0.07, 0.03)
    interleave: Whole = 1
    layers: tuple[Text, ...] | None = None
    bits: tuple[Whole, ...] | None = None

    def __post_init__(self) -> None:
        if self.model not in MODELS:
            raise HwflowError(f"model: {self.model!r} is unknown; {nearest(self.model, tuple(MODELS))}")
        for model, names in _FAULT_KEYS.items():
            for name in names:
                if model != self.model and getattr(self, name) != getattr(FaultSpec, name):
                    raise HwflowError(f"{name}: is of model = {model!r}, but the model is {self.model!r}; leave it out")
        check_range("interleave", self.interleave, 1, MAX_INTERLEAVE)
        for name in ("layers", "bits"):
            if getattr(self, name) == ():
                raise HwflowError(f"{name}: is empty, so that no fault would be left; give at least one")
        for bit in self.bits or ():
            check_range("bits", bit, 0, MAX_BITS - 1)
        self.at(0.0)

    def at(self, ber: float) -> FaultModel:
        """The fault model at a bit error rate."""
        match self.model:
            case "ber":
                return Independent(ber)
            case "asymmetric":
                return Asymmetric(self.up * ber, self.down * ber)
            case "stuck-at":
                return StuckAt(ber, self.ones)
            case "clustered":
                return Clustered(ber, self.sizes, self.interleave)
        raise AssertionError(self.model)


_FAULT_KEYS = {"asymmetric": ("up", "down"), "stuck-at": ("ones",), "clustered": ("sizes", "interleave")}

Models = Annotated[tuple[Annotated[ModelSpec, BeforeValidator(_table)], ...], BeforeValidator(listed)]


@dataclass(frozen=True)
class CampaignSpec:
    """A sweep: every combination of model, way to store the weights, bit error rate and place is a cell.

    Attributes:
        models: the networks.
        formats: weight formats.
        t: largest magnitudes of the scaled weights; ``none`` is the unscaled baseline, ``optimal`` the format's.
        ber: bit error rates; 0 is always measured too.
        protections: storage codes of the weight memories; in the float executor, of FP32 and FP16, those of
            `hwflow.float_study.protections`.
        granularity: a constant for every ``layer`` or every output ``channel``.
        outliers, align, compensation, activation_bits: of the reference executor, see
            `hwflow.hardening.ScalingOptions` and `hwflow.hardening.HardenOptions`.
        protect_top: of the reference executor, fractions of the weights, the most critical ones by runs on the
            calibration images, that are kept in side memories, see `hwflow.stages.protect`.
        where: faults in ``all`` places; or also in each of the ``layers`` alone; or at each of the ``bits`` alone.
        rounds: fault lists a cell.
        until_ci: add rounds until half the width of the mean's confidence interval is at most so many points.
        max_rounds: cap of that.
        interval: ``wilson`` or ``bootstrap``, 95 %, see `hwflow.campaign.statistics.summarise`.
        seed: of all fault lists.
        data: ``digits``, an ``.npz``, or a folder of images.
        labels: of a flat folder of images, see `hwflow.data.open_data`.
        preprocessing: of a folder's images, a name in `hwflow.data.PRESETS`; None for what networks for images
            of that size mostly take.
        images: only so many, spread evenly over a folder; None for all.
        calibration: images for the reference executor's activations; None for the training digits.
        executor: ``float``, float32 arithmetic as in the paper, or ``reference``, exact integers.
        msb: protection of the most significant exponent bit of FP32 and FP16.
        faults: how memories fail.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    models: Models = (ModelSpec("digits_cnn"),)
    formats: Texts = ("ap_fixed<8,3>",)
    t: Ts = ("none", "optimal")
    ber: Reals = (1e-4, 1e-3)
    protections: Texts = ("plain",)
    granularity: Annotated[tuple[Granularity, ...], BeforeValidator(listed)] = ("layer",)
    outliers: Reals = (0.0,)
    protect_top: Reals = (0.0,)
    align: Annotated[tuple[Align, ...], BeforeValidator(listed)] = ("shift",)
    compensation: Annotated[tuple[Compensation, ...], BeforeValidator(listed)] = ("logits",)
    activation_bits: Wholes = (16,)
    where: Annotated[tuple[Where, ...], BeforeValidator(listed)] = ("all",)
    rounds: Whole = 10
    until_ci: Real | None = None
    max_rounds: Whole = 100
    interval: Interval = "wilson"
    seed: Whole = 0
    data: Text = "digits"
    labels: Text | None = None
    preprocessing: Text | None = None
    images: Whole | None = None
    calibration: Text | None = None
    executor: ExecutorName = "float"
    msb: Msb = "assume"
    faults: FaultSpec = field(default_factory=FaultSpec)

    def __post_init__(self) -> None:
        for name in ("models", "ber", *AXES, "where"):
            values = getattr(self, name)
            if not values:
                raise HwflowError(f"{name}: is empty; give at least one")
            if len(set(values)) != len(values):
                raise HwflowError(f"{name}: has a value twice")
        if len({model.name for model in self.models}) != len(self.models):
            raise HwflowError("models: two have the same name; give one of them a 'name'")
        for ber in self.ber:
            if not 0.0 <= ber <= 1.0:
                raise HwflowError(f"ber: {ber} is not a bit error rate, which is 0 to 1")
            try:
                self.faults.at(ber)
            except HwflowError as error:
                raise HwflowError(f"faults: at ber = {ber:g}: {error}") from error
        for t in self.t:
            if not isinstance(t, str) and not (math.isfinite(t) and t > 0):
                raise HwflowError(f"t: {t} must be a positive number, 'none' or 'optimal'")
        _check_protections(self.protections)
        for name in self.formats:
            try:
                format_ = weight_format(name)
            except HwflowError as error:
                raise HwflowError(f"formats: {error}") from error
            most = max(stored_bits(format_, each) for each in self.protections)
            for bit in self.faults.bits or ():
                if bit >= most and any(model.design is None for model in self.models):
                    raise HwflowError(f"faults.bits: {bit} is beyond the bits of {name}, 0 to {most - 1}")
            if format_.exponent_msb is not None and self.executor != "float":
                raise HwflowError(f"formats: {name} runs in the float executor only")
            if self.executor == "float":
                _check_float_protections(self.protections, format_, self.msb)
        _check_choices(self)
        _check_designs(self)
        if self.executor == "reference":
            _check_hardening(self)
        for name in HARDENING_AXES:
            if self.executor == "float" and getattr(self, name) != _DEFAULTS[name]:
                raise HwflowError(f"{name}: is for executor = 'reference'; leave it out")
        if self.executor == "float" and self.calibration is not None:
            raise HwflowError("calibration: is for the activations of executor = 'reference'; leave it out")
        check_range("rounds", self.rounds, 1, MAX_ROUNDS)
        check_range("max_rounds", self.max_rounds, 1, MAX_ROUNDS)
        check_range("images", self.images, 1, None)
        check_range("seed", self.seed, 0, MAX_SEED)
        if self.until_ci is not None and not (math.isfinite(self.until_ci) and self.until_ci > 0):
            raise HwflowError(f"until_ci: {self.until_ci} must be a positive number of points")
        if self.until_ci is not None and self.rounds < 2:
            raise HwflowError("rounds: an interval needs at least 2")

    def to_json(self) -> dict[str, Any]:
        """The spec as JSON data."""
        return asdict(self)


HARDENING_AXES = ("outliers", "protect_top", "align", "compensation", "activation_bits")
"""Those of the reference executor only."""
AXES = ("formats", "t", "protections", "granularity", *HARDENING_AXES)
"""What says how weights are stored and computed with: every combination is measured."""

_DEFAULTS = {each.name: each.default for each in fields(CampaignSpec)}


def _check_designs(spec: CampaignSpec) -> None:
    designs = [each for each in spec.models if each.design is not None]
    if designs and spec.executor != "reference":
        raise HwflowError(f"models: {designs[0].name} is a design, which needs executor = 'reference'")
    if len(designs) < len(spec.models):
        return
    for name in AXES:
        if getattr(spec, name) != _DEFAULTS[name]:
            raise HwflowError(f"{name}: every model is a design, which says this itself; leave it out")


def _check_hardening(spec: CampaignSpec) -> None:
    """Refuse, before any work, what hardening would refuse."""
    for bits in spec.activation_bits:
        check_range("activation_bits", bits, 8, 16)
    for share in spec.outliers:
        if not 0 <= share < 1:
            raise HwflowError(f"outliers: {share} must be a fraction of the weights, from 0 to less than 1")
    for share in spec.protect_top:
        if not 0 <= share <= 1:
            raise HwflowError(f"protect_top: {share} must be a fraction of the weights, from 0 to 1")
    for name, protection, share in product(spec.formats, spec.protections, spec.outliers):
        format_ = weight_format(name)
        assert isinstance(format_, FixedFormat)
        try:
            HardenOptions(ScalingOptions(format_.type, saturate=True, outliers=share), storage=protection)
        except HwflowError as error:
            raise HwflowError(f"{'outliers' if share else 'protections'}: {error}") from error


def _check_protections(protections: tuple[str, ...]) -> None:
    for each in protections:
        try:
            Protections.parse(each)
        except HwflowError as error:
            raise HwflowError(f"protections: {error}") from error


def _check_float_protections(protections: tuple[str, ...], format_: WeightFormat, msb: Msb) -> None:
    for each in protections:
        try:
            protection = float_protection(each, format_)
        except HwflowError as error:
            raise HwflowError(f"protections: {error}") from error
        if protection is not None and msb != "none":
            raise HwflowError(f"msb: {each!r} protects the most significant exponent bit itself; set msb = 'none'")


def stored_bits(format_: WeightFormat, protection: str) -> int:
    """Bits of a stored word: of a weight, or of the word of a storage code."""
    if not isinstance(format_, FixedFormat):
        return format_.bits
    return Protections.parse(protection).bits(format_.type)


STOPPING = ("rounds", "until_ci", "max_rounds", "interval")
"""What may change when a campaign is taken up again: only how many rounds count."""


def _check_choices(spec: CampaignSpec) -> None:
    choices: dict[str, tuple[str, ...]] = {
        "executor": get_args(ExecutorName),
        "msb": MSB_MODES,
        "granularity": get_args(Granularity),
        "align": get_args(Align),
        "compensation": get_args(Compensation),
        "interval": get_args(Interval),
        "where": get_args(Where),
    }
    for name, known in choices.items():
        value = getattr(spec, name)
        for each in value if isinstance(value, tuple) else (value,):
            if each not in known:
                raise HwflowError(f"{name}: {each!r} is unknown; {nearest(each, known)}")
