"""The graph checks itself, and survives a round trip through JSON and arrays."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwflow.errors import HwflowError
from hwflow.fixed import FixedType
from hwflow.graph import (
    Add,
    Affine,
    Concatenate,
    Constant,
    Conv2D,
    Dense,
    Flatten,
    Graph,
    Input,
    MaxPool2D,
    Outliers,
    ReLU,
    Window,
)
from hwflow.hardening import harden
from tests.networks import random_graph, random_images, random_options


def hardened(seed: int) -> Graph:
    graph = random_graph(seed)
    return harden(graph, random_images(seed, graph, 4), random_options(seed)).graph


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_round_trip_keeps_every_bit(seed: int) -> None:
    for graph in (random_graph(seed), hardened(seed)):
        data, arrays = graph.to_dict()
        again = Graph.from_dict(json.loads(json.dumps(data)), arrays)
        assert again.digest == graph.digest
        assert again.to_dict()[0] == data
        assert again.is_typed == graph.is_typed


def test_the_digest_depends_on_every_weight() -> None:
    graph = hardened(1)
    data, arrays = graph.to_dict()
    name = next(name for name in arrays if name.endswith(".weight"))
    changed = arrays[name].copy()
    changed.flat[0] ^= 1
    assert Graph.from_dict(data, {**arrays, name: changed}).digest != graph.digest


W8 = FixedType(8, 3)


def with_outliers(index: list[int] | None = None, rest: Constant | None = None) -> Graph:
    """A dense layer of 3 x 4 weights, two of which the memory does not hold; the order of its cells is (out, in)."""
    codes = np.array([[1, 2, 3, -128], [4, 127, 5, 6], [7, 8, 9, 10]])
    rest = rest or Constant.from_codes(np.array([300, -2]), FixedType(10, 5))
    layer = Dense(
        name="fc",
        inputs=("x",),
        shape=(4,),
        weight=Constant.from_codes(codes, W8),
        bias=Constant.from_codes(np.zeros(4, dtype=np.int64), W8),
        outliers=Outliers(np.array([4, 9] if index is None else index), rest),
    )
    return Graph((Input(name="x", shape=(3,), type=W8), layer))


def test_the_digest_depends_on_every_rest() -> None:
    data, arrays = with_outliers().to_dict()
    digests = {Graph.from_dict(data, arrays).digest}
    for name in ("fc.outliers.index", "fc.outliers.rest"):
        changed = arrays[name].copy()
        changed[-1] += 1
        digests.add(Graph.from_dict(data, {**arrays, name: changed}).digest)
    assert len(digests) == 3


def test_weights_in_effect_are_the_stored_ones_plus_the_rests() -> None:
    graph = with_outliers()
    data, arrays = graph.to_dict()
    for layer in (graph.weight_layers[0], Graph.from_dict(json.loads(json.dumps(data)), arrays).weight_layers[0]):
        expected = [[1, 2, 3, -130], [4, 427, 5, 6], [7, 8, 9, 10]]
        assert layer.effective_codes.tolist() == expected
        assert layer.effective_values.tolist() == (np.array(expected) / 32).tolist()
        assert layer.weight.codes[1, 1] == 127
        assert layer.weight_range == (-130, 427)
        assert layer.rest_sum == 300
        assert layer.outliers is not None
        assert [layer.outliers.largest_sum(12, length) for length in (0, 1, 5, 6)] == [0, 300, 300, 302]
        assert layer.outliers.at(np.array([9, 0, 4, 11, 9])).tolist() == [-2, 0, 300, 0, -2]
    layer = replace(layer, outliers=None)
    assert (layer.weight_range, layer.rest_sum, layer.side_bits) == ((-128, 127), 0, 0)


def test_the_side_memory_holds_an_index_and_a_rest_for_every_outlier() -> None:
    """12 cells take 4 bits to name; the rests, 300 and -2, 10 bits."""
    assert with_outliers().weight_layers[0].side_bits == 2 * (4 + 10)
    narrow = Constant.from_codes(np.array([3, -4]), FixedType(3, -2))
    assert with_outliers(rest=narrow).weight_layers[0].side_bits == 2 * (4 + 3)


@pytest.mark.parametrize(
    ("index", "rest"),
    [
        ([9, 4], None),
        ([4, 4], None),
        ([-1, 4], None),
        ([4, 12], None),
        ([4], None),
        ([4, 9], Constant.from_codes(np.array([300, 0]), FixedType(10, 5))),
        ([4, 9], Constant.from_codes(np.array([300, -2]), FixedType(10, 4))),
        ([4, 9], Constant(np.array([1.0, 2.0]))),
    ],
)
def test_outliers_that_do_not_fit_the_weights_are_refused(index: list[int], rest: Constant | None) -> None:
    with pytest.raises(HwflowError, match=r"fc: its outliers do not fit its 12 weights of ap_fixed<8,3>"):
        with_outliers(index, rest)


def test_an_affine_layer_has_no_outliers() -> None:
    outliers = Outliers(np.array([0]), Constant.from_codes(np.array([1]), FixedType(2, -3)))
    weight = Constant.from_codes(np.array([[1, 2]]), W8)
    bias = Constant.from_codes(np.array([0, 0]), W8)
    norm = Affine(name="norm", inputs=("image",), shape=(4, 4, 2), weight=weight, bias=bias, outliers=outliers)
    with pytest.raises(HwflowError, match="norm: it has outliers, which an affine layer cannot have"):
        Graph((IMAGE, norm))


def _constants(*shape: int) -> dict[str, Constant]:
    return {"weight": Constant(np.ones(shape)), "bias": Constant(np.zeros(shape[-1]))}


IMAGE = Input(name="image", shape=(4, 4, 2))
CONV = Conv2D(name="conv", inputs=("image",), shape=(2, 2, 3), window=Window(kernel=(3, 3)), **_constants(3, 3, 2, 3))


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ((), "at least an input"),
        ((CONV,), "exactly one input"),
        ((IMAGE, CONV, CONV), "conv: two layers have this name"),
        ((IMAGE, replace(CONV, inputs=("images",))), "conv: its input images is not defined"),
        ((IMAGE, replace(CONV, shape=(4, 4, 3))), r"conv: its shape is \(4, 4, 3\), but its inputs give \(2, 2, 3\)"),
        ((IMAGE, replace(CONV, window=Window(kernel=(5, 5)))), r"conv: its \(5, 5\) window does not fit"),
        ((IMAGE, replace(CONV, **_constants(3, 3, 1, 3))), "conv: weights of shape"),
        ((IMAGE, Dense(name="fc", inputs=("image",), shape=(2,), **_constants(32, 2))), "fc: weights of shape"),
        ((IMAGE, Add(name="add", inputs=("image",), shape=(4, 4, 2))), r"add: Add takes 2 input\(s\), not 1"),
        (
            (IMAGE, CONV, Add(name="add", inputs=("image", "conv"), shape=(4, 4, 2))),
            "add: Add needs tensors of one",
        ),
        ((IMAGE, CONV, ReLU(name="relu", inputs=("image",), shape=(4, 4, 2))), "conv: nothing reads it"),
        ((IMAGE, Input(name="second", shape=(2,))), "second: a network has exactly one input"),
        (
            (
                IMAGE,
                MaxPool2D(
                    name="pool", inputs=("image",), shape=(8, 4, 2), window=Window(kernel=(1, 1), padding=(4, 0, 0, 0))
                ),
            ),
            "pool: a window lies wholly in the padding",
        ),
        ((IMAGE, Flatten(name="flat", inputs=("image",), shape=(31,))), "flat: its shape"),
    ],
)
def test_a_graph_that_contradicts_itself_is_refused(nodes: tuple, message: str) -> None:
    with pytest.raises(HwflowError, match=message):
        Graph(nodes)


def test_unknown_operations_and_missing_arrays_are_named() -> None:
    data, arrays = hardened(2).to_dict()
    broken = json.loads(json.dumps(data))
    broken["nodes"][1]["op"] = "Conv9D"
    with pytest.raises(HwflowError, match="unknown operation 'Conv9D'"):
        Graph.from_dict(broken, arrays)
    with pytest.raises(HwflowError, match="is missing"):
        Graph.from_dict(data, {})


def test_untyped_graphs_have_no_codes() -> None:
    graph = random_graph(3)
    assert not graph.is_typed
    with pytest.raises(HwflowError, match="harden the graph first"):
        _ = graph.weight_layers[0].weight.codes
    with pytest.raises(HwflowError, match="not resolved"):
        _ = graph.output.resolved


def test_joined_channels_and_affine_weights_must_fit() -> None:
    conv = replace(CONV, name="other", window=Window(kernel=(3, 3), padding=(1, 1, 1, 1)), shape=(4, 4, 3))
    joined = Concatenate(name="joined", inputs=("conv", "other"), shape=(2, 2, 6))
    with pytest.raises(HwflowError, match=r"joined: it joins the channels of shapes \(2, 2, 3\) and \(4, 4, 3\)"):
        Graph((IMAGE, CONV, conv, joined))
    affine = Affine(name="norm", inputs=("conv",), shape=(2, 2, 3), **_constants(1, 2))
    with pytest.raises(HwflowError, match=r"norm: weights of shape \(1, 2\) do not fit 3 channels"):
        Graph((IMAGE, CONV, affine))
