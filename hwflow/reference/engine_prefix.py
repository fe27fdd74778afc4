"""A batch under many fault lists: what lies in front of a list's first fault is computed once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from hwflow.faults import FaultList
from hwflow.graph import Conv2D, IntArray
from hwflow.memory import Touched
from hwflow.reference.engine import Engine, EngineStep
from hwflow.reference.kernels.binding import Array

Upset = Callable[[FaultList | None], Sequence[Touched]]
Faulted = Callable[[Sequence[Touched]], AbstractContextManager[Any]]


class CleanPrefix:
    """One batch under many fault lists; a round starts at the last kept step before the first weight that changes.

    On the way there a round runs the steps without faults, and leaves behind the activations that it starts from: the
    next round that starts there need not come that way again. A list that decoders undo costs no step at all.

    Args:
        engine: what runs the graph.
        upset: the weights that a list changes.
        faulted: puts them into the engine's weights and takes them out again.
        codes: input codes ``(n, *input shape)``, not to be changed afterwards.
        max_bytes: of the kept activations, besides the input.
        rounds: fault lists to come, if they are known: what they start at is kept when it is first passed.
    """

    def __init__(
        self,
        engine: Engine,
        upset: Upset,
        faulted: Faulted,
        codes: IntArray,
        max_bytes: int,
        rounds: Iterable[FaultList | None] = (),
    ) -> None:
        self._engine, self._upset, self._faulted, self._steps = engine, upset, faulted, engine.steps
        self._first = {node.name: position for position, step in enumerate(self._steps) for node in step.nodes}
        self._dead = engine.dead(self._steps)
        self._live = live_sets(self._steps, self._dead)
        self._images, self._max_bytes = len(codes), max_bytes
        self._bytes = tensor_bytes(engine)
        name = engine.graph.input.name
        self._bytes[name] = 0
        self._tensors: dict[str, Array] = {name: engine.stored(name, codes)}
        self._output: IntArray | None = None
        self._starts: Counter[int] = Counter()  # how many rounds start at a step
        self._cuts = [0]  # steps whose inputs are kept, or will be when they are passed
        for faults in rounds:
            hit = [] if faults is None else [name for name, flips in faults.counts().items() if flips]
            if hit:  # a decoder may undo them; a layer of another design is refused when the round runs
                self._expect(min(self._first.get(name.rpartition(".")[0], 0) for name in hit))

    @property
    def output(self) -> IntArray:
        """The clean output codes ``(n, *output shape)``."""
        return self.run()

    @property
    def bytes(self) -> int:
        """Memory of the input and the activations that are kept now."""
        return sum(array.nbytes for array in self._tensors.values())

    def run(self, faults: FaultList | None = None) -> IntArray:
        """Output codes of the batch under ``faults``.

        Raises:
            HwflowError: faults of another design.
        """
        return self.run_changed(self._upset(faults))

    def run_changed(self, changed: Sequence[Touched]) -> IntArray:
        """Output codes of the batch with other weights, whatever made them so."""
        if changed:
            start = min(self._first[read.layer.name] for read in changed)
            self._expect(start)
            tensors = self._clean(start)
            with self._faulted(changed):
                return self._codes(self._run(tensors, start, len(self._steps)))
        if self._output is None:
            self._output = self._codes(self._clean(len(self._steps)))
        return self._output.copy()

    def _clean(self, end: int) -> dict[str, Array]:
        """The tensors before step ``end`` without faults, from the last kept ones on."""
        start = max(cut for cut in self._cuts if cut <= end and self._live[cut] <= self._tensors.keys())
        tensors = {name: self._tensors[name] for name in self._live[start]}
        for cut in [cut for cut in self._cuts if start < cut <= end]:
            self._run(tensors, start, cut)
            self._tensors.update(tensors)
            start = cut
        return self._run(tensors, start, end)

    def _run(self, tensors: dict[str, Array], start: int, end: int) -> dict[str, Array]:
        """Take ``tensors``, which exist before step ``start``, to before step ``end``, in place."""
        for step, dead in zip(self._steps[start:end], self._dead[start:end], strict=True):
            tensors[step.name] = step.run([tensors[name] for name in step.inputs])
            for name in dead:
                del tensors[name]
        return tensors

    def _codes(self, tensors: dict[str, Array]) -> IntArray:
        name = self._engine.graph.output.name
        return self._engine.codes(name, tensors[name])

    def _expect(self, start: int) -> None:
        """Note that a round starts at a step, and keep what that step reads if there is room.

        Without room the steps go whose rounds lose least time for a byte; step 0 stays.
        """
        self._starts[start] += 1
        if start in self._cuts:
            return
        self._cuts = sorted([*self._cuts, start])
        while self._images * sum(self._bytes[name] for name in self._names()) > self._max_bytes:
            self._cuts.pop(min(range(1, len(self._cuts)), key=self._price))
        names = self._names()
        self._tensors = {name: array for name, array in self._tensors.items() if name in names}

    def _names(self) -> frozenset[str]:
        """Tensors that are kept, or will be."""
        return frozenset().union(*(self._live[cut] for cut in self._cuts))

    def _price(self, index: int) -> float:
        """Time lost for a byte freed without a cut: rounds that start behind it repeat the steps before it."""
        cuts = [*self._cuts, len(self._steps)]
        before, cut, after = cuts[index - 1 : index + 2]
        rounds = sum(count for start, count in self._starts.items() if cut <= start < after)
        others = frozenset().union(*(self._live[other] for other in self._cuts if other != cut))
        freed = sum(self._bytes[name] for name in self._live[cut] - others)
        return rounds * sum(step.cost for step in self._steps[before:cut]) / (freed + 1)


def image_bytes(engine: Engine) -> int:
    """The most memory that one image takes while the steps run: activations, and patches where NumPy convolves."""
    size = tensor_bytes(engine)
    most = 1
    for step, live in zip(engine.steps, live_sets(engine.steps, engine.dead(engine.steps)), strict=True):
        patches = 0
        if not step.compiled:
            patches = sum(8 * node.vectors * node.n_in for node in step.nodes if isinstance(node, Conv2D))
        most = max(most, sum(size[name] for name in live | {step.name}) + patches)
    return most


def tensor_bytes(engine: Engine) -> dict[str, int]:
    """Bytes of every tensor of one image, as steps pass them on."""
    return {
        node.name: int(np.prod(node.shape)) * np.dtype(engine.storage(node.name).dtype).itemsize
        for node in engine.graph
    }


def live_sets(steps: Sequence[EngineStep], dead: Sequence[Sequence[str]]) -> list[frozenset[str]]:
    """For every step, the tensors that exist before it and are still read."""
    live: list[frozenset[str]] = []
    now = {name for step in steps for name in step.inputs} - {step.name for step in steps}
    for step, gone in zip(steps, dead, strict=True):
        live.append(frozenset(now))
        now = (now | {step.name}) - set(gone)
    return live
