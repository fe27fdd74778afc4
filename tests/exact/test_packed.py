"""A network of two inputs and three outputs in all executors."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hwflow.firmware import CsimExecutor, read_keras
from hwflow.firmware import generate as generate_firmware
from hwflow.frontends.packed import packed
from hwflow.hardening import harden
from hwflow.reference import IntegerExecutor
from tests.exact.agreement import assert_agree, random_reuse, rtl
from tests.networks import random_images
from tests.unit.test_packed import branches


def test_several_inputs_and_outputs(tmp_path: Path) -> None:
    model = packed(branches())
    original = read_keras(model)
    graph = harden(original, random_images(1, original, 16)).graph
    executor = rtl(graph, tmp_path / "rtl", 3)
    generate_firmware(graph, model, tmp_path / "csim", reuse=random_reuse(graph, 3))
    images = random_images(2, graph, 3)
    assert_agree(graph, images, executor, CsimExecutor(tmp_path / "csim", graph))
    codes = IntegerExecutor(graph).encode(images)
    stalled = executor.run(codes, stall_percent=40, seed=1)
    np.testing.assert_array_equal(stalled, IntegerExecutor(graph).run(codes))
