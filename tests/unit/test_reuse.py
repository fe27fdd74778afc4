"""Reuse factors are valid for hls4ml and for the RTL, and folds multiply out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwflow.codes import CodeSpec
from hwflow.cost.reuse import choose_reuse, fold, valid_reuse_factors
from hwflow.errors import HwflowError
from hwflow.graph import Affine, Conv2D
from hwflow.hardening import harden
from hwflow.memory import layer_storage
from tests.networks import random_graph, random_images


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_folds_cover_the_matrix(seed: int) -> None:
    for layer in random_graph(seed).weight_layers:
        factors = valid_reuse_factors(layer)
        assert factors
        for factor in factors:
            pe, simd = fold(layer, factor)
            assert pe * simd * factor == layer.n_in * layer.n_out
            assert layer.n_out % pe == 0
            if not isinstance(layer, Conv2D):
                assert layer.n_in % simd == 0
                continue
            (rows, columns), channels = layer.window.kernel, layer.weight.values.shape[-2]
            assert channels % simd == 0 or (simd % (columns * channels) == 0 and layer.n_in % simd == 0)
            assert (simd > channels) == (factor < rows * columns)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_words_of_several_weights_fit_the_lanes(seed: int) -> None:
    graph = harden(random_graph(seed), random_images(1, random_graph(seed), 2)).graph
    for plain in graph.weight_layers:
        layer = replace(plain, storage=CodeSpec("secded"))
        per_word = layer_storage(layer).weights_per_word
        factors = valid_reuse_factors(layer)
        assert factors
        assert set(factors) <= set(valid_reuse_factors(plain))
        for factor in factors:
            pe, simd = fold(layer, factor)
            lanes, row = (pe, layer.n_out) if isinstance(layer, Affine) else (simd, layer.n_in)
            assert lanes % per_word == 0 or per_word % lanes == 0 or lanes == row


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_hls4ml_accepts_every_factor(seed: int) -> None:
    from hls4ml.backends import VitisBackend, get_backend

    backend = get_backend("Vitis")
    assert isinstance(backend, VitisBackend)
    for layer in random_graph(seed).weight_layers:
        theirs = backend.get_valid_reuse_factors(layer.n_in, layer.n_out)
        assert set(valid_reuse_factors(layer)) <= set(theirs)


def test_target_cycles_balance_the_layers() -> None:
    graph = random_graph(5)
    for target in (1, 500, 10**9):
        chosen = choose_reuse(graph, target_cycles=target)
        assert list(chosen) == [layer.name for layer in graph.weight_layers] != []
        for name, factor in chosen.items():
            layer = next(layer for layer in graph.weight_layers if layer.name == name)
            factors = valid_reuse_factors(layer)
            assert factor == factors[0] or factor * layer.vectors <= target
            larger = [other for other in factors if other > factor]
            assert not larger or larger[0] * layer.vectors > target


def test_by_default_no_kernel_position_shares_a_cycle() -> None:
    for seed in range(10):
        graph = random_graph(seed)
        for layer in graph.weight_layers:
            if isinstance(layer, Conv2D):
                assert choose_reuse(graph)[layer.name] >= np.prod(layer.window.kernel)
    assert any(
        factor < np.prod(layer.window.kernel)
        for layer in graph.weight_layers
        if isinstance(layer, Conv2D)
        for factor in [choose_reuse(graph, target_cycles=1)[layer.name]]
    )


def test_bad_factors_are_refused_with_the_valid_ones() -> None:
    graph = random_graph(0)
    layer = graph.weight_layers[0]
    with pytest.raises(HwflowError, match=f"{layer.name}: reuse factor 10007 is not valid; choose from"):
        fold(layer, 10007)
    with pytest.raises(HwflowError, match="not both"):
        choose_reuse(graph, reuse=1, target_cycles=1)
    with pytest.raises(HwflowError, match="target cycles=0"):
        choose_reuse(graph, target_cycles=0)
