"""Every Python example of README and docs is run, and every command of the tutorials, those of a page in order."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]


class Block(NamedTuple):
    """An example: Python that is run, or with a title written to that file; or commands."""

    language: str
    title: str
    text: str


_BLOCK = re.compile(r'^```(python|sh)(?: title="([^"]+)")?\n(.*?)^```', re.DOTALL | re.MULTILINE)
PAGES = {
    page.relative_to(ROOT).as_posix(): blocks
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    if (blocks := [Block(*found) for found in _BLOCK.findall(page.read_text())])
}
ELSEWHERE = {"docs/registers.md": "tests/exact/test_axi_lite.py"}
"""Examples that need a board, and the test of what they use."""


SLOW = ("docs/hls4ml.md", "docs/tutorials/board.md", "docs/tutorials/cocotb.md", "docs/tutorials/protection.md")
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
        for number, block in enumerate(PAGES[page], 1):
            if block.title:
                Path(block.title).write_text(block.text)
            elif block.language == "sh":
                commands(block.text)
            else:
                exec(compile(block.text, f"example {number} of {page}", "exec"), names)
    finally:
        for registry, before in registries:  # an example may add to them
            registry.clear()
            registry.update(before)


def commands(text: str) -> None:
    """Run lines as a shell would in an activated environment: `hwflow` and `python` are those that are tested."""
    programs = {"hwflow": [sys.executable, "-m", "hwflow"], "python": [sys.executable]}
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for line in text.splitlines():
        program, *arguments = line.split()
        done = subprocess.run([*programs[program], *arguments], env=environment, capture_output=True, text=True)
        print(f"$ {line}\n{done.stdout}")
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"


def given() -> dict[str, object]:
    """What the examples take for granted: a Keras model, and an ``.npz`` of images that it takes."""
    import numpy as np

    import hwflow
    from hwflow.models import load_model

    np.savez("images.npz", x=hwflow.load_digits("train").images[:64])
    return {"model": load_model("digits_cnn"), "x": hwflow.load_digits().images[:4]}
