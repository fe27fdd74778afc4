"""A user's own cocotb tests: what they can do, and what is said of those that fail."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from hwflow.stages.user_test import check_source, run_test
from tests.cli.conftest import hwflow

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "rtl_test.py"


@pytest.fixture(scope="module")
def project(design: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("user") / "project"
    hwflow("generate", design, "-o", folder, "--no-firmware").succeeds()
    return folder


def simulate(design: Path, project: Path, test: Path, *options: object):
    return hwflow("simulate", design, "--test", test, "--simulator", "icarus", "--project", project, *options)


def test_the_example(quick_design, quick_project, tmp_path):
    waves, xunit, report = tmp_path / "waves", tmp_path / "report.xml", tmp_path / "report.json"
    out = simulate(quick_design, quick_project, EXAMPLE, "--xunit", xunit, "--json", report).succeeds()
    assert out.count("passed") == 3
    assert set(json.loads(report.read_text())["tests"].values()) == {None}
    assert len(list(ElementTree.parse(xunit).iter("testcase"))) == 3
    assert not waves.exists()


@pytest.mark.slow
@pytest.mark.parametrize("simulator", ["icarus", "verilator"])
def test_the_example_drives_the_ports(simulator, design, project, tmp_path):
    run = run_test(design, EXAMPLE, simulator=simulator, dut="top", waves=tmp_path / "waves", project=project)
    run.check()
    assert run.waves is not None
    assert run.waves.stat().st_size > 10_000


FAILING = """
import cocotb
from cocotb.triggers import Timer
from hwflow.sim import Network, Stuck

@cocotb.test()
async def good(dut):
    net = Network(dut)
    await net.reset()

@cocotb.test()
async def bad(dut):
    net = Network(dut)
    await net.reset()
    try:
        await net.run([[[[0]] * 8] * 8], timeout_cycles=100)
    except Stuck as stuck:
        print("STUCK:", stuck)
    net.flip("conv1", 10**6, 0)
"""


def test_a_test_that_raises_shows_its_own_traceback(design, project, tmp_path, capfd):
    test = tmp_path / "my_test.py"
    test.write_text(FAILING)
    simulate(design, project, test).fails_with("my_test.py", "1 of 2 tests failed: bad")
    printed = capfd.readouterr().out
    assert f'File "{test}", line 19, in bad' in printed
    assert "word 1000000, bit 0 is outside memory 'conv1.weight'" in printed
    assert "simulate.py" not in printed
    stuck = next(line for line in printed.splitlines() if "STUCK:" in line)
    assert "no end after 100 cycles" in stuck
    assert "stream s_" in stuck
    assert "layer " in stuck


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("none.py", "import cocotb\n", ("none.py", "there are none")),
        ("broken.py", "from cocotb import nothing_of_this_name\n", ("broken.py", "cocotb printed")),
        ("my-test.py", "", ("my-test.py", "letters, digits")),
        ("my_test.txt", "", ("my_test.txt", "no such Python file")),
    ],
)
def test_files_without_tests(name, content, words, quick_design, quick_project, tmp_path):
    test = tmp_path / name
    test.write_text(content)
    simulate(quick_design, quick_project, test).fails_with(*words)


def test_upsets_of_registers(saved_cnn, images, tmp_path):
    design, report = tmp_path / "design", tmp_path / "report.json"
    hwflow("harden", saved_cnn(filters=1), "-o", design, "--calibration", images).succeeds()
    options = ("--data", images, "--images", 4, "--rounds", 3, "--seed", 3, "--simulator", "icarus", "--json", report)
    out = hwflow("simulate", design, "--upset", "guard.*", "--upset", "u_first*", *options).succeeds()
    written = json.loads(report.read_text())
    assert written["upset"] == ["guard.*", "u_first*"]
    assert {"hwflow_guard", "hwflow_window"} <= {row["cell"] for row in written["cells"]}
    assert sum(share["upsets"] for share in written["outcomes"].values()) == len(written["upsets"]) == 3
    assert all({0, 1, 2, 3} >= set(upset["images"]) for upset in written["upsets"])
    assert f"{written['outcomes']['masked']['low']:.2f} to " in out
    hwflow("simulate", design, "--upset", "conv9*", *options).fails_with("conv9*", "no register")


def test_options_that_have_no_effect(design, tmp_path):
    hwflow("simulate", design).fails_with("--data or --test")
    hwflow("simulate", design, "--data", "digits", "--waves", tmp_path / "w").fails_with("--waves", "--test")
    hwflow("simulate", design, "--test", EXAMPLE, "--ber", 0.1).fails_with("--ber", "--test")
    hwflow("simulate", design, "--test", EXAMPLE, "--upset", "state").fails_with("--upset", "--test")
    hwflow("simulate", design, "--upset", "state").fails_with("--data")
    hwflow("simulate", design, "--data", "digits", "--upset", "state", "--ber", 0.1).fails_with("--ber", "--upset")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import cocotb\n\ndef broken(:\n", ["my_test.py, line 3", "Python cannot read this"]),
        ("import cocotb\nimport not_there.at_all\n", ["my_test.py, line 2", "there is no module 'not_there'"]),
        ("from not_there import a\n", ["my_test.py, line 1", "there is no module 'not_there'"]),
    ],
)
def test_what_cannot_run_is_refused_before_the_build(source, words, design, tmp_path, monkeypatch):
    monkeypatch.setattr("hwflow.stages.user_test.simulated_project", None)
    test = tmp_path / "my_test.py"
    test.write_text(source)
    hwflow("simulate", design, "--test", test).fails_with(*words)


def test_imports_from_beside_the_test(tmp_path):
    test = tmp_path / "my_test.py"
    (tmp_path / "helper.py").write_text("")
    (tmp_path / "package").mkdir()
    test.write_text("import sys, os.path, helper\nfrom package import each\nfrom . import anything\n")
    check_source(test)
