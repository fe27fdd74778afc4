"""Nodes without weights on compiled kernels: each function proves a bound and returns what runs the node."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from hwflow.fixed import FixedType, product_type, sum_type
from hwflow.graph import (
    Add,
    AveragePool2D,
    Concatenate,
    GlobalAveragePool2D,
    Graph,
    IntArray,
    MaxPool2D,
    Move,
    Node,
    ReLU,
    Rescale,
    Window,
)
from hwflow.graph.moves import move
from hwflow.reference.engine_layers import magnitude
from hwflow.reference.kernels import Kernels
from hwflow.reference.kernels.binding import CHUNK, Array, Geometry, empty
from hwflow.reference.kernels.epilogue import (
    Cast,
    Clip,
    Epilogue,
    EpilogueStep,
    Multiply,
    NotCompiled,
    Relu,
    Storage,
    cast,
    lowest,
)

Run = Callable[[list[Array]], Array]
"""Stored arrays of the inputs to the stored array of the output."""


def elementwise(node: ReLU | Rescale, source: FixedType) -> list[EpilogueStep]:
    """What a ReLU or a multiplication does to codes of ``source``."""
    if isinstance(node, ReLU):
        steps: list[EpilogueStep] = [Relu(), *cast(source, node.resolved)]
        if node.limit is not None:
            steps.append(Clip(int(node.limit.codes[0])))
        return steps
    factor, codes = node.factor.type, node.factor.codes
    assert factor is not None
    product = product_type(source, factor)
    if product == node.resolved:
        return [Multiply(codes, factor)]
    if (codes == 1).all():
        narrow = FixedType(source.width, source.width - product.fraction, source.signed)
        return [Cast(narrow, node.resolved)]
    return [Multiply(codes, factor), Cast(product, node.resolved)]


def followers(group: Sequence[Node]) -> list[EpilogueStep]:
    """The same of the ReLUs and multiplications that follow the first node of a group."""
    steps: list[EpilogueStep] = []
    for before, node in pairwise(group):
        assert isinstance(node, ReLU | Rescale)
        steps += elementwise(node, before.resolved)
    return steps


def map_elements(
    kernels: Kernels, source: Storage, type_: FixedType, steps: list[EpilogueStep], out: Storage, shape: tuple[int, ...]
) -> Run:
    """Steps alone, element by element; no bound but the type's own."""
    end = Epilogue(steps, magnitude(type_), shape[-1], out)

    def run(x: list[Array]) -> Array:
        result = empty((len(x[0]), *shape), out)
        kernels.map(x[0].reshape(result.shape), source, end, result)
        return result

    return run


def moves(node: Move, source: Storage, then: Run | None) -> Run:
    """Elements at new places as they are stored, and what follows."""

    def run(x: list[Array]) -> Array:
        moved = np.ascontiguousarray(move(node, x[0], -source.offset))
        return moved if then is None else then([moved])

    return run


def take(evaluate: Callable[[IntArray], IntArray], source: Storage, type_: FixedType, out: Storage) -> Run:
    """A function of a single code, alike for all elements, as a table of all codes that the input can have.

    Args:
        evaluate: output codes of input codes.
        source, out: how input and output are held.
        type_: the input's type.
    """
    if source.wide or out.wide:
        raise NotCompiled("a table of more than 16 bits")
    codes = np.arange(lowest(type_), type_.max_code + 1)
    unsigned = np.uint8 if source.bytes else np.uint16
    entries = np.zeros(1 << (8 * np.dtype(unsigned).itemsize), dtype=out.dtype)
    entries[(codes - source.offset).astype(source.dtype).view(unsigned)] = evaluate(codes) - out.offset

    def run(x: list[Array]) -> Array:
        return np.take(entries, x[0].view(unsigned))

    return run


