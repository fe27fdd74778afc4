"""Codes inside the bits of one weight: what its least significant bits said goes to checks; the decoder is a table.

Each word stands for a weight, or is known to be wrong:

- ``parity``: M. Qin, C. Sun and D. Vucinic, "Robustness of neural networks against storage media errors",
  arXiv 1709.06173: the least significant bit is the even parity of the word and is read as it stands; a word whose
  parity is wrong reads as zero.
- ``mset``: M. H. Ahmadilivani et al., "Effective and memory-efficient alternatives to ECC for reliable large-scale
  DNNs", arXiv 2605.07417: the most significant bits, stored three times and put to the vote; the copies are in the
  least significant bits.
- ``cep``, the same source: the bits in chunks, each with an even parity; here the parities are the least significant
  bits, and a chunk whose parity is wrong reads as zeros. For both of these only the abstract was at hand, which says
  what is protected, in floating point, and that no bit is added: places and sizes are hwflow's.
- ``byteK``: a quantiser of K bits that is fitted to the layer, and 8 - K checks. A byte reads as the mean of the
  weights that it may have been, codeword or not.

The bits that a weight lost to checks read as zeros, and weights are rounded to what is left.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from hwflow.codes import table
from hwflow.codes.quantiser import Fitted, Floats, alternate, companded, encoder, flips, grid, histogram, in_steps
from hwflow.codes.table import Table
from hwflow.errors import HwflowError
from hwflow.fixed import Codes, FixedType

COLUMNS = {7: (0, 0, 0, 0, 0, 1, 1), 6: (0, 0, 0, 1, 2, 3), 5: (0, 1, 3, 5, 7)}
"""Checks that each bit of a label counts for, the least significant bit first, by the bits of the label.

Of all linear codes these leave the least square error where a bit in a hundred flips and the weights are spread as
Laplace's distribution says. The most significant bits are told apart, and the least significant ones are left alone:
their flips cost less than the doubt that watching them would cast on the others.
"""
BYTE = 8

Reader = Callable[[Codes], tuple[Codes, Codes]]
"""From all words to what they read as, in bits of two's complement, and whether they are known to be wrong."""


def parity(name: str, type_: FixedType) -> Table:
    """Even parity in the least significant bit; a wrong word reads as zero.

    Raises:
        HwflowError: weights too wide for a table, or of one bit.
    """
    _check_width(name, type_, 1)
    words = np.arange(1 << type_.width)
    bad = _odd(words)
    codes = np.arange(type_.min_code, type_.max_code + 1)
    stored = codes & ((1 << type_.width) - 1)
    return Table(name, type_, np.where(bad, 0, _signed(words, type_)), stored ^ _odd(stored), words[bad == 1])


def mset(name: str, type_: FixedType, high: int) -> Table:
    """The ``high`` most significant bits by majority of three; bit i of the copies is in the bits 2i and 2i + 1.

    Raises:
        HwflowError: weights too wide for a table, or too narrow for the copies.
    """
    _check_width(name, type_, 3 * high - 1)

    def read(words: Codes) -> tuple[Codes, Codes]:
        left = words & -(1 << 2 * high)
        for bit in range(high):
            place = type_.width - high + bit
            votes = (words >> place & 1) + (words >> 2 * bit & 1) + (words >> 2 * bit + 1 & 1)
            left = left & ~(1 << place) | (votes > 1).astype(np.int64) << place
        return left, np.zeros_like(words)

    def store(data: Codes) -> Codes:
        return data | sum(3 * (data >> type_.width - high + bit & 1) << 2 * bit for bit in range(high))

    return _rounded(name, type_, 2 * high, read, store)


def cep(name: str, type_: FixedType, chunks: int) -> Table:
    """Chunks of the bits above the parities, the most significant one first and the longer ones first.

    Raises:
        HwflowError: weights too wide for a table, or too narrow for the parities.
    """
    _check_width(name, type_, 2 * chunks - 1)
    masks = chunk_masks(type_.width, chunks)

    def read(words: Codes) -> tuple[Codes, Codes]:
        left, known = words & -(1 << chunks), np.zeros_like(words)
        for i, mask in enumerate(masks):
            wrong = _odd(words & (mask | 1 << i))
            left, known = left & ~(wrong * mask), known | wrong
        return left, known

    def store(data: Codes) -> Codes:
        return data | sum(_odd(data & mask) << i for i, mask in enumerate(masks))

    return _rounded(name, type_, chunks, read, store)


