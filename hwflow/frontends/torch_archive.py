"""Programs of ``torch.export`` from a ``.pt2`` archive, read as data and without PyTorch.

The archive holds the graph as JSON and the weights as raw bytes (PyTorch 2.8 and later). Pickles in it are not read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from zipfile import ZipFile

import numpy as np
import numpy.typing as npt

from hwflow.errors import HwflowError
from hwflow.files.arrays import READ_ERRORS, first_line, open_archive, parse_json

SUFFIX = ".pt2"
_GRAPH = "/models/model.json"
_TYPES: Mapping[int, str] = {1: "u1", 2: "i1", 3: "<i2", 4: "<i4", 5: "<i8", 6: "<f2", 7: "<f4", 8: "<f8", 12: "?"}
"""NumPy's names of PyTorch's ScalarType as the archive has it."""
_PREFIX = "torch.ops.aten."


@dataclass(frozen=True)
class Ref:
    """A tensor by its name."""

    name: str


@dataclass(frozen=True)
class Operation:
    """A call of an ATen operator.

    Attributes:
        kind: the operator's name without its overload, such as ``conv2d``.
        output: name of the tensor that it computes.
        arguments: by name: numbers, texts, lists of them, :class:`Ref` of tensors, and lists of those.
    """

    kind: str
    output: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Program:
    """A network as a sequence of operators.

    Attributes:
        operations: in the order of computation.
        inputs: names of the tensors that the user gives.
        outputs: names of the tensors that the user gets.
        shapes: of every tensor, the batch axis included.
        weights: parameters, buffers and constants by the names of their tensors.
        parameters: their names in the module by the same, such as ``layer1.0.conv1.weight``.
    """

    operations: tuple[Operation, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    shapes: Mapping[str, tuple[int, ...]]
    weights: Mapping[str, npt.NDArray[Any]]
    parameters: Mapping[str, str]


def read_program(path: Path) -> Program:
    """The program in a ``.pt2`` file.

    Raises:
        HwflowError: the file is missing, damaged, not of ``torch.export.save`` of PyTorch 2.8 or later, or has what
            is not read as data.
    """
    try:
        with path.open("rb") as file:
            return read_archive(file, str(path))
    except FileNotFoundError:
        raise HwflowError(f"{path}: no such model file") from None


def read_archive(file: IO[bytes], name: str) -> Program:
    """The program in an opened archive, which messages call ``name``; errors as :func:`read_program`."""
    try:
        with open_archive(file) as archive:
            graphs = [member for member in archive.namelist() if member.endswith(_GRAPH)]
            if len(graphs) != 1:
                raise HwflowError(
                    f"{name}: holds {len(graphs)} programs; save one with torch.export.save of PyTorch 2.8 or later"
                )
            root = graphs[0].removesuffix(_GRAPH)
            module = parse_json(archive.read(graphs[0]))["graph_module"]
            stored = _stored(archive, root, "weights") | _stored(archive, root, "constants")
            return _program(module, stored)
    except HwflowError:
        raise
    except (*READ_ERRORS, AttributeError, IndexError) as error:
        raise HwflowError(f"{name}: not a readable program of torch.export ({first_line(error)})") from error


def _program(module: Any, stored: Mapping[str, npt.NDArray[Any]]) -> Program:
    graph, signature = module["graph"], module["signature"]
    inputs, weights, parameters = [], {}, {}
    for spec in signature["input_specs"]:
        (kind, what), *_ = spec.items()
        if kind == "user_input":
            inputs.append(_ref(what["arg"]).name)
            continue
        owned = {"parameter": "parameter_name", "buffer": "buffer_name", "tensor_constant": "tensor_constant_name"}
        if kind not in owned:
            raise HwflowError(f"the program takes a {kind}, which is not supported; export it without")
        tensor = str(what["arg"]["name"])
        parameters[tensor] = str(what[owned[kind]])
        weights[tensor] = stored[parameters[tensor]]
    outputs = [_ref(spec["user_output"]["arg"]).name for spec in signature["output_specs"] if "user_output" in spec]
    shapes = {str(name): tuple(_size(size) for size in meta["sizes"]) for name, meta in graph["tensor_values"].items()}
    return Program(
        tuple(_operation(node) for node in graph["nodes"]),
        tuple(inputs),
        tuple(outputs),
        shapes,
        weights,
        parameters,
    )


def _operation(node: Any) -> Operation:
    target = str(node["target"])
    outputs = node["outputs"]
    if len(outputs) != 1 or "as_tensor" not in outputs[0]:
        raise HwflowError(f"{target}: an operator with several outputs is not supported")
    name = str(outputs[0]["as_tensor"]["name"])
    if not target.startswith(_PREFIX):
        raise HwflowError(f"{name}: the operator {target} is not supported, only those of torch.ops.aten")
    arguments = {str(each["name"]): _argument(each["arg"]) for each in node["inputs"]}
    return Operation(target.removeprefix(_PREFIX).split(".")[0], name, arguments)


def _argument(value: Any) -> Any:
    (kind, content), *_ = value.items()
    if kind == "as_tensor":
        return Ref(str(content["name"]))
    if kind == "as_tensors":
        return [Ref(str(each["name"])) for each in content]
    return None if kind == "as_none" else content


def _ref(argument: Any) -> Ref:
    found = _argument(argument)
    if not isinstance(found, Ref):
        raise HwflowError("the program takes or gives something else than tensors; export it with tensors alone")
    return found


def _size(size: Any) -> int:
    if "as_int" not in size:
        raise HwflowError("the program has sizes that are not fixed; export it without dynamic shapes")
    return int(size["as_int"])


def _stored(archive: ZipFile, root: str, kind: str) -> dict[str, npt.NDArray[Any]]:
    """Arrays by name in the module."""
    listing = f"{root}/data/{kind}/model_{kind}_config.json"
    if listing not in archive.namelist():
        return {}
    found = {}
    for name, entry in parse_json(archive.read(listing))["config"].items():
        if entry.get("use_pickle") or entry["tensor_meta"] is None:
            raise HwflowError(f"{name}: is stored as a pickle, which is not read")
        found[str(name)] = _array(archive.read(f"{root}/data/{kind}/{entry['path_name']}"), entry["tensor_meta"], name)
    return found


def _array(data: bytes, meta: Any, name: str) -> npt.NDArray[Any]:
    if meta["dtype"] not in _TYPES:
        raise HwflowError(f"{name}: its numbers have a type that is not supported; convert the module to float32")
    dtype = np.dtype(_TYPES[meta["dtype"]])
    shape, strides = ([_size(size) for size in meta[key]] for key in ("sizes", "strides"))
    offset = _size(meta["storage_offset"]) * dtype.itemsize
    # NumPy checks that the array lies within the data.
    steps = [stride * dtype.itemsize for stride in strides]
    return np.ndarray(tuple(shape), dtype, data, offset, tuple(steps)).copy() if data else np.empty(shape, dtype)
