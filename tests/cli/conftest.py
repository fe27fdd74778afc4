"""What the tests of the commands share: running one, a hardened design, small Keras models."""

import io
import json
import os
import shutil
import signal
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from hwflow.cli import main
from hwflow.data import load_digits
from hwflow.files.folders import content_hash, sha256_file


@dataclass(frozen=True)
class Result:
    """What a command left behind."""

    status: int
    out: str
    err: str

    def fails_with(self, *words: str, status: int = 1) -> None:
        """Check the exit status and that standard error is one line with all these words."""
        assert self.status == status, self.out + self.err
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("hwflow: error: ")
        for word in words:
            assert word in lines[0]

    def succeeds(self) -> str:
        """Check that all went well; returns standard output."""
        assert self.status == 0, self.out + self.err
        assert self.err == ""
        return self.out


def hwflow(*arguments: object, columns: int = 140) -> Result:
    """Run a command in this process, where TensorFlow is imported only once."""
    out, err = io.StringIO(), io.StringIO()
    with patch.dict(os.environ, COLUMNS=str(columns)), redirect_stdout(out), redirect_stderr(err):
        status = main([str(argument) for argument in arguments])
    return Result(status, out.getvalue(), err.getvalue())


def seal(project: Path) -> None:
    """Make a changed project one that hwflow takes, so that an error in it reaches what has to find it."""
    path = project / "project.json"
    manifest = json.loads(path.read_text())
    for name, entry in manifest["files"].items():
        entry |= {"bytes": (project / name).stat().st_size, "sha256": sha256_file(project / name)}
    path.write_text(json.dumps(manifest | {"sha256": content_hash(manifest)}))


@pytest.fixture(autouse=True, scope="session")
def interruptible() -> None:
    """A process that a shell started in the background ignores interrupts, and its children with it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def left_in(folder: Path) -> set[str]:
    """Names in a folder, hidden ones included."""
    return set(os.listdir(folder))


@pytest.fixture(scope="session")
def design(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded network, hardened; not to be changed."""
    folder = tmp_path_factory.mktemp("designs") / "design"
    hwflow("harden", "digits_cnn", "-o", folder).succeeds()
    return folder


@pytest.fixture(scope="session")
def quick_model(keras: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that tells digits apart and takes few cycles and little C++; its last layer is a least squares fit."""
    layers = keras.layers
    image = keras.Input((8, 8, 1), name="image")
    x = layers.Conv2D(6, 3, strides=2, activation="relu", name="conv1")(image)
    features = keras.Model(image, layers.Flatten(name="flat")(x))
    rng, train = np.random.default_rng(1), load_digits("train")
    features.set_weights([rng.normal(0, 0.5, each.shape) for each in features.get_weights()])
    computed = features.predict(train.images, verbose=0)
    columns = np.hstack([computed, np.ones((len(train), 1))])
    solution = np.linalg.lstsq(columns, np.eye(10)[train.labels], rcond=None)[0]
    logits = layers.Dense(10, name="logits")
    model = keras.Model(image, logits(features.output), name="quick")
    logits.set_weights([solution[:-1], solution[-1]])
    model.save(path := tmp_path_factory.mktemp("models") / "quick.h5")
    return path


@pytest.fixture(scope="session")
def quick_design(quick_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """:func:`quick_model`, hardened; not to be changed."""
    folder = tmp_path_factory.mktemp("designs") / "quick"
    hwflow("harden", quick_model, "--calibration", "digits", "-o", folder).succeeds()
    return folder


@pytest.fixture(scope="session")
def quick_project(quick_design: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Firmware and RTL of :func:`quick_design`; not to be changed."""
    folder = tmp_path_factory.mktemp("projects") / "quick"
    hwflow("generate", quick_design, "-o", folder).succeeds()
    return folder


@pytest.fixture
def copy(design: Path, tmp_path: Path) -> Path:
    """A copy of the design, to be damaged."""
    return Path(shutil.copytree(design, tmp_path / "copy"))


@pytest.fixture(scope="session")
def keras() -> Any:
    from hwflow.models._tf import tensorflow

    return tensorflow().keras


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Calibration images for :func:`saved_cnn`."""
    path = tmp_path_factory.mktemp("data") / "images.npz"
    np.savez(path, x=np.random.default_rng(1).uniform(size=(16, 6, 6, 2)), y=np.arange(16) % 3)
    return path


@pytest.fixture
def saved_cnn(keras: Any, tmp_path: Path) -> Callable[..., Path]:
    """Saves a small network with a layer called ``odd`` that takes these options."""

    def save(change: Callable[[Any], None] = lambda _: None, filters: int = 4, **options: Any) -> Path:
        layers = keras.layers
        image = keras.Input((6, 6, 2), name="image")
        x = layers.Conv2D(filters, 3, padding="same", name="first")(image)
        x = layers.Conv2D(filters, 3, padding="same", name="odd", **options)(x)
        x = layers.Activation("relu", name="relu")(x)
        x = layers.Flatten(name="flat")(x)
        model = keras.Model(image, layers.Dense(3, name="logits")(x), name="small")
        change(model)
        path = tmp_path / "model.keras"
        model.save(path)
        return path

    return save
