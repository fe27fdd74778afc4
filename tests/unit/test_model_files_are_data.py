"""No model file runs, reads or writes anything but itself, and none takes more time or memory than it is worth."""

import json
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import hwflow
from hwflow.campaign.sources import open_model
from hwflow.campaign.spec import ModelSpec
from hwflow.data import load_digits
from hwflow.emulation.source import open_graph
from hwflow.errors import HwflowError
from hwflow.frontends.keras_versions import is_keras3
from hwflow.models import load_model
from hwflow.models._tf import qkeras, tensorflow
from tests.unit.crafted import ATTACKS, DENSE, SUFFIXES, chain, dense, layer, write, write_weights


@pytest.fixture(scope="module", autouse=True)
def imported() -> None:
    """TensorFlow takes seconds to import, which is no file's fault."""
    qkeras()


def refused(path: Path, *parts: str, load: Any = load_model) -> str:
    start = time.process_time()
    with pytest.raises(HwflowError) as caught:
        load(path)
    assert time.process_time() - start < 5
    text = str(caught.value)
    assert "\n" not in text
    assert path.stem in text
    assert len(text) < 500
    for part in parts:
        assert part in text
    return text


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("attack", ATTACKS)
def test_attack(tmp_path: Path, attack: str, suffix: str) -> None:
    marker = tmp_path / "marker"
    marker_made = attack in ("rmtree", "load_op_library")
    if marker_made:
        marker.mkdir()
    path = write(tmp_path / f"model{suffix}", ATTACKS[attack](marker))
    before = sorted(tmp_path.iterdir())
    refused(path)
    assert sorted(tmp_path.iterdir()) == before


def test_the_attack_is_live(tmp_path: Path) -> None:
    """What hwflow refuses, the loader of Keras 2 runs: the markers above would appear."""
    if is_keras3():
        pytest.skip("the loader of Keras 3 does not build layers of TensorFlow functions")
    marker = tmp_path / "marker"
    path = write(tmp_path / "model.h5", ATTACKS["write_file"](marker))
    with pytest.raises((AttributeError, IndexError, TypeError, ValueError)):
        tensorflow().keras.models.load_model(path)
    assert marker.exists()


def _harden(path: Path) -> Any:
    return hwflow.harden(path, path.with_name("design"), calibration="digits")


def _campaign(path: Path) -> Any:
    return open_model(ModelSpec(name="net", model=str(path)), load_digits())


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("attack", ["function that is called", "write_file", "quantiser as code"])
@pytest.mark.parametrize("load", [_harden, open_graph, _campaign])
def test_every_way_in(tmp_path: Path, load: Any, attack: str, suffix: str) -> None:
    marker = tmp_path / "marker"
    path = write(tmp_path / f"model{suffix}", ATTACKS[attack](marker))
    refused(path, load=load)
    assert not marker.exists()
    assert not (tmp_path / "design").exists()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_training_state_is_ignored(tmp_path: Path, suffix: str) -> None:
    marker = tmp_path / "marker"
    evil = {"module": "subprocess", "class_name": "getoutput", "config": {"cmd": f"touch {marker}"}}
    network = chain(dense()) | {"compile_config": {"optimizer": evil, "loss": evil}, "build_config": evil}
    path = write(tmp_path / f"model{suffix}", network)
    if suffix == ".h5":
        with h5py.File(path, "a") as file:
            file.attrs["training_config"] = json.dumps({"optimizer_config": evil, "loss": evil})
    model = load_model(path)
    np.testing.assert_array_equal(model.predict(np.ones((1, 3)), verbose=0), [[4, 4]])
    assert not marker.exists()


def with_links(path: Path, link: Any) -> Path:
    write(path, chain(dense()))
    with h5py.File(path, "a") as file:
        del file["model_weights/dense/w0"]
        file["model_weights/dense/w0"] = link
    return path


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """Another file, which no model may read."""
    path = tmp_path / "secret.h5"
    with h5py.File(path, "w") as file:
        file["w0"] = np.ones((3, 2), np.float32)
        write_weights(file.create_group("model_weights"), DENSE)
    return path