def add(
    kernels: Kernels,
    node: Add,
    inputs: list[FixedType],
    sources: list[Storage],
    after: list[EpilogueStep],
    out: Storage,
    shape: tuple[int, ...],
) -> Run:
    """The sum needs one bit more than the wider of its aligned inputs; that is the bound."""
    if any(source.wide for source in sources):
        raise NotCompiled(f"{node.name}: an input needs more than 16 bits")
    a, b = inputs
    full = sum_type(a, b)
    left = [full.fraction - each.fraction for each in inputs]
    if max(left) > 40:
        raise NotCompiled(f"{node.name}: its inputs are {max(left)} bits apart")
    bound = sum(magnitude(each) << shift for each, shift in zip(inputs, left, strict=True))
    if any(isinstance(step, Multiply) and step.codes.size > 1 for step in after):
        raise NotCompiled(f"{node.name}: the kernel of a sum does not know channels")
    end = Epilogue([*cast(full, node.resolved), *after], bound, CHUNK, out)

    def run(x: list[Array]) -> Array:
        result = empty((len(x[0]), *shape), out)
        kernels.add(x[0], (sources[0], left[0]), x[1], (sources[1], left[1]), end, result)
        return result

    return run


def concatenate(
    kernels: Kernels, node: Concatenate, inputs: list[FixedType], sources: list[Storage], out: Storage
) -> Run:
    """Copies, cast where the types differ."""
    casts: list[Run | None] = []
    for type_, source in zip(inputs, sources, strict=True):
        steps = cast(type_, node.resolved)
        if not steps and source == out:
            casts.append(None)
            continue
        end = Epilogue(steps, magnitude(type_), 0, out)

        def convert(x: list[Array], source: Storage = source, end: Epilogue = end) -> Array:
            result = empty(x[0].shape, out)
            kernels.map(x[0], source, end, result)
            return result

        casts.append(convert)

    def run(x: list[Array]) -> Array:
        first, second = (each if convert is None else convert([each]) for each, convert in zip(x, casts, strict=True))
        result = empty((len(first), *node.shape), out)
        kernels.concatenate(first, second, result)
        return result

    return run


def max_pool(
    kernels: Kernels,
    graph: Graph,
    node: MaxPool2D,
    type_: FixedType,
    source: Storage,
    after: list[EpilogueStep],
    out: Storage,
    shape: tuple[int, ...],
) -> Run:
    """Maxima of stored codes, cast afterwards; there is nothing that could overflow."""
    if source.wide:
        raise NotCompiled(f"{node.name}: its input needs more than 16 bits")
    if type_.signed and type_.min_code != -(1 << (type_.width - 1)) and any(node.window.padding):
        raise NotCompiled(f"{node.name}: padding of {type_} could win against its lowest code")
    geometry = Geometry(graph.inputs_of(node)[0].shape, node.shape, node.window)
    steps = [*cast(type_, node.resolved), *after]
    convert = map_elements(kernels, source, type_, steps, out, shape) if steps or source != out else None

    def run(x: list[Array]) -> Array:
        result = empty((len(x[0]), *node.shape), source)
        kernels.max_pool(geometry.struct(len(result), kind=source.kind), x[0], result)
        return result if convert is None else convert([result])

    return run


def average_pool(
    kernels: Kernels,
    graph: Graph,
    node: AveragePool2D | GlobalAveragePool2D,
    type_: FixedType,
    source: Storage,
    after: list[EpilogueStep],
    out: Storage,
    shape: tuple[int, ...],
) -> Run:
    """Sums of at most 2^31 codes of 16 bits, aligned to the accumulator; exact in int64."""
    if source.wide or node.accum is None:
        raise NotCompiled(f"{node.name}: its input needs more than 16 bits")
    image = graph.inputs_of(node)[0].shape
    window = node.window if isinstance(node, AveragePool2D) else Window(kernel=(image[0], image[1]))
    left = node.accum.fraction - type_.fraction
    positions = window.kernel[0] * window.kernel[1]
    if left < 0 or (positions * magnitude(type_) << left) >= 1 << 60:
        raise NotCompiled(f"{node.name}: its sums need more than 60 bits")
    rows_columns = node.shape[:2] if isinstance(node, AveragePool2D) else (1, 1)
    geometry = Geometry(image, (*rows_columns, node.shape[-1]), window)
    bound = magnitude(type_) << left
    if bound > node.accum.max_code + 1:
        raise NotCompiled(f"{node.name}: a mean may overflow {node.accum}")
    end = Epilogue([*cast(node.accum, node.resolved), *after], bound, node.shape[-1], out)
    inside = isinstance(node, AveragePool2D) and node.divisor is None

    def run(x: list[Array]) -> Array:
        result = empty((len(x[0]), *shape), out)
        struct = geometry.struct(len(result), kind=source.kind)
        kernels.average_pool(struct, x[0], source.offset, left, inside, end, result)
        return result

    return run
