"""Data that a program holds: arrays, pairs, tf.data, PyTorch loaders and other iterables of batches."""

import itertools

import numpy as np
import pytest

from hwflow.data import Dataset, ImageSet, as_data, load_digits
from hwflow.errors import HwflowError

X = np.random.default_rng(0).random((7, 4, 3, 2), dtype=np.float32)
Y = np.arange(7) % 3


def given(data, images=None):
    found = as_data(data, images)
    assert isinstance(found, Dataset)
    return found


def test_names_and_data_sets_stay_as_they_are() -> None:
    digits = load_digits()
    assert as_data("digits") == "digits"
    assert as_data(digits) is digits


@pytest.mark.parametrize(
    "data",
    [
        (X, Y),
        (X.tolist(), Y.tolist()),
        [(X[:3], Y[:3]), (X[3:], Y[3:])],
        ((X[i : i + 2], Y[i : i + 2]) for i in range(0, 7, 2)),
        [[X[:3], Y[:3]], [X[3:], Y[3:]]],
        [(X, np.eye(3)[Y])],
    ],
    ids=["pair", "lists", "batches", "generator", "loader_lists", "one_hot"],
)
def test_images_and_labels(data) -> None:
    found = given(data)
    assert np.array_equal(found.images, X)
    assert found.images.dtype == np.float32
    assert np.array_equal(found.labels, Y)


@pytest.mark.parametrize(
    "data", [X, X.tolist(), [X[:3], X[3:]], iter([X])], ids=["array", "list", "batches", "iterator"]
)
def test_images_alone(data) -> None:
    found = given(data)
    assert np.array_equal(found.images, X)
    assert found.labels is None
    assert "give (x, y)" in found.unlabelled


def test_tf_data() -> None:
    import tensorflow as tf

    data = tf.data.Dataset.from_tensor_slices((X, Y))
    found = given(data.batch(3))
    assert np.array_equal(found.images, X)
    assert np.array_equal(found.labels, Y)
    assert len(given(data.batch(3).repeat(), images=9)) == 10
    with pytest.raises(HwflowError, match=r"say how many images to take"):
        as_data(data.batch(3).repeat())
    with pytest.raises(HwflowError, match=r"single images"):
        as_data(data)


def test_channels_of_pytorch_come_last() -> None:
    torch = pytest.importorskip("torch")

    first = torch.from_numpy(np.ascontiguousarray(np.moveaxis(X, -1, 1)))
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(first, torch.from_numpy(Y)), batch_size=2)
    for data in (loader, (first, torch.from_numpy(Y))):
        found = given(data)
        assert np.array_equal(found.images, X)
        assert np.array_equal(found.labels, Y)
    vectors = torch.from_numpy(X.reshape(7, -1)).requires_grad_()
    assert np.array_equal(given(vectors).images, X.reshape(7, -1))


def test_an_iterable_is_read_no_further_than_needed() -> None:
    taken = []

    def batches():
        for index in itertools.count():
            taken.append(index)
            yield X, Y

    assert len(given(batches(), images=10)) == 14
    assert taken == [0, 1]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (3, "data of type int are not understood"),
        ({"x": X}, "data of type dict are not understood"),
        ((X, Y, Y), "a pair (images, labels) of arrays, not 3 values"),
        ([], "the data hold no batch"),
        (["digits"], "a batch of type str is not understood"),
        ([(X, Y), X], "some batches have labels, others have none"),
        ([X, X[:, :2]], "batches hold images of different shapes, (2, 3, 2) and (4, 3, 2)"),
        (np.array([[np.nan]]), "images hold NaN or infinite values"),
        (np.array(["a", "b"]), "images must hold real numbers"),
        (np.zeros(3), "images must be (images, ...), not empty"),
    ],
)  # fmt: skip
def test_refused_in_one_line(data, message) -> None:
    with pytest.raises(HwflowError) as error:
        as_data(data)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_image_sets_stay_as_they_are(tmp_path) -> None:
    images = ImageSet("some", (tmp_path / "a.png",), None)
    assert as_data(images) is images
