"""Binary BCH codes, shortened and, where a check bit is left, extended by an overall parity.

Source: S. Lin and D. J. Costello, "Error Control Coding", 2nd edition, 2004, chapter 6. Decoding is to a bounded
distance: up to t flips of a word are corrected, and a word that lies further from every codeword is detected. One that
lies within t flips of another codeword is miscorrected, as in hardware.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from hwflow.codes.blocks import Bits, Flags, Residual
from hwflow.errors import HwflowError

PRIMITIVE = {3: 0b1011, 4: 0b10011, 5: 0b100101, 6: 0b1000011, 7: 0b10001001, 8: 0b100011101, 9: 0b1000010001}
"""Primitive polynomials of the fields GF(2^m), bit i the coefficient of x^i (Lin and Costello, table 2.7)."""

_AT_ONCE = 1 << 14  # words decoded together, so that the arrays of a step stay in the cache

Symbols = npt.NDArray[np.int64]
"""Elements of GF(2^m) as integers, bit i the coefficient of alpha^i."""


@dataclass(frozen=True)
class Bch:
    """A BCH code of length ``bits``.

    Bit i of the data stands for x^(i + r), bit j of the r checks for x^j; an overall parity is the last bit.

    Attributes:
        bits: length of a codeword, the overall parity included.
        data_bits: data bits of a codeword.

    Raises:
        HwflowError: no BCH code fills this word.
    """

    bits: int
    data_bits: int

    def __post_init__(self) -> None:
        """Refuse lengths that no code has."""
        _parameters(self.bits, self.data_bits)

    @property
    def m(self) -> int:
        """Bits of a symbol: the field is GF(2^m)."""
        return _parameters(self.bits, self.data_bits)[0]

    @property
    def polynomial(self) -> int:
        """The primitive polynomial of the field, bit i the coefficient of x^i."""
        return PRIMITIVE[self.m]

    @property
    def t(self) -> int:
        """Flips of a word that are corrected."""
        return _parameters(self.bits, self.data_bits)[1]

    @property
    def extended(self) -> bool:
        """Whether the last check is an overall parity, which detects t + 1 flips."""
        return _parameters(self.bits, self.data_bits)[2]

    @property
    def generator(self) -> int:
        """The generator polynomial, bit i the coefficient of x^i."""
        return _generator(self.m, self.t)

    @property
    def cyclic_bits(self) -> int:
        """Bits of a codeword without the overall parity."""
        return self.bits - self.extended

    @property
    def positions(self) -> Symbols:
        """``(cyclic_bits,)`` the power of x that each bit stands for: data, then checks."""
        checks = self.cyclic_bits - self.data_bits
        return np.concatenate([np.arange(checks, self.cyclic_bits), np.arange(checks)])

    def checks(self, data: Bits) -> Bits:
        """Check bits ``(n, bits - data_bits)`` of data ``(n, data_bits)``."""
        found = (data.astype(np.int64) @ _remainders(self.bits, self.data_bits) & 1).astype(np.uint8)
        if not self.extended:
            return found
        parity = (data.sum(axis=1, dtype=np.int64) + found.sum(axis=1, dtype=np.int64) & 1).astype(np.uint8)
        return np.concatenate([found, parity[:, None]], axis=1)

    def decode(self, received: Bits) -> tuple[Bits, Flags]:
        """Data ``(n, data_bits)`` of any words ``(n, bits)``; all bits of a word that is detected are doubtful."""
        data = received[:, : self.data_bits].copy()
        failed = np.zeros(len(received), dtype=np.bool_)
        for start in range(0, len(received), _AT_ONCE):
            rows = slice(start, start + _AT_ONCE)
            self._decode(received[rows], data[rows], failed[rows])
        return data, np.broadcast_to(failed[:, None], data.shape)

    def residual(self, ber: float, together: int = 1) -> Residual:
        """A word with more than t flips is taken to be detected; its flips are more than t among its bits.

        All bits of a word are in doubt together.
        """
        from scipy.stats import binom  # slow to import

        fails = float(binom.sf(self.t, self.bits, ber))
        if fails == 0:
            return Residual(0.0, (self.t + 1) / self.bits)
        # E[flips; flips > t] = n p P(one flip fewer of one bit fewer > t - 1)
        flips = self.bits * ber * float(binom.sf(self.t - 1, self.bits - 1, ber))
        return Residual(fails, flips / fails / self.bits)

    def _decode(self, received: Bits, data: Bits, failed: Flags) -> None:
        syndromes = _syndromes(self, received)
        parity = received.sum(axis=1, dtype=np.int64) & 1 if self.extended else np.zeros(len(received), dtype=np.int64)
        (wrong,) = np.nonzero((syndromes != 0).any(axis=1))
        if not len(wrong):
            return  # a wrong parity alone is corrected and is no data
        locator, order = _berlekamp_massey(syndromes[wrong], self.m, self.t)
        roots = _roots(self, locator, order)
        count = roots.sum(axis=1)
        # A parity that does not fit the flips found is one flip more.
        more = (parity[wrong] + count) & 1 if self.extended else 0
        good = (order <= self.t) & (count == order) & (count + more <= self.t)
        hit = wrong[good]
        data[hit] ^= roots[good, : self.data_bits].astype(np.uint8)
        failed[wrong[~good]] = True


@cache
def _found(bits: int, data_bits: int) -> tuple[int, int, bool] | None:
    """m, t and whether extended; ``None`` where no code has just these checks."""
    for extended in (True, False):
        length, checks = bits - extended, bits - extended - data_bits
        m = max(3, length.bit_length())
        if m in PRIMITIVE and data_bits > 0:
            degrees = _degrees(m)
            if checks in degrees:
                return m, len(degrees) - degrees[::-1].index(checks), extended
    return None


@cache
def _degrees(m: int) -> list[int]:
    """Degrees of the generators for t = 1, 2, and so on."""
    return [_generator(m, t).bit_length() - 1 for t in range(1, 1 << (m - 1))]


def _parameters(bits: int, data_bits: int) -> tuple[int, int, bool]:
    found = _found(bits, data_bits)
    if found is None:
        there = sorted(range(1, bits), key=lambda k: (abs(k - data_bits), k))
        near = sorted([k for k in there if _found(bits, k) is not None][:4])
        choices = f"; near it are those of {', '.join(map(str, near))}" if near else ""
        raise HwflowError(f"no BCH code of {bits} bits has {data_bits} data bits{choices}")
    return found


@cache
def field(m: int) -> tuple[Symbols, Symbols]:
    """Powers of alpha ``(2 (2^m - 1),)``, and the logarithm ``(2^m,)`` of every element, that of 0 being 0."""
    order = (1 << m) - 1
    powers, element = [], 1
    for _ in range(order):
        powers.append(element)
        element <<= 1
        if element >> m:
            element ^= PRIMITIVE[m]
    logarithms = np.zeros(1 << m, dtype=np.int64)
    logarithms[powers] = np.arange(order)
    return np.array(powers * 2, dtype=np.int64), logarithms


def _multiply(a: Symbols, b: Symbols, m: int) -> Symbols:
    powers, logarithms = field(m)
    product: Symbols = np.where((a != 0) & (b != 0), powers[logarithms[a] + logarithms[b]], 0)
    return product


@cache
def _generator(m: int, t: int) -> int:
    """Product of the minimal polynomials of alpha, alpha^3, ... alpha^(2t-1)."""
    powers, logarithms = field(m)
    order, done, generator = (1 << m) - 1, set[int](), 1
    for root in range(1, 2 * t, 2):
        if root % order in done:
            continue
        coset = {root * 2**i % order for i in range(m)}
        done |= coset
        minimal = [1]  # coefficients, the lowest first
        for exponent in coset:
            shifted, scaled = [0, *minimal], [*minimal, 0]
            minimal = [
                low ^ (int(powers[logarithms[high] + exponent]) if high else 0)
                for low, high in zip(shifted, scaled, strict=True)
            ]
        factor = sum(coefficient << i for i, coefficient in enumerate(minimal))
        generator = _carryless(generator, factor)
    return generator


def _carryless(a: int, b: int) -> int:
    product = 0
    while b:
        product ^= a if b & 1 else 0
        a, b = a << 1, b >> 1
    return product


@cache
def _remainders(bits: int, data_bits: int) -> Symbols:
    """Checks ``(data_bits, r)`` of each data bit alone, without the overall parity."""
    m, t, extended = _parameters(bits, data_bits)
    checks, generator = bits - extended - data_bits, _generator(m, t)
    rows, remainder = [], generator ^ (1 << checks)  # of x^r
    for _ in range(data_bits):
        rows.append([remainder >> j & 1 for j in range(checks)])
        remainder <<= 1
        if remainder >> checks:
            remainder ^= generator
    return np.array(rows, dtype=np.int64)


@cache
def _syndrome_tables(code: Bch) -> Symbols:
    """What each value of each byte of a codeword adds to S1, S3, ... S(2t-1): ``(bytes, 256, t)``."""
    powers, _ = field(code.m)
    order = (1 << code.m) - 1
    odd = np.arange(1, 2 * code.t, 2)
    tables = np.zeros((-(-code.bits // 8), 256, code.t), dtype=np.int64)
    for bit, position in enumerate(code.positions.tolist()):
        byte, place = divmod(bit, 8)
        tables[byte, np.arange(256) >> place & 1 == 1] ^= powers[odd * position % order]
    return tables


def _syndromes(code: Bch, received: Bits) -> Symbols:
    """S1 to S2t ``(n, 2t)`` of received words."""
    tables, words = _syndrome_tables(code), np.packbits(received, axis=1, bitorder="little")
    syndromes = np.zeros((len(received), 2 * code.t), dtype=np.int64)
    odd = tables[0][words[:, 0]]
    for table, byte in zip(tables[1:], words.T[1:], strict=True):
        odd ^= table[byte]
    syndromes[:, 0::2] = odd
    for even in range(2, 2 * code.t + 1, 2):
        half = syndromes[:, even // 2 - 1]
        syndromes[:, even - 1] = _multiply(half, half, code.m)
    return syndromes


def _berlekamp_massey(syndromes: Symbols, m: int, t: int) -> tuple[Symbols, Symbols]:
    """Error locators ``(n, t + 1)`` up to a factor, the lowest coefficient first, and their orders ``(n,)``.

    Without inversion, and for binary codes every other step alone: I. S. Reed, M. T. Shih and T. K. Truong, "VLSI
    design of inverse-free Berlekamp-Massey algorithm", IEE Proc. E 138(5), 1991.
    """
    locator = np.zeros((len(syndromes), t + 1), dtype=np.int64)
    locator[:, 0] = 1
    correction = np.roll(locator, 1, axis=1)  # what a discrepancy adds to the locator
    order, scale = np.zeros(len(syndromes), dtype=np.int64), np.ones(len(syndromes), dtype=np.int64)
    for step in range(t):
        terms = min(2 * step, t) + 1
        products = _multiply(locator[:, :terms], syndromes[:, 2 * step - np.arange(terms)], m)
        discrepancy = np.bitwise_xor.reduce(products, axis=1)
        longer = (discrepancy != 0) & (order <= step)
        grown = _multiply(scale[:, None], locator, m) ^ _multiply(discrepancy[:, None], correction, m)
        correction = np.where(longer[:, None], locator, correction)
        correction = np.concatenate([np.zeros((len(locator), 2), dtype=np.int64), correction], axis=1)[:, : t + 1]
        order = np.where(longer, 2 * step + 1 - order, order)
        scale = np.where(longer, discrepancy, scale)
        locator = grown
    return locator, order


def _roots(code: Bch, locator: Symbols, order: Symbols) -> Flags:
    """Which bits ``(n, cyclic_bits)`` the locators name; none where a locator's order exceeds t."""
    powers, logarithms = field(code.m)
    found = np.zeros((len(locator), code.cyclic_bits), dtype=np.bool_)
    for degree in range(1, code.t + 1):
        (rows,) = np.nonzero(order == degree)
        value = np.repeat(locator[rows, :1], code.cyclic_bits, axis=1)
        for i in range(1, degree + 1):
            term = locator[rows, i]
            product = powers[logarithms[term][:, None] + (-i * code.positions) % ((1 << code.m) - 1)]
            value ^= np.where(term[:, None] != 0, product, 0)
        found[rows] = value == 0
    return found
