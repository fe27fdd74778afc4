"""What the cells of the RTL take on an UltraScale+ part, from their parameters.

LUTs and flip-flops are sums of bits (of registers, adders, casts, indices) times coefficients, which are fitted to what
Yosys makes of a sweep of parameters (``leaves.csv``, by ``benchmarks/leaves.py``). Memories, and DSPs, are counted by
their geometry. What decoders of storage codes take was measured (:mod:`hwflow.cost.decoders`).
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from hwflow.cost.area import Area
from hwflow.cost.cells import MODELS
from hwflow.cost.model import CellModel, Values
from hwflow.errors import HwflowError

LEAVES, COEFFICIENTS = "leaves.csv", "coefficients.csv"
"""Beside this module; written by ``benchmarks/leaves.py``."""
PREFIX = "hwflow_"


@dataclass(frozen=True)
class Leaf:
    """A cell that was synthesised.

    Attributes:
        module: its name, without ``hwflow_``.
        text: its parameters as they stand in the table.
        area: what Yosys made of it.
    """

    module: str
    text: str
    area: Area

    @property
    def parameters(self) -> Mapping[str, int | str]:
        """Its parameters."""
        found: dict[str, int | str] = json.loads(self.text)
        return found


def estimate(module: str, parameters: Mapping[str, int | str]) -> Area:
    """What a cell takes.

    Args:
        module: its name, with or without ``hwflow_``.
        parameters: as they are set in the RTL.

    Raises:
        HwflowError: there is no model of the cell.
    """
    module = module.removeprefix(PREFIX)
    model = cell_model(module, parameters)
    known = coefficients()

    def of(resource: str, features: Mapping[str, float]) -> float:
        return sum(known[module, resource, name] * value for name, value in features.items())

    return model.fixed + Area(of("luts", model.luts), of("flip_flops", model.flip_flops))


def cell_model(module: str, parameters: Mapping[str, int | str]) -> CellModel:
    """The model of a cell with these parameters.

    Raises:
        HwflowError: there is none.
    """
    made = MODELS.get(module)
    if made is None:
        raise HwflowError(f"there is no estimate of {PREFIX}{module}")
    return made(Values(parameters))


@cache
def coefficients() -> Mapping[tuple[str, str, str], float]:
    """Coefficients by module, resource and feature."""
    rows = csv.DictReader(_text(COEFFICIENTS).splitlines())
    return {(row["module"], row["resource"], row["feature"]): float(row["coefficient"]) for row in rows}


@cache
def leaves() -> tuple[Leaf, ...]:
    """The cells that were synthesised."""
    names = ("luts", "flip_flops", "dsp", "block_ram", "uram")
    rows = csv.DictReader(_text(LEAVES).splitlines())
    return tuple(Leaf(row["module"], row["parameters"], Area(*(float(row[name]) for name in names))) for row in rows)


def _text(name: str) -> str:
    return (files("hwflow.cost") / name).read_text(encoding="utf-8")
