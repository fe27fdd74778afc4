"""An installation without QKeras, which another Python process plays: only what names QKeras needs it."""

import subprocess
import sys
from pathlib import Path

from hwflow.models import load_model

CODE = """
import sys
sys.modules["qkeras"] = None  # as if it were not installed
import hwflow
from hwflow.errors import HwflowError
from hwflow.models import load_model
hwflow.harden("digits_cnn", "design", calibration="digits")
for model in ("digits_qcnn", "quantised.h5", "quantised.keras"):
    try:
        load_model(model)
    except HwflowError as error:
        print(error)
"""


def test_only_what_names_qkeras_needs_it(tmp_path: Path) -> None:
    model = load_model("digits_qcnn")
    model.save(tmp_path / "quantised.h5")
    model.save(tmp_path / "quantised.keras")
    done = subprocess.run([sys.executable, "-c", CODE], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    assert all("QKeras for Keras" in line and "pip install 'hwflow[keras" in line for line in lines)
