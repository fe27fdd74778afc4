"""C simulation of the generated firmware equals the reference bit for bit, fault-free and faulted."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwflow.errors import HwflowError
from hwflow.faults import sample_ber
from hwflow.firmware import CsimExecutor, generate, open_project
from hwflow.fixed import FixedType
from hwflow.graph import (
    Add,
    AveragePool2D,
    Constant,
    Conv2D,
    Dense,
    Flatten,
    GlobalAveragePool2D,
    Graph,
    Input,
    MaxPool2D,
    Node,
    ReLU,
    Softmax,
    Window,
)
from hwflow.hardening import HardenOptions, harden
from hwflow.memory import memories
from hwflow.reference import IntegerExecutor
from hwflow.reuse import choose_reuse, valid_reuse_factors
from hwflow.scaling import ScalingOptions

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="C simulation needs g++")

IMAGES = 12


@dataclass
class Network:
    """Builds an untyped graph layer by layer, with random weights."""

    shape: tuple[int, ...]
    seed: int = 0
    nodes: list[Node] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)
        self.nodes.append(Input(name="image", shape=self.shape))

    def shape_of(self, name: str) -> tuple[int, ...]:
        return next(node.shape for node in self.nodes if node.name == name)

    def put(self, kind: type[Node], source: str | None = None, name: str | None = None, **fields: Any) -> str:
        source = source or self.nodes[-1].name
        fields.setdefault("inputs", (source,))
        fields.setdefault("shape", self.shape_of(source))
        name = name or f"{kind.__name__.lower()}_{len(self.nodes)}"
        self.nodes.append(kind(name=name, **fields))
        return name

    def window(self, source: str, kernel: tuple[int, int], strides: tuple[int, int], same: bool) -> Window:
        padding: list[int] = []
        for size, length, stride in zip(self.shape_of(source)[:2], kernel, strides, strict=True):
            total = max((-(-size // stride) - 1) * stride + length - size, 0) if same else 0
            padding += [total // 2, total - total // 2]
        return Window(kernel=kernel, strides=strides, padding=(padding[0], padding[1], padding[2], padding[3]))

    def conv(
        self,
        filters: int,
        kernel: tuple[int, int] = (3, 3),
        strides: tuple[int, int] = (1, 1),
        same: bool = True,
        source: str | None = None,
    ) -> str:
        source = source or self.nodes[-1].name
        shape = self.shape_of(source)
        window = self.window(source, kernel, strides, same)
        weight = self.rng.normal(size=(*kernel, shape[2], filters)) * self.rng.uniform(0.02, 0.4)
        return self.put(
            Conv2D,
            source,
            shape=(*window.output_size(shape[0], shape[1]), filters),
            window=window,
            weight=Constant(weight),
            bias=Constant(self.rng.normal(size=filters) * 0.1),
        )

    def dense(self, units: int) -> str:
        inputs = self.nodes[-1].shape[0]
        weight = self.rng.normal(size=(inputs, units)) * self.rng.uniform(0.05, 0.3)
        bias = Constant(self.rng.normal(size=units) * 0.1)
        return self.put(Dense, shape=(units,), weight=Constant(weight), bias=bias)

    def pool(self, kind: type[Node], size: int, stride: int, same: bool = False) -> str:
        source = self.nodes[-1]
        window = self.window(source.name, (size, size), (stride, stride), same)
        return self.put(kind, shape=(*window.output_size(*source.shape[:2]), source.shape[2]), window=window)

    def relu(self) -> str:
        return self.put(ReLU)

    def add(self, first: str, second: str) -> str:
        return self.put(Add, inputs=(first, second), shape=self.shape_of(first))

    def flatten(self) -> str:
        return self.put(Flatten, shape=(int(np.prod(self.nodes[-1].shape)),))

    def global_average(self) -> str:
        return self.put(GlobalAveragePool2D, shape=(self.nodes[-1].shape[2],))

    def graph(self) -> Graph:
        return Graph(tuple(self.nodes), f"net{self.seed}")


def pools_and_kernels() -> Graph:
    """Every window that a layer may have: overlapping, padded, flat, strided; signed and unsigned."""
    net = Network((11, 9, 2), seed=1)
    net.conv(4, strides=(1, 1))
    net.pool(MaxPool2D, 3, 2, same=True)  # of a signed tensor
    net.conv(6, kernel=(1, 3), strides=(2, 1))
    net.relu()
    net.pool(MaxPool2D, 2, 2, same=True)  # of an unsigned tensor, padded
    net.conv(5, kernel=(2, 2), same=False)
    net.flatten()
    net.dense(8)
    net.relu()
    net.dense(6)
    net.put(Softmax)
    return net.graph()


def averages() -> Graph:
    """Averages of negative and positive values, plain and overlapping, and a valid 3x3 maximum."""
    net = Network((12, 12, 1), seed=2)
    net.conv(4, kernel=(3, 3), strides=(1, 1), same=False)
    net.pool(AveragePool2D, 3, 2)  # of a signed tensor: the division rounds toward zero
    net.conv(4, kernel=(1, 1))
    net.pool(MaxPool2D, 2, 1)
    net.conv(6, kernel=(3, 1), same=True)
    net.pool(AveragePool2D, 2, 2)  # drops the last row and column
    net.conv(3, kernel=(1, 1))
    net.global_average()
    net.dense(4)
    return net.graph()


def residual() -> Graph:
    """A projection shortcut, an identity shortcut, and a layer added to itself's input through ReLU."""
    net = Network((8, 8, 2), seed=3)
    net.conv(4)
    stem = net.relu()
    net.conv(6, strides=(2, 2))
    net.relu()
    branch = net.conv(6)
    shortcut = net.conv(6, kernel=(1, 1), strides=(2, 2), source=stem)
    net.add(branch, shortcut)
    block = net.relu()
    branch = net.conv(6)
    net.add(block, branch)
    net.relu()
    net.global_average()
    net.dense(5)
    return net.graph()


