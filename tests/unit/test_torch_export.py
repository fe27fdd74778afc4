"""PyTorch networks as Keras models: PyTorch's own outputs, files that are read as data, refusals by name."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import hwflow
from hwflow.errors import HwflowError
from hwflow.frontends.torch_network import from_file, from_module
from hwflow.reference import IntegerExecutor
from tests.unit import torch_networks

Forward = Callable[[nn.Module, torch.Tensor], torch.Tensor]


class Net(nn.Module):
    """Modules by name, and what is done with them."""

    def __init__(self, forward: Forward, **modules: nn.Module) -> None:
        super().__init__()
        for name, module in modules.items():
            self.add_module(name, module)
        self.body = forward

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(self, x)


def small() -> Net:
    """A residual network whose image is flattened, as a user writes one."""

    def body(net: Net, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(net.norm(net.stem(x)))
        x = torch.relu(x + net.block(x))
        x = torch.flatten(net.drop(net.pool(x)), 1)
        return net.head(torch.relu(x))

    return Net(
        body,
        stem=nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False),
        norm=nn.BatchNorm2d(8),
        block=nn.Conv2d(8, 8, 3, padding="same"),
        pool=nn.MaxPool2d(2),
        drop=nn.Dropout(),
        head=nn.Linear(8 * 4 * 3, 5),
    )


def last(x: np.ndarray) -> np.ndarray:
    return np.moveaxis(x, 1, -1) if x.ndim > 2 else x


def assert_same(module: nn.Module, shape: tuple[int, ...]) -> None:
    """The Keras model gives PyTorch's outputs."""
    module = torch_networks.randomise(module).eval()
    x = torch.randn(3, *shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = module(x).numpy()
    got = from_module(module, x)(last(x.numpy()), training=False)
    np.testing.assert_allclose(np.asarray(got), last(expected), rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def seq(*modules: nn.Module) -> nn.Module:
    return nn.Sequential(*modules)


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (small(), (3, 16, 12)),
        (seq(nn.Conv2d(4, 8, 3, groups=4, padding=1), nn.ReLU6(), nn.AdaptiveAvgPool2d(1), nn.Flatten()), (4, 6, 5)),
        (seq(nn.Conv2d(2, 3, (1, 3), (2, 1)), nn.LeakyReLU(0.2), nn.AvgPool2d(2, padding=1)), (2, 7, 8)),
        (seq(nn.Conv1d(2, 4, 3, padding=1), nn.ReLU(), nn.MaxPool1d(2), nn.Flatten(), nn.Linear(16, 3)), (2, 8)),
        (seq(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Sigmoid(), nn.Linear(4, 2), nn.Softmax(1)), (6,)),
        (seq(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 3), nn.ELU()), (6,)),
        (Net(lambda net, x: torch.cat([x, net.a(x)], 1), a=nn.Conv2d(2, 3, 1)), (2, 4, 4)),
        (Net(lambda net, x: net.l(torch.cat([x.flatten(1), net.a(x).flatten(1)], 1)), a=nn.Conv2d(2, 3, 2),
             l=nn.Linear(2 * 9 + 3 * 4, 4)), (2, 3, 3)),
        (Net(lambda net, x: net.l(x.mean((2, 3)) - net.a(x).mean((2, 3))), a=nn.Conv2d(2, 2, 1), l=nn.Linear(2, 3)),
         (2, 3, 5)),
        (seq(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Upsample(scale_factor=2), nn.MaxPool2d(3, 2, padding=1)), (1, 6, 6)),
        (Net(lambda net, x: x * net.b(net.a(net.pool(x)).relu()).sigmoid() * net.c(x).sigmoid(),
             pool=nn.AdaptiveAvgPool2d(1), a=nn.Conv2d(4, 2, 1), b=nn.Conv2d(2, 4, 1), c=nn.Conv2d(4, 1, 3, padding=1)),
         (4, 5, 6)),
        (Net(lambda net, x: x * net.a(net.pool(x).view(-1, 4)).view(-1, 4, 1, 1).expand_as(x),
             pool=nn.AdaptiveAvgPool2d(1), a=nn.Linear(4, 4)), (4, 5, 6)),
        (seq(nn.Conv2d(4, 6, 3, groups=2), nn.ReLU()), (4, 5, 6)),
        (seq(nn.Conv1d(4, 4, 3, dilation=2, padding=2), nn.ReLU(), nn.Conv1d(4, 2, 2, dilation=3, groups=2)), (4, 9)),
        (seq(nn.AvgPool2d(3, 1, padding=1, count_include_pad=False), nn.Conv2d(2, 2, 2)), (2, 5, 4)),
        (torch_networks.ResNet(torch_networks.Basic, (2, 2, 2, 2), 10), (3, 64, 64)),
        (torch_networks.SqueezeNet(10), (3, 64, 64)),
    ],
    ids=["small", "depthwise", "pools", "conv1d", "dense", "elu", "cat", "flat_cat", "mean", "upsample", "excited",
         "viewed", "groups", "dilated", "inside",
         "resnet18", "squeezenet"],
)  # fmt: skip
def test_equals_pytorch(module: nn.Module, shape: tuple[int, ...]) -> None:
    assert_same(module, shape)


def saved(module: nn.Module, shape: tuple[int, ...], path: Path) -> Path:
    torch.export.save(torch.export.export(module.eval(), (torch.zeros(2, *shape),)), path)
    return path


