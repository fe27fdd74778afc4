"""Every bench on what Yosys makes of its cell, which is what is built into hardware."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from common import SIMULATOR_VARIABLE

HERE = Path(__file__).parent
SIMULATED = {"cast", "sink", "source"}  # have files of their own in SystemVerilog
BENCHES = sorted({path.parent.name for path in HERE.glob("*/test_*.py")} - SIMULATED)


@pytest.mark.slow
@pytest.mark.parametrize("bench", BENCHES)
def test_bench(bench: str) -> None:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "-m",
        "not slow",
        "-k",
        "not bad_parameters",  # nothing is elaborated then
        "-p",
        "no:cacheprovider",
        str(HERE / bench),
    ]
    done = subprocess.run(
        command, env={**os.environ, SIMULATOR_VARIABLE: "yosys"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:]