def test_external_link(tmp_path: Path, secret: Path) -> None:
    path = with_links(tmp_path / "model.h5", h5py.ExternalLink(str(secret), "/w0"))
    refused(path, "is a link to somewhere else")
    with h5py.File(path, "a") as file:
        del file["model_weights"]
        file["model_weights"] = h5py.ExternalLink(str(secret), "/model_weights")
    refused(path, "is a link to somewhere else")


def test_soft_link(tmp_path: Path) -> None:
    refused(with_links(tmp_path / "model.h5", h5py.SoftLink("/model_weights/dense/w1")), "is a link to somewhere else")


def test_external_storage_and_virtual_datasets(tmp_path: Path, secret: Path) -> None:
    path = write(tmp_path / "model.h5", chain(dense()))
    raw = tmp_path / "raw.bin"
    raw.write_bytes(np.ones((3, 2), np.float32).tobytes())
    with h5py.File(path, "a") as file:
        group = file["model_weights/dense"]
        del group["w0"]
        group.create_dataset("w0", (3, 2), "f4", external=[(str(raw), 0, 24)])
    refused(path, "has its numbers in another file")
    with h5py.File(path, "a") as file:
        group = file["model_weights/dense"]
        del group["w0"]
        layout = h5py.VirtualLayout((3, 2), "f4")
        layout[:] = h5py.VirtualSource(str(secret), "w0", (3, 2))
        group.create_virtual_dataset("w0", layout)
    refused(path, "has its numbers in another file")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda group: group.create_dataset("w0", (10**7, 10**7), "f4"), "stores 0"),
        (lambda group: group.create_dataset("w0", (10**7, 10**7), "f4", chunks=(1000, 1000), compression=9),
            "stores 0"),
        (lambda group: group.create_dataset("w0", data=["x"]), "does not hold numbers"),
        (lambda group: group.create_dataset("w0", data=h5py.Empty("f4")), "does not hold numbers"),
        (lambda group: group.create_group("w0"), "a weight of 'dense' is missing"),
        (lambda group: group.create_dataset("w0", data=np.ones((2, 3), np.float32)), "(2, 3) in the file, not (3, 2)"),
        (lambda group: None, "a weight of 'dense' is missing"),
    ],
)  # fmt: skip
def test_datasets(tmp_path: Path, make: Any, reason: str) -> None:
    path = write(tmp_path / "model.h5", chain(dense()))
    with h5py.File(path, "a") as file:
        del file["model_weights/dense/w0"]
        make(file["model_weights/dense"])
    refused(path, reason)


def test_compressed_bomb(tmp_path: Path) -> None:
    """A little that is stored, and much that is declared."""
    path = write(tmp_path / "model.h5", chain(layer("Dense", "dense", units=2, use_bias=False)), {"dense": []})
    with h5py.File(path, "a") as file:
        group = file["model_weights/dense"]
        group.attrs["weight_names"] = [b"w0"]
        stored = group.create_dataset("w0", (3, 200_000_000), "f4", chunks=(3, 10_000), compression=1)
        stored[:, :10_000] = 0
    refused(path, "declares 2400000000 bytes")


def archive(path: Path, members: dict[str, bytes], **options: Any) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(zipfile.ZipInfo(name) if options.get("plain") else name, content)
    return path


def members(path: Path) -> dict[str, bytes]:
    write(path, chain(dense()))
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "assets/../../evil", "..\\evil"])
def test_members_outside(tmp_path: Path, name: str) -> None:
    path = tmp_path / "model.keras"
    archive(path, members(path) | {name: b"x"})
    refused(path, "is a link or lies outside the archive")


def test_member_that_is_a_link(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    content = members(path)
    weights = content.pop("model.weights.h5")
    archive(path, content)
    link = zipfile.ZipInfo("model.weights.h5")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "a") as file:
        file.writestr(link, weights)
    refused(path, "is a link or lies outside the archive")