def chunk_masks(width: int, chunks: int) -> list[int]:
    """The bits of each chunk of a word whose ``chunks`` least significant bits are their parities.

    Parity i belongs to chunk i, and chunk 0 is the least significant one.
    """
    size, longer = divmod(width - chunks, chunks)
    masks, place = [], chunks
    for i in range(chunks):
        bits = size + (i >= chunks - longer)
        masks.append(((1 << bits) - 1) << place)
        place += bits
    return masks


def fitted(name: str, type_: FixedType, label_bits: int, decoder: Codes, encoder: Codes) -> Table:
    """A code of labels and checks from its tables.

    Raises:
        HwflowError: tables of another type, or of words that the code does not have.
    """
    check(name, type_, label_bits)
    words = np.arange(1 << BYTE)
    bad = np.setdiff1d(words, codewords(label_bits))
    if np.isin(encoder, bad).any():
        raise HwflowError(f"{name}: its encoder has words that are not of this code")
    return Table(name, type_, decoder, encoder, bad)


def fit(name: str, weights: Floats, type_: FixedType, label_bits: int, ber: float) -> Fitted:
    """The tables for some weights and a bit error rate.

    Args:
        name: of the code.
        weights: real values of any shape, on the scale of ``type_``.
        type_: of a weight; the tables hold codes of it.
        label_bits: of a label; the rest of the byte is checks.
        ber: probability that a stored bit flips, above 0 and at most 0.5.

    Raises:
        HwflowError: weights that are no bytes.
    """
    check(name, type_, label_bits)
    steps, words = in_steps(weights, type_), codewords(label_bits)
    points, counts = histogram(steps)
    channel = flips(BYTE, ber)[words]
    start = np.repeat(companded(points, counts, 1 << label_bits), 1 << BYTE - label_bits)
    values = alternate(points, counts, start, channel, 200)
    decoder = np.clip(np.rint(values), type_.min_code, type_.max_code).astype(np.int64)
    clean = decoder[words]
    tables = {"decoder": decoder, "encoder": words[encoder(clean, decoder, type_, channel)]}
    return Fitted(tables, (grid(clean, decoder, channel),), np.zeros(1, dtype=np.int64))


@cache
def codewords(label_bits: int) -> Codes:
    """``(2^label_bits,)`` the byte of every label: the label, and below it the checks."""
    labels = np.arange(1 << label_bits)
    checks = np.zeros_like(labels)
    for bit, column in enumerate(COLUMNS[label_bits]):
        checks ^= (labels >> bit & 1) * column
    return labels << BYTE - label_bits | checks


def check(name: str, type_: FixedType, label_bits: int) -> None:
    """Refuse labels that there are no checks for, and weights that are no bytes.

    Raises:
        HwflowError: they are such.
    """
    if label_bits not in COLUMNS:
        raise HwflowError(f"{name}: labels have {', '.join(map(str, sorted(COLUMNS)))} bits, not {label_bits}")
    if type_.width != BYTE:
        raise HwflowError(f"{name}: it takes weights of {BYTE} bits, not {type_.width}")


def _check_width(name: str, type_: FixedType, least: int) -> None:
    """Refuse weights that have too many bits, or too few: one beyond ``least`` is left to say something."""
    table.check(name, type_)
    if type_.width <= least:
        raise HwflowError(f"{name}: weights of {type_.width} bits have no room for it; it takes {least + 1} or more")


def _rounded(name: str, type_: FixedType, lost: int, read: Reader, store: Callable[[Codes], Codes]) -> Table:
    """A code that has the bits above the ``lost`` ones, to which weights are rounded, half to even."""
    left, known = read(np.arange(1 << type_.width))
    codes = np.arange(type_.min_code, type_.max_code + 1)
    step = 1 << lost
    kept = np.minimum(np.rint(codes / step).astype(np.int64) * step, type_.max_code + 1 - step)
    words = store(kept & ((1 << type_.width) - 1))
    return Table(name, type_, _signed(left, type_), words, np.flatnonzero(known))


def _signed(words: Codes, type_: FixedType) -> Codes:
    """Weight codes of words in two's complement."""
    return np.where(words > type_.max_code, words - (1 << type_.width), words)


def _odd(words: Codes) -> Codes:
    """1 for words with an odd number of ones, else 0."""
    for shift in (32, 16, 8, 4, 2, 1):
        words = words ^ words >> shift
    return words & 1
