"""Keras models under odd names: read, hardened, evaluated, simulated and generated under the names of their users."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from hwflow.cost.reuse import choose_reuse
from hwflow.faults import FaultList
from hwflow.firmware import CsimExecutor, generate, read_keras
from hwflow.folders.design import load_design
from hwflow.frontends._tf import tensorflow
from hwflow.graph import Graph
from hwflow.hardening import harden
from hwflow.reference.real import RealExecutor
from tests.cli.conftest import hwflow
from tests.exact.agreement import assert_agree
from tests.names import NAMES

INPUT = "größer\n"
LAYERS = ("1st", "1st_relu", "bias", "kernel", "../sum", "a/b", "Dense", "dense", "DENSE", "module", "w2", "x" * 250)


def model(names: tuple[str, ...]) -> Any:
    """A network whose layers have these names, one the name of another's activation, three the same but for case."""
    keras = tensorflow().keras
    layers = keras.layers
    names_left = iter(names)
    image = layers.Input((3, 3, 2), name=INPUT)
    x = layers.Conv2D(4, 2, padding="same", activation="relu", name=next(names_left))(image)
    x = layers.Activation("relu", name=next(names_left))(x)
    x = layers.Conv2D(4, 1, name=next(names_left))(x)
    x = layers.BatchNormalization(name=next(names_left))(x)
    x = layers.Add(name=next(names_left))([x, x])
    x = layers.Concatenate(name=next(names_left))([x, x])
    inner = layers.Input((3, 3, 8), name=INPUT)
    deep = layers.Conv2D(3, 1, activation="relu", name=names[2])(inner)  # as a layer outside
    x = keras.Model(inner, deep, name="inner")(x)
    x = layers.Flatten(name=next(names_left))(x)
    x = layers.Dense(4, activation="relu", name=next(names_left))(x)
    x = layers.Dense(4, name=next(names_left))(x)
    x = layers.ReLU(name=next(names_left))(x)
    x = layers.Dense(4, name=next(names_left))(x)
    made = keras.Model(image, layers.Dense(3, name=next(names_left))(x), name="\x1b[31m../größer")
    rng = np.random.default_rng(1)
    made.set_weights(
        [rng.normal(0, 0.5, w.shape) if w.ndim > 1 else rng.uniform(0.2, 1, w.shape) for w in made.get_weights()]
    )
    return made


IMAGES = np.random.default_rng(2).normal(size=(12, 3, 3, 2)).astype(np.float32)


@pytest.fixture(scope="module")
def network() -> tuple[Any, Graph]:
    keras_model = model(LAYERS)
    return keras_model, read_keras(keras_model)


def test_the_graph_has_the_users_names_and_computes_what_keras_does(network: tuple[Any, Graph]) -> None:
    keras_model, graph = network
    assert graph.name == keras_model.name
    assert graph.input.name == INPUT
    layers = {layer.name: layer for layer in graph.weight_layers}
    assert set(layers) == {"1st", "bias", "bias_call2", "dense", "DENSE", "w2", "x" * 250} | (set(layers) & {"kernel"})
    assert {"1st_relu", "../sum", "a/b", "module"} <= {node.name for node in graph}
    np.testing.assert_array_equal(layers["1st"].weight.values, keras_model.get_layer("1st").kernel.numpy())
    np.testing.assert_array_equal(layers["DENSE"].bias.values, keras_model.get_layer("DENSE").bias.numpy())
    expected = keras_model(IMAGES).numpy()
    np.testing.assert_allclose(RealExecutor(graph).run(IMAGES.astype(np.float64)), expected, atol=1e-5)


def test_hls4ml_takes_the_keras_model_under_legal_names(network: tuple[Any, Graph], tmp_path: Path) -> None:
    keras_model, untyped = network
    graph = harden(untyped, IMAGES).graph
    generate(graph, keras_model, tmp_path / "project", reuse=choose_reuse(graph))
    assert_agree(graph, IMAGES, CsimExecutor(tmp_path / "project", graph), bers=(0.02,))


@pytest.mark.parametrize("suffix", ["h5", "keras"])
def test_the_commands_speak_of_the_users_layers(network: tuple[Any, Graph], tmp_path: Path, suffix: str) -> None:
    keras_model, _ = network
    path, data, result = tmp_path / f"odd.{suffix}", tmp_path / "data.npz", tmp_path / "result.json"
    keras_model.save(path)
    np.savez(data, x=IMAGES, y=np.arange(12) % 3)
    design = tmp_path / "design"
    hwflow("harden", path, "-o", design, "--calibration", data).succeeds()
    names = [layer.name for layer in load_design(design).graph.weight_layers]
    assert {"1st", "bias", "dense", "DENSE"} <= set(names)
    lists = tmp_path / "lists"
    hwflow(
        *("evaluate", design, "--data", data, "--ber", "0.05", "--rounds", "1"),
        *("--layers", "DENSE", "--layers", "1*", "--save-faults", lists),
    ).succeeds()
    faults = FaultList.load(lists / "round-0.json")
    assert {memory.name for memory in faults.memories} >= {"DENSE.weight", "1st.weight"}
    options = ("--simulator", "icarus", "--images", "2", "--faults", lists / "round-0.json", "--json", result)
    hwflow("simulate", design, "--data", data, *options).succeeds()
    assert json.loads(result.read_text())["differing_codes"] == 0
    hwflow("generate", design, "-o", tmp_path / "project", "--json", result).succeeds()
    assert [layer["name"] for layer in json.loads(result.read_text())["layers"]] == names
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert all(path.is_relative_to(tmp_path) and path.name.isascii() for path in written)


def test_names_that_only_keras_3_takes(tmp_path: Path) -> None:
    keras = tensorflow().keras
    x = keras.layers.Input((4,), name="x")
    hidden = keras.layers.Dense(4, activation="relu", name="first")(x)
    keras.Model(x, keras.layers.Dense(3, name="second")(hidden)).save(tmp_path / "file.h5")
    name = "my größte layer"
    with h5py.File(tmp_path / "file.h5", "r+") as file:
        file.attrs["model_config"] = file.attrs["model_config"].replace('"second"', json.dumps(name))
        group = file["model_weights"]
        group.attrs["layer_names"] = [name if each == "second" else each for each in group.attrs["layer_names"]]
        group.move("second", name)
    np.savez(tmp_path / "data.npz", x=np.random.default_rng(1).normal(size=(8, 4)), y=np.arange(8) % 3)
    hwflow("harden", tmp_path / "file.h5", "-o", tmp_path / "design", "--calibration", tmp_path / "data.npz").succeeds()
    assert name in load_design(tmp_path / "design").graph
    data = ("--data", tmp_path / "data.npz")
    hwflow("evaluate", tmp_path / "design", *data, "--executor", "keras").succeeds()
    hwflow("evaluate", tmp_path / "design", *data, "--ber", "0.1", "--layers", name).succeeds()
    found = hwflow("emulate", tmp_path / "file.h5", *data).succeeds()
    assert name in found


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_any_names_are_read(seed: int) -> None:
    names = tuple(map(str, np.random.default_rng(seed).choice(NAMES, len(LAYERS), replace=False)))
    keras_model = model(names)
    graph = read_keras(keras_model)
    expected = keras_model(IMAGES).numpy()
    np.testing.assert_allclose(RealExecutor(graph).run(IMAGES.astype(np.float64)), expected, atol=1e-5)
