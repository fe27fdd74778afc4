"""Ports with a state dict, folders of images, and everything that can be wrong with either."""

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import hwflow as api
from hwflow.data import UNIT, image_folder, open_data
from hwflow.errors import HwflowError
from hwflow.models import CAFFE_NAMES, NETWORKS, load_model
from hwflow.models.torch_weights import _targets
from tests.cli.conftest import Result, hwflow, left_in

CLASSES = 12
"""More than ten, so that top-5 is measured."""


def write_images(folder: Path, count: int, seed: int = 0, size: int = 32) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    paths = [folder / f"{index:03}.png" for index in range(count)]
    for path, image in zip(paths, pixels, strict=True):
        Image.fromarray(image).save(path)
    return paths


def state_dict(network: str, **options: Any) -> dict[str, np.ndarray]:
    """Random tensors for a port, by PyTorch's names."""
    rng = np.random.default_rng(7)
    tensors = {}
    for target in _targets(NETWORKS[network](**options)):
        spread = 1 / np.sqrt(np.prod(target.shape[1:])) if len(target.shape) > 1 else 0.1
        offset = 1.0 if target.key.endswith("running_var") else 0.0
        tensors[target.key] = (offset + np.abs(rng.normal(size=target.shape) * spread)).astype(np.float32)
    return tensors


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Class folders, as many as the network knows classes, two images each; not to be changed."""
    folder = tmp_path_factory.mktemp("pictures") / "pictures"
    for label in range(CLASSES):
        write_images(folder / f"class{label:02}", 2, seed=label)
    return folder


@pytest.fixture
def own_pictures(pictures: Path, tmp_path: Path) -> Path:
    """A copy, to be damaged."""
    return Path(shutil.copytree(pictures, tmp_path / "pictures"))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state dict of ResNet-20 with `CLASSES` classes."""
    path = tmp_path_factory.mktemp("weights") / "weights.npz"
    np.savez(path, **state_dict("resnet20", classes=CLASSES))
    return path


