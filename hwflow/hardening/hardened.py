"""Hardening: from a network of real values to the typed graph that all executors run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt

from hwflow.codes.protection import Loss
from hwflow.files.rows import Rows
from hwflow.fixed import FixedType
from hwflow.graph import Graph
from hwflow.hardening.calibration import Calibration, calibrate
from hwflow.hardening.like import Like
from hwflow.hardening.options import HardenOptions
from hwflow.hardening.plan import ScalePlan, scale_graph
from hwflow.hardening.types import Typer, calibrated_type


@dataclass(frozen=True)
class Hardened:
    """A hardened network.

    Attributes:
        graph: the typed graph.
        plan: what scaling did.
        calibration: ranges that the activation types come from.
        losses: what weights lost to storage codes that do not have them all, by layer.
    """

    graph: Graph
    plan: ScalePlan
    calibration: Calibration
    losses: Mapping[str, Loss] = field(default_factory=dict)


def harden(graph: Graph, images: Rows, options: HardenOptions | None = None, like: Like | None = None) -> Hardened:
    """Scale the weights, calibrate, and resolve every type.

    Args:
        graph: an untyped graph, from :func:`hwflow.frontends.model_graph.read_graph`.
        images: real calibration images ``(n, *input shape)``.
        options: see :class:`HardenOptions`.
        like: a network of the same layers, hardened with the same options, whose types this one takes, so that its
            hardware runs both.

    Raises:
        HwflowError: weights, images or options that cannot be hardened, or a network that does not fit the types of
            ``like``, in one line.
    """
    options = options or HardenOptions()
    return harden_scaled(*scale_graph(graph, options.scaling), images, options, like)


def harden_scaled(
    scaled: Graph, plan: ScalePlan, images: Rows, options: HardenOptions, like: Like | None = None
) -> Hardened:
    """The rest of :func:`harden`, for those who need the graph before scaling no longer: it is as large as this one.

    Args:
        scaled: with ``plan`` what :func:`~hwflow.hardening.plan.scale_graph` makes of the graph.
        plan: what scaling did.
        images, options, like: as of :func:`harden`.

    Raises:
        HwflowError: as :func:`harden`.
    """
    if like is not None:
        like.check_layers(scaled)
    fitted = [
        layer.name
        for layer in scaled.weight_layers
        if options.calibrated_rounding and options.protections.of(layer.name).ber is not None
    ]
    calibration = calibrate(scaled, images, fitted)
    typer = Typer(scaled, calibration, options, like)
    return Hardened(typer.typed(), plan, calibration, typer.losses)


def input_type(images: npt.NDArray[Any], options: HardenOptions | None = None) -> FixedType:
    """The type that :func:`harden` gives a network's input, from real calibration images ``(n, *input shape)``."""
    ranges = {"": (float(images.min()), float(images.max()))}
    return calibrated_type(Calibration(len(images), ranges), "", True, options or HardenOptions())


def summary(hardened: Hardened) -> Mapping[str, Any]:
    """Calibration and plan as JSON data, for a design folder."""
    plan = hardened.plan
    return {
        "calibration": {"images": hardened.calibration.images, "ranges": dict(hardened.calibration.ranges)},
        "plan": {
            "layers": [vars(layer) for layer in plan.layers],
            "rescales": [{"name": name, "factor": factor} for name, factor in plan.rescales],
            "output_scale": plan.output_scale,
            "logit_scale": plan.logit_scale,
            "outliers": plan.outliers,
            "side_bits": plan.side_bits,
            "notes": list(plan.notes),
        },
        "storage": [{"name": name, **vars(loss)} for name, loss in hardened.losses.items()],
    }
