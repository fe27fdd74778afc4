"""Storage codes: words of any width, the storage order, and SECDED against what coding theory says of it."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwflow.codes import STORAGE_CODES, CodeSpec, Family, Secded, StorageCode, storage_code
from hwflow.codes.layout import Layout, at, index_of, ordered, position, unordered
from hwflow.codes.secded import CHECK_BITS, COLUMNS, OnDouble
from hwflow.codes.words import pack, to_integers, to_uint64, unpack
from hwflow.errors import HwflowError
from hwflow.faults import Memory, sample_ber
from hwflow.fixed import FixedType

NAMES = [
    name for name, family in STORAGE_CODES.items() if family.lossless and 0 in family.numbers
]  # the others have tests of their own
BYTE = FixedType(8, 3)


def random_codes(code: StorageCode, type_: FixedType, words: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    shape = (words, code.weights_per_word)
    return rng.integers(type_.min_code, type_.max_code, shape, endpoint=True)


def flipped(words: np.ndarray, bits: np.ndarray) -> np.ndarray:
    """Words ``(n, bytes)`` with the bits ``(n, k)`` flipped, one word each."""
    words = words.copy()
    for column in np.asarray(bits).T:
        words[np.arange(len(words)), column // 8] ^= np.left_shift(1, column % 8).astype(np.uint8)
    return words


class TestWords:
    @settings(deadline=None)
    @given(st.integers(1, 40), st.integers(1, 9), st.booleans(), st.integers(0, 99))
    def test_fields_come_back(self, width: int, count: int, signed: bool, seed: int) -> None:
        type_ = FixedType(width, width, signed)
        fields = np.random.default_rng(seed).integers(type_.min_code, type_.max_code, (5, count), endpoint=True)
        words = pack(fields, width)
        assert words.shape == (5, -(-width * count // 8))
        np.testing.assert_array_equal(unpack(words, width, count, signed), fields)
        numbers = [
            sum((int(field) & ((1 << width) - 1)) << (place * width) for place, field in enumerate(row))
            for row in fields
        ]
        assert to_integers(words) == numbers
        if width * count <= 64:
            assert to_uint64(words).tolist() == numbers


class TestLayout:
    @settings(deadline=None)
    @given(st.integers(1, 9), st.integers(1, 40), st.integers(1, 12))
    def test_is_a_bijection(self, rows: int, columns: int, per_word: int) -> None:
        layout = Layout(rows, columns, per_word)
        index = np.arange(rows * columns)
        word, place = layout.place(index)
        assert len(set(zip(word.tolist(), place.tolist(), strict=True))) == rows * columns
        assert word.max() == layout.words - 1
        held = layout.indices(np.arange(layout.words))
        assert held.shape == (layout.words, per_word)
        np.testing.assert_array_equal(held[word, place], index)
        np.testing.assert_array_equal(np.sort(held[held >= 0]), index)
        # No word goes on from one row into the next.
        assert all(len(set((row[row >= 0] // columns).tolist())) == 1 for row in held)

    @settings(deadline=None)
    @given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.integers(0, 9))
    def test_storage_order_is_output_by_output(self, shape: list[int], seed: int) -> None:
        weights = np.random.default_rng(seed).normal(size=shape)
        stored = ordered(weights)
        index = np.arange(weights.size)
        np.testing.assert_array_equal(unordered(stored, tuple(shape)), weights)
        np.testing.assert_array_equal(at(weights, index), stored)
        n_in = weights.size // shape[-1]
        output, source = position(index, n_in)
        np.testing.assert_array_equal(index_of(output, source, n_in), index)
        np.testing.assert_array_equal(weights.reshape(n_in, -1)[source, output], stored)


@settings(deadline=None)
@given(st.sampled_from(NAMES), st.integers(1, 32), st.booleans(), st.integers(0, 99))
def test_decoding_undoes_encoding(name: str, width: int, signed: bool, seed: int) -> None:
    type_ = FixedType(width, 3, signed)
    code = storage_code(CodeSpec(name), type_)
    codes = random_codes(code, type_, 20, seed)
    words = code.encode(codes)
    assert (words.dtype, words.shape) == (np.uint8, (20, -(-code.bits // 8)))
    assert all(number >> code.bits == 0 for number in to_integers(words))
    np.testing.assert_array_equal(code.decode(words), codes)


def test_unknown_codes_are_refused() -> None:
    with pytest.raises(
        HwflowError, match=r"'rot13' is unknown; choose one of plain, secded, secded-null, cosq, bchN-K"
    ):
        storage_code(CodeSpec("rot13"), BYTE)
    with pytest.raises(HwflowError, match="'plain' cannot decode with levels"):
        storage_code(CodeSpec("plain", {"levels": np.arange(4)}), BYTE)


class TestSecded:
    def test_its_distance_is_four(self) -> None:
        """No three columns of the parity-check matrix add up to zero, and there are four that do."""
        columns = [*COLUMNS, *(1 << r for r in range(CHECK_BITS))]
        assert len(set(columns)) == 72
        assert all(column.bit_count() % 2 for column in columns)
        sums = {a ^ b for a, b in combinations(columns, 2)}
        assert 0 not in sums
        assert sums.isdisjoint(columns)
        assert len(sums) < 72 * 71 // 2

    def test_words_satisfy_every_check(self) -> None:
        words = to_integers(Secded(BYTE).encode(random_codes(Secded(BYTE), BYTE, 200, 1)))
        for check in range(CHECK_BITS):
            covered = sum(1 << bit for bit, column in enumerate(COLUMNS) if column >> check & 1) | 1 << (64 + check)
            assert not any((word & covered).bit_count() % 2 for word in words)

    @pytest.mark.parametrize("width", [4, 6, 8, 11, 16, 32])
    @pytest.mark.parametrize("on_double", ["null", "pass"])
    def test_single_errors_are_corrected_and_double_errors_detected(self, width: int, on_double: OnDouble) -> None:
        type_ = FixedType(width, 3)
        code = Secded(type_, on_double)
        single = np.arange(code.bits)[:, None]
        codes = random_codes(code, type_, code.bits, 2)
        np.testing.assert_array_equal(code.decode(flipped(code.encode(codes), single)), codes)
        double = np.array(list(combinations(range(code.bits), 2)))
        codes = random_codes(code, type_, len(double), 3)
        words = flipped(code.encode(codes), double)
        stored = unpack(words, width, code.weights_per_word, signed=True)
        np.testing.assert_array_equal(code.decode(words), stored if on_double == "pass" else 0 * stored)

    def test_block_failures_are_those_of_the_binomial_law(self) -> None:
        """2556 p^2 (1 - p)^70 of the words fail by two errors, 59640 p^3 (1 - p)^69 by three; none by one."""
        code, words, p = Secded(BYTE, "null"), 1_000_000, 4e-3
        faults = sample_ber([Memory("m", words, code.bits)], p, 5)
        hit, masks = faults.masks("m")
        errors = np.unpackbits(masks, axis=1).sum(axis=1)
        codes = random_codes(code, BYTE, len(hit), 6) | 1  # no word of zeros, so that nulled ones differ
        failed = (code.decode(code.encode(codes) ^ masks) != codes).any(axis=1)
        assert not failed[errors == 1].any()
        for count, patterns in ((2, 2556), (3, 59640)):
            expected = words * patterns * p**count * (1 - p) ** (72 - count)
            assert abs(int((failed & (errors == count)).sum()) - expected) < 4 * np.sqrt(expected)

    def test_three_errors_are_taken_for_one_as_often_as_in_all_patterns(self) -> None:
        code = Secded(BYTE, "null")
        columns = np.array([*COLUMNS, *(1 << r for r in range(CHECK_BITS))])
        triples = np.array(list(combinations(range(72), 3)))
        syndromes = columns[triples[:, 0]] ^ columns[triples[:, 1]] ^ columns[triples[:, 2]]
        miscorrected = np.isin(syndromes, columns)
        codes = random_codes(code, BYTE, len(triples), 7) | 1
        read = code.decode(flipped(code.encode(codes), triples))
        # What is detected is nulled; what is taken for a single error is not.
        np.testing.assert_array_equal((read == 0).all(axis=1), ~miscorrected)
        assert 0.5 < miscorrected.mean() < 0.6


@dataclass(frozen=True, eq=False)
class Looked:
    """A toy code of one's own: two weights a word, each the place of its value in a table."""

    type: FixedType
    levels: np.ndarray

    weights_per_word = 2
    bits = 5

    def encode(self, codes: np.ndarray) -> np.ndarray:
        nearest = np.abs(codes[..., None] - self.levels).argmin(axis=-1)
        return pack(nearest, 2)

    def decode(self, words: np.ndarray) -> np.ndarray:
        return self.levels[unpack(words, 2, 2, signed=False)]

    def detected(self, words: np.ndarray) -> np.ndarray:
        return np.zeros(len(words), dtype=bool)


LOOKED = Family("looked", "", lambda *_: 5, lambda _, __, type_, tables: Looked(type_, **tables))


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> CodeSpec:
    """A code that holds a table, registered as one's own."""
    monkeypatch.setitem(STORAGE_CODES, "looked", LOOKED)
    return CodeSpec("looked", {"levels": np.array([-50, -3, 4, 60])})


def test_a_code_may_hold_a_table(looked: CodeSpec) -> None:
    code = storage_code(looked, BYTE)
    words = code.encode(np.array([[-3, 60], [-50, 4]]))
    assert to_integers(words) == [0b11_01, 0b10_00]
    assert code.decode(words).tolist() == [[-3, 60], [-50, 4]]
