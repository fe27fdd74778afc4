"""Every example of README and docs is run, those of a page in order: Python, commands between fences, and TOML.

Commands in indented blocks are parsed: ``test_commands.py``.
"""

import ast
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.blocks import NAMES, ROOT, blocks

PAGES = {
    name: fenced
    for name, page in NAMES.items()
    if (fenced := [block for block in blocks(page) if block.language != "indented"])
}
ELSEWHERE = {"docs/registers.md": "tests/exact/test_axi_lite.py"}
"""Examples that need a board, and the test of what they use."""

SLOW = (
    "docs/hls4ml.md",
    "docs/simulate.md",
    "docs/tutorials/board.md",
    "docs/tutorials/cocotb.md",
    "docs/tutorials/protection.md",
)
"""Examples that synthesise or simulate."""


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=[pytest.mark.slow] if page in SLOW else [])
        for page in sorted(PAGES.keys() - ELSEWHERE.keys())
    ],
)
def test_examples(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    from hwflow.codes import STORAGE_CODES
    from hwflow.executors import EXECUTORS

    registries = [(registry, dict(registry)) for registry in (STORAGE_CODES, EXECUTORS)]
    names = given()
    try:
        for block in PAGES[page]:
            if block.title:
                Path(block.title).write_text(block.text)
            elif block.language == "sh":
                commands(block.text)
            elif block.language == "toml":
                specification(block.text)
            else:
                exec(compile(block.text, f"{page}, line {block.line}", "exec"), names)
    finally:
        for registry, before in registries:  # an example may add to them
            registry.clear()
            registry.update(before)


def commands(text: str) -> None:
    """Run lines as a shell would in an activated environment: `hwflow` and `python` are those that are tested."""
    programs = {"hwflow": [sys.executable, "-m", "hwflow"], "python": [sys.executable]}
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for line in text.splitlines():
        program, *arguments = shlex.split(line, comments=True)
        done = subprocess.run([*programs[program], *arguments], env=environment, capture_output=True, text=True)
        print(f"$ {line}\n{done.stdout}")
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"


def specification(text: str) -> None:
    """Read a part of a campaign's specification."""
    from hwflow.campaign import load_spec

    path = Path("campaign.toml")
    path.write_text(text)
    load_spec(path)


@pytest.mark.parametrize("page", ELSEWHERE)
def test_examples_that_are_run_elsewhere(page):
    """What they call of ``device`` is there, and called by that test."""
    from hwflow.rtl import Device

    used = (ROOT / ELSEWHERE[page]).read_text()
    for block in PAGES[page]:
        for node in ast.walk(ast.parse(block.text)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "device":
                assert callable(getattr(Device, node.attr))
                assert node.attr in used


def given() -> dict[str, object]:
    """What the examples take for granted: a Keras model, and an ``.npz`` of images that it takes."""
    import numpy as np

    import hwflow
    from hwflow.models import load_model

    np.savez("images.npz", x=hwflow.load_digits("train").images[:64])
    return {"model": load_model("digits_cnn"), "x": hwflow.load_digits().images[:4]}
