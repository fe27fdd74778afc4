"""The executors behind one interface: opened for a design, and given no more images than their memory allows."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from hwflow import doctor
from hwflow.data import Float32
from hwflow.faults import FaultList
from hwflow.folders.design import Design
from hwflow.graph import Graph, IntArray
from hwflow.reference import IntegerExecutor
from hwflow.reference.engine_prefix import image_bytes

MAX_BATCH = 256
_BATCH_BYTES = 1 << 27  # activations of one batch, and patches where NumPy convolves
_ENCODING_BYTES = 28  # of a pixel that becomes a code: float32, float64 and what rounding takes
_KEPT_BYTES = 1 << 28  # activations of one batch that its rounds start from
_RUN_ELEMENTS = 1 << 23  # int64 input codes of one C simulation, which is a process of its own: 64 MiB


class Executor(Protocol):
    """Input codes ``(n, *input shape)`` and faults to output codes ``(n, *output shape)``."""

    def run(self, codes: IntArray, faults: FaultList | None = None) -> IntArray:
        """Output codes of input codes under ``faults``."""


Logits = Callable[[FaultList | None], npt.NDArray[Any]]
"""Of one batch of images, ``(n, classes)``, under a fault list."""


@dataclass(frozen=True)
class Network:
    """What computes logits.

    Attributes:
        start: from a batch of images to its logits.
        size: images that it takes at once.
        engine: what the reference says of how it computes.
    """

    start: Callable[[Float32], Logits]
    size: int
    engine: str | None = None


@contextmanager
def open_network(
    design: Design, name: str, project: str | Path | None, threads: int | None, lists: Sequence[FaultList]
) -> Iterator[Network]:
    """The network in an executor, ``reference``, ``csim`` or ``keras`` (which knows no faults).

    Args:
        design: whose network.
        name: of the executor.
        project: whose firmware ``csim`` runs; by default it is generated.
        threads: of the reference.
        lists: the fault lists to come: the reference keeps the activations that they start from.

    Raises:
        HwflowError: as :func:`open_executor`.
    """
    graph = design.graph
    if name == "keras":
        model = design.keras_model()
        yield Network(lambda images: lambda _: model.predict_on_batch(images), _float_images_at_once(graph))
        return
    with open_executor(design, name, project, threads) as runner:
        size = images_at_once(runner, graph)
        if isinstance(runner, IntegerExecutor):
            reference = runner  # the narrowed type, for the function below
            yield Network(
                lambda images: reference.clean_prefix(encode(graph, images), _KEPT_BYTES, lists).run,
                size,
                runner.engine.note,
            )
            return
        yield Network(lambda images: partial(runner.run, encode(graph, images)), size)


@contextmanager
def open_executor(
    design: Design, name: str, project: str | Path | None = None, threads: int | None = None
) -> Iterator[Executor]:
    """The executor ``reference`` or ``csim``; the firmware of ``csim`` is generated if no project is given.

    Raises:
        HwflowError: g++ is missing, or the project does not belong to the design.
    """
    if name == "reference":
        yield IntegerExecutor(design.graph, threads)
        return
    doctor.require("g++")
    from hwflow.firmware.csim import CsimExecutor
    from hwflow.folders.project import load_project
    from hwflow.stages.generate import generate

    if project is not None:
        yield CsimExecutor(load_project(project, design).part("firmware"), design.graph)
        return
    with tempfile.TemporaryDirectory(prefix="hwflow-") as folder:
        made = generate(design, Path(folder) / "project", rtl=False)
        yield CsimExecutor(made.part("firmware"), design.graph)


def run_batches(
    executor: Executor,
    graph: Graph,
    codes: IntArray,
    faults: FaultList | None,
    advance: Callable[[int], None] = lambda _: None,
) -> IntArray:
    """Output codes of any number of images; an executor is given no more than its memory allows.

    Args:
        executor: what computes them.
        graph: the design's graph.
        codes: input codes ``(n, *input shape)``.
        faults: present for the whole run.
        advance: called with the number of images done.
    """
    size = images_at_once(executor, graph)
    outputs = []
    for start in range(0, len(codes), size):
        outputs.append(executor.run(codes[start : start + size], faults))
        advance(min(start + size, len(codes)))
    return np.concatenate(outputs)


def encode(graph: Graph, images: npt.NDArray[Any]) -> IntArray:
    """Input codes of real images."""
    return graph.input.resolved.encode(images)


def images_at_once(executor: Executor, graph: Graph) -> int:
    """Images that an executor is given at once.

    The reference holds all their pixels, and then their activations: 128 MiB at most, and no more than
    ``MAX_BATCH`` images. The others start a process a run, which many images must share.
    """
    if isinstance(executor, IntegerExecutor):
        encoding = _ENCODING_BYTES * math.prod(graph.input.shape)
        return max(1, min(MAX_BATCH, _BATCH_BYTES // max(encoding, image_bytes(executor.engine))))
    return max(1, _RUN_ELEMENTS // math.prod(graph.input.shape))


def _float_images_at_once(graph: Graph) -> int:
    """Images that the float network is given at once: four tensors of the largest size stay within 128 MiB."""
    largest = max(4 * math.prod(node.shape) for node in graph)
    return max(1, min(MAX_BATCH, _BATCH_BYTES // (4 * largest)))
