"""A user's script is checked against hwflow's types."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import hwflow

SCRIPT = """
import numpy as np
import hwflow

design = hwflow.harden("digits_cnn", "design")
digits = hwflow.load_digits()
result = hwflow.evaluate(design, (digits.images, digits.labels), ber=1e-3, rounds=3)
mean: float = result.clean.mean
faults = hwflow.sample_ber(hwflow.memories(design.graph), 1e-3, 1)
single = hwflow.FaultList(faults.memories, np.array([0], np.int32), np.array([0]), np.array([7], np.int16))
project = hwflow.generate(design, "project", data=digits)
"""


@pytest.mark.slow
def test_mypy_on_a_script(tmp_path):
    (tmp_path / "right.py").write_text(SCRIPT)
    (tmp_path / "wrong.py").write_text(SCRIPT + "project.part(3)\nresult.accuracy\n")
    environment = {**os.environ, "MYPYPATH": str(Path(hwflow.__file__).parents[1])}
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "--ignore-missing-imports"]
    for name, errors in (("right.py", []), ("wrong.py", ["[arg-type]", "[attr-defined]"])):
        done = subprocess.run([*command, name], cwd=tmp_path, env=environment, capture_output=True, text=True)
        lines = [line for line in done.stdout.splitlines() if "error:" in line]
        assert [line.split()[-1] for line in lines] == errors, done.stdout + done.stderr
