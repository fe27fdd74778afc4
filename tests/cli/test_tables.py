"""What is printed fits the terminal: rows stay whole, numbers too, and what is left out is named."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
from rich.cells import cell_len

from hwflow.campaign.advised import Advice, Candidate, Tried
from hwflow.cli._console import print_command, print_line, print_table
from hwflow.cli._layout import fit, shorten, wrapped
from hwflow.cli._tables import (
    print_area,
    print_compared,
    print_deviations,
    print_evaluation,
    print_layers,
    print_pace,
    print_plan,
    print_state_upsets,
    print_tools,
)
from hwflow.cli.paper import print_accuracies
from hwflow.cli.studies import _print_advice
from hwflow.cost.layers import LayerCost
from hwflow.doctor import TOOLS, Finding
from hwflow.memory import WordCounts
from hwflow.stages.classification import ExecutorAccuracy, Score
from hwflow.stages.comparison import Compared, Comparison
from hwflow.stages.deviation import Deviation
from hwflow.stages.evaluate import Accuracy, Draw, Evaluation
from hwflow.stages.upsets import Share
from tests.cli.conftest import hwflow

NAME = "block1_shortcut"
LONG = "functional_1/stage4_block2_bottleneck/separable_conv2d_12_project"


def layers(name: str) -> None:
    print_layers([LayerCost(name, 4608, 16, 128, 4608, 16384, 73728.5, 147456, 1234, 567, 45678)])


def area(name: str) -> None:
    row = {"luts": 123456, "flip_flops": 234567, "dsp": 1234, "block_ram": 1023.5, "uram": 96}
    source = {"family": "xcup", "total": row, "layers": {name: row}}
    print_area({"estimate": source, "synthesis": source, "weights": {name: "block RAM"}})


def plan(name: str) -> None:
    row = {
        "name": name, "weights": 2359296, "max_abs": 0.634521, "c": 9.477123, "c_largest": 12.981234,
        "log2_scale": 13.9234, "bits_used": 8, "quantisation_error": 0.012345, "alignment": 0.790512,
        "outliers": 23593, "side_bits": 613418,
    }  # fmt: skip
    check = dict.fromkeys(
        ("images", "same_class", "largest_error", "mean_error", "output_range", "unscaled_error"), 1.0
    )
    manifest = {
        "plan": {"outliers": 1, "side_bits": 2, "rescales": (), "notes": ()},
        "options": {"weights": "ap_fixed<8,3>", "storage": "plain"},
        "calibration": {"images": 256, "data": "digits", "preprocessing": None, "unreadable": ()},
        "check": {**check, "warning": None},
    }
    design: Any = SimpleNamespace(graph=SimpleNamespace(name="net"), manifest=manifest, layers=lambda: [row])
    print_plan(design)


def evaluation(name: str) -> None:
    top = Accuracy(98.76, 0.71, 100, 50000)
    result: Any = SimpleNamespace(
        clean=top, clean_top5=top, faulted=top, faulted_top5=top, draws=[Draw(0, 123456, 98.0)], engine=None,
        unreadable=(), inputs=None, words=WordCounts(),
    )  # fmt: skip
    print_evaluation("net on imagenet/val", result, f"lists/{name}.json")


def deviations(name: str) -> None:
    found = Deviation(123.4567, 0.0123, 100.5, 100, 50000)
    result: Any = SimpleNamespace(clean=found, faulted=found, draws=[Draw(0, 123456, 0.0)])
    print_deviations("net on data.npz", result, f"lists/{name}.json")


def compared(name: str) -> None:
    faults = f"BER 0.001, {name}"
    score = Score(faults, 0, 123456, 50000, 98.76, 99.12, 0.1, 1234567)
    accuracy = {each: ExecutorAccuracy(None, None, (score,)) for each in ("keras", "reference", "rtl", "csim")}
    print_compared("net", Compared((Comparison("verilator", faults, 9, 9, 9, 0, 7375872.0),), accuracy, {}, ()))


def codes(name: str) -> None:
    compared_only = Comparison("verilator", f"BER 0.001, {name}", 123456, 50000, 500000, 1234567, 7375872.0)
    print_compared("net", Compared((compared_only,), {}, {}, ()))


def upsets(name: str) -> None:
    outcomes = {"masked": 1, "wrong logits": 2, "wrong class": 3, "hang": 4}
    row = {
        "cell": f"hwflow_{name}",
        "kind": "flip-flops",
        "bits": 1363626,
        "upsets": 100000,
        **outcomes,
        "recovered": 5,
    }
    measured = SimpleNamespace(first=3028, last=3603, per_run=9, run_cycles=7635)
    share = Share.of(3, 10)
    result: Any = SimpleNamespace(
        cells=lambda: [row], outcomes={"masked": share}, recovered=share, measured=measured, trials=[]
    )
    print_state_upsets("net on digits", result)


def tools(name: str) -> None:
    path = f"/home/user/.venv/lib/python3.11/site-packages/{name}/bin/g++"
    print_tools([Finding(tool, "12.2.0-14+deb12u1", path) for tool in TOOLS], "AVX2")


def accuracies(name: str) -> None:
    row = {
        "model": name, "format": "ap_fixed<8,3>", "t": 3.9375, "ber": 0.00012, "mean": 98.765, "std": 12.345,
        "low": 12.345, "high": 100.0, "rounds": 100, "images": 50000, "published": 75.25,
    }  # fmt: skip
    print_accuracies("Top-1 accuracy", [row], published=True)


def advice(name: str) -> None:
    candidate = Candidate(f"flip256-160-96-2-5:0.01,{name}", "channel", 0.1, 9.789, 1084.2, 32)
    tried = Tried(candidate, 12.34, 56.78, -12.34, 98.76)
    _print_advice(Advice(name, 0.01, 1.0, 99.0, 500, 4, (candidate,), (tried,), (tried,), tried, tried))


PRINTED: Mapping[str, tuple[Callable[[str], None], str]] = {
    "layers": (layers, "4608 147456"),
    "area": (area, "123,456 1,234"),
    "plan": (plan, "2359296 0.6345"),
    "evaluation": (evaluation, "98.76 0.71"),
    "deviations": (deviations, "123.5 100.50"),
    "compared": (compared, "98.76 99.12 1234567 7375872"),
    "codes": (codes, "500000 1234567 7375872"),
    "upsets": (upsets, "100000 10.78"),
    "tools": (tools, ""),
    "accuracies": (accuracies, "98.77 12.35 100.00"),
    "advice": (advice, "56.78 -12.34 98.76"),
}


def printed(capsys: pytest.CaptureFixture[str], columns: int, call: Callable[[], None]) -> str:
    with patch.dict(os.environ, COLUMNS=str(columns)):
        call()
    return capsys.readouterr().out


def rows_of(text: str) -> list[str]:
    """Lines of tables: headers, which are as long as the rule below them, and all that follows up to a blank line."""
    found = []
    for part in text.split("\n\n"):
        lines = part.splitlines()
        rule = next((at for at, line in enumerate(lines) if line.startswith("───")), None)
        if rule is not None:
            first = rule
            while first and len(lines[first - 1]) == len(lines[rule]):
                first -= 1
            found += lines[first:]
    return found


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("name", [NAME, LONG], ids=["short", "long"])
@pytest.mark.parametrize("kind", PRINTED)
def test_a_table_fits(capsys: pytest.CaptureFixture[str], kind: str, name: str, columns: int) -> None:
    call, numbers = PRINTED[kind]
    lines = rows_of(printed(capsys, columns, lambda: call(name)))
    assert lines
    assert [line for line in lines if cell_len(line) > columns and not line.startswith("(")] == []
    kept = " ".join(lines).split()
    assert [each for each in numbers.split() if each not in kept] == []


def test_what_has_no_room_is_left_out_in_order_and_named(capsys: pytest.CaptureFixture[str]) -> None:
    def call() -> None:
        print_table("T", ("name", "first", "second"), [("a" * 20, 1234567890, 1234567890)], spare=("second", "first"))

    wide, narrow, narrowest = (printed(capsys, columns, call) for columns in (44, 43, 30))
    assert "left out" not in wide
    assert "(43 columns: second left out; --json FILE has all)" in narrow
    assert "(30 columns: second, first left out; --json FILE has all)" in narrowest
    assert narrow.splitlines()[1].split() == ["name", "first"]


def test_a_rate_is_reached_or_not(capsys: pytest.CaptureFixture[str]) -> None:
    pace = {"one_image": 35887, "image_to_image": 11104.0}
    cycles = "RTL: 11,104 cycles from image to image; about 35,887 for one image alone\n"
    assert printed(capsys, 80, lambda: print_pace(pace, None, None)) == cycles
    just, above = 100e6 / 11104, 100e6 / 11103
    out = printed(capsys, 80, lambda: print_pace(pace, just, 100.0))
    assert out == cycles + "rate: 9,006 images/s at 100 MHz, 9,006 images/s asked for: reached\n"
    assert "NOT reached, which takes 100.01 MHz" in printed(capsys, 80, lambda: print_pace(pace, above, 100.0))
    assert "not known" in printed(capsys, 80, lambda: print_pace(None, above, 100.0))
    assert printed(capsys, 80, lambda: print_pace(None, None, None)) == ""


def test_the_engine_is_named_where_it_is_slow(capsys: pytest.CaptureFixture[str]) -> None:
    top = Accuracy(98.76, 0.71, 1, 500)
    result = Evaluation("digits", "reference", top, None, (), 8, engine="compiled int8 kernels (AVX2), 19 of 19 nodes")
    assert "reference: " not in printed(capsys, 80, lambda: print_evaluation("net", result, "none"))
    for engine in ("NumPy float64: no compiler", "compiled kernels, 18 of 19 nodes; NumPy for the rest: Dot"):
        slow = replace(result, engine=engine)
        assert f"reference: {engine}" in printed(capsys, 80, lambda slow=slow: print_evaluation("net", slow, "none"))


def test_numbers_stand_right_words_left(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [("a", 1, "1.50", None), ("long", -22, "10.25", 3)]
    lines = printed(capsys, 80, lambda: print_table("T", ("name", "whole", "text", "missing"), rows)).splitlines()
    assert lines[3] == "a         1   1.50        -"
    assert lines[4] == "long    -22  10.25        3"


def test_any_table_fits_unless_its_numbers_do_not() -> None:
    """Random tables: rows as wide as allowed, headers' words and numbers whole, names told from one another."""
    rng = random.Random(0)
    for _ in range(300):
        columns = tuple(
            " ".join("h" * rng.randint(1, 9) for _ in range(rng.randint(1, 3))) + str(at) for at in range(6)
        )
        names = ["n" * rng.randint(1, 60) + str(at) for at in range(3)]
        rows = [(name, *(rng.randint(0, 10 ** rng.randint(1, 9)) for _ in columns[1:])) for name in names]
        spare = tuple(rng.sample(columns[1:], rng.randint(0, 5)))
        fitted = fit(columns, rows, width := rng.randint(75, 110), spare)
        assert fitted.left_out == spare[: len(fitted.left_out)]
        assert fitted.width <= width
        for header, room in zip(fitted.columns, fitted.widths, strict=True):
            assert max(map(len, header.split())) <= room
        kept = [columns.index(each) for each in fitted.columns]
        for shown, row in zip(fitted.rows, rows, strict=True):
            assert list(shown[1:]) == [str(row[at]) for at in kept[1:]]
        assert len({row[0] for row in fitted.rows}) == len(names)


