"""The kinds of file that hwflow reads: how to make one, and what reading it does."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import hwflow
from hwflow.data import load_digits


@dataclass(frozen=True)
class Subject:
    """A format.

    Attributes:
        make: writes a folder and returns the files of it that are damaged, one at a time.
        use: reads the folder; returns what a user would see of it.
        sealed: every change has to be noticed, or has to leave what is seen as it was.
    """

    make: Callable[[Path], list[Path]]
    use: Callable[[Path], object]
    sealed: bool = False


def _design(folder: Path) -> Path:
    return hwflow.harden("digits_cnn", folder / "design", calibration_images=4).path


def _images() -> Any:
    return load_digits("test").images[:2]


def contents(folder: Path, manifest: str) -> dict[str, str]:
    """Hashes of a folder's files, by name; of the manifest, what it says counts and not how it is written."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != manifest)
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def make_design(folder: Path) -> list[Path]:
    return sorted(_design(folder).iterdir())


def use_design(folder: Path) -> object:
    design = hwflow.load_design(folder / "design")
    return design.sha256, design.graph.digest, design.layers(), contents(design.path, "design.json")


def make_project(folder: Path) -> list[Path]:
    design = _design(folder)
    project = hwflow.generate(design, folder / "project").path
    return [
        project / "project.json",
        *sorted((project / "rtl").glob("*.mem"))[:2],
        project / "rtl" / "digits_cnn.sv",
        *sorted((project / "firmware").glob("firmware/weights/*.txt"))[:2],
        *sorted((project / "firmware").glob("*.json")),
    ]


def use_project(folder: Path) -> object:
    from hwflow.folders.project import load_project

    project = load_project(folder / "project", hwflow.load_design(folder / "design"))
    return project.to_json() | {"project": ""}, contents(project.path, "project.json")


def make_faults(folder: Path) -> list[Path]:
    from hwflow.stages.evaluate import draw_rounds

    design = hwflow.load_design(_design(folder))
    draw_rounds(design, 1e-3, 1, 0)[0].save(folder / "faults.json")
    return [folder / "faults.json"]


def use_faults(folder: Path) -> object:
    from hwflow.faults import FaultList
    from hwflow.memory import memory_of

    faults = FaultList.load(folder / "faults.json")
    graph = hwflow.load_design(folder / "design").graph
    faults.check(tuple(memory_of(graph, memory.name) for memory in faults.memories), graph.digest)
    return [faults.masks(memory.name) for memory in faults.memories]


def make_npz(folder: Path) -> list[Path]:
    np.savez_compressed(folder / "data.npz", x=_images(), y=np.array([[3], [7]]))
    return [folder / "data.npz"]


def use_npz(folder: Path) -> object:
    from hwflow.data import open_data

    return open_data(str(folder / "data.npz"))


