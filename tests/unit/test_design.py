"""The design folder and the files module, without TensorFlow."""

import hashlib
import json
import os

import numpy as np
import pytest

from hwflow.errors import HwflowError
from hwflow.files.folders import DESIGN, PROJECT, new_folder, write_json
from hwflow.folders.design import load_design, write_graph, write_manifest
from hwflow.hardening import harden, summary
from hwflow.stages.harden import describe
from tests.networks import random_graph, random_images, random_options


def write_design(path, seed, force=False):
    """A design of a random network; a stub stands for the Keras model."""
    graph, options = random_graph(seed), random_options(seed)
    hardened = harden(graph, random_images(seed, graph, 4), options)
    with new_folder(path, DESIGN, force) as folder:
        write_graph(folder, hardened.graph)
        (folder / "model.h5").write_bytes(b"stub")
        content = {"source": "random", "options": describe(options), **summary(hardened)}
        write_manifest(folder, content, hardened.graph)
    return hardened.graph


def fill_half(path, error):
    with new_folder(path, DESIGN, force=True) as folder:
        (folder / "half").write_text("written")
        raise error


@pytest.mark.parametrize("seed", range(6))
def test_a_graph_survives_the_folder(tmp_path, seed):
    graph = write_design(tmp_path / "d", seed)
    design = load_design(tmp_path / "d")
    assert design.graph.digest == graph.digest
    for row, layer in zip(design.layers(), graph.weight_layers, strict=True):
        assert (row["c"], row["c_largest"]) == (np.min(layer.c), np.max(layer.c))
        assert 1 <= row["bits_used"] <= layer.weight.type.width
        assert row["quantisation_error"] >= 0
        assert 0.5 < row["alignment"] <= 1
        assert row["outliers"] == (0 if layer.outliers is None else len(layer.outliers.index))
        assert row["side_bits"] == layer.side_bits
    plan = design.manifest["plan"]
    assert plan["side_bits"] == sum(row["side_bits"] for row in design.layers())
    assert plan["outliers"] == sum(row["outliers"] for row in design.layers())
    for mine, theirs in zip(design.graph, graph, strict=True):
        assert (mine.name, mine.type, mine.scale) == (theirs.name, theirs.type, theirs.scale)


def test_codes_are_stored_as_narrow_as_they_are(tmp_path):
    graph = write_design(tmp_path / "d", 1)
    with np.load(tmp_path / "d" / "arrays.npz") as arrays:
        for layer in graph.weight_layers:
            assert arrays[f"{layer.name}.weight"].dtype.itemsize <= 1 if layer.weight.type.width <= 8 else 2


def test_equal_designs_have_equal_bytes(tmp_path):
    for name in "ab":
        write_design(tmp_path / name, 1)
    for file in os.listdir(tmp_path / "a"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


@pytest.mark.parametrize("name", ["graph.json", "arrays.npz", "model.h5", "design.json"])
def test_every_flipped_byte_is_noticed(tmp_path, name):
    write_design(tmp_path / "d", 2)
    file = tmp_path / "d" / name
    content = file.read_bytes()
    for place in np.random.default_rng(0).integers(len(content), size=8):
        # 0x01 turns one printable character into another, so JSON mostly stays JSON.
        file.write_bytes(content[:place] + bytes([content[place] ^ 0x01]) + content[place + 1 :])
        with pytest.raises(HwflowError, match=str(tmp_path)):
            load_design(tmp_path / "d")
    file.write_bytes(content)
    load_design(tmp_path / "d")


@pytest.mark.parametrize("text", ["", "[]", "7", '{"format": "hwflow-project"}', "{"])
def test_a_manifest_that_is_none(tmp_path, text):
    write_design(tmp_path / "d", 2)
    (tmp_path / "d" / "design.json").write_text(text)
    with pytest.raises(HwflowError, match=r"design\.json"):
        load_design(tmp_path / "d")


def test_a_file_is_not_a_design(tmp_path):
    (tmp_path / "d").write_text("hello")
    with pytest.raises(HwflowError, match="not a design folder"):
        load_design(tmp_path / "d")


def test_a_manifest_without_files_is_refused(tmp_path):
    """Even when its own hash is made to fit: the files are what it is about."""
    write_design(tmp_path / "d", 2)
    manifest = json.loads((tmp_path / "d" / "design.json").read_text())
    del manifest["files"], manifest["sha256"]
    manifest["sha256"] = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
    (tmp_path / "d" / "design.json").write_text(json.dumps(manifest))
    with pytest.raises(HwflowError, match="SHA-256"):
        load_design(tmp_path / "d")


def test_a_failure_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError):
        fill_half(tmp_path / "a" / "b", RuntimeError)
    assert os.listdir(tmp_path) == []


def test_a_failure_keeps_what_was_there(tmp_path):
    write_design(tmp_path / "d", 1)
    before = load_design(tmp_path / "d").sha256
    with pytest.raises(KeyboardInterrupt):
        fill_half(tmp_path / "d", KeyboardInterrupt)
    assert load_design(tmp_path / "d").sha256 == before
    assert os.listdir(tmp_path) == ["d"]


def test_force_replaces_only_its_own_kind(tmp_path):
    write_design(tmp_path / "d", 1)
    with pytest.raises(HwflowError, match="not a project folder"), new_folder(tmp_path / "d", PROJECT, force=True):
        pass
    write_design(tmp_path / "d", 3, force=True)
    assert load_design(tmp_path / "d").graph.digest == write_design(tmp_path / "e", 3).digest


def test_a_link_to_a_design_is_followed(tmp_path):
    write_design(tmp_path / "d", 1)
    (tmp_path / "link").symlink_to(tmp_path / "d")
    graph = write_design(tmp_path / "link", 3, force=True)
    assert (tmp_path / "link").is_symlink()
    assert load_design(tmp_path / "d").graph.digest == graph.digest


def test_folders_have_the_usual_permissions(tmp_path):
    write_design(tmp_path / "d", 1)
    (tmp_path / "usual").mkdir()
    assert (tmp_path / "d").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_json_is_written_whole_or_not_at_all(tmp_path):
    write_json(tmp_path / "x.json", {"a": 1})
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "x.json", {"a": float("nan")})
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": 1}
    with pytest.raises(HwflowError, match="cannot be written"):
        write_json(tmp_path / "none" / "x.json", {})
    assert os.listdir(tmp_path) == ["x.json"]