def test_names_lose_their_middle() -> None:
    assert shorten("block1_conv1", 12) == "block1_conv1"
    assert shorten("functional_1/conv2", 9) == "func…onv2"
    assert shorten("層層層層層", 6) == "層…層"


def test_sentences_break_between_words_and_paths_never() -> None:
    path = "/a/very-long/" + "p" * 90
    assert wrapped(f"design: {path} ({'x' * 6})", 80) == ["design:", f"  {path}", f"  ({'x' * 6})"]


def test_a_command_is_one_line_and_so_is_a_sentence_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    command = "hwflow harden net.h5 -o design " + "--option value " * 20
    assert printed(capsys, 80, lambda: print_command(command)) == f"  {command}\n"
    assert printed(capsys, 80, lambda: print_line("word " * 40)) == "word " * 40 + "\n"


@pytest.mark.slow
def test_no_command_prints_a_wider_table(design: Path, tmp_path: Path) -> None:
    """What really comes out of the commands, at 80 columns."""
    options = ["--granularity", "channel", "--outliers", "0.01"]
    data = ["--data", "digits", "--images", "20"]
    commands: list[list[object]] = [
        ["harden", "digits_cnn", "-o", tmp_path / "d", *options],
        ["generate", tmp_path / "d", "--estimate", "--target-fps", "1e5", "--clock", "100"],
        ["evaluate", design, *data, "--ber", "1e-3"],
        ["sensitivity", design, *data],
        ["advise", "digits_cnn", *data, "--ber", "1e-2", "--tried", "3"],
        ["emulate", design / "model.h5", "--random", "3"],
        ["paper", "fig2", "--rounds", "100"],
        ["paper", "fig3", *data, "--rounds", "2", "--format", "ap_fixed<8,3>"],
        ["paper", "logits", *data, "--ber", "1e-3", "--rounds", "2"],
        ["doctor"],
    ]
    for command in commands:
        rows = rows_of(hwflow(*command, columns=80).succeeds())
        assert rows
        assert [line for line in rows if cell_len(line) > 80 and not line.startswith("(")] == [], command[0]
