import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwflow.data import check_shape, load_data, load_digits
from hwflow.errors import HwflowError

IMAGES = np.zeros((3, 8, 8, 1), np.float32)


@pytest.mark.parametrize(("split", "count"), [("train", 1297), ("test", 500)])
def test_digits(split: str, count: int) -> None:
    data = load_digits(split)
    assert data.labels is not None
    assert data.images.shape == (count, 8, 8, 1)
    assert data.images.dtype == np.float32
    assert data.labels.dtype == np.int64
    assert len(data) == len(data.labels) == count
    assert (data.images.min(), data.images.max()) == (0, 1)
    np.testing.assert_array_equal(data.images * 16, np.rint(data.images * 16))
    assert np.bincount(data.labels, minlength=10).min() > count / 15


def test_digits_split_is_a_partition() -> None:
    from sklearn import datasets

    every = [load_digits(split).images.reshape(-1, 64) * 16 for split in ("train", "test")]
    rows = np.concatenate(every)
    original = datasets.load_digits().data
    np.testing.assert_array_equal(rows[np.lexsort(rows.T)], original[np.lexsort(original.T)])


def test_digits_split_never_changes() -> None:
    # The shipped weights were trained on the rest: another split would test on training images.
    data = load_digits("test")
    assert data.labels is not None
    assert hashlib.sha256(data.labels.astype(np.uint8).tobytes()).hexdigest()[:16] == "03198ad17888b206"


def test_digits_has_two_splits() -> None:
    with pytest.raises(HwflowError, match="no split 'validation'"):
        load_data("digits", "validation")


def test_head() -> None:
    data = load_digits()
    assert data.labels is not None
    first = data.head(50)
    assert first.labels is not None
    np.testing.assert_array_equal(first.images, data.images[:50])
    np.testing.assert_array_equal(first.labels, data.labels[:50])
    for count in (0, 501):
        with pytest.raises(HwflowError, match="has 500 images"):
            data.head(count)


def test_npz(tmp_path: Path) -> None:
    path = tmp_path / "mine.npz"
    x = np.arange(12, dtype=np.uint8).reshape(3, 4)
    np.savez(path, x=x)
    data = load_data(str(path))
    assert (data.name, data.labels) == ("mine", None)
    assert data.head(2).labels is None
    assert data.images.dtype == np.float32
    np.testing.assert_array_equal(data.images, x)
    np.savez(path, x=x, y=np.array([2, 0, 1], np.uint8))
    labels = load_data(str(path)).labels
    assert labels is not None
    assert labels.dtype == np.int64
    assert labels.tolist() == [2, 0, 1]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": IMAGES}, "no array 'x'; the arrays in it: images"),
        ({}, "no array 'x'; the arrays in it: none"),
        ({"x": IMAGES * np.nan}, "NaN or infinite"),
        ({"x": np.full((2, 2), 1e300)}, "NaN or infinite"),
        ({"x": IMAGES + 1j}, "real numbers"),
        ({"x": np.array([[None]])}, "not a readable .npz"),
        ({"x": np.float32(1)}, "not empty; its shape is ()"),
        ({"x": IMAGES[:0]}, "not empty"),
        ({"x": IMAGES, "y": np.zeros(2, int)}, "one label an image, (3,); its shape is (2,)"),
        ({"x": IMAGES, "y": np.zeros((3, 10), int)}, "its shape is (3, 10)"),
        ({"x": IMAGES, "y": np.zeros(3)}, "integers"),
        ({"x": IMAGES, "y": np.array([0, -1, 2])}, "negative"),
    ],
)
def test_bad_npz(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    path = tmp_path / "bad.npz"
    np.savez(path, **arrays)
    _refuses(path, message)


def test_not_an_npz(tmp_path: Path) -> None:
    _refuses(tmp_path / "absent.npz", "no such data file")
    _refuses(tmp_path, "no such data file")
    for name, content in {"a.npz": b"hello", "b.npz": b"", "c.npz": b"PK\x03\x04 and no more"}.items():
        (tmp_path / name).write_bytes(content)
        _refuses(tmp_path / name, "not a readable .npz")
    np.save(tmp_path / "array.npy", IMAGES)
    _refuses(tmp_path / "array.npy", "a single array")


@pytest.mark.parametrize("compressed", [False, True])
def test_damaged_npz(tmp_path: Path, compressed: bool) -> None:
    path = tmp_path / "damaged.npz"
    x = np.random.default_rng(0).random((50, 8, 8, 1))
    (np.savez_compressed if compressed else np.savez)(path, x=x)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    _refuses(path, "not a readable .npz")


def _refuses(path: Path, message: str) -> None:
    with pytest.raises(HwflowError) as caught:
        load_data(str(path))
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_check_shape() -> None:
    check_shape(IMAGES, (8, 8, 1))
    check_shape(IMAGES, [8, 8, 1])
    for shape in [(8, 8), (1, 8, 8), (64,)]:
        with pytest.raises(HwflowError, match=r"\(3, 8, 8, 1\), the model takes \(N, "):
            check_shape(IMAGES, shape)
    with pytest.raises(HwflowError, match=r"\(0, 8, 8, 1\)"):
        check_shape(IMAGES[:0], (8, 8, 1))