@pytest.fixture(scope="module")
def port(weights: Path, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ResNet-20 hardened through the command; not to be changed."""
    folder = tmp_path_factory.mktemp("ports") / "port"
    harden(weights, folder, pictures, "--classes", CLASSES, "--json", f"{folder}.json").succeeds()
    return folder


def harden(weights: Path, output: Path, calibration: Path, *options: object) -> Result:
    return hwflow(
        "harden", "resnet20", "--torch-weights", weights, "-o", output, "--calibration", calibration, *options
    )


def evaluated(design: Path, data: Path, tmp_path: Path, *options: object) -> dict[str, Any]:
    path = tmp_path / "result.json"
    hwflow("evaluate", design, "--data", data, "--json", path, *options).succeeds()
    result: dict[str, Any] = json.loads(path.read_text())
    return result


def test_a_port_is_hardened(port, weights):
    result = json.loads(Path(f"{port}.json").read_text())
    assert result["source"] == "resnet20"
    assert result["torch_weights"]["file"] == weights.name
    assert result["calibration"]["preprocessing"] == "cifar"
    assert result["calibration"]["images"] == 2 * CLASSES
    assert api.load_design(port).graph.output.shape == (CLASSES,)
    assert {row["bits_used"] for row in result["layers"]} == {8}


def test_the_python_api_makes_the_same_design(port, weights, pictures, tmp_path):
    design = api.harden(
        "resnet20", tmp_path / "d", torch_weights=weights, classes=CLASSES, calibration=pictures, preprocessing="cifar"
    )
    assert design.sha256 == api.load_design(port).sha256


def test_images_are_streamed_and_counted(port, pictures, tmp_path, monkeypatch):
    whole = evaluated(port, pictures, tmp_path, "--ber", "1e-3", "--rounds", "2")
    assert whole["preprocessing"] == "cifar"
    assert whole["clean"]["images"] == whole["faulted"]["images"] == 2 * CLASSES
    assert whole["clean_top5"]["mean"] >= whole["clean"]["mean"]
    assert [draw["top5"] >= draw["accuracy"] for draw in whole["draws"]] == [True, True]
    monkeypatch.setattr("hwflow.executors.MAX_BATCH", 5)
    assert evaluated(port, pictures, tmp_path, "--ber", "1e-3", "--rounds", "2") == whole


def test_fewer_images_are_of_all_classes(port, pictures, tmp_path):
    assert evaluated(port, pictures, tmp_path, "--images", CLASSES)["clean"]["images"] == CLASSES
    assert open_data(pictures).spread(CLASSES).labels.tolist() == list(range(CLASSES))


def test_preprocessing_can_be_chosen(port, pictures, tmp_path):
    assert evaluated(port, pictures, tmp_path, "--preprocessing", "unit")["preprocessing"] == "unit"
    chosen = image_folder(pictures, UNIT)
    pixels = np.asarray(Image.open(chosen.files[0]), np.float32) / np.float32(255)
    np.testing.assert_array_equal(chosen.load().images[0], pixels)
    hwflow("evaluate", port, "--data", pictures, "--preprocessing", "imagenet").fails_with("(1, 224, 224, 3)")


def test_undecodable_images_are_counted_and_named(port, own_pictures, weights, tmp_path):
    broken = own_pictures / "class03" / "000.png"
    broken.write_bytes(b"no picture")
    out = hwflow("evaluate", port, "--data", own_pictures, "--json", tmp_path / "j.json").succeeds()
    assert f"1 of {2 * CLASSES} images cannot be decoded" in out
    assert str(broken) in out
    result = json.loads((tmp_path / "j.json").read_text())
    assert result["clean"]["images"] == 2 * CLASSES - 1
    assert [each["path"] for each in result["unreadable"]] == [str(broken)]
    out = harden(weights, tmp_path / "d", own_pictures, "--classes", CLASSES).succeeds()
    assert f"1 of {2 * CLASSES} images cannot be decoded" in out
    assert api.load_design(tmp_path / "d").manifest["calibration"]["images"] == 2 * CLASSES - 1


def test_no_decodable_image_at_all(port, own_pictures, weights, tmp_path):
    for image in own_pictures.rglob("*.png"):
        image.write_bytes(b"")
    words = (f"{2 * CLASSES} of {2 * CLASSES} images", "000.png")
    hwflow("evaluate", port, "--data", own_pictures).fails_with(*words)
    harden(weights, tmp_path / "d", own_pictures, "--classes", CLASSES).fails_with(*words)
    assert "d" not in left_in(tmp_path)


def test_a_flat_folder_with_a_list(port, tmp_path):
    flat = tmp_path / "flat"
    write_images(flat, 4)
    labels = tmp_path / "list.txt"
    labels.write_text("".join(f"{index:03}.png {index}\n" for index in range(4)))
    result = evaluated(port, flat, tmp_path, "--labels", labels)
    assert result["clean"]["images"] == 4
    hwflow("evaluate", port, "--data", flat).fails_with("flat", "needs labels")
    shutil.copy(labels, flat / "labels.txt")
    assert evaluated(port, flat, tmp_path)["clean"] == result["clean"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("000.png 12\n", ["class 12", "0 to 11"]),
        ("000.png -1\n", ["line 1", "-1"]),
        ("000.png cat\n", ["line 1", "class index"]),
        ("000.png 1\n009.png 2\n", ["line 2", "009.png"]),
        ("", ["no labels"]),
    ],
)
def test_labels_that_cannot_be(port, tmp_path, text, words):
    write_images(tmp_path / "flat", 2)
    (tmp_path / "list.txt").write_text(text)
    hwflow("evaluate", port, "--data", tmp_path / "flat", "--labels", tmp_path / "list.txt").fails_with(*words)


def test_folders_that_cannot_be(port, pictures, own_pictures, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "flat").mkdir()
    (tmp_path / "flat" / "000.png").write_bytes(b"")
    cases: list[tuple[Path, list[object], list[str]]] = [
        (tmp_path / "nowhere", [], ["nowhere", "no such data"]),
        (tmp_path / "empty", [], ["empty", "no images"]),
        (tmp_path / "flat", ["--labels", tmp_path / "none.txt"], ["none.txt", "no such list"]),
        (tmp_path / "flat", ["--labels", tmp_path / "empty"], ["meta.mat", "devkit"]),
        (pictures, ["--images", 2 * CLASSES + 1], [f"{2 * CLASSES} images"]),
    ]
    for data, options, words in cases:
        hwflow("evaluate", port, "--data", data, *options).fails_with(*words)
    shutil.rmtree(own_pictures / "class05")
    hwflow("evaluate", port, "--data", own_pictures).fails_with("11 class folders", "12 classes")
    (own_pictures / "class05").mkdir()
    hwflow("evaluate", port, "--data", own_pictures).fails_with("class05", "no images")


def test_options_that_only_a_folder_has(design, port, tmp_path):
    hwflow("evaluate", design, "--data", "digits", "--preprocessing", "unit").fails_with("digits", "folder of images")
    hwflow("evaluate", design, "--data", "digits", "--labels", "x").fails_with("digits", "folder of images")
    hwflow("evaluate", port, "--data", "x", "--preprocessing", "none").fails_with("--preprocessing", status=2)


def test_options_that_only_a_port_has(pictures, tmp_path):
    hwflow("harden", "resnet20", "-o", tmp_path / "d", "--calibration", pictures).fails_with("--torch-weights")
    for option in (["--torch-weights", "w.npz"], ["--classes", "3"], ["--image-size", "8"]):
        result = hwflow("harden", "digits_cnn", "-o", tmp_path / "d", *option)
        result.fails_with("digits_cnn", "resnet20")
    with pytest.raises(HwflowError, match="brings its weights"):
        api.harden(object(), tmp_path / "d", calibration="digits", classes=3)
    assert left_in(tmp_path) == set()


class Code:
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return print, ("this must not run",)


def truncated(path: Path) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    torch.save({"linear.weight": torch.zeros(10, 64)}, path)
    path.write_bytes(path.read_bytes()[:200])


def foreign(path: Path) -> None:
    path.write_bytes(b"\x89PNG\r\n")


def with_code(path: Path) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    torch.save({"linear.weight": Code()}, path)


def with_code_of_another_program(path: Path) -> None:
    path.write_bytes(pickle.dumps({"linear.weight": Code()}))


def of_another_network(path: Path) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    torch.save({"fc.weight": torch.zeros(10, 64)}, path)


def of_other_classes(path: Path) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    tensors = state_dict("resnet20", classes=CLASSES)
    torch.save({key: torch.from_numpy(tensor) for key, tensor in tensors.items()}, path)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (truncated, ["damaged"]),
        (foreign, ["damaged"]),
        (with_code, ["Python objects"]),
        (with_code_of_another_program, ["not a PyTorch state dict"]),
        (of_another_network, ["not the weights of resnet20", "conv1.weight"]),
        (of_other_classes, ["linear.weight", f"({CLASSES}, 64)", "(10, 64)", "classes"]),
        (lambda path: None, ["no such weight file"]),
    ],
)
def test_state_dicts_that_cannot_be(pictures, tmp_path, make, words):
    pytest.importorskip("torch", reason="PyTorch is not installed")
    make(tmp_path / "bad.pth")
    before = left_in(tmp_path)
    result = harden(tmp_path / "bad.pth", tmp_path / "d", pictures)
    result.fails_with("bad.pth", *words)
    assert "must not run" not in result.out
    assert left_in(tmp_path) == before


def test_the_original_squeezenets_names_are_known(tmp_path):
    tensors = state_dict("squeezenet1_1", classes=3, input_shape=(32, 32, 3))
    np.savez(tmp_path / "ours.npz", **tensors)
    caffe = {ours: theirs for theirs, ours in CAFFE_NAMES.items()}
    renamed = {}
    for key, tensor in tensors.items():
        module, _, parameter = key.rpartition(".")
        renamed[f"{caffe[module]}.{parameter}"] = tensor
    np.savez(tmp_path / "theirs.npz", **renamed)
    ours, theirs = (load_model("squeezenet1_1", tmp_path / f"{name}.npz", 3, 32) for name in ("ours", "theirs"))
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
