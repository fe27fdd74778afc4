"""Any Keras network with its weights in faulty memory; arithmetic in float32, as the paper does it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hwflow.errors import HwflowError
from hwflow.faults import FaultList, Memory
from hwflow.float_study.protections import float_protection
from hwflow.float_study.storage import Float32, Msb, PerWhat, StoredLayer, store
from hwflow.float_study.words import WeightFormat
from hwflow.frontends.keras_decision import threshold
from hwflow.graph.decision import known_classes
from hwflow.models.resnet import SUBSAMPLE
from hwflow.models.running import forward
from hwflow.reference.kernels.library import machine_class

_KERNELS = ("kernel", "depthwise_kernel", "pointwise_kernel")
_BATCH_ELEMENTS = 1 << 22  # float32 elements of the input images


class KerasNetwork:
    """A Keras model whose kernels can be replaced; shared by any number of `FaultyNetwork`.

    Kernels of all layers that have one are weights, biases and batch normalisation are not. The fixed
    wiring of an option A shortcut is none either.

    Attributes:
        name: of the network.
        kernels: float32 weights by layer name, of the Keras shape.
        input_shape: of an image.
        classes: that it tells apart.
        threshold: above which a single output tells class 1, as in :mod:`hwflow.graph.decision`; ``None`` of more.
        digest: SHA-256 of the kernels and every other weight, in hexadecimal.
        engine: what computes it, one line: sums of float32 may differ in their last bit from processor to processor.

    Raises:
        HwflowError: a QKeras layer, which would quantise a faulted weight again; or no weights at all.
    """

    def __init__(self, model: Any) -> None:
        self.name = str(model.name)
        self.input_shape = tuple(model.input_shape[1:])
        self.threshold = threshold(model)
        self.classes = known_classes(tuple(model.output_shape[1:]), self.name)
        self._variables = dict(_kernel_variables(model))
        if not self._variables:
            raise HwflowError(f"{self.name}: has no layers with weights")
        self.kernels = {name: np.array(variable, np.float32) for name, variable in self._variables.items()}
        self._loaded: dict[str, Float32] = dict(self.kernels)
        self._forward, engine = forward(model)
        self.digest = _digest(model)
        self.engine = f"{engine}, processor with {machine_class()}"

    def logits(self, images: npt.NDArray[Any], kernels: dict[str, Float32] | None = None) -> Float32:
        """Outputs ``(n, classes)`` of images ``(n, *input_shape)`` with these kernels, by default its own."""
        for name, kernel in (kernels or self.kernels).items():
            if self._loaded[name] is not kernel:
                self._variables[name].assign(kernel)
                self._loaded[name] = kernel
        return _in_batches(self._forward, images)


def float_logits(model: Any, images: npt.NDArray[Any]) -> Float32:
    """Outputs ``(n, classes)`` of a Keras model for images ``(n, *input_shape)``."""
    return _in_batches(forward(model)[0], images)


def _in_batches(function: Callable[[Float32], Float32], images: npt.NDArray[Any]) -> Float32:
    size = max(16, min(256, _BATCH_ELEMENTS // int(np.prod(images.shape[1:]))))
    parts = [images[start : start + size] for start in range(0, len(images), size)]
    return np.concatenate([function(np.asarray(part, np.float32)) for part in parts])


@dataclass(frozen=True)
class StudyOptions:
    """How weights are stored.

    Attributes:
        t: largest magnitude of the scaled weights; None stores them unscaled.
        msb: protection of the most significant exponent bit, see `StoredLayer`.
        per: a constant for every ``layer`` or for every output ``channel``.
        protection: by name, see :mod:`hwflow.float_study.protections`.
    """

    t: float | None = None
    msb: Msb = "assume"
    per: PerWhat = "layer"
    protection: str = "plain"


@dataclass(frozen=True)
class Outcome:
    """What one fault list did.

    Attributes:
        correct: images classified right.
        images: images classified.
        flips: bits in the fault list, those that a protection undoes included.
        bad_weights: weights that were read as NaN or infinity.
        bad_images: images with a logit that is NaN or infinite.
    """

    correct: int
    images: int
    flips: int = 0
    bad_weights: int = 0
    bad_images: int = 0

    @classmethod
    def of(
        cls,
        logits: Float32,
        labels: npt.NDArray[np.int64],
        faults: FaultList | None,
        bad_weights: int = 0,
        threshold: float | None = None,
    ) -> Outcome:
        """The outcome of `logits` ``(n, outputs)`` under `faults`, for the classes `labels` ``(n,)``."""
        return cls(
            correct=int(np.count_nonzero(top1(logits, threshold) == labels)),
            images=len(labels),
            flips=0 if faults is None else len(faults),
            bad_weights=bad_weights,
            bad_images=int(np.count_nonzero(~np.isfinite(logits).all(axis=-1))),
        )

    @property
    def accuracy(self) -> float:
        """Top-1, percent."""
        return 100.0 * self.correct / self.images


class FaultyNetwork:
    """A network with its weights stored in one format.

    Args:
        network: the Keras network.
        format_: of the stored weights.
        options: scaling and protection.
    """

    def __init__(self, network: KerasNetwork, format_: WeightFormat, options: StudyOptions | None = None) -> None:
        options = options or StudyOptions()
        self.network = network
        protection = float_protection(options.protection, format_)
        self.layers: tuple[StoredLayer, ...] = tuple(
            store(name, kernel, format_, options.t, options.msb, options.per, protection)
            for name, kernel in network.kernels.items()
        )
        self._clean = {layer.name: layer.read() for layer in self.layers}

    @property
    def memories(self) -> tuple[Memory, ...]:
        """The memories that faults can hit, ``<layer>.weight``."""
        return tuple(layer.memory for layer in self.layers)

    @property
    def digest(self) -> str:
        """The model hash that fault lists of this network carry: that of the weights before they are stored."""
        return self.network.digest

    @property
    def engine(self) -> str:
        """What computes it, one line."""
        return self.network.engine

    @property
    def side_bits(self) -> int:
        """Bits of the side memory that ``msb = "sparse"`` needs."""
        return sum(layer.side_bits for layer in self.layers)

    def contents(self, name: str) -> npt.NDArray[np.uint8]:
        """The words that a memory holds, fault-free, as bytes ``(words, 8)``, the least significant first."""
        words = next(layer.words() for layer in self.layers if layer.memory.name == name)
        return words.astype("<u8").view(np.uint8).reshape(-1, 8)

    def logits(self, images: npt.NDArray[Any], faults: FaultList | None = None) -> tuple[Float32, int]:
        """Outputs under `faults`, and how many weights were read as NaN or infinity.

        Raises:
            HwflowError: the faults are another network's, by their memories or their model hash.
        """
        kernels = dict(self._clean)
        bad = 0
        if faults is not None:
            faults.check(self.memories, self.digest)
            for layer in self.layers:
                positions, values = layer.upset(faults)
                if len(positions):
                    kernel = self._clean[layer.name].copy()
                    kernel.reshape(-1)[positions] = values
                    kernels[layer.name] = kernel
                    bad += int(np.count_nonzero(~np.isfinite(values)))
        return self.network.logits(images, kernels), bad

    def evaluate(
        self, images: npt.NDArray[Any], labels: npt.NDArray[np.int64], faults: FaultList | None = None
    ) -> Outcome:
        """Top-1 hits under `faults`."""
        logits, bad = self.logits(images, faults)
        return Outcome.of(logits, labels, faults, bad, self.network.threshold)


def top1(logits: npt.NDArray[Any], threshold: float | None = None) -> npt.NDArray[np.int64]:
    """The class that a chain of comparators picks: it starts at class 0 and moves on what is greater.

    NaN is never greater, and nothing is greater than NaN: where logit 0 is NaN, class 0 stays.

    Args:
        logits: ``(..., outputs)``.
        threshold: that a single output must exceed for class 1; ``None`` if the largest output tells the class.
    """
    if threshold is not None:
        return (logits[..., 0] > threshold).astype(np.int64)
    picked = np.argmax(np.where(np.isnan(logits), -np.inf, logits), axis=-1)
    return np.where(np.isnan(logits[..., 0]), 0, picked)


def _digest(model: Any) -> str:
    sha = hashlib.sha256(str(model.name).encode())
    for weight in model.weights:
        array = np.ascontiguousarray(weight)
        sha.update(f"{array.dtype.str}{array.shape}".encode())
        sha.update(array.tobytes())
    return sha.hexdigest()


def _kernel_variables(model: Any) -> Sequence[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for layer in _layers(model):
        if layer.name.endswith(SUBSAMPLE):
            continue
        kernels = [(key, getattr(layer, key)) for key in _KERNELS if getattr(layer, key, None) is not None]
        if kernels and hasattr(layer, "kernel_quantizer"):
            raise HwflowError(
                f"{layer.name}: a QKeras layer quantises its weights again after a fault; "
                "study it in the reference executor, or give the float network"
            )
        for key, variable in kernels:
            # A separable convolution has two; the second gets a name of its own.
            found.append((layer.name if key in (kernels[0][0],) else f"{layer.name}_{key}", variable))
    return found


def _layers(model: Any) -> Sequence[Any]:
    """All layers, those of nested models included."""
    found: list[Any] = []
    for layer in model.layers:
        found.extend(_layers(layer) if hasattr(layer, "layers") else [layer])
    return found
