"""Block codes and word codes against an independent implementation, against theory, and by exhaustion."""

from itertools import combinations
from math import comb

import galois
import numpy as np
import pytest
from scipy.stats import binom

from hwflow.codes import Protection, WordCode, flips, storage_code
from hwflow.codes.bch import PRIMITIVE, Bch
from hwflow.codes.blocks import BlockCode
from hwflow.codes.flips import Flips
from hwflow.codes.word import word_channel
from hwflow.errors import HwflowError
from hwflow.faults import Memory, sample_ber
from hwflow.fixed import FixedType

BYTE = FixedType(8, 3)
WEIGHTS = np.random.default_rng(3).laplace(size=(64, 128))
WEIGHTS *= 0.99 * BYTE.max / np.abs(WEIGHTS).max()

BCH = [
    Bch(15, 7),
    Bch(16, 7),
    Bch(31, 16),
    Bch(28, 18),
    Bch(64, 45),
    Bch(63, 39),
    Bch(56, 32),
    Bch(127, 64),
    Bch(240, 131),
]
FLIPS = [
    flips.flip(56, 32), flips.flip(56, 32, 1), flips.flip(64, 40, 2, 3), flips.flip(112, 64, 3, 5),
    flips.flip(224, 128, 4, 6), flips.ols(64, 36), flips.ols(64, 32, 2), flips.ols(24, 16, 1, 2),
    flips.ols(75, 40, 3, 5),
]  # fmt: skip


def random_data(code: BlockCode, words: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2, (words, code.data_bits), dtype=np.uint8)


def codewords(code: BlockCode, data: np.ndarray) -> np.ndarray:
    return np.concatenate([data, code.checks(data)], axis=1)


def patterns(bits: int, count: int) -> np.ndarray:
    """All words with so many ones."""
    places = np.array(list(combinations(range(bits), count)), dtype=np.int64).reshape(-1, count)
    found = np.zeros((len(places), bits), dtype=np.uint8)
    np.put_along_axis(found, places, 1, axis=1)
    return found


def every_word(bits: int) -> np.ndarray:
    return (np.arange(1 << bits)[:, None] >> np.arange(bits) & 1).astype(np.uint8)


@pytest.mark.parametrize("code", [*BCH, *FLIPS], ids=str)
def test_what_is_encoded_is_decoded(code: BlockCode) -> None:
    data = random_data(code, 200)
    assert code.checks(data).shape == (200, code.bits - code.data_bits)
    decoded, doubtful = code.decode(codewords(code, data))
    np.testing.assert_array_equal(decoded, data)
    assert not doubtful.any()


@pytest.mark.parametrize("code", [*BCH, *FLIPS], ids=str)
def test_any_word_is_decoded_by_itself(code: BlockCode) -> None:
    """To bits, whatever stands beside it, and leaving what was received as it is."""
    received = np.random.default_rng(1).integers(0, 2, (300, code.bits), dtype=np.uint8)
    before = received.copy()
    data, doubtful = code.decode(received)
    assert (data.shape, doubtful.shape) == ((300, code.data_bits),) * 2
    assert data.max() <= 1
    np.testing.assert_array_equal(received, before)
    for some in (slice(0), slice(7, 8), slice(100, 200)):
        alone, doubts = code.decode(received[some])
        np.testing.assert_array_equal(alone, data[some])
        np.testing.assert_array_equal(doubts, doubtful[some])


def theirs(code: Bch) -> galois.BCH:
    """The code before it is shortened and extended."""
    field = galois.GF(2**code.m, irreducible_poly=galois.Poly.Int(PRIMITIVE[code.m]), compile="python-calculate")
    return galois.BCH((1 << code.m) - 1, d=2 * code.t + 1, extension_field=field)


def powers(code: Bch, words: np.ndarray) -> np.ndarray:
    """Words ``(n, bits)`` without their overall parity, the highest power of x first, as galois has them."""
    return galois.GF2(words[:, : code.cyclic_bits][:, np.argsort(-code.positions)])


