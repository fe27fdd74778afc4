"""The cells of a campaign in their fixed order, and the seed of every trial."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hwflow.campaign.spec import MAX_BITS, CampaignSpec, stored_bits
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
        layer: faults in this layer only; None for all.
        bit: faults at this bit position only; None for all.
    """

    model: str
    format: str
    t: str
    target: float | None
    protection: str
    ber: float
    layer: str | None = None
    bit: int | None = None

    @property
    def label(self) -> str:
        """How the weights are protected."""
        scaled = "unscaled" if self.target is None else f"t = {self.target:.5g}"
        return scaled if self.protection == "plain" else f"{scaled}, {self.protection}"

    def to_json(self) -> dict[str, Any]:
        """The coordinates as JSON data."""
        return asdict(self)


Task = tuple[int, Cell, int]
"""Place of a cell in the plan, the cell, and a round."""

Claim = Callable[[int, int], bool]
"""Whether this process may begin the trial of a cell and a round."""


def cells(spec: CampaignSpec, layers: Mapping[str, Sequence[str]]) -> tuple[Cell, ...]:
    """All cells of a campaign.

    Args:
        spec: the campaign.
        layers: names of the weight layers of every model.

    Raises:
        HwflowError: more trials than any run could finish.
    """
    _check_size(spec, layers)
    found: list[Cell] = []
    for model in spec.models:
        for name in spec.formats:
            format_ = weight_format(name)
            seen: set[float | None] = set()
            for t in spec.t:
                target = None if t == "none" else format_.optimal_t if t == "optimal" else float(t)
                if target in seen:  # the optimum of this format is also in the list
                    continue
                seen.add(target)
                for protection in spec.protections:
                    bits = stored_bits(format_, protection)
                    common = (model.name, format_.name, str(t), target, protection)
                    found.append(Cell(*common, 0.0))
                    for ber in (each for each in spec.ber if each > 0):
                        found.extend(_places(spec, common, ber, layers[model.name], bits))
    return tuple(found)


def seed_of(spec: CampaignSpec, cell: Cell, round_: int) -> int:
    """The seed of a trial's fault list, from its own coordinates.

    Format, t, protection and place are not among them, so that these are compared under the same faults.
    """
    coordinates = [spec.seed, cell.model, cell.ber, spec.faults.model, round_]
    digest = hashlib.sha256(json.dumps(coordinates).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def _check_size(spec: CampaignSpec, layers: Mapping[str, Sequence[str]]) -> None:
    places = sum({"all": 1, "layers": max(map(len, layers.values())), "bits": MAX_BITS}[where] for where in spec.where)
    settings = len(spec.models) * len(spec.formats) * len(spec.t) * len(spec.protections)
    trials = settings * (1 + len(spec.ber) * places * spec.rounds)
    if trials > MAX_TRIALS:
        raise HwflowError(
            f"the specification asks for {trials} trials, more than {MAX_TRIALS}; split it, or lower rounds"
        )


def _places(
    spec: CampaignSpec, common: tuple[str, str, str, float | None, str], ber: float, layers: Sequence[str], bits: int
) -> list[Cell]:
    found: list[Cell] = []
    for where in spec.where:
        if where == "all":
            found.append(Cell(*common, ber))
        elif where == "layers":
            found.extend(Cell(*common, ber, layer=layer) for layer in layers)
        else:
            found.extend(Cell(*common, ber, bit=bit) for bit in range(bits))
    return found
