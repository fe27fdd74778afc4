"""The benchmarks of storage codes start, and the documentation shows what they measured."""

import subprocess
import sys
from pathlib import Path

import pytest

from hwflow.cost.decoders import DSP, MULTIPLIER, DecoderCost, costs, decoder_cost

ROOT = Path(__file__).resolve().parents[2]
BENCHMARKS = ROOT / "benchmarks"


def printed(*command: str) -> str:
    script, *options = command
    arguments = [sys.executable, BENCHMARKS / f"{script}.py", *options]
    return subprocess.run(arguments, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("name", ["codes", "decoders", "memory"])
def test_it_explains_itself(name: str) -> None:
    assert "usage:" in printed(name, "--help")


def test_codes_are_ranked() -> None:
    assert "bch32-" in printed("codes", "--like", "bch32-21", "--seeds", "1", "--also")


def test_the_documentation_shows_what_decoders_cost() -> None:
    table = printed("decoders", "--markdown")
    assert table.count("\n") == 2 + len(costs())
    assert all(each.cycles == 1 for each in costs().values())  # which it shows flip-flops, latency and rate of
    assert table in (ROOT / "docs" / "protections.md").read_text()


def test_a_multiplier_is_no_code() -> None:
    assert decoder_cost(MULTIPLIER) is None
    assert (costs()[DSP].luts, costs()[DSP].dsp) == (0, 1)
    assert costs()[MULTIPLIER].luts > 0


def test_a_decoder_serves_as_many_weights_as_a_word_has() -> None:
    folded = [DecoderCost("any", 16, cycles, luts, 0, 0.0, 0, 9, None) for cycles, luts in ((2, 60), (16, 20))]
    cost = DecoderCost("any", 16, 1, 100, 0, 0.0, 0, 5, None, tuple(folded))
    assert [cost.luts_for(each) for each in (1, 2, 8, 9, 16, 17, 64)] == [20, 60, 60, 100, 100, 200, 400]
    assert cost.serving(8) == (1, folded[0])
    assert (cost.luts_a_weight, folded[0].luts_a_weight, folded[1].luts_a_weight) == (6.25, 7.5, 20)
