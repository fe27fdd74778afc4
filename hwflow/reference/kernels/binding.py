"""The kernels as Python calls on arrays; ctypes releases the interpreter lock while they run."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hwflow.fixed import FixedType
from hwflow.graph import Window
from hwflow.reference.kernels.epilogue import Epilogue, EpilogueStruct, Storage

LANES = 16
"""Output channels of a panel of packed weights; kLanes of vectors.h."""

CHUNK = 256
"""Elements that an elementwise kernel finishes at a time."""

Array = npt.NDArray[Any]


_GEOMETRY = (
    *("images", "height", "width", "channels", "rows", "columns", "outputs"),
    *("kernel_h", "kernel_w", "stride_h", "stride_w", "pad_top", "pad_left"),
    *("kind", "pad_value", "k_block", "block_start", "wide", "split"),
)


class GeometryStruct(ctypes.Structure):
    """``Geometry`` of interface.h."""

    _fields_ = tuple((name, ctypes.c_int64) for name in _GEOMETRY)


@dataclass(frozen=True)
class Geometry:
    """A sliding window over a batch, in the kernels' terms; a vector is an image of one pixel.

    Attributes:
        input: (height, width, channels).
        output: (rows, columns, channels).
        window: kernel, strides and padding.
    """

    input: tuple[int, ...]
    output: tuple[int, ...]
    window: Window

    def struct(self, images: int, **more: int) -> GeometryStruct:
        """The structure for a batch of ``images``."""
        return GeometryStruct(
            images,
            *self.input,
            *self.output,
            *self.window.kernel,
            *self.window.strides,
            self.window.padding[0],
            self.window.padding[2],
            **more,
        )


def _pointer(array: Array) -> ctypes.c_void_p:
    assert array.flags.c_contiguous
    return ctypes.c_void_p(array.ctypes.data)


class Kernels:
    """The functions of a built library, on a number of threads.

    Attributes:
        bytes: whether they take uint8 inputs with int8 weights.
        panels: panels of weights that a tile reads together.
    """

    def __init__(self, library: ctypes.CDLL, threads: int) -> None:
        self._library, self.threads = library, threads
        i32, i64, pointer = ctypes.c_int32, ctypes.c_int64, ctypes.c_void_p
        geometry, epilogue = ctypes.POINTER(GeometryStruct), ctypes.POINTER(EpilogueStruct)
        for name, arguments in {
            "hwflow_weight_layer": (geometry, pointer, pointer, pointer, epilogue, pointer, i32),
            "hwflow_winograd": (geometry, pointer, pointer, pointer, epilogue, pointer, i32),
            "hwflow_depthwise": (geometry, pointer, i64, pointer, pointer, epilogue, pointer, i32),
            "hwflow_affine": (pointer, i32, i64, pointer, pointer, i64, i64, epilogue, pointer, i32),
            "hwflow_add": (pointer, i32, i64, i32, pointer, i32, i64, i32, i64, epilogue, pointer, i32),
            "hwflow_map": (pointer, i32, i64, i64, i64, epilogue, pointer, i32),
            "hwflow_concatenate": (pointer, i64, pointer, i64, i64, pointer, i32),
            "hwflow_max_pool": (geometry, pointer, pointer, i32),
            "hwflow_average_pool": (geometry, pointer, i64, i32, i32, epilogue, pointer, i32),
        }.items():
            function = getattr(library, name)
            function.argtypes, function.restype = arguments, None
        library.hwflow_k_blocks.argtypes, library.hwflow_k_blocks.restype = (geometry,), i64
        library.hwflow_store.argtypes = (pointer, i64, i64, i64, i64, i32, pointer, i32)
        self.bytes, self.panels = bool(library.hwflow_bytes()), int(library.hwflow_panels())

    def storage(self, type_: FixedType) -> Storage:
        """How tensors of a type are held between these kernels."""
        return Storage.of(type_, self.bytes)

    def store(self, codes: Array, low: int, high: int, storage: Storage) -> Array | None:
        """int64 codes as a narrow tensor, or None if one lies outside ``low`` to ``high``."""
        result = np.empty(codes.shape, storage.dtype)
        arguments = _pointer(codes), codes.size, low, high, storage.offset, storage.kind
        return result if self._library.hwflow_store(*arguments, _pointer(result), self.threads) else None

    def k_blocks(self, geometry: GeometryStruct) -> int:
        """Blocks that the products of one output are summed in."""
        return int(self._library.hwflow_k_blocks(geometry))

    def weight_layer(
        self, geometry: GeometryStruct, x: Array, weights: Array, bias: Array, end: Epilogue, out: Array
    ) -> None:
        """Sums of products plus ``bias`` into ``out``; weights as :func:`packing.pack` lays them out."""
        self._library.hwflow_weight_layer(
            geometry, _pointer(x), _pointer(weights), _pointer(bias), end.struct, _pointer(out), self.threads
        )

    def winograd(
        self, geometry: GeometryStruct, x: Array, weights: Array, bias: Array, end: Epilogue, out: Array
    ) -> None:
        """A 3x3 convolution of stride 1; weights as :func:`packing.pack_winograd` lays them out."""
        self._library.hwflow_winograd(
            geometry, _pointer(x), _pointer(weights), _pointer(bias), end.struct, _pointer(out), self.threads
        )

    def depthwise(
        self, geometry: GeometryStruct, x: Array, offset: int, weights: Array, bias: Array, end: Epilogue, out: Array
    ) -> None:
        """Sums of products of every channel by itself plus ``bias``; weights are ``(kernel_h, kernel_w, 1, out)``."""
        self._library.hwflow_depthwise(
            geometry, _pointer(x), offset, _pointer(weights), _pointer(bias), end.struct, _pointer(out), self.threads
        )

    def affine(self, x: Array, source: Storage, weights: Array, bias: Array, end: Epilogue, out: Array) -> None:
        """``weights x codes + bias`` channel by channel."""
        vectors, channels = x.size // x.shape[-1], x.shape[-1]
        pointers = _pointer(weights), _pointer(bias)
        self._library.hwflow_affine(
            _pointer(x),
            source.kind,
            source.offset,
            *pointers,
            vectors,
            channels,
            end.struct,
            _pointer(out),
            self.threads,
        )

    def add(
        self,
        a: Array,
        a_from: tuple[Storage, int],
        b: Array,
        b_from: tuple[Storage, int],
        end: Epilogue,
        out: Array,
    ) -> None:
        """Codes of ``a`` << left plus the same of ``b``; ``a_from`` and ``b_from`` are (storage, left)."""
        first, second = (
            (_pointer(x), storage.kind, storage.offset, left) for x, (storage, left) in ((a, a_from), (b, b_from))
        )
        self._library.hwflow_add(*first, *second, a.size, end.struct, _pointer(out), self.threads)

    def map(self, x: Array, storage: Storage, end: Epilogue, out: Array) -> None:
        """An epilogue alone, over ``(..., channels)``."""
        channels = x.shape[-1]
        self._library.hwflow_map(
            _pointer(x),
            storage.kind,
            storage.offset,
            x.size // channels,
            channels,
            end.struct,
            _pointer(out),
            self.threads,
        )

    def concatenate(self, a: Array, b: Array, out: Array) -> None:
        """Channels of ``b`` behind those of ``a``, as they are stored."""
        first, second = ((_pointer(x), x.shape[-1] * x.itemsize) for x in (a, b))
        vectors = a.size // a.shape[-1]
        self._library.hwflow_concatenate(*first, *second, vectors, _pointer(out), self.threads)

    def max_pool(self, geometry: GeometryStruct, x: Array, out: Array) -> None:
        """Maxima of stored codes."""
        self._library.hwflow_max_pool(geometry, _pointer(x), _pointer(out), self.threads)

    def average_pool(
        self, geometry: GeometryStruct, x: Array, offset: int, left: int, inside: bool, end: Epilogue, out: Array
    ) -> None:
        """``(sum << left) / count`` toward zero, through the epilogue; pixels ``inside`` the image count, or all."""
        pointers = (end.struct, _pointer(out))
        self._library.hwflow_average_pool(geometry, _pointer(x), offset, left, int(inside), *pointers, self.threads)


def empty(shape: tuple[int, ...], storage: Storage) -> Array:
    """An array of a tensor."""
    return np.empty(shape, storage.dtype)


def aligned(shape: tuple[int, ...], dtype: npt.DTypeLike) -> Array:
    """Zeros at an address that vector loads take (64 bytes)."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.zeros(size + 64, dtype=np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + size].view(dtype).reshape(shape)
