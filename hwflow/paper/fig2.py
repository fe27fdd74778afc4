"""Figure 2: the absolute error that bit flips cause, against the value of the weight."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hwflow.errors import HwflowError
from hwflow.float_study import Msb, WeightFormat, weight_format
from hwflow.float_study.words import PAPER_FORMATS, Values

WEIGHTS: Values = np.arange(-50, 51) / 100
"""The paper's pseudo-weights, -0.5 to 0.5 (section IV.C)."""

CONSTANTS = (1.0, 2.0, 3.0, 4.0, 5.0)
BER = 0.1
ROUNDS = 1_000_000
EXACT_BITS = 16

_BLOCK = 1 << 15  # masks; their temporaries stay in the cache
_PRECISION = 17  # binary digits of the sampled bit error rate: far finer than 1e6 rounds can tell

Masks = npt.NDArray[np.unsignedinteger]


@dataclass(frozen=True, eq=False)
class Curve:
    """One line of the figure; arrays have one element a weight.

    Attributes:
        format: name of the weight format.
        c: the constant.
        monte_carlo: mean of |cW - f(b(Q(cW)) xor M)| / c over the rounds.
        error: its standard error.
        exact: the expectation over all masks; None above 16 bits.
        non_finite: share of the rounds that gave NaN or infinity, which the means leave out.
        non_finite_exact: its expectation; None above 16 bits.
    """

    format: str
    c: float
    monte_carlo: Values
    error: Values
    non_finite: Values
    exact: Values | None = None
    non_finite_exact: Values | None = None

    def row(self) -> dict[str, Any]:
        """Means over the weights, as JSON data."""
        return {
            "format": self.format,
            "c": self.c,
            "mean_exact": None if self.exact is None else float(self.exact.mean()),
            "mean_monte_carlo": float(self.monte_carlo.mean()),
            # Weights draw independent masks.
            "standard_error": float(np.sqrt(np.sum(self.error**2))) / len(self.error),
            "non_finite": float(self.non_finite.mean()),
            "non_finite_exact": None if self.non_finite_exact is None else float(self.non_finite_exact.mean()),
        }


def fig2(
    formats: Sequence[str] = PAPER_FORMATS,
    constants: Sequence[float] = CONSTANTS,
    ber: float = BER,
    rounds: int = ROUNDS,
    msb: Msb = "assume",
    seed: int = 0,
    advance: Callable[[int, int, str], None] = lambda *_: None,
) -> list[Curve]:
    """Error against weight, by Monte Carlo and, for formats of up to 16 bits, exactly.

    The error is against the unquantised weight, so that rounding and overflow show.

    Args:
        formats: weight formats.
        constants: values of c.
        ber: bit error rate.
        rounds: masks drawn for every weight; all constants see the same ones.
        msb: ``assume`` that the most significant exponent bit never flips, or ``none``.
        seed: of the masks of every format and weight.
        advance: progress display.

    Raises:
        HwflowError: an unknown format, or numbers out of range.
    """
    if not 0.0 <= ber <= 1.0:
        raise HwflowError(f"the bit error rate must be 0 to 1, not {ber}")
    if rounds < 2:
        raise HwflowError(f"rounds={rounds} must be at least 2")
    if not constants or not all(np.isfinite(c) and c > 0 for c in constants):
        raise HwflowError(f"constants {list(constants)} must be positive numbers")
    if msb not in ("assume", "none"):
        raise HwflowError(f"msb={msb!r}: figure 2 knows assume and none")
    chosen = [weight_format(name) for name in formats]
    curves: list[Curve] = []
    for number, format_ in enumerate(chosen):
        rows = []
        for index, weight in enumerate(WEIGHTS):
            advance(number * len(WEIGHTS) + index, len(chosen) * len(WEIGHTS), f"figure 2, {format_.name}")
            rows.append(_one_weight(format_, weight, constants, ber, rounds, msb, _generator(seed, format_, index)))
        curves += [_curve(format_, c, np.array(rows)[:, column]) for column, c in enumerate(constants)]
    return curves


def expectation(format_: WeightFormat, scaled: float, ber: float, msb: Msb = "assume") -> tuple[float, float]:
    """The exact mean of |scaled - f(b(Q(scaled)) xor M)| over all masks M that keep it finite.

    Returns:
        That mean, and the probability of the masks that give NaN or infinity.
    """
    masks = np.arange(1 << format_.bits, dtype=np.uint64)
    chance = _chances(format_, ber, msb)
    errors = _errors(format_, scaled, masks)
    finite = np.isfinite(errors)
    share = float(chance[finite].sum())
    mean = float(chance[finite] @ errors[finite]) / share if share else 0.0
    return mean, max(0.0, 1.0 - share) if not finite.all() else 0.0


