"""The benchmarks of storage codes start: what they import is there."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.mark.parametrize("name", ["codes", "decoders"])
def test_it_explains_itself(name: str) -> None:
    command = [sys.executable, BENCHMARKS / f"{name}.py", "--help"]
    assert "usage:" in subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_codes_are_ranked() -> None:
    command = [sys.executable, BENCHMARKS / "codes.py", "--like", "bch32-21", "--seeds", "1", "--also"]
    assert "bch32-" in subprocess.run(command, check=True, capture_output=True, text=True).stdout
