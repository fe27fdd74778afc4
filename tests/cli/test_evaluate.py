"""hwflow evaluate: accuracies, fault lists, and bad input."""

import json
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from hwflow.data import load_digits
from hwflow.faults import FaultList
from hwflow.faults.models import restrict
from hwflow.folders.design import open_design
from hwflow.reference import IntegerExecutor
from tests.cli.conftest import hwflow, left_in


def evaluate(design, tmp_path, *options):
    path = tmp_path / "result.json"
    hwflow("evaluate", design, "--data", "digits", "--json", path, *options).succeeds()
    return json.loads(path.read_text())


def test_clean_accuracy(design, tmp_path):
    result = evaluate(design, tmp_path)
    digits, executor = load_digits(), IntegerExecutor(open_design(design).graph)
    correct = np.count_nonzero(executor.run(executor.encode(digits.images)).argmax(-1) == digits.labels)
    assert result["clean"] == {"mean": pytest.approx(100 * correct / 500), "std": 0, "rounds": 1, "images": 500}
    assert result["clean"]["mean"] > 97
    assert result["faulted"] is None
    assert result["draws"] == []


def test_images_with_another_preprocessing_are_told_of(design, tmp_path):
    digits = load_digits()
    path = tmp_path / "bytes.npz"
    np.savez(path, x=255 * digits.images, y=digits.labels)
    result = evaluate(design, tmp_path)
    assert (result["inputs"]["saturated"], result["inputs"]["calibrated"]) == (0, [0, 1])
    for command in (("evaluate",), ("simulate", "--simulator", "icarus")):
        json_path = tmp_path / "result.json"
        options = ("--data", path, "--images", "2", "--json", json_path)
        out = hwflow(command[0], design, *options, *command[1:]).succeeds()
        (line,) = (line for line in out.splitlines() if line.startswith("warning: "))
        assert "of the input values saturate: they span 0 to 255" in line
        assert "the same preprocessing as in calibration" in line
        inputs = json.loads(json_path.read_text())["inputs"]
        assert inputs["saturated"] > 0.3 * inputs["values"]


def test_accuracy_under_faults(design, tmp_path):
    result = evaluate(design, tmp_path, "--ber", "1e-2", "--rounds", "4", "--images", "100", "--seed", "5")
    accuracies = [draw["accuracy"] for draw in result["draws"]]
    assert result["faulted"]["rounds"] == 4
    assert result["faulted"]["images"] == 100
    assert result["faulted"]["mean"] == pytest.approx(np.mean(accuracies))
    assert result["faulted"]["std"] == pytest.approx(np.std(accuracies, ddof=1))
    assert result["stored_bits"] == 8 * 8424
    assert all(500 < draw["flips"] < 850 for draw in result["draws"])
    assert result == evaluate(design, tmp_path, "--ber", "1e-2", "--rounds", "4", "--images", "100", "--seed", "5")
    other = evaluate(design, tmp_path, "--ber", "1e-2", "--rounds", "4", "--images", "100", "--seed", "6")
    assert other["draws"] != result["draws"]


def test_a_round_does_not_depend_on_the_number_of_rounds(design, tmp_path):
    few = evaluate(design, tmp_path, "--ber", "1e-3", "--rounds", "1", "--images", "20")
    more = evaluate(design, tmp_path, "--ber", "1e-3", "--rounds", "3", "--images", "20")
    assert few["draws"] == more["draws"][:1]
    assert few["faulted"]["std"] == 0


def test_saved_fault_lists_are_replayed(design, tmp_path):
    lists = tmp_path / "lists"
    drawn = evaluate(
        design, tmp_path, "--ber", "5e-2", "--rounds", "2", "--images", "50", "--save-faults", lists, "--faulty-biases"
    )
    assert left_in(lists) == {"round-0.json", "round-1.json"}
    replayed = evaluate(design, tmp_path, "--faults", lists / "round-1.json", "--images", "50")
    assert replayed["draws"] == drawn["draws"][1:]
    assert any(memory.name.endswith(".bias") for memory in FaultList.load(lists / "round-1.json").memories)


@pytest.mark.parametrize("layers", [["*"], ["block2_*", "logits"]], ids=["all", "late"])
def test_kept_activations_change_no_byte(design, tmp_path, monkeypatch, layers):
    lists = tmp_path / "lists"
    evaluate(design, tmp_path, "--ber", "2e-2", "--rounds", "1", "--images", "1", "--save-faults", lists)
    restrict(FaultList.load(lists / "round-0.json"), layers).save(tmp_path / "few.json")
    options = ("--faults", tmp_path / "few.json", "--images", "70")
    kept = evaluate(design, tmp_path, *options)
    text = (tmp_path / "result.json").read_bytes()
    assert kept["faulted"] != kept["clean"]
    monkeypatch.setattr("hwflow.executors.MAX_BATCH", 32)
    monkeypatch.setattr(
        IntegerExecutor,
        "clean_prefix",
        lambda executor, codes, *_: SimpleNamespace(run=partial(executor.run, codes)),
    )
    assert evaluate(design, tmp_path, *options) == kept
    assert (tmp_path / "result.json").read_bytes() == text


