"""Softmax exactly as hls4ml computes it (``nnet_activation.h``, ``softmax_stable``)."""

from __future__ import annotations

import ctypes
import ctypes.util
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from hwflow.errors import HwflowError
from hwflow.fixed import FixedType
from hwflow.graph import IntArray, Softmax


@lru_cache(maxsize=1)
def _expf() -> ctypes._NamedFuncPointer:
    """The C library's single-precision exp, the function that hls4ml's tables are filled with."""
    library = ctypes.CDLL(ctypes.util.find_library("m"))
    library.expf.restype = ctypes.c_float
    library.expf.argtypes = [ctypes.c_float]
    return library.expf


def table_inputs(type_: FixedType, size: int) -> npt.NDArray[np.float32]:
    """The float32 values ``(size,)`` that table indices stand for: the top bits of a code of ``type_``."""
    shift = type_.width - (size.bit_length() - 1)
    codes = np.arange(size, dtype=np.int64) << shift
    if type_.signed:
        codes = np.where(codes >= 1 << (type_.width - 1), codes - (1 << type_.width), codes)
    return type_.decode(codes).astype(np.float32)


def table_index(codes: IntArray, type_: FixedType, size: int) -> IntArray:
    """Table indices of codes: the top ``log2(size)`` bits."""
    return (codes & ((1 << type_.width) - 1)) >> (type_.width - (size.bit_length() - 1))


def exp_table(type_: FixedType, size: int, entry: FixedType) -> IntArray:
    """Codes ``(size,)`` of exp(-x)."""
    expf = _expf()
    return entry.encode(np.array([expf(float(-x)) for x in table_inputs(type_, size)], dtype=np.float64))


def inverse_table(type_: FixedType, size: int, entry: FixedType) -> IntArray:
    """Codes ``(size,)`` of 1/x. Entry 0 is never read: a sum holds exp(0) = 1 at least."""
    x = table_inputs(type_, size)
    inverse = np.zeros(size, dtype=np.float32)
    np.divide(np.float32(1), x, out=inverse, where=x != 0)
    return entry.encode(inverse.astype(np.float64))


def softmax_table(node: Softmax, kind: str) -> IntArray:
    """Codes of the table of exponentials, ``exp``, or of reciprocals, ``inverse``, of a typed node."""
    if kind == "exp":
        assert node.norm is not None and node.exp_table is not None
        return exp_table(node.norm, node.exp_size, node.exp_table)
    assert node.inv_input is not None and node.inv_table is not None
    return inverse_table(node.inv_input, node.inv_size, node.inv_table)


class SoftmaxKernel:
    """One softmax node with its tables."""

    def __init__(self, node: Softmax, input_type: FixedType) -> None:
        types = (node.norm, node.exp_table, node.accum, node.inv_input, node.inv_table)
        if any(type_ is None for type_ in types):
            raise HwflowError(f"{node.name}: its table types are not resolved; harden the graph first")
        self.node, self.input_type = node, input_type
        self.norm, self.exp_entry, self.accum, self.inv_input, self.inv_entry = (t for t in types if t is not None)
        self.exp = softmax_table(node, "exp")
        self.inverse = softmax_table(node, "inverse")

    def run(self, codes: IntArray) -> IntArray:
        """Output codes ``(n, ..., classes)`` of input codes of the same shape."""
        difference = codes.max(axis=-1, keepdims=True) - codes
        source = FixedType(self.input_type.width + 1, self.input_type.integer + 1)
        normalised = self.norm.cast(difference, source)
        exponentials = self.accum.cast(self.exp[table_index(normalised, self.norm, self.node.exp_size)], self.exp_entry)
        total = exponentials.sum(axis=-1, keepdims=True)
        wide = FixedType(self.accum.width + 16, self.accum.integer + 16)
        total = self.inv_input.cast(self.accum.cast(total, wide), self.accum)
        inverse = self.inverse[table_index(total, self.inv_input, self.node.inv_size)]
        product = FixedType(self.accum.width + self.inv_entry.width, self.accum.integer + self.inv_entry.integer)
        return self.node.resolved.cast(exponentials * inverse, product)
