"""ONNX networks as data: their operators as those of PyTorch, which `hwflow.frontends.torch_operators` translates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hwflow.errors import HwflowError
from hwflow.files.arrays import first_line
from hwflow.frontends.torch_archive import Operation, Program, Ref

SUFFIX = ".onnx"
_MODES = ("nearest", b"nearest")


def read_onnx(path: Path) -> tuple[Program, Any]:
    """The program in an ``.onnx`` file, and ONNX's own model of it.

    Raises:
        HwflowError: the file is missing or damaged, its weights are in other files, an operator or one of its
            attributes is not supported, or the package ``onnx`` is not installed.
    """
    if not path.is_file():
        raise HwflowError(f"{path}: no such model file")
    try:
        import onnx
    except ImportError:
        raise HwflowError(f"{path}: needs the package onnx; pip install 'hwflow[onnx]'") from None
    try:
        # Weights in other files are not followed: a file does not decide what else is read.
        model = onnx.load(path, load_external_data=False)
        if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in model.graph.initializer):
            raise HwflowError(f"{path}: has its weights in other files; save it as one")
        onnx.checker.check_model(model)
        model = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    except HwflowError:
        raise
    except Exception as error:  # what protobuf and the checker raise has no common class
        raise HwflowError(f"{path}: not a readable ONNX file ({first_line(error)})") from error
    return _Reader(model.graph).program(), model


def reference_outputs(model: Any, x: npt.NDArray[np.float32]) -> list[npt.NDArray[Any]]:
    """What ONNX's own reference evaluator computes of one input."""
    from onnx.reference import ReferenceEvaluator

    evaluator = ReferenceEvaluator(model)
    return list(evaluator.run(None, {evaluator.input_names[0]: x}))


class _Reader:
    """Rewrites the nodes of a graph."""

    def __init__(self, graph: Any) -> None:
        from onnx import numpy_helper

        self.graph = graph
        self.weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        self.shapes = {value.name: _shape(value) for value in (*graph.input, *graph.value_info, *graph.output)}
        self.operations: list[Operation] = []

    def program(self) -> Program:
        from onnx import numpy_helper

        for node in self.graph.node:
            attributes = _attributes(node)
            if node.op_type == "Constant":
                self.weights[node.output[0]] = numpy_helper.to_array(attributes["value"])
                continue
            rewrite = OPERATORS.get(node.op_type)
            if rewrite is None or node.domain not in ("", "ai.onnx"):
                raise HwflowError(f"{node.name or node.output[0]}: the operator {node.op_type} is not supported")
            kind, arguments = rewrite(self, node, attributes)
            self.operations.append(Operation(kind, node.output[0], arguments))
        return Program(
            tuple(self._with_biases()),
            tuple(value.name for value in self.graph.input if value.name not in self.weights),
            tuple(value.name for value in self.graph.output),
            self.shapes,
            self.weights,
            {name: name for name in self.weights},
        )

    def _with_biases(self) -> list[Operation]:
        """A constant that is added to a product of matrices as its bias."""
        found: dict[str, Operation] = {}
        for operation in self.operations:
            first, second = (operation.arguments.get(name) for name in ("self", "other"))
            product = found.get(first.name) if isinstance(first, Ref) else None
            constant = isinstance(second, Ref) and second.name in self.weights
            alone = sum(first in each.arguments.values() for each in self.operations) == 1
            if operation.kind == "add" and constant and alone and product is not None and product.kind == "linear":
                if product.arguments["bias"] is not None:
                    raise HwflowError(f"{operation.output}: a second constant that is added is not supported")
                del found[product.output]
                operation = Operation("linear", operation.output, {**product.arguments, "bias": second})
            found[operation.output] = operation
        return list(found.values())

    def refuse(self, node: Any, what: str) -> HwflowError:
        """What to raise for an attribute."""
        return HwflowError(f"{node.name or node.output[0]}: {what} of {node.op_type} is not supported")

    def constant(self, node: Any, index: int) -> npt.NDArray[Any] | None:
        """The values of an input that is a constant; ``None`` if it is left out.

        Raises:
            HwflowError: it is computed.
        """
        if index >= len(node.input) or not node.input[index]:
            return None
        if node.input[index] not in self.weights:
            raise self.refuse(node, f"a computed input {index}")
        return self.weights[node.input[index]]

    def transposed(self, name: str) -> Ref:
        """A matrix the other way round, under a name of its own."""
        turned = f"{name}.weight" if "." not in name else f"{name}_transposed"
        self.weights[turned] = self.weights[name].T
        return Ref(turned)


