"""What the bench says of accuracy: on the terminal, in the JSON, in cocotb's report and by the exit status."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import hwflow as api
from hwflow.data import load_digits
from tests.cli.conftest import hwflow, seal

IMAGES = 40
BENCH = {"stream_images", "codes_equal_the_reference", "accuracy_keeps_its_limits"}


@pytest.fixture(scope="module")
def design(keras: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One dense layer that tells digits apart: the least squares fit of their one-hot labels."""
    folder = tmp_path_factory.mktemp("linear")
    train = load_digits("train")
    pixels = np.hstack([train.images.reshape(len(train), -1), np.ones((len(train), 1))])
    solution = np.linalg.lstsq(pixels, np.eye(10)[train.labels], rcond=None)[0]
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10, name="logits")])
    model.set_weights([solution[:-1], solution[-1]])
    model.save(folder / "linear.h5")
    hwflow("harden", folder / "linear.h5", "--calibration", "digits", "-o", folder / "design").succeeds()
    return folder / "design"


@pytest.fixture(scope="module")
def project(design: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rtl") / "project"
    hwflow("generate", design, "-o", folder, "--no-firmware").succeeds()
    return folder


def simulate(design: Path, project: Path, *options: object, data: object = "digits"):
    return hwflow(
        "simulate", design, "--data", data, "--images", IMAGES, "--simulator", "icarus", "--project", project, *options
    )


def failed_tests(report: Path) -> dict[str, set[str]]:
    """The failed tests of every suite, by its name."""
    suites = ElementTree.parse(report).getroot()
    assert all({case.get("name") for case in suite.iter("testcase")} == BENCH for suite in suites)
    return {
        suite.get("name", ""): {
            case.get("name", "") for case in suite.iter("testcase") if case.find("failure") is not None
        }
        for suite in suites
    }


def test_the_accuracies_are_those_of_evaluate(design, project, tmp_path):
    path, report = tmp_path / "result.json", tmp_path / "bench.xml"
    options = ["--ber", "1e-2", "--rounds", "2", "--seed", "5"]
    out = simulate(design, project, *options, "--max-loss", "90", "--json", path, "--xunit", report).succeeds()
    result = json.loads(path.read_text())
    by_executor = result["accuracy"]
    evaluated = api.evaluate(design, "digits", ber=1e-2, rounds=2, seed=5, images=IMAGES)
    floats = api.evaluate(design, "digits", executor="keras", images=IMAGES)
    assert set(by_executor) == {"keras", "reference", "rtl"}
    assert by_executor["keras"]["clean"]["mean"] == floats.clean.mean
    assert by_executor["keras"]["faulted"] is None
    for name in ("reference", "rtl"):
        rows = by_executor[name]["conditions"]
        assert by_executor[name]["clean"]["mean"] == evaluated.clean.mean
        assert by_executor[name]["faulted"]["mean"] == evaluated.faulted.mean
        assert by_executor[name]["faulted"]["rounds"] == 2
        assert [row["top1"] for row in rows[1:]] == [draw.accuracy for draw in evaluated.draws]
        assert [row["seed"] for row in rows] == [None, *(draw.seed for draw in evaluated.draws)]
        assert all(row["loss"] == floats.clean.mean - row["top1"] for row in rows)
        assert all(row["images"] == IMAGES for row in rows)
    assert result["differing_codes"] == 0
    assert [row["differing_codes"] for row in by_executor["rtl"]["conditions"]] == [0, 0, 0]
    assert result["limits"] == {"max_loss": 90.0, "min_accuracy": None}
    names = ["none", "BER 0.01, round 0", "BER 0.01, round 1"]
    assert [row["faults"] for row in result["comparisons"]] == names
    assert failed_tests(report) == {name: set() for name in names}
    assert f"{evaluated.clean.mean:.2f}" in out
    assert "Keras, float" in out
    assert f"RTL, icarus {evaluated.faulted}" in out


def test_a_missed_limit_fails_and_is_named(design, project, tmp_path):
    path, report = tmp_path / "result.json", tmp_path / "bench.xml"
    files = ["--json", path, "--xunit", report]
    result = simulate(design, project, "--ber", "0.05", "--max-loss", "5", *files)
    rows = json.loads(path.read_text())["accuracy"]["rtl"]["conditions"]
    assert rows[0]["loss"] <= 5 < rows[1]["loss"]
    result.fails_with("--max-loss 5", f"top-1 {rows[1]['top1']:.2f} %", f"{rows[1]['loss']:.2f} points")
    assert failed_tests(report) == {"none": set(), "BER 0.05": {"accuracy_keeps_its_limits"}}
    result = simulate(design, project, "--ber", "0.05", "--min-accuracy", "90", "--xunit", report)
    result.fails_with("--min-accuracy 90", f"top-1 {rows[1]['top1']:.2f} %")
    assert failed_tests(report) == {"none": set(), "BER 0.05": {"accuracy_keeps_its_limits"}}


def test_a_planted_error_fails_the_cocotb_tests_and_the_command(design, tmp_path):
    other, report = tmp_path / "project", tmp_path / "bench.xml"
    hwflow("generate", design, "-o", other, "--no-firmware").succeeds()
    image = other / "rtl" / "logits_weight.mem"
    words = image.read_text().split()
    image.write_text("\n".join(f"{int(word, 16) ^ 0x80:02x}" for word in words))
    seal(other)
    result = simulate(design, other, "--max-loss", "10", "--xunit", report)
    result.fails_with("icarus under faults 'none'", "output codes differ from the reference")
    assert failed_tests(report) == {"none": {"codes_equal_the_reference", "accuracy_keeps_its_limits"}}
    messages = [case.get("message") for case in ElementTree.parse(report).getroot().iter("failure")]
    assert "output codes differ from the reference" in messages[0]
    assert "more than 10 points lost" in messages[1]


def test_images_without_labels_are_compared_with_keras_only(design, project, tmp_path):
    digits = load_digits("test").head(IMAGES)
    np.savez(tmp_path / "x.npz", x=digits.images)
    path = tmp_path / "result.json"
    simulate(design, project, "--max-loss", "10", "--json", path, data=tmp_path / "x.npz").succeeds()
    result = json.loads(path.read_text())
    assert result["notes"][0].startswith("top-1 is not measured: ")
    assert result["accuracy"]["rtl"]["clean"] is None
    row = result["accuracy"]["rtl"]["conditions"][0]
    assert (row["top1"], row["loss"]) == (None, None)
    assert row["agreement"] > 90
    simulate(design, project, "--min-accuracy", "10", data=tmp_path / "x.npz").fails_with("accuracy needs labels")
    faulted = ["--ber", "0.05", "--max-loss", "10"]
    simulate(design, project, *faulted, data=tmp_path / "x.npz").fails_with("another largest class than Keras for")


def test_labels_of_another_network_do_not_count(design, project, tmp_path):
    digits = load_digits("test").head(IMAGES)
    np.savez(tmp_path / "x.npz", x=digits.images, y=digits.labels + 3)
    out = simulate(design, project, data=tmp_path / "x.npz").succeeds()
    assert f"note: top-1 is not measured: x: has class {digits.labels.max() + 3}, but" in out
    simulate(design, project, "--min-accuracy", "1", data=tmp_path / "x.npz").fails_with("has class")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--rounds", "3"], "rounds are for faults that are drawn"),
        (["--faulty-biases"], "faulty biases are for faults that are drawn"),
        (["--max-loss", "101"], "--max-loss 101"),
        (["--min-accuracy", "nan"], "--min-accuracy nan"),
        (["--upset-cycle", "1000000", "--ber", "0.01"], "none begins later"),
    ],
)
def test_options_that_cannot_be_meant(design, project, options, words):
    simulate(design, project, *options).fails_with(words)