def test_faults_in_some_layers(design, tmp_path):
    options = ("--ber", "2e-2", "--rounds", "2", "--images", "60")
    everywhere = evaluate(design, tmp_path, *options)
    parts = [evaluate(design, tmp_path, *options, "--layers", "block*", "--layers", "conv1")]
    parts.append(evaluate(design, tmp_path, *options, "--layers", "logits"))
    assert parts[0]["layers"] == ["block*", "conv1"]
    assert everywhere["layers"] is None
    assert sum(part["stored_bits"] for part in parts) == everywhere["stored_bits"]
    for index, draw in enumerate(everywhere["draws"]):
        assert sum(part["draws"][index]["flips"] for part in parts) == draw["flips"]
        assert {part["draws"][index]["seed"] for part in parts} == {draw["seed"]}


def test_the_keras_network(design, tmp_path):
    result = evaluate(design, tmp_path, "--executor", "keras")
    assert result["clean"]["mean"] > 97
    hwflow("evaluate", design, "--data", "digits", "--executor", "keras", "--ber", "0.1").fails_with("reference")


def test_a_user_data_set(design, tmp_path):
    digits = load_digits().head(30)
    np.savez(tmp_path / "mine.npz", x=digits.images, y=digits.labels)
    hwflow("evaluate", design, "--data", tmp_path / "mine.npz", "--json", tmp_path / "j.json").succeeds()
    assert json.loads((tmp_path / "j.json").read_text())["clean"]["images"] == 30


def test_an_accuracy_of_guessing_is_said(design, tmp_path):
    digits = load_digits()
    np.savez(tmp_path / "turned.npz", x=digits.images[:100], y=(digits.labels[:100] + 1) % 10)
    out = hwflow("evaluate", design, "--data", tmp_path / "turned.npz").succeeds()
    assert "warning: without faults, " in out
    assert "no better than guessing among 10 classes" in out
    asked = ("advise", "digits_cnn", "--data", tmp_path / "turned.npz", "--images", "100", "--ber", "1e-2")
    hwflow(*asked).fails_with("digits_cnn: without faults and in float", "no better than guessing")
    assert "guessing" not in hwflow("evaluate", design, "--data", "digits", "--images", "100").succeeds()


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x": np.zeros((3, 8, 8, 2)), "y": np.zeros(3, int)}, ["(3, 8, 8, 2)", "(N, 8, 8, 1)"]),
        ({"x": np.zeros((3, 8, 8, 1))}, ["labels"]),
        ({"x": np.zeros((3, 8, 8, 1)), "y": np.array([0, 1, 10])}, ["class 10"]),
        ({"x": np.full((3, 8, 8, 1), np.nan), "y": np.zeros(3, int)}, ["NaN"]),
        ({"images": np.zeros((3, 8, 8, 1))}, ["'x'"]),
    ],
)
def test_data_that_do_not_fit(design, tmp_path, arrays, words):
    np.savez(tmp_path / "bad.npz", **arrays)
    hwflow("evaluate", design, "--data", tmp_path / "bad.npz").fails_with("bad", *words)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--data", "nowhere.npz"], ["nowhere.npz"]),
        (["--data", "digits", "--images", "501"], ["501", "500"]),
        (["--data", "digits", "--ber", "0.1", "--faults", "f.json"], ["not both"]),
        (["--data", "digits", "--faults", "f.json"], ["f.json"]),
        (["--data", "digits", "--layers", "conv1"], ["bit error rate"]),
        (["--data", "digits", "--ber", "0.1", "--layers", "conv9"], ["conv9", "block1_conv1"]),
        (["--data", "digits", "--save-faults", "lists"], ["bit error rate"]),
        (["--data", "digits", "--executor", "csim", "--project", "nowhere"], ["nowhere", "hwflow generate"]),
        (["--data", "digits", "--json", "nowhere/result.json"], ["nowhere", "does not exist"]),
    ],
)
def test_options_that_cannot_be(design, options, words):
    hwflow("evaluate", design, *options).fails_with(*words)


@pytest.mark.parametrize(
    "options",
    [
        ["--data", "digits", "--ber", "1.5"],
        ["--data", "digits", "--seed", "-1"],
        ["--data", "digits", "--rounds", "0"],
        [],
    ],
)
def test_wrong_usage_is_one_line_and_status_two(design, options):
    hwflow("evaluate", design, *options).fails_with("--", status=2)


def test_a_fault_list_of_another_design(design, tmp_path):
    hwflow("harden", "digits_qcnn", "-o", tmp_path / "other").succeeds()
    lists = tmp_path / "lists"
    evaluate(tmp_path / "other", tmp_path, "--ber", "1e-3", "--rounds", "1", "--images", "1", "--save-faults", lists)
    result = hwflow("evaluate", design, "--data", "digits", "--faults", lists / "round-0.json")
    result.fails_with("another design")


def test_csim_without_a_compiler(design, monkeypatch):
    monkeypatch.setenv("PATH", "")
    hwflow("evaluate", design, "--data", "digits", "--executor", "csim").fails_with("g++", "apt-get install g++")