def test_two_members_of_one_name(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    content = members(path)
    with zipfile.ZipFile(path, "a") as file, pytest.warns(UserWarning, match="Duplicate name"):
        file.writestr("config.json", content["config.json"])
    refused(path, "two members of one name")


def test_missing_members(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    content = members(path)
    for name in ("config.json", "model.weights.h5"):
        archive(path, {key: value for key, value in content.items() if key != name})
        refused(path, name)


def test_zip_bomb(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    archive(path, members(path) | {"model.weights.h5": bytes(100_000_000)})
    assert path.stat().st_size < 300_000
    refused(path, "declares 100")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_deep_and_long_json(tmp_path: Path, suffix: str) -> None:
    deep = "[" * 100_000 + "]" * 100_000
    path = tmp_path / f"model{suffix}"
    if suffix != ".h5":  # an attribute holds less
        write(path, '{"class_name": "Sequential", "config": {"layers": ' + deep + "}}")
        refused(path, "nested too deep")
    write(path, '{"class_name": "Sequential", "config": ' + "9" * 10_000 + "}")
    refused(path, "digits")
    nested: Any = dense()
    for index in range(40):
        nested = layer("TimeDistributed", f"outer{index}", layer=nested)
    write(path, chain(nested))
    refused(path, "nested too deep")


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (chain(layer("Dense", "dense", units=2**31 - 1)), "the file lacks weights for it"),
        (chain(layer("Dense", "dense", units=10**12)), "units must be a whole number"),
        (chain(layer("Embedding", "dense", input_dim=2**30, output_dim=2**30)), "the file lacks weights for it"),
        (chain(layer("Reshape", "a", target_shape=[1, 3]), layer("UpSampling1D", "up", size=2**30)), "at most 1024"),
        (
            chain(layer("Reshape", "a", target_shape=[3, 1]), *[layer("UpSampling1D", i, size=99) for i in "bcde"]),
            "with size=99 makes more than",
        ),
        (
            chain(layer("Reshape", "a", target_shape=[1, 1, 3]), layer("UpSampling2D", "up", size=[2**15, 2**17])),
            "numbers an input",
        ),
        (chain(layer("Dense", "dense", units="2")), "units must be a whole number"),
        (chain(layer("Dense", "dense", units=True)), "units must be a whole number"),
        (chain(layer("Dense", "dense", units=2, kernel="x")), "the attribute 'kernel'"),
        (chain(layer("Dense", "dense")), "cannot be built"),
        (chain(layer("Dense", "dense", units=2, use_bias=2)), "use_bias must be true or false"),
        (chain(layer("ReLU", "relu", max_value=float("nan"))), "max_value must be a finite number"),
        (chain(layer("Conv2D", "conv", filters=1, kernel_size=3)), "'conv' (Conv2D) cannot be built"),
        (chain(dense(), dense()), "should have unique names"),
        (chain(), "not the weights of this network"),
        ({"class_name": "Sequential", "config": {"layers": []}}, "has no layers"),
        ({"class_name": "Dense", "config": {"units": 3}}, "not the architecture of a Keras model"),
    ],
)  # fmt: skip
def test_attributes(tmp_path: Path, network: Any, reason: str) -> None:
    refused(write(tmp_path / "model.json", network), reason)


def test_a_control_character_stays_a_figure_of_speech(tmp_path: Path) -> None:
    path = write(tmp_path / "model.json", chain(layer("Dense\x1b[31m\nDense", "a\x1b]0;\x07\nb")))
    text = refused(path)
    assert text.isprintable()


def test_memory_of_bombs(tmp_path: Path) -> None:
    """Loading refused files takes no memory to speak of; a process of its own, because a peak does not go down."""
    path = tmp_path / "model.keras"
    archive(path, members(path) | {"model.weights.h5": bytes(200_000_000)})
    code = (
        "import resource, sys\n"
        "from hwflow.errors import HwflowError\n"
        "from hwflow.models import load_model\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try:\n    load_model(sys.argv[1])\nexcept HwflowError:\n    pass\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 150_000  # KiB; the archive declares 200 MB
