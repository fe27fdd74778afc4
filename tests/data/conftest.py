"""Public data beside the repository, in ``../shared/data``: none is shipped, and its tests skip without it."""

import tarfile
from pathlib import Path

import pytest

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if DATA.is_dir():
        return
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip(reason="no public data in ../shared/data"))


def unpacked(archive: str, target: Path) -> Path:
    with tarfile.open(DATA / archive) as file:
        file.extractall(target, filter="data")
    return target


@pytest.fixture(scope="session")
def cifar10(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of CIFAR-10 classes: the first 500 test images of each, as JPEG."""
    return unpacked("cifar10_test_jpeg_5000.tar.xz", tmp_path_factory.mktemp("cifar10"))


@pytest.fixture(scope="session")
def imagenet650(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """650 ImageNet validation images of 227x227 pixels in ``images``, and ``labels.txt``."""
    return unpacked("imagenet_val_650.tar", tmp_path_factory.mktemp("imagenet"))