def make_images(folder: Path) -> list[Path]:
    from PIL import Image

    pictures = folder / "pictures"
    for number, name in enumerate(("a.png", "b.jpg", "c.png")):
        path = pictures / str(number % 2) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (12, 12, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    return sorted(pictures.rglob("*.*g"))


def use_images(folder: Path) -> object:
    from hwflow.data import batches, open_data

    data = open_data(str(folder / "pictures"), preprocessing="cifar")
    return [batch.images.shape for batch in batches(data, 8)]


def make_labels(folder: Path) -> list[Path]:
    make_images(folder)
    flat = folder / "flat"
    flat.mkdir()
    for picture in sorted((folder / "pictures").rglob("*.*g")):
        picture.rename(flat / picture.name)
    (folder / "labels.txt").write_text("a.png 0\nb.jpg 1\nc.png 4\n")
    return [folder / "labels.txt"]


def use_labels(folder: Path) -> object:
    from hwflow.data import open_data

    return len(open_data(str(folder / "flat"), labels=folder / "labels.txt", preprocessing="cifar"))


SPEC = """
models = ["digits_cnn", { name = "twin", model = "digits_qcnn" }]
data = "digits"
formats = ["fp32", "ap_fixed<8,3>"]
t = ["none", 1.5, "optimal"]
ber = [1e-3, 0.01]
rounds = 3
images = 20
seed = 3
"""


def make_spec(folder: Path) -> list[Path]:
    (folder / "spec.toml").write_text(SPEC)
    return [folder / "spec.toml"]


def use_spec(folder: Path) -> object:
    from hwflow.campaign.spec_file import load_spec

    return str(load_spec(folder / "spec.toml"))


def make_results(folder: Path) -> list[Path]:
    from hwflow.campaign import run_campaign
    from hwflow.campaign.spec_file import parse_spec

    spec = {"models": ["digits_cnn"], "formats": ["ap_fixed<8,3>"], "ber": [1e-3], "rounds": 3, "images": 20}
    run_campaign(parse_spec(spec), folder / "results.sqlite")
    return [folder / "results.sqlite"]


def use_results(folder: Path) -> object:
    from hwflow.campaign.export import read_results, write_csv

    results = read_results(folder / "results.sqlite")
    write_csv(results, folder / "out.csv")
    csv = (folder / "out.csv").read_bytes()
    (folder / "out.csv").unlink()
    # What is damaged is named on every output, and left out.
    return "damage is named" if results.damaged else hashlib.sha256(csv).hexdigest()


def _network() -> Any:
    import keras
    import qkeras

    layers = keras.layers
    inner_in = keras.Input((4, 4, 2))
    inner = keras.Model(inner_in, layers.Conv2D(2, 1, activation="relu", name="c1")(inner_in), name="inner")
    x = image = keras.Input((6, 6, 1), name="image")
    x = layers.BatchNormalization(name="norm")(layers.Conv2D(2, 3, name="c0")(x))
    x = layers.Add(name="add")([inner(x), qkeras.QActivation("quantized_relu(4,0)", name="q")(x)])
    x = layers.Dropout(0.5)(layers.Flatten()(x))
    x = qkeras.QDense(3, kernel_quantizer="quantized_bits(6,0,alpha=1)", name="d")(x)
    return keras.Model(image, layers.Activation("softmax")(x), name="fuzzed")


def make_h5(folder: Path) -> list[Path]:
    _network().save(folder / "model.h5")
    return [folder / "model.h5"]


def make_keras(folder: Path) -> list[Path]:
    _network().save(folder / "model.keras")
    return [folder / "model.keras"]


def make_json(folder: Path) -> list[Path]:
    model = _network()
    (folder / "model.json").write_text(json.dumps(json.loads(model.to_json()), indent=1))
    model.save_weights(folder / "model_weights.h5")
    return [folder / "model.json", folder / "model.json", folder / "model_weights.h5"]


def use_model(folder: Path) -> object:
    from hwflow.firmware import read_keras
    from hwflow.models import load_model

    (path,) = [each for each in folder.iterdir() if each.stem == "model"]
    return read_keras(load_model(path)).digest


def _state() -> dict[str, Any]:
    rng = np.random.default_rng(1)
    return {"conv.weight": rng.normal(size=(2, 3, 3, 3)).astype("float32"), "conv.bias": np.zeros(2, "float32")}


def make_state_npz(folder: Path) -> list[Path]:
    np.savez(folder / "state.npz", **_state())
    return [folder / "state.npz"]


def make_safetensors(folder: Path) -> list[Path]:
    from safetensors.numpy import save_file

    save_file(_state(), folder / "state.safetensors")
    return [folder / "state.safetensors"]


def make_torch(folder: Path) -> list[Path]:
    import torch

    torch.save({name: torch.from_numpy(value) for name, value in _state().items()}, folder / "state.pth")
    return [folder / "state.pth"]


def use_state(folder: Path) -> object:
    from hwflow.models import read_state_dict

    (path,) = folder.glob("state.*")
    return {name: array.shape for name, array in read_state_dict(path).items()}


def make_hls4ml(folder: Path) -> list[Path]:
    import hls4ml
    import keras

    x = image = keras.Input((4,), name="image")
    x = keras.layers.Dense(2, name="d1")(keras.layers.Dense(3, activation="relu", name="d0")(x))
    model = keras.Model(image, x)
    config = hls4ml.utils.config_from_keras_model(model, granularity="name", backend="Vitis")
    project = folder / "project"
    hls4ml.converters.convert_from_keras_model(
        model, hls_config=config, backend="Vitis", output_dir=str(project), project_name="small"
    ).write()
    weights = sorted(project.glob("firmware/weights/*.txt"))
    return [project / "hls4ml_config.yml", project / "hls4ml_config.yml", *weights[:2], *project.glob("*.keras")]


def use_hls4ml(folder: Path) -> object:
    from hwflow import emulate
    from hwflow.emulation.source import open_graph

    return emulate(open_graph(folder / "project")).predict(np.zeros((1, 4))).shape


SUBJECTS = {
    "design": Subject(make_design, use_design, sealed=True),
    "project": Subject(make_project, use_project, sealed=True),
    "results": Subject(make_results, use_results, sealed=True),
    "fault list": Subject(make_faults, use_faults),
    "spec": Subject(make_spec, use_spec),
    "npz": Subject(make_npz, use_npz),
    "images": Subject(make_images, use_images),
    "labels": Subject(make_labels, use_labels),
    "h5": Subject(make_h5, use_model),
    "keras": Subject(make_keras, use_model),
    "json": Subject(make_json, use_model),
    "state npz": Subject(make_state_npz, use_state),
    "safetensors": Subject(make_safetensors, use_state),
    "pth": Subject(make_torch, use_state),
    "hls4ml project": Subject(make_hls4ml, use_hls4ml),
}

warnings.simplefilter("ignore")
