"""The compiled kernels against NumPy's integers: every path, both sides of every bound, threads and faults."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
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
    Concatenate,
    Constant,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Graph,
    Input,
    MaxPool2D,
    Node,
    Outliers,
    ReLU,
    Rescale,
    WeightLayer,
    Window,
)
from hwflow.hardening import harden
from hwflow.hardening.types import accumulator_type
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
from hwflow.reference.kernels.library import PATHS, PLAIN_VNNI, VARIABLE, compiler_name
from tests.networks import random_graph, random_images, random_options

W8 = FixedType(8, 3)

# Not where there is one and it refuses the kernels: that is what these tests are to find.
pytestmark = pytest.mark.skipif(shutil.which(compiler_name()) is None, reason=f"no C++ compiler {compiler_name()}")


@pytest.fixture(autouse=True, params=[path.name for path in (*PATHS, PLAIN_VNNI) if not path.missing])
def kernels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Kernels:
    """Every test runs on every path that this processor runs."""
    monkeypatch.setenv(VARIABLE, request.param)
    library = build().library
    assert library is not None, build().note
    return Kernels(library, 2)


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
    options = random_options(seed)
    options = replace(options, activation_bits=(8, 12, 16)[seed % 3], rounding=tuple(Rounding)[seed % 7])
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


INPUTS = [
    FixedType(8, 3),
    FixedType(8, 3, False),
    FixedType(12, 3),
    FixedType(15, 6, False),
    FixedType(16, 6),
    FixedType(16, 6, False),
]


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
    # a rounding that is a constant added is done on sums in two parts of int32, others in float64
    others = [narrow.with_(rounding=rounding) for rounding in (Rounding.RND, Rounding.RND_MIN_INF, Rounding.TRN)]
    for out in (None, narrow, narrow.with_(width=8), narrow.with_(overflow=Overflow.WRAP), *others):
        graph = dense_graph(fills, x, out)
        got = IntegerExecutor(graph, engine="compiled").run(codes)
        layer = graph.weight_layers[0]
        assert layer.accum is not None
        bias = layer.bias.codes << (layer.accum.fraction - W8.fraction)
        np.testing.assert_array_equal(got, layer.resolved.cast(codes @ fills + bias, layer.accum))


def with_rests(graph: Graph, places: list[tuple[int, ...]], rests: list[int]) -> Graph:
    """The graph with outliers in its only layer, at places of the weights' shape, and an accumulator for them."""
    layer, x = graph.weight_layers[0], graph.input.resolved
    assert layer.weight.type is not None
    shape = layer.weight.values.shape
    cells = [np.ravel_multi_index((place[-1], *place[:-1]), (shape[-1], *shape[:-1])) for place in places]
    order = np.argsort(cells)
    width = max(abs(rest) for rest in rests).bit_length() + 1
    rest = Constant.from_codes(np.array(rests)[order], FixedType(width, width - W8.fraction))
    layer = replace(layer, outliers=Outliers(np.array(cells, dtype=np.int64)[order], rest))
    accum = accumulator_type(layer, layer.weight.type, x, layer.bias)
    layer = replace(layer, accum=accum, type=accum if layer.type == layer.accum else layer.type)
    return Graph((graph.input, layer), graph.name)


