"""Every bench on what Yosys makes of its cell, which is what is built into hardware."""

from pathlib import Path

import pytest
from by_yosys import run_benches
from common import SIMULATOR_VARIABLE

HERE = Path(__file__).parent
SIMULATED = {"cast", "sink", "source"}  # have files of their own in SystemVerilog
BENCHES = sorted({path.parent.name for path in HERE.glob("*/test_*.py")} - SIMULATED)


@pytest.mark.slow
@pytest.mark.parametrize("bench", BENCHES)
def test_bench(bench: str) -> None:
    # Of bad parameters nothing is elaborated.
    run_benches("yosys", SIMULATOR_VARIABLE, "-m", "not slow", "-k", "not bad_parameters", str(HERE / bench))
