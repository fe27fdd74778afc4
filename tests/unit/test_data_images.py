import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hwflow.data import (
    CAFFE,
    IMAGENET,
    UNCHANGED,
    UNIT,
    ImageSet,
    Preprocessing,
    Tally,
    accuracy,
    guessing,
    image_folder,
    imagenet,
    labelled_folder,
    load_images,
    open_data,
    open_images,
    ranks,
    require_labels,
)
from hwflow.errors import HwflowError

IDS = ("n00000003", "n00000001", "n00000002")
"""WordNet ids of the fake devkit's classes 1, 2, 3."""


def noise(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def write_images(folder: Path, names: list[str], size: tuple[int, int] = (8, 6)) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(names):
        Image.fromarray(noise(size[1], size[0], 3, seed=seed)).save(folder / name)
    return [folder / name for name in names]


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    """Two class folders of three images each, one of them in a folder of its own."""
    root = tmp_path / "images"
    write_images(root / "b_dog", ["2.png", "1.png"])
    write_images(root / "b_dog" / "more", ["3.PNG"])
    write_images(root / "a_cat", ["1.png", "2.bmp", "3.png"])
    (root / "a_cat" / "notes.txt").write_text("no image")
    (root / "a_cat" / ".hidden.png").write_bytes(b"")
    (root / ".cache").mkdir()
    (root / "labels.txt").write_text("")
    return root


def image_names(folder: Path) -> list[str]:
    found = open_images(folder)
    assert isinstance(found, ImageSet)
    return [file.name for file in found.files]


def one_line(function: Callable[[], Any]) -> str:
    with pytest.raises(HwflowError) as caught:
        function()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_importing_data_is_quick() -> None:
    code = "import sys, hwflow.data; print(*{'PIL', 'scipy', 'sklearn', 'tensorflow'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not done.stdout.split()


@pytest.mark.parametrize(
    ("size", "resized", "corner"),
    [
        ((300, 400), (256, 341), (16, 58)),  # 58.5 to even
        ((407, 300), (347, 256), (62, 16)),  # 61.5 to even
        ((256, 256), (256, 256), (16, 16)),
        ((100, 37), (691, 256), (234, 16)),
        ((257, 513), (256, 511), (16, 144)),  # 511.003, 143.5 to even
    ],
)
def test_imagenet_preprocessing_is_pillows(
    size: tuple[int, int], resized: tuple[int, int], corner: tuple[int, int]
) -> None:
    picture = Image.fromarray(noise(size[1], size[0], 3))
    expected = picture if size == resized else picture.resize(resized, Image.Resampling.BILINEAR)
    left, top = corner
    pixels = np.asarray(expected)[top : top + 224, left : left + 224]
    np.testing.assert_array_equal(IMAGENET.pixels(picture), pixels)
    assert IMAGENET(picture).dtype == np.float32


def test_normalisation_is_pytorchs() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    pixels = noise(40, 50, 3)
    x = torch.from_numpy(pixels.transpose(2, 0, 1).copy()).float().div(255)
    mean, std = (torch.tensor(v)[:, None, None] for v in (IMAGENET.mean, IMAGENET.std))
    expected = x.sub_(mean).div_(std).numpy().transpose(1, 2, 0)
    np.testing.assert_array_equal(UNCHANGED(Image.fromarray(pixels)), expected)


def test_crop_of_a_smaller_image_pads_with_zeros() -> None:
    pixels = noise(4, 7, 3)
    expected = np.zeros((6, 6, 3), np.uint8)
    expected[1:5] = pixels[:, 0:6]  # round(0.5) is 0
    np.testing.assert_array_equal(Preprocessing(None, 6).pixels(Image.fromarray(pixels)), expected)


def test_caffe_order_and_mean() -> None:
    pixels = noise(5, 6, 3)
    expected = pixels[..., ::-1].astype(np.float32) - np.array([104, 117, 123], np.float32)
    np.testing.assert_array_equal(CAFFE(Image.fromarray(pixels)), expected)


def test_every_mode_becomes_three_channels() -> None:
    for mode in ("L", "P", "RGBA", "CMYK", "1", "LA"):
        assert UNCHANGED(Image.fromarray(noise(5, 6, 3)).convert(mode)).shape == (5, 6, 3)
    grey = Preprocessing(None, None, mean=(0.0,), std=(1.0,), channels="L")
    np.testing.assert_array_equal(grey(Image.fromarray(noise(5, 6)))[..., 0] * 255, noise(5, 6))


@pytest.mark.parametrize("options", [{"mean": (0.0,)}, {"std": (1.0, 0.0, 1.0)}, {"resize": 0}, {"channels": "L"}])
def test_bad_preprocessing(options: dict[str, Any]) -> None:
    with pytest.raises(HwflowError, match=r"need|must be positive"):
        Preprocessing(**options)


def test_image_folder(classes: Path) -> None:
    found = image_folder(classes, UNCHANGED)
    assert found.labels is not None
    assert (found.name, found.classes, len(found)) == ("images", ("a_cat", "b_dog"), 6)
    assert found.labels.tolist() == [0, 0, 0, 1, 1, 1]
    relative = [file.relative_to(classes).as_posix() for file in found.files]
    assert relative == ["a_cat/1.png", "a_cat/2.bmp", "a_cat/3.png", "b_dog/1.png", "b_dog/2.png", "b_dog/more/3.PNG"]
    batches = list(found.batches(4))
    assert [len(batch) for batch in batches] == [4, 2]
    everything = found.load()
    np.testing.assert_array_equal(np.concatenate([batch.images for batch in batches]), everything.images)
    np.testing.assert_array_equal(everything.images[3], UNCHANGED(Image.open(classes / "b_dog" / "1.png")))
    assert everything.images.shape == (6, 6, 8, 3)
    assert batches[1].labels is not None
    assert batches[1].labels.tolist() == [1, 1]
    assert batches[1].paths == found.files[4:]


def test_images_alone_do_not_look_at_labels(classes: Path) -> None:
    expected = image_folder(classes).files
    (classes / "c_empty").mkdir()
    one_line(lambda: image_folder(classes))
    chosen = open_images(classes)
    assert isinstance(chosen, ImageSet)
    assert chosen.files == expected
    write_images(classes, ["overview.png"])
    assert image_names(classes) == ["overview.png"]  # beside a list of labels
    (classes / "labels.txt").write_text("nonsense")
    one_line(lambda: open_data(classes))
    assert image_names(classes) == ["overview.png"]
    (classes / "labels.txt").unlink()
    found = open_images(classes, preprocessing="unit")
    assert isinstance(found, ImageSet)
    assert (found.files, found.labels, found.preprocessing) == (expected, None, UNIT)
    with pytest.raises(HwflowError, match="images: accuracy needs labels: give a list"):
        require_labels(found)
    assert "no images" in one_line(lambda: open_images(classes / "c_empty"))
    assert "for a folder" in one_line(lambda: open_images("digits", preprocessing="unit"))
    assert open_images("digits").labels is None


def test_part_of_a_set(classes: Path) -> None:
    found = image_folder(classes)
    assert found.first(2).files == found.files[:2]
    spread = found.spread(3)
    assert spread.labels is not None
    assert spread.files == found.files[::2]
    assert spread.labels.tolist() == [0, 0, 1]
    for count in (0, 7):
        assert f"has 6 images: cannot take the first {count}" in one_line(lambda: found.first(count))  # noqa: B023
        assert f"has 6 images: cannot take {count}" in one_line(lambda: found.spread(count))  # noqa: B023
    assert "not 0" in one_line(lambda: next(found.batches(0)))


def test_bad_folders(tmp_path: Path, classes: Path) -> None:
    assert "no such folder" in one_line(lambda: image_folder(tmp_path / "absent"))
    assert "no such folder" in one_line(lambda: image_folder(classes / "labels.txt"))
    assert "no folders in it" in one_line(lambda: image_folder(classes / "a_cat"))
    (classes / "c_empty").mkdir()
    assert one_line(lambda: image_folder(classes)).startswith(f"{classes / 'c_empty'}: no images")
    assert "no images in this folder" in one_line(lambda: imagenet(classes / "c_empty", classes / "labels.txt"))


def test_unreadable_images_are_counted_and_named(classes: Path) -> None:
    good = (classes / "a_cat" / "1.png").read_bytes()
    (classes / "a_cat" / "3.png").write_bytes(b"no image at all")
    (classes / "b_dog" / "1.png").write_bytes(good[: len(good) // 2])
    (classes / "b_dog" / "2.png").write_bytes(b"")
    found = image_folder(classes, UNCHANGED)
    batches = list(found.batches(2))
    assert [len(batch) for batch in batches] == [2, 0, 1]
    assert [[bad.path.name for bad in batch.unreadable] for batch in batches] == [[], ["3.png", "1.png"], ["2.png"]]
    assert batches[2].paths == (classes / "b_dog" / "more" / "3.PNG",)
    assert batches[2].labels is not None
    assert batches[2].labels.tolist() == [1]
    message = one_line(found.load)
    assert message.startswith("3 of 6 images cannot be decoded; the first is ")
    assert str(classes / "a_cat" / "3.png") in message


@pytest.mark.parametrize("suffix", [".jpeg", ".png", ".bmp", ".webp", ".tif", ".ppm"])
def test_damage_anywhere(tmp_path: Path, suffix: str) -> None:
    """However a file is cut or overwritten, it decodes or is named: nothing else is raised."""
    path = tmp_path / f"image{suffix}"
    Image.fromarray(noise(16, 16, 3)).save(path)
    content = path.read_bytes()
    rng = np.random.default_rng(1)
    damaged = [content[: len(content) * part // 20] for part in range(20)]
    for _ in range(40):
        changed = bytearray(content)
        changed[rng.integers(0, min(60, len(content)))] = rng.integers(0, 256)
        damaged.append(bytes(changed))
    unreadable = 0
    for data in damaged:
        path.write_bytes(data)
        (batch,) = ImageSet("set", (path,), None, (), Preprocessing(None, 16)).batches(1)
        assert len(batch) + len(batch.unreadable) == 1
        unreadable += len(batch.unreadable)
    assert unreadable >= 10


def test_images_of_two_sizes(classes: Path) -> None:
    write_images(classes / "a_cat", ["4.png"], size=(9, 5))
    message = one_line(image_folder(classes, UNCHANGED).load)
    assert "4.png: 9x5 pixels" in message
    assert "8x6; resize and crop" in message
    assert image_folder(classes).load().images.shape == (7, 224, 224, 3)


def test_memory_does_not_grow_with_the_set(tmp_path: Path) -> None:
    (path,) = write_images(tmp_path, ["image.png"], size=(64, 64))

    def peak(count: int) -> int:
        found = ImageSet("many", (path,) * count, np.zeros(count, np.int64), (), UNCHANGED)
        tracemalloc.start()
        try:
            assert sum(len(batch) for batch in found.batches(8)) == count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(8)
    assert peak(400) < 1.2 * peak(40)


def write_devkit(folder: Path, truth: str = "3\n1\n2\n1\n") -> Path:
    from scipy import io

    kind = [(name, object) for name in ("ILSVRC2012_ID", "WNID", "words", "num_children")]
    rows = [(number, identity, "words", 0) for number, identity in enumerate(IDS, 1)]
    # The devkit's table goes on with groups of classes.
    rows.append((4, "n00000009", "group", 3))
    data = folder / "data"
    data.mkdir(parents=True)
    io.savemat(data / "meta.mat", {"synsets": np.array(rows, dtype=kind)[:, None]})
    (data / "ILSVRC2012_validation_ground_truth.txt").write_text(truth)
    return folder


def test_devkit(tmp_path: Path) -> None:
    devkit = write_devkit(tmp_path / "devkit")
    names = [f"ILSVRC2012_val_{number:08d}.JPEG" for number in (1, 2, 4)]
    write_images(tmp_path / "val", names)
    for place in (devkit, devkit / "data"):
        found = imagenet(tmp_path / "val", place)
        assert found.labels is not None
        assert found.classes == tuple(sorted(IDS))
        # Ground truth 3, 1, 1: classes n00000002, n00000003, n00000003.
        assert found.labels.tolist() == [1, 2, 2]
        assert [file.name for file in found.files] == names
    write_images(tmp_path / "val", ["ILSVRC2012_val_00000005.JPEG"])
    assert "not one of the 4 validation images" in one_line(lambda: imagenet(tmp_path / "val", devkit))


def test_bad_devkit(tmp_path: Path) -> None:
    write_images(tmp_path / "val", ["ILSVRC2012_val_00000001.JPEG"])

    def message(devkit: Path) -> str:
        text = one_line(lambda: imagenet(tmp_path / "val", devkit))
        assert text.startswith(str(devkit))
        return text

    (tmp_path / "empty").mkdir()
    assert "no meta.mat in this devkit" in message(tmp_path / "empty")
    devkit = write_devkit(tmp_path / "a")
    (devkit / "data" / "ILSVRC2012_validation_ground_truth.txt").unlink()
    assert "no ILSVRC2012_validation_ground_truth.txt" in message(devkit)
    for name, truth in (("b", "1\n4\n"), ("c", "1\nx\n"), ("d", "0\n")):
        assert "is out of range 1 to 3" in message(write_devkit(tmp_path / name, truth))
    meta = devkit / "data" / "meta.mat"
    (devkit / "data" / "ILSVRC2012_validation_ground_truth.txt").write_text("1\n")
    content = meta.read_bytes()
    cuts = [content[: len(content) * part // 40] for part in range(1, 40)]
    for damaged in (b"", b"hello", b"\xff" * 500, content[:140], *cuts):
        meta.write_bytes(damaged)
        assert "not the devkit's table of classes" in message(devkit)


def test_label_list(tmp_path: Path) -> None:
    write_images(tmp_path / "val", ["b.jpg", "a.jpg", "with space.jpg", "unlisted.jpg"])
    path = tmp_path / "labels.txt"
    path.write_text("b.jpg 999\na.jpg,0\n\nwith space.jpg\t7\n")
    for found in (imagenet(tmp_path / "val", path), labelled_folder(tmp_path / "val", path)):
        assert found.labels is not None
        assert found.labels.tolist() == [999, 0, 7]
        assert [file.name for file in found.files] == ["b.jpg", "a.jpg", "with space.jpg"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.jpg 1000\n", "line 1: label 1000 is out of range 0 to 999"),
        ("a.jpg -1\n", "line 1: label -1 is out of range"),
        ("a.jpg 1\nb.jpg\n", "line 2: expected a file name and a class index"),
        ("a.jpg cat\n", "line 1: expected"),
        ("5\n", "line 1: expected"),
        ("a.jpg 1\nc.jpg 1\n", "line 2: no image 'c.jpg' in"),
        ("a.jpg 1\na.jpg 2\n", "line 2: 'a.jpg' stands in the list twice"),
        ("\n", "no labels in it"),
        (b"\xff\xfe\x00", "not a text file"),
    ],
)
def test_bad_label_list(tmp_path: Path, text: str | bytes, expected: str) -> None:
    write_images(tmp_path / "val", ["a.jpg", "b.jpg"])
    path = tmp_path / "labels.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    message = one_line(lambda: imagenet(tmp_path / "val", path))
    assert message.startswith(str(path))
    assert expected in message


def test_missing_label_list(tmp_path: Path, classes: Path) -> None:
    write_images(tmp_path / "val", ["a.jpg"])
    assert "no such list of labels" in one_line(lambda: imagenet(tmp_path / "val", tmp_path / "labels.txt"))
    assert "2 class folders, not 1000" in one_line(lambda: imagenet(classes))


def test_ranks() -> None:
    logits = np.array([[3.0, 1.0, 2.0], [1.0, 1.0, 1.0], [1.0, 1.0, 1.0], [np.nan, 0.0, np.nan], [np.nan] * 3])
    labels = np.array([2, 0, 2, 1, 0])
    assert ranks(logits, labels).tolist() == [1, 0, 2, 0, 3]
    codes = np.array([[5, -3, 5]])
    assert [int(ranks(codes, np.array([label]))[0]) for label in range(3)] == [0, 2, 1]


def test_accuracy_agrees_with_sorting() -> None:
    rng = np.random.default_rng(0)
    # Few values, so that many logits are equal.
    logits, labels = rng.integers(0, 8, (200, 20)), rng.integers(0, 20, 200)
    order = np.argsort(-logits, axis=1, kind="stable")
    result = accuracy(logits, labels)
    assert result.hits1 == (logits.argmax(1) == labels).sum()
    assert result.hits5 == (order[:, :5] == labels[:, None]).any(1).sum()
    assert (result.top1, result.top5) == (result.hits1 / 200, result.hits5 / 200)
    parts = accuracy(logits[:70], labels[:70]) + accuracy(logits[70:], labels[70:])
    assert parts == result
    assert np.isnan(Tally().top1)


def test_bad_accuracy() -> None:
    logits = np.zeros((3, 4))
    for labels in (np.array([0, 1, 4]), np.array([0, -1, 2])):
        assert "the network has 4 classes" in one_line(lambda: accuracy(logits, labels))  # noqa: B023
    assert "not of the same images" in one_line(lambda: accuracy(logits, np.array([0])))


def test_load_images(classes: Path) -> None:
    (classes / "labels.txt").unlink()
    (classes / "b_dog" / "4.png").write_bytes(b"no image")
    found = load_images(classes, "pixels")
    assert found.images.shape == (6, 6, 8, 3)
    assert found.labels is not None
    assert found.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert (found.images[0] == np.asarray(Image.open(classes / "a_cat" / "1.png"))).all()
    assert load_images(classes / "a_cat", "unit", images=2).labels is None
    assert load_images(classes / "a_cat", "unit", images=2).images.max() <= 1
    assert "cannot take 9" in one_line(lambda: load_images(classes, "pixels", images=9))
    broken = classes.parent / "broken"
    broken.mkdir()
    (broken / "1.png").write_bytes(b"no image")
    assert "none of the images can be decoded" in one_line(lambda: load_images(broken, "pixels"))


@pytest.mark.parametrize(
    ("percent", "images", "classes", "is_one"),
    [(11.0, 200, 10, True), (20.0, 200, 10, False), (25.0, 4, 10, False), (55.0, 100, 1, True), (90.0, 100, 2, False)],
)
def test_guessing(percent: float, images: int, classes: int, is_one: bool) -> None:
    reason = guessing(percent, images, classes)
    assert (reason is not None) == is_one
    assert reason is None or f"{percent:.2f} % is no better than guessing among {max(2, classes)} classes" in reason
