"""Weights as hls4ml is handed them: arrays to it, that are in memory only while it looks at them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.mixins import NDArrayOperatorsMixin

from hwflow.graph import Constant, Derived


class Handed(NDArrayOperatorsMixin):
    """The values of a constant, which a product with an array becomes a part of.

    hls4ml takes it for an array of float64, keeps it, and multiplies batch normalisation into it; whatever else it
    does with it, it does with an array that is made for that.

    Args:
        constant: the weights.
    """

    def __init__(self, constant: Derived) -> None:
        self.constant: Constant = constant
        self.shape = constant.shape

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return self.constant.values if dtype is None else self.constant.values.astype(dtype, copy=False)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        if ufunc is np.multiply and method == "__call__" and not options:
            own, others = _apart(inputs)
            if len(own) == 1 and np.broadcast_shapes(own[0].shape, others[0].shape) == own[0].shape:
                product = Handed.__new__(Handed)
                product.constant, product.shape = own[0].constant.times(others[0]), own[0].shape
                return product
        arrays = [np.asarray(each) if isinstance(each, Handed) else each for each in inputs]
        return getattr(ufunc, method)(*arrays, **options)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # copying asks for such before there is anything to copy
            raise AttributeError(name)
        return getattr(self.constant.values, name)


def _apart(inputs: tuple[Any, ...]) -> tuple[list[Handed], list[npt.NDArray[Any]]]:
    own = [each for each in inputs if isinstance(each, Handed)]
    return own, [np.asarray(each, dtype=np.float64) for each in inputs if not isinstance(each, Handed)]


def constant_of(data: Any) -> Constant:
    """What hls4ml has of a weight, an array or what it was handed in its place, as a constant in float64."""
    return data.constant if isinstance(data, Handed) else Constant(np.asarray(data, dtype=np.float64))