def dual_weights(code: BlockCode) -> np.ndarray:
    """``(bits + 1,)`` words of the dual code by weight: all sums of rows of the parity-check matrix."""
    checks = code.bits - code.data_bits
    rows = np.concatenate(
        [code.checks(np.eye(code.data_bits, dtype=np.uint8)).T, np.eye(checks, dtype=np.uint8)], axis=1
    )
    sums = np.zeros((1, code.bits), dtype=np.uint8)
    for row in rows:
        sums = np.concatenate([sums, sums ^ row])
    return np.bincount(sums.sum(axis=1, dtype=np.int64), minlength=code.bits + 1)


def weights(code: BlockCode) -> list[int]:
    """Codewords by weight, by the identity of MacWilliams."""
    n, dual = code.bits, dual_weights(code)

    def krawtchouk(weight: int, at: int) -> int:
        return sum((-1) ** j * comb(at, j) * comb(n - at, weight - j) for j in range(weight + 1))

    return [
        sum(int(count) * krawtchouk(weight, at) for at, count in enumerate(dual)) >> (n - code.data_bits)
        for weight in range(n + 1)
    ]


class TestBch:
    @pytest.mark.parametrize("code", BCH, ids=str)
    def test_generator_and_codewords_are_those_of_galois(self, code: Bch) -> None:
        other, data = theirs(code), random_data(code, 50)
        assert int(other.generator_poly) == code.generator
        words = codewords(code, data)
        np.testing.assert_array_equal(other.encode(galois.GF2(data[:, ::-1])), powers(code, words))
        assert not code.extended or not (words.sum(axis=1) % 2).any()

    @pytest.mark.parametrize("code", [code for code in BCH if code.m < 7], ids=str)
    def test_up_to_t_flips_are_corrected_as_by_galois(self, code: Bch) -> None:
        rng, data = np.random.default_rng(2), random_data(code, 4 * (code.t + 1))
        # Anywhere but in the overall parity, which galois does not have.
        order = rng.permuted(np.tile(np.arange(code.cyclic_bits), (len(data), 1)), axis=1)
        received = codewords(code, data)
        received[:, : code.cyclic_bits] ^= (order < np.arange(len(data))[:, None] % (code.t + 1)).astype(np.uint8)
        found, doubtful = code.decode(received)
        expected, errors = theirs(code).decode(powers(code, received), errors=True)
        assert sorted(set(errors.tolist())) == list(range(code.t + 1))
        np.testing.assert_array_equal(found[:, ::-1], expected)
        np.testing.assert_array_equal(found, data)
        assert not doubtful.any()

    @pytest.mark.parametrize("bits", [15, 16, 28, 31, 32, 64])
    def test_every_size_has_the_most_flips_that_its_checks_allow(self, bits: int) -> None:
        """No code of galois that fits the word corrects more; sizes between those of codes are refused."""
        found = {}
        for data_bits in range(1, bits):
            try:
                found[data_bits] = Bch(bits, data_bits)
            except HwflowError:
                continue
        assert found
        for data_bits, code in found.items():
            order, checks = (1 << code.m) - 1, bits - code.extended - data_bits
            roots = [
                {root * 2**i % order for root in range(1, 2 * t) for i in range(code.m)} for t in (code.t, code.t + 1)
            ]
            assert len(roots[0]) == checks
            assert len(roots[1]) > checks or len(roots[1]) == order

    @pytest.mark.parametrize(
        "code", [Bch(7, 4), Bch(8, 4), Bch(15, 7), Bch(15, 5), Bch(16, 7), Bch(16, 5), Bch(13, 4)], ids=str
    )
    def test_decodes_to_the_nearest_codeword_within_t_and_detects_all_else(self, code: Bch) -> None:
        received = every_word(code.bits)
        data = every_word(code.data_bits)
        distance = np.array([(received ^ word).sum(axis=1) for word in codewords(code, data)])
        nearest = distance.argmin(axis=0)
        within = distance.min(axis=0) <= code.t
        found, doubtful = code.decode(received)
        np.testing.assert_array_equal(found, np.where(within[:, None], data[nearest], received[:, : code.data_bits]))
        np.testing.assert_array_equal(doubtful, np.broadcast_to(~within[:, None], found.shape))

    @pytest.mark.parametrize(
        ("code", "distance"), [(Bch(32, 21), 6), (Bch(32, 16), 8), (Bch(31, 21), 5), (Bch(24, 13), 6)]
    )
    def test_as_many_patterns_are_miscorrected_as_the_weight_enumerator_says(self, code: Bch, distance: int) -> None:
        """All patterns of t + 2 flips of an extended code, t + 1 of another: those inside a lightest codeword."""
        enumerator = weights(code)
        assert enumerator[0] == 1
        assert sum(enumerator) == 1 << code.data_bits
        assert not any(enumerator[1:distance])
        flipped = distance - code.t
        data, doubtful = code.decode(patterns(code.bits, flipped))
        assert int((~doubtful[:, 0]).sum()) == enumerator[distance] * comb(distance, flipped) > 0
        np.testing.assert_array_equal(data.any(axis=1)[~doubtful[:, 0]], True)
        if code.extended:
            assert code.decode(patterns(code.bits, code.t + 1))[1].all()

    @pytest.mark.parametrize("code", [Bch(64, 45), Bch(32, 21), Bch(127, 64)], ids=str)
    def test_words_fail_by_the_binomial_law(self, code: Bch) -> None:
        words, ber = 20_000, 1.5 * code.t / code.bits / 2
        hit, masks = sample_ber([Memory("m", words, code.bits)], ber, 5).masks("m")
        data = random_data(code, len(hit))
        found, doubtful = code.decode(
            codewords(code, data) ^ np.unpackbits(masks, axis=1, count=code.bits, bitorder="little")
        )
        failed = int(((found != data).any(axis=1) | doubtful.any(axis=1)).sum())
        chance = binom.sf(code.t, code.bits, ber)
        assert chance > 0.01
        assert abs(failed - words * chance) < 4 * np.sqrt(words * chance * (1 - chance))