def _shape(value: Any) -> tuple[int, ...]:
    """0 for a size that is not fixed."""
    return tuple(int(size.dim_value) for size in value.type.tensor_type.shape.dim)


def _attributes(node: Any) -> dict[str, Any]:
    from onnx import helper

    return {each.name: helper.get_attribute_value(each) for each in node.attribute}


def _ref(node: Any, index: int) -> Ref | None:
    return Ref(node.input[index]) if index < len(node.input) and node.input[index] else None


Rewritten = tuple[str, dict[str, Any]]
Rewrite = Callable[[_Reader, Any, Mapping[str, Any]], Rewritten]


def _pads(reader: _Reader, node: Any, attributes: Mapping[str, Any], rank: int) -> tuple[Ref, Any]:
    """The input, with zeros around it where its sides differ, and what is still to pad on either side, or ``same``."""
    x = _ref(node, 0)
    assert x is not None
    if attributes.get("auto_pad") == b"SAME_UPPER" and node.op_type == "Conv":
        return x, "same"
    if attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        raise reader.refuse(node, f"auto_pad={attributes['auto_pad'].decode()}")
    pads = list(attributes.get("pads", [0] * (2 * rank)))
    begin, end = pads[:rank], pads[rank:]
    if begin == end:
        return x, begin
    if node.op_type != "Conv":
        raise reader.refuse(node, f"pads={pads}")
    sides = [side for pair in zip(reversed(begin), reversed(end), strict=True) for side in pair]
    name, shape = f"{node.output[0]}_padded", reader.shapes[x.name]
    sizes = (size + low + high for size, low, high in zip(shape[2:], begin, end, strict=True))
    reader.shapes[name] = (*shape[:2], *sizes)
    reader.operations.append(Operation("constant_pad_nd", name, {"self": x, "pad": sides}))
    return Ref(name), [0] * rank


def _conv(reader: _Reader, node: Any, attributes: Mapping[str, Any]) -> Rewritten:
    weight = reader.constant(node, 1)
    assert weight is not None
    rank = weight.ndim - 2
    x, padding = _pads(reader, node, attributes, rank)
    return f"conv{rank}d", {
        "input": x,
        "weight": _ref(node, 1),
        "bias": _ref(node, 2),
        "stride": attributes.get("strides", [1] * rank),
        "padding": padding,
        "dilation": attributes.get("dilations", [1] * rank),
        "groups": attributes.get("group", 1),
    }


def _gemm(reader: _Reader, node: Any, attributes: Mapping[str, Any]) -> Rewritten:
    for name, wanted in (("alpha", 1.0), ("beta", 1.0), ("transA", 0)):
        if attributes.get(name, wanted) != wanted:
            raise reader.refuse(node, f"{name}={attributes[name]}")
    reader.constant(node, 1)
    weight = _ref(node, 1) if attributes.get("transB", 0) else reader.transposed(node.input[1])
    return "linear", {"input": _ref(node, 0), "weight": weight, "bias": _ref(node, 2)}


def _matmul(reader: _Reader, node: Any, _: Mapping[str, Any]) -> Rewritten:
    reader.constant(node, 1)
    return "linear", {"input": _ref(node, 0), "weight": reader.transposed(node.input[1]), "bias": None}


def _norm(_: _Reader, node: Any, attributes: Mapping[str, Any]) -> Rewritten:
    keys = ("input", "weight", "bias", "running_mean", "running_var")
    tensors = {key: _ref(node, index) for index, key in enumerate(keys)}
    return "batch_norm", {**tensors, "training": False, "eps": attributes.get("epsilon", 1e-5)}


