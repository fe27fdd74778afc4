"""C simulation of the four networks at full size equals the reference, fault-free and faulted.

On two cores a network takes 1 to 6 minutes, most of it in the two images of C simulation.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from hwflow.cost.reuse import choose_reuse
from hwflow.faults import sample_ber
from hwflow.firmware import CsimExecutor, generate, read_keras
from hwflow.hardening import harden
from hwflow.memory import memories
from hwflow.models import NETWORKS
from hwflow.reference import IntegerExecutor


def natural_image(seed: int) -> np.ndarray:
    """A standardised 224 x 224 image with the falling spectrum of a photograph, ``(1, 224, 224, 3)``."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(224), np.fft.fftfreq(224)))
    spectrum = np.fft.fft2(rng.normal(size=(3, 224, 224))) / np.maximum(frequency, 1 / 224)
    image = np.fft.ifft2(spectrum).real.transpose(1, 2, 0)
    return ((image - image.mean()) / image.std())[None]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["alexnet", "resnet18", "resnet50", "densenet169"])
def test_full_size_network(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = NETWORKS[name]()
    rng = np.random.default_rng(1)
    for layer in model.layers:
        arrays = layer.get_weights()
        if type(layer).__name__ == "BatchNormalization":
            arrays = [rng.uniform(0.5, 1.5, arrays[0].shape), *(rng.normal(0, 0.1, a.shape) for a in arrays[1:3])]
            layer.set_weights([*arrays, rng.uniform(0.5, 2, arrays[0].shape)])
    graph = harden(read_keras(model), natural_image(1)).graph
    del model
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
