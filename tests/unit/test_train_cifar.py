"""The training script: its PyTorch networks are the ports, and an interrupted training ends as another one."""

import importlib.util
import shutil
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hwflow.errors import HwflowError
from hwflow.models import NETWORKS, load_model

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

SCRIPT = Path(__file__).parents[2] / "scripts" / "train_cifar.py"


@pytest.fixture(scope="module")
def script() -> Any:
    spec = importlib.util.spec_from_file_location("train_cifar", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["train_cifar"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cifar")
    rng = np.random.default_rng(1)
    for label in range(10):
        (folder / f"class{label}").mkdir()
        for number in range(13):
            pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"class{label}" / f"{number:04}.png")
    return folder


@pytest.mark.parametrize(
    "name",
    [
        "alexnet",
        "resnet18",
        "resnet20",
        "squeezenet1_1",
        pytest.param("resnet50", marks=pytest.mark.slow),
        pytest.param("densenet169", marks=pytest.mark.slow),
    ],
)
def test_networks_are_the_ports(script: Any, tmp_path: Path, name: str) -> None:
    torch.manual_seed(1)
    network = script.Network(NETWORKS[name](input_shape=(32, 32, 3), classes=10, width=1 / 4)).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for tensor in (module.weight, module.running_var):
                torch.nn.init.uniform_(tensor, 0.5, 1.5)
            for tensor in (module.bias, module.running_mean):
                torch.nn.init.uniform_(tensor, -0.5, 0.5)
        elif isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            module.weight.data = module.weight.data.half().float()  # as they are saved
    script.save(network, tmp_path / "weights.npz")
    model = load_model(name, tmp_path / "weights.npz", 10, 32)
    pixels = np.random.default_rng(1).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    with torch.no_grad():
        expected = network(script.as_tensor(pixels)).numpy()
    logits = model(script.CIFAR.normalise(pixels), training=False).numpy()
    np.testing.assert_allclose(logits, expected, atol=1e-4 * np.ptp(expected))


def test_interrupted_training_ends_as_another(
    script: Any, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    keep = script.keep

    def keep_a_copy(path: Path, settings: Any, parts: Any, epoch: int) -> None:
        keep(path, settings, parts, epoch)
        shutil.copy(path, tmp_path / f"epoch{epoch}")

    with tarfile.open(tmp_path / "images.tar.xz", "w:xz") as archive:
        archive.add(images, ".")
    arguments = ["--network", "alexnet", "--width", "0.0625", "--epochs", "3", "--test-data", str(images)]
    results = []
    for name, source in (("whole", images), ("resumed", tmp_path / "images.tar.xz")):
        output = tmp_path / f"{name}.npz"
        if name == "resumed":
            shutil.copy(tmp_path / "epoch1", tmp_path / "resumed.checkpoint")
        monkeypatch.setattr(script, "keep", keep_a_copy)
        monkeypatch.setattr(sys, "argv", ["train_cifar.py", "--data", str(source), *arguments, "-o", str(output)])
        script.main()
        results.append(dict(np.load(output)))
        assert "/130 = " in capsys.readouterr().out
        assert not output.with_suffix(".checkpoint").exists()
    whole, resumed = results
    assert whole.keys() == resumed.keys()
    for key, array in whole.items():
        np.testing.assert_array_equal(array, resumed[key], err_msg=key)
    shutil.copy(tmp_path / "epoch1", tmp_path / "other.checkpoint")
    settings = script.Settings("alexnet", 1 / 16, 4, 1, script.RATE, 0)
    with pytest.raises(HwflowError, match="of another training"):
        script.train(settings, *script.read_images(images), tmp_path / "other.checkpoint")


def test_batches_are_flipped_shifted_and_shuffled(script: Any) -> None:
    pixels = np.zeros((256, 32, 32, 3), np.uint8)
    pixels[:, 8, 10] = 255
    pixels[:, 0, 0] = np.arange(256)[:, None]
    found, count = set(), 0
    for images, labels in script.batches(pixels, np.arange(256), 32, np.random.default_rng(1)):
        assert images.shape == (128, 3, 32, 32)
        assert len(set(labels.tolist())) == 128
        count += len(images)
        brightest = images[:, 0].reshape(128, -1).argmax(1)
        found |= set(zip((brightest // 32).tolist(), (brightest % 32).tolist(), strict=True))
    assert count == 256
    rows, columns = {row for row, _ in found}, {column for _, column in found}
    assert rows == set(range(4, 13))
    assert columns == set(range(6, 15)) | set(range(17, 26))


def test_data_that_does_not_fit(script: Any, images: Path, tmp_path: Path) -> None:
    (tmp_path / "text.tar").write_text("hello")
    with pytest.raises(HwflowError, match="neither a folder nor a readable tar"):
        script.read_images(tmp_path / "text.tar")
    shutil.copytree(images / "class1", tmp_path / "set" / "class1")
    with pytest.raises(HwflowError, match="not 10 classes of 32x32"):
        script.read_images(tmp_path / "set")