def _pool(kind: str) -> Rewrite:
    def rewrite(reader: _Reader, node: Any, attributes: Mapping[str, Any]) -> Rewritten:
        size = attributes["kernel_shape"]
        x, padding = _pads(reader, node, attributes, len(size))
        return f"{kind}_pool{len(size)}d", {
            "self": x,
            "kernel_size": size,
            "stride": attributes.get("strides", [1] * len(size)),
            "padding": padding,
            "dilation": attributes.get("dilations", [1] * len(size)),
            "ceil_mode": bool(attributes.get("ceil_mode", 0)),
            "count_include_pad": bool(attributes.get("count_include_pad", 0)),
        }

    return rewrite


def _clip(reader: _Reader, node: Any, attributes: Mapping[str, Any]) -> Rewritten:
    limits = []
    for index, name, default in ((1, "min", -np.inf), (2, "max", np.inf)):
        given = reader.constant(node, index)
        limits.append(float(attributes.get(name, default) if given is None else given))
    return "hardtanh", {"self": _ref(node, 0), "min_val": limits[0], "max_val": limits[1]}


def _mean(reader: _Reader, node: Any, attributes: Mapping[str, Any]) -> Rewritten:
    given = reader.constant(node, 1)
    axes = attributes.get("axes") if given is None else given.tolist()
    return "mean", {"self": _ref(node, 0), "dim": axes}


def _concatenate(_: _Reader, node: Any, attributes: Mapping[str, Any]) -> Rewritten:
    return "cat", {"tensors": [Ref(name) for name in node.input], "dim": attributes["axis"]}


def _resize(reader: _Reader, node: Any, attributes: Mapping[str, Any]) -> Rewritten:
    if attributes.get("mode", "nearest") not in _MODES:
        raise reader.refuse(node, f"mode={attributes['mode'].decode()}")
    return "upsample_nearest2d", {"self": _ref(node, 0)}


def _one(kind: str, **names: str) -> Rewrite:
    """An operator of one tensor; ``names`` are PyTorch's names of ONNX's attributes."""

    def rewrite(_: _Reader, node: Any, attributes: Mapping[str, Any]) -> Rewritten:
        given = {ours: attributes[theirs] for ours, theirs in names.items() if theirs in attributes}
        return kind, {"self": _ref(node, 0), **given}

    return rewrite


def _two(kind: str) -> Rewrite:
    def rewrite(reader: _Reader, node: Any, _: Mapping[str, Any]) -> Rewritten:
        if len(node.input) != 2:
            raise reader.refuse(node, f"{len(node.input)} inputs")
        return kind, {"self": _ref(node, 0), "other": _ref(node, 1)}

    return rewrite


def _softmax(_: _Reader, node: Any, attributes: Mapping[str, Any]) -> Rewritten:
    return "softmax", {"self": _ref(node, 0), "dim": attributes.get("axis", -1)}


OPERATORS: Mapping[str, Rewrite] = {
    "Conv": _conv,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "BatchNormalization": _norm,
    "Relu": _one("relu"),
    "LeakyRelu": _one("leaky_relu", negative_slope="alpha"),
    "Elu": _one("elu", alpha="alpha"),
    "Sigmoid": _one("sigmoid"),
    "Tanh": _one("tanh"),
    "Softplus": _one("softplus"),
    "Clip": _clip,
    "Softmax": _softmax,
    "MaxPool": _pool("max"),
    "AveragePool": _pool("avg"),
    "GlobalAveragePool": _one("adaptive_avg_pool2d"),
    "ReduceMean": _mean,
    **dict.fromkeys(("Flatten", "Reshape", "Squeeze"), _one("flatten")),
    "Add": _two("add"),
    "Sub": _two("sub"),
    "Mul": _two("mul"),
    "Max": _two("maximum"),
    "Min": _two("minimum"),
    "Concat": _concatenate,
    "Resize": _resize,
    **dict.fromkeys(("Identity", "Dropout"), _one("identity")),
}
"""ONNX's operators as ATen's, with the arguments of those."""
