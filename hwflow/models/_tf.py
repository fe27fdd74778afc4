"""TensorFlow, Keras and QKeras where the networks are built; see :mod:`hwflow.frontends._tf`."""

from hwflow.frontends._tf import keras, qkeras, tensorflow

__all__ = ["keras", "qkeras", "tensorflow"]
