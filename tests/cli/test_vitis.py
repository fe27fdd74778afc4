"""hwflow simulate --rtl: the Verilog of Vitis, here a stand-in, instead of hwflow's."""

import json

import numpy as np
import pytest

from hwflow import load_design
from tests.cli.conftest import hwflow
from tests.vitis import write_standin


@pytest.fixture
def dense(keras, tmp_path):
    layers = keras.layers
    source = keras.Input((4,), name="image")
    x = layers.ReLU(name="relu")(layers.Dense(6, name="first")(source))
    model = keras.Model(source, layers.Dense(2, name="logits")(x), name="small")
    rng = np.random.default_rng(1)
    model.set_weights([rng.normal(0, 0.7, weights.shape) for weights in model.get_weights()])
    model.save(tmp_path / "model.keras")
    np.savez(tmp_path / "data.npz", x=rng.uniform(size=(20, 4)), y=np.arange(20) % 2)
    options = ("--scale", "none", "--calibration", tmp_path / "data.npz")
    hwflow("harden", tmp_path / "model.keras", "-o", tmp_path / "design", *options).succeeds()
    return tmp_path / "design"


def test_verilog_of_vitis(dense, tmp_path):
    write_standin(load_design(dense).graph, tmp_path / "verilog", stream=True)
    report = tmp_path / "report.json"
    data = ("--data", tmp_path / "data.npz", "--simulator", "icarus")
    faults = ("--ber", 0.05, "--images", 8, "--json", report)
    out = hwflow("simulate", dense, "--rtl", tmp_path / "verilog", *data, *faults).succeeds()
    assert "myproject, weights of first in vitis." in out
    written = json.loads(report.read_text())
    assert [row["differing_codes"] for row in written["comparisons"]] == [0, 0]
    assert written["comparisons"][1]["flips"] > 0
    assert written["rtl"] == str(tmp_path / "verilog")
    for option, value in (("--project", tmp_path), ("--upset-cycle", 5), ("--only", "first"), ("--upset", "state")):
        refused = hwflow("simulate", dense, "--rtl", tmp_path / "verilog", *data, option, value)
        refused.fails_with("no effect", "--rtl" if option in ("--project", "--upset-cycle") else option)
    hwflow("simulate", dense, "--rtl", dense, *data, "--images", 8).fails_with("no Verilog files")


def test_a_wrong_answer_is_found(dense, tmp_path):
    write_standin(load_design(dense).graph, tmp_path / "verilog", stream=True)
    (layer,) = (tmp_path / "verilog").glob("*config4_s.v")
    layer.write_text(layer.read_text().replace("acc[0] = 48'sd0 +", "acc[0] = 48'sd9999 +"))
    data = ("--data", tmp_path / "data.npz", "--simulator", "icarus")
    hwflow("simulate", dense, "--rtl", tmp_path / "verilog", *data, "--images", 8).fails_with("codes differ")
