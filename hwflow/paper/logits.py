"""Section V.C: divide the logits instead of every weight, in FP32, FP16 and fixed point, with and without faults."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from hwflow.campaign.sources import calibration_images, check_calibration, open_labelled, open_model
from hwflow.campaign.statistics import summarise
from hwflow.campaign.trials import CHECKED_IMAGES, ReferenceNetwork
from hwflow.faults import sample_ber
from hwflow.fixed import FixedType
from hwflow.float_study import Outcome, WeightFormat, weight_format
from hwflow.float_study.words import FixedFormat, FloatFormat
from hwflow.graph import Graph
from hwflow.hardening import HardenOptions, harden
from hwflow.hardening.options import ScalingOptions
from hwflow.hardening.plan import scale_graph
from hwflow.paper.floating import FloatNetwork
from hwflow.paper.studies import LOGITS, Subject
from hwflow.progress import Advance, no_progress

Compensation = Literal["none", "layer", "logits"]
COMPENSATIONS: tuple[Compensation, ...] = ("none", "layer", "logits")
FORMATS = ("fp32", "fp16", "ap_fixed<8,3>", "ap_fixed<8,2>")
RENORMALISE = 4.0
"""|log2 S| above which a power of two brings a tensor back: FP16 has few exponents to spare."""


@dataclass(frozen=True)
class Condition:
    """One way to store the weights and to compensate.

    Attributes:
        format: of the weights and, in floating point, of every tensor.
        compensation: ``none`` (unscaled weights), ``layer`` (divided after each layer) or ``logits``.
        renormalised: whether tensors are kept in range by powers of two.
    """

    format: WeightFormat
    compensation: Compensation
    renormalised: bool = False

    def __str__(self) -> str:
        return f"{self.format.name}, {self.compensation}{', renormalised' if self.renormalised else ''}"


@dataclass(frozen=True)
class LogitsResult:
    """Accuracy of a condition at one bit error rate.

    Attributes:
        condition: storage and compensation.
        ber: bit error rate, 0 without faults.
        outcomes: of the rounds; one without faults.
        log2_scale: of the product of all constants on the way to the logits.
    """

    condition: Condition
    ber: float
    outcomes: tuple[Outcome, ...]
    log2_scale: float

    def row(self, subject: Subject) -> dict[str, Any]:
        """A line of the table, as JSON data; ``accuracy``, its ``std`` and interval in percent."""
        condition = self.condition
        key = (subject.model, condition.format.name, condition.compensation)
        summary = summarise([outcome.accuracy for outcome in self.outcomes])
        return {
            "model": subject.model,
            "format": condition.format.name,
            "compensation": condition.compensation,
            "renormalised": condition.renormalised,
            "log2_scale": self.log2_scale,
            "ber": self.ber,
            "accuracy": summary.mean,
            "std": summary.std,
            "low": summary.low,
            "high": summary.high,
            "rounds": summary.rounds,
            "bad_images": sum(outcome.bad_images for outcome in self.outcomes),
            "images": self.outcomes[0].images,
            "published": LOGITS.get(key) if subject.is_papers and not self.ber else None,
        }


def run_logits(
    subject: Subject,
    formats: Sequence[str] = FORMATS,
    ber: Sequence[float] = (),
    calibration: str | None = None,
    advance: Advance = no_progress,
) -> list[LogitsResult]:
    """Accuracies with unscaled weights, with division at every layer, and at the logits.

    Batch normalisation is fused into the weights first. In FP32 and FP16 every tensor is rounded to the
    format after each operation, whose sums are FP32. Compensation at the logits is measured with and
    without renormalisation by powers of two. Fixed point is the exact reference. Faults are independent
    flips of the bits of all weight memories; in one format, round r meets the same ones in every condition.

    Args:
        subject: network, data, rounds, seed, and whether faults reach the top exponent bit (``none``: they
            do; ``assume``: they do not). Round r draws from ``SeedSequence(seed, spawn_key=(r,))``.
        formats: weight formats.
        ber: bit error rates, besides the fault-free run.
        calibration: images for the fixed-point activations; None for the training digits.
        advance: progress display.

    Raises:
        HwflowError: a network or data that do not fit, or a bit error rate out of range.
    """
    from hwflow.frontends.keras_check import check
    from hwflow.frontends.keras_graph import network_graph
    from hwflow.frontends.keras_network import read_network

    spec = subject.network
    chosen = list(_conditions([weight_format(name) for name in formats]))
    fixed = any(isinstance(condition.format, FixedFormat) for condition in chosen)
    data = open_labelled(subject.spec(formats, ("none",), (0.0,)))
    if fixed:
        check_calibration(spec, calibration)
    model, dataset = open_model(spec, data, subject.preprocessing)
    assert dataset.labels is not None
    calls = read_network(model)
    graph = network_graph(calls)
    check(graph, calls, dataset.images[:CHECKED_IMAGES], model)
    images = None
    if fixed:
        images = calibration_images(spec, calibration, graph.input.shape, subject.preprocessing)
    found: list[LogitsResult] = []
    for number, condition in enumerate(chosen):
        advance(number, len(chosen), str(condition))
        network, log2_scale = _build(graph, condition, images, subject.msb == "none")
        for rate in dict.fromkeys((0.0, *ber)):
            outcomes = _rounds(network, rate, subject, dataset.images, dataset.labels)
            found.append(LogitsResult(condition, rate, outcomes, log2_scale))
    return found


def _conditions(formats: Sequence[WeightFormat]) -> Iterator[Condition]:
    for format_ in formats:
        for compensation in COMPENSATIONS:
            yield Condition(format_, compensation)
        if isinstance(format_, FloatFormat):
            yield Condition(format_, "logits", renormalised=True)


def _rounds(
    network: FloatNetwork | ReferenceNetwork,
    ber: float,
    subject: Subject,
    images: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
) -> tuple[Outcome, ...]:
    if not ber:
        return (network.evaluate(images, labels),)
    seeds = (np.random.SeedSequence(subject.seed, spawn_key=(each,)) for each in range(subject.rounds))
    drawn = [int(seed.generate_state(1, np.uint64)[0]) for seed in seeds]
    return tuple(
        network.evaluate(images, labels, sample_ber(network.memories, ber, seed, network.digest)) for seed in drawn
    )


def _build(
    graph: Graph, condition: Condition, calibration: npt.NDArray[Any] | None, msb_flips: bool
) -> tuple[FloatNetwork | ReferenceNetwork, float]:
    """The network of a condition, and log2 of the product of its constants."""
    format_ = condition.format
    scale: Literal["none", "exact"] = "none" if condition.compensation == "none" else "exact"
    if isinstance(format_, FixedFormat):
        assert calibration is not None
        options = ScalingOptions(format_.type, scale=scale, compensation=condition.compensation, saturate=True)
        hardened = harden(graph, calibration, HardenOptions(options))
        return ReferenceNetwork(hardened.graph), _log2(hardened.plan.logit_scale)
    assert isinstance(format_, FloatFormat)
    options = ScalingOptions(
        FixedType(32, 8),  # wide enough for any weight: the format itself rounds later
        format_.optimal_t,
        scale,
        align="multiply",
        compensation=condition.compensation,
        saturate=True,
        renormalise=RENORMALISE if condition.renormalised else None,
    )
    scaled, plan = scale_graph(graph, options)
    return FloatNetwork(scaled, format_, msb_flips), _log2(plan.logit_scale)


def _log2(scale: Any) -> float:
    return float(np.max(np.log2(scale)))
