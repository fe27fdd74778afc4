"""The compiled kernels against NumPy's integers: every path, both sides of every bound, threads and faults."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hwflow.errors import HwflowError
from hwflow.faults import FaultList, chosen, sample_ber
from hwflow.fixed import FixedType, Overflow, Rounding
from hwflow.graph import (
    Add,
    Affine,
    AveragePool2D,
    Constant,
    Conv2D,
    Dense,
    Graph,
    Input,
    MaxPool2D,
    Node,
    ReLU,
    Rescale,
    WeightLayer,
    Window,
)
from hwflow.hardening import accumulator_type, harden
from hwflow.memory import memories
from hwflow.reference import IntegerExecutor
from hwflow.reference.engine_layers import MatrixLayer
from hwflow.reference.kernels import Kernels, build
from hwflow.reference.kernels.epilogue import (
    FLOAT64,
    INT32,
    STAGES,
    Epilogue,
    Multiply,
    NotCompiled,
    Relu,
    Storage,
    cast,
)
from hwflow.reference.kernels.library import FLAGS, compile_and_load
from tests.networks import random_graph, random_images, random_options

W8 = FixedType(8, 3)

pytestmark = pytest.mark.skipif(build().library is None, reason=f"no compiled kernels: {build().note}")


def observed(executor: IntegerExecutor, codes: np.ndarray, faults: FaultList | None) -> dict[str, np.ndarray]:
    """The codes of every node."""
    values: dict[str, np.ndarray] = {}
    executor.run(codes, faults, lambda node, x: values.update({node.name: x}))
    return values


def agree(graph: Graph, codes: np.ndarray, ber: float = 0.05, threads: int = 2) -> IntegerExecutor:
    """Compiled and NumPy results are equal at every node: clean, under faults, and clean again."""
    numpy, compiled = IntegerExecutor(graph, engine="numpy"), IntegerExecutor(graph, threads, "compiled")
    faults = sample_ber(memories(graph, faulty_biases=True), ber, 1, graph.digest)
    for upsets in (None, faults, None):
        expected, got = observed(numpy, codes, upsets), observed(compiled, codes, upsets)
        np.testing.assert_array_equal(compiled.run(codes, upsets), expected[graph.output.name])
        assert got.keys() == expected.keys()
        for name, values in expected.items():
            np.testing.assert_array_equal(got[name], values, name)
    return compiled


@pytest.mark.parametrize("seed", range(60))
def test_random_graphs(seed: int) -> None:
    graph = random_graph(seed)
    options = replace(random_options(seed), activation_bits=(8, 12, 16)[seed % 3], rounding=tuple(Rounding)[seed % 7])
    graph = harden(graph, random_images(seed, graph, 4), options).graph
    codes = graph.input.resolved.encode(3 * random_images(seed, graph, 3))
    executor = agree(graph, codes, threads=1 + seed % 2)
    faults = sample_ber(memories(graph), 0.05, 2, graph.digest)
    prefix = executor.clean_prefix(codes, max_bytes=(0, 500, 1 << 30)[seed % 3])
    np.testing.assert_array_equal(prefix.output, executor.run(codes))
    np.testing.assert_array_equal(prefix.run(faults), executor.run(codes, faults))
    np.testing.assert_array_equal(prefix.run(), executor.run(codes))


def weight_graph(layer: WeightLayer, x: FixedType, shape: tuple[int, ...], out: FixedType | None) -> Graph:
    """An input and one layer, whose accumulator holds everything; without ``out`` it is the output."""
    assert layer.weight.type is not None
    accum = accumulator_type(layer, layer.weight.type, x, layer.bias)
    layer = replace(layer, accum=accum, type=out or accum)
    return Graph((Input(name="x", shape=shape, type=x), layer))


def dense_graph(codes: np.ndarray, x: FixedType, out: FixedType | None = None, weight: FixedType = W8) -> Graph:
    bias = Constant.from_codes(np.resize([127, -128, 3], codes.shape[1]), W8)
    layer = Dense(name="fc", inputs=("x",), shape=codes.shape[1:], weight=Constant.from_codes(codes, weight), bias=bias)
    return weight_graph(layer, x, codes.shape[:1], out)


INPUTS = [FixedType(8, 3), FixedType(8, 3, False), FixedType(12, 3), FixedType(16, 6), FixedType(16, 6, False)]


@pytest.mark.parametrize("x", INPUTS, ids=str)
@pytest.mark.parametrize("n_in", [1, 2, 7, 510, 511, 512, 513, 514, 640, 641, 1024, 1300, 4608])
def test_dense_layers_at_their_extremes(x: FixedType, n_in: int) -> None:
    """511 products of the extremes of 8 and 16 bits fit int32, 512 of them only with a shifted start."""
    fills = np.array([[-128, 127, -128, 127]]).repeat(n_in, axis=0)
    fills[::2, 2:] = 0
    inputs = [np.full(n_in, code) for code in (x.min_code, x.max_code, 0)]
    inputs.append(np.where(np.arange(n_in) % 2, x.min_code, x.max_code))
    codes = np.array(inputs)
    narrow = FixedType(16, x.integer + 8, True, Rounding.RND_CONV, Overflow.SAT)
    for out in (None, narrow, narrow.with_(width=8), narrow.with_(overflow=Overflow.WRAP)):
        graph = dense_graph(fills, x, out)
        got = IntegerExecutor(graph, engine="compiled").run(codes)
        layer = graph.weight_layers[0]
        assert layer.accum is not None
        bias = layer.bias.codes << (layer.accum.fraction - W8.fraction)
        np.testing.assert_array_equal(got, layer.resolved.cast(codes @ fills + bias, layer.accum))


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("overflow", Overflow)
def test_casts(rounding: Rounding, overflow: Overflow) -> None:
    library = build().library
    assert library is not None
    kernels = Kernels(library, 2)
    rng = np.random.default_rng(1)
    paths = set()
    for source, integer, width, relu in itertools.product(
        (FixedType(12, 5), FixedType(16, 5, False), FixedType(26, 9), FixedType(44, 20), FixedType(58, 9)),
        (-3, 5, 9, 15),
        (8, 16, 20),
        (False, True),
    ):
        target = FixedType(width, integer, bool(width % 16), rounding, overflow)
        lowest = -(1 << (source.width - 1)) if source.signed else 0
        edges = [lowest, lowest + 1, source.max_code, source.max_code - 1, *range(max(lowest, -40), 40)]
        halves = rng.integers(lowest, source.max_code, 300) >> 3 << 3
        codes = np.array([*edges, *rng.integers(lowest, source.max_code, 300), *halves], dtype=np.int64)[:640]
        steps = [*([Relu()] if relu else []), *cast(source, target)]
        storage, out = Storage.of(source), Storage.of(target)
        try:
            end = Epilogue(steps, -lowest if source.signed else source.max_code, codes.size, out)
        except NotCompiled:
            continue
        paths.add(end.path)
        stored = (codes - storage.offset).astype(storage.dtype)
        result = np.empty(codes.shape, out.dtype)
        kernels.map(stored, storage, end, result)
        expected = target.cast(np.maximum(codes, 0) if relu else codes, source)
        np.testing.assert_array_equal(result.astype(np.int64) + out.offset, expected, f"{source} to {target}")
    assert paths == ({STAGES, INT32, FLOAT64} if overflow is not Overflow.WRAP else paths)


def test_the_path_follows_from_the_bound() -> None:
    source, target = FixedType(40, 20), FixedType(16, 6, True, Rounding.RND, Overflow.SAT)
    steps = cast(source, target)
    half = 1 << (source.fraction - target.fraction)
    assert Epilogue(steps, (1 << 31) - half - 1, 1, Storage(False)).path == INT32
    assert Epilogue(steps, (1 << 31) - half, 1, Storage(False)).path == FLOAT64
    assert Epilogue(steps, (1 << 52) - 1, 1, Storage(False)).path == FLOAT64
    assert Epilogue(steps, 1 << 52, 1, Storage(False)).path == STAGES
    assert Epilogue(steps, (1 << 60) - 1, 1, Storage(True)).path == STAGES
    with pytest.raises(NotCompiled):
        Epilogue(steps, 1 << 60, 1, Storage(True))


def conv_graph(
    rng: np.random.Generator, x: FixedType, channels: int, outputs: int, size: tuple[int, int], window: Window
) -> Graph:
    weight = Constant.from_codes(rng.choice([-128, 127, 0, 5], (*window.kernel, channels, outputs)), W8)
    bias = Constant.from_codes(rng.integers(-128, 128, outputs), W8)
    shape = (*window.output_size(*size), outputs)
    layer = Conv2D(name="conv", inputs=("x",), shape=shape, weight=weight, bias=bias, window=window)
    out = FixedType(16, x.integer + 8, True, Rounding.RND, Overflow.SAT)
    return weight_graph(layer, x, (*size, channels), out)


@pytest.mark.parametrize("channels", [1, 3, 4, 8, 16, 17, 18, 66])
@pytest.mark.parametrize("x", INPUTS, ids=str)
def test_convolutions(channels: int, x: FixedType) -> None:
    rng = np.random.default_rng(channels)
    for window, size in (
        (Window(kernel=(3, 3), padding=(1, 1, 1, 1)), (5, 6)),
        (Window(kernel=(3, 3), padding=(2, 0, 0, 2)), (4, 3)),
        (Window(kernel=(1, 1), strides=(2, 1)), (5, 5)),
        (Window(kernel=(2, 5), strides=(1, 2), padding=(0, 1, 4, 3)), (4, 7)),
    ):
        graph = conv_graph(rng, x, channels, 19, size, window)
        assert (size[0] + window.padding[0] + window.padding[1]) >= window.kernel[0]
        codes = rng.choice([x.min_code, x.max_code, 0, 1], (3, *size, channels))
        agree(graph, codes)


@pytest.mark.parametrize(("x", "last"), [(FixedType(8, 3, False), 1824), (FixedType(12, 3), 226)], ids=str)
def test_winograd_is_taken_exactly_as_far_as_its_bound(x: FixedType, last: int) -> None:
    """Four times the result must fit int32: 4 x 9 channels x 128 x the largest input below 2^31."""
    window = Window(kernel=(3, 3), padding=(1, 1, 1, 1))
    for channels in (last, last + 4):
        largest = max(-x.min_code, x.max_code)
        assert (36 * channels * 128 * largest < 1 << 31) == (channels == last)
        weight = np.full((3, 3, channels, 16), -128)
        weight[..., 8:] = 127
        layer = Conv2D(
            name="conv",
            inputs=("x",),
            shape=(3, 4, 16),
            weight=Constant.from_codes(weight, W8),
            bias=Constant.from_codes(np.full(16, -128), W8),
            window=window,
        )
        graph = weight_graph(layer, x, (3, 4, channels), None)
        codes = np.array([np.full((3, 4, channels), code) for code in (x.min_code, x.max_code)])
        executor = agree(graph, codes, ber=0.001)
        compiled = executor.engine.layers["conv"]
        assert isinstance(compiled, MatrixLayer)
        assert (compiled.winograd is not None) == (channels == last)


def test_several_faults_in_one_filter_are_applied_and_undone() -> None:
    rng = np.random.default_rng(5)
    graph = conv_graph(rng, FixedType(8, 3, False), 16, 16, (6, 5), Window(kernel=(3, 3), padding=(1, 1, 1, 1)))
    executor = IntegerExecutor(graph, 2, "compiled")
    codes = rng.integers(0, 256, (2, 6, 5, 16))
    clean = executor.run(codes)
    layer = executor.engine.layers["conv"]
    assert isinstance(layer, MatrixLayer)
    assert layer.winograd is not None
    before = layer.packed.array.copy(), layer.winograd.array.copy(), layer.bias.copy()
    bits = [("conv.weight", (5 * 9 + tap) * 16 + 3, bit) for tap in range(9) for bit in (0, 7)]
    faults = chosen(memories(graph), bits, graph.digest)
    faulted = executor.run(codes, faults)
    np.testing.assert_array_equal(faulted, IntegerExecutor(graph, engine="numpy").run(codes, faults))
    assert (faulted != clean).any(axis=(0, 1, 2)).tolist() == [channel == 5 for channel in range(16)]
    np.testing.assert_array_equal(layer.packed.array, before[0])
    np.testing.assert_array_equal(layer.winograd.array, before[1])
    np.testing.assert_array_equal(layer.bias, before[2])


@pytest.mark.parametrize("x", INPUTS, ids=str)
def test_elementwise_nodes(x: FixedType) -> None:
    """Affine layers, pools with padding, sums of unlike types, constants a channel, ReLU before a wrapping type."""
    rng = np.random.default_rng(3)
    shape = (5, 4, 3)
    pool = Window(kernel=(3, 2), strides=(2, 1), padding=(1, 1, 1, 0))
    pooled = (*pool.output_size(5, 4), 3)
    affine = Affine(
        name="affine",
        inputs=("x",),
        shape=shape,
        weight=Constant.from_codes(np.array([[-128, 127, 3]]), W8),
        bias=Constant.from_codes(np.array([-128, 127, 0]), W8),
    )
    out = FixedType(16, x.integer + 3, True, Rounding.RND_INF, Overflow.SAT)
    accum = accumulator_type(affine, W8, x, affine.bias)
    total = FixedType(x.width + 11, x.integer + 4, x.signed)
    factor = Constant.from_codes(np.array([65535, 1, 40000]), FixedType(16, 1, False))
    nodes: tuple[Node, ...] = (
        Input(name="x", shape=shape, type=x),
        replace(affine, accum=accum, type=out),
        ReLU(name="relu", inputs=("affine",), shape=shape, type=FixedType(16, out.integer - 1, False)),
        Add(name="add", inputs=("x", "relu"), shape=shape, type=out.with_(rounding=Rounding.RND_ZERO)),
        Rescale(name="rescale", inputs=("add",), shape=shape, factor=factor, type=out.shifted(1)),
        MaxPool2D(name="max", inputs=("x",), shape=pooled, window=pool, type=x),
        AveragePool2D(name="mean", inputs=("x",), shape=pooled, window=pool, type=x, accum=total),
        Add(name="pools", inputs=("max", "mean"), shape=pooled, type=out),
        MaxPool2D(name="narrow", inputs=("rescale",), shape=pooled, window=pool, type=out.with_(width=9)),
        Add(name="y", inputs=("pools", "narrow"), shape=pooled, type=FixedType(20, out.integer + 4)),
    )
    codes = rng.choice([x.min_code, x.max_code, 0, 1, -1 if x.signed else 2], (4, *shape))
    executor = agree(Graph(nodes), codes)
    assert all(step.compiled for step in executor.engine.steps)


def test_types_beyond_the_kernels_run_on_numpy() -> None:
    graph = dense_graph(np.full((4, 2), -3), FixedType(20, 6))
    executor = agree(graph, np.array([[1, -(1 << 19), 5, (1 << 19) - 1]]))
    assert not executor.engine.layers
    assert "NumPy for the rest: inputs or weights of fc need more than 16 bits" in executor.engine.note


def test_multiply_and_cast_in_one_epilogue() -> None:
    """A layer, a constant a channel and ReLU are one step; the product takes the float64 path up to 2^52."""
    rng = np.random.default_rng(2)
    x = FixedType(16, 6)
    graph = dense_graph(rng.integers(-128, 128, (40, 20)), x)
    layer = graph.weight_layers[0]
    factor = Constant.from_codes(rng.integers(1, 1 << 16, 20), FixedType(16, 1, False))
    narrow = FixedType(16, 9, True, Rounding.RND_CONV, Overflow.SAT)
    rescale = Rescale(name="rescale", inputs=("fc",), shape=(20,), factor=factor, type=narrow)
    relu = ReLU(name="relu", inputs=("rescale",), shape=(20,), type=narrow.with_(width=15, integer=8, signed=False))
    executor = agree(Graph((*graph.nodes, rescale, relu)), rng.integers(x.min_code, x.max_code, (7, 40)))
    assert len(executor.engine.steps) == 1
    assert layer.accum is not None
    steps = [Multiply(factor.codes, FixedType(16, 1, False)), *cast(FixedType(46, 16), narrow)]
    assert Epilogue(steps, (1 << 52) // 65536, 20, Storage(False)).path == FLOAT64


def test_portable_kernels_are_as_exact() -> None:
    portable = compile_and_load("g++", "portable C++", ())
    assert portable.library is not None
    graph = conv_graph(
        np.random.default_rng(1), FixedType(16, 6, False), 18, 17, (5, 4), Window(kernel=(3, 3), padding=(1, 1, 1, 1))
    )
    codes = np.random.default_rng(2).choice([0, 65535, 1], (2, 5, 4, 18))
    expected = IntegerExecutor(graph, engine="numpy").run(codes)
    executor = IntegerExecutor(graph, engine="compiled")
    executor.engine.layers["conv"].kernels = Kernels(portable.library, 1)
    np.testing.assert_array_equal(executor.run(codes), expected)


def test_without_a_compiler_numpy_runs_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    build.cache_clear()
    try:
        graph = dense_graph(np.ones((2, 2), dtype=np.int64), FixedType(8, 3))
        executor = IntegerExecutor(graph)
        assert "NumPy" in executor.engine.note
        assert "no-such-compiler is not on the PATH" in executor.engine.note
        prefix = executor.clean_prefix(np.array([[3, 4]]))
        faults = chosen(memories(graph), [("fc.weight", 0, 2)], graph.digest)
        np.testing.assert_array_equal(prefix.run(faults), executor.run(np.array([[3, 4]]), faults))
        with pytest.raises(HwflowError, match="there are no compiled kernels"):
            IntegerExecutor(graph, engine="compiled")
    finally:
        monkeypatch.undo()
        build.cache_clear()


def test_a_cache_that_cannot_be_written_costs_a_compilation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    built = compile_and_load("g++", "portable C++", ("-O1",))
    assert built.library is not None
    assert built.note.endswith("not cached")


def test_a_compiler_that_fails_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    built = compile_and_load("g++", "none", ("-fno-such-flag",))
    assert built.library is None
    assert "g++ fails" in built.note
    assert not list(tmp_path.glob("hwflow/*"))
    assert "-O3" in FLAGS


@pytest.mark.parametrize("channels", [3, 24])
def test_results_do_not_depend_on_threads(channels: int) -> None:
    """Enough pixels for several blocks a thread, and a last block that is not full."""
    rng = np.random.default_rng(7)
    window = Window(kernel=(3, 3), padding=(1, 1, 1, 1))
    for x in (FixedType(8, 3, False), FixedType(16, 6, False)):
        graph = conv_graph(rng, x, channels, 40, (23, 19), window)
        codes = rng.integers(0, x.max_code, (3, 23, 19, channels))
        expected = IntegerExecutor(graph, engine="numpy").run(codes)
        for threads in (1, 2, 3, 7):
            executor = IntegerExecutor(graph, threads, "compiled")
            np.testing.assert_array_equal(executor.run(codes), expected)
            np.testing.assert_array_equal(executor.run(codes[:1]), expected[:1])
            assert executor.run(codes[:0]).shape == (0, *expected.shape[1:])


def test_bad_arguments_are_refused() -> None:
    graph = dense_graph(np.ones((2, 2), dtype=np.int64), FixedType(8, 3))
    with pytest.raises(HwflowError, match="threads=0"):
        IntegerExecutor(graph, threads=0)
    with pytest.raises(HwflowError, match="engine 'fast' is unknown"):
        IntegerExecutor(graph, engine="fast")  # type: ignore[arg-type]  # what a user might type
    with pytest.raises(HwflowError, match="x: the codes are not of type"):
        IntegerExecutor(graph, engine="compiled").run(np.array([[128, 0]]))
    with pytest.raises(HwflowError, match="inputs have shape"):
        IntegerExecutor(graph).clean_prefix(np.zeros((1, 3), dtype=np.int64))
