"""Trained weights through the ports: the accuracy that their authors' network has on the same images."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwflow.data import CAFFE, UNCHANGED, ImageSet, Tally, accuracy, image_folder, imagenet
from hwflow.models import CAFFE_NAMES, NETWORKS, load_torchvision, squeezenet1_1
from hwflow.models._tf import tensorflow
from tests.data.conftest import DATA

BATCH = 100


def measured(model: Any, images: ImageSet) -> Tally:
    forward = tensorflow().function(lambda x: model(x, training=False), reduce_retracing=True)
    result = Tally()
    for batch in images.batches(BATCH):
        assert batch.labels is not None
        result += accuracy(forward(batch.images).numpy(), batch.labels)
    assert result.images == len(images)
    return result


def check(name: str, result: Tally, top1: float) -> None:
    print(f"{name}: {result.images} images, top-1 {result.top1:.2%}, top-5 {result.top5:.2%}")
    # Three standard errors: a part of the images is allowed its own accuracy.
    assert result.top1 == pytest.approx(top1, abs=3 * np.sqrt(top1 * (1 - top1) / result.images))


# The JPEG copies cost about 10 points against the published 91.7 % and 94.4 %.
@pytest.mark.parametrize("count", [1000, pytest.param(5000, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("name", "file", "top1"),
    [("resnet20", "resnet20-12fca82f.th", 0.810), ("resnet56", "resnet56-4bfd9763.th", 0.830)],
)
def test_cifar_resnet(cifar10: Path, name: str, file: str, top1: float, count: int) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed, and the weights are a .th file")
    model = NETWORKS[name]()
    load_torchvision(model, DATA / file)
    images = image_folder(cifar10, UNCHANGED)
    assert len(images) == 5000
    check(name, measured(model, images.spread(count)), top1)


@pytest.mark.parametrize("count", [200, pytest.param(650, marks=pytest.mark.slow)])
def test_squeezenet(imagenet650: Path, count: int) -> None:
    images = imagenet(imagenet650 / "images", imagenet650 / "labels.txt", CAFFE)
    assert len(images) == 650
    model = squeezenet1_1(input_shape=(227, 227, 3))
    load_torchvision(model, DATA / "squeezenet1_1_imagenet_fp16.npz", CAFFE_NAMES)
    check(model.name, measured(model, images.spread(count)), 0.731)