@pytest.mark.parametrize("x", INPUTS, ids=str)
@pytest.mark.parametrize(("n_in", "step", "rest"), [(7, 3, 9), (512, 60, 32000), (1300, 8, 900), (4608, 1, 100)])
def test_outliers_at_their_extremes(x: FixedType, n_in: int, step: int, rest: int) -> None:
    """Every weight, input and rest as large as it can be, all of one sign: the sums meet the accumulator's bound."""
    fills = np.array([[-128, 127, -128, 127]]).repeat(n_in, axis=0)
    places = [(i, output) for output in (0, 1, 2) for i in range(0, n_in, step)]
    rests = [rest if output == 1 else -rest for _, output in places]
    effective = fills.copy()
    for place, more in zip(places, rests, strict=True):
        effective[place] += more
    codes = np.array([np.full(n_in, code) for code in (x.min_code, x.max_code, 0)])
    for out in (None, FixedType(16, x.integer + 8, True, Rounding.RND_CONV, Overflow.SAT)):
        graph = with_rests(dense_graph(fills, x, out), places, rests)
        layer = graph.weight_layers[0]
        assert layer.accum is not None
        bias = layer.bias.codes << (layer.accum.fraction - W8.fraction)
        sums = codes @ effective + bias
        bound = (n_in * 128 + len(places) // 3 * rest) * max(-x.min_code, x.max_code)
        assert np.abs(sums - bias).max() == bound
        assert bound < 1 << (layer.accum.width - 1) <= 4 * bound
        executor = agree(graph, codes)
        assert list(executor.engine.layers) == ["fc"]
        np.testing.assert_array_equal(executor.run(codes), layer.resolved.cast(sums, layer.accum))


def test_faults_in_the_cells_of_outliers_add_to_the_rests() -> None:
    """Every bit of every such cell: the stored code flips, the rest stays, and all is undone."""
    rng = np.random.default_rng(3)
    window = Window(kernel=(3, 3), padding=(1, 1, 1, 1))
    for x, channels in ((FixedType(8, 3, False), 16), (FixedType(16, 6), 3)):
        places = [(tap // 3, tap % 3, int(rng.integers(channels)), int(rng.integers(16))) for tap in range(9)]
        rests = rng.integers(-1500, 1500, 9).tolist()
        graph = with_rests(conv_graph(rng, x, channels, 16, (6, 5), window), places, rests)
        layer = graph.weight_layers[0]
        assert layer.outliers is not None
        numpy, compiled = IntegerExecutor(graph, engine="numpy"), IntegerExecutor(graph, 2, "compiled")
        packed = compiled.engine.layers["conv"]
        assert isinstance(packed, MatrixLayer)
        assert (packed.winograd is not None) == (channels == 16)
        before = packed.packed.array.copy(), packed.bias.copy()
        codes = rng.integers(x.min_code, x.max_code, (1, 6, 5, channels))
        clean = numpy.run(codes)
        np.testing.assert_array_equal(compiled.run(codes), clean)
        for bit in range(8):
            flips = [("conv.weight", int(cell), bit) for cell in layer.outliers.index]
            faults = chosen(memories(graph), flips, graph.digest)
            stored = np.moveaxis(layer.weight.codes, -1, 0).copy()
            words = stored.reshape(-1)[layer.outliers.index] & 255 ^ 1 << bit
            stored.reshape(-1)[layer.outliers.index] = words - 256 * (words > 127)
            moved = replace(layer, weight=Constant.from_codes(np.moveaxis(stored, 0, -1), W8))
            expected = IntegerExecutor(Graph((graph.input, moved)), engine="numpy").run(codes)
            assert (expected != clean).any()
            np.testing.assert_array_equal(numpy.run(codes, faults), expected)
            np.testing.assert_array_equal(compiled.run(codes, faults), expected)
            np.testing.assert_array_equal(compiled.clean_prefix(codes).run(faults), expected)
        np.testing.assert_array_equal(numpy.run(codes), clean)
        np.testing.assert_array_equal(packed.packed.array, before[0])
        np.testing.assert_array_equal(packed.bias, before[1])


def test_outliers_beyond_sixteen_bits_run_on_numpy() -> None:
    for rest, compiled in ((32640, True), (32641, False), (-32640, True), (-32641, False)):
        graph = with_rests(dense_graph(np.full((5, 3), 127 if rest > 0 else -128), FixedType(16, 6)), [(2, 1)], [rest])
        executor = agree(graph, np.array([[-(1 << 15)] * 5, [(1 << 15) - 1] * 5]))
        assert ("fc" in executor.engine.layers) == compiled


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("overflow", Overflow)
def test_casts(rounding: Rounding, overflow: Overflow, kernels: Kernels) -> None:
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
        storage, out = kernels.storage(source), kernels.storage(target)
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
    # Where nothing can wrap, a wrapping type takes the fast paths too.
    assert paths == {STAGES, INT32, FLOAT64}


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


@pytest.mark.parametrize("seed", range(16))
def test_windows_anywhere(seed: int) -> None:
    """Rows of windows that lie in the image, beside it, above it, or half of each, at any stride."""
    rng = np.random.default_rng(seed)
    kernel, strides = rng.integers(1, 6, 2), rng.integers(1, 4, 2)
    padding = rng.integers(0, 4, 4)
    size = [int(rng.integers(max(1, k - padding[2 * i : 2 * i + 2].sum()), k + 9)) for i, k in enumerate(kernel)]
    window = Window(kernel=tuple(kernel.tolist()), strides=tuple(strides.tolist()), padding=tuple(padding.tolist()))
    x, channels = INPUTS[seed % len(INPUTS)], int(rng.choice([1, 2, 3, 4, 6, 8, 12, 40]))
    graph = conv_graph(rng, x, channels, int(rng.choice([3, 16, 37])), (size[0], size[1]), window)
    agree(graph, rng.choice([x.min_code, x.max_code, 0, 1], (5, *size, channels)), threads=1 + seed % 2)


@pytest.mark.parametrize("n_in", [5, 600])
@pytest.mark.parametrize("x", [FixedType(8, 3, False), FixedType(16, 6, False)], ids=str)
def test_many_outputs_of_few_pixels(x: FixedType, n_in: int) -> None:
    """Each task takes all pixels of some outputs; beyond 96 pixels, some of the pixels."""
    rng = np.random.default_rng(n_in)
    out = FixedType(16, x.integer + 8, True, Rounding.RND, Overflow.SAT)
    graph = dense_graph(rng.integers(-128, 128, (n_in, 300)), x, out)
    for images in (16, 97):
        codes = rng.integers(x.min_code, x.max_code, (images, n_in), endpoint=True)
        agree(graph, codes)


def test_sums_are_kept_in_two_parts_as_far_as_their_bound() -> None:
    """Both parts and the rounding constant must fit int32; another rounding, or a factor, takes float64."""
    x = FixedType(16, 6)
    for n_in, rounding, right, split in (
        (2000, Rounding.RND, 8, 8),
        (2000, Rounding.TRN, 3, 3),
        (2000, Rounding.RND_MIN_INF, 20, 16),
        (2000, Rounding.RND_CONV, 8, 0),
        (2047, Rounding.RND, 2, 2),
        (2048, Rounding.RND, 2, 0),
    ):
        fills = np.array([[-128, 127, -128]]).repeat(n_in, axis=0)
        fills[::2, 2] = 0
        accum = dense_graph(fills, x).output.resolved
        out = FixedType(16, 16 - accum.fraction + right, True, rounding, Overflow.SAT)
        graph = dense_graph(fills, x, out)
        executor = agree(graph, np.array([np.full(n_in, code) for code in (x.min_code, x.max_code, 3)]), ber=0.0001)
        layer = executor.engine.layers["fc"]
        assert isinstance(layer, MatrixLayer)
        end = Epilogue(cast(accum, out), layer.magnitude, 3, Storage(False))
        assert end.path == FLOAT64
        arguments = layer._block(end)
        assert (arguments["wide"], arguments["split"]) == (1, split), (n_in, rounding, right)


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
        multiplies_bytes = executor.engine.storage("x").bytes
        assert (compiled.winograd is not None) == (channels == last and not multiplies_bytes)


@pytest.mark.parametrize("largest", [3640, 3641])
def test_winograd_is_taken_as_far_as_outliers_leave_its_operands_in_int16(largest: int) -> None:
    """A filter of nine weights in effect becomes 9 times as large, and 9 x 3640 is the last below 2^15."""
    rng = np.random.default_rng(1)
    x, window = FixedType(8, 3, False), Window(kernel=(3, 3), padding=(1, 1, 1, 1))
    graph = conv_graph(rng, x, 16, 16, (4, 4), window)
    layer = graph.weight_layers[0]
    layer = replace(layer, weight=Constant.from_codes(np.full(layer.weight.values.shape, 127), W8))
    places = [(tap // 3, tap % 3, 5, output) for tap in range(9) for output in (0, 15)]
    graph = with_rests(Graph((graph.input, layer)), places, [largest - 127] * len(places))
    executor = agree(graph, rng.choice([0, 255], (2, 4, 4, 16)))
    compiled = executor.engine.layers["conv"]
    assert isinstance(compiled, MatrixLayer)
    assert (compiled.winograd is not None) == (largest == 3640)


@pytest.mark.parametrize("rest", [2065, 2066])
def test_winograd_is_taken_as_far_as_the_rests_leave_its_sums_in_int32(rest: int) -> None:
    """4 x (9 x 240 channels x 128 + 120 rests) x 1024 stays below 2^31 up to rests of 2065."""
    x, window = FixedType(11, 3), Window(kernel=(3, 3), padding=(1, 1, 1, 1))
    weight = Constant.from_codes(np.full((3, 3, 240, 16), -128), W8)
    bias = Constant.from_codes(np.zeros(16, dtype=np.int64), W8)
    layer = Conv2D(name="conv", inputs=("x",), shape=(4, 4, 16), weight=weight, bias=bias, window=window)
    places = [(1, 1, channel, 3) for channel in range(0, 240, 2)]
    graph = with_rests(weight_graph(layer, x, (4, 4, 240), None), places, [-rest] * len(places))
    assert (4 * (9 * 240 * 128 + len(places) * rest) * 1024 < 1 << 31) == (rest == 2065)
    codes = np.array([np.full((4, 4, 240), code) for code in (x.min_code, x.max_code)])
    executor = agree(graph, codes, ber=0.001)
    compiled = executor.engine.layers["conv"]
    assert isinstance(compiled, MatrixLayer)
    assert (compiled.winograd is not None) == (rest == 2065)


@pytest.mark.parametrize("bits", [8, 9])
def test_several_faults_in_one_filter_are_applied_and_undone(bits: int, kernels: Kernels) -> None:
    rng = np.random.default_rng(5)
    graph = conv_graph(rng, FixedType(bits, 3, False), 16, 16, (6, 5), Window(kernel=(3, 3), padding=(1, 1, 1, 1)))
    executor = IntegerExecutor(graph, 2, "compiled")
    codes = rng.integers(0, 1 << bits, (2, 6, 5, 16))
    clean = executor.run(codes)
    layer = executor.engine.layers["conv"]
    assert isinstance(layer, MatrixLayer)
    assert (layer.winograd is None) == (kernels.bytes and bits == 8)
    before = (
        layer.packed.array.copy(),
        None if layer.winograd is None else layer.winograd.array.copy(),
        layer.bias.copy(),
    )
    bits = [("conv.weight", (5 * 9 + tap) * 16 + 3, bit) for tap in range(9) for bit in (0, 7)]
    faults = chosen(memories(graph), bits, graph.digest)
    faulted = executor.run(codes, faults)
    np.testing.assert_array_equal(faulted, IntegerExecutor(graph, engine="numpy").run(codes, faults))
    assert (faulted != clean).any(axis=(0, 1, 2)).tolist() == [channel == 5 for channel in range(16)]
    np.testing.assert_array_equal(layer.packed.array, before[0])
    if layer.winograd is not None:
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


@pytest.mark.parametrize("rounding", [Rounding.TRN, Rounding.RND, Rounding.RND_MIN_INF])
@pytest.mark.parametrize("channels", [3, 70, 300])
def test_elementwise_nodes_in_one_pass(channels: int, rounding: Rounding) -> None:
    """A shift with a constant: whole pixels of few channels together, parts of a pixel of many."""
    rng = np.random.default_rng(channels)
    shape = (7, 13, channels)
    for x in INPUTS:
        affine = Affine(
            name="affine",
            inputs=("x",),
            shape=shape,
            weight=Constant.from_codes(rng.integers(-128, 128, (1, channels)), W8),
            bias=Constant.from_codes(rng.integers(-128, 128, channels), W8),
        )
        out = FixedType(16, x.integer + 3, True, rounding, Overflow.SAT)
        narrow = FixedType(8, x.integer + 1, False, rounding, Overflow.SAT)
        nodes: tuple[Node, ...] = (
            Input(name="x", shape=shape, type=x),
            replace(affine, accum=accumulator_type(affine, W8, x, affine.bias), type=out),
            Add(name="add", inputs=("x", "affine"), shape=shape, type=out.shifted(-1)),
            ReLU(name="relu", inputs=("add",), shape=shape, type=narrow),
            Add(name="both", inputs=("relu", "affine"), shape=shape, type=narrow.shifted(1)),
            Add(name="y", inputs=("both", "add"), shape=shape, type=out.shifted(2)),
        )
        codes = rng.choice([x.min_code, x.max_code, 0, 1, 5], (3, *shape))
        assert all(step.compiled for step in agree(Graph(nodes), codes).engine.steps)


@pytest.mark.parametrize("channels", [1, 7, 80])
def test_concatenations(channels: int) -> None:
    """Of tensors as they are stored, of others that are cast first, and of many pixels by several threads."""
    rng = np.random.default_rng(channels)
    size = (30, 41)
    for x in (FixedType(8, 3, False), FixedType(16, 6)):
        wide = FixedType(20, x.integer + 2)
        pool = Window(kernel=(1, 1))
        nodes: tuple[Node, ...] = (
            Input(name="x", shape=(*size, channels), type=x),
            MaxPool2D(name="same", inputs=("x",), shape=(*size, channels), window=pool, type=x),
            Concatenate(name="two", inputs=("x", "same"), shape=(*size, 2 * channels), type=x),
            ReLU(name="other", inputs=("x",), shape=(*size, channels), type=FixedType(7, x.integer, False)),
            Concatenate(name="three", inputs=("two", "other"), shape=(*size, 3 * channels), type=x),
            Concatenate(name="y", inputs=("other", "three"), shape=(*size, 4 * channels), type=wide),
        )
        codes = rng.integers(x.min_code, x.max_code, (2, *size, channels), endpoint=True)
        assert all(step.compiled for step in agree(Graph(nodes), codes).engine.steps)


@pytest.mark.parametrize("x", INPUTS, ids=str)
@pytest.mark.parametrize("left", [0, 9, 10])
def test_means_on_both_sides_of_int32(x: FixedType, left: int) -> None:
    """63 codes of 16 bits moved left by 9 fit int32 together, by 10 they do not; quotients lie just beside integers."""
    assert 63 << (16 + 9) < 1 << 31 <= 63 << (16 + 10)
    rng = np.random.default_rng(left)
    window = Window(kernel=(7, 9), padding=(0, 1, 0, 2))
    shape = (*window.output_size(9, 10), 40)
    accum = FixedType(x.width + 7 + left, x.integer + 7, x.signed)
    mean = AveragePool2D(name="mean", inputs=("x",), shape=shape, window=window, accum=accum)
    mean = replace(mean, type=FixedType(16, x.integer, x.signed, Rounding.RND, Overflow.SAT))
    graph = Graph((Input(name="x", shape=(9, 10, 40), type=x), mean))
    codes = rng.integers(x.min_code, x.max_code, (3, 9, 10, 40), endpoint=True)
    codes[0, ..., :10], codes[0, ..., 10:20] = x.min_code, x.max_code
    codes[1, ..., :20] = rng.choice([x.max_code, x.max_code - 1], (9, 10, 20))
    assert all(step.compiled for step in agree(graph, codes).engine.steps)


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


SPATIAL = [
    ((3, 3), (1, 1), (1, 1, 1, 1)),
    ((3, 3), (2, 2), (0, 1, 0, 1)),
    ((1, 3), (1, 1), (0, 0, 1, 1)),
    ((2, 1), (1, 3), (1, 2, 0, 0)),
    ((5, 5), (3, 2), (2, 2, 2, 2)),
    ((2, 3), (1, 1), (3, 0, 0, 4)),
]


@pytest.mark.parametrize(("kernel", "strides", "padding"), SPATIAL, ids=str)
def test_depthwise_layers(kernel: tuple[int, int], strides: tuple[int, int], padding: tuple[int, ...]) -> None:
    """Few channels and many, in whole runs of vectors and not; every rounding; sums in 32 bits and in 64."""
    rng = np.random.default_rng(11)
    top, bottom, left, right = padding
    window = Window(kernel=kernel, strides=strides, padding=(top, bottom, left, right))
    rows, columns = ((size + sum(pads) - k) // s + 1 for size, pads, k, s in zip(
        (6, 7), ((top, bottom), (left, right)), kernel, strides, strict=True))  # fmt: skip
    cases = itertools.product((1, 3, 8, 16, 31, 33, 70), (1, 2), (W8, FixedType(16, 3)))
    for number, (channels, multiplier, weight) in enumerate(cases):
        x, outputs = INPUTS[number % len(INPUTS)], channels * multiplier
        codes = rng.integers(weight.min_code, weight.max_code + 1, (*kernel, 1, outputs))
        layer = DepthwiseConv2D(
            name="dw", inputs=("x",), shape=(rows, columns, outputs), window=window, multiplier=multiplier,
            weight=Constant.from_codes(codes, weight),
            bias=Constant.from_codes(rng.integers(-128, 128, outputs), W8),
        )  # fmt: skip
        narrow = FixedType(16, 9, True, tuple(Rounding)[number % 7], Overflow.SAT)
        graph = weight_graph(layer, x, (6, 7, channels), (narrow, narrow.with_(width=8), None)[number % 3])
        images = rng.choice([x.min_code, x.max_code, 0, 1], (3, 6, 7, channels))
        assert agree(graph, images).engine.steps[0].compiled


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


@pytest.mark.parametrize("x", INPUTS, ids=str)
def test_tails_of_all_tiles(x: FixedType) -> None:
    """Every number of rows of two tiles and more, with panels and groups that are full, alone or not full."""
    rng = np.random.default_rng(11)
    narrow = FixedType(8, x.integer + 4, True, Rounding.RND, Overflow.SAT)
    for n_in, n_out in ((5, 1), (8, 16), (9, 17), (12, 32), (20, 33), (66, 49)):
        graph = dense_graph(rng.choice([-128, 127, 1, 0], (n_in, n_out)), x, narrow)
        executor = IntegerExecutor(graph, engine="compiled")
        codes = rng.choice([x.min_code, x.max_code, 1], (27, n_in))
        expected = IntegerExecutor(graph, engine="numpy").run(codes)
        for images in range(1, 28):
            np.testing.assert_array_equal(executor.run(codes[:images]), expected[:images])


@pytest.mark.parametrize(
    ("weight", "fits"),
    [(W8, True), (FixedType(7, 3, False), True), (FixedType(8, 3, False), False), (FixedType(9, 3), False)],
)
@pytest.mark.parametrize("x", INPUTS[:2], ids=str)
def test_bytes_are_multiplied_as_far_as_weights_fit_int8(
    weight: FixedType, fits: bool, x: FixedType, kernels: Kernels
) -> None:
    """Wider weights meet inputs widened to int16, whose padding then is 0."""
    rng = np.random.default_rng(4)
    window = Window(kernel=(3, 3), padding=(1, 1, 1, 1))
    codes = rng.choice([weight.min_code, weight.max_code, 0, 5], (3, 3, 16, 20))
    layer = Conv2D(
        name="conv",
        inputs=("x",),
        shape=(4, 5, 20),
        weight=Constant.from_codes(codes, weight),
        bias=Constant.from_codes(rng.integers(-128, 128, 20), W8),
        window=window,
    )
    out = FixedType(8, x.integer + 5, False, Rounding.RND, Overflow.SAT)
    executor = agree(weight_graph(layer, x, (4, 5, 16), out), rng.choice([x.min_code, x.max_code, 0], (3, 4, 5, 16)))
    compiled = executor.engine.layers["conv"]
    assert isinstance(compiled, MatrixLayer)
    assert compiled.packed.array.dtype == (np.int8 if kernels.bytes and fits else np.int16)
    assert executor.engine.storage("x").dtype == (np.uint8 if kernels.bytes else np.int16)


def test_a_rest_that_leaves_int8_widens_the_layer(kernels: Kernels) -> None:
    rng = np.random.default_rng(6)
    x = FixedType(8, 3)
    for weights, rest, fits in ((FixedType(7, 3), 64, True), (FixedType(7, 3), 65, False), (W8, 1, False)):
        weight = Constant.from_codes(rng.choice([weights.min_code, weights.max_code], (40, 17)), weights)
        layer = dense_graph(np.ones((40, 17), dtype=np.int64), x).weight_layers[0]
        cells = np.arange(0, 680, 7)
        rests = Constant.from_codes(np.full(len(cells), rest), FixedType(8, 8 - weights.fraction))
        layer = replace(layer, weight=weight, outliers=Outliers(cells, rests))
        accum = accumulator_type(layer, weights, x, layer.bias)
        layer = replace(layer, accum=accum.with_(width=accum.width + 4, integer=accum.integer + 4), type=accum)
        executor = agree(Graph((Input(name="x", shape=(40,), type=x), layer)), rng.integers(-128, 128, (5, 40)))
        compiled = executor.engine.layers["fc"]
        assert isinstance(compiled, MatrixLayer)
        assert compiled.packed.array.dtype == (np.int8 if kernels.bytes and fits else np.int16)


@pytest.mark.parametrize("n_in", [65792, 65796])
def test_sums_of_bytes_beyond_int32(n_in: int) -> None:
    """65793 products of 255 and -128 fit int32; more are summed in blocks."""
    weights = np.full((n_in, 3), -128)
    weights[:, 1:] = 127, 1
    x = FixedType(8, 3, False)
    codes = np.array([np.full(n_in, 255), np.arange(n_in) % 256])
    for out in (None, FixedType(16, 20, True, Rounding.RND, Overflow.SAT)):
        graph = dense_graph(weights, x, out)
        layer = graph.weight_layers[0]
        assert layer.accum is not None
        bias = layer.bias.codes << (layer.accum.fraction - W8.fraction)
        got = IntegerExecutor(graph, engine="compiled").run(codes)
        np.testing.assert_array_equal(got, layer.resolved.cast(codes @ weights + bias, layer.accum))


FORKED = """
import os, sys, threading
import numpy as np
sys.path.insert(0, sys.argv[1])
from hwflow.reference import IntegerExecutor
from tests.unit.test_kernels import W8, conv_graph, FixedType, Window
rng = np.random.default_rng(7)
graph = conv_graph(rng, FixedType(8, 3, False), 24, 40, (33, 39), Window(kernel=(3, 3), padding=(1, 1, 1, 1)))
codes = rng.integers(0, 256, (2, 33, 39, 24))
executors = [IntegerExecutor(graph, threads, "compiled") for threads in (1, 2, 3, 4)]
expected = executors[0].run(codes)
wrong = []
def work(executor):
    for _ in range(20):
        if not np.array_equal(executor.run(codes), expected):
            wrong.append(executor)
together = [threading.Thread(target=work, args=(executor,)) for executor in executors]
for each in together: each.start()
for each in together: each.join()
child = os.fork()
if not child:
    work(executors[2])
    os._exit(len(wrong))
assert os.waitpid(child, 0)[1] == 0
work(executors[2])
assert not wrong
"""


def test_calls_at_the_same_time_and_in_a_forked_child() -> None:
    """Threads of the kernels are kept from call to call, shared by callers, and not there in a child."""
    root = str(Path(__file__).parents[2])
    subprocess.run([sys.executable, "-c", FORKED, root], check=True, timeout=100)
