"""Section V.C: divide the logits instead of every weight, in FP32, FP16 and fixed point."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

from hwflow.campaign.sources import calibration_images, open_model
from hwflow.campaign.trials import ReferenceNetwork
from hwflow.fixed import FixedType
from hwflow.formats import WeightFormat, weight_format
from hwflow.formats.network import top1
from hwflow.formats.words import FixedFormat
from hwflow.graph import Constant, Graph, Node, WeightLayer
from hwflow.hardening import HardenOptions, harden
from hwflow.paper.studies import LOGITS, Subject
from hwflow.reference.real import evaluate
from hwflow.scaling import ScalingOptions, scale_graph

Compensation = Literal["none", "layer", "logits"]
COMPENSATIONS: tuple[Compensation, ...] = ("none", "layer", "logits")
FORMATS = ("fp32", "fp16", "ap_fixed<8,3>", "ap_fixed<8,2>")
BATCH = 32
RENORMALISE = 4.0
"""|log2 S| above which a power of two brings a tensor back: FP16 has few exponents to spare."""

Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class LogitsResult:
    """Accuracy without faults of one way to compensate.

    Attributes:
        format: of weights and, in floating point, of every tensor.
        compensation: ``none`` (unscaled weights), ``layer`` (divided after each layer) or ``logits``.
        renormalised: whether tensors were kept in range by powers of two.
        correct: images classified right.
        images: images classified.
        bad_images: images with a logit that is NaN or infinite.
        log2_scale: of the product of all constants on the way to the logits.
    """

    format: str
    compensation: Compensation
    renormalised: bool
    correct: int
    images: int
    bad_images: int
    log2_scale: float

    @property
    def accuracy(self) -> float:
        """Top-1, percent."""
        return 100.0 * self.correct / self.images

    def row(self, subject: Subject) -> dict[str, Any]:
        """A line of the table, as JSON data."""
        key = (subject.model, self.format, self.compensation)
        return {
            "model": subject.model,
            "format": self.format,
            "compensation": self.compensation,
            "renormalised": self.renormalised,
            "log2_scale": self.log2_scale,
            "accuracy": self.accuracy,
            "bad_images": self.bad_images,
            "images": self.images,
            "published": LOGITS.get(key) if subject.is_papers else None,
        }


def run_logits(
    subject: Subject,
    formats: Sequence[str] = FORMATS,
    calibration: str | None = None,
    advance: Callable[[int, int, str], None] = lambda *_: None,
) -> list[LogitsResult]:
    """Clean accuracies with unscaled weights, with division at every layer, and at the logits.

    Batch normalisation is fused into the weights first. In FP32 and FP16 every tensor is rounded to the
    format after each operation, whose sums are FP32. Compensation at the logits is measured with and
    without renormalisation by powers of two. Fixed point is the exact reference.

    Args:
        subject: network and data.
        formats: weight formats.
        calibration: images for the fixed-point activations; None for the training digits.
        advance: progress display.

    Raises:
        HwflowError: a network or data that do not fit.
    """
    from hwflow.firmware.convert import read_keras

    spec = subject.network
    model, dataset = open_model(spec, subject.data, subject.images, subject.labels, subject.preprocessing)
    assert dataset.labels is not None
    graph = read_keras(model)
    found: list[LogitsResult] = []
    cases = [(weight_format(name), compensation) for name in formats for compensation in COMPENSATIONS]
    for number, (format_, compensation) in enumerate(cases):
        advance(number, len(cases), f"{format_.name}, {compensation}")
        if isinstance(format_, FixedFormat):
            images = calibration_images(spec, calibration, graph.input.shape)
            found.append(_fixed(graph, format_, compensation, images, dataset.images, dataset.labels))
            continue
        for renormalise in (False, True)[: 1 + (compensation == "logits")]:
            found.append(_float(graph, format_, compensation, renormalise, dataset.images, dataset.labels))
    return found


def run_float(graph: Graph, images: npt.NDArray[Any], format_: WeightFormat) -> Float32:
    """Outputs of a scaled graph in floating point: every tensor in the format, sums in FP32."""
    rounded = {node.name: _rounded(node, format_) for node in graph}
    values: dict[str, Float32] = {}
    for node in graph:
        sources: list[Any] = [values[name] for name in node.inputs]
        with np.errstate(over="ignore", invalid="ignore"):  # as hardware: infinity and NaN
            result = evaluate(rounded[node.name], sources) if sources else images
            values[node.name] = result.astype(np.float16 if format_.bits == 16 else np.float32).astype(np.float32)
    return values[graph.output.name]


def _rounded(node: Node, format_: WeightFormat) -> Node:
    """A layer with its weights in the format; biases are FP32, multipliers stay."""
    if not isinstance(node, WeightLayer):
        return node
    weight = format_.decode(format_.encode(node.weight.values)).astype(np.float32)
    with np.errstate(over="ignore"):
        bias = node.bias.values.astype(np.float32)
    # float32 on purpose: evaluate computes in the precision that it is given
    return replace(node, weight=Constant(cast(Any, weight)), bias=Constant(cast(Any, bias)))


def _float(
    graph: Graph,
    format_: WeightFormat,
    compensation: Compensation,
    renormalise: bool,
    images: npt.NDArray[Any],
    labels: npt.NDArray[np.int64],
) -> LogitsResult:
    options = ScalingOptions(
        FixedType(32, 8),  # wide enough for any weight: the format itself rounds later
        format_.optimal_t,
        "none" if compensation == "none" else "exact",
        align="multiply",
        compensation=compensation,
        saturate=True,
        renormalise=RENORMALISE if renormalise else None,
    )
    scaled, plan = scale_graph(graph, options)
    correct = bad = 0
    for start in range(0, len(images), BATCH):
        logits = run_float(scaled, images[start : start + BATCH], format_)
        correct += int(np.count_nonzero(top1(logits) == labels[start : start + BATCH]))
        bad += int(np.count_nonzero(~np.isfinite(logits).all(axis=-1)))
    return LogitsResult(format_.name, compensation, renormalise, correct, len(labels), bad, _log2(plan.logit_scale))


def _fixed(
    graph: Graph,
    format_: FixedFormat,
    compensation: Compensation,
    calibration: npt.NDArray[Any],
    images: npt.NDArray[Any],
    labels: npt.NDArray[np.int64],
) -> LogitsResult:
    scaling = ScalingOptions(
        format_.type,
        scale="none" if compensation == "none" else "exact",
        compensation=compensation,
        saturate=True,
    )
    hardened = harden(graph, calibration, HardenOptions(scaling))
    outcome = ReferenceNetwork(hardened.graph).evaluate(images, labels)
    log2 = _log2(hardened.plan.logit_scale)
    return LogitsResult(format_.name, compensation, False, outcome.correct, outcome.images, 0, log2)


def _log2(scale: Any) -> float:
    return float(np.max(np.log2(scale)))
