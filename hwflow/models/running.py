"""Running Keras models: on one thread, as a compiled function, and in another process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hwflow.models._tf import keras, tensorflow

Float32 = npt.NDArray[np.float32]


def one_thread() -> None:
    """Keep TensorFlow on one thread, so that sums keep their order and processes share the cores."""
    threading = tensorflow().config.threading
    try:
        threading.set_intra_op_parallelism_threads(1)
        threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:  # it has already begun to compute
        return


def rebuilt(architecture: str, weights: Sequence[npt.NDArray[Any]]) -> Any:
    """The model that has this JSON text, which its own ``to_json`` gave, and these weights, in Keras' order."""
    model = keras().models.model_from_json(architecture)
    model.set_weights(weights)
    return model


def forward(model: Any) -> tuple[Callable[[Float32], Float32], str]:
    """A model in inference as a compiled function of images ``(n, *input shape)``, and what computes it.

    Weights that change later change its results.
    """
    tf = tensorflow()
    signature = [tf.TensorSpec((None, *model.input_shape[1:]), tf.float32)]
    function = tf.function(lambda x: model(x, training=False), input_signature=signature)
    return lambda images: function(images).numpy(), f"TensorFlow {tf.__version__} in float32"
