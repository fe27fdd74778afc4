"""Everything that a trial needs, in one picklable piece; and running one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hwflow.campaign.constants import design_constants, granularity_of, scaling_of
from hwflow.campaign.designs import check_networks, design_cell, design_layers
from hwflow.campaign.plan import Cell, seed_of
from hwflow.campaign.records import Trial
from hwflow.campaign.sources import calibration_images, open_labelled, open_model
from hwflow.campaign.spec import CampaignSpec, stored_bits
from hwflow.errors import HwflowError
from hwflow.faults import FaultList
from hwflow.faults.models import restrict
from hwflow.float_study import FaultyNetwork, KerasNetwork, Outcome, StudyOptions, weight_format
from hwflow.float_study.network import float_logits, top1
from hwflow.folders.design import load_design
from hwflow.graph import Graph
from hwflow.graph.decision import code_threshold, threshold
from hwflow.hardening import HardenOptions, harden, input_type
from hwflow.memory import WordCounts, count_words
from hwflow.models.running import one_thread, rebuilt
from hwflow.stages.input_range import InputRange, calibrated_range, input_range
from hwflow.stages.protect import critical_weights, keep_critical

if TYPE_CHECKING:
    from hwflow.reference.engine_prefix import CleanPrefix

KEPT_BYTES = 1 << 29
"""Activations that trials of one network start from, in a process."""


@dataclass(frozen=True, eq=False)
class NetworkData:
    """A network and its images, free of TensorFlow.

    Attributes:
        architecture: Keras' JSON text.
        weights: all weights in Keras' order.
        graph: the untyped graph, or a design's typed one, for the reference executor; else None.
        calibration: images for an untyped graph's activation types.
        images: test images.
        labels: of them.
        layers: number of weights and max|W| of every weight layer.
        digest: SHA-256 of the weights.
        inputs: values of the images against the reference's input type; None in the float executor, which has none.
        constants: of a design, the smallest and the largest constant of every weight layer; else empty.
    """

    architecture: str
    weights: list[npt.NDArray[Any]]
    graph: Graph | None
    calibration: npt.NDArray[Any] | None
    images: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    layers: Mapping[str, tuple[int, float]]
    digest: str
    inputs: InputRange | None = None
    constants: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def data_digest(self) -> str:
        """SHA-256 of images and labels."""
        sha = hashlib.sha256(np.ascontiguousarray(self.images).tobytes())
        sha.update(np.ascontiguousarray(self.labels).tobytes())
        return sha.hexdigest()


CHECKED_IMAGES = 32
"""Calibration images on which a network of the reference is compared with the Keras model."""


@dataclass(frozen=True, eq=False)
class Bundle:
    """What a worker is sent once.

    Attributes:
        spec: the campaign.
        networks: networks and designs, by their names in the spec.
        designs: of every design, its coordinates without faults.
        in_float: images that the Keras model of every network classifies right.
    """

    spec: CampaignSpec
    networks: Mapping[str, NetworkData]
    designs: Mapping[str, Cell]
    in_float: Mapping[str, int]


def prepare(
    spec: CampaignSpec, step: Callable[[str], None] = lambda _: None, in_float: Mapping[str, int] | None = None
) -> Bundle:
    """Load every network and its images.

    Args:
        spec: the campaign.
        step: called with the name of each step.
        in_float: images that the Keras models classify right, where that is known.

    Raises:
        HwflowError: a network or data set that is missing, does not fit, or has fewer images than asked for.
    """
    networks: dict[str, NetworkData] = {}
    designs: dict[str, Cell] = {}
    hits = dict(in_float or {})
    step("looking for networks and images")
    data = open_labelled(spec)
    one_thread()
    for each in spec.models:
        step(f"loading {each.name}")
        design = None if each.design is None else load_design(each.design)
        model, dataset = open_model(each, data, spec.preprocessing, design)
        assert dataset.labels is not None
        graph = calibration = inputs = None
        if design is not None:
            designs[each.name] = design_cell(each, design, spec.models)
            graph, layers, digest = design.graph, design_layers(design), design.graph.digest
            limit = threshold(graph)
            inputs = input_range(graph, dataset.images, calibrated_range(design))
            _check_bits(spec.faults.bits, designs[each.name])
        elif spec.executor == "reference":
            from hwflow.frontends.keras_check import check
            from hwflow.frontends.keras_graph import network_graph
            from hwflow.frontends.keras_network import read_network

            calls = read_network(model)
            graph = network_graph(calls)
            calibration = calibration_images(each, spec.calibration, graph.input.shape, spec.preprocessing)
            check(graph, calls, calibration[:CHECKED_IMAGES], model)
            layers = _layers({layer.name: layer.weight.values for layer in graph.weight_layers})
            digest = graph.digest
            inputs = _input_range(graph, calibration, dataset.images)
            limit = threshold(graph)
        else:
            keras = KerasNetwork(model)
            layers, digest, limit = _layers(keras.kernels), keras.digest, keras.threshold
        _check_patterns(spec.faults.layers, each.name, tuple(layers))
        network = designs[each.name].model if each.name in designs else each.name
        if network not in hits:
            hits[network] = int(np.count_nonzero(top1(float_logits(model, dataset.images), limit) == dataset.labels))
        networks[each.name] = NetworkData(
            architecture=model.to_json(),
            weights=[np.asarray(weight) for weight in model.get_weights()],
            graph=graph,
            calibration=calibration,
            images=dataset.images,
            labels=dataset.labels,
            layers=layers,
            digest=digest,
            inputs=inputs,
            constants={} if design is None else design_constants(design),
        )
    check_networks({name: each.layers for name, each in networks.items()}, designs)
    return Bundle(spec, networks, designs, hits)


class Runner:
    """Runs trials of one bundle, one at a time; keeps what it has built.

    Args:
        bundle: networks and images.
        threads: of the reference executor, by default all cores. The float executor computes on one.
    """

    def __init__(self, bundle: Bundle, threads: int | None = None) -> None:
        self.bundle, self._threads = bundle, threads
        self._keras: dict[str, KerasNetwork] = {}
        self._hardened: tuple[object, Any] = (None, None)
        self._ranked: tuple[object, Mapping[str, npt.NDArray[np.float64]]] = (None, {})

    def run(self, index: int, cell: Cell, round_: int) -> Trial:
        """Draw the fault list of a trial and count the hits."""
        subject = self._subject(cell)
        seed = seed_of(self.bundle.spec, cell, round_)
        faults = None
        if cell.ber > 0:
            faults = self._draw(subject, cell, seed)
        network = self.bundle.networks[cell.subject]
        outcome: Outcome = subject.evaluate(network.images, network.labels, faults)
        words = WordCounts()
        if isinstance(subject, ReferenceNetwork) and faults is not None:
            words = count_words(subject.graph, faults)
        return Trial(
            index,
            round_,
            seed,
            outcome.flips,
            outcome.bad_weights,
            outcome.bad_images,
            outcome.correct,
            outcome.images,
            subject.side_bits,
            subject.engine,
            words.corrected,
            words.detected,
            words.silent,
            stored_bits=sum(memory.total_bits for memory in subject.memories),
        )

    def _draw(self, subject: Any, cell: Cell, seed: int) -> FaultList:
        spec = self.bundle.spec
        faults = spec.faults.at(cell.ber).draw(subject.memories, subject.contents, seed, subject.digest)
        faults = restrict(faults, spec.faults.layers, spec.faults.bits)
        if cell.layer is None and cell.bit is None:
            return faults
        return restrict(
            faults, None if cell.layer is None else [_literal(cell.layer)], None if cell.bit is None else [cell.bit]
        )

    def _subject(self, cell: Cell) -> Any:
        """The network as a cell stores it; only the last one is kept."""
        key = (cell.model, *cell.way)
        if self._hardened[0] != key:
            build = self._faulty if self.bundle.spec.executor == "float" else self._reference
            self._hardened = (key, build(cell))
        return self._hardened[1]

    def _faulty(self, cell: Cell) -> FaultyNetwork:
        spec = self.bundle.spec
        if cell.model not in self._keras:
            one_thread()
            network = self.bundle.networks[cell.model]
            self._keras[cell.model] = KerasNetwork(rebuilt(network.architecture, network.weights))
        options = StudyOptions(cell.target, spec.msb, granularity_of(cell), cell.protection)
        return FaultyNetwork(self._keras[cell.model], weight_format(cell.format), options)

    def _reference(self, cell: Cell) -> ReferenceNetwork:
        network = self.bundle.networks[cell.subject]
        assert network.graph is not None
        if cell.design is not None:
            return ReferenceNetwork(network.graph, self._threads)
        assert network.calibration is not None and cell.activation_bits is not None
        options = HardenOptions(scaling_of(cell), cell.activation_bits, storage=cell.protection)
        graph = harden(network.graph, network.calibration, options).graph
        if cell.protect_top:
            graph = keep_critical(graph, self._estimates(graph, network.calibration), cell.protect_top)
        return ReferenceNetwork(graph, self._threads)

    def _estimates(self, graph: Graph, images: npt.NDArray[Any]) -> Mapping[str, npt.NDArray[np.float64]]:
        """What flips do by way of every weight; kept for other fractions of the same graph."""
        if self._ranked[0] != graph.digest:
            self._ranked = graph.digest, critical_weights(graph, images, self._threads)
        return self._ranked[1]


class ReferenceNetwork:
    """A hardened graph in exact integer arithmetic, with the interface of `FaultyNetwork`.

    What lies in front of the first layer whose weights change is kept from trial to trial, batch by batch, up to
    ``KEPT_BYTES`` of activations besides the images' codes: trials that change late layers cost about those.

    Args:
        graph: the hardened graph.
        threads: of the executor, by default all cores.
    """

    def __init__(self, graph: Graph, threads: int | None = None) -> None:
        from hwflow.memory import memories
        from hwflow.reference import IntegerExecutor

        self.graph = graph
        self.side_bits = sum(layer.side_bits for layer in graph.weight_layers)
        self.executor = IntegerExecutor(graph, threads)
        self.memories = memories(graph)
        self.engine = self.executor.engine.note
        self._images: npt.NDArray[Any] | None = None
        self._batches: list[CleanPrefix] = []

    @property
    def digest(self) -> str:
        """The model hash that fault lists of this network carry."""
        return self.graph.digest

    def contents(self, name: str) -> npt.NDArray[Any]:
        """The words that a memory holds, fault-free."""
        from hwflow.memory import stored_words

        return next(stored_words(layer) for layer in self.graph.weight_layers if f"{layer.name}.weight" == name)

    def evaluate(
        self, images: npt.NDArray[Any], labels: npt.NDArray[np.int64], faults: FaultList | None = None
    ) -> Outcome:
        """Top-1 hits under `faults`."""
        if images is not self._images:
            self._images, self._batches = images, self._start(images)
        codes = np.concatenate([batch.run(faults) for batch in self._batches])
        correct = int(np.count_nonzero(top1(codes.astype(np.float64), code_threshold(self.graph)) == labels))
        return Outcome(correct, len(labels), 0 if faults is None else len(faults))

    def _start(self, images: npt.NDArray[Any]) -> list[CleanPrefix]:
        from hwflow.executors import encode, reference_batch

        size = reference_batch(self.executor)
        parts = [images[start : start + size] for start in range(0, len(images), size)]
        return [self.executor.clean_prefix(encode(self.graph, part), KEPT_BYTES // len(parts)) for part in parts]


def _check_patterns(patterns: tuple[str, ...] | None, model: str, layers: tuple[str, ...]) -> None:
    """Refuse a pattern that would keep no fault, before the first trial does."""
    for pattern in patterns or ():
        if not any(fnmatchcase(name, pattern) for name in layers):
            raise HwflowError(f"faults.layers: no layer of {model} matches {pattern!r}; there are {', '.join(layers)}")


def _check_bits(bits: tuple[int, ...] | None, design: Cell) -> None:
    most = stored_bits(weight_format(design.format), design.protection)
    for bit in bits or ():
        if bit >= most:
            raise HwflowError(f"faults.bits: {bit} is beyond the bits of the design {design.design}, 0 to {most - 1}")


def _layers(kernels: Mapping[str, npt.NDArray[Any]]) -> dict[str, tuple[int, float]]:
    return {name: (kernel.size, float(np.abs(kernel).max())) for name, kernel in kernels.items()}


def _input_range(graph: Graph, calibration: npt.NDArray[Any], images: npt.NDArray[Any]) -> InputRange:
    typed = Graph((replace(graph.input, type=input_type(calibration)),), graph.name)
    return input_range(typed, images, (float(calibration.min()), float(calibration.max())))


def _literal(name: str) -> str:
    """A pattern that matches this name only."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)
