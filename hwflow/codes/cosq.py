"""COSQ: a weight is the entry of a table that its stored word points to, and the table is fitted to weights and noise.

A channel-optimised scalar quantiser (N. Farvardin and V. Vaishampayan, "On the performance and complexity of
channel-optimized vector quantizers", IEEE Trans. Inf. Theory 37(1), 1991): words, and the values that they stand for,
are chosen together, so that the expected square error of a weight is least where every stored bit flips with a given
probability. Words whose values are far apart then differ in many bits. It takes no bit more than the weights do, and
the decoder is one look into a table.
"""

from __future__ import annotations

import numpy as np

from hwflow.codes.quantiser import Fitted, Floats, alternate, encoder, flips, grid, histogram, in_steps
from hwflow.codes.table import check
from hwflow.fixed import FixedType

_NOISY = 0.2  # where the annealing begins


def fit(weights: Floats, type_: FixedType, ber: float) -> Fitted:
    """The tables for some weights and a bit error rate.

    Args:
        weights: real values of any shape, on the scale of ``type_``.
        type_: of a weight; the table holds codes of it.
        ber: probability that a stored bit flips, above 0 and at most 0.5.

    Raises:
        HwflowError: weights too wide for a table.
    """
    check("cosq", type_)
    steps = in_steps(weights, type_)
    points, counts = histogram(steps)
    # Annealing: at first the noise is high, which orders the words; plain two's complement is what it starts from.
    values = np.concatenate([np.arange(0.0, type_.max_code + 1), np.arange(float(type_.min_code), 0.0)])
    for noise in np.geomspace(max(_NOISY, ber), ber, 8):
        values = alternate(points, counts, values, flips(type_.width, float(noise)))
    channel = flips(type_.width, ber)
    decoder = np.clip(np.rint(values), type_.min_code, type_.max_code).astype(np.int64)
    tables = {"decoder": decoder, "encoder": encoder(decoder, decoder, type_, channel)}
    return Fitted(tables, (grid(decoder, decoder, channel),), np.zeros(1, dtype=np.int64))
