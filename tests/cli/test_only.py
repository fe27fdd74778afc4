"""The RTL of one layer or block of a network, fed by the reference."""

from dataclasses import replace

import numpy as np
import pytest

from hwflow import load_design
from hwflow.errors import HwflowError
from hwflow.graph import Add, Graph
from hwflow.graph.block import ancestors, block
from hwflow.hardening import harden
from hwflow.reference import IntegerExecutor
from hwflow.stages import only
from tests.cli.conftest import hwflow
from tests.networks import random_graph, random_images, random_options


@pytest.mark.parametrize("seed", range(6))
def test_every_block_computes_what_the_network_does(seed):
    graph = random_graph(seed)
    graph = harden(graph, random_images(seed + 1, graph, 8), random_options(seed)).graph
    codes = IntegerExecutor(graph).encode(random_images(seed, graph, 3))

    def tensor(name):
        return codes if name == graph.input.name else IntegerExecutor(Graph(ancestors(graph, name))).run(codes)

    for node in graph.nodes[1:]:
        part = block(graph, node.name)
        if len(set(node.inputs)) == 1:
            assert [each.name for each in part] == [node.inputs[0], node.name]
        np.testing.assert_array_equal(IntegerExecutor(part).run(tensor(part.input.name)), tensor(node.name))
    whole = block(graph, graph.output.name, graph.nodes[1].name)
    assert {node.name for node in whole} == {node.name for node in graph}


def test_a_layer_and_a_merge_in_rtl(design):
    graph = load_design(design).graph
    merge = graph.of_type(Add)[0].name
    for layer, others in (("conv1", 0), (merge, 2)):
        arguments = ("--only", layer, "--data", "digits", "--images", 2, "--simulator", "icarus")
        out = hwflow("simulate", design, *arguments).succeeds()
        assert f"{layer}, fed with " in out
        assert " 0 of " in out
        assert "2 images" in out
        assert out.count(",") > others


def test_a_wrong_block_is_seen(design, monkeypatch):
    """The RTL of another weight than the reference's."""
    generate = only.generate

    def planted(part, folder, reuse):
        layer = part.weight_layers[0]
        codes = layer.weight.codes.copy()
        codes.flat[0] ^= 64
        wrong = replace(layer, weight=type(layer.weight).from_codes(codes, layer.weight.type))
        generate(Graph(tuple(wrong if node is layer else node for node in part), part.name), folder, reuse)
        text = (folder / "rtl.json").read_text()
        (folder / "rtl.json").write_text(text.replace(load_digest(folder), part.digest))

    def load_digest(folder):
        return only_design(folder).digest

    from hwflow.sim import RtlDesign

    only_design = RtlDesign.load
    monkeypatch.setattr(only, "generate", planted)
    arguments = ("--only", "conv1", "--data", "digits", "--images", 1, "--simulator", "icarus")
    result = hwflow("simulate", design, *arguments)
    assert result.status == 1
    assert "output codes differ from the reference" in result.err


def test_what_there_is_not(design):
    graph = load_design(design).graph
    for layer, words in (
        ("nowhere", "no layer is named 'nowhere'"),
        ("logits..conv1", "logits does not lead to conv1"),
    ):
        hwflow("simulate", design, "--only", layer, "--data", "digits").fails_with(words)
    with pytest.raises(HwflowError, match="computes nothing"):
        block(graph, graph.input.name)
    hwflow("simulate", design, "--only", "conv1", "--data", "digits", "--ber", 0.1).fails_with("--ber", "--only")
