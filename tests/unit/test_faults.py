"""Fault lists: sampling, masks, the file format and its errors."""

import json
import pickle

import numpy as np
import pytest

from hwflow.errors import HwflowError
from hwflow.faults import FaultList, Memory, chosen, sample_ber, sample_count

MEMORIES = (Memory("conv1", 50, 8), Memory("conv2", 1000, 13), Memory("dense", 3, 64))
TOTAL = 50 * 8 + 1000 * 13 + 3 * 64


def places(faults: FaultList) -> set[tuple[int, int, int]]:
    return set(zip(faults.memory.tolist(), faults.word.tolist(), faults.bit.tolist(), strict=True))


class TestSampling:
    def test_seed_determines_the_list(self):
        first = sample_ber(MEMORIES, 0.01, 7, "abc")
        assert first == sample_ber(MEMORIES, 0.01, 7, "abc")
        assert first != sample_ber(MEMORIES, 0.01, 8, "abc")
        assert (first.seed, first.model_hash, first.source) == (7, "abc", {"kind": "ber", "ber": 0.01})
        assert sample_count(MEMORIES, 20, 7) == sample_count(MEMORIES, 20, 7)

    def test_faults_are_sorted_distinct_and_inside(self):
        faults = sample_count(MEMORIES, 5000, 3)
        rows = list(zip(faults.memory, faults.word, faults.bit, strict=True))
        assert rows == sorted(set(rows))
        assert len(rows) == len(faults) == 5000
        assert sum(faults.counts().values()) == 5000
        assert (faults.memory.dtype, faults.word.dtype, faults.bit.dtype) == (np.int32, np.int64, np.int16)

    @pytest.mark.parametrize("ber", [1e-3, 0.05, 0.5])
    def test_number_of_flips_is_binomial(self, ber):
        draws = 400
        counts = np.array([len(sample_ber(MEMORIES, ber, seed)) for seed in range(draws)])
        variance = TOTAL * ber * (1 - ber)
        assert abs(counts.mean() - TOTAL * ber) < 4 * np.sqrt(variance / draws)
        assert abs(counts.var() / variance - 1) < 4 * np.sqrt(2 / draws)

    @pytest.mark.parametrize("n", [5, 60])
    def test_every_bit_is_equally_likely(self, n):
        """Chi-squared over all bits of two small memories; few flips and almost all."""
        memories = (Memory("a", 4, 5), Memory("b", 6, 8))
        draws = 4000
        hits = np.zeros((2, 6, 8))
        for seed in range(draws):
            faults = sample_count(memories, n, seed)
            hits[faults.memory, faults.word, faults.bit] += 1
        seen = np.concatenate([hits[0, :4, :5].ravel(), hits[1].ravel()])
        assert seen.sum() == hits.sum() == draws * n
        rate = n / 68
        chi_squared = ((seen - draws * rate) ** 2 / (draws * rate * (1 - rate))).sum()
        assert abs(chi_squared - 68) < 4 * np.sqrt(2 * 68)

    def test_flips_are_independent_of_each_other(self):
        """Pairs of bits flip together as often as the product of their rates says."""
        memory = (Memory("a", 1, 6),)
        flipped = np.zeros((4000, 6))
        for seed in range(len(flipped)):
            flipped[seed, sample_ber(memory, 0.3, seed).bit] = 1
        correlation = np.corrcoef(flipped.T) - np.eye(6)
        assert np.abs(correlation).max() < 4.5 / np.sqrt(len(flipped))

    def test_extremes(self):
        assert len(sample_ber(MEMORIES, 0.0, 1)) == 0
        assert len(sample_ber(MEMORIES, 1.0, 1)) == TOTAL
        assert len(sample_count(MEMORIES, TOTAL, 1)) == TOTAL
        assert len(sample_ber((), 0.5, 1)) == 0

    def test_sparse_in_a_large_memory(self):
        memories = [Memory(f"layer{i}", 1_250_000, 8) for i in range(20)]
        faults = sample_ber(memories, 1e-4, 1)
        assert 19_000 < len(faults) < 21_000
        assert min(faults.counts().values()) > 850

    @pytest.mark.parametrize("ber", [-1e-9, 1.1, float("nan"), float("inf")])
    def test_bit_error_rate_out_of_range(self, ber):
        with pytest.raises(HwflowError, match="bit error rate must be 0 to 1"):
            sample_ber(MEMORIES, ber, 1)

    @pytest.mark.parametrize("n", [-1, TOTAL + 1])
    def test_impossible_count(self, n):
        with pytest.raises(HwflowError, match=f"cannot flip {n} of {TOTAL} stored bits"):
            sample_count(MEMORIES, n, 1)

    def test_negative_seed(self):
        with pytest.raises(HwflowError, match="seed must not be negative"):
            sample_ber(MEMORIES, 0.1, -1)


