"""Random networks of every operator in all executors: reference, C simulation and RTL give the same codes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.blocks import BLOCKS, random_wide
from tests.exact.agreement import check_csim, check_rtl


@pytest.mark.parametrize("seed", range(len(BLOCKS)))
def test_rtl(seed: int, tmp_path: Path) -> None:
    check_rtl(random_wide(seed), seed, tmp_path)


@pytest.mark.parametrize("seed", range(2))
def test_csim(seed: int, tmp_path: Path) -> None:
    check_csim(random_wide(seed), seed, tmp_path, ("io_stream", "io_parallel")[seed % 2])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(len(BLOCKS), 200))
def test_rtl_deep(seed: int, tmp_path: Path) -> None:
    check_rtl(random_wide(seed), seed, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 100))
def test_csim_deep(seed: int, tmp_path: Path) -> None:
    check_csim(random_wide(seed), seed, tmp_path, ("io_stream", "io_parallel")[seed % 2])
