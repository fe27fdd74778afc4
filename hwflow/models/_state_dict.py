"""PyTorch state dicts from files, as NumPy arrays by key; no code in a file is run."""

import math
import pickle
import struct
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from hwflow.errors import HwflowError
from hwflow.files.arrays import READ_ERRORS, check_expansion, first_line, parse_json, read_npz

StateDict = dict[str, npt.NDArray[np.float32]]

_WRAPPERS = ("state_dict", "model")
_DATA_PARALLEL = "module."
_SAFETENSORS_TYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?",
}  # fmt: skip


def read_state_dict(path: Path) -> StateDict:
    """Return the tensors of `path` as float32, without the prefix that ``DataParallel`` adds to every key.

    Args:
        path: ``.pth``, ``.pt`` or ``.th`` of ``torch.save``: a state dict, or a checkpoint that holds one as
            ``state_dict`` or ``model``; or ``.npz`` or ``.safetensors``.

    Raises:
        HwflowError: no such file, another format, truncated, a pickle with more in it than tensors,
            a value that is not a real number, or PyTorch is needed and not installed.
    """
    readers: Mapping[str, Callable[[Path], dict[str, Any]]] = {
        ".pth": _read_torch,
        ".pt": _read_torch,
        ".th": _read_torch,
        ".npz": read_npz,
        ".safetensors": _read_safetensors,
    }
    if not path.is_file():
        raise HwflowError(f"{path}: no such weight file")
    if path.suffix not in readers:
        raise HwflowError(f"{path}: not a state dict; give one of {', '.join(readers)}")
    tensors = readers[path.suffix](path)
    if tensors and all(key.startswith(_DATA_PARALLEL) for key in tensors):
        tensors = {key.removeprefix(_DATA_PARALLEL): value for key, value in tensors.items()}
    return {key: _as_float32(path, key, value) for key, value in tensors.items()}


def _as_float32(path: Path, key: str, value: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    if value.dtype.kind not in "fiub":
        raise HwflowError(f"{path}: {key!r} does not hold real numbers but {value.dtype}")
    with np.errstate(over="ignore"):
        array = value.astype(np.float32)
    if not np.isfinite(array).all():
        raise HwflowError(f"{path}: {key!r} has NaN or infinite values")
    return array


def _read_torch(path: Path) -> dict[str, Any]:
    torch = _torch(path)
    try:
        _check_archive(path)
        with warnings.catch_warnings():
            # A foreign pickle makes it warn before it fails.
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # PyTorch has one class for a foreign file and for one that asks for a function to be called.
        if "GLOBAL" in str(error):
            raise HwflowError(
                f"{path}: holds Python objects, which loading would run, not only tensors; save model.state_dict()"
            ) from error
        raise HwflowError(f"{path}: not a PyTorch state dict, or damaged") from error
    except (*READ_ERRORS, AttributeError, IndexError, AssertionError) as error:
        raise HwflowError(f"{path}: not a PyTorch state dict, or damaged ({first_line(error)})") from error
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping) or not all(isinstance(key, str) for key in content):
        raise HwflowError(f"{path}: holds a {type(content).__name__}, not a state dict")
    for key, value in content.items():
        if not isinstance(value, torch.Tensor) or value.layout != torch.strided or value.is_quantized:
            raise HwflowError(f"{path}: {key!r} is not a dense tensor, so it is no state dict")
    try:
        # A tensor of stride 0 declares more numbers than are stored.
        check_expansion(sum(4 * value.numel() for value in content.values()), path.stat().st_size)
    except ValueError as error:
        raise HwflowError(f"{path}: not a PyTorch state dict, or damaged ({error})") from error
    return {key: _from_torch(torch, value) for key, value in content.items()}


def _check_archive(path: Path) -> None:
    """Refuse a zip archive, which newer files are, that declares too much; the members are not compressed.

    Raises:
        ValueError: it declares too much.
        OSError, zipfile.BadZipFile: it cannot be read.
    """
    with path.open("rb") as file:
        if zipfile.is_zipfile(file):
            size = file.seek(0, 2)
            with zipfile.ZipFile(file) as archive:
                check_expansion(sum(member.file_size for member in archive.infolist()), size)


def _from_torch(torch: ModuleType, tensor: Any) -> npt.NDArray[Any]:
    # NumPy has no bfloat16; float32 holds all of them.
    array: npt.NDArray[Any] = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).detach().numpy()
    return array


def _torch(path: Path) -> ModuleType:
    try:
        import torch
    except ImportError as error:
        raise HwflowError(
            f"{path}: reading it needs PyTorch; pip install 'hwflow[torch]', or convert it to .safetensors"
        ) from error
    module: ModuleType = torch
    return module


def _read_safetensors(path: Path) -> dict[str, Any]:
    """Read the safetensors format: header size (8 bytes), JSON header, raw little-endian tensors."""
    content = path.read_bytes()
    try:
        (size,) = struct.unpack_from("<Q", content)
        if size > len(content) - 8:
            raise ValueError("its header is cut off")
        header = parse_json(content[8 : 8 + size])
        entries = {key: entry for key, entry in header.items() if key != "__metadata__"}
        data = memoryview(content)[8 + size :]
        # Entries that share their numbers would be copied each.
        if sum(end - begin for begin, end in (entry["data_offsets"] for entry in entries.values())) > len(data):
            raise ValueError("its entries overlap")
        return {key: _safetensor(key, entry, data) for key, entry in entries.items()}
    except (*READ_ERRORS, AttributeError) as error:
        raise HwflowError(f"{path}: not a readable .safetensors ({first_line(error)})") from error


def _safetensor(key: str, entry: Mapping[str, Any], data: memoryview) -> npt.NDArray[Any]:
    kind, shape, (begin, end) = entry["dtype"], tuple(map(int, entry["shape"])), entry["data_offsets"]
    if kind not in _SAFETENSORS_TYPES:
        raise ValueError(f"{key!r} is of type {kind}")
    dtype = np.dtype(_SAFETENSORS_TYPES[kind])
    if not 0 <= begin <= end <= len(data) or end - begin != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"the data of {key!r} is cut off")
    array: npt.NDArray[Any] = np.frombuffer(data[begin:end], dtype)
    if kind == "BF16":
        # A bfloat16 is the upper half of a float32.
        array = (array.astype(np.uint32) << 16).view(np.float32)
    return array.reshape(shape)
