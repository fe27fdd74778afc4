"""Cells as they are placed on an ECP5: mapped by Yosys, with registers inside its multipliers and block RAMs."""

from pathlib import Path

import pytest
from by_yosys import run_benches
from common import SIMULATOR_VARIABLE

HERE = Path(__file__).parent


@pytest.mark.parametrize(
    ("bench", "test"),
    [
        ("mvu", "test_mvu[one_product]"),
        pytest.param("mvu", "test_mvu[serial]", marks=pytest.mark.slow),
        pytest.param("mvu", "test_mvu[one_neuron_fold]", marks=pytest.mark.slow),
        ("weight_mem", "test_weight_mem[90-600-icarus-block]"),
        pytest.param("weight_mem", "test_weight_mem[18-2500-icarus-block]", marks=pytest.mark.slow),
    ],
)
def test_bench(bench: str, test: str) -> None:
    run_benches("ecp5", SIMULATOR_VARIABLE, f"{HERE / bench}/test_{bench}.py::{test}")
