"""Outputs cost no input, no device and no neighbour's work: every command, every spelling of a path."""

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import hwflow as api
from hwflow.campaign import load_spec, run_campaign
from hwflow.errors import HwflowError
from hwflow.faults import FaultList
from hwflow.files.folders import PROJECT, files_in, new_folder
from hwflow.files.leftovers import hidden, partial_file, partial_folder
from hwflow.files.outputs import write_file
from hwflow.stages.evaluate import evaluate
from tests.cli.conftest import hwflow, left_in

SPEC = 'models = ["digits_cnn"]\nrounds = 1\nimages = 5\nber = [1e-3]\nt = ["none"]\n'


@pytest.fixture
def place(copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one input of every kind, which is also the current folder."""
    copy.rename(tmp_path / "design")
    np.savez(tmp_path / "data.npz", x=np.zeros((4, 8, 8, 1)), y=np.arange(4))
    for name in ("model.h5", "model.json", "model_weights.h5", "list.json", "labels.txt", "state.npz", "config.yml"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "spec.toml").write_text(SPEC + 'data = "data.npz"\n')
    (tmp_path / "results.sqlite").write_bytes(b"SQLite format 3")
    for folder in ("pictures/cat", "project", "hls4ml"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "000.png").write_bytes(b"picture")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def content(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in files_in(folder) if (folder / name).is_file()}


CONFLICTS = [
    ("harden model.h5 --calibration data.npz -o d --json model.h5", "--json"),
    ("harden model.h5 --calibration data.npz -o d --json data.npz", "--json"),
    ("harden model.json --calibration data.npz -o d --json model_weights.h5", "--json"),
    ("harden resnet20 --torch-weights state.npz --calibration pictures -o d --json state.npz", "--json"),
    ("harden resnet20 --torch-weights state.npz --calibration pictures -o d --json pictures/cat/000.png", "--json"),
    ("harden resnet20 --torch-weights state.npz --calibration pictures -o pictures --force", "-o"),
    ("harden resnet20 --torch-weights state.npz --calibration pictures -o pictures/cat/d", "-o"),
    ("harden design/model.h5 --calibration digits -o design --force", "-o"),
    ("harden model.h5 --calibration digits -o d --json d/x.json", "does not exist"),
    ("harden digits_cnn -o design --force --json design/x.json", "--json"),
    ("harden digits_cnn -o design/../design --force --json design", "--json"),
    ("generate design -o design", "-o"),
    ("generate design -o design --force", "-o"),
    ("generate design -o design/project", "-o"),
    ("generate design -o p --json design/design.json", "--json"),
    ("generate design -o p --json design/new.json", "--json"),
    ("evaluate design --data data.npz --json data.npz", "--json"),
    ("evaluate design --data data.npz --json ./data.npz", "--json"),
    ("evaluate design --data data.npz --json pictures/../data.npz", "--json"),
    ("evaluate design --data ./data.npz --json design/arrays.npz", "--json"),
    ("evaluate design --data pictures --json pictures/labels.txt", "--json"),
    ("evaluate design --data pictures --labels labels.txt --json labels.txt", "--json"),
    ("evaluate design --data digits --faults list.json --json list.json", "--json"),
    ("evaluate design --data digits --executor csim --project project --json project/project.json", "--json"),
    ("evaluate design --data digits --ber 0.1 --save-faults design/lists", "--save-faults"),
    ("simulate design --data data.npz --json data.npz", "--json"),
    ("simulate design --data digits --json design/model.h5", "--json"),
    ("simulate design --data digits --project project --json project/000.png", "--json"),
    ("simulate design --data pictures --labels labels.txt --json labels.txt", "--json"),
    ("emulate model.h5 --random 3 -o model.h5", "-o"),
    ("emulate model.h5 --data data.npz -o data.npz", "-o"),
    ("emulate model.h5 --data data.npz --json model.h5", "--json"),
    ("emulate model.h5 --hls-config config.yml --random 3 --json config.yml", "--json"),
    ("emulate model.h5 --random 3 -o values.npz --json values.npz", "--json"),
    ("emulate hls4ml --random 3 -o hls4ml/values.npz", "-o"),
    ("emulate hls4ml --random 3 --json hls4ml/000.png", "--json"),
    ("campaign spec.toml -o spec.toml", "-o"),
    ("campaign spec.toml -o data.npz", "-o"),
    ("campaign spec.toml -o new.sqlite --json data.npz", "--json"),
    ("campaign spec.toml -o new.sqlite --json spec.toml", "--json"),
    ("campaign spec.toml -o new.sqlite --json new.sqlite", "--json"),
    ("campaign spec.toml -o new.sqlite --json new.sqlite-wal", "-wal"),
    ("campaign -o results.sqlite --json results.sqlite", "--json"),
    ("campaign -o results.sqlite --status --json results.sqlite", "--json"),
    ("report results.sqlite --csv results.sqlite", "--csv"),
    ("report results.sqlite --parquet results.sqlite", "--parquet"),
    ("report results.sqlite --json results.sqlite", "--json"),
    ("report results.sqlite -o results.sqlite", "-o"),
    ("report results.sqlite --csv a.csv --json a.csv", "--json"),
    ("report results.sqlite --csv a.csv --parquet ./a.csv", "--parquet"),
    ("report results.sqlite -o r --json r", "-o"),
    ("paper fig2 --figure a.svg --json a.svg", "--json"),
    ("paper fig3 --data data.npz --figure data.npz", "--figure"),
    ("paper fig3 --data data.npz --json data.npz", "--json"),
    ("paper fig3 --model model.h5 --json model.h5", "--json"),
    ("paper fig3 --results . --json fig3-1.sqlite", "--results"),
    ("paper table1 --model resnet20 --weights state.npz --json state.npz", "--json"),
    ("paper table2 --data pictures --labels labels.txt --json labels.txt", "--json"),
    ("paper logits --calibration data.npz --json data.npz", "--json"),
    ("paper logits --data pictures --json pictures/x.json", "--json"),
    ("demo -o demo --json demo", "-o"),
]


@pytest.mark.parametrize(("command", "word"), CONFLICTS, ids=[command for command, _ in CONFLICTS])
def test_an_output_is_no_input(place: Path, command: str, word: str) -> None:
    before = content(place)
    hwflow(*command.split()).fails_with(word)
    assert content(place) == before


@pytest.mark.parametrize("how", ["symlink", "hard link", "folder link", "hard link into a folder"])
def test_links_are_seen_through(place: Path, how: str) -> None:
    path = place / "other.npz"
    if how == "symlink":
        path.symlink_to("data.npz")
    elif how == "hard link":
        path.hardlink_to(place / "data.npz")
    elif how == "hard link into a folder":
        path.hardlink_to(place / "pictures" / "cat" / "000.png")
    else:
        (place / "linked").symlink_to("design")
        path = place / "linked" / "arrays.npz"
    before = content(place)
    data = "pictures" if "into" in how else "data.npz"
    hwflow("evaluate", "design", "--data", data, "--json", path).fails_with("--json", "an input")
    assert content(place) == before


def test_the_python_api_refuses_too(place: Path) -> None:
    before = content(place)
    cases: list[Callable[[], object]] = [
        lambda: api.harden("model.h5", "pictures", calibration="pictures", force=True),
        lambda: api.generate("design", "design/project"),
        lambda: api.generate(api.load_design("design"), "design", force=True),
        lambda: evaluate("design", "data.npz", ber=0.1, save_faults="design/lists"),
        lambda: run_campaign(load_spec("spec.toml"), "data.npz"),
    ]
    for case in cases:
        with pytest.raises(HwflowError, match="an input"):
            case()
    assert content(place) == before


FILES = [
    ("x/y.json", "does not exist"),
    ("design", "is a folder"),
    ("data.npz/y.json", "Not a directory"),
    ("", "is a folder"),
    ("loop", "cannot be written"),
    ("n" * 300, "cannot be written"),
    ("socket", "is a socket"),
]


@pytest.mark.parametrize(("path", "word"), FILES, ids=[word + path[:9] for path, word in FILES])
def test_files_that_cannot_be_written(place: Path, path: str, word: str) -> None:
    (place / "loop").symlink_to("loop")
    os.mknod(place / "socket", stat.S_IFSOCK | 0o600)
    hwflow("doctor", "--json", path).fails_with("--json", word)


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone may make devices")
def test_a_disk_is_refused(tmp_path: Path) -> None:
    try:
        os.mknod(tmp_path / "disk", stat.S_IFBLK | 0o600, os.makedev(7, 200))
    except PermissionError:
        pytest.skip("this container may not make devices")
    hwflow("doctor", "--json", tmp_path / "disk").fails_with("is a disk")


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone may make devices")
def test_a_device_is_written_to_and_stays(tmp_path: Path) -> None:
    null = tmp_path / "null"
    try:
        os.mknod(null, stat.S_IFCHR | 0o666, os.makedev(1, 3))
        null.write_bytes(b"x")
    except PermissionError:
        pytest.skip("this container may not make devices")
    hwflow("doctor", "--json", null).succeeds()
    assert stat.S_ISCHR(null.stat().st_mode)
    assert left_in(tmp_path) == {"null"}


def test_a_pipe_is_written_to_and_stays(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE)
    hwflow("doctor", "--json", pipe).succeeds()
    assert json.loads(reader.communicate(timeout=20)[0])["command"] == "doctor"
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "link"])
@pytest.mark.parametrize("to", ["pipe", "file"])
def test_standard_output_is_written_to(tmp_path: Path, name: str, to: str) -> None:
    (tmp_path / "link").symlink_to("/dev/stdout")
    command = [sys.executable, "-m", "hwflow", "doctor", "--json", name]
    with (tmp_path / "out").open("w") as out:
        done = subprocess.run(
            command, stdout=out if to == "file" else subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
        )
    text = done.stdout or (tmp_path / "out").read_text()
    assert (done.returncode, done.stderr) == (0, "")
    table, _, result = text.partition("\n{\n")
    assert "verilator" in table
    assert json.loads("{" + result)["ok"]
    assert left_in(tmp_path) == {"link", "out"}


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "result.json").symlink_to("real/result.json")
    for _ in range(2):
        hwflow("doctor", "--json", tmp_path / "result.json").succeeds()
        assert json.loads((tmp_path / "real" / "result.json").read_text())
        assert (tmp_path / "result.json").is_symlink()
    assert left_in(tmp_path) == {"real", "result.json"}
    assert left_in(tmp_path / "real") == {"result.json"}


def test_permissions_stay(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    before = os.umask(0o027)
    try:
        write_file(path, b"first")
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        path.chmod(0o604)
        write_file(path, b"second")
        assert stat.S_IMODE(path.stat().st_mode) == 0o604
    finally:
        os.umask(before)
    assert path.read_bytes() == b"second"


def test_leftovers_of_dead_processes_are_removed(tmp_path: Path) -> None:
    """A lock, not a process number, says who is alive."""
    final = tmp_path / "result.json"
    leftover, folder = hidden(final, "partial"), hidden(tmp_path / "d", "partial")
    leftover.write_bytes(b"half")
    folder.mkdir()
    (folder / "graph.json").write_text("half")
    others = [hidden(tmp_path / "result.json.gz", "partial"), tmp_path / ".result.json.swp", hidden(final, "mine")]
    for other in others:
        other.write_bytes(b"not ours")
    with partial_file(final) as (alive, _), partial_folder(tmp_path / "d") as at_work:
        hwflow("doctor", "--json", final).succeeds()
        hwflow("harden", "digits_cnn", "-o", tmp_path / "d", "--calibration", "no.npz").fails_with("no.npz")
        assert left_in(tmp_path) == {"result.json", alive.name, at_work.name, *(other.name for other in others)}
    write_file(final, b"")
    assert not alive.exists()


def test_a_design_lost_between_two_names_comes_back(copy: Path) -> None:
    copy.rename(hidden(copy, "old"))
    hwflow("harden", "digits_cnn", "-o", copy).fails_with("exists")
    hwflow("evaluate", copy, "--data", "digits", "--images", "5").succeeds()
    assert left_in(copy.parent) == {copy.name}
    shutil.copytree(copy, hidden(copy, "old"))
    hwflow("harden", "digits_cnn", "-o", copy).fails_with("exists")
    assert left_in(copy.parent) == {copy.name}


@pytest.mark.parametrize("name", ["notes.txt", ".hidden", "sub/thesis.tex", "model.h5.orig"])
def test_force_keeps_what_the_user_put_there(copy: Path, name: str) -> None:
    (copy / name).parent.mkdir(exist_ok=True)
    (copy / name).write_text("work")
    before = content(copy)
    hwflow("harden", "digits_cnn", "-o", copy, "--force").fails_with(name, "did not write")
    assert content(copy) == before


def test_force_on_projects_and_demos(design: Path, tmp_path: Path) -> None:
    project = tmp_path / "p"
    hwflow("generate", design, "-o", project).succeeds()
    (project / "rtl" / "build" / "icarus").mkdir(parents=True)
    (project / "rtl" / "build" / "icarus" / "sim.vvp").write_text("built")
    (project / "firmware" / "csim").mkdir()
    (project / "firmware" / "csim" / "lib.so").write_text("built")
    hwflow("generate", design, "-o", project, "--force", "--no-rtl").succeeds()
    assert left_in(project) == {"project.json", "firmware"}
    (project / "firmware" / "my_synthesis.rpt").write_text("hours")
    hwflow("generate", design, "-o", project, "--force").fails_with("my_synthesis.rpt")
    assert (project / "firmware" / "my_synthesis.rpt").read_text() == "hours"


def test_two_processes_with_one_output(design: Path, tmp_path: Path) -> None:
    """The second one to finish does not replace the first one's folder without --force."""

    def slowly() -> None:
        with new_folder(tmp_path / "p", PROJECT) as slow:
            hwflow("generate", design, "-o", tmp_path / "p", "--no-firmware").succeeds()
            (slow / "project.json").write_text("{}")

    with pytest.raises(HwflowError, match="exists"):
        slowly()
    assert left_in(tmp_path) == {"p"}
    assert json.loads((tmp_path / "p" / "project.json").read_text())["layers"]


def test_fault_lists_are_whole_or_not_there(tmp_path: Path, design: Path) -> None:
    lists = tmp_path / "lists"
    hwflow(
        "evaluate", design, "--data", "digits", "--images", "2", "--ber", "0.1", "--rounds", "1", "--save-faults", lists
    ).succeeds()
    loaded = FaultList.load(lists / "round-0.json")
    link = tmp_path / "link.json"
    link.symlink_to("lists/round-0.json")
    loaded.save(link)
    assert link.is_symlink()
    assert FaultList.load(link) == loaded
