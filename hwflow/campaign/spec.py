"""What a campaign sweeps: a TOML file, checked before anything runs."""

from __future__ import annotations

import difflib
import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from hwflow.campaign.statistics import Interval
from hwflow.errors import HwflowError
from hwflow.faults.models import MODELS, Asymmetric, Clustered, FaultModel, Independent, StuckAt
from hwflow.faults.physics import ber_from_rate, rate_from_cross_section, rate_from_fit
from hwflow.formats import MSB_MODES, Msb, weight_format
from hwflow.formats.storage import PerWhat
from hwflow.protect import STORAGE_CODES

ExecutorName = Literal["float", "reference"]
Where = Literal["all", "layers", "bits"]
T = float | Literal["none", "optimal"]


@dataclass(frozen=True)
class ModelSpec:
    """A network of a campaign.

    Attributes:
        model: an embedded network, a port such as ``resnet20``, or a model file.
        weights: a port's state dict.
        name: what to call it; by default ``model``.
        classes: a port's logits; None for the original's.
        image_size: a port's image, pixels; None for the original's.
    """

    model: str
    weights: str | None = None
    name: str = ""
    classes: int | None = None
    image_size: int | None = None

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", self.model)


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

    model: str = "ber"
    up: float = 1.0
    down: float = 1.0
    ones: float = 0.5
    sizes: tuple[float, ...] = (0.7, 0.2, 0.07, 0.03)
    interleave: int = 1
    layers: tuple[str, ...] | None = None
    bits: tuple[int, ...] | None = None

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
        raise HwflowError(f"faults.model {self.model!r} is not one of {', '.join(MODELS)}")


