"""The emulator in hls4ml's own types against hls4ml's C simulation, layer by layer, and its refusals by name."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hls4ml.model.types import NamedType

from hwflow.emulation import emulate
from hwflow.emulation.compare import compare
from hwflow.emulation.csim import simulation
from hwflow.errors import HwflowError
from hwflow.models._tf import tensorflow
from hwflow.stages.emulate import random_codes
from tests.exact.emulated import (
    against_csim,
    agree,
    bits,
    chain,
    convert,
    elementwise,
    filled,
    images2d,
    looked_up,
    moves,
    quantised,
    recurrences,
    series1d,
    unusual,
)

SOFTMAXES = {name: {"Implementation": name} for name in ("stable", "latency", "legacy", "argmax")}
ODD_SOFTMAX = {
    "Precision": {
        "accum": "fixed<12,5,RND,SAT>",
        "exp_table": "ufixed<9,2>",
        "inv_table": "fixed<11,4>",
        "inv_inp": "ufixed<12,6,RND,SAT>",
        "table": "fixed<13,5>",
        "result": "ufixed<9,1>",
    },
    "TableSize": 256,
}
SATURATING = {"Precision": {"accum": "fixed<16,6,RND,SAT>"}, "Strategy": "Resource", "ReuseFactor": 4}
ODD_CONVOLUTION = {
    "conv": {"Precision": {"weight": "fixed<9,3,RND,SAT>", "bias": "int<7>", "accum": "fixed<15,6,RND_CONV>"}},
    "strided": {"Precision": {"weight": "int<4>", "accum": "fixed<14,7,TRN,SAT_SYM>", "result": "int<6>"}},
    "mean": {"Precision": {"accum": "fixed<12,5,RND,SAT>", "result": "ufixed<10,4,RND,SAT>"}},
    "mean_all": {"Precision": {"accum": "fixed<18,8>", "result": "fixed<11,5,RND>"}},
    "depth": {"Precision": {"accum": "fixed<13,5,TRN,SAT>"}},
}


def test_activations_merges_and_softmaxes(tmp_path: Path) -> None:
    graph = convert(elementwise(), layers=SOFTMAXES)
    emulator, csim, found = against_csim(graph, tmp_path)
    found.check()
    assert found.layers == 25
    assert found.output_codes == 48 * (24 * 8 + 8 + 1)

    def wrong(codes: Any) -> Any:
        return np.where(codes > 0, codes - 1, 0)

    emulator.steps = tuple(replace(s, function=wrong) if s.name == "relu_act" else s for s in emulator.steps)
    broken = compare(emulator, csim, random_codes(emulator, 8, 1))
    assert broken.first_layer == "relu_act"
    assert broken.differing_codes > 0
    with pytest.raises(HwflowError, match="relu_act"):
        broken.check()


@pytest.mark.parametrize(("io_type", "padding"), [("io_parallel", "same"), ("io_stream", "valid")])
def test_convolutions(tmp_path: Path, io_type: str, padding: str) -> None:
    odd = ODD_CONVOLUTION if io_type == "io_parallel" else {"fully": SATURATING}
    agree(convert(images2d(padding), io_type, odd), tmp_path, layers=14)


@pytest.mark.slow
def test_qkeras(tmp_path: Path) -> None:
    agree(convert(quantised("ternary(alpha=1)"), "io_stream", granularity="name"), tmp_path, layers=8)


@pytest.mark.slow
@pytest.mark.parametrize("granularity", ["model", "name"])
@pytest.mark.parametrize("activation", ["quantized_relu(4,2)", "quantized_bits(5,1,alpha=1)", "binary(alpha=1)"])
def test_qkeras_activations(tmp_path: Path, activation: str, granularity: str) -> None:
    agree(convert(quantised(activation), granularity=granularity), tmp_path, layers=8)


@pytest.mark.slow
@pytest.mark.parametrize(("io_type", "padding"), [("io_parallel", "same"), ("io_stream", "valid")])
@pytest.mark.parametrize("strategy", ["Latency", "Resource"])
def test_one_dimension(tmp_path: Path, io_type: str, padding: str, strategy: str) -> None:
    layers = {name: {"Strategy": strategy} for name in ("conv", "point", "strided", "fully")}
    agree(convert(series1d(padding), io_type, layers), tmp_path, layers=11)


@pytest.mark.slow
@pytest.mark.parametrize("granularity", ["model", "name"])
def test_convolutions_of_other_kinds(tmp_path: Path, granularity: str) -> None:
    """With ``name``, the types that hls4ml infers grow from one linear layer to the next, up to 118 bits."""
    layers: dict[str, Any] = {name: {"Strategy": "Resource", "ReuseFactor": 3} for name in ("conv", "point", "fully")}
    agree(convert(images2d("valid"), "io_stream", layers, granularity=granularity), tmp_path, layers=14)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["Latency", "Resource"])
def test_vivado_in_parallel(tmp_path: Path, strategy: str) -> None:
    layers = {name: {"Strategy": strategy, "ReuseFactor": 3} for name in ("conv", "point", "fully")}
    agree(convert(images2d("same"), layers=layers, backend="Vivado"), tmp_path, layers=14)


def test_vivado_in_a_stream(tmp_path: Path) -> None:
    graph = convert(images2d("valid"), "io_stream", backend="Vivado", granularity="name")
    assert max(step.signal.type.width for step in emulate(graph).steps) == 118
    agree(graph, tmp_path, layers=14)


@pytest.mark.slow
@pytest.mark.parametrize("types", ["fixed<70,20,RND_CONV,SAT>", "ufixed<66,9,TRN_ZERO>", "fixed<90,22,RND,SAT_SYM>"])
def test_types_beyond_int64(tmp_path: Path, types: str) -> None:
    """Every activation, merge and softmax between wide types, and sums that saturate in them."""
    wide = {"Precision": {"result": types, "accum": types, "weight": types}}
    names = [layer.name for layer in elementwise().layers]
    layers = {name: {**SOFTMAXES[name], **wide} if name in SOFTMAXES else wide for name in names}
    agree(convert(elementwise(), layers=layers), tmp_path / "elementwise", layers=25)
    convolutions = {layer.name: wide for layer in images2d("same").layers}
    agree(convert(images2d("same"), layers=convolutions), tmp_path / "convolutions", layers=14)


FEEDBACK = "fixed<14,6,RND,SAT>"
ODD_RECURRENCES: dict[str, Any] = {
    "x": {"Precision": {"result": FEEDBACK}},
    "lstm": {
        "Precision": {"accum": FEEDBACK, "result": FEEDBACK, "recurrent_weight": "fixed<9,3>", "table": "fixed<12,3>"},
        "TableSize": 512,
        "Strategy": "Resource",
        "ReuseFactor": 3,
    },
    "gru": {
        "Precision": {"accum": "fixed<17,7>", "result": "fixed<10,3,TRN,SAT>"},
        "Strategy": "Resource",
        "ReuseFactor": 12,
    },
    "both": {"Precision": {"accum": "fixed<20,8>"}},
    "both_gru": {"Precision": {"accum": "fixed<20,8>", "result": "fixed<11,4>"}},
    "last": {"Precision": {"accum": "fixed<11,4>", "result": "fixed<11,4>"}, "static": False},
    "last_gru": {"Precision": {"accum": "fixed<20,8>"}, "static": False},
    "both_last": {"Strategy": "Resource", "ReuseFactor": 2},
}


@pytest.mark.parametrize(("backend", "odd"), [("Vivado", True), pytest.param("Vitis", False, marks=pytest.mark.slow)])
def test_recurrent_layers(tmp_path: Path, backend: str, odd: bool) -> None:
    agree(
        convert(recurrences("io_parallel"), layers=ODD_RECURRENCES if odd else {}, backend=backend), tmp_path, layers=7
    )


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["Vitis", "Vivado"])
def test_recurrent_layers_in_a_stream(tmp_path: Path, backend: str) -> None:
    unrolled = {
        name: {"Strategy": "resource_unrolled", "ReuseFactor": reuse} for name, reuse in (("gru", 2), ("last", 3))
    }
    agree(convert(recurrences("io_stream"), "io_stream", unrolled, backend), tmp_path, layers=3)


@pytest.mark.slow
@pytest.mark.parametrize(("io_type", "padding"), [("io_parallel", "same"), ("io_stream", "valid")])
def test_unrolled(tmp_path: Path, io_type: str, padding: str) -> None:
    way = {"Strategy": "resource_unrolled", "Precision": {"accum": "fixed<14,6,RND,SAT>"}}
    layers = {name: {**way, "ReuseFactor": reuse} for name, reuse in (("conv", 3), ("point", 3), ("fully", 8))}
    agree(convert(images2d(padding), io_type, layers), tmp_path, layers=14)


@pytest.mark.slow
def test_activations_of_vivado_in_a_stream(tmp_path: Path) -> None:
    agree(convert(chain(), "io_stream", backend="Vivado"), tmp_path, layers=25)


def test_another_implementation_is_refused() -> None:
    layers = {"odd": {"ConvImplementation": "Encoded"}}
    graph = convert(
        one_layer((5, 5, 2), lambda k: k.Conv2D(2, 3, name="odd")),
        "io_stream",
        layers,
        backend="Vivado",
        granularity="name",
    )
    with pytest.raises(HwflowError, match="odd: ConvImplementation Encoded is not emulated; use LineBuffer"):
        emulate(graph)


def test_a_model_that_was_changed_by_hand_is_refused() -> None:
    graph = convert(one_layer((4,), lambda k: k.Dense(2, name="odd")))
    odd = next(layer for layer in graph.get_layers() if layer.name == "odd")
    odd.attributes.pop("function_cpp")
    with pytest.raises(HwflowError, match=r"odd: has no C\+\+ yet.*write it first"):
        emulate(graph)
    graph = convert(one_layer((4,), lambda k: k.Dense(2, name="odd")), "io_stream")
    variable = next(layer for layer in graph.get_layers() if layer.name == "odd").get_output_variable()
    variable.type = NamedType("odd_t", variable.type.precision)
    with pytest.raises(HwflowError, match=r"odd.* has no type of a stream yet"):
        emulate(graph)


@pytest.mark.slow
@pytest.mark.parametrize(("io_type", "strategy"), [("io_parallel", "Latency"), ("io_stream", "Resource")])
def test_bits_and_powers_of_two(tmp_path: Path, io_type: str, strategy: str) -> None:
    names = ("first", "second", "third", "powers", "scaled")
    graph = convert(bits(), io_type, {name: {"Strategy": strategy} for name in names}, granularity="name")
    scale = next(layer for layer in graph.get_layers() if layer.name == "scaled_alpha").weights["scale"]
    scale.data = np.array([[0.25, -0.5, 2.0, -1.0, 1.0]])  # all that two bits hold
    agree(graph, tmp_path, layers=10)


@pytest.mark.slow
@pytest.mark.parametrize("io_type", ["io_parallel", "io_stream"])
def test_embeddings(tmp_path: Path, io_type: str) -> None:
    graph = convert(looked_up(), io_type, {"x": {"Precision": {"result": "uint<4>"}}})
    emulator, csim = emulate(graph), simulation(graph, tmp_path / "project")
    codes = np.random.default_rng(1).integers(0, 13, (20, 7))
    compare(emulator, csim, [codes]).check()
    for outside in (-1, 13):
        codes[3, 2] = outside
        with pytest.raises(HwflowError, match="rows: takes numbers from 0 to 12"):
            emulator.run([codes])


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(1, 1, 3), (4, 5, 1)])
def test_broadcasts_in_a_stream(tmp_path: Path, shape: tuple[int, ...]) -> None:
    keras = tensorflow().keras
    one, two = keras.layers.Input((4, 5, 3), name="one"), keras.layers.Input(shape, name="two")
    graph = convert(keras.Model([one, two], keras.layers.Add(name="total")([one, two])), "io_stream", backend="Vivado")
    agree(graph, tmp_path, layers=2)


@pytest.mark.slow
def test_moves_of_elements(tmp_path: Path) -> None:
    agree(convert(moves()), tmp_path, layers=6)


@pytest.mark.slow
def test_activations_in_a_stream(tmp_path: Path) -> None:
    agree(convert(chain(), "io_stream"), tmp_path, layers=25)


@pytest.mark.slow
def test_softmaxes_with_odd_types(tmp_path: Path) -> None:
    layers = {name: {**each, **ODD_SOFTMAX} for name, each in SOFTMAXES.items()}
    agree(convert(elementwise(), layers={**layers, "x": {"Precision": {"result": "fixed<10,4>"}}}), tmp_path, layers=25)


@pytest.mark.slow
def test_predict_and_trace_are_those_of_hls4ml(tmp_path: Path) -> None:
    """Shapes and types too, of one image and of several, in float32 and float64."""
    keras = tensorflow().keras
    x = keras.layers.Input((4,), name="x")
    y = keras.layers.Dense(3, name="dense", activation="relu")(x)
    graph = convert(filled(keras.Model(x, y)), layers={"dense": {"Trace": True}, "dense_relu": {"Trace": True}})
    emulator = emulate(graph)
    graph.config.config["OutputDir"] = str(tmp_path)
    graph.compile()
    for dtype in (np.float32, np.float64):
        for count in (1, 5):
            inputs = np.random.default_rng(count).normal(scale=20, size=(count, 4)).astype(dtype)
            theirs, ours = graph.predict(inputs), emulator.predict(inputs)
            assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
            assert np.array_equal(ours, theirs)
    theirs, their_layers = graph.trace(inputs)
    ours, our_layers = emulator.trace(inputs)
    assert np.array_equal(ours, theirs)
    assert set(their_layers) == set(our_layers) == {"dense", "dense_relu"}
    for name, values in their_layers.items():
        assert np.array_equal(our_layers[name], values)
        assert our_layers[name].shape == values.shape


@pytest.mark.slow
@pytest.mark.parametrize("io_type", ["io_parallel", "io_stream"])
def test_activations_that_keras_lacks(tmp_path: Path, io_type: str) -> None:
    agree(unusual(io_type), tmp_path, layers=5)


def one_layer(shape: tuple[int, ...], make: Any) -> Any:
    keras = tensorflow().keras
    x = keras.layers.Input(shape, name="x")
    return keras.Model(x, make(keras.layers)(x))


REFUSED: dict[str, tuple[tuple[int, ...], Any, str, dict[str, Any], list[str]]] = {
    "recurrent": (
        (3, 2),
        lambda k: k.LSTM(2, name="odd"),
        "io_parallel",
        {"Precision": {"accum": "fixed<20,8>"}},
        ["LSTM", "fixed<20,8>", "same type"],
    ),
    "bent": ((3, 2), lambda k: k.GRU(2, activation="elu", name="odd"), "io_parallel", {}, ["'elu'", "compile"]),
    "table": (
        (3,),
        lambda k: k.Activation("elu", name="odd"),
        "io_parallel",
        {"Precision": {"table": "fixed<9,3>"}, "TableSize": 1 << 30},
        ["before its table", "fixed<16,6>"],
    ),
    "normalised": ((4, 3), lambda k: k.LayerNormalization(name="odd"), "io_parallel", {}, ["LayerNormalization"]),
    "merged": (
        (3, 2),
        lambda k: k.Bidirectional(k.GRU(2), merge_mode="sum", name="odd"),
        "io_parallel",
        {},
        ["merge_mode", "concat"],
    ),
    "states": (
        (3, 4),
        lambda k: k.GRU(3, name="odd"),
        "io_parallel",
        {"Strategy": "Resource", "ReuseFactor": 4},
        ["reuse factor", "divides 3"],
    ),
    "grouped": ((6, 6, 2), lambda k: k.Conv2D(2, 2, groups=2, name="odd"), "io_parallel", {}, ["8 weights", "groups"]),
    "overlapping": (
        (6, 6, 2),
        lambda k: k.MaxPooling2D(3, 2, name="odd"),
        "io_stream",
        {},
        ["stops", "stride"],
    ),
    "padded pool": ((5, 5, 2), lambda k: k.MaxPooling2D(2, padding="same", name="odd"), "io_stream", {}, ["valid"]),
    "overrun": (
        (4, 4, 3),
        lambda k: k.Conv2D(2, 2, name="odd"),
        "io_parallel",
        {"Strategy": "Resource", "ReuseFactor": 24},
        ["reuse factor of 24", "past the end"],
    ),
    "wide": (
        (4,),
        lambda k: k.Dense(2, name="odd"),
        "io_parallel",
        {"Precision": {"weight": "fixed<513,6>"}},
        ["at most 512 bits"],
    ),
    "float": (
        (4,),
        lambda k: k.Dense(2, name="odd"),
        "io_parallel",
        {"Precision": {"accum": "float"}},
        ["float", "fixed-point"],
    ),
    "saturated wrap": (
        (4,),
        lambda k: k.Dense(2, name="odd"),
        "io_parallel",
        {"Precision": {"accum": "fixed<16,6,TRN,WRAP,1>"}},
        ["wrap bits"],
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_exact_is_refused_by_name(case: str) -> None:
    shape, make, io_type, changes, words = REFUSED[case]
    graph = convert(one_layer(shape, make), io_type, {"odd": changes})
    with pytest.raises(HwflowError) as caught:
        emulate(graph)
    text = str(caught.value)
    assert text.startswith("odd: ")
    assert "\n" not in text
    for word in words:
        assert word in text


@pytest.mark.parametrize(("backend", "io_type"), [("Quartus", "io_stream"), ("Quartus", "io_parallel")])
def test_another_backend_is_refused(backend: str, io_type: str) -> None:
    graph = convert(one_layer((4,), lambda k: k.Dense(2)), io_type, backend=backend)
    with pytest.raises(HwflowError, match=backend):
        emulate(graph)


@pytest.mark.parametrize(
    ("inputs", "word"),
    [
        (np.zeros((2, 5)), "takes"),
        (np.zeros((0, 4)), "takes"),
        (np.zeros((2, 4), dtype=np.int64), "int64"),
        (np.full((2, 4), np.nan), "NaN"),
    ],
)
def test_bad_inputs(inputs: Any, word: str) -> None:
    emulator = emulate(convert(one_layer((4,), lambda k: k.Dense(2))))
    with pytest.raises(HwflowError, match=word):
        emulator.predict(inputs)


def test_the_reference_offers_it() -> None:
    import hwflow

    assert hwflow.emulate is emulate
    with pytest.raises(AttributeError):
        _ = hwflow.nothing


def test_blocks_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    emulator = emulate(convert(images2d("same")))
    codes = random_codes(emulator, 9, 3)
    whole = emulator.run(codes)
    monkeypatch.setattr("hwflow.emulation.emulator._AT_ONCE", 1)
    monkeypatch.setattr("hwflow.emulation.matrix._PATCHES", 1)
    for one, other in zip(whole, emulator.run(codes), strict=True):
        assert np.array_equal(one, other)
