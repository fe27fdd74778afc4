"""Emulation of networks under odd names, and of merges that read one tensor twice."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwflow.emulation.source import Options, open_graph
from hwflow.errors import HwflowError
from hwflow.frontends._tf import tensorflow
from hwflow.stages.emulate import Emulation, run
from tests.exact.emulated import agree, convert, filled

ODD = {
    "input": "größer\n",
    "first": "1st",
    "own": "1st_relu",  # hls4ml calls the activation of "1st" the same
    "second": "bias",  # and finds a layer's bias by this word
    "third": "kernel",
    "sum": "../sum",
    "join": "a/b",
    "model": "Dense",
    "inner": "größer",
    "norm": "gamma",
    "deep": "bias",  # in the inner model
    "last": "dense",
    "product": "module",
    "head": "x" * 250,
    "softmax": "std",
    "network": "",
}
PLAIN = {key: f"plain_{key}" for key in ODD}


def network(names: dict[str, str]) -> Any:
    keras = tensorflow().keras
    layers = keras.layers
    x = layers.Input((4,), name=names["input"])
    y = layers.Dense(4, activation="relu", name=names["first"])(x)
    y = layers.Activation("relu", name=names["own"])(y)
    y = layers.Dense(4, name=names["second"])(y)
    y = layers.Dense(4, activation="tanh", name=names["third"])(y)
    y = layers.Add(name=names["sum"])([y, y])
    y = layers.Concatenate(name=names["join"])([y, y])
    inner = layers.Input((8,), name=names["inner"])
    deep = layers.Dense(4, name=names["deep"])(layers.BatchNormalization(name=names["norm"])(inner))
    y = keras.Model(inner, deep, name=names["model"])(y)
    y = layers.Dense(4, name=names["last"])(y)
    y = layers.Multiply(name=names["product"])([y, y])
    y = layers.Dense(3, name=names["head"])(y)
    return filled(keras.Model(x, layers.Activation("softmax", name=names["softmax"])(y), name=names["network"]), 0.5)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("models")
    plain = network(PLAIN)
    odd = network(ODD)
    odd.set_weights(plain.get_weights())
    for model, name in ((odd, "odd"), (plain, "plain")):
        model.save(folder / f"{name}.h5")
    return folder / "odd.h5", folder / "plain.h5"


def emulated(file: Path, io_type: Any, against_csim: bool = False) -> Emulation:
    return run(file, random=24, options=Options(io_type=io_type), against_csim=against_csim)


@pytest.mark.parametrize("io_type", ["io_parallel", "io_stream"])
def test_names_change_nothing(files: tuple[Path, Path], io_type: str) -> None:
    odd, plain = (emulated(file, io_type) for file in files)
    (values,), (expected,) = odd.outputs.values(), plain.outputs.values()
    np.testing.assert_array_equal(values, expected)
    assert len(np.unique(values)) > 10
    assert list(odd.inputs) == [ODD["input"]]
    assert list(odd.outputs) == ["std"]
    names = [layer.name for layer in odd.layers]
    assert len(set(names)) == len(names)
    unfolded = {ODD[key] for key in ("model", "inner", "network")}
    assert set(names) >= set(ODD.values()) - unfolded | {"1st_relu_2", "bias_2", "kernel_tanh"}
    assert [layer.type for layer in odd.layers] == [layer.type for layer in plain.layers]


@pytest.mark.parametrize("io_type", ["io_parallel", pytest.param("io_stream", marks=pytest.mark.slow)])
def test_odd_names_agree_with_csim(files: tuple[Path, Path], io_type: str) -> None:
    found = emulated(files[0], io_type, against_csim=True).csim
    assert found is not None
    found.check()
    assert found.layers >= 14


def test_a_configuration_has_the_users_names(files: tuple[Path, Path], tmp_path: Path) -> None:
    narrow = {"Precision": {"result": "fixed<9,4>"}}
    layers = dict.fromkeys(("1ST", "kernel_tanh", "x" * 250, "nothing"), narrow)
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"Model": {"Precision": "fixed<16,6>", "ReuseFactor": 1}, "LayerName": layers}))
    found = run(files[0], random=2, options=Options(hls_config=config))
    types = {layer.name: layer.type for layer in found.layers}
    assert {name for name, type_ in types.items() if type_ == "ap_fixed<9,4>"} == {"1st", "kernel_tanh", "x" * 250}


def test_refusals_have_the_users_names(files: tuple[Path, Path], tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    layers = {"module": {"Precision": {"result": "float"}}}
    config.write_text(json.dumps({"Model": {"Precision": "fixed<16,6>", "ReuseFactor": 1}, "LayerName": layers}))
    with pytest.raises(HwflowError, match=r"^module: its data is float"):
        run(files[0], random=1, options=Options(hls_config=config))


def test_several_inputs_and_outputs_keep_their_names(tmp_path: Path) -> None:
    layers = tensorflow().keras.layers
    ends = [layers.Input((2,), name=name) for name in ("file", "File", "a/b")]
    total = layers.Add(name="class")([layers.Add(name="self")(ends[:2]), ends[2]])
    model = tensorflow().keras.Model(ends, [total, layers.Dense(2, name="CLASS")(total)])
    model.save(tmp_path / "ends.h5")
    found = run(tmp_path / "ends.h5", random=4)
    found.save(tmp_path / "out.npz")
    with np.load(tmp_path / "out.npz") as arrays:
        assert set(arrays) == {"file", "File", "a/b", "class", "CLASS"}


def twice() -> Any:
    """Every merge of a tensor with itself, one of them of what a model in the model makes."""
    keras = tensorflow().keras
    layers = keras.layers
    x = layers.Input((6,), name="x")
    start = layers.Dense(6, name="start")(x)
    inner = layers.Input((6,), name="inner")
    model = keras.Model(inner, layers.Dense(6, name="inside")(inner), name="model")
    y = model(start)
    for name in ("Subtract", "Add", "Multiply", "Average", "Maximum", "Minimum"):
        y = getattr(layers, name)(name=name)([y, y])
        y = layers.Add(name=f"with_{name}")([y, start])
    joined = layers.Concatenate(name="joined")([y, y])
    return filled(keras.Model(x, layers.Dense(3, name="end")(joined), name="twice"), 0.4)


@pytest.mark.parametrize("io_type", ["io_parallel", "io_stream"])
def test_a_merge_that_reads_one_tensor_twice(tmp_path: Path, io_type: str) -> None:
    agree(convert(twice(), io_type), tmp_path, layers=16)


def test_images_joined_with_themselves(tmp_path: Path) -> None:
    keras = tensorflow().keras
    layers = keras.layers
    image = layers.Input((4, 3, 2), name="image")
    outputs = [layers.Concatenate(axis=axis, name=f"along{axis}")([image, image]) for axis in (1, 2, 3)]
    outputs += [layers.Dot(1, name="dot")([flat := layers.Flatten(name="flat")(image), flat])]
    agree(convert(keras.Model(image, outputs)), tmp_path, layers=4)


def test_the_first_layer_that_differs_has_its_users_name(
    files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from hwflow.emulation.compare import CsimAgreement
    from hwflow.stages import emulate as module

    graph = open_graph(files[0])
    first = next(name for name in graph.graph if name.endswith("_tanh"))
    monkeypatch.setattr(module, "simulation", lambda *_: None)
    monkeypatch.setattr(module, "compare", lambda *_: CsimAgreement(1, 1, 1, 1, first))
    found = emulated(files[0], "io_parallel", against_csim=True).csim
    assert found is not None
    assert found.first_layer == "kernel_tanh"
