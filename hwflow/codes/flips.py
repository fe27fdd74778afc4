"""Codes of sparse parities, decoded by flipping bits that too many parities speak against.

Source: R. G. Gallager, "Low-Density Parity-Check Codes", IRE Trans. Inf. Theory 8(1), 1962, section on bit flipping;
one pass alone is the majority logic of J. L. Massey, "Threshold Decoding", 1963. Every check is the parity of some
data bits and is stored, so that the parity-check matrix is ``[A | I]``; the rows of ``A`` belong to data bits, and no
two of them share more than one check. W checks a bit then correct any W // 2 flips of a word in one pass, and most
patterns of more flips.

A pass is what hardware does at once: the syndrome is each stored check plus the parity of the data bits as they are by
now, and then every data bit flips of whose W checks at least (W + margin) / 2, or all, are violated. Check bits are
never flipped. After the last pass the syndrome is taken once more: a data bit is doubtful if at least half of its
checks are violated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import combinations
from random import Random

import numpy as np
import numpy.typing as npt

from hwflow.codes.bch import field
from hwflow.codes.blocks import Bits, Flags, Residual
from hwflow.errors import HwflowError

PASSES = 3
"""Of a decoder whose name does not say."""
MOST_PASSES = 8
_AT_ONCE = 1 << 14  # words decoded together, so that the arrays of a pass stay in the cache
_SAMPLES = 1 << 17  # bits of the words that the residual errors of a number of flips are estimated from
_COUNTS = 40  # numbers of flips for which they are
_TRIES = 30  # exchanges for each data bit in the search for its checks

Matrix = npt.NDArray[np.float32]
Rows = tuple[tuple[int, ...], ...]
"""The checks that each data bit stands in."""
Construct = Callable[..., "Flips"]


@dataclass(frozen=True)
class Flips:
    """A code of sparse parities, and how it is decoded.

    Attributes:
        rows: the checks that each data bit stands in.
        check_bits: checks of a word.
        margins: by how many the violated checks of a bit must be more than the others for it to flip, a pass.
    """

    rows: Rows
    check_bits: int
    margins: tuple[int, ...]

    @property
    def bits(self) -> int:
        """Length of a codeword."""
        return self.data_bits + self.check_bits

    @property
    def data_bits(self) -> int:
        """Data bits of a codeword."""
        return len(self.rows)

    @cached_property
    def matrix(self) -> Matrix:
        """``A``: whether data bit i stands in check j, ``(data_bits, check_bits)``.

        In single precision, whose matrix products are fast; they are exact below 2^24.
        """
        found = np.zeros((self.data_bits, self.check_bits), dtype=np.float32)
        for row, checks in zip(found, self.rows, strict=True):
            row[list(checks)] = 1
        return found

    @cached_property
    def thresholds(self) -> npt.NDArray[np.int32]:
        """``(passes + 1, data_bits)`` violated checks that flip a bit in each pass, and that make it doubtful."""
        sizes = np.array([len(row) for row in self.rows], dtype=np.int32)
        return np.stack([np.minimum(sizes, (sizes + margin + 1) // 2) for margin in (*self.margins, 0)])

    def checks(self, data: Bits) -> Bits:
        """Check bits ``(n, check_bits)`` of data ``(n, data_bits)``."""
        counts = (data.astype(np.float32) @ self.matrix).astype(np.int32)
        return (counts & 1).astype(np.uint8)

    def decode(self, received: Bits) -> tuple[Bits, Flags]:
        """Data ``(n, data_bits)`` of any words ``(n, bits)`` after the last pass, and which bits are doubtful."""
        data = received[:, : self.data_bits].copy()
        doubtful = np.zeros(data.shape, dtype=np.bool_)
        for start in range(0, len(received), _AT_ONCE):
            some = slice(start, start + _AT_ONCE)
            checks = received[some, self.data_bits :]
            (wrong,) = np.nonzero((self.checks(data[some]) != checks).any(axis=1))
            now, stored = data[some][wrong], checks[wrong]
            for threshold in self.thresholds[:-1]:
                now ^= self._violated(now, stored) >= threshold
            data[start + wrong] = now
            doubtful[start + wrong] = self._violated(now, stored) >= self.thresholds[-1]
        return data, doubtful

    def residual(self, ber: float, together: int = 1) -> Residual:
        """Estimated from words with every number of flips, so that any rate of flips weighs them."""
        from scipy.stats import binom  # slow to import

        chance = binom.pmf(np.arange(self.bits + 1), self.bits, ber)
        doubtful, flipped, silent = chance @ _estimate(self, together)
        return Residual(
            doubtful,
            flipped / doubtful if doubtful > 0 else 0.5,
            silent / (1 - doubtful) if doubtful < 1 else 0.5,
        )

    def _violated(self, data: Bits, checks: Bits) -> npt.NDArray[np.int32]:
        """Violated checks of each data bit."""
        syndromes = (self.checks(data) ^ checks).astype(np.float32)
        counts: npt.NDArray[np.int32] = (syndromes @ self.matrix.T).astype(np.int32)
        return counts


@cache
def _estimate(code: Flips, together: int) -> npt.NDArray[np.float64]:
    """For each number of flips in a word, and data bits in groups: ``(bits + 1, 3)``.

    Probabilities that a group is in doubt, that it is and a bit of it is wrong, and that it is not and a bit is wrong.
    The decoder is symmetric, so that words of zeros stand for all.
    """
    rng = np.random.default_rng(1)
    groups = code.data_bits // together
    words = -(-_SAMPLES // code.bits)
    counts = np.unique(np.rint(np.geomspace(1, code.bits, _COUNTS)))
    found = np.empty((len(counts), 3))
    for row, count in zip(found, counts, strict=True):
        places = rng.permuted(np.broadcast_to(np.arange(code.bits), (words, code.bits)), axis=1)
        data, doubtful = code.decode((places < count).astype(np.uint8))
        wrong = data[:, : groups * together].reshape(words, groups, together).mean(axis=2)
        unsure = doubtful[:, : groups * together].reshape(words, groups, together).any(axis=2)
        row[:] = unsure.mean(), (wrong * unsure).mean(), (wrong * ~unsure).mean()
    every = np.arange(code.bits + 1)
    return np.stack([np.interp(every, [0, *counts], [0, *column]) for column in found.T], axis=1)


def _margins(passes: int) -> tuple[int, ...]:
    """Cautious at the beginning, and a majority at the end."""
    return (*(() if passes < 2 else (3,) if passes == 2 else (4, *[2] * (passes - 2))), 1)


def _family(what: str, construct: Callable[[int, int, int], Rows | None], sizes: tuple[int, ...]) -> Construct:
    """Codes by a construction ``(data_bits, check_bits, checks of a bit)``, and sizes to try where none is said."""

    @cache
    def block(bits: int, data_bits: int, passes: int = PASSES, each: int = 0) -> Flips:
        if not 1 <= passes <= MOST_PASSES:
            raise HwflowError(f"{what}: a decoder has 1 to {MOST_PASSES} passes, not {passes}")
        check_bits = bits - data_bits
        tried = (each,) if each else sizes
        for size in tried:
            rows = construct(data_bits, check_bits, size) if 2 <= size <= check_bits else None
            if rows is not None:
                return Flips(rows, check_bits, _margins(passes))
        raise HwflowError(
            f"{what}: no code is found of {data_bits} bits in {' or '.join(map(str, tried))} of {check_bits} checks "
            "each, no two bits in two of the same"
        )

    return block


def _search(data_bits: int, check_bits: int, each: int) -> Rows | None:
    """Blocks of a partial linear space, that use all checks evenly, by exchange.

    In the manner of D. R. Stinson, "Hill-climbing algorithms for the construction of combinatorial designs", Ann.
    Discrete Math. 26, 1985, for blocks of any size: a new block, of checks that are used least so far, takes the place
    of the one block that it shares pairs with.
    """
    if data_bits * each * (each - 1) > check_bits * (check_bits - 1):
        return None  # more pairs than there are
    random = Random(1).random  # the only numbers of it that Python promises to keep
    blocks: dict[int, list[int]] = {}
    owner: dict[tuple[int, int], int] = {}
    load = [0] * check_bits
    for number in range(_TRIES * data_bits):
        order = sorted(range(check_bits), key=lambda check: load[check] + 2 * random())
        block: list[int] = []
        displaced: set[int] = set()
        for most in (0, 1):
            for check in order:
                if len(block) < each and check not in block:
                    shared = {owner[pair] for other in block if (pair := _pair(check, other)) in owner} | displaced
                    if len(shared) <= most:
                        block.append(check)
                        displaced = shared
        if len(block) < each:
            continue
        for other in displaced:
            gone = blocks.pop(other)
            for pair in combinations(gone, 2):
                del owner[pair]
            for check in gone:
                load[check] -= 1
        blocks[number] = sorted(block)
        owner |= dict.fromkeys(combinations(blocks[number], 2), number)
        for check in block:
            load[check] += 1
        if len(blocks) == data_bits:
            # In order, so that the bits of a label share checks, and are wrong and in doubt together.
            return tuple(sorted(tuple(block) for block in blocks.values()))
    return None


def _pair(a: int, b: int) -> tuple[int, int]:
    return (a, b) if a < b else (b, a)


def _latin(data_bits: int, check_bits: int, each: int) -> Rows | None:
    """Data bits on a square, in checks by rows, by columns and by the symbols of orthogonal Latin squares.

    Source: M. Y. Hsiao, D. C. Bossen and R. T. Chien, "Orthogonal Latin Square Codes", IBM J. Res. Dev. 14(4), 1970.
    The square of order q that belongs to a has x + a y at row x and column y, in the field of q elements.
    """
    order, rest = divmod(check_bits, each)
    if rest or data_bits > order * order or each > order + 1:
        return None
    if order & (order - 1) == 0 and 8 <= order <= 512:
        powers, logarithms = field(order.bit_length() - 1)

        def symbol(x: int, a: int, y: int) -> int:
            return x ^ (int(powers[logarithms[a] + logarithms[y]]) if a and y else 0)
    elif each == 2 or (order > 1 and all(order % factor for factor in range(2, order))):

        def symbol(x: int, a: int, y: int) -> int:
            return (x + a * y) % order
    else:
        return None
    rows = []
    for place in range(data_bits):
        y, x = divmod(place, order)
        # By a = 0, 1, and so on; the last group are the columns.
        groups = [symbol(x, a, y) for a in range(each - 1)] + [y]
        rows.append(tuple(group * order + value for group, value in enumerate(groups)))
    return tuple(rows)


flip = _family("flip", _search, (4, 3))
"""Codes found by search, from the bits of a codeword, its data bits, passes and checks of a bit."""
ols = _family("ols", _latin, (4, 2))
"""Codes of Latin squares, in the same way."""
