"""Bit error rates from physics: how often cells are upset, and for how long upsets stay.

Upsets of a cell are a Poisson process; an even number of them leaves it right again.
"""

from __future__ import annotations

import math
from typing import Literal

from hwflow.errors import HwflowError

FIT_HOURS = 1e9
"""One FIT is one failure in so many device hours."""

MBIT = 1e6
"""Bits of a Mbit, as vendors' reliability reports count."""


def rate_from_fit(fit_per_mbit: float) -> float:
    """Upsets a bit and second, of a memory with so many FIT per Mbit."""
    _check("FIT per Mbit", fit_per_mbit)
    return fit_per_mbit / (FIT_HOURS * 3600.0 * MBIT)


def rate_from_cross_section(cross_section: float, flux: float) -> float:
    """Upsets a bit and second.

    Args:
        cross_section: cm2 a bit.
        flux: particles a cm2 and second.
    """
    _check("the cross-section", cross_section)
    _check("the flux", flux)
    return cross_section * flux


def ber_from_rate(rate: float, interval: float, when: Literal["end", "mean"] = "end") -> float:
    """Share of bits that are wrong under scrubbing: (1 - exp(-2 rate t)) / 2.

    Args:
        rate: upsets a bit and second.
        interval: seconds between scrubs, or since the memory was written.
        when: at the ``end`` of the interval, the worst case, or the ``mean`` over it.

    Raises:
        HwflowError: a negative number.
    """
    _check("the rate", rate)
    _check("the scrub interval", interval)
    exponent = 2.0 * rate * interval
    if when == "end":
        return -math.expm1(-exponent) / 2.0
    if exponent < 1e-6:  # the difference below would cancel
        return exponent / 4.0
    return (1.0 + math.expm1(-exponent) / exponent) / 2.0


def _check(name: str, value: float) -> None:
    if not (math.isfinite(value) and value >= 0):
        raise HwflowError(f"{name} must be a number of at least 0, not {value}")
