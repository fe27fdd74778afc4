"""Designs as models of a campaign: where their cells are, and which network they are compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hwflow.campaign.plan import Cell
from hwflow.campaign.spec import ModelSpec
from hwflow.errors import HwflowError
from hwflow.float_study import weight_format
from hwflow.folders.design import Design


def design_cell(spec: ModelSpec, design: Design, models: Sequence[ModelSpec]) -> Cell:
    """The coordinates of a design without faults.

    Args:
        spec: what names the design.
        design: the folder.
        models: all of the campaign; what was hardened may be among them.
    """
    options: Mapping[str, Any] = design.manifest["options"]
    networks = (each.name for each in models if each.design is None and design.source in (each.name, each.model))
    scaled = options["scale"] != "none"
    return Cell(
        model=spec.model or next(networks, Path(design.source).name),
        format=weight_format(options["weights"]).name,
        t=str(options["t"]) if scaled else "none",
        target=options["t"] if scaled else None,
        protection=options["storage"],
        ber=0.0,
        granularity=options["granularity"] if scaled else None,
        outliers=options["outliers"],
        protect_top=design.manifest.get("kept", {}).get("fraction", 0.0),
        align=options["align"] if scaled else None,
        compensation=options["compensation"] if scaled else None,
        activation_bits=options["activation_bits"],
        design=spec.name,
    )


def design_layers(design: Design) -> dict[str, tuple[int, float]]:
    """Number of weights and max|W| before scaling of every weight layer."""
    return {row["name"]: (row["weights"], row["max_abs"]) for row in design.manifest["plan"]["layers"]}


def check_networks(layers: Mapping[str, Mapping[str, tuple[int, float]]], designs: Mapping[str, Cell]) -> None:
    """Refuse to compare a design with a network of other weights.

    Args:
        layers: weights and max|W| of the weight layers of every model.
        designs: of every model that is a design, its coordinates.

    Raises:
        HwflowError: names the design.
    """
    first = {name: name for name in layers if name not in designs}
    for name, cell in designs.items():
        other = first.setdefault(cell.model, name)
        if layers[other] != layers[name]:
            raise HwflowError(
                f"models: the design {name} has other weights than {other}, and cannot be compared as {cell.model}; "
                "give it another 'model'"
            )