def test_a_file_gives_the_same_as_the_module(tmp_path: Path) -> None:
    module = torch_networks.randomise(small()).eval()
    x = np.random.default_rng(0).normal(size=(4, 3, 16, 12)).astype(np.float32)
    model = from_file(saved(module, (3, 16, 12), tmp_path / "net.pt2"))
    assert [layer.name for layer in model.layers if layer.get_weights()] == ["stem", "norm", "block", "head"]
    np.testing.assert_array_equal(model(last(x)), from_module(module, x)(last(x)))


def test_a_module_and_its_file_are_hardened_alike(tmp_path: Path) -> None:
    module = torch_networks.randomise(small()).eval()
    images = np.random.default_rng(0).normal(size=(64, 3, 16, 12)).astype(np.float32)
    np.savez(tmp_path / "x.npz", x=last(images))
    path = saved(module, (3, 16, 12), tmp_path / "net.pt2")
    first = hwflow.harden(module, tmp_path / "a", example=images[:2], calibration=tmp_path / "x.npz")
    second = hwflow.harden(path, tmp_path / "b", calibration=tmp_path / "x.npz")
    executors = [IntegerExecutor(each.graph) for each in (first, second)]
    outputs = [each.run(each.encode(last(images))) for each in executors]
    np.testing.assert_array_equal(*outputs)
    with torch.no_grad():
        expected = module(torch.from_numpy(images)).numpy()
    assert np.abs(executors[0].decode(outputs[0]) - expected).max() < 0.05 * np.ptp(expected)


@pytest.mark.parametrize(
    ("module", "shape", "message"),
    [
        (seq(nn.Conv2d(4, 4, 3, dilation=2)), (4, 6, 6), "conv2d: dilation of conv2d is not supported"),
        (seq(nn.MaxPool2d(3, padding=1)), (4, 6, 6), "max_pool2d: padding before a ReLU of max_pool2d"),
        (
            seq(nn.AvgPool2d(2, padding=1, count_include_pad=False)),
            (4, 6, 6),
            "count_include_pad=False with other",
        ),
        (seq(nn.MaxPool2d(2, ceil_mode=True)), (4, 5, 5), "ceil_mode=True of max_pool2d"),
        (Net(lambda net, x: x * 2), (4, 5, 5), "mul: a constant as other of mul is not supported"),
        (Net(lambda net, x: torch.sin(x)), (4,), "sin: the operator sin is not supported"),
        (seq(nn.Flatten()), (4, 5, 5), "flatten: a flattened image is the output"),
        (Net(lambda net, x: x.flatten(1) + net.l(x.mean((2, 3))), l=nn.Linear(2, 8)), (2, 2, 2), "flattened image and"),
        (Net(lambda net, x: x if x.sum() > 0 else -x), (4,), "Net: torch.export cannot export it"),
    ],
)
def test_refused_by_name(module: nn.Module, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(HwflowError, match=message):
        from_module(module, torch.zeros(2, *shape))


def test_what_is_missing_is_said() -> None:
    with pytest.raises(HwflowError, match="Net: give an example of its input"):
        from_module(small(), None)
    with pytest.raises(HwflowError, match=r"an example is for a torch.nn.Module"):
        hwflow.harden("digits_cnn", "unused", example=1)


def test_a_translation_that_computes_something_else_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from hwflow.frontends import torch_network

    wrong = dict(torch_network.OPERATORS) | {"relu": torch_network.OPERATORS["tanh"]}
    monkeypatch.setattr(torch_network, "OPERATORS", wrong)
    with pytest.raises(HwflowError, match=r"Net: its output head.* is off by"):
        from_module(torch_networks.randomise(small()), torch.ones(2, 3, 16, 12))


def changed(path: Path, change: Callable[[dict], None] | None = None, drop: str = "") -> Path:
    """The archive with another graph, or without a member."""
    content = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(content, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name.endswith("/models/model.json") and change is not None:
                document = json.loads(data)
                change(document["graph_module"])
                data = json.dumps(document).encode()
            if not drop or not name.endswith(drop):
                new.writestr(name, data)
    target = path.with_name("changed.pt2")
    target.write_bytes(content.getvalue())
    return target


def outside(module: dict) -> None:
    module["graph"]["nodes"][0]["target"] = "os.system"


def other_input(module: dict) -> None:
    module["signature"]["input_specs"][0] = {"token": {"arg": {"name": "t"}}}


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"change": outside}, "the operator os.system is not supported, only those of torch.ops.aten"),
        ({"change": other_input}, "the program takes a token, which is not supported"),
        ({"drop": "weight_0"}, "not a readable program of torch.export"),
        ({"drop": "model.json"}, "holds 0 programs; save one with torch.export.save"),
    ],
)
def test_damaged_files_are_refused(how: dict, message: str, tmp_path: Path) -> None:
    path = saved(small(), (3, 16, 12), tmp_path / "net.pt2")
    with pytest.raises(HwflowError, match=message):
        from_file(changed(path, **how))


def test_no_file_and_no_archive(tmp_path: Path) -> None:
    with pytest.raises(HwflowError, match=r"none.pt2: no such model file"):
        from_file(tmp_path / "none.pt2")
    (tmp_path / "text.pt2").write_text("no archive")
    with pytest.raises(HwflowError, match=r"text.pt2: not a readable program of torch.export"):
        from_file(tmp_path / "text.pt2")
