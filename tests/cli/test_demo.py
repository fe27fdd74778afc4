"""hwflow demo, quickly; and that docs/json.md lists every key that the commands write."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hwflow.folders.design import load_design
from hwflow.folders.project import load_project
from tests.cli.conftest import hwflow, left_in

DOCUMENTATION = Path(__file__).parents[2] / "docs" / "json.md"
NAMED_BY_THE_DESIGN = ("ranges", "files", "versions", "weights")
"""Keys of objects whose own keys are layers, files and packages."""


def keys(data: Any) -> Iterator[str]:
    """Every key in JSON data that hwflow chose."""
    if isinstance(data, dict):
        for key, value in data.items():
            yield key
            if key == "layers" and isinstance(value, dict):
                yield from keys(list(value.values()))
            elif key not in NAMED_BY_THE_DESIGN:
                yield from keys(value)
    elif isinstance(data, list):
        for value in data:
            yield from keys(value)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demos") / "demo"
    out = hwflow("demo", "--quick", "-o", folder, "--simulator", "icarus", "--json", f"{folder}.json").succeeds()
    assert "without scaling" in out
    return folder


def test_the_demo_is_bit_exact_and_scaling_helps(demo):
    result = json.loads(Path(f"{demo}.json").read_text())
    assert result["differing_codes"] == 0
    executors = {(row["executor"], row["faults"] != "none") for row in result["comparisons"]}
    assert executors == {("csim", False), ("csim", True), ("icarus", False), ("icarus", True)}
    assert len({row["faults"] for row in result["comparisons"]}) == 4
    assert result["float"]["mean"] > 97
    assert [row["ber"] for row in result["faulted"]] == [1e-4, 1e-3, 1e-2]
    worst = result["faulted"][1]
    assert worst["scaled"]["mean"] > worst["unscaled"]["mean"] + 10
    assert result["cycles_per_image"] > 0


def test_the_demo_keeps_what_it_generated(demo):
    assert left_in(demo) == {"demo.json", "design", "design-unscaled", "project", "faults"}
    assert left_in(demo.parent) == {"demo", "demo.json"}
    design = load_design(demo / "design")
    project = load_project(demo / "project", design)
    assert {"csim", "build"}.isdisjoint(left_in(project.part("firmware")) | left_in(project.part("rtl")))
    for faults in (demo / "faults").iterdir():
        hwflow("evaluate", demo / "design", "--data", "digits", "--images", "5", "--faults", faults).succeeds()


def test_the_demo_is_refused_twice(demo):
    hwflow("demo", "--quick", "-o", demo).fails_with(str(demo), "--force")


def test_every_key_is_documented(demo, tmp_path):
    design = demo / "design"
    commands = [
        ["harden", "digits_cnn", "-o", tmp_path / "d"],
        ["generate", design, "-o", tmp_path / "p", "--no-firmware"],
        ["evaluate", design, "--data", "digits", "--images", "5", "--ber", "1e-3"],
        [
            "simulate",
            design,
            "--data",
            "digits",
            "--images",
            "1",
            "--simulator",
            "icarus",
            "--project",
            demo / "project",
        ],
        ["doctor"],
    ]
    text = DOCUMENTATION.read_text()
    files = [Path(f"{demo}.json"), demo / "demo.json", design / "design.json"]
    for command in commands:
        files.append(tmp_path / f"{command[0]}.json")
        hwflow(*command, "--json", files[-1]).succeeds()
    for file in files:
        missing = {key for key in keys(json.loads(file.read_text())) if f"`{key}`" not in text}
        assert not missing, file.name
