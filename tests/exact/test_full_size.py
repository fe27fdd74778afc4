"""C simulation and RTL of networks at full size equal the reference, fault-free and faulted.

On two cores a network takes 1 to 6 minutes in C simulation, most of it for the two images.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from hwflow import rtl
from hwflow.cost.layers import layer_costs
from hwflow.cost.reuse import choose_reuse
from hwflow.faults import sample_ber
from hwflow.firmware import CsimExecutor, generate, read_keras
from hwflow.graph import Graph
from hwflow.hardening import harden
from hwflow.memory import memories
from hwflow.models import NETWORKS
from hwflow.reference import IntegerExecutor


def natural_image(seed: int, size: int = 224) -> np.ndarray:
    """A standardised image with the falling spectrum of a photograph, ``(1, size, size, 3)``."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(size), np.fft.fftfreq(size)))
    spectrum = np.fft.fft2(rng.normal(size=(3, size, size))) / np.maximum(frequency, 1 / size)
    image = np.fft.ifft2(spectrum).real.transpose(1, 2, 0)
    return ((image - image.mean()) / image.std())[None]


def hardened(name: str) -> Graph:
    """A network with random weights and statistics of batch norm, hardened."""
    model = NETWORKS[name]()
    rng = np.random.default_rng(1)
    for layer in model.layers:
        arrays = layer.get_weights()
        if type(layer).__name__ == "BatchNormalization":
            arrays = [rng.uniform(0.5, 1.5, arrays[0].shape), *(rng.normal(0, 0.1, a.shape) for a in arrays[1:3])]
            layer.set_weights([*arrays, rng.uniform(0.5, 2, arrays[0].shape)])
    return harden(read_keras(model), natural_image(1, model.input_shape[1])).graph


@pytest.mark.slow
@pytest.mark.parametrize("name", ["alexnet", "resnet18", "resnet50", "densenet169"])
def test_full_size_network(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    graph = hardened(name)
    started = time.perf_counter()
    project = generate(graph, None, tmp_path / "project", reuse=choose_reuse(graph))
    generated = time.perf_counter()
    reference, csim = IntegerExecutor(graph), CsimExecutor(project.path, graph)
    csim.build()
    built = time.perf_counter()
    codes = reference.encode(natural_image(2))
    clean = reference.run(codes)
    np.testing.assert_array_equal(csim.run(codes), clean)
    ran = time.perf_counter()
    faults = sample_ber(memories(graph), 1e-4, 1, graph.digest)
    faulted = reference.run(codes, faults)
    assert (faulted != clean).any()
    np.testing.assert_array_equal(csim.run(codes, faults), faulted)
    with capsys.disabled():
        times = f"generate {generated - started:.0f} s, compile {built - generated:.0f} s, image {ran - built:.0f} s"
        print(f"\n{name}: {times}, {len(faults)} flips")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet20", "resnet18", "squeezenet1_1"])
def test_full_size_rtl(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    graph = hardened(name)
    reuse = choose_reuse(graph)
    rtl.generate(graph, tmp_path / "rtl", reuse)
    reference, executor = IntegerExecutor(graph), rtl.RtlExecutor(tmp_path / "rtl", graph)
    started = time.perf_counter()
    executor.build()
    built = time.perf_counter()
    size = graph.input.shape[0]
    codes = reference.encode(np.concatenate([natural_image(seed, size) for seed in (2, 3)]))
    clean = reference.run(codes)
    np.testing.assert_array_equal(executor.run(codes), clean)
    ran = time.perf_counter()
    busiest = max(cost.cycles_per_image for cost in layer_costs(graph, reuse))
    assert busiest <= executor.cycles_per_image <= 1.01 * busiest
    faults = sample_ber(memories(graph), 1e-4, 1, graph.digest)
    faulted = reference.run(codes[:1], faults)
    assert (faulted != clean[:1]).any()
    np.testing.assert_array_equal(executor.run(codes[:1], faults), faulted)
    with capsys.disabled():
        times = f"build {built - started:.0f} s, image {(ran - built) / 2:.0f} s"
        print(f"\n{name}: {times}, {executor.cycles_per_image:.0f} cycles, {len(faults)} flips")
