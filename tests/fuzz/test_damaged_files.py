"""Every kind of file that hwflow reads, damaged at random: the right result or one line, and nothing left behind."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.subjects import SUBJECTS

COUNT, DEEP = 40, 10_000
ROOT = Path(__file__).parents[2]


def fuzz(name: str, seed: int, count: int) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-m", "tests.fuzz.runner", name, str(seed), str(count)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, errors="replace")
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    last = done.stdout.splitlines()[-1:] or ["nothing"]
    assert done.returncode == 0, "\n".join(
        [*failed[:20], f"exit {done.returncode} after {last[0]}", done.stderr[-2000:]]
    )
    assert last[0] == f"done {count}, 0 failed"


@pytest.mark.parametrize("name", SUBJECTS)
def test_damaged_files(name: str) -> None:
    fuzz(name, 1, COUNT)


@pytest.mark.slow
@pytest.mark.parametrize("name", SUBJECTS)
def test_damaged_files_deep(name: str) -> None:
    fuzz(name, 2, DEEP)
