"""TensorFlow and QKeras, imported on first use and without their start-up log."""

import os
import warnings
from types import ModuleType
from typing import Any


def listed(values: Any) -> list[Any]:
    """A list: Keras and PyTorch give a single tensor as it is, and several in a list or a tuple."""
    return list(values) if isinstance(values, list | tuple) else [values]


def tensorflow() -> ModuleType:
    """Return the ``tensorflow`` module; the import takes seconds, so nothing does it at load time.

    TensorFlow reads its log level once, while it is imported. A user's own ``TF_CPP_MIN_LOG_LEVEL`` wins.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")
    module: ModuleType = tf
    return module


def qkeras() -> ModuleType:
    """Return the ``qkeras`` module, with TensorFlow already quiet."""
    tensorflow()
    # QKeras hands its quantisers over as constraints, and Keras warns whenever such a model's config is read.
    warnings.filterwarnings("ignore", message=r"The `keras\.constraints\.serialize\(\)` API")
    # QKeras draws a kernel again, wider, if its values are finer than the grid.
    warnings.filterwarnings("ignore", message="The initializer .* is unseeded and being called multiple times")
    import qkeras

    module: ModuleType = qkeras
    return module
