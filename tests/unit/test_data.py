import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwflow.data import Dataset, check_shape, load_data, load_digits, open_images, require_labels
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
    ],
)
def test_bad_npz(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    path = tmp_path / "bad.npz"
    np.savez(path, **arrays)
    _refuses(path, message)


CLASSES = np.array([2, 0, 1])
ONE_HOT = np.eye(3)[CLASSES]


@pytest.mark.parametrize(
    "dtype", ["bool", "uint8", "int8", "uint16", "int32", "uint64", "int64", "float16", "float32", "float64"]
)
@pytest.mark.parametrize("form", ["flat", "column", "one-hot"])
def test_labels_as_people_have_them(tmp_path: Path, dtype: str, form: str) -> None:
    classes = CLASSES % 2 if dtype == "bool" else CLASSES
    y = {"flat": classes, "column": classes[:, None], "one-hot": np.eye(3)[classes]}[form].astype(dtype)
    path = tmp_path / "mine.npz"
    np.savez(path, x=IMAGES, y=y)
    for data in (load_data(str(path)), Dataset("mine", IMAGES, y)):
        assert require_labels(data).dtype == np.int64
        assert require_labels(data).tolist() == classes.tolist()
        assert require_labels(data.head(2)).tolist() == classes[:2].tolist()


def test_a_single_one_hot_label() -> None:
    assert require_labels(Dataset("one", IMAGES[:1], ONE_HOT[:1].astype(np.int64))).tolist() == [2]


STRANGE_LABELS = [
    (np.zeros(2, int), "one label an image: (3,), (3, 1), or one-hot (3, classes); its shape is (2,)"),
    (np.zeros((2, 3), int), "its shape is (2, 3)"),
    (np.zeros((3, 2, 2), int), "its shape is (3, 2, 2)"),
    (np.zeros((3, 0), int), "one-hot"),
    (np.int64(1), "its shape is ()"),
    (np.zeros((3, 10), int), "row 0 is not"),
    (ONE_HOT * 2, "row 0 is not"),
    (ONE_HOT + np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0]]), "row 1 is not"),
    (ONE_HOT - np.array([[0, 0, 0], [0, 0, 0], [0, 0, 1]]), "row 2 is not"),
    (ONE_HOT * 0.9 + 0.03, "row 0 is not"),
    (ONE_HOT * np.nan, "row 0 is not"),
    (np.array([0, 0.5, 1]), "not all of its values are whole numbers"),
    (np.array([0, np.nan, 1]), "not all of its values are whole numbers"),
    (np.array([0, -1, 2]), "negative"),
    (np.array([0, 1, 2**63], np.uint64), "9223372036854775808, too large"),
    (np.array(["cat", "dog", "cat"]), "not <U3"),
    (np.array(["cat", None, 3], object), "Python objects"),
]


@pytest.mark.parametrize(("y", "message"), STRANGE_LABELS)
def test_strange_labels_matter_only_where_they_are_needed(tmp_path: Path, y: Any, message: str) -> None:
    path = tmp_path / "strange.npz"
    np.savez(path, x=IMAGES, y=y)
    assert load_data(str(path), labels=False).labels is None
    assert open_images(path).labels is None
    data = load_data(str(path))
    assert (len(data), data.labels) == (3, None)
    with pytest.raises(HwflowError, match="strange: accuracy needs labels: ") as caught:
        require_labels(data.head(2))
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_damaged_labels_matter_only_where_they_are_needed(tmp_path: Path) -> None:
    path = tmp_path / "damaged.npz"
    np.savez(path, x=IMAGES, y=np.arange(3) + 7)
    content = path.read_bytes()
    path.write_bytes(content.replace((7).to_bytes(8, "little") + (8).to_bytes(8, "little"), bytes(16)))
    assert load_data(str(path), labels=False).labels is None
    with pytest.raises(HwflowError, match="damaged"):
        require_labels(load_data(str(path)))


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
