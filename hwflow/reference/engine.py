"""The integer graph as a sequence of compiled steps, with NumPy where no compiled kernel is exact."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from hwflow.errors import HwflowError
from hwflow.graph import (
    Add,
    AveragePool2D,
    Concatenate,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    GlobalAveragePool2D,
    Graph,
    IntArray,
    LeakyReLU,
    Lookup,
    MaxPool2D,
    Move,
    Node,
    ReLU,
    Rescale,
    WeightLayer,
)
from hwflow.memory import Touched
from hwflow.reference.engine_layers import ChannelwiseLayer, MatrixLayer, Undo, compile_layer
from hwflow.reference.engine_nodes import (
    Run,
    add,
    average_pool,
    concatenate,
    elementwise,
    followers,
    map_elements,
    max_pool,
    moves,
    take,
)
from hwflow.reference.kernels import Kernels, build
from hwflow.reference.kernels.binding import Array
from hwflow.reference.kernels.epilogue import NotCompiled, Storage, cast, lowest

EngineName = Literal["auto", "numpy", "compiled"]
Evaluate = Callable[[Node, list[IntArray]], IntArray]


@dataclass(frozen=True)
class EngineStep:
    """Some nodes in one call.

    Attributes:
        name: the node whose output it computes.
        inputs: the nodes whose outputs it reads.
        nodes: the nodes that it computes, in order.
        run: stored arrays to the stored array.
        compiled: whether a compiled kernel runs.
        cost: an estimate of the time that it takes.
    """

    name: str
    inputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    run: Run
    compiled: bool
    cost: int


def usable_threads() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Engine:
    """How a typed graph is executed.

    Args:
        graph: a typed graph.
        evaluate: NumPy's exact result of one node, on int64 codes.
        name: ``compiled`` insists on compiled kernels, ``auto`` takes them if they can be built.
        threads: threads of the compiled kernels, by default all cores; results do not depend on it.

    Attributes:
        note: one line: which kernels run, and why.
        layers: the weight layers that compiled kernels run, by name.

    Raises:
        HwflowError: an unknown engine, no threads, or no compiled kernels where they are insisted on.
    """

    def __init__(self, graph: Graph, evaluate: Evaluate, name: EngineName = "auto", threads: int | None = None) -> None:
        if name not in get_args(EngineName):
            raise HwflowError(f"engine {name!r} is unknown; choose one of {', '.join(get_args(EngineName))}")
        if threads is not None and threads < 1:
            raise HwflowError(f"threads={threads} must be at least 1")
        self.graph, self._evaluate = graph, evaluate
        self.threads = threads or usable_threads()
        self._kernels, reason = _kernels(name, self.threads)
        self.layers: dict[str, MatrixLayer | ChannelwiseLayer] = {}
        self._why_not: dict[str, str] = {}
        for layer in graph.weight_layers:
            if self._kernels is None:
                break
            try:
                self.layers[layer.name] = compile_layer(self._kernels, graph, layer)
            except NotCompiled as limit:
                self._why_not[layer.name] = str(limit)
        # Fused or not, a layer has its weights in one place.
        self._single_steps = self._steps(fuse=False)
        compiled = {step.name for step in self._single_steps if step.compiled}
        self.layers = {name: layer for name, layer in self.layers.items() if name in compiled}
        self.steps = self._single_steps if self._kernels is None else self._steps(fuse=True)
        self.note = self._describe(reason)

    def _describe(self, reason: str) -> str:
        if self._kernels is None:
            return f"NumPy float64, exact below 2^53: {reason}"
        compiled = sum(len(step.nodes) for step in self.steps if step.compiled)
        count = len(self.graph.nodes) - 1
        kinds = "int8 and int16" if self._kernels.bytes else "int16"
        cores = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        note = f"compiled {kinds} kernels ({reason}), {cores}, {compiled} of {count} nodes"
        if self._why_not:
            note += f"; NumPy for the rest: {next(iter(self._why_not.values()))}"
        return note

    # Tensors

    def storage(self, name: str) -> Storage:
        """How the output of a node is held."""
        return Storage(True) if self._kernels is None else self._kernels.storage(self.graph[name].resolved)

    def stored(self, name: str, codes: IntArray) -> Array:
        """Codes in the form that steps pass on.

        Raises:
            HwflowError: they are no codes of the node's type.
        """
        storage = self.storage(name)
        codes = np.ascontiguousarray(codes, dtype=np.int64)
        if storage.wide or self._kernels is None:
            return codes
        type_ = self.graph[name].resolved
        array = self._kernels.store(codes, lowest(type_), type_.max_code, storage)
        if array is None:
            raise HwflowError(f"{name}: the codes are not of type {type_}")
        return array

    def codes(self, name: str, array: Array) -> IntArray:
        """The int64 codes of a stored array."""
        storage = self.storage(name)
        return array if storage.wide else array.astype(np.int64) + storage.offset

    # Running

    def run(self, codes: IntArray, observe: Callable[[Node, IntArray], None] | None = None) -> IntArray:
        """Output codes of input codes; ``observe`` sees every node's codes, which forbids fusing nodes."""
        steps = self.steps
        if observe is not None:
            steps = self._single_steps
            observe(self.graph.input, codes)
        tensors = {self.graph.input.name: self.stored(self.graph.input.name, codes)}
        dead = self.dead(steps)
        for step, names in zip(steps, dead, strict=True):
            result = step.run([tensors[name] for name in step.inputs])
            if observe is not None:
                observe(step.nodes[-1], self.codes(step.name, result))
            tensors[step.name] = result
            for name in names:
                del tensors[name]
        return self.codes(self.graph.output.name, tensors[self.graph.output.name])

    def dead(self, steps: Sequence[EngineStep]) -> list[list[str]]:
        """For every step, the tensors that nothing after it reads."""
        last = {name: number for number, step in enumerate(steps) for name in step.inputs}
        last.pop(self.graph.output.name, None)
        names: list[list[str]] = [[] for _ in steps]
        for name, number in last.items():
            names[number].append(name)
        return names

    # Faults

    def apply(self, read: Touched) -> Undo:
        """Put what faults change of a memory into the packed weights."""
        layer = self.layers[read.layer.name]
        if read.kind == "bias":
            return layer.change_bias(read.index, read.codes)
        outputs, inputs = read.layer.position(read.index)
        return layer.change(inputs, outputs, read.effective)

    # Building

    def _steps(self, fuse: bool) -> list[EngineStep]:
        steps: list[EngineStep] = []
        done: set[str] = {self.graph.input.name}
        for node in self.graph.nodes[1:]:
            if node.name in done:
                continue
            group = self._group(node) if fuse else [node]
            while True:
                try:
                    steps.append(self._compiled(group))
                    break
                except NotCompiled as limit:
                    if len(group) > 1:
                        group = group[:-1]
                        continue
                    self._why_not.setdefault(node.name, str(limit))
                    steps.append(self._numpy(node))
                    break
            done.update(each.name for each in group)
        return steps

    def _group(self, node: Node) -> list[Node]:
        """A node and the ReLUs and multiplications that alone read it, one after the other."""
        group = [node]
        while isinstance(reader := self.graph.sole_consumer(group[-1]), ReLU | Rescale):
            group.append(reader)
        return group

    def _numpy(self, node: Node) -> EngineStep:
        def run(sources: list[Array]) -> Array:
            codes = [self.codes(name, array) for name, array in zip(node.inputs, sources, strict=True)]
            return self.stored(node.name, self._evaluate(node, codes))

        return EngineStep(node.name, node.inputs, (node,), run, False, 8 * _cost(node))

    def _compiled(self, group: list[Node]) -> EngineStep:
        """One step for a node and its followers.

        Raises:
            NotCompiled: there is no kernel, or none is exact for these types.
        """
        kernels, node, last = self._kernels, group[0], group[-1]
        if kernels is None:
            raise NotCompiled("no compiled kernels")
        inputs = [source.resolved for source in self.graph.inputs_of(node)]
        sources = [kernels.storage(type_) for type_ in inputs]
        out, after = self.storage(last.name), followers(group)
        shape = last.shape
        run: Run
        match node:
            case WeightLayer():
                if node.name not in self.layers:
                    raise NotCompiled(self._why_not[node.name])
                assert node.accum is not None
                run = self.layers[node.name].runner([*cast(node.accum, node.resolved), *after], out, shape)
            case ReLU() | Rescale():
                steps = [*elementwise(node, inputs[0]), *after]
                run = map_elements(kernels, sources[0], inputs[0], steps, out, shape)
            case Lookup() | LeakyReLU():
                if after:
                    raise NotCompiled("nothing is fused with a table")
                if isinstance(node, LeakyReLU) and node.slope.size > 1:
                    raise NotCompiled(f"{node.name}: its slopes differ from channel to channel")
                run = take(lambda codes: self._evaluate(node, [codes]), sources[0], inputs[0], out)
            case Move():
                steps = [*cast(inputs[0], node.resolved), *after]
                changed = steps or sources[0] != out
                then = map_elements(kernels, sources[0], inputs[0], steps, out, shape) if changed else None
                run = moves(node, sources[0], then)
            case Add():
                run = add(kernels, node, inputs, sources, after, out, shape)
            case Concatenate():
                run = concatenate(kernels, node, inputs, sources, out)
                if after:
                    raise NotCompiled("nothing is fused with a concatenation")
            case MaxPool2D():
                run = max_pool(kernels, self.graph, node, inputs[0], sources[0], after, out, shape)
            case AveragePool2D() | GlobalAveragePool2D():
                run = average_pool(kernels, self.graph, node, inputs[0], sources[0], after, out, shape)
            case _:
                raise NotCompiled(f"{node.op} has no compiled kernel")
        return EngineStep(last.name, node.inputs, tuple(group), run, True, sum(map(_cost, group)))


def _kernels(name: EngineName, threads: int) -> tuple[Kernels | None, str]:
    if name == "numpy":
        return None, "as asked for"
    built = build()
    if built.library is None:
        if name == "compiled":
            raise HwflowError(f"there are no compiled kernels: {built.note}")
        return None, built.note
    return Kernels(built.library, threads), built.note


def _cost(node: Node) -> int:
    """Products of a weight layer, else elements; a rough measure of time."""
    elements = int(np.prod(node.shape))
    return elements * node.n_in if isinstance(node, Conv2D | Dense | DepthwiseConv2D) else 32 * elements


def check_input(graph: Graph, codes: IntArray) -> None:
    """Refuse input codes of another shape.

    Raises:
        HwflowError: the shape is not that of the network's input.
    """
    if codes.shape[1:] != graph.input.shape:
        raise HwflowError(f"inputs have shape {codes.shape[1:]}, but the network takes {graph.input.shape}")