def test_a_network_that_does_not_classify_is_compared_by_its_codes(keras, tmp_path):
    image = keras.Input((8, 8, 1))
    model = keras.Model(image, keras.layers.Conv2D(2, 3, strides=3)(image))
    model.save(tmp_path / "filter.h5")
    hwflow("harden", tmp_path / "filter.h5", "--calibration", "digits", "-o", tmp_path / "design").succeeds()
    options = ["--data", "digits", "--images", "3", "--simulator", "icarus", "--ber", "0.05"]
    path = tmp_path / "result.json"
    out = hwflow("simulate", tmp_path / "design", *options, "--json", path).succeeds()
    assert "note: accuracy is not measured: the output has shape (2, 2, 2), not one value a class" in out
    result = json.loads(path.read_text())
    assert result["accuracy"] == {}
    assert [row["output_codes"] for row in result["comparisons"]] == [24, 24]
    hwflow("simulate", tmp_path / "design", *options, "--max-loss", "1").fails_with("needs a network that classifies")


def test_a_project_without_firmware_cannot_be_compared_with_it(design, project):
    simulate(design, project, "--csim").fails_with("generated without firmware")


def test_a_memory_image_that_is_cut_short(design, tmp_path):
    other = tmp_path / "project"
    hwflow("generate", design, "-o", other, "--no-firmware").succeeds()
    image = other / "rtl" / "logits_weight.mem"
    image.write_text("\n".join(image.read_text().split()[:-3]))
    seal(other)
    simulate(design, other).fails_with("undefined bits")
