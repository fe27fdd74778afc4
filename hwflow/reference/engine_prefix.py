"""The activations of a batch in front of the first faulted layer, kept from round to round."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from hwflow.faults import FaultList
from hwflow.graph import IntArray
from hwflow.reference.engine import Engine
from hwflow.reference.kernels.binding import Array

Faulted = Callable[[FaultList | None], AbstractContextManager[Any]]


class CleanPrefix:
    """One batch, run once without faults; each round starts at the last kept step before its first fault.

    Attributes:
        output: the clean output codes ``(n, *output shape)``.
        bytes: memory of the kept activations.
    """

    def __init__(self, engine: Engine, faulted: Faulted, codes: IntArray, max_bytes: int) -> None:
        self._engine, self._faulted, self._steps = engine, faulted, engine.steps
        self._first = {node.name: position for position, step in enumerate(self._steps) for node in step.nodes}
        self._dead = engine.dead(self._steps)
        self._live = self._live_sets(engine.graph.input.name)
        self._kept = self._cuts(len(codes), max_bytes)
        wanted = frozenset().union(*(self._live[cut] for cut in self._kept))
        first = engine.graph.input.name
        tensors: dict[str, Array] = {first: engine.stored(first, codes.copy())}
        self._tensors = {name: array for name, array in tensors.items() if name in wanted}
        self.output = self._finish(tensors, 0, lambda name, array: self._keep(wanted, name, array))
        self.bytes = sum(array.nbytes for array in self._tensors.values())

    def run(self, faults: FaultList | None = None) -> IntArray:
        """Output codes of the batch under ``faults``.

        Raises:
            HwflowError: faults of another design.
        """
        with self._faulted(faults):
            start = self._start(faults)
            if start is None:
                return self.output.copy()
            return self._finish({name: self._tensors[name] for name in self._live[start]}, start)

    def _finish(
        self, tensors: dict[str, Array], start: int, made: Callable[[str, Array], None] = lambda _name, _array: None
    ) -> IntArray:
        """Run the steps from ``start`` on; ``made`` sees what they compute."""
        for step, dead in zip(self._steps[start:], self._dead[start:], strict=True):
            tensors[step.name] = step.run([tensors[name] for name in step.inputs])
            made(step.name, tensors[step.name])
            for name in dead:
                del tensors[name]
        name = self._engine.graph.output.name
        return self._engine.codes(name, tensors[name])

    def _keep(self, wanted: frozenset[str], name: str, array: Array) -> None:
        if name in wanted:
            self._tensors[name] = array

    def _live_sets(self, first: str) -> list[frozenset[str]]:
        """For every step, the tensors that exist before it and are still read."""
        live, now = [], {first}
        for step, dead in zip(self._steps, self._dead, strict=True):
            live.append(frozenset(now))
            now = (now | {step.name}) - set(dead)
        return live

    def _start(self, faults: FaultList | None) -> int | None:
        """The step to start at, or None if no fault changes anything."""
        hit = [] if faults is None else [name for name, flips in faults.counts().items() if flips]
        if not hit:
            return None
        first = min(self._first[name.rpartition(".")[0]] for name in hit)
        return max(cut for cut in self._kept if cut <= first)

    def _cuts(self, images: int, max_bytes: int) -> list[int]:
        """Steps to keep the inputs of: all, then without those that free most memory for the time they cost.

        Step 0, the network's input, is always kept.
        """
        graph, live = self._engine.graph, self._live
        size = {
            node.name: images * int(np.prod(node.shape)) * np.dtype(self._engine.storage(node.name).dtype).itemsize
            for node in graph
        }
        cuts = list(range(len(live)))
        while len(cuts) > 1:
            readers: dict[str, int] = {}
            for cut in cuts:
                for name in live[cut]:
                    readers[name] = readers.get(name, 0) + 1
            if sum(size[name] for name in readers) <= max_bytes:
                break

            def price(index: int, cuts: list[int] = cuts, readers: dict[str, int] = readers) -> float:
                """Time lost for a byte freed: rounds that start in the gap then repeat the steps before it."""
                cut, end = cuts[index], cuts[index + 1] if index + 1 < len(cuts) else len(live)
                again = sum(step.cost for step in self._steps[cuts[index - 1] : cut]) * (end - cut)
                freed = sum(size[name] for name in live[cut] if readers[name] == 1)
                return again / (freed + 1)

            cuts.pop(min(range(1, len(cuts)), key=price))
        return cuts
