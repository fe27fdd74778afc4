"""The testbench of a Vitis project: built as its README says, it compares with the reference and can fail."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from hwflow.codes import CodeSpec
from hwflow.cost.reuse import choose_reuse
from hwflow.errors import HwflowError
from hwflow.firmware import generate
from hwflow.graph import Graph
from hwflow.hardening import harden
from hwflow.reference.stimuli import stimuli_of
from tests.networks import NetworkBuilder, random_images, same


def network(storage: str) -> Graph:
    net = NetworkBuilder(np.random.default_rng(3), (4, 4, 2))
    x = net.conv(net.nodes[0], 3, same((4, 4), (3, 3), (1, 1)))
    net.dense(net.flat(x, average=False), 2)
    original = net.graph("tiny")
    graph = harden(original, random_images(1, original, 4)).graph
    stored = {layer.name: replace(layer, storage=CodeSpec(storage)) for layer in graph.weight_layers}
    return Graph(tuple(stored.get(node.name, node) for node in graph), graph.name)


def written(folder: Path, storage: str = "plain", **options: Any) -> Path:
    graph = network(storage)
    stimuli = stimuli_of(graph, "noise", random_images(2, graph, 3))
    return generate(graph, None, folder, reuse=choose_reuse(graph, 4), stimuli=stimuli, **options).path


def build_and_run(project: Path) -> tuple[int, list[str]]:
    """Exit status and output of the README's line for g++."""
    (line,) = re.findall(r"^mkdir .*$", (project / "README.md").read_text(), re.MULTILINE)
    return shell(line, project)


def shell(line: str, project: Path) -> tuple[int, list[str]]:
    done = subprocess.run(
        line, cwd=project, shell=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    return done.returncode, done.stdout.splitlines()


def change(file: Path) -> None:
    """Another last value."""
    *before, last = file.read_text().split(" ")
    file.write_text(" ".join([*before, f"{float(last) + 0.5}\n"]))


CASES = {
    "streams": ({}, False),
    "arrays with ports": ({"io_type": "io_parallel", "bram_ports": True}, True),
    "stored words": ({"storage": "secded"}, False),
}


@pytest.mark.parametrize(
    ("options", "ports"),
    [pytest.param(*case, id=name, marks=[pytest.mark.slow] * (name != "streams")) for name, case in CASES.items()],
)
def test_the_readmes_line_compares_with_the_reference(options: dict[str, Any], ports: bool, tmp_path: Path) -> None:
    project = written(tmp_path / "project", **options)
    data = project / "tb_data"
    status, lines = build_and_run(project)
    assert (status, lines[-1]) == (0, "PASS"), lines
    assert lines[:-1] == [
        "without faults: 0 of 6 outputs differ from the reference",
        "with 16 bits flipped: 0 of 6 outputs differ from the reference",
    ]
    rows = [line.split() for line in (data / "csim_results.log").read_text().splitlines()]
    expected = [line.split() for line in (data / "tb_output_predictions.dat").read_text().splitlines()]
    assert [list(map(float, row)) for row in rows] == [list(map(float, row)) for row in expected]
    assert len(expected) == 3
    assert (data / "tb_output_faulted.dat").read_text() != (data / "tb_output_predictions.dat").read_text()
    for name, place in (("tb_output_predictions.dat", 0), ("tb_output_faulted.dat", 1)):
        right = (data / name).read_text()
        change(data / name)
        status, lines = shell("csim/testbench", project)
        (data / name).write_text(right)
        assert (status, lines[-1]) == (1, "FAIL")
        assert "1 of 6 outputs differ" in lines[place]
        assert "0 of 6 outputs differ" in lines[1 - place]
    (data / "faults.dat").write_text("w2 99999 0\n")
    status, lines = shell("csim/testbench", project)
    assert (status, lines[-1]) == (1, "ERROR: tb_data/faults.dat: no bit 0 of word 99999 in w2")
    # What co-simulation compiles compares weights that a testbench cannot flip without faults only.
    text = (project / "tiny_hls_test.cpp").read_text()
    assert ("#ifndef CO_SIMULATION" in text) is not ports


def test_the_configuration_has_the_reuse_factors_in_use(tmp_path: Path) -> None:
    project = written(tmp_path / "project")
    config = yaml.safe_load((project / "hls4ml_config.yml").read_text())["HLSConfig"]["LayerName"]
    used = choose_reuse(network("plain"), 4)
    assert {name: layer["ReuseFactor"] for name, layer in config.items()} == used
    assert {layer["Strategy"] for layer in config.values()} == {"Resource"}
    rows = re.findall(r"^\| (\w+) \| `w\d+` \|.*\| (\d+) \|$", (project / "README.md").read_text(), re.MULTILINE)
    assert {name: int(factor) for name, factor in rows} == used
    sources = (project / "firmware" / "parameters.h").read_text()
    assert {int(each) for each in re.findall(r"reuse_factor = (\d+)", sources)} >= set(used.values())


def test_a_reuse_factor_that_is_not_valid_is_refused(tmp_path: Path) -> None:
    graph = network("plain")
    wrong = choose_reuse(graph, 4) | {graph.weight_layers[0].name: 7}
    with pytest.raises(
        HwflowError, match=r"conv1: reuse factor 7 is not valid; choose from 1, 3, 9, 18, 54"
    ) as refusal:
        generate(graph, None, tmp_path / "project", reuse=wrong)
    assert "\n" not in str(refusal.value)
    assert not os.listdir(tmp_path)


def test_the_readme_says_what_its_images_are(tmp_path: Path) -> None:
    text = (written(tmp_path / "project") / "README.md").read_text()
    assert "The images are noise, 3 images." in text
    assert "The faults are 16 flipped bits" in text
