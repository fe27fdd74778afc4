"""ONNX networks: ONNX's own reference evaluator and PyTorch give the same; files are read as data."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

import hwflow
from hwflow.errors import HwflowError
from hwflow.frontends.torch_network import from_onnx
from hwflow.reference import IntegerExecutor
from tests.unit import torch_networks
from tests.unit.test_torch_export import Net, last, seq, small


def exported(module: nn.Module, shape: tuple[int, ...], path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch calls this exporter old
        torch.onnx.export(module.eval(), (torch.zeros(2, *shape),), str(path), dynamo=False)
    return path


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (small(), (3, 16, 12)),
        (seq(nn.Conv2d(4, 8, 3, groups=4, padding=1), nn.ReLU6(), nn.AdaptiveAvgPool2d(1), nn.Flatten()), (4, 6, 5)),
        (seq(nn.Conv2d(2, 3, (1, 3), (2, 1)), nn.LeakyReLU(0.2), nn.AvgPool2d(2)), (2, 7, 8)),
        (seq(nn.Conv1d(2, 4, 3, padding=1), nn.ReLU(), nn.MaxPool1d(2), nn.Flatten(), nn.Linear(16, 3)), (2, 8)),
        (seq(nn.Linear(6, 4), nn.Sigmoid(), nn.Linear(4, 3), nn.ELU(), nn.Softmax(1)), (6,)),
        (Net(lambda net, x: torch.cat([x, net.a(x)], 1), a=nn.Conv2d(2, 3, 1)), (2, 4, 4)),
        (seq(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Upsample(scale_factor=2), nn.MaxPool2d(3, 2, padding=1)), (1, 6, 6)),
        (torch_networks.ResNet(torch_networks.Basic, (1, 1, 1, 1), 10), (3, 32, 32)),
    ],
    ids=["small", "depthwise", "leaky", "conv1d", "dense", "cat", "upsample", "resnet"],
)
def test_equals_pytorch(module: nn.Module, shape: tuple[int, ...], tmp_path: Path) -> None:
    module = torch_networks.randomise(module).eval()
    x = torch.randn(2, *shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = module(x).numpy()
    got = np.asarray(from_onnx(exported(module, shape, tmp_path / "net.onnx"))(last(x.numpy()), training=False))
    np.testing.assert_allclose(got, last(expected), rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def dense(path: Path, *nodes: onnx.NodeProto, outputs: int = 3) -> Path:
    """A network on vectors of 4 from nodes, with a matrix ``w`` and a vector ``b``."""
    rng = np.random.default_rng(0)
    arrays = {"w": rng.normal(size=(4, 3)).astype(np.float32), "b": np.ones(3, np.float32)}
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", outputs])
    weights = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    model = helper.make_model(helper.make_graph(nodes, "net", [x], [y], weights))
    onnx.save(model, path)
    return path


def test_matmul_and_add_are_a_dense_layer_and_it_is_hardened(tmp_path: Path) -> None:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["p"]), helper.make_node("Add", ["p", "b"], ["y"])]
    path = dense(tmp_path / "net.onnx", *nodes)
    x = np.random.default_rng(1).uniform(-1, 1, (64, 4)).astype(np.float32)
    np.savez(tmp_path / "x.npz", x=x)
    design = hwflow.harden(path, tmp_path / "design", calibration=tmp_path / "x.npz")
    assert [layer.op for layer in design.graph.weight_layers] == ["Dense"]
    executor = IntegerExecutor(design.graph)
    w = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    assert np.abs(executor.decode(executor.run(executor.encode(x))) - (x @ w + 1)).max() < 0.05


def test_uneven_padding_equals_onnx(tmp_path: Path) -> None:
    """Which the evaluator that every file is compared with shows."""
    weight = np.random.default_rng(0).normal(size=(3, 2, 3, 2)).astype(np.float32)
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, 5, 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3, 6, 4])
    conv = helper.make_node("Conv", ["x", "conv.weight"], ["y"], pads=[1, 0, 2, 1])
    graph = helper.make_graph([conv], "net", [x], [y], [numpy_helper.from_array(weight, "conv.weight")])
    onnx.save(helper.make_model(graph), tmp_path / "net.onnx")
    assert from_onnx(tmp_path / "net.onnx").output_shape == (None, 6, 4, 3)


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (helper.make_node("Sin", ["x"], ["y"], name="wave"), "wave: the operator Sin is not supported"),
        (helper.make_node("Gemm", ["x", "w", "b"], ["y"], alpha=2.0, name="fc"), "fc: alpha=2.0 of Gemm is not"),
        (helper.make_node("MatMul", ["x", "x"], ["y"], name="square"), "square: a computed input 1 of MatMul is not"),
        (helper.make_node("Sum", ["x", "x"], ["y"], name="s"), "s: the operator Sum is not supported"),
    ],
)
def test_refused_by_name(node: onnx.NodeProto, message: str, tmp_path: Path) -> None:
    with pytest.raises(HwflowError, match=message):
        from_onnx(dense(tmp_path / "net.onnx", node, outputs=3 if "w" in node.input else 4))


def images(path: Path, node: onnx.NodeProto, height: int | str, *weights: np.ndarray) -> Path:
    """A network of one node on images of 2 channels, 4 pixels wide."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2, height, 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", "c", "h", "w"])
    constants = [numpy_helper.from_array(array, f"w{number}") for number, array in enumerate(weights)]
    onnx.save(helper.make_model(helper.make_graph([node], "net", [x], [y], constants)), path)
    return path


def test_sizes_that_are_not_fixed_and_constants_are_refused_in_one_line(tmp_path: Path) -> None:
    relu = helper.make_node("Relu", ["x"], ["y"])
    with pytest.raises(HwflowError, match=r"^x: the input has no fixed size \(2, 0, 4\); export the network with one$"):
        from_onnx(images(tmp_path / "net.onnx", relu, "rows"))
    joined = helper.make_node("Concat", ["x", "w0"], ["y"], axis=1)
    with pytest.raises(HwflowError, match=r"^w0: a constant in the place of a tensor is not supported$"):
        from_onnx(images(tmp_path / "net.onnx", joined, 4, np.zeros((1, 2, 4, 4), np.float32)))


def test_files_that_are_not_read(tmp_path: Path) -> None:
    with pytest.raises(HwflowError, match=r"none.onnx: no such model file"):
        from_onnx(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("no protobuf")
    with pytest.raises(HwflowError, match=r"text.onnx: not a readable ONNX file"):
        from_onnx(tmp_path / "text.onnx")
    path = dense(tmp_path / "net.onnx", helper.make_node("MatMul", ["x", "w"], ["y"]))
    model = onnx.load(path)
    onnx.save(model, tmp_path / "two.onnx", save_as_external_data=True, size_threshold=0)
    with pytest.raises(HwflowError, match=r"two.onnx: has its weights in other files"):
        from_onnx(tmp_path / "two.onnx")


def test_a_translation_that_computes_something_else_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from hwflow.frontends import onnx_file

    path = dense(tmp_path / "net.onnx", helper.make_node("Tanh", ["x"], ["y"]), outputs=4)
    monkeypatch.setattr(onnx_file, "OPERATORS", {"Tanh": onnx_file._one("sigmoid")})
    with pytest.raises(HwflowError, match=r"net: its output .* is off by"):
        from_onnx(path)
