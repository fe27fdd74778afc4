"""hwflow as a process: its streams, signals, children, the disk that it writes to and the memory that it asks for."""

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwflow.data import load_digits
from hwflow.progress import plain
from tests.cli.conftest import hwflow, left_in

HWFLOW = [sys.executable, "-m", "hwflow"]
SECONDS = 300  # a busy machine is slow to start Python


def start(*arguments: object, **options: Any) -> subprocess.Popen[str]:
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([*HWFLOW, *map(str, arguments)], **{**streams, **options})


def finish(process: subprocess.Popen[str], status: int, *words: str) -> None:
    """Wait for a process, and check its status and that it says why in one line."""
    _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == status, err
    lines = err.splitlines()
    assert len(lines) == 1, err
    assert lines[0].startswith("hwflow: error: ")
    for word in words:
        assert word in lines[0]


def wait_for(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)


def catches_signals(process: subprocess.Popen[str]) -> bool:
    """Whether it has its handlers; until then Python itself is starting."""
    found = re.search(r"SigCgt:\s*(\w+)", Path(f"/proc/{process.pid}/status").read_text())
    return found is not None and bool(int(found[1], 16) >> (signal.SIGTERM - 1) & 1)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("after", [0.0, 0.5])
def test_signals_while_modules_are_imported(tmp_path: Path, sent: signal.Signals, after: float) -> None:
    process = start("harden", "digits_cnn", "-o", tmp_path / "deep" / "d")
    wait_for(lambda: catches_signals(process), process)
    time.sleep(after)
    process.send_signal(sent)
    finish(process, 128 + sent, "interrupted" if sent == signal.SIGINT else "terminated")
    assert left_in(tmp_path) == set()


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_no_simulator_stays_behind(tmp_path: Path, design: Path, sent: signal.Signals) -> None:
    """A simulator that has a child, and neither of them listens."""
    for folder in ("bin", "tmp"):
        (tmp_path / folder).mkdir()
    simulator = tmp_path / "bin" / "iverilog"
    simulator.write_text(
        f"#!/bin/sh\ntrap '' TERM INT\n(trap '' TERM INT; echo $$ >> {tmp_path}/pids; sleep 77) &\n"
        f"echo $! >> {tmp_path}/pids; wait; sleep 77\n"
    )
    simulator.chmod(0o755)
    path = f"{simulator.parent}{os.pathsep}{os.environ['PATH']}"
    process = start(
        "simulate", design, "--data", "digits", "--images", "2", "--simulator", "icarus",
        env={**os.environ, "PATH": path, "TMPDIR": str(tmp_path / "tmp")},
    )  # fmt: skip
    pids = tmp_path / "pids"
    wait_for(lambda: pids.exists() and len(pids.read_text().split()) == 2, process)
    process.send_signal(sent)
    finish(process, 128 + sent)
    for pid in pids.read_text().split():
        status = Path(f"/proc/{pid}/status")
        assert not status.exists() or "zombie" in status.read_text()
    assert left_in(tmp_path / "tmp") == set()


def test_a_signal_that_the_caller_ignores_is_ignored(tmp_path: Path) -> None:
    """As under nohup, or in the background of a script."""
    run = f"{' '.join(HWFLOW)} doctor --json {tmp_path}/j.json"
    command = f"trap '' INT HUP; {run} & sleep 0.3; kill -INT $!; wait $!"
    assert subprocess.run(["sh", "-c", command], stdout=subprocess.DEVNULL, timeout=SECONDS).returncode == 0
    assert json.loads((tmp_path / "j.json").read_text())["ok"]


@pytest.mark.parametrize("to", [">&-", "> /dev/full", "| true"])
def test_standard_output_that_cannot_be_written_costs_no_result(tmp_path: Path, to: str) -> None:
    """The pipe is closed before anything is printed, for its reader waits for nothing."""
    command = f"set -o pipefail; {' '.join(HWFLOW)} doctor --json {tmp_path}/j.json {to}"
    done = subprocess.run(["bash", "-c", command], stderr=subprocess.PIPE, text=True, timeout=SECONDS)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("hwflow: error: standard output")
    assert json.loads((tmp_path / "j.json").read_text())["ok"]
    assert left_in(tmp_path) == {"j.json"}


