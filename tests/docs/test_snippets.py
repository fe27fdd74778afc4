"""Every Python example of README and docs is run, the examples of a page one after the other."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = {
    page.relative_to(ROOT).as_posix(): blocks
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    if (blocks := re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE))
}
ELSEWHERE = {"docs/registers.md": "tests/exact/test_axi_lite.py"}
"""Examples that need a board, and the test of what they use."""


SLOW = ("README.md",)
"""Examples that synthesise."""


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
            exec(compile(block, f"example {number} of {page}", "exec"), names)
    finally:
        for registry, before in registries:  # an example may add to them
            registry.clear()
            registry.update(before)


def given() -> dict[str, object]:
    """What the examples take for granted: a Keras model, and an ``.npz`` of images that it takes."""
    import numpy as np

    import hwflow
    from hwflow.models import load_model

    np.savez("images.npz", x=hwflow.load_digits("train").images[:64])
    return {"model": load_model("digits_cnn"), "x": hwflow.load_digits().images[:4]}
