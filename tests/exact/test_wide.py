"""Random networks of every operator in all executors: reference, C simulation and RTL give the same codes."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from hwflow.firmware import CsimExecutor, read_keras
from hwflow.firmware import generate as generate_firmware
from hwflow.graph import Graph
from hwflow.hardening import harden
from hwflow.reference import IntegerExecutor
from tests.blocks import BLOCKS, random_wide
from tests.exact.agreement import assert_agree, random_reuse, rtl
from tests.networks import random_images, random_options, to_keras


def hardened(graph: Graph, seed: int) -> Graph:
    return harden(graph, random_images(seed + 1, graph, 8), random_options(seed)).graph


def check_rtl(seed: int, folder: Path) -> None:
    graph = hardened(random_wide(seed), seed)
    executor = rtl(graph, folder / "rtl", seed)
    images = random_images(seed, graph, 2)
    assert_agree(graph, images, executor, seed=seed)
    codes = IntegerExecutor(graph).encode(images)
    stalled = executor.run(codes, stall_percent=40, seed=seed + 1)
    np.testing.assert_array_equal(stalled, IntegerExecutor(graph).run(codes))
    shutil.rmtree(folder / "rtl")


def check_csim(seed: int, folder: Path, io_type: str) -> None:
    """C simulation of a network that went through Keras and hls4ml's front end."""
    model = to_keras(random_wide(seed))
    graph = hardened(read_keras(model), seed)
    generate_firmware(graph, model, folder / "csim", reuse=random_reuse(graph, seed), io_type=io_type)
    assert_agree(graph, random_images(seed, graph, 3), CsimExecutor(folder / "csim", graph), seed=seed)
    shutil.rmtree(folder / "csim")


@pytest.mark.parametrize("seed", range(len(BLOCKS)))
def test_rtl(seed: int, tmp_path: Path) -> None:
    check_rtl(seed, tmp_path)


@pytest.mark.parametrize("seed", range(2))
def test_csim(seed: int, tmp_path: Path) -> None:
    check_csim(seed, tmp_path, ("io_stream", "io_parallel")[seed % 2])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(len(BLOCKS), 200))
def test_rtl_deep(seed: int, tmp_path: Path) -> None:
    check_rtl(seed, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 100))
def test_csim_deep(seed: int, tmp_path: Path) -> None:
    check_csim(seed, tmp_path, ("io_stream", "io_parallel")[seed % 2])