class TestChosen:
    def test_any_order(self):
        faults = chosen(MEMORIES, [("dense", 2, 63), ("conv1", 7, 1), ("conv1", 7, 0)])
        assert places(faults) == {(0, 7, 0), (0, 7, 1), (2, 2, 63)}
        assert faults.word.tolist() == [7, 7, 2]
        assert faults.counts() == {"conv1": 2, "conv2": 0, "dense": 1}
        assert faults.seed is None

    def test_none(self):
        assert len(chosen(MEMORIES, [])) == 0

    @pytest.mark.parametrize(
        ("bits", "message"),
        [
            ([("conv9", 0, 0)], "no memory is named 'conv9'; there are conv1, conv2, dense"),
            ([("conv1", 50, 0)], "word 50, bit 0 is outside memory 'conv1' of 50 words of 8 bits"),
            ([("conv1", 0, 8)], "word 0, bit 8 is outside memory 'conv1'"),
            ([("conv1", 0, 65536)], "bit 65536 is outside"),
            ([("conv1", -1, 0)], "word -1, bit 0 is outside"),
            ([("conv1", 1, 2), ("dense", 0, 0), ("conv1", 1, 2)], "'conv1': word 1, bit 2 is listed twice"),
        ],
    )
    def test_refused(self, bits, message):
        with pytest.raises(HwflowError, match=message):
            chosen(MEMORIES, bits)