def random_masks(rng: np.random.Generator, count: int, bits: int, ber: float) -> Masks:
    """`count` masks of a word of 8, 16, 32 or 64 bits, each bit set with probability `ber`, independently.

    A bit is set where a uniform binary fraction is below `ber`. 64 of these comparisons are done at a
    time, from the last digit to the first: a digit 1 of `ber` is an OR, a digit 0 an AND.
    """
    places = _PRECISION - math.frexp(ber)[1]  # significant digits, however small the rate
    digits = round(math.ldexp(ber, places))
    if digits >> places:
        return np.full(count, (1 << bits) - 1, dtype=f"u{bits // 8}")
    words = np.zeros(-(-count * bits // 64), dtype=np.uint64)
    for place in range(places if digits else 0):
        uniform = rng.integers(0, 1 << 64, len(words), dtype=np.uint64)
        if digits >> place & 1:
            words |= uniform
        else:
            words &= uniform
    return words.view(f"u{bits // 8}")[:count]


def _generator(seed: int, format_: WeightFormat, index: int) -> np.random.Generator:
    """Seeded by the format's width, so that another selection of formats changes no figure."""
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed, spawn_key=(format_.bits, index))))


def _one_weight(
    format_: WeightFormat,
    weight: float,
    constants: Sequence[float],
    ber: float,
    rounds: int,
    msb: Msb,
    rng: np.random.Generator,
) -> list[list[float]]:
    """For every constant: Monte Carlo mean, its error and non-finite share, and both exactly (or NaN)."""
    small = format_.bits <= EXACT_BITS
    container = next(size for size in (8, 16, 32, 64) if size >= format_.bits)
    keep = (1 << format_.bits) - 1
    if msb == "assume" and format_.exponent_msb is not None:
        keep &= ~(1 << format_.exponent_msb)
    drawn = np.zeros(1 << format_.bits if small else 0, dtype=np.int64)
    sums = np.zeros((len(constants), 3))
    for start in range(0, rounds, _BLOCK):
        masks = random_masks(rng, min(_BLOCK, rounds - start), container, ber) & np.array(keep, f"u{container // 8}")
        if small:
            drawn += np.bincount(masks, minlength=len(drawn))
            continue
        for index, c in enumerate(constants):
            sums[index] += _moments(_errors(format_, c * weight, masks)) / (1.0, c, c**2)
    rows = []
    for index, c in enumerate(constants):
        exact = (np.nan, np.nan)
        if small:
            table = _errors(format_, c * weight, np.arange(len(drawn), dtype=np.uint64)) / c
            sums[index] = _moments(table, drawn)
            mean, lost = expectation(format_, c * weight, ber, msb)
            exact = (mean / c, lost)
        count, total, squares = sums[index]
        mean = total / count if count else 0.0
        variance = max(squares / count - mean**2, 0.0) if count else 0.0
        rows.append([mean, np.sqrt(variance / max(count, 1)), 1 - count / rounds, *exact])
    return rows


def _errors(format_: WeightFormat, scaled: float, masks: Masks) -> Values:
    stored = format_.encode(scaled)
    values = format_.decode(masks ^ stored.astype(masks.dtype))
    with np.errstate(invalid="ignore"):  # NaN stays NaN
        values -= scaled
        return np.abs(values, out=values)


def _moments(errors: Values, weights: npt.NDArray[np.int64] | None = None) -> Values:
    """Number, sum and sum of squares of the finite errors."""
    if weights is not None:
        finite = np.isfinite(errors) & (weights > 0)
        weights, errors = weights[finite], errors[finite]
        return np.array([weights.sum(), weights @ errors, weights @ errors**2])
    total = errors.sum()
    if not np.isfinite(total):
        errors = errors[np.isfinite(errors)]
        total = errors.sum()
    return np.array([len(errors), total, errors @ errors])


def _chances(format_: WeightFormat, ber: float, msb: Msb) -> Values:
    """The probability of every mask."""
    chance = np.ones(1)
    for bit in range(format_.bits):
        safe = msb == "assume" and bit == format_.exponent_msb
        p = 0.0 if safe else ber
        chance = np.concatenate([chance * (1 - p), chance * p])
    return chance


def _curve(format_: WeightFormat, c: float, rows: Values) -> Curve:
    mean, error, lost, exact, lost_exact = rows.T
    if format_.bits > EXACT_BITS:
        return Curve(format_.name, c, mean, error, lost)
    return Curve(format_.name, c, mean, error, lost, exact, lost_exact)