def by_hand(code: Flips, word: list[int]) -> tuple[list[int], list[bool]]:
    """A word decoded as the module's docstring says it, bit by bit."""
    data, stored = word[: len(code.rows)], word[len(code.rows) :]

    def violated() -> list[int]:
        syndrome = list(stored)
        for bit, row in zip(data, code.rows, strict=True):
            for check in row:
                syndrome[check] ^= bit
        return [sum(syndrome[check] for check in row) for row in code.rows]

    for margin in code.margins:
        votes = [(count, len(row)) for count, row in zip(violated(), code.rows, strict=True)]
        data = [
            bit ^ (2 * count >= size + margin or count == size) for bit, (count, size) in zip(data, votes, strict=True)
        ]
    return data, [2 * count >= len(row) for count, row in zip(violated(), code.rows, strict=True)]


class TestFlips:
    @pytest.mark.parametrize("code", FLIPS, ids=str)
    def test_no_two_bits_share_two_checks(self, code: Flips) -> None:
        shared = (code.matrix @ code.matrix.T).astype(int)
        assert (np.diag(shared) == len(code.rows[0])).all()
        assert shared[~np.eye(len(shared), dtype=bool)].max() <= 1
        assert all(list(row) == sorted(set(row)) and row[-1] < code.check_bits for row in code.rows)

    @pytest.mark.parametrize("code", [*FLIPS, Flips(((0, 1, 2), (0, 3, 4, 5), (1, 3)), 6, (4, 0))], ids=str)
    def test_passes_are_those_of_the_rule(self, code: Flips) -> None:
        rng = np.random.default_rng(4)
        received = (rng.random((60, code.bits)) < rng.choice([0.02, 0.1, 0.5], (60, 1))).astype(np.uint8)
        data, doubtful = code.decode(received)
        for word, bits, doubts in zip(received.tolist(), data.tolist(), doubtful.tolist(), strict=True):
            assert by_hand(code, word) == (bits, doubts)

    def test_a_decoder_begins_with_care_and_ends_with_a_majority(self) -> None:
        margins = [flips.flip(56, 32, passes).margins for passes in (1, 2, 3, 5)]
        assert margins == [(1,), (3, 1), (4, 2, 1), (4, 2, 2, 2, 1)]
        assert flips.flip(56, 32).thresholds[:, 0].tolist() == [4, 3, 3, 2]
        assert flips.flip(112, 64, 3, 5).thresholds[:, 0].tolist() == [5, 4, 3, 3]
        assert flips.flip(64, 40, 3, 3).thresholds[:, 0].tolist() == [3, 3, 2, 2]

    def test_many_words_are_decoded_as_few(self) -> None:
        code = flips.flip(24, 8, 2, 3)
        few = (np.random.default_rng(7).random((100, 24)) < 0.1).astype(np.uint8)
        for many, alone in zip(code.decode(np.tile(few, (180, 1))), code.decode(few), strict=True):
            np.testing.assert_array_equal(many, np.tile(alone, (180, 1)))

    def test_what_is_decoded_does_not_depend_on_the_codeword(self) -> None:
        code = flips.flip(56, 32)
        flipped = (np.random.default_rng(5).random((500, 56)) < 0.06).astype(np.uint8)
        data = random_data(code, 500)
        found, doubtful = code.decode(codewords(code, data) ^ flipped)
        alone, doubts = code.decode(flipped)
        np.testing.assert_array_equal(found ^ data, alone)
        np.testing.assert_array_equal(doubtful, doubts)
        assert alone.any()
        assert doubts.any()

    @pytest.mark.parametrize(
        "code",
        [
            flips.flip(56, 32, 1),
            flips.flip(64, 40, 1, 3),
            flips.flip(40, 10, 1, 6),
            flips.ols(64, 36, 1),
            flips.ols(41, 16, 1, 5),
        ],
        ids=str,
    )
    def test_one_pass_of_majority_corrects_half_the_checks_of_a_bit(self, code: Flips) -> None:
        for count in range(1, len(code.rows[0]) // 2 + 1):
            data, _ = code.decode(patterns(code.bits, count))
            assert not data.any()

    @pytest.mark.parametrize("code", [flips.flip(56, 32), flips.flip(64, 40), flips.flip(48, 24, 2)], ids=str)
    def test_several_passes_still_correct_any_two_flips(self, code: Flips) -> None:
        for count in (1, 2):
            data, doubtful = code.decode(patterns(code.bits, count))
            assert not data.any()
            assert count == 2 or not doubtful.any()

    def test_products_of_parities_correct_one_flip_and_know_of_two(self) -> None:
        """Rows and columns: of two flips of data every bit that is wrong afterwards is doubtful."""
        code = flips.ols(8 + 16, 16, 1, 2)
        assert code.rows[:5] == ((0, 4), (1, 4), (2, 4), (3, 4), (0, 5))
        data, _ = code.decode(patterns(24, 1))
        assert not data.any()
        both = patterns(24, 2)
        data, doubtful = code.decode(both[both[:, :16].sum(axis=1) == 2])
        assert data.any()
        assert doubtful[data == 1].all()

    @pytest.mark.parametrize(("order", "each"), [(5, 4), (7, 5), (8, 4), (16, 3), (6, 2)])
    def test_squares_are_latin_and_orthogonal(self, order: int, each: int) -> None:
        code = flips.ols(order * order + each * order, order * order, 1, each)
        groups = code.matrix.reshape(order * order, each, order)
        assert (groups.sum(axis=2) == 1).all()
        assert (groups.sum(axis=0) == order).all()
        shared = code.matrix @ code.matrix.T
        assert (shared[~np.eye(len(shared), dtype=bool)] <= 1).all()

    @pytest.mark.parametrize("ber", [1e-2, 2e-2, 0.1])
    @pytest.mark.parametrize("together", [1, 4])
    def test_residual_errors_are_those_of_words(self, ber: float, together: int) -> None:
        code, words = flips.flip(56, 32), 100_000
        data, doubtful = code.decode((np.random.default_rng(6).random((words, 56)) < ber).astype(np.uint8))
        wrong = data.reshape(words, -1, together)
        unsure = doubtful.reshape(words, -1, together).any(axis=2)
        residual = code.residual(ber, together)
        for expected, found in (
            (residual.doubtful, unsure),
            (residual.doubtful * residual.flipped, wrong.mean(axis=2) * unsure),
            ((1 - residual.doubtful) * residual.silent, wrong.mean(axis=2) * ~unsure),
        ):
            # Words are independent, their bits are not; a tenth is for the estimate, which is one of samples too.
            spread = found.mean(axis=1).std() / np.sqrt(words)
            assert abs(expected - found.mean()) < 4 * spread + 0.1 * expected

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("flip64-40-32-9", "1 to 8 passes, not 9"),
            ("flip64-40-32-0", "numbers must be 1 or more"),
            ("flip64-40-32-3-5", "32 bits in 5 of 24 checks each"),
            ("flip64-56", "56 bits in 4 or 3 of 8 checks each"),
            ("ols64-41", "41 bits in 4 or 2 of 23 checks each"),
            ("flip64-40-32-3-4-1", "not of the form flipN-K"),
        ],
    )
    def test_what_cannot_be_had(self, name: str, words: str) -> None:
        with pytest.raises(HwflowError, match=words):
            fitted(name, 1e-2)


