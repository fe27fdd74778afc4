"""hwflow harden: what it writes, and every bad input in one line."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from hwflow import load_design
from hwflow.cost.reuse import choose_reuse
from hwflow.models import embedded
from hwflow.rtl.address_map import address_map
from hwflow.rtl.netlist import build_netlist
from hwflow.rtl.structure import Loadable
from tests.cli.conftest import hwflow, left_in


def test_the_design_holds_what_later_steps_need(design):
    assert left_in(design) == {"design.json", "graph.json", "arrays.npz", "model.h5"}
    opened = load_design(design)
    assert opened.graph.is_typed
    assert opened.manifest["options"]["weights"] == "ap_fixed<8,3>"
    assert opened.manifest["calibration"]["images"] == 256


def test_equal_commands_write_equal_designs(design, tmp_path):
    hwflow("harden", "digits_cnn", "-o", tmp_path / "again").succeeds()
    assert load_design(tmp_path / "again").sha256 == load_design(design).sha256


def test_options_reach_the_design(tmp_path):
    out = hwflow(
        "harden", "digits_qcnn", "-o", tmp_path / "d", "--weights", "ap_fixed<6,1>", "--scale", "pow2",
        "--align", "multiply", "--compensation", "layer", "--activation-bits", "12", "--guard-bits", "0",
        "--t", "0.9", "--calibration-images", "20", "--saturate", "--seed", "3", "--json", tmp_path / "j.json",
        "--granularity", "channel", "--no-absorb", "--outliers", "0.1", "--headroom", "1", "--table-bits", "9",
    ).succeeds()  # fmt: skip
    assert "conv1" in out
    result = json.loads((tmp_path / "j.json").read_text())
    assert result["command"] == "harden"
    assert result["seed"] == 3
    assert result["options"] == {
        "weights": "ap_fixed<6,1>", "t": 0.9, "scale": "pow2", "align": "multiply", "compensation": "layer",
        "saturate": True, "granularity": "channel", "absorb": False, "renormalise": None, "outliers": 0.1,
        "activation_bits": 12, "guard_bits": 0, "headroom": 1, "table_bits": 9, "rounding": "RND", "storage": "plain",
        "calibrated_rounding": True,
    }  # fmt: skip
    assert result["calibration"]["images"] == 20
    for row in result["layers"]:
        assert row["c"] == 2 ** round(np.log2(row["c"]))
        assert row["c_largest"] >= row["c"]
        assert row["weight_type"].startswith("ap_fixed<6,1")


def test_a_retrained_network_is_hardened_like_the_first(tmp_path):
    model = embedded("digits_cnn")
    rng = np.random.default_rng(1)
    model.set_weights([each + 0.05 * np.abs(each).mean() * rng.normal(size=each.shape) for each in model.get_weights()])
    model.save(tmp_path / "retrained.h5")
    first, options = tmp_path / "first", ["--headroom", "1", "--align", "multiply"]
    hwflow("harden", "digits_cnn", "-o", first, *options).succeeds()
    retrain = ["harden", tmp_path / "retrained.h5", "--calibration", "digits", "--like", first]
    hwflow(*retrain, "-o", tmp_path / "second", *options).succeeds()
    designs = [load_design(first), load_design(tmp_path / "second")]
    assert designs[1].manifest["like"] == designs[0].sha256
    assert designs[1].graph.digest != designs[0].graph.digest
    reuse = choose_reuse(designs[0].graph)
    maps = [address_map(each.graph, build_netlist(each.graph, reuse, Loadable())) for each in designs]
    assert maps[1].structure == maps[0].structure
    hwflow(*retrain, "-o", tmp_path / "d").fails_with("first: was hardened with align multiply, not shift")
    hwflow(*retrain[:-1], tmp_path / "nowhere", "-o", tmp_path / "d", *options).fails_with("nowhere: no such design")
    hwflow(*retrain, "-o", first, "--force", *options).fails_with("--like", "first")
    hwflow("harden", "digits_qcnn", "-o", tmp_path / "d", "--like", first, *options).fails_with("first")
    assert not (tmp_path / "d").exists()


def test_a_storage_code_protects_the_design(design, tmp_path):
    out = hwflow("harden", "digits_cnn", "-o", tmp_path / "d", "--protect", "secded").succeeds()
    assert "stored in secded: 76320 bits, 9.06 a weight" in out
    assert load_design(tmp_path / "d").manifest["options"]["storage"] == "secded"
    evaluate = ("--data", "digits", "--images", "100", "--ber", "1e-3", "--rounds", "4", "--json", tmp_path / "j.json")
    found = {}
    for name, path in (("plain", design), ("secded", tmp_path / "d")):
        hwflow("evaluate", path, *evaluate).succeeds()
        found[name] = json.loads((tmp_path / "j.json").read_text())
    assert found["secded"]["stored_bits"] == 76320
    assert found["secded"]["clean"] == found["plain"]["clean"]
    assert found["secded"]["faulted"]["mean"] >= found["plain"]["faulted"]["mean"]
    hwflow("generate", tmp_path / "d", "-o", tmp_path / "p", "--json", tmp_path / "j.json").succeeds()
    layers = json.loads((tmp_path / "j.json").read_text())["layers"]
    assert sum(layer["words"] * layer["word_bits"] for layer in layers) == 76320


def test_outliers_are_kept_in_a_side_memory(design, tmp_path):
    plain = load_design(design)
    out = hwflow(
        "harden", "digits_cnn", "-o", tmp_path / "d", "--outliers", "0.05", "--json", tmp_path / "j.json"
    ).succeeds()
    result = json.loads((tmp_path / "j.json").read_text())
    sparse = load_design(tmp_path / "d")
    assert sparse.manifest["options"]["outliers"] == 0.05
    for row, before, layer in zip(result["layers"], plain.layers(), sparse.graph.weight_layers, strict=True):
        assert row["c"] > before["c"]
        assert 0 < row["outliers"] == len(layer.outliers.index) <= 0.05 * row["weights"]
        index_bits = int(np.ceil(np.log2(row["weights"])))
        assert row["side_bits"] == row["outliers"] * (index_bits + layer.outliers.rest.type.width)
    plan = result["plan"]
    assert plan["side_bits"] == sum(row["side_bits"] for row in result["layers"])
    assert f"side memory: {plan['side_bits']} bits for {plan['outliers']} outliers" in out
    assert "side bits" in out
    assert "side bits" not in hwflow("harden", "digits_cnn", "-o", tmp_path / "e").succeeds()


def test_a_user_model_is_hardened(saved_cnn, images, tmp_path):
    hwflow("harden", saved_cnn(), "-o", tmp_path / "d", "--calibration", images).succeeds()
    assert load_design(tmp_path / "d").graph.input.shape == (6, 6, 2)


def test_an_all_zero_layer_has_c_one(saved_cnn, images, tmp_path):
    path = saved_cnn(lambda model: _set_weights(model, 0.0))
    hwflow("harden", path, "-o", tmp_path / "d", "--calibration", images, "--json", tmp_path / "j.json").succeeds()
    rows = {row["name"]: row for row in json.loads((tmp_path / "j.json").read_text())["layers"]}
    assert rows["odd"]["c"] == 1
    assert rows["first"]["c"] != 1


def test_a_missing_model(tmp_path):
    hwflow("harden", tmp_path / "no.h5", "-o", tmp_path / "d", "--calibration", "digits").fails_with("no.h5")
    assert left_in(tmp_path) == set()


def test_an_unknown_embedded_network(tmp_path):
    hwflow("harden", "digit_cnn", "-o", tmp_path / "d", "--calibration", "digits").fails_with("digits_cnn")


@pytest.mark.parametrize("suffix", ["h5", "keras", "json"])
def test_a_corrupt_model(tmp_path, suffix):
    path = tmp_path / f"model.{suffix}"
    path.write_bytes(b"no model at all")
    hwflow("harden", path, "-o", tmp_path / "d", "--calibration", "digits").fails_with(path.name)
    assert left_in(tmp_path) == {path.name}


@pytest.mark.parametrize(
    ("option", "word"), [({"activation": "log_softmax"}, "log_softmax"), ({"dilation_rate": 2}, "dilation_rate")]
)
def test_an_unsupported_layer_is_named(saved_cnn, images, tmp_path, option, word):
    path = saved_cnn(**option)
    hwflow("harden", path, "-o", tmp_path / "d", "--calibration", images).fails_with("odd", word)
    assert left_in(tmp_path) == {path.name}


def test_groups_become_convolutions_of_their_own(saved_cnn, images, tmp_path):
    out = tmp_path / "d"
    hwflow("harden", saved_cnn(groups=2), "-o", out, "--calibration", images).succeeds()
    layers = [layer.name for layer in load_design(out).graph.weight_layers]
    assert [name for name in layers if name.startswith("odd")] == ["odd_group0", "odd_group1"]
    hwflow("evaluate", out, "--data", images, "--ber", "1e-2").succeeds()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite(saved_cnn, images, tmp_path, value):
    path = saved_cnn(lambda model: _set_weights(model, value))
    hwflow("harden", path, "-o", tmp_path / "d", "--calibration", images).fails_with("odd", "NaN or infinite")
    assert left_in(tmp_path) == {path.name}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--t", "5"], ["t=5", "ap_fixed<8,3>"]),
        (["--t", "-1"], ["t=-1"]),
        (["--weights", "ap_fixed<8,2>", "--scale", "none"], ["conv1", "ap_fixed<8,2>"]),
        (["--weights", "ap_ufixed<8,3>"], ["signed"]),
        (["--weights", "int8"], ["int8", "ap_fixed"]),
        (["--activation-bits", "17"], ["activation_bits=17"]),
        (["--guard-bits", "-1"], ["guard_bits=-1"]),
        (["--table-bits", "17"], ["table_bits=17", "8 to 16"]),
        (["--headroom", "5"], ["headroom=5", "0 to 4"]),
        (["--outliers", "1"], ["outliers=1.0", "less than 1"]),
        (["--outliers", "-0.1"], ["outliers=-0.1"]),
        (["--outliers", "nan"], ["outliers=nan"]),
        (["--weights", "ap_fixed<8,1>", "--scale", "none", "--outliers", "0.01"], ["conv1", "outliers, outside"]),
        (["--calibration", "nowhere.npz"], ["nowhere.npz"]),
    ],
)
def test_options_that_cannot_be(tmp_path, options, words):
    hwflow("harden", "digits_cnn", "-o", tmp_path / "d", *options).fails_with(*words)
    assert left_in(tmp_path) == set()


def test_calibration_images_of_another_shape(images, tmp_path):
    result = hwflow("harden", "digits_cnn", "-o", tmp_path / "d", "--calibration", images)
    result.fails_with("(16, 6, 6, 2)", "(N, 8, 8, 1)")
    assert left_in(tmp_path) == set()


def test_more_calibration_images_than_there_are(saved_cnn, images, tmp_path):
    options = ("harden", saved_cnn(), "-o", tmp_path / "d", "--calibration", images)
    hwflow(*options, "--calibration-images", 17).fails_with("has 16 images: cannot draw 17")
    assert not (tmp_path / "d").exists()
    hwflow(*options).succeeds()


def test_calibration_does_not_look_at_labels(saved_cnn, images, tmp_path):
    model, x = saved_cnn(), np.load(images)["x"]
    for name, y in {"none": {}, "strange": {"y": np.array(["cat", None], object)}}.items():
        np.savez(tmp_path / f"{name}.npz", x=x, **y)
        hwflow("harden", model, "-o", tmp_path / name, "--calibration", tmp_path / f"{name}.npz").succeeds()
        hwflow("evaluate", tmp_path / name, "--data", tmp_path / f"{name}.npz").fails_with("accuracy needs labels", "y")
    assert load_design(tmp_path / "none").graph.digest == load_design(tmp_path / "strange").graph.digest


def test_keras_labels_are_understood(saved_cnn, images, tmp_path):
    x, y = (np.load(images)[key] for key in "xy")
    hwflow("harden", saved_cnn(), "-o", tmp_path / "d", "--calibration", images).succeeds()
    outputs = set()
    for form in (y, y[:, None].astype(np.uint8), np.eye(3, dtype=np.float32)[y]):
        np.savez(tmp_path / "data.npz", x=x, y=form)
        outputs.add(hwflow("evaluate", tmp_path / "d", "--data", tmp_path / "data.npz").succeeds())
    assert len(outputs) == 1


def test_a_user_model_needs_calibration_images(saved_cnn, tmp_path):
    hwflow("harden", saved_cnn(), "-o", tmp_path / "d").fails_with("--calibration")


def test_an_existing_folder_is_refused_and_kept(copy):
    before = load_design(copy).sha256
    hwflow("harden", "digits_cnn", "-o", copy).fails_with(str(copy), "--force")
    assert load_design(copy).sha256 == before


def test_force_replaces_a_design(copy):
    before = load_design(copy).sha256
    hwflow("harden", "digits_cnn", "-o", copy, "--force", "--scale", "pow2").succeeds()
    assert load_design(copy).sha256 != before
    assert left_in(copy.parent) == {copy.name}


def test_force_keeps_the_old_design_when_the_new_one_fails(copy):
    before = load_design(copy).sha256
    hwflow("harden", "digits_cnn", "-o", copy, "--force", "--t", "5").fails_with("t=5")
    assert load_design(copy).sha256 == before
    assert left_in(copy.parent) == {copy.name}


def test_force_never_replaces_a_stranger(tmp_path):
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / "chapter1.tex").write_text("years of work")
    hwflow("harden", "digits_cnn", "-o", folder, "--force").fails_with("thesis", "not a design folder")
    assert (folder / "chapter1.tex").read_text() == "years of work"


def test_missing_parents_are_made_and_removed_again(design, tmp_path):
    hwflow("generate", design, "-o", tmp_path / "a" / "b" / "p", "--no-rtl", "--no-firmware").fails_with("--no-")
    assert left_in(tmp_path) == set()


def _set_weights(model, value: float) -> None:
    layer = model.get_layer("odd")
    kernel, bias = layer.get_weights()
    layer.set_weights([np.full_like(kernel, value), bias])


def _damage_json(path: Path, **changes: object) -> None:
    data = json.loads(path.read_text())
    path.write_text(json.dumps({**data, **changes}))


def test_a_folder_that_is_no_design(tmp_path):
    hwflow("evaluate", tmp_path, "--data", "digits").fails_with(str(tmp_path), "design.json")
    hwflow("evaluate", tmp_path / "none", "--data", "digits").fails_with("none", "hwflow harden")


@pytest.mark.parametrize("name", ["design.json", "graph.json", "arrays.npz", "model.h5"])
def test_a_truncated_file(copy, name):
    content = (copy / name).read_bytes()
    (copy / name).write_bytes(content[: len(content) // 2])
    hwflow("evaluate", copy, "--data", "digits").fails_with(name, "harden the model again")


@pytest.mark.parametrize("name", ["graph.json", "arrays.npz", "model.h5"])
def test_a_missing_file(copy, name):
    (copy / name).unlink()
    hwflow("generate", copy, "-o", copy.parent / "p").fails_with(name, "missing")
    assert left_in(copy.parent) == {copy.name}


def test_an_edited_manifest(copy):
    _damage_json(copy / "design.json", source="another network")
    hwflow("simulate", copy, "--data", "digits").fails_with("design.json", "SHA-256")


def test_an_edited_graph(copy):
    path = copy / "graph.json"
    path.write_text(path.read_text().replace('"c": 1.93', '"c": 1.94'))
    hwflow("evaluate", copy, "--data", "digits").fails_with("graph.json", "SHA-256")


@pytest.mark.parametrize("change", [{"hwflow": "0.0.9"}, {"format_version": 99}])
def test_a_design_of_another_version(copy, change):
    _damage_json(copy / "design.json", **change)
    hwflow("evaluate", copy, "--data", "digits").fails_with("made by hwflow", "harden the model again")


def test_a_design_may_be_moved(copy):
    moved = copy.parent / "elsewhere"
    shutil.move(copy, moved)
    hwflow("evaluate", moved, "--data", "digits", "--images", "5").succeeds()
