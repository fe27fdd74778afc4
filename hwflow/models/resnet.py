"""ResNet as torchvision defines it, and the CIFAR family of the same paper.

He et al., "Deep Residual Learning for Image Recognition" (2015). torchvision's bottleneck has its stride in
the 3x3 convolution, not in the first 1x1 ("v1.5"). Where the shape changes, a 1x1 convolution projects the
shortcut (option B); the CIFAR family instead takes every second pixel and pads the channels with zeros
(option A).
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hwflow.errors import HwflowError
from hwflow.models._kit import Kit, Layers, Stem, choose_stem, scaled
from hwflow.models.digits import KerasModel

SUBSAMPLE = "_subsample"
"""How the names of option A's shortcuts end; no state dict has them."""

_EXPANSION = 4
_Block = Callable[..., Any]


def resnet18(
    input_shape: tuple[int, int, int] = (224, 224, 3),
    classes: int = 1000,
    width: float = 1.0,
    layers: Layers = "keras",
    stem: Stem | None = None,
) -> KerasModel:
    """Build ResNet18, untrained.

    Args:
        input_shape: (height, width, channels) of an image.
        classes: logits.
        width: multiplies the channels of every hidden layer.
        layers: ``keras``, or ``qkeras`` for the quantised form.
        stem: ``imagenet`` is torchvision's network. ``cifar`` starts with a 3x3 convolution of stride 1 and
            no pooling. None: ``cifar`` for images of up to 64 pixels.

    Returns:
        A ``keras.Model`` from (N, *input_shape) to logits (N, classes).

    Raises:
        HwflowError: an argument is out of range, or the image is too small.
    """
    return _resnet(Kit("resnet18", input_shape, classes, width, layers), _basic, (2, 2, 2, 2), width, stem)


def resnet34(
    input_shape: tuple[int, int, int] = (224, 224, 3),
    classes: int = 1000,
    width: float = 1.0,
    layers: Layers = "keras",
    stem: Stem | None = None,
) -> KerasModel:
    """Build ResNet34, untrained; arguments, result and errors are those of `resnet18`."""
    return _resnet(Kit("resnet34", input_shape, classes, width, layers), _basic, (3, 4, 6, 3), width, stem)


def resnet50(
    input_shape: tuple[int, int, int] = (224, 224, 3),
    classes: int = 1000,
    width: float = 1.0,
    layers: Layers = "keras",
    stem: Stem | None = None,
) -> KerasModel:
    """Build ResNet50, untrained; arguments, result and errors are those of `resnet18`."""
    return _resnet(Kit("resnet50", input_shape, classes, width, layers), _bottleneck, (3, 4, 6, 3), width, stem)


