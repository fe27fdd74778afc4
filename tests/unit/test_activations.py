"""Activations from tables and with slopes: functions, scales, types, and what integer executors make of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwflow.errors import HwflowError
from hwflow.firmware import read_keras
from hwflow.fixed import FixedType, Overflow, Rounding
from hwflow.frontends.keras_versions import is_keras3
from hwflow.graph import Constant, Dense, Graph, Input, LeakyReLU, Lookup, Node, Rescale
from hwflow.graph.functions import NAMES, function, text_of
from hwflow.hardening import HardenOptions, Like, harden
from hwflow.hardening.options import ScalingOptions
from hwflow.hardening.tables import index_type, with_table
from hwflow.models._tf import qkeras, tensorflow
from hwflow.reference import IntegerExecutor, RealExecutor
from tests.networks import WIDE

KERAS = (
    *("sigmoid", "tanh", "selu", "softplus", "softsign", "swish", "gelu", "mish", "exponential"),
    *("elu", "hard_sigmoid"),
)
TABLE_BITS = HardenOptions.table_bits
PRECISE = HardenOptions(scaling=ScalingOptions(weight_type=FixedType(16, 3)))
"""Weights fine enough that the activations are what is measured."""


def text(name: str) -> str:
    return {"elu": "elu(1.0)", "hard_sigmoid": f"hard_sigmoid({1 / 6 if is_keras3() else 0.2}, 0.5)"}.get(name, name)


@pytest.mark.parametrize("name", KERAS)
def test_functions_equal_kerass_in_float64(name: str) -> None:
    x = np.concatenate([np.linspace(-30, 30, 2001), [0.0, 1e-9, -1e-9]])
    keras = getattr(tensorflow().keras.activations, name)(tensorflow().constant(x)).numpy()
    np.testing.assert_allclose(function(text(name))(x), keras, rtol=1e-12, atol=1e-8)


@pytest.mark.parametrize(
    "text",
    [
        *map(text, KERAS),
        "hard_tanh(1.0)",
        "step_above(-1.0, 1.0)",
        "elu(-0.4)",
        "step(-2.0, 2.0)",
        "ternary(0.3, 1.5)",
        "leaky_relu(0.1, -1)",
        "relu(0, 0.5, 2)",
    ],
)
def test_bounds_hold_and_are_reached(text: str) -> None:
    values = function(text)(np.linspace(-40, 40, 100001))
    of = function(text)
    assert (values >= of.low).all()
    assert (values <= of.high).all()
    assert values.min() == pytest.approx(of.low, abs=0.03)
    assert math.isinf(of.high) or values.max() == pytest.approx(of.high, abs=0.03)


@pytest.mark.parametrize(
    "wrong",
    ["sine", "elu", "elu()", "elu(1, 2)", "sigmoid(1)", "elu(nan)", "elu(inf)", "relu(0, inf, 1)", "elu(x)", "tanh x"],
)
def test_other_texts_are_refused(wrong: str) -> None:
    with pytest.raises(HwflowError, match="names no activation"):
        function(wrong)
    with pytest.raises(HwflowError, match=r"^y: .*names no activation"):
        chain(Lookup(name="y", inputs=("x",), shape=(4,), function=wrong))


def test_texts_hold_every_bit() -> None:
    assert text_of("elu", 1 / 3) == f"elu({1 / 3!r})"
    assert all(isinstance(name, str) for name in NAMES)


def chain(*nodes: Node) -> Graph:
    return Graph((Input(name="x", shape=(4,)), *nodes), "chain")


def dense(name: str, source: str, rng: np.random.Generator, size: float = 1.0) -> Dense:
    weight, bias = Constant(rng.normal(0, size, (4, 4))), Constant(rng.normal(0, 0.2, 4))
    return Dense(name=name, inputs=(source,), shape=(4,), weight=weight, bias=bias)


def lookup(name: str, source: str, of: str, **more: Any) -> Lookup:
    return Lookup(name=name, inputs=(source,), shape=(4,), function=of, **more)


def test_a_table_takes_the_scale_in_and_compensation_is_free() -> None:
    rng = np.random.default_rng(1)
    graph = chain(dense("a", "x", rng), lookup("y", "a", "tanh"))
    hardened = harden(graph, rng.normal(0, 1, (50, 4)), HardenOptions())
    layer, node = hardened.graph["a"], hardened.graph["y"]
    assert isinstance(node, Lookup)
    assert node.input_scale == layer.scale != 1.0
    assert node.scale == 1.0
    assert not hardened.graph.of_type(Rescale)
    assert node.index is not None
    assert node.table is not None
    assert layer.type == node.index
    assert node.index.width == TABLE_BITS
    codes = np.arange(-5, 6)
    entries = np.tanh(node.index.decode(codes) / node.input_scale)
    np.testing.assert_array_equal(node.table.codes[codes], node.resolved.encode(entries))


def test_scales_of_channels_become_one_before_a_table() -> None:
    rng = np.random.default_rng(2)
    graph = chain(dense("a", "x", rng), lookup("y", "a", "sigmoid"))
    options = HardenOptions(scaling=ScalingOptions(granularity="channel", absorb=True))
    hardened = harden(graph, rng.normal(0, 1, (50, 4)), options).graph
    assert [node.name for node in hardened] == ["x", "a", "y_uniform", "y"]


def test_a_cast_takes_compensation_in() -> None:
    rng = np.random.default_rng(3)
    asked = FixedType(5, 2, True, Rounding.RND_CONV, Overflow.SAT)
    cast = Rescale(name="y", inputs=("a",), shape=(4,), factor=Constant(np.ones(1)), type=asked)
    graph = chain(dense("a", "x", rng), cast)
    images = rng.normal(0, 1, (50, 4))
    hardened = harden(graph, images, PRECISE).graph
    assert hardened.output.type == asked
    assert hardened.output.scale == 1.0
    executor = IntegerExecutor(hardened)
    exact = asked.encode(RealExecutor(graph).run(images))
    found = executor.run(executor.encode(images))
    assert np.mean(exact == found) > 0.99  # those near a half of a step may go the other way
    assert np.abs(exact - found).max() <= 1


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("sigmoid", 1e-3),
        ("tanh", 2e-3),
        ("softsign", 5e-3),
        ("hard_sigmoid", 1e-3),
        ("softplus", 6e-3),
        ("swish", 6e-3),
    ],
)
def test_a_hardened_activation_is_close(name: str, most: float) -> None:
    rng = np.random.default_rng(4)
    graph = chain(dense("a", "x", rng), lookup("y", "a", text(name)))
    images = rng.normal(0, 1, (500, 4))
    executor = IntegerExecutor(harden(graph, images, PRECISE).graph)
    error = np.abs(executor.decode(executor.run(executor.encode(images))) - RealExecutor(graph).run(images))
    assert error.max() < most


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("of", ["tanh", "exponential", "elu(1.0)", "step(-1.0, 1.0)"])
def test_a_narrow_input_addresses_the_table_as_it_is(of: str, signed: bool) -> None:
    source = FixedType(8, 3, signed)
    assert index_type(lookup("y", "x", of), source, WIDE, TABLE_BITS) == source


def test_steps_are_exact_whatever_the_input() -> None:
    source = FixedType(16, 4)
    output = FixedType(2, 2, True, Rounding.RND_CONV, Overflow.SAT)
    index = index_type(lookup("y", "x", "step(-1.0, 1.0)"), source, output, TABLE_BITS)
    codes = np.arange(source.min_code, source.max_code + 1)
    np.testing.assert_array_equal(index.cast(codes, source) < 0, codes < 0)


@given(st.sampled_from([*map(text, KERAS)]), st.integers(1, 10), st.floats(0.1, 100), st.booleans())
@settings(max_examples=10, deadline=None)
def test_no_other_range_of_an_index_is_better(of: str, integer: int, scale: float, signed: bool) -> None:
    source, output = FixedType(16, integer, signed), FixedType(16, 5, True, Rounding.RND, Overflow.SAT)
    node = lookup("y", "x", of, input_scale=scale)
    codes = np.arange(source.min_code, source.max_code + 1)

    def values(stored: np.ndarray) -> np.ndarray:
        return np.clip(function(of)(stored / scale), output.min, output.max)

    def error(index: FixedType) -> float:
        difference = values(index.decode(index.cast(codes, source))) - values(source.decode(codes))
        return float(np.abs(difference).max())

    best = error(index_type(node, source, output, TABLE_BITS))
    for dropped in range(source.width - TABLE_BITS + 1):
        other = FixedType(TABLE_BITS, integer - dropped, signed, Rounding.RND, Overflow.SAT)
        assert best <= error(other)


def test_engines_agree_and_a_graph_is_saved_whole() -> None:
    rng = np.random.default_rng(5)
    nodes: list[Node] = []
    source = "x"
    for number, of in enumerate(
        (*map(text, KERAS[:8]), "step(-1.0, 1.0)", "ternary(0.4, 1.0)", "leaky_relu(0.25, -1.0)", "relu(0.2, 0.4, 1.5)")
    ):
        nodes += [dense(f"d{number}", source, rng), lookup(f"y{number}", f"d{number}", of)]
        source = f"y{number}"
    slope = Constant(np.array([0.3, -0.5, 0.0, 1e-7]))
    nodes += [dense("d", source, rng), LeakyReLU(name="l", inputs=("d",), shape=(4,), slope=slope)]
    over = Constant(np.array([0.3]))
    nodes += [LeakyReLU(name="t", inputs=("l",), shape=(4,), slope=Constant(np.zeros(1)), threshold=over)]
    nodes += [LeakyReLU(name="u", inputs=("t",), shape=(4,), slope=Constant(np.full(1, 0.2)))]
    images = rng.normal(0, 1, (40, 4))
    for options in (HardenOptions(), HardenOptions(activation_bits=8), PRECISE):
        graph = harden(chain(*nodes), images, options).graph
        codes = IntegerExecutor(graph).encode(images * 3)
        results = [IntegerExecutor(graph, engine=engine).run(codes) for engine in ("numpy", "auto")]
        np.testing.assert_array_equal(*results)
        data, arrays = graph.to_dict()
        assert Graph.from_dict(data, arrays).digest == graph.digest


def test_slopes_and_thresholds_follow_the_scale() -> None:
    rng = np.random.default_rng(6)
    slope, over = Constant(np.zeros(1)), Constant(np.array([0.7]))
    node = LeakyReLU(name="y", inputs=("a",), shape=(4,), slope=slope, threshold=over)
    graph = harden(chain(dense("a", "x", rng), node), rng.normal(0, 1, (50, 4)), HardenOptions()).graph
    typed = graph["y"]
    assert isinstance(typed, LeakyReLU)
    assert typed.threshold is not None
    assert isinstance(typed.scale, float)
    assert not typed.resolved.signed
    assert 0 <= 0.7 * typed.scale - typed.threshold.values[0] < graph["a"].resolved.lsb
    leaky = LeakyReLU(name="y", inputs=("a",), shape=(4,), slope=Constant(np.array([0.1, 0.25, -0.3, 0.01])))
    graph = harden(chain(dense("a", "x", rng), leaky), rng.normal(0, 1, (50, 4)), HardenOptions()).graph
    typed = graph["y"]
    assert isinstance(typed, LeakyReLU)
    np.testing.assert_allclose(typed.slope.values, leaky.slope.values, atol=2**-16)


def test_like_takes_the_types_of_an_index_and_of_slopes() -> None:
    rng = np.random.default_rng(7)
    images = rng.normal(0, 1, (50, 4))

    def network(seed: int, slope: float) -> Graph:
        own = np.random.default_rng(seed)
        leaky = LeakyReLU(name="l", inputs=("y",), shape=(4,), slope=Constant(np.full(1, slope)))
        return chain(dense("a", "x", own), lookup("y", "a", "tanh"), leaky, dense("b", "l", own))

    first = harden(network(1, 0.3), images, HardenOptions())
    like = Like("first", first.graph, first.calibration.ranges)
    second = harden(network(2, 0.27), images, HardenOptions(), like).graph
    for mine, theirs in zip(second, first.graph, strict=True):
        assert mine.type == theirs.type
    with pytest.raises(HwflowError, match=r"^l: it has negative slopes and first has none"):
        harden(network(2, -0.3), images, HardenOptions(), like)
    with pytest.raises(HwflowError, match=r"^l: its slope of up to 7 needs"):
        harden(network(2, 7.0), images, HardenOptions(), like)


QUANTISERS = (
    *("quantized_tanh(5)", "quantized_tanh(4,symmetric=True)", "quantized_tanh(6,use_real_tanh=True)"),
    *("quantized_sigmoid(5)", "quantized_sigmoid(6,use_real_sigmoid=True)", "quantized_bits(6,2)"),
    *("quantized_bits(5,1,symmetric=1,alpha=1)", "quantized_relu(5,1,negative_slope=0.25)", "quantized_bits(1,0)"),
    *("binary()", "binary(alpha=0.5)", "binary(use_01=True)", "ternary()", "ternary(alpha=2,threshold=0.5)"),
    *("quantized_ulaw(6,1)", "hard_tanh", "hard_sigmoid", "smooth_sigmoid"),
)


@pytest.mark.parametrize("internal", ["hard", "smooth", "real"])
def test_qkeras_internal_sigmoids(internal: str) -> None:
    quantizers = qkeras().quantizers
    try:
        quantizers.set_internal_sigmoid(internal)
        check_quantiser("quantized_tanh(6)")
        check_quantiser("quantized_sigmoid(6)")
        if internal == "real":
            with pytest.raises(HwflowError, match="internal sigmoids hard and smooth"):
                check_quantiser("quantized_ulaw(6,1)")
        else:
            check_quantiser("quantized_ulaw(6,1)")
    finally:
        quantizers.set_internal_sigmoid("hard")


@pytest.mark.parametrize("asked", QUANTISERS)
def test_integers_equal_qkeras(asked: str) -> None:
    check_quantiser(asked)


def check_quantiser(asked: str) -> None:
    """Inputs on a grid of 8 bits, which the table has all: the integers are the layer's own values.

    The grid avoids what float32 cannot decide: the ties of a quantiser.
    """
    keras = tensorflow().keras
    image = keras.Input((4,), name="x")
    model = keras.Model(image, qkeras().QActivation(asked, name="y")(image), name="m")
    graph = read_keras(model)
    images = (np.arange(-127, 128).repeat(4).reshape(-1, 4) / 32).astype(np.float32)
    hardened = harden(graph, images, HardenOptions(activation_bits=8, guard_bits=0)).graph
    executor = IntegerExecutor(hardened)
    ours = executor.decode(executor.run(executor.encode(images)))
    theirs = np.asarray(model(images), dtype=np.float64)
    quantised = not asked.startswith(("hard", "smooth", "quantized_ulaw"))
    assert hardened.output.scale == 1.0
    np.testing.assert_allclose(ours, theirs, atol=1e-6 if quantised else hardened.output.resolved.lsb)


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize(("width", "out_width"), [(16, 16), (8, 16), (16, 8), (7, 6), (12, 16)])
def test_a_compiled_table_has_every_code(width: int, out_width: int, signed: bool) -> None:
    source = FixedType(width, 4, signed)
    for output in (FixedType(out_width, 1), FixedType(out_width, 0, signed=False)):
        index = index_type(lookup("y", "x", "tanh"), source, output, 10)
        table = with_table(lookup("y", "x", "tanh"), index, output)
        graph = Graph((Input(name="x", shape=(4,), type=source), table), "table")
        codes = np.arange(source.min_code, source.max_code + 1).reshape(-1, 4)
        engines = [IntegerExecutor(graph, engine=engine) for engine in ("numpy", "auto")]
        np.testing.assert_array_equal(*(engine.run(codes) for engine in engines))
        built = [step for step in engines[1].engine.steps if step.compiled]
        assert "compiled" not in engines[1].engine.note or [step.name for step in built] == ["y"]


@pytest.mark.parametrize("name", ["step(-1.0, 1.0)", "step_above(0.0, 1.0)"])
def test_the_sign_of_an_exact_sum_is_told_however_small_it_is(name: str) -> None:
    """Sums of one step of the accumulator and of zero, where the tensor's own range is thousands."""
    weight, bias = np.array([[1.0]]), np.zeros(1)
    nodes = (
        Input(name="x", shape=(1,)),
        Dense(name="sum", inputs=("x",), shape=(1,), weight=Constant(weight), bias=Constant(bias)),
        Lookup(name="sign", inputs=("sum",), shape=(1,), function=name),
    )
    calibration = np.array([[-1000.0], [1000.0]])
    graph = harden(Graph(nodes), calibration, HardenOptions()).graph
    step = graph.input.resolved.lsb
    values = np.array([[-1000.0], [-step], [0.0], [step], [1000.0]])
    executor = IntegerExecutor(graph)
    got = executor.decode(executor.run(executor.encode(values)))
    # One is a step more than the type of the output holds.
    np.testing.assert_array_equal(np.rint(got), function(name)(values))