@dataclass(frozen=True)
class CampaignSpec:
    """A sweep: every combination of model, format, t, protection, bit error rate and place is a cell.

    Attributes:
        models: the networks.
        formats: weight formats.
        t: largest magnitudes of the scaled weights; ``none`` is the unscaled baseline, ``optimal`` the format's.
        ber: bit error rates; 0 is always measured too.
        protections: storage codes of the weight memories.
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
        scale: a constant for every ``layer`` or every output ``channel``; float executor only.
        faults: how memories fail.
    """

    models: tuple[ModelSpec, ...] = (ModelSpec("digits_cnn"),)
    formats: tuple[str, ...] = ("ap_fixed<8,3>",)
    t: tuple[T, ...] = ("none", "optimal")
    ber: tuple[float, ...] = (1e-4, 1e-3)
    protections: tuple[str, ...] = ("plain",)
    where: tuple[Where, ...] = ("all",)
    rounds: int = 10
    until_ci: float | None = None
    max_rounds: int = 100
    interval: Interval = "wilson"
    seed: int = 0
    data: str = "digits"
    labels: str | None = None
    preprocessing: str | None = None
    images: int | None = None
    calibration: str | None = None
    executor: ExecutorName = "float"
    msb: Msb = "assume"
    scale: PerWhat = "layer"
    faults: FaultSpec = field(default_factory=FaultSpec)

    def __post_init__(self) -> None:
        for name in ("models", "formats", "t", "ber", "protections", "where"):
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
            self.faults.at(ber)
        for t in self.t:
            if isinstance(t, float) and not (math.isfinite(t) and t > 0):
                raise HwflowError(f"t: {t} must be a positive number, 'none' or 'optimal'")
        for name in self.formats:
            format_ = weight_format(name)
            if format_.exponent_msb is not None and (self.executor, self.protections) != ("float", ("plain",)):
                raise HwflowError(f"formats: {name} runs in the float executor only, with protections = ['plain']")
        if self.executor == "float" and self.protections != ("plain",):
            raise HwflowError("protections: storage codes need executor = 'reference'")
        if self.executor == "reference" and self.scale != "layer":
            raise HwflowError("scale: 'channel' needs executor = 'float'")
        _check_choices(self)
        for name in ("rounds", "max_rounds", "images"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise HwflowError(f"{name}: {value} must be at least 1")
        if self.seed < 0:
            raise HwflowError(f"seed: {self.seed} must not be negative")
        if self.until_ci is not None and not (math.isfinite(self.until_ci) and self.until_ci > 0):
            raise HwflowError(f"until_ci: {self.until_ci} must be a positive number of points")
        if self.until_ci is not None and self.rounds < 2:
            raise HwflowError("rounds: an interval needs at least 2")

    def to_json(self) -> dict[str, Any]:
        """The spec as JSON data."""
        return asdict(self)


STOPPING = ("rounds", "until_ci", "max_rounds", "interval")
"""What may change when a campaign is taken up again: only how many rounds count."""


def load_spec(path: str | Path) -> CampaignSpec:
    """Read a spec.

    Raises:
        HwflowError: not a TOML file, an unknown key (the nearest is suggested), or a value out of range.
    """
    path = Path(path)
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise HwflowError(f"{path}: cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise HwflowError(f"{path}: not TOML ({error})") from error
    try:
        return parse_spec(data)
    except HwflowError as error:
        raise HwflowError(f"{path}: {error}") from error


def parse_spec(data: Mapping[str, Any]) -> CampaignSpec:
    """A spec from TOML or JSON data; see `load_spec`."""
    data = dict(data)
    physics = data.pop("physics", None)
    check_keys(data, [*(item.name for item in fields(CampaignSpec)), "physics"], "")
    if physics is not None:
        if "ber" in data:
            raise HwflowError("ber: leave it out, [physics] gives it")
        data["ber"] = _physical_bers(physics)
    if "models" in data:
        data["models"] = [_model(entry) for entry in _listed("models", data["models"])]
    if "faults" in data:
        data["faults"] = _faults(data["faults"])
    for name in ("t", "ber"):
        if name in data:
            data[name] = [_number(name, value) for value in _listed(name, data[name])]
    for name in ("models", "formats", "t", "ber", "protections", "where"):
        if name in data:
            data[name] = tuple(_listed(name, data[name]))
    for name in ("rounds", "max_rounds", "seed", "images"):
        _check_type(data, name, int)
    for name in ("formats", "protections", "where"):
        for value in data.get(name, ()):
            _check_type({name: value}, name, str)
    for name in ("data", "labels", "preprocessing", "executor", "msb", "scale", "interval", "calibration"):
        _check_type(data, name, str)
    if data.get("until_ci") is not None:
        data["until_ci"] = _number("until_ci", data["until_ci"])
        _check_type(data, "until_ci", float)
    return CampaignSpec(**data)


def check_keys(data: Mapping[str, Any], known: Iterable[str], table: str) -> None:
    """Refuse a key that is not known, and suggest the nearest one."""
    known = list(known)
    for key in data:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
            raise HwflowError(f"unknown key {table + key!r}; {hint}")


def _check_choices(spec: CampaignSpec) -> None:
    choices: dict[str, tuple[str, ...]] = {
        "executor": get_args(ExecutorName),
        "msb": MSB_MODES,
        "scale": get_args(PerWhat),
        "interval": get_args(Interval),
        "where": get_args(Where),
        "protections": tuple(STORAGE_CODES),
    }
    for name, known in choices.items():
        value = getattr(spec, name)
        for each in value if isinstance(value, tuple) else (value,):
            if each not in known:
                near = difflib.get_close_matches(str(each), known, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"choose one of {', '.join(known)}"
                raise HwflowError(f"{name}: {each!r} is unknown; {hint}")


def _model(entry: Any) -> ModelSpec:
    if isinstance(entry, str):
        return ModelSpec(entry)
    if not isinstance(entry, Mapping) or "model" not in entry:
        raise HwflowError("models: write a name, or a table with 'model' and perhaps 'weights' and 'name'")
    check_keys(entry, [item.name for item in fields(ModelSpec)], "models.")
    for name in entry:
        _check_type(entry, name, int if name in ("classes", "image_size") else str)
    return ModelSpec(**entry)


def _faults(entry: Any) -> FaultSpec:
    if not isinstance(entry, Mapping):
        raise HwflowError("faults: write a table, [faults]")
    check_keys(entry, [item.name for item in fields(FaultSpec)], "faults.")
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}
    _check_type(values, "model", str)
    _check_type(values, "interleave", int)
    for name in ("up", "down", "ones"):
        if name in values:
            values[name] = _number(f"faults.{name}", values[name])
    for name in ("sizes", "layers", "bits"):
        if values.get(name) is not None and not isinstance(values[name], tuple):
            raise HwflowError(f"faults.{name}: write a list")
    return FaultSpec(**values)


def _physical_bers(physics: Any) -> list[float]:
    known = ["fit_per_mbit", "cross_section", "flux", "scrub_interval", "when"]
    if not isinstance(physics, Mapping):
        raise HwflowError("physics: write a table, [physics]")
    check_keys(physics, known, "physics.")
    given = {name: _number(f"physics.{name}", physics[name]) for name in known[:3] if name in physics}
    if given.keys() == {"fit_per_mbit"}:
        rate = rate_from_fit(given["fit_per_mbit"])
    elif given.keys() == {"cross_section", "flux"}:
        rate = rate_from_cross_section(given["cross_section"], given["flux"])
    else:
        raise HwflowError("physics: give fit_per_mbit, or cross_section and flux")
    if "scrub_interval" not in physics:
        raise HwflowError("physics: scrub_interval is missing, in seconds")
    when = physics.get("when", "end")
    if when not in ("end", "mean"):
        raise HwflowError(f"physics.when: {when!r} is not 'end' or 'mean'")
    intervals = _listed("physics.scrub_interval", physics["scrub_interval"])
    return [ber_from_rate(rate, _number("physics.scrub_interval", each), when) for each in intervals]


def _listed(name: str, value: Any) -> list[Any]:
    """A list, also where a single value was written."""
    if isinstance(value, list | tuple):
        return list(value)
    if isinstance(value, Mapping) and name != "models":
        raise HwflowError(f"{name}: write a list")
    return [value]


def _number(name: str, value: Any) -> Any:
    if name == "t" and value in ("none", "optimal"):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise HwflowError(f"{name}: {value!r} is not a number")
    return float(value)


def _check_type(data: Mapping[str, Any], name: str, kind: type) -> None:
    value = data.get(name)
    if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
        words = {int: "a whole number", str: "text", float: "a number"}[kind]
        raise HwflowError(f"{name}: {value!r} is not {words}")