@dataclass(frozen=True)
class Case:
    """One hardened network and one way of writing it."""

    network: Callable[[], Graph]
    io_type: str = "io_stream"
    scaling: ScalingOptions = ScalingOptions()
    activation_bits: int = 16
    reuse: int | None = None
    bram_ports: bool = False

    def harden(self) -> Graph:
        graph = self.network()
        options = HardenOptions(scaling=self.scaling, activation_bits=self.activation_bits)
        return harden(graph, images(graph, 20), options).graph


CASES = {
    "pools_stream": Case(pools_and_kernels),
    "pools_parallel": Case(pools_and_kernels, "io_parallel", activation_bits=8, reuse=4),
    "averages_stream": Case(averages, scaling=ScalingOptions(weight_type=FixedType(8, 2)), reuse=1, activation_bits=12),
    "averages_parallel": Case(averages, "io_parallel", ScalingOptions(scale="none"), bram_ports=True),
    "residual_shift": Case(residual, scaling=ScalingOptions(align="shift"), reuse=8),
    "residual_multiply": Case(
        residual, scaling=ScalingOptions(align="multiply", weight_type=FixedType(11, 4)), activation_bits=12, bram_ports=True
    ),
    "residual_layer": Case(residual, scaling=ScalingOptions(compensation="layer"), activation_bits=8),
    "residual_parallel": Case(residual, "io_parallel", ScalingOptions(align="multiply", compensation="none", scale="pow2")),
}
QUICK = ("pools_stream", "averages_parallel", "residual_shift", "residual_multiply")


def images(graph: Graph, count: int) -> np.ndarray:
    return np.random.default_rng(7).uniform(-1, 1, size=(count, *graph.input.shape))


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in CASES]
)
def test_equals_reference(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    graph = case.harden()
    project = generate(
        graph,
        None,
        tmp_path / "project",
        reuse=choose_reuse(graph, case.reuse),
        io_type=case.io_type,
        bram_ports=case.bram_ports,
    )
    reference, csim = IntegerExecutor(graph), CsimExecutor(project.path, graph)
    codes = reference.encode(images(graph, IMAGES) * 1.5)
    clean = reference.run(codes)
    np.testing.assert_array_equal(csim.run(codes), clean)
    for seed, faulty_biases in ((1, False), (2, True)):
        faults = sample_ber(memories(graph, faulty_biases), 1e-2, seed, graph.digest)
        faulted = reference.run(codes, faults)
        assert (faulted != clean).any()
        np.testing.assert_array_equal(csim.run(codes, faults), faulted)
    np.testing.assert_array_equal(csim.run(codes), clean)
