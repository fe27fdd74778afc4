"""The source distribution makes a wheel, and the wheel works away from the checkout."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("pyproject.toml", "README.md", "LICENSE", "hwflow", "hls_templates", "sim")


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, *map(str, command)], cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_from_source_distribution_to_a_project(tmp_path):
    source, built, installed = tmp_path / "source", tmp_path / "built", tmp_path / "installed"
    source.mkdir()
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, source / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / part, source)
    run("-c", f"from setuptools import build_meta; build_meta.build_sdist({str(built)!r})", cwd=source)
    (sdist,) = built.glob("*.tar.gz")
    pip = ("-m", "pip", "--disable-pip-version-check")
    run(*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", built, sdist, cwd=tmp_path)
    (wheel,) = built.glob("*.whl")
    run(*pip, "install", "--no-deps", "--target", installed, wheel, cwd=tmp_path)

    here = {"PYTHONPATH": str(installed)}
    assert str(installed) in run("-c", "import hwflow; print(hwflow.__file__)", cwd=tmp_path, **here)
    for command in (
        ("harden", "digits_cnn", "-o", "design"),
        ("evaluate", "design", "--data", "digits", "--ber", "1e-3", "--rounds", "2"),
        ("generate", "design", "-o", "project"),
        ("simulate", "design", "--data", "digits", "--images", "2", "--simulator", "icarus"),
    ):
        run("-m", "hwflow", *command, cwd=tmp_path, **here)
    assert (tmp_path / "project/rtl/hwflow_mvu.sv").is_file()
    assert (tmp_path / "project/firmware/firmware/nnet_utils/hwflow_stored.h").is_file()
