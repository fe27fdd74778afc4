"""Published codes: what each corrects, detects and reads, against theory and against decoders written otherwise."""

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwflow.campaign.spec import CampaignSpec
from hwflow.campaign.spec_file import parse_spec
from hwflow.codes import CodeSpec, Protection, Repeated, StorageCode, Table, WordCode, storage_code
from hwflow.codes.bch import Bch
from hwflow.codes.byte import codewords
from hwflow.codes.byte import fit as fit_byte
from hwflow.codes.protection import Loss
from hwflow.codes.registry import read_back
from hwflow.codes.words import pack, to_integers, unpack
from hwflow.cost.packing import packing
from hwflow.errors import HwflowError
from hwflow.faults import sample_ber
from hwflow.fixed import FixedType
from hwflow.float_study import StoredLayer, float_protection
from hwflow.float_study.words import FP16, FP32, FloatFormat, weight_format
from hwflow.graph import Graph
from hwflow.hardening import HardenOptions, harden
from hwflow.memory import memories
from hwflow.reference import IntegerExecutor
from hwflow.rtl.decoders import code_parameters
from tests.networks import random_graph, random_images, random_options
from tests.unit.test_codes import flipped
from tests.unit.test_cosq import WEIGHTS, channel
from tests.unit.test_memory import read_whole

BYTE = FixedType(8, 3)
LOSSY = ("parity", "mset", "mset2", "cep", "cep3", "zero-space", "value-aware")
FITTED = ("byte7:1e-2", "byte6:1e-3", "byte5:1e-2")


def code_of(name: str, type_: FixedType = BYTE) -> StorageCode:
    return storage_code(CodeSpec(name), type_)


