"""TensorFlow and QKeras, imported on first use and without their start-up log."""

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib import metadata
from types import ModuleType
from typing import Any

from hwflow.errors import HwflowError
from hwflow.optional import without


def listed(values: Any) -> list[Any]:
    """A list: Keras and PyTorch give a single tensor as it is, and several in a list or a tuple."""
    return list(values) if isinstance(values, list | tuple) else [values]


def tensorflow() -> ModuleType:
    """Return the ``tensorflow`` module; the import takes seconds, so nothing does it at load time.

    TensorFlow reads its log level once, while it is imported; what newer ones say whatever the level is dropped.
    A user's own ``TF_CPP_MIN_LOG_LEVEL`` wins.
    """
    if not metadata.version("keras").startswith("2."):
        # oneDNN in TensorFlow 2.21 ends the process where a convolution's output is added to what it reads.
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    silent = os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") == "3" and "tensorflow" not in sys.modules
    with _no_stderr() if silent else nullcontext(), without():
        import tensorflow as tf

    tf.get_logger().setLevel("ERROR")
    module: ModuleType = tf
    return module


@contextmanager
def _no_stderr() -> Iterator[None]:
    """Drop what libraries in C++ write to the standard error stream."""
    try:
        kept = os.dup(2)
    except OSError:  # it is closed
        yield
        return
    try:
        with open(os.devnull, "wb") as nothing:
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def keras() -> ModuleType:
    """Return the ``keras`` module, 2 or 3, with TensorFlow already quiet.

    Raises:
        HwflowError: Keras 3 is told to compute with something else than TensorFlow.
    """
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    tensorflow()
    import keras

    # Keras 3 warns of a single tensor in the place of a list of one.
    warnings.filterwarnings("ignore", message="The structure of `inputs` doesn't match the expected structure")
    if keras.backend.backend() != "tensorflow":
        raise HwflowError(f"Keras computes with {keras.backend.backend()} here; set KERAS_BACKEND=tensorflow")
    module: ModuleType = keras
    return module


def qkeras() -> ModuleType:
    """Return the ``qkeras`` module, with TensorFlow already quiet.

    Raises:
        HwflowError: there is none that works with the installed Keras.
    """
    version = keras().__version__
    # QKeras hands its quantisers over as constraints, and Keras warns whenever such a model's config is read.
    warnings.filterwarnings("ignore", message=r"The `keras\.constraints\.serialize\(\)` API")
    # QKeras draws a kernel again, wider, if its values are finer than the grid.
    warnings.filterwarnings("ignore", message="The initializer .* is unseeded and being called multiple times")
    try:
        import qkeras
    except ImportError as error:
        extra = "keras2" if version.startswith("2.") else "keras3"
        raise HwflowError(
            f"QKeras for Keras {version} is not installed; pip install 'hwflow[{extra}]' brings it"
        ) from error
    module: ModuleType = qkeras
    return module


def loaded_qkeras() -> ModuleType | None:
    """QKeras if something has imported it; without that, nothing can be of it."""
    return sys.modules.get("qkeras")
