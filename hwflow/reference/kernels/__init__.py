"""Compiled kernels of the integer reference: C++ source, its build, and how Python calls it."""

from hwflow.reference.kernels.binding import Kernels
from hwflow.reference.kernels.library import Build, build

__all__ = ["Build", "Kernels", "build"]