def fit(
    name: str, weights: np.ndarray, type_: FixedType, bits: int, ber: float
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The tables, and the codes that the weights become."""
    found = fit_byte(name, weights, type_, bits, ber)
    return found.tables, found.grid(0).round(weights / type_.lsb)


def every_word(bits: int) -> np.ndarray:
    return pack(np.arange(1 << bits)[:, None], bits)


def signed(word: int, width: int = 8) -> int:
    return word - (1 << width) * (word >> (width - 1))


def read_parity(word: str) -> str | None:
    return None if word.count("1") % 2 else word


def read_mset(word: str) -> str:
    return str(int((word[0] + word[6:]).count("1") > 1)) + word[1:6] + "00"


def read_mset2(word: str) -> str:
    first = int((word[0] + word[4:6]).count("1") > 1)
    second = int((word[1] + word[6:8]).count("1") > 1)
    return f"{first}{second}{word[2:4]}0000"


def read_cep(word: str) -> str:
    chunks = [(word[:3], word[6]), (word[3:6], word[7])]
    return "".join("000" if (bits + check).count("1") % 2 else bits for bits, check in chunks) + "00"


def read_cep3(word: str) -> str:
    chunks = [(word[:2], word[5]), (word[2:4], word[6]), (word[4:5], word[7])]
    return "".join("0" * len(bits) if (bits + check).count("1") % 2 else bits for bits, check in chunks) + "000"


READERS: dict[str, Callable[[str], str | None]] = {
    "parity": read_parity,
    "mset": read_mset,
    "mset2": read_mset2,
    "cep": read_cep,
    "cep3": read_cep3,
}


class TestBytes:
    @pytest.mark.parametrize("name", READERS)
    def test_every_word_reads_as_its_bits_say(self, name: str) -> None:
        code = code_of(name)
        read = code.decode(every_word(8))[:, 0]
        expected = [READERS[name](f"{word:08b}") for word in range(256)]
        assert read.tolist() == [0 if bits is None else signed(int(bits, 2)) for bits in expected]
        assert isinstance(code, Table)
        assert code.bits == 8

    @pytest.mark.parametrize("name", READERS)
    def test_weights_become_the_nearest_that_there_is(self, name: str) -> None:
        code = code_of(name)
        words = code.encode(np.arange(-128, 128)[:, None])
        assert not code.detected(words).any()
        clean = [signed(int(READERS[name](f"{word:08b}") or "0", 2)) for word in np.unique(words[:, 0])]
        away = np.abs(code.decode(words)[:, 0] - np.arange(-128, 128))
        np.testing.assert_array_equal(away, np.abs(np.arange(-128, 128)[:, None] - clean).min(axis=1))
        assert set(code.decode(every_word(8)[~code.detected(every_word(8))])[:, 0].tolist()) <= set(range(-128, 128))

    def test_what_is_detected(self) -> None:
        words = every_word(8)
        odd = np.array([word.bit_count() % 2 == 1 for word in range(256)])
        np.testing.assert_array_equal(code_of("parity").detected(words), odd)
        assert code_of("cep").detected(words).sum() == 192
        assert not code_of("mset").detected(words).any()
        for bits in (7, 6, 5):
            tables, _ = fit("byte", WEIGHTS, BYTE, bits, 1e-2)
            code = storage_code(CodeSpec(f"byte{bits}", tables), BYTE)
            known = code.detected(words)
            assert known.sum() == 256 - (1 << bits)
            assert not known[codewords(bits)].any()

    @pytest.mark.parametrize("bits", [7, 6, 5])
    def test_codes_are_linear_and_tell_the_top_bits_apart(self, bits: int) -> None:
        words = set(codewords(bits).tolist())
        assert len(words) == 1 << bits
        assert {a ^ b for a, b in combinations(words, 2)} | {0} == words
        # One flip of a protected bit leaves the code, and with 5 bits of label the top three look like no other's.
        protected = {7: 2, 6: 3, 5: 4}[bits]
        assert all(word ^ (1 << 7 - i) not in words for i in range(protected) for word in words)
        if bits == 5:
            cosets = [min(word ^ 1 << place for word in words) for place in range(8)]
            assert [cosets.count(coset) for coset in cosets[:-5:-1]] == [1, 1, 1, 2]

    @pytest.mark.parametrize("ber", [1e-3, 1e-2, 0.1])
    @pytest.mark.parametrize("bits", [7, 6, 5])
    def test_a_byte_reads_as_the_mean_of_what_it_may_be(self, bits: int, ber: float) -> None:
        """Weights so few and so far apart that each has a label of its own, and the means are exact."""
        values = np.array([-100, -61, -23, -2, 0, 9, 40, 77])
        counts = np.array([1, 2, 5, 60, 90, 20, 4, 1])
        tables, codes = fit("byte", np.repeat(values, counts) * BYTE.lsb, BYTE, bits, ber)
        words = tables["encoder"][codes - BYTE.min_code]
        noise = channel(8, ber)[words]
        means = np.repeat(values, counts) @ noise / noise.sum(axis=0)
        near = np.abs(means - np.rint(means)) < 0.499  # a half may be rounded either way
        np.testing.assert_array_equal(tables["decoder"][near], np.rint(means)[near])

    @pytest.mark.parametrize("ber", [1e-3, 1e-2])
    def test_more_checks_for_more_noise(self, ber: float) -> None:
        """The expected error with each, against plain bytes; the tables are optimal for the labels that they have."""
        noise, steps, errors = channel(8, ber), WEIGHTS / BYTE.lsb, {}
        for bits in (7, 6, 5):
            tables, codes = fit("byte", WEIGHTS, BYTE, bits, ber)
            read = noise[tables["encoder"][codes - BYTE.min_code]]
            errors[bits] = (read * np.square(steps[:, None] - tables["decoder"])).sum(axis=1).mean()
            means = np.clip(np.rint(steps @ read / read.sum(axis=0)), BYTE.min_code, BYTE.max_code)
            assert errors[bits] <= 1.05 * (read * np.square(steps[:, None] - means)).sum(axis=1).mean()
        plain = noise[BYTE.encode(WEIGHTS) & 255] * np.square(steps[:, None] - [signed(word) for word in range(256)])
        assert max(errors.values()) < 0.4 * plain.sum(axis=1).mean()
        assert ber < 1e-2 or errors[5] < errors[7]

    def test_tables_of_another_code_are_refused(self) -> None:
        tables, _ = fit("byte7", WEIGHTS, BYTE, 7, 1e-2)
        with pytest.raises(HwflowError, match="byte6: its encoder has words that are not of this code"):
            storage_code(CodeSpec("byte6", tables), BYTE)
        with pytest.raises(HwflowError, match="'byte7' cannot decode with no tables"):
            code_of("byte7")


class TestRepeated:
    @settings(deadline=None, max_examples=40)
    @given(st.integers(1, 21), st.booleans(), st.data())
    def test_each_copied_bit_survives_a_flip(self, width: int, is_signed: bool, data: st.DataObject) -> None:
        high = data.draw(st.integers(1, width))
        code = Repeated(FixedType(width, 3, is_signed), high)
        codes = np.random.default_rng(width).integers(code.type.min_code, code.type.max_code, (30, 1), endpoint=True)
        words = code.encode(codes)
        assert all(number >> code.bits == 0 for number in to_integers(words))
        np.testing.assert_array_equal(unpack(words, width, 1, is_signed), codes)
        # One flip in any copy of each of the copied bits, all at once.
        copies = np.random.default_rng(high).integers(3, size=(30, high))
        places = np.where(copies == 0, width - high, width + (copies - 1) * high) + np.arange(high)
        np.testing.assert_array_equal(code.decode(flipped(words, places)), codes)

    def test_two_flips_of_a_bit_win_the_vote(self) -> None:
        code = code_of("tmr")
        assert (code.bits, code_of("repeat2").bits) == (24, 12)
        pairs = np.array(list(combinations(range(24), 2)))
        codes = np.random.default_rng(1).integers(-128, 128, (len(pairs), 1))
        wrong = code.decode(flipped(code.encode(codes), pairs))[:, 0] & 255 ^ codes[:, 0] & 255
        same = pairs[:, 0] % 8 == pairs[:, 1] % 8
        np.testing.assert_array_equal(wrong, np.where(same, 1 << pairs[:, 0] % 8, 0))

    def test_bits_that_are_not_copied_are_read_as_they_are(self) -> None:
        code = code_of("repeat3")
        words = code.encode(np.zeros((5, 1), dtype=np.int64))
        np.testing.assert_array_equal(code.decode(flipped(words, np.arange(5)[:, None]))[:, 0], 1 << np.arange(5))


class TestInPlace:
    def test_the_distance_of_57_is_four(self) -> None:
        """No two columns are the same, no three add up to zero, some four do; all columns of odd weight are taken."""
        checks = Bch(64, 57).checks(np.eye(57, dtype=np.uint8))
        columns = np.packbits(checks, axis=1, bitorder="little")[:, 0].tolist()
        columns = sorted([*columns, *(1 << r for r in range(7))])
        assert columns == [column for column in range(128) if column.bit_count() % 2]
        sums = {a ^ b for a, b in combinations(columns, 2)}
        assert 0 not in sums
        assert sums.isdisjoint(columns)
        assert len(sums) < comb(64, 2)

    def test_single_errors_are_corrected_and_double_errors_detected(self) -> None:
        code = code_of("zero-space")
        assert isinstance(code, WordCode)
        assert (code.bits, code.weights_per_word) == (64, 8)
        rng = np.random.default_rng(2)
        limits = np.array([128, *[64] * 7])
        codes = rng.integers(-limits, limits, (64, 8))
        words = flipped(code.encode(codes), np.arange(64)[:, None])
        np.testing.assert_array_equal(code.decode(words), codes)
        assert not code.detected(words).any()
        pairs = np.array(list(combinations(range(64), 2)))
        words = flipped(code.encode(rng.integers(-limits, limits, (len(pairs), 8))), pairs)
        assert code.detected(words).all()
        # Three flips have the syndrome of some bit: all are miscorrected.
        triples = np.array(list(combinations(range(64), 3)))[::7]
        codes = rng.integers(-limits, limits, (len(triples), 8))
        words = flipped(code.encode(codes), triples)
        assert not code.detected(words).any()

    def test_weights_that_do_not_fit_are_clamped_and_counted(self) -> None:
        weights = np.array([[-100, 100, 63, 64, -64, -65, 0, 127, 127, 5]]) * BYTE.lsb
        stored = Protection.parse("zero-space").fit(weights, BYTE)
        codes = stored.round(weights)
        assert codes.tolist() == [[-100, 63, 63, 63, -64, -64, 0, 63, 127, 5]]
        assert not stored.spec.tables
        loss = Loss.of(weights, BYTE, codes)
        assert (loss.weights, loss.moved, loss.rounding) == (10, 4, 0.0)
        assert loss.square == pytest.approx((37**2 + 1 + 1 + 64**2) / 10)
        both = Loss.sum([loss, Loss(30, 1, 2.0, 1.0)])
        assert (both.weights, both.moved, both.rounding) == (40, 5, 0.75)
        assert both.square == pytest.approx((10 * loss.square + 60) / 40)

    def test_large_weights_are_marked(self) -> None:
        codes = np.repeat(np.arange(-128, 128)[:, None], 8, axis=1)
        read = code_of("value-aware").decode(code_of("value-aware").encode(codes))
        small = np.abs(codes) < np.array([32, 32, *[16] * 6])
        np.testing.assert_array_equal(read[small], codes[small])
        kept = np.abs(codes) < 127
        step = np.array([4, 4, *[8] * 6])
        middle = np.sign(codes) * (np.abs(codes) // step * step + step // 2)
        off = np.abs(read - codes)
        assert (off[kept] <= np.abs(middle - codes)[kept]).all()
        assert (off.max(axis=0) <= step // 2).all()

    def test_double_errors_of_50_are_corrected(self) -> None:
        code = code_of("value-aware")
        assert (code.bits, code.weights_per_word) == (64, 8)
        pairs = np.array(list(combinations(range(64), 2)))
        codes = np.random.default_rng(4).integers(-128, 128, (len(pairs), 8))
        clean = code.decode(code.encode(codes))
        np.testing.assert_array_equal(code.decode(flipped(code.encode(codes), pairs)), clean)
        np.testing.assert_array_equal(code.decode(flipped(code.encode(codes), pairs[:, :1])), clean)


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(LOSSY), st.integers(1, 12), st.booleans(), st.integers(0, 99))
def test_what_is_kept_comes_back_or_the_width_is_refused(name: str, width: int, is_signed: bool, seed: int) -> None:
    type_ = FixedType(width, 3, is_signed)
    least = {"parity": 2, "mset": 3, "mset2": 6, "cep": 2, "cep3": 6}.get(name, 1)
    fits = least <= width <= 10
    if name == "zero-space":
        fits = width in (2, 4, 8)
    if name == "value-aware":
        fits = (width, is_signed) == (8, True)
    if not fits:
        with pytest.raises(HwflowError, match=rf"^[^\n]*\b{width}\b[^\n]*$"):
            code_of(name, type_)
        return
    code = code_of(name, type_)
    codes = np.random.default_rng(seed).integers(type_.min_code, type_.max_code, (3, 50), endpoint=True)
    kept = read_back(code, codes)
    np.testing.assert_array_equal(read_back(code, kept), kept)
    assert all(number >> code.bits == 0 for number in to_integers(code.encode(kept[:, : code.weights_per_word])))
    assert kept.min() >= type_.min_code
    assert kept.max() <= type_.max_code


def hardened(seed: int, storage: str) -> Graph:
    graph, options = random_graph(seed), random_options(seed)
    scaling = replace(options.scaling, outliers=0.0, weight_type=BYTE)
    return harden(graph, random_images(seed, graph, 4), replace(options, scaling=scaling, storage=storage)).graph


@pytest.mark.parametrize(("seed", "storage"), enumerate([*LOSSY, *FITTED, "repeat2", "tmr"]))
def test_a_network_computes_with_what_its_memories_read(seed: int, storage: str) -> None:
    graph = hardened(seed, storage)
    data, arrays = graph.to_dict()
    graph = Graph.from_dict(data, arrays)
    executor = IntegerExecutor(graph)
    codes = executor.encode(random_images(seed, graph, 3))
    clean = executor.run(codes)
    np.testing.assert_array_equal(
        clean, IntegerExecutor(read_whole(graph, sample_ber(memories(graph), 0.0, 0, graph.digest))).run(codes)
    )
    faults = sample_ber(memories(graph), 0.05, seed, graph.digest)
    np.testing.assert_array_equal(executor.run(codes, faults), IntegerExecutor(read_whole(graph, faults)).run(codes))


def test_weights_that_a_code_lacks_are_refused() -> None:
    graph = hardened(1, "parity")
    layer = graph.weight_layers[0]
    codes = layer.weight.codes
    codes.reshape(-1)[0] = 1
    damaged = replace(layer, weight=layer.weight.from_codes(codes, BYTE))
    with pytest.raises(HwflowError, match="its weights are not among those that its storage code parity has"):
        Graph(tuple(damaged if node is layer else node for node in graph), graph.name)


def test_losses_are_told_by_layer() -> None:
    graph = random_graph(2)
    options = random_options(2)
    scaling = replace(options.scaling, outliers=0.0, weight_type=BYTE)
    options = replace(options, scaling=scaling, storage="zero-space")
    result = harden(graph, random_images(2, graph, 4), options)
    assert list(result.losses) == [layer.name for layer in result.graph.weight_layers]
    plain = harden(graph, random_images(2, graph, 4), replace(options, storage="plain"))
    assert not plain.losses
    for before, after in zip(plain.graph.weight_layers, result.graph.weight_layers, strict=True):
        moved = np.count_nonzero(before.weight.codes != after.weight.codes)
        assert result.losses[after.name].moved == moved
    assert sum(loss.moved for loss in result.losses.values())


def test_the_rtl_says_which_codes_it_lacks() -> None:
    layer = hardened(3, "tmr").weight_layers[0]
    with pytest.raises(HwflowError, match=f"{layer.name}: the RTL has no decoder of storage code 'tmr'"):
        code_parameters(layer, packing(layer, "weight", 1, 1))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("byte4", "labels have 5, 6, 7 bits, not 4"),
        ("byte", "not of the form byteK"),
        ("mset0", "must be 1 or more"),
        ("mset3", "weights of 8 bits have no room for it; it takes 9 or more"),
        ("cep5", "weights of 8 bits have no room for it; it takes 10 or more"),
        ("repeat9", "weights of 8 bits have fewer to repeat"),
        ("parity:1e-2", "parity is not fitted; leave out :1e-2"),
        ("tmr2", "not of the form tmr"),
    ],
)
def test_what_cannot_be_asked_for(text: str, words: str) -> None:
    with pytest.raises(HwflowError, match=words):
        HardenOptions(storage=text)


def test_outliers_need_a_code_that_has_all_weights() -> None:
    scaling = replace(HardenOptions().scaling, outliers=0.1)
    with pytest.raises(HwflowError, match="'zero-space' does not have the weights that outliers complete"):
        HardenOptions(scaling, storage="zero-space")
    assert HardenOptions(scaling, storage="tmr").protections.lossless


def float_words(format_: FloatFormat) -> np.ndarray:
    if format_ is FP16:
        return np.arange(1 << 16, dtype=np.uint64)
    return np.random.default_rng(9).integers(1 << 32, size=20_000, dtype=np.uint64)


class TestFloats:
    @pytest.mark.parametrize("format_", [FP16, FP32])
    @pytest.mark.parametrize("high", [1, 3])
    def test_votes(self, format_: FloatFormat, high: int) -> None:
        protection = float_protection(f"mset{high}", format_)
        words = float_words(format_)
        for word, read in zip(words[::7].tolist(), protection.decode(words[::7]).tolist(), strict=True):
            text = f"{word:0{format_.bits}b}"
            votes = [
                text[1 + i] + text[format_.bits - 2 * (high - i)] + text[format_.bits - 2 * (high - i) + 1]
                for i in range(high)
            ]
            voted = "".join(str(int(vote.count("1") > 1)) for vote in votes)
            assert f"{read:0{format_.bits}b}" == text[0] + voted + text[1 + high : -2 * high] + "0" * 2 * high

    @pytest.mark.parametrize(("format_", "name", "size"), [(FP16, "cep", 3), (FP32, "cep", 3), (FP16, "cep2", 7)])
    def test_chunks(self, format_: FloatFormat, name: str, size: int) -> None:
        protection = float_protection(name, format_)
        words = float_words(format_)
        count = format_.bits // (size + 1)
        for word, read in zip(words[::7].tolist(), protection.decode(words[::7]).tolist(), strict=True):
            text = f"{word:0{format_.bits}b}"
            chunks = [text[i * size : (i + 1) * size] for i in range(count)]
            checks = text[-count:]
            kept = ["0" * size if (c + p).count("1") % 2 else c for c, p in zip(chunks, checks, strict=True)]
            assert f"{read:0{format_.bits}b}" == "".join(kept) + "0" * count

    @pytest.mark.parametrize(
        ("format_", "name", "t"),
        [
            (FP16, "bch128-106-48", 3),
            (FP16, "bch128-116-48", 2),
            (FP32, "bch256-227-72", 4),
            (FP32, "bch256-191-72", 8),
        ],
    )
    def test_blocks_correct_t_flips_and_null_what_they_detect(self, format_: FloatFormat, name: str, t: int) -> None:
        protection = float_protection(name, format_)
        assert protection.together == 8
        rng = np.random.default_rng(6)
        patterns = format_.encode(rng.normal(size=(300, 8)))
        stored = protection.encode(patterns)
        clean = protection.decode(stored)
        protected = [*range(format_.bits - (6 if format_ is FP16 else 9), format_.bits)]
        for flips in (1, t, t + 1):
            read = stored.copy()
            for row in range(len(read)):
                for place in rng.choice(8 * len(protected), flips, replace=False):
                    read[row, place // len(protected)] ^= np.uint64(1 << protected[place % len(protected)])
            got = protection.decode(read)
            if flips <= t:
                np.testing.assert_array_equal(got, clean)
            else:
                assert (got == 0).all(axis=1).mean() > 0.5

    @pytest.mark.parametrize("format_", [FP16, FP32])
    @pytest.mark.parametrize("name", ["mset", "mset4", "cep", "bch"])
    def test_weights_are_rounded_to_the_nearest(self, format_: FloatFormat, name: str) -> None:
        blocks = {"fp16": "bch128-116-48", "fp32": "bch256-227-72"}
        protection = float_protection(blocks[format_.name] if name == "bch" else name, format_)
        values = np.random.default_rng(8).normal(size=(500, protection.together))
        values[0] = np.finfo(format_._float).max
        kept = protection.decode(protection.encode(format_.encode(values)))
        np.testing.assert_array_equal(protection.decode(protection.encode(kept)), kept)
        lost = {"mset": 2, "mset4": 8, "cep": format_.bits // 4, "bch": 2 if format_ is FP16 else 4}[name]
        read, exact = format_.decode(kept), format_.decode(format_.encode(values))
        mantissa = format_.bits - format_.exponent_bits - 1
        assert (
            np.abs(read - exact)[1:] <= 2.0 ** (lost - mantissa - 1) * np.exp2(np.floor(np.log2(np.abs(exact[1:]))))
        ).all()
        assert np.isfinite(read).all()

    @pytest.mark.parametrize("name", ["mset2", "cep", "bch128-106-48"])
    def test_what_faults_touch_is_what_the_whole_memory_reads(self, name: str) -> None:
        weights = np.random.default_rng(1).normal(size=(3, 3, 5, 7)).astype(np.float32)
        protection = float_protection(name, FP16)
        layer = StoredLayer("a", weights, np.array([0.5]), FP16, "none", protection)
        faults = sample_ber([layer.memory], 0.02, 1)
        stored = layer.words()
        assert stored.shape == (7 * -(-45 // protection.together) * protection.together,)
        words, masks = faults.masks("a.weight")
        stored[words] ^= masks.view("<u2")[:, 0]
        rows = stored.reshape(7, -1, protection.together)
        read = np.stack([protection.decode(row).reshape(-1)[:45] for row in rows])
        whole = (FP16.decode(read) / 0.5).astype(np.float32).T.reshape(weights.shape)
        kernel = layer.read().copy()
        np.testing.assert_allclose(kernel, weights, rtol=0.05)
        positions, values = layer.upset(faults)
        assert len(set(positions.tolist())) == len(positions)
        kernel.reshape(-1)[positions] = values
        np.testing.assert_array_equal(kernel, whole)
        assert not len(layer.upset(sample_ber([layer.memory], 0.0, 1))[0])

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"protections": ["plain", "mset"]}, "msb: 'mset' protects the most significant exponent bit itself; set"),
            ({"protections": ["cep99"], "msb": "none"}, "protections: cep99: fp16 has room for at most 8 parities"),
            ({"protections": ["mset6"], "msb": "none"}, "protections: mset6: of fp16 at most 5 exponent bits"),
            ({"protections": ["secded"], "msb": "none"}, "'secded' is not one of fp16; choose one of plain, mset"),
            ({"protections": ["bch128-36-36"], "msb": "none"}, "more bits than the mantissas of fp16 have"),
            ({"protections": ["bch128-120-48"], "msb": "none"}, "no BCH code of 56 bits has 48 data bits"),
            ({"protections": ["mset"], "formats": ["ap_fixed<8,3>"]}, "storage codes need executor = 'reference'"),
            ({"protections": ["mset"], "executor": "reference"}, "formats: fp16 runs in the float executor only"),
            ({"protections": ["rot13"], "msb": "none"}, "'rot13' is unknown"),
        ],
    )
    def test_what_a_campaign_cannot_combine(self, change: dict[str, object], words: str) -> None:
        with pytest.raises(HwflowError, match=words) as caught:
            parse_spec({"formats": ["fp16"], **change})
        assert "\n" not in str(caught.value)

    def test_a_campaign_takes_them(self) -> None:
        spec = CampaignSpec(formats=("fp16",), protections=("plain", "mset", "cep4", "bch128-106-48"), msb="none")
        assert spec.protections[-1] == "bch128-106-48"
        assert float_protection("plain", weight_format("ap_fixed<8,3>")) is None