def cifar_resnet(
    depth: int,
    input_shape: tuple[int, int, int] = (32, 32, 3),
    classes: int = 10,
    width: float = 1.0,
    layers: Layers = "keras",
) -> KerasModel:
    """Build the CIFAR ResNet of `depth` layers with option A shortcuts, untrained.

    Such a shortcut is a 1x1 convolution of stride 2 whose kernel, zeros and ones, is fixed: exactly the
    subsampling and the zero channels, as a layer that hls4ml and every executor know. Its ones are on
    the 8-bit grid. It adds 2,560 weights to the memory at full width, faults of which a study of the
    plain network would not see.

    Args:
        depth: 6 n + 2 for n blocks a stage: 20, 32, 44, 56.
        input_shape: (height, width, channels) of an image.
        classes: logits.
        width: multiplies the channels of every hidden layer.
        layers: ``keras``, or ``qkeras`` for the quantised form.

    Returns:
        A ``keras.Model`` from (N, *input_shape) to logits (N, classes).

    Raises:
        HwflowError: an argument is out of range.
    """
    if depth < 8 or depth % 6 != 2:
        raise HwflowError(f"no CIFAR ResNet has {depth} layers: it is 6 n + 2, such as 20, 32, 44 or 56")
    kit = Kit(f"resnet{depth}", input_shape, classes, width, layers)
    x = kit.conv(kit.image, scaled(16, width), 3, "conv1", padding=1)
    x = kit.relu(kit.norm(x, "bn1"), "relu")
    for stage, channels in enumerate((16, 32, 64), 1):
        for index in range((depth - 2) // 6):
            stride = 2 if stage > 1 and index == 0 else 1
            x = _cifar_block(kit, x, scaled(channels, width), stride, f"layer{stage}_{index}")
    x = kit.global_average_pool(x, "avgpool")
    model = kit.model(kit.dense(x, classes, "linear"))
    for layer in model.layers:
        if layer.name.endswith(SUBSAMPLE):
            layer.set_weights([_subsample_kernel(*layer.kernel.shape[2:])])
    return model


def _resnet(kit: Kit, block: _Block, depths: Sequence[int], width: float, stem: Stem | None) -> KerasModel:
    small = choose_stem(stem, kit.image.shape[1:]) == "cifar"
    if small:
        x = kit.conv(kit.image, scaled(64, width), 3, "conv1", padding=1)
    else:
        x = kit.conv(kit.image, scaled(64, width), 7, "conv1", stride=2, padding=3)
    x = kit.relu(kit.norm(x, "bn1"), "relu")
    if not small:
        x = kit.max_pool(x, "maxpool", padding=1)
    for stage, depth in enumerate(depths):
        for index in range(depth):
            stride = 2 if stage > 0 and index == 0 else 1
            x = block(kit, x, scaled(64 * 2**stage, width), stride, f"layer{stage + 1}_{index}")
    return kit.model(kit.dense(kit.global_average_pool(x, "avgpool"), kit.classes, "fc"))


def _basic(kit: Kit, x: Any, channels: int, stride: int, name: str) -> Any:
    shortcut = _projection(kit, x, channels, stride, name)
    x = kit.conv(x, channels, 3, f"{name}_conv1", stride=stride, padding=1)
    x = kit.relu(kit.norm(x, f"{name}_bn1"), f"{name}_relu1")
    x = kit.norm(kit.conv(x, channels, 3, f"{name}_conv2", padding=1), f"{name}_bn2")
    return kit.relu(kit.add(x, shortcut, f"{name}_add"), f"{name}_relu2")


def _bottleneck(kit: Kit, x: Any, channels: int, stride: int, name: str) -> Any:
    shortcut = _projection(kit, x, _EXPANSION * channels, stride, name)
    x = kit.relu(kit.norm(kit.conv(x, channels, 1, f"{name}_conv1"), f"{name}_bn1"), f"{name}_relu1")
    x = kit.conv(x, channels, 3, f"{name}_conv2", stride=stride, padding=1)
    x = kit.relu(kit.norm(x, f"{name}_bn2"), f"{name}_relu2")
    x = kit.norm(kit.conv(x, _EXPANSION * channels, 1, f"{name}_conv3"), f"{name}_bn3")
    return kit.relu(kit.add(x, shortcut, f"{name}_add"), f"{name}_relu3")


def _projection(kit: Kit, x: Any, channels: int, stride: int, name: str) -> Any:
    if stride == 1 and x.shape[-1] == channels:
        return x
    return kit.norm(kit.conv(x, channels, 1, f"{name}_downsample_0", stride=stride), f"{name}_downsample_1")


def _cifar_block(kit: Kit, x: Any, channels: int, stride: int, name: str) -> Any:
    shortcut = x
    if stride != 1 or x.shape[-1] != channels:
        shortcut = kit.conv(x, channels, 1, f"{name}{SUBSAMPLE}", stride=stride, trainable=False)
    x = kit.conv(x, channels, 3, f"{name}_conv1", stride=stride, padding=1)
    x = kit.relu(kit.norm(x, f"{name}_bn1"), f"{name}_relu1")
    x = kit.norm(kit.conv(x, channels, 3, f"{name}_conv2", padding=1), f"{name}_bn2")
    return kit.relu(kit.add(x, shortcut, f"{name}_add"), f"{name}_relu2")


def _subsample_kernel(n_in: int, n_out: int) -> Any:
    """Return the (1, 1, n_in, n_out) kernel that centres the input's channels among zero channels."""
    return np.eye(n_in, n_out, k=(n_out - n_in) // 2, dtype=np.float32)[None, None]
