"""Storage codes by layer, and what the decoders make of the words that are hit."""

from dataclasses import replace

import numpy as np
import pytest

from hwflow.codes import Protection, Protections
from hwflow.errors import HwflowError
from hwflow.faults import chosen, sample_ber
from hwflow.fixed import FixedType
from hwflow.hardening import HardenOptions, ScalingOptions, harden
from hwflow.memory import WordCounts, count_words, memories
from tests.networks import random_graph, random_images

BYTE = FixedType(8, 3)


def test_the_first_pattern_that_matches_counts() -> None:
    rules = Protections.parse("conv1=secded, conv*=bch64-45:1e-3,*=cosq")
    assert str(rules.of("conv1")) == "secded"
    assert str(rules.of("conv2")) == "bch64-45:0.001"
    assert str(rules.of("dense")) == "cosq:0.01"
    assert rules.bits(BYTE) == 72
    assert rules.fitted
    assert not Protections.parse("conv*=secded").fitted
    assert str(Protections.parse("conv*=secded").of("dense")) == "plain"
    assert Protections.parse("secded").of("anything") == Protection("secded")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("conv*=bch64-45,cosq", "'cosq' is not of the form PATTERN=NAME"),
        ("=secded", "'=secded' is not of the form PATTERN=NAME"),
        ("a=secded,", "'' is not of the form PATTERN=NAME"),
        ("a=rot13", "'rot13' is unknown"),
        ("bch64", "not of the form bchN-K"),
        ("bch64-45:0", "above 0 and at most 0.5"),
        ("bch64-45:0.7", "above 0 and at most 0.5"),
        ("bch64-44", "no BCH code of 64 bits has 44 data bits; near it are those of"),
        ("bch60-41", "weights of 8 bits do not fill words of 60 bits"),
        ("bch64-7", "each takes 1 to 8 bits"),
        ("", "'' is unknown"),
    ],
)
def test_what_cannot_be_asked_for(text: str, words: str) -> None:
    with pytest.raises(HwflowError, match=words):
        HardenOptions(storage=text)


def test_codes_go_to_their_layers() -> None:
    graph = random_graph(3)
    images = random_images(3, graph, 4)
    scaling = ScalingOptions(saturate=True)
    first = graph.weight_layers[0].name
    typed = harden(graph, images, HardenOptions(scaling, storage=f"{first}=bch64-45:1e-3,*=secded")).graph
    assert [layer.storage.name for layer in typed.weight_layers] == [
        "bch64-45" if layer.name == first else "secded" for layer in typed.weight_layers
    ]
    with pytest.raises(HwflowError, match=r"no layer matches 'none\*' of the storage codes; there are"):
        harden(graph, images, HardenOptions(scaling, storage="none*=secded,*=cosq"))


@pytest.mark.parametrize(
    ("storage", "flips", "expected"),
    [
        ("plain", 1, WordCounts(0, 0, 1)),
        ("secded", 1, WordCounts(1, 0, 0)),
        ("secded", 2, WordCounts(0, 1, 0)),
        ("bch64-45", 3, WordCounts(1, 0, 0)),
        ("bch64-45", 4, WordCounts(0, 1, 0)),
        ("parity", 1, WordCounts(0, 1, 0)),
    ],
)
def test_words_are_counted_by_what_becomes_of_them(storage: str, flips: int, expected: WordCounts) -> None:
    graph = random_graph(3)
    scaling = replace(ScalingOptions(saturate=True), weight_type=BYTE)
    typed = harden(graph, random_images(3, graph, 4), HardenOptions(scaling, storage=storage)).graph
    memory = memories(typed)[0]
    bits = np.random.default_rng(1).choice(memory.bits, flips, replace=False)
    faults = chosen(memories(typed), [(memory.name, 0, int(bit)) for bit in bits], typed.digest)
    assert count_words(typed, faults) == expected


def test_every_word_that_is_hit_is_counted_once() -> None:
    graph = random_graph(8)
    images = random_images(8, graph, 4)
    typed = harden(graph, images, HardenOptions(ScalingOptions(saturate=True), storage="bch32-21")).graph
    faults = sample_ber(memories(typed), 0.05, 1, typed.digest)
    hit = sum(len(faults.masks(memory.name)[0]) for memory in memories(typed))
    counts = count_words(typed, faults)
    assert counts.corrected + counts.detected + counts.silent == hit
    assert min(counts.corrected, counts.detected, counts.silent) > 0