class TestFaultList:
    def test_one_memory(self):
        faults = sample_count(MEMORIES, 3000, 1)
        words, bits = faults.for_memory("conv2")
        assert len(words) == faults.counts()["conv2"]
        assert {(1, *place) for place in zip(words, bits, strict=True)} < places(faults)
        with pytest.raises(HwflowError, match="no memory is named 'other'"):
            faults.for_memory("other")

    def test_masks(self):
        faults = chosen(MEMORIES, [("dense", 0, 63), ("dense", 2, 0), ("dense", 0, 1)])
        words, masks = faults.masks("dense")
        assert (words.tolist(), masks.tolist()) == ([0, 2], [[2, 0, 0, 0, 0, 0, 0, 128], [1] + [0] * 7])
        assert (words.dtype, masks.dtype) == (np.int64, np.uint8)
        words, masks = faults.masks("conv1")
        assert words.size == masks.size == 0

    @pytest.mark.parametrize("bits", [1, 7, 8, 9, 64, 72, 261])
    def test_masks_hold_every_fault(self, bits):
        memory = Memory("wide", 50, bits)
        faults = sample_count((memory,), min(40 * bits, 300), bits)
        words, masks = faults.masks("wide")
        assert masks.shape == (len(words), -(-bits // 8))
        rows, places = np.nonzero(np.unpackbits(masks, axis=1, bitorder="little"))
        np.testing.assert_array_equal(words[rows], faults.word)
        np.testing.assert_array_equal(places, faults.bit)

    def test_arrays_are_read_only(self):
        faults = sample_count(MEMORIES, 3, 1)
        with pytest.raises(ValueError, match="read-only"):
            faults.word[0] = 0

    def test_pickle(self):
        faults = sample_count(MEMORIES, 30, 1)
        assert pickle.loads(pickle.dumps(faults)) == faults

    def test_repr_is_short(self):
        assert "flips=3000, bits=13592, memories=3" in repr(sample_count(MEMORIES, 3000, 1))

    def test_two_memories_of_one_name(self):
        with pytest.raises(HwflowError, match="two memories are named 'a'"):
            sample_ber((Memory("a", 1, 1), Memory("a", 2, 1)), 0.1, 1)

    @pytest.mark.parametrize(("words", "bits"), [(0, 8), (-1, 8), (8, 0), (8, 40000)])
    def test_memory_sizes(self, words, bits):
        with pytest.raises(HwflowError, match="is not a memory"):
            Memory("a", words, bits)

    def test_columns_must_match(self):
        with pytest.raises(HwflowError, match="as many"):
            FaultList(MEMORIES, np.array([0, 0]), np.array([1]), np.array([1]))
        with pytest.raises(HwflowError, match="'word' must be a list of integers"):
            FaultList(MEMORIES, np.array([0]), np.array([0.5]), np.array([1]))
        with pytest.raises(HwflowError, match=r"memory index outside 0\.\.2"):
            FaultList(MEMORIES, np.array([3]), np.array([0]), np.array([1]))

    @pytest.mark.parametrize(
        ("memories", "model_hash", "message"),
        [
            (MEMORIES[:2], "abc", "no memory 'dense'"),
            ((*MEMORIES, Memory("new", 1, 1)), "abc", "it has no memory 'new'"),
            ((*MEMORIES[:2], Memory("dense", 4, 64)), "abc", "the design 4 words of 64 bits"),
            (MEMORIES[::-1], "abc", "another order"),
            (MEMORIES, "abd", "model hash abc, not abd"),
        ],
    )
    def test_check_refuses_another_design(self, memories, model_hash, message):
        with pytest.raises(HwflowError, match=message):
            sample_count(MEMORIES, 3, 1, "abc").check(memories, model_hash)

    def test_check_accepts_its_design(self):
        sample_count(MEMORIES, 3, 1, "abc").check(list(MEMORIES), "abc")
        sample_count(MEMORIES, 3, 1).check(MEMORIES, "abc")


class TestFile:
    @pytest.mark.parametrize(
        "faults",
        [
            sample_ber(MEMORIES, 0.1, 3, "abc"),
            sample_count(MEMORIES, 0, 3),
            chosen(MEMORIES, [("dense", 0, 5)], "abc"),
            chosen((Memory("large", 1 << 60, 4),), [("large", (1 << 60) - 1, 3)]),
        ],
        ids=["ber", "none", "chosen", "large"],
    )
    def test_round_trip(self, faults, tmp_path):
        path = tmp_path / "faults.json"
        faults.save(path)
        loaded = FaultList.load(path)
        assert loaded == faults
        assert loaded.seed == faults.seed
        assert list(tmp_path.iterdir()) == [path]

    def test_is_plain_json_and_compact(self, tmp_path):
        path = tmp_path / "faults.json"
        faults = sample_count([Memory("a", 25_000_000, 8)], 20_000, np.int64(3), "abc")
        faults.save(path)
        assert path.stat().st_size < 250_000
        document = json.loads(path.read_text())
        assert document["format"] == "hwflow fault list"
        assert (document["version"], document["seed"], document["model_hash"]) == (1, 3, "abc")
        assert document["memories"] == [{"name": "a", "words": 25_000_000, "bits": 8, "flips": 20_000}]
        assert document["faults"]["a"]["word"] == faults.word.tolist()

    def test_save_replaces_whole_files_only(self, tmp_path):
        path = tmp_path / "faults.json"
        sample_count(MEMORIES, 3, 1).save(path)
        before = path.read_text()
        unserialisable = FaultList((), np.array([]), np.array([]), np.array([]), source={"kind": object()})
        with pytest.raises(TypeError):
            unserialisable.save(path)
        assert path.read_text() == before
        assert list(tmp_path.iterdir()) == [path]

    def test_cannot_write(self, tmp_path):
        with pytest.raises(HwflowError, match=r"nowhere.*cannot be written"):
            sample_count(MEMORIES, 3, 1).save(tmp_path / "nowhere" / "faults.json")

    def test_missing(self, tmp_path):
        with pytest.raises(HwflowError, match=r"fault list .*none\.json: cannot be read \(No such file"):
            FaultList.load(tmp_path / "none.json")

    @pytest.mark.parametrize("keep", [0, 1, 100, -2])
    def test_truncated(self, keep, tmp_path):
        path = tmp_path / "faults.json"
        sample_count(MEMORIES, 30, 1).save(path)
        path.write_text(path.read_text()[:keep])
        with pytest.raises(HwflowError, match=r"faults\.json: damaged"):
            FaultList.load(path)

    def test_binary(self, tmp_path):
        path = tmp_path / "faults.json"
        path.write_bytes(b"\xff\xfe\x00\x80")
        with pytest.raises(HwflowError, match=r"faults\.json: damaged"):
            FaultList.load(path)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda d: d.update(format="other"), "not a fault list"),
            (lambda d: d.update(version=2), "version 2 is not supported, only 1 is"),
            (lambda d: d.pop("version"), "version None is not supported"),
            (lambda d: d.pop("memories"), "the field 'memories' is missing"),
            (lambda d: d.pop("model_hash"), "the field 'model_hash' is missing"),
            (lambda d: d.update(seed="three"), "the field 'seed' is 'three', not of type int"),
            (lambda d: d.update(source=[]), "the field 'source'"),
            (lambda d: d["memories"][0].pop("words"), "the field 'words' is missing"),
            (lambda d: d["memories"][0].update(words=True), "the field 'words' is True"),
            (lambda d: d["memories"][0].update(words=0), "0 words of 8 bits is not a memory"),
            (lambda d: d["memories"].append("x"), "the field 'name' is missing"),
            (lambda d: d["memories"][0].update(name="conv9"), "unknown memory 'conv1'"),
            (lambda d: d["memories"][1].update(name="conv1"), "two memories are named 'conv1'"),
            (lambda d: d["memories"][0].update(flips=1), "'conv1' should have 1 flips, the file lists 2"),
            (lambda d: d["faults"]["conv1"]["word"].__setitem__(0, 50), "word 50, bit 1 is outside memory 'conv1'"),
            (lambda d: d["faults"]["conv1"]["bit"].__setitem__(0, 8), "bit 8 is outside"),
            (lambda d: d["faults"]["conv1"]["bit"].__setitem__(0, 2**70), "'bit' must be a list of integers"),
            (lambda d: d["faults"]["conv1"]["word"].__setitem__(0, 2**63), "'word' must be a list of integers"),
            (lambda d: d["faults"]["conv1"]["word"].__setitem__(0, 0.5), "'word' must be a list of integers"),
            (lambda d: d["faults"]["conv1"]["word"].__setitem__(0, [1, 2]), "'word' must be a list of integers"),
            (lambda d: d["faults"]["conv1"]["word"].append(1), "as many"),
            (lambda d: d["faults"]["conv1"].pop("bit"), "the field 'bit' is missing"),
            (lambda d: d["faults"].update(conv1=3), "the field 'word' is missing"),
            (lambda d: d["faults"]["conv1"].update(word=[4, 4], bit=[1, 1]), "listed twice"),
        ],
    )
    def test_edited(self, change, message, tmp_path):
        path = tmp_path / "faults.json"
        chosen(MEMORIES, [("conv1", 3, 1), ("conv1", 5, 2)], "abc").save(path)
        document = json.loads(path.read_text())
        change(document)
        path.write_text(json.dumps(document))
        with pytest.raises(HwflowError, match=message) as error:
            FaultList.load(path)
        assert "faults.json" in str(error.value)
        assert "\n" not in str(error.value)

    def test_other_json(self, tmp_path):
        path = tmp_path / "faults.json"
        path.write_text("[1, 2]")
        with pytest.raises(HwflowError, match="this JSON file is not a fault list"):
            FaultList.load(path)
