"""The cells of a campaign in their fixed order, and the seed of every trial."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any

from hwflow.campaign.spec import AXES, MAX_BITS, CampaignSpec, stored_bits
from hwflow.errors import HwflowError
from hwflow.float_study import weight_format

MAX_TRIALS = 10_000_000


@dataclass(frozen=True, slots=True)
class Cell:
    """One condition; its rounds differ in the fault list only.

    Attributes:
        model: name of the network.
        format: of the stored weights.
        t: as the spec says it: ``none``, ``optimal`` or a number.
        target: the t in use; None without scaling.
        protection: storage code.
        ber: bit error rate.
        granularity, align, compensation: of the scaling; None without.
        outliers, protect_top, activation_bits: of the reference executor; None in the float executor, as are
            ``align`` and ``compensation``.
        design: name of the design; None of a network that the campaign stores itself.
        layer: faults in this layer only; None for all.
        bit: faults at this bit position only; None for all.
    """

    model: str
    format: str
    t: str
    target: float | None
    protection: str
    ber: float
    granularity: str | None = None
    outliers: float | None = None
    protect_top: float | None = None
    align: str | None = None
    compensation: str | None = None
    activation_bits: int | None = None
    design: str | None = None
    layer: str | None = None
    bit: int | None = None

    @property
    def subject(self) -> str:
        """Name of the network or design that runs, as the spec has it."""
        return self.design or self.model

    @property
    def way(self) -> tuple[Any, ...]:
        """How weights are stored and computed with."""
        return (self.design, self.format, *(getattr(self, name) for name in LABELLED))

    def to_json(self) -> dict[str, Any]:
        """The coordinates as JSON data."""
        return asdict(self)


LABELLED = (
    "target", "protection", "granularity", "outliers", "protect_top", "align", "compensation", "activation_bits",
)  # fmt: skip
"""Coordinates that tell ways to store a network's weights apart, beside format and design."""


def t_text(t: float) -> str:
    """A value of t in five digits, or in as many as it takes that it is not shown as a whole number that it is not."""
    text = f"{t:.5g}"
    return text if float(text) == t or not float(text).is_integer() else repr(t)


_WORDS: Mapping[str, Callable[[Any], str]] = {
    "target": lambda t: "unscaled" if t is None else f"t = {t_text(t)}",
    "protection": str,
    "granularity": lambda per: f"{per} scales",
    "outliers": lambda share: f"outliers {share:g}",
    "protect_top": lambda share: f"{100 * share:g} % kept",
    "align": lambda how: f"align {how}",
    "compensation": lambda where: f"compensation {where}",
    "activation_bits": lambda bits: f"{bits}-bit activations",
}


class Labels:
    """What tells the ways of a campaign apart, in words: only what differs from one to another.

    Args:
        cells: all of the campaign's.
    """

    def __init__(self, cells: Iterable[Cell]) -> None:
        seen: dict[str, set[Any]] = {name: set() for name in LABELLED}
        for cell in cells:
            for name in LABELLED if cell.design is None else ():
                seen[name].add(getattr(cell, name))
        differing = [name for name in LABELLED if len(seen[name] - ({None} if name != "target" else set())) > 1]
        self.shown = tuple(differing) or ("target",)

    def __call__(self, cell: Cell, *, without: str = "") -> str:
        """How the weights of a cell are stored; `without` is a coordinate that is not named."""
        if cell.design is not None:
            return f"design {cell.design}"
        values = {name: getattr(cell, name) for name in self.shown if name != without}
        return ", ".join(_WORDS[name](value) for name, value in values.items() if name == "target" or value is not None)


Task = tuple[int, Cell, int]
"""Place of a cell in the plan, the cell, and a round."""

Claim = Callable[[int, int], bool]
"""Whether this process may begin the trial of a cell and a round."""


def cells(
    spec: CampaignSpec, layers: Mapping[str, Sequence[str]], designs: Mapping[str, Cell] | None = None
) -> tuple[Cell, ...]:
    """All cells of a campaign.

    Args:
        spec: the campaign.
        layers: names of the weight layers of every model.
        designs: of every model that is a design, its coordinates without faults.

    Raises:
        HwflowError: more trials than any run could finish.
    """
    _check_size(spec, layers)
    found: list[Cell] = []
    for model in spec.models:
        for clean in _ways(spec, model.name) if model.design is None else [(designs or {})[model.name]]:
            found.append(clean)
            for ber in (each for each in spec.ber if each > 0):
                found.extend(_places(spec, replace(clean, ber=ber), layers[model.name]))
    return tuple(found)


def seed_of(spec: CampaignSpec, cell: Cell, round_: int) -> int:
    """The seed of a trial's fault list, from its own coordinates.

    The way to store the weights and the place are not among them, so that these are compared under the same faults.
    """
    coordinates = [spec.seed, cell.model, cell.ber, spec.faults.model, round_]
    digest = hashlib.sha256(json.dumps(coordinates).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def _check_size(spec: CampaignSpec, layers: Mapping[str, Sequence[str]]) -> None:
    places = sum({"all": 1, "layers": max(map(len, layers.values())), "bits": MAX_BITS}[where] for where in spec.where)
    settings = len(spec.models) * math.prod(len(getattr(spec, name)) for name in AXES)
    trials = settings * (1 + len(spec.ber) * places * spec.rounds)
    if trials > MAX_TRIALS:
        raise HwflowError(
            f"the specification asks for {trials} trials, more than {MAX_TRIALS}; split it, or lower rounds"
        )


def _ways(spec: CampaignSpec, model: str) -> Iterator[Cell]:
    """A network in all combinations of the axes, without faults; each that differs once."""
    seen = set()
    for name, t, *rest in product(*(getattr(spec, axis) for axis in AXES)):
        format_ = weight_format(name)
        target = None if t == "none" else format_.optimal_t if t == "optimal" else float(t)
        protection, granularity, outliers, protect_top, align, compensation, activation_bits = rest
        cell = Cell(
            model=model,
            format=format_.name,
            t=str(t),
            target=target,
            protection=protection,
            ber=0.0,
            granularity=None if target is None else granularity,
            outliers=outliers if spec.executor == "reference" else None,
            protect_top=protect_top if spec.executor == "reference" else None,
            align=align if spec.executor == "reference" and target is not None else None,
            compensation=compensation if spec.executor == "reference" and target is not None else None,
            activation_bits=activation_bits if spec.executor == "reference" else None,
        )
        if cell.way not in seen:  # the optimum of this format is also in the list, or nothing is scaled
            seen.add(cell.way)
            yield cell


def _places(spec: CampaignSpec, whole: Cell, layers: Sequence[str]) -> Iterator[Cell]:
    for where in spec.where:
        if where == "all":
            yield whole
        elif where == "layers":
            yield from (replace(whole, layer=layer) for layer in layers)
        else:
            bits = stored_bits(weight_format(whole.format), whole.protection)
            yield from (replace(whole, bit=bit) for bit in range(bits))
