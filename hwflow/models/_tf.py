"""TensorFlow and QKeras where the networks are built; see :mod:`hwflow.frontends._tf`."""

from hwflow.frontends._tf import qkeras, tensorflow

__all__ = ["qkeras", "tensorflow"]