def test_no_file_becomes_standard_output(tmp_path: Path, design: Path) -> None:
    """Where descriptors are closed, the next file that is opened would get their numbers."""
    command = f"{' '.join(HWFLOW)} evaluate {design} --data digits --images 5 --json {tmp_path}/j.json <&- >&- 2>&-"
    assert subprocess.run(["bash", "-c", command], timeout=SECONDS).returncode == 1
    assert json.loads((tmp_path / "j.json").read_text())["clean"]["images"] == 5


def test_a_terminal_that_knows_only_ascii(tmp_path: Path, design: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0"}
    strange = shutil.copytree(design, tmp_path / "Entwürfe ± 1")
    process = start("evaluate", strange, "--data", "digits", "--images", "5", env=environment)
    out, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, err) == (0, "")
    assert out.isascii()
    process = start("evaluate", tmp_path / "Entwürfe 2 ±", "--data", "digits", env=environment)
    finish(process, 1, "no such design")


def test_a_folder_that_was_removed(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    command = f"cd {tmp_path}/gone && rmdir {tmp_path}/gone && exec {sys.executable} -m hwflow harden digits_cnn -o d"
    process = subprocess.Popen(["sh", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    finish(process, 1, "no longer exists")


def limited(bytes_: int) -> Callable[[], None]:
    """Files may not become larger: what a full disk says, without one."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_, bytes_))


@pytest.mark.parametrize(
    ("command", "size"),
    [("harden", 100), ("harden", 5000), ("harden", 20_000), ("generate", 3000), ("evaluate", 3000), ("emulate", 3000)],
)
def test_a_full_disk(tmp_path: Path, design: Path, command: str, size: int) -> None:
    out = tmp_path / "out"
    out.mkdir()
    arguments: dict[str, list[object]] = {
        "harden": ["digits_cnn", "--calibration-images", 16, "-o", out / "deep" / "d"],
        "generate": [design, "-o", out / "p"],
        "evaluate": [
            design,
            "--data",
            "digits",
            "--images",
            "5",
            "--ber",
            "0.3",
            "--rounds",
            "99",
            "--json",
            out / "j",
        ],
        "emulate": [design / "model.h5", "--random", "99", "-o", out / "values.npz"],
    }
    (tmp_path / "tmp").mkdir()
    environment = {**os.environ, "TMPDIR": str(tmp_path / "tmp")}
    process = start(command, *arguments[command], preexec_fn=limited(size), env=environment)
    finish(process, 1, "File too large")
    assert left_in(out) == set()
    assert left_in(tmp_path / "tmp") == set()


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone may mount")
def test_a_disk_that_is_full(tmp_path: Path, design: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("this container may not mount")
    try:
        finish(start("harden", "digits_cnn", "-o", disk / "d"), 1, "No space left on device", str(disk / "d"))
        assert left_in(disk) == set()
    finally:
        subprocess.run(["umount", disk], check=True)


def test_names_move_no_cursor() -> None:
    """Neither escape sequences nor what turns the direction of writing."""
    assert plain("\x1b[2Jconv\r\n\x07") == "\\x1b[2Jconv\\r\\n\\x07"
    assert plain("a\u202eb\u2028c\x9bd\udc80") == "a\\u202eb\\u2028c\\x9bd\\udc80"
    assert plain("Entwürfe ± 1, 層") == "Entwürfe ± 1, 層"


def test_names_from_files_move_no_cursor(tmp_path: Path, design: Path) -> None:
    """In tables and in errors, and markup in them is none."""
    digits = load_digits().head(5)
    strange = tmp_path / "\x1b[31mred\x07[bold].npz"
    np.savez(strange, x=digits.images, y=digits.labels)
    out = hwflow("evaluate", design, "--data", strange).succeeds()
    assert "\\x1b[31mred\\x07[bold]" in out
    assert "\x1b" not in out
    strange.write_bytes(b"")
    result = hwflow("evaluate", design, "--data", strange)
    result.fails_with("\\x1b[31mred")
    assert "\x1b" not in result.err
