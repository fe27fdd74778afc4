"""The executors behind one interface: opened alike by name, and given no more images than their memory allows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy.typing as npt

from hwflow import doctor
from hwflow.data import Float32
from hwflow.errors import HwflowError
from hwflow.faults import FaultList
from hwflow.graph import Graph, IntArray
from hwflow.reference import IntegerExecutor
from hwflow.reference.engine_prefix import image_bytes

if TYPE_CHECKING:
    from hwflow.models import KerasModel

MAX_BATCH = 256
_BATCH_BYTES = 1 << 27  # activations of one batch, and patches where NumPy convolves
_ENCODING_BYTES = 28  # of a pixel that becomes a code: float32, float64 and what rounding takes
_KEPT_BYTES = 1 << 28  # activations of one batch that its rounds start from
_RUN_ELEMENTS = 1 << 23  # int64 input codes of one C simulation, which is a process of its own: 64 MiB

Outputs = Callable[[FaultList | None], npt.NDArray[Any]]
"""Of one batch of images, ``(n, *output shape)``, under a fault list: codes, or the float network's values."""


class Executor(Protocol):
    """What computes a network's outputs."""

    @property
    def images_at_once(self) -> int:
        """Images that its memory allows at a time."""

    @property
    def note(self) -> str | None:
        """One line on how it computes and why, if it has a choice."""

    def start(self, images: Float32) -> Outputs:
        """Take a batch of images ``(n, *input shape)``; the result gives their outputs under any fault list."""


@dataclass(frozen=True)
class Setup:
    """What an executor is opened with; each takes what it needs.

    Attributes:
        graph: the design's.
        keras: loads the float network.
        part: the folder ``firmware`` or ``rtl`` of the design's project.
        threads: of the reference, by default all cores.
        lists: the fault lists to come: the reference keeps the activations that they start from.
    """

    graph: Graph
    keras: Callable[[], KerasModel] | None = None
    part: Callable[[str], Path] | None = None
    threads: int | None = None
    lists: Sequence[FaultList] = ()

    def folder(self, name: str) -> Path:
        """A part of the project.

        Raises:
            HwflowError: there is no project, or it was generated without this part.
        """
        if self.part is None:
            raise HwflowError(f"there is no project whose {name} can run; generate one")
        return self.part(name)


@dataclass(frozen=True)
class Kind:
    """An executor that can be opened.

    Attributes:
        open: opens it.
        part: the part of a project that it runs, ``firmware`` or ``rtl``, if any.
        programs: that it needs on the machine.
        faults: whether fault lists change what it computes.
    """

    open: Callable[[Setup], Executor]
    part: str | None = None
    programs: tuple[str, ...] = ()
    faults: bool = True


@dataclass(frozen=True)
class OnCodes:
    """An executor of integer codes.

    Attributes:
        graph: the design's; images become codes of its input type.
        begin: takes a batch of input codes ``(n, *input shape)``.
        images_at_once, note: see :class:`Executor`.
    """

    graph: Graph
    begin: Callable[[IntArray], Outputs]
    images_at_once: int
    note: str | None = None

    def start(self, images: Float32) -> Outputs:
        """Take a batch of images ``(n, *input shape)``."""
        return self.begin(encode(self.graph, images))


@dataclass(frozen=True)
class InFloat:
    """The Keras model itself, which has no stored bits that faults could flip."""

    model: KerasModel
    images_at_once: int
    note = None

    def start(self, images: Float32) -> Outputs:
        """Take a batch of images ``(n, *input shape)``; no fault list changes their outputs."""
        return lambda _: self.model.predict_on_batch(images)


def open_executor(name: str, setup: Setup) -> Executor:
    """The executor of that name.

    Raises:
        HwflowError: there is none, or there is no project, or it does not belong to the design.
    """
    return kind_of(name).open(setup)


def kind_of(name: str) -> Kind:
    """The executor of that name, not open yet.

    Raises:
        HwflowError: there is none.
    """
    if name not in EXECUTORS:
        raise HwflowError(f"executor {name!r} is unknown; choose one of {', '.join(EXECUTORS)}")
    return EXECUTORS[name]


def _reference(setup: Setup) -> Executor:
    runner = IntegerExecutor(setup.graph, setup.threads)

    def begin(codes: IntArray) -> Outputs:
        return runner.clean_prefix(codes, _KEPT_BYTES, setup.lists).run

    return OnCodes(setup.graph, begin, reference_batch(runner), runner.engine.note)


def _csim(setup: Setup) -> Executor:
    from hwflow.firmware.csim import CsimExecutor

    runner = CsimExecutor(setup.folder("firmware"), setup.graph)
    # Many images share a process.
    size = max(1, _RUN_ELEMENTS // math.prod(setup.graph.input.shape))
    return OnCodes(setup.graph, lambda codes: partial(runner.run, codes), size)


def _rtl(setup: Setup) -> Executor:
    from hwflow.rtl.executor import RtlExecutor

    runner = RtlExecutor(setup.folder("rtl"), setup.graph)
    return OnCodes(setup.graph, lambda codes: partial(runner.run, codes), runner.capacity)


def _keras(setup: Setup) -> Executor:
    assert setup.keras is not None
    # Four tensors of the largest size stay within the bytes of a batch.
    largest = max(4 * math.prod(node.shape) for node in setup.graph)
    return InFloat(setup.keras(), max(1, min(MAX_BATCH, _BATCH_BYTES // (4 * largest))))


EXECUTORS: dict[str, Kind] = {
    "reference": Kind(_reference),
    "csim": Kind(_csim, "firmware", ("g++",)),
    "rtl": Kind(_rtl, "rtl", doctor.SIMULATOR_PROGRAMS["verilator"]),
    "keras": Kind(_keras, faults=False),
}
"""By name. The RTL, simulated by Verilator, ends at the logits before a softmax that is too large for it."""


def encode(graph: Graph, images: npt.NDArray[Any]) -> IntArray:
    """Input codes of real images."""
    return graph.input.resolved.encode(images)


def reference_batch(runner: IntegerExecutor) -> int:
    """Images that the reference is given at once: at most 128 MiB of pixels or activations, and ``MAX_BATCH``."""
    encoding = _ENCODING_BYTES * math.prod(runner.graph.input.shape)
    return max(1, min(MAX_BATCH, _BATCH_BYTES // max(encoding, image_bytes(runner.engine))))
