"""A self-check of the products: what the chosen instructions compute against plain integers."""

from __future__ import annotations

import ctypes

import numpy as np

from hwflow.graph import Window
from hwflow.reference.kernels.binding import Geometry, Kernels
from hwflow.reference.kernels.epilogue import Epilogue, Storage
from hwflow.reference.kernels.packing import Packed

ROWS, INPUTS, OUTPUTS = 17, 68, 40
"""Pixels, channels and outputs: whole tiles and the tails of every class of machines."""

STARTS = (0, (1 << 31) - 1)
"""Sums start here: from the largest int32 on, an instruction that saturates at 32 bits shows."""


def wrong_products(library: ctypes.CDLL) -> str | None:
    """Multiply extremes and random codes; what the library gets wrong, or None.

    Catches instructions that saturate the sums of two or four products at 16 bits, or running sums at 32.
    """
    kernels = Kernels(library, 1)
    rng = np.random.default_rng(1)
    for bits in (16, 8) if kernels.bytes else (16,):
        half = 1 << (bits - 1)
        x_range, w_range = (0, 2 * half - 1) if bits == 8 else (-half, half - 1), (-half, half - 1)
        x, w = rng.integers(*x_range, (ROWS, INPUTS), endpoint=True), rng.integers(*w_range, (INPUTS, OUTPUTS))
        x[::3], x[1::3] = x_range[1], rng.choice(x_range, x[1::3].shape)
        w[:, ::5], w[:, 1::5], w[:, 2::5] = w_range[0], w_range[1], rng.choice(w_range, w[:, 2::5].shape)
        storage = Storage(False, 0, bits == 8)
        geometry = Geometry((1, 1, INPUTS), (1, 1, OUTPUTS), Window(kernel=(1, 1)))
        packed = Packed(w, storage.bytes)
        end, bias = Epilogue([], 1 << 31, OUTPUTS, Storage(True)), np.zeros(packed.panels * 16, dtype=np.int64)
        for start in STARTS:
            struct = geometry.struct(ROWS, kind=storage.kind, k_block=INPUTS, block_start=start)
            got = np.empty((ROWS, OUTPUTS), dtype=np.int64)
            kernels.weight_layer(struct, x.astype(storage.dtype), packed.array, bias, end, got)
            if not np.array_equal(got, (x @ w + start).astype(np.int32)):
                return f"its {bits}-bit products differ from integer arithmetic"
    return None
