"""Packed weights: where each weight lies, and how faults change it in place.

Four bytes hold the weights of one output for a group of inputs: two of int16, or four of int8.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hwflow.reference.kernels.binding import LANES, aligned

Int16 = npt.NDArray[np.int16]
Weights = npt.NDArray[np.int16] | npt.NDArray[np.int8]
Int64 = npt.NDArray[np.int64]


class Packed:
    """Weights ``(n_in, n_out)`` in panels of 16 outputs: ``[panel][group of inputs][output][2 or 4]``, zero-padded.

    Args:
        codes: they fit int16, or int8 if ``bytes``.
        bytes: int8 in groups of four, for uint8 inputs; else int16 in pairs.
    """

    def __init__(self, codes: Int64, bytes: bool = False) -> None:
        n_in, n_out = codes.shape
        self.group, dtype = (4, np.int8) if bytes else (2, np.int16)
        self.groups, self.panels = -(-n_in // self.group), -(-n_out // LANES)
        padded = np.zeros((self.group * self.groups, LANES * self.panels), dtype)
        padded[:n_in, :n_out] = codes
        self.array: Weights = aligned((self.panels, self.groups, LANES, self.group), dtype)
        self.array[...] = padded.reshape(self.groups, self.group, self.panels, LANES).transpose(2, 0, 3, 1)

    def places(self, inputs: Int64, outputs: Int64) -> Int64:
        """Positions in the flat array of the weights between ``inputs`` and ``outputs``."""
        panel, lane = np.divmod(outputs, LANES)
        return ((panel * self.groups + inputs // self.group) * LANES + lane) * self.group + inputs % self.group


class PackedWinograd:
    """Transformed 3x3 weights, ``[4 x 4 position][panel][input channel pair][output][2]``.

    F(2x2, 3x3) with integers: a filter g becomes H g H^T with H = 2 G of the usual algorithm
    (Winograd 1980; Lavin and Gray 2015), and the kernel's result is 4 times the convolution.
    """

    TRANSFORM = np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]], dtype=np.int64)
    GROWTH = 9  # largest sum of |H| |g| |H|^T for |g| <= 1

    def __init__(self, codes: Int64, channels: int) -> None:
        outputs = codes.shape[1]
        self.channels, self.pairs, self.panels = channels, channels // 2, -(-outputs // LANES)
        self.array: Int16 = aligned((16, self.panels, self.pairs, LANES, 2), np.int16)
        padded = np.zeros((16, channels, LANES * self.panels), dtype=np.int16)
        # one kernel row at a time keeps the temporaries small
        filters = codes.reshape(3, 3, channels, outputs).astype(np.int32)
        rows = np.einsum("ai,ijco->ajco", self.TRANSFORM.astype(np.int32), filters)
        both = np.einsum("bj,ajco->abco", self.TRANSFORM.astype(np.int32), rows)
        padded[:, :, :outputs] = both.reshape(16, channels, outputs)
        self.array[...] = padded.reshape(16, self.pairs, 2, self.panels, LANES).transpose(0, 3, 1, 4, 2)

    def places(self, channels: Int64, outputs: Int64) -> Int64:
        """Positions ``(16, m)`` in the flat array of the filters between ``channels`` and ``outputs``."""
        panel, lane = np.divmod(outputs, LANES)
        first = ((panel * self.pairs + channels // 2) * LANES + lane) * 2 + channels % 2
        return np.arange(16)[:, None] * (self.panels * self.pairs * LANES * 2) + first

    def change(self, tap: Int64) -> Int64:
        """What one unit of the weights at ``tap`` (kernel row x 3 + column) adds, ``(16, m)``."""
        h, w = np.divmod(tap, 3)
        product: Int64 = self.TRANSFORM[:, None, h] * self.TRANSFORM[None, :, w]
        return product.reshape(16, -1)