def fitted(name: str, ber: float) -> tuple[WordCode, np.ndarray]:
    """A word code for ``WEIGHTS``, and their codes."""
    stored = Protection(name, ber).fit(WEIGHTS, BYTE)
    code = storage_code(stored.spec, BYTE)
    assert isinstance(code, WordCode)
    return code, stored.round(WEIGHTS)


NAMES = ["bch64-45", "bch64-39", "bch64-40-32", "flip64-40-32", "flip128-80-64-3-5", "ols64-44-25-2"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("ber", [1e-3, 1e-2, 5e-2])
def test_no_label_and_no_value_is_better(name: str, ber: float) -> None:
    """The two conditions of an optimum: each weight has the best label, each label read the mean of its weights."""
    code, codes = fitted(name, ber)
    per_word = code.weights_per_word
    np.testing.assert_array_equal(code.decode(code.encode(codes.reshape(-1, per_word))), codes.reshape(-1, per_word))
    places = np.resize(code.shape.kind_of, WEIGHTS.shape[1])
    for i, kind in enumerate(code.shape.kinds):
        channel = word_channel(kind, code.block.residual(ber, kind.protected), ber)
        np.testing.assert_allclose(channel.sum(axis=1), 1)
        values, size = code.decoders[i].astype(float), 1 << kind.bits
        steps = (WEIGHTS[:, places == i] / BYTE.lsb).reshape(-1)
        labels = code.encoders[i][codes[:, places == i].reshape(-1) - BYTE.min_code]

        def error(
            labels: np.ndarray, values: np.ndarray, steps: np.ndarray = steps, channel: np.ndarray = channel
        ) -> float:
            return float((channel[labels] * np.square(steps[:, None] - values)).sum(axis=1).mean())

        def best(steps: np.ndarray, values: np.ndarray = values, channel: np.ndarray = channel) -> np.ndarray:
            return np.argmin(channel @ np.square(values) - 2 * steps[:, None] * (channel @ values), axis=1)

        # The graph holds codes, so that of two labels with one value each weight of it has the same one.
        assert error(labels, values) <= 1.05 * error(best(steps), values)
        # The table is fitted to the whole layer, not to the weights alone that have this kind of label.
        every = (WEIGHTS / BYTE.lsb).reshape(-1)
        labels = best(every)
        read = np.bincount(labels, minlength=size) @ channel
        means = np.bincount(labels, every, size) @ channel / np.maximum(read, 1e-300)
        means = np.clip(np.rint(means), BYTE.min_code, BYTE.max_code)
        assert error(labels, values, every) <= 1.05 * error(labels, means, every)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("ber", [1e-2, 5e-2])
def test_errors_that_are_drawn_are_those_that_are_expected(name: str, ber: float) -> None:
    code, codes = fitted(name, ber)
    stored = code.encode(codes.reshape(-1, code.weights_per_word))
    steps = WEIGHTS / BYTE.lsb
    squares = []
    for seed in range(40):
        words, masks = sample_ber([Memory("m", len(stored), code.bits)], ber, seed).masks("m")
        read = stored.copy()
        read[words] ^= masks
        squares.append(np.mean(np.square(code.decode(read).reshape(WEIGHTS.shape) - steps)))
    expected, places = 0.0, np.resize(code.shape.kind_of, WEIGHTS.shape[1])
    for i, kind in enumerate(code.shape.kinds):
        channel = word_channel(kind, code.block.residual(ber, kind.protected), ber)
        labels = code.encoders[i][codes[:, places == i] - BYTE.min_code]
        expected += float((channel[labels] * np.square(steps[:, places == i, None] - code.decoders[i])).sum())
    # Where many words fail, the model knows neither of miscorrections nor of flips that come together in a label.
    beyond = 0.0 if ber < 0.05 else 0.2 * expected / WEIGHTS.size
    assert abs(np.mean(squares) - expected / WEIGHTS.size) < 4 * np.std(squares) / np.sqrt(len(squares)) + beyond
