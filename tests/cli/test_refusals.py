"""What is refused is refused before anything is printed or TensorFlow is imported, which takes seconds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

COMMANDS = (
    "harden digits_cnn -o new --weights nonsense",
    "harden digits_cnn -o new --t 9",
    "harden digits_cnn -o new --outliers 2",
    "harden digits_cnn -o new --protect nonsense",
    "harden digits_cnn -o new --activation-bits 99",
    "harden digits_cnn -o new --guard-bits 99",
    "harden digits_cnn -o new --calibration nowhere",
    "harden digits_cnn -o new --preprocessing cifar",
    "harden digits_cnn -o new --like nowhere",
    "harden digits_cnn -o new --classes 3",
    "harden digits_cnn -o old",
    "harden resnet20 -o new --calibration digits",
    "harden resnet20 -o new --calibration digits --torch-weights nowhere",
    "harden resnet99 -o new --calibration digits",
    "harden nowhere.h5 -o new --calibration digits",
    "generate design -o new --reuse 9 --target-cycles 9",
    "generate design -o new --target-fps 5",
    "generate design -o new --uram",
    "generate design -o new --data nowhere",
    "generate design -o old",
    "simulate design --data nowhere",
    "simulate design --data digits --rounds 3",
    "simulate design --data digits --max-loss 101",
    "simulate design --data digits --only nothing",
    "simulate design --data digits --project old",
    "simulate design --data digits --images 1000",
    "simulate design --test nowhere.py",
    "evaluate design --data nowhere",
    "evaluate design --data digits --ber 0.1 --faults list.json",
    "evaluate design --data digits --ber 0.1 --layers nothing",
    "evaluate design --data digits --ber 0.1 --spared nowhere",
    "evaluate design --data digits --executor keras --ber 0.1",
    "evaluate design --data digits --images 1000",
    "evaluate design --data digits --threads 99999",
    "sensitivity design --data digits --protect-top 0.1",
    "sensitivity design --data digits --preprocessing cifar",
    "campaign nowhere.toml -o new.sqlite",
    "campaign -o new.sqlite",
    "advise digits_cnn --data digits --ber 0.9",
    "advise digits_cnn --data digits --ber 0.01 --code nonsense",
    "advise digits_cnn --data digits --ber 0.01 --code secded --max-luts 0",
    "advise digits_cnn --data digits --ber 0.01 --calibration nowhere",
    "advise digits_cnn --data digits --ber 0.01 --classes 3",
    "advise digits_cnn --data digits --ber 0.01 --images 1000",
    "advise digits_cnn --data digits --ber 0.01 --figure f.gif",
    "advise digits_cnn --data nowhere --ber 0.01",
    "advise nowhere.h5 --data digits --ber 0.01",
    "advise design --data digits --ber 0.01",
    "report nowhere.sqlite",
    "report results.sqlite -o old",
    "report results.sqlite --csv new/t.csv",
    "paper fig2 --c 0",
    "paper fig2 --format nonsense",
    "paper fig3 --data nowhere",
    "paper fig3 --model nowhere.h5",
    "paper fig3 --model resnet20",
    "paper fig3 --labels nowhere",
    "paper table1 --images 1000",
    "paper logits --calibration nowhere",
    "emulate design/model.h5",
    "emulate design/model.h5 --random 3 -o values.txt",
    "emulate design/model.h5 --random 3 --hls-config nowhere",
    "emulate design/model.h5 --data nowhere",
    "emulate nowhere.h5 --random 3",
    "demo -o old",
)

PROGRAM = """
import io, json, sys
from contextlib import redirect_stderr, redirect_stdout
from hwflow.cli import main

found = {}
for command in json.load(sys.stdin):
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = main(command.split())
    wrong = [] if status in (1, 2) else [f"status {status}"]
    wrong += ["printed"] if out.getvalue() else []
    wrong += ["TensorFlow"] if "tensorflow" in sys.modules else []
    found[command] = [*wrong, err.getvalue()]
    if len(found[command]) > 1:
        break
print(json.dumps(found))
"""


def test_a_refusal_comes_first(design: Path, tmp_path: Path) -> None:
    """In one process, so that whatever imports TensorFlow is the last."""
    (tmp_path / "design").symlink_to(design)
    (tmp_path / "old").mkdir()
    (tmp_path / "results.sqlite").write_bytes(b"")
    command = [sys.executable, "-c", PROGRAM]
    ran = subprocess.run(
        command, input=json.dumps(COMMANDS), capture_output=True, text=True, cwd=tmp_path, check=True, timeout=300
    )
    found = json.loads(ran.stdout)
    assert {name: said for name, said in found.items() if len(said) > 1} == {}
    assert list(found) == list(COMMANDS)
    assert {path.name for path in tmp_path.iterdir()} == {"design", "old", "results.sqlite"}
