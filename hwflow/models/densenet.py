"""DenseNet as torchvision defines it: Huang et al., "Densely Connected Convolutional Networks" (2017).

torchvision concatenates all features so far before every layer; a chain of Concatenates of two gives the
same channels in the same order.
"""

from collections.abc import Sequence
from typing import Any

from hwflow.models._kit import Kit, Layers, Stem, choose_stem, scaled
from hwflow.models.digits import KerasModel

GROWTH = 32
_BOTTLENECK = 4


def densenet121(
    input_shape: tuple[int, int, int] = (224, 224, 3),
    classes: int = 1000,
    width: float = 1.0,
    layers: Layers = "keras",
    stem: Stem | None = None,
) -> KerasModel:
    """Build DenseNet121, untrained; arguments, result and errors are those of `densenet169`."""
    return _densenet(Kit("densenet121", input_shape, classes, width, layers), (6, 12, 24, 16), width, stem)


def densenet169(
    input_shape: tuple[int, int, int] = (224, 224, 3),
    classes: int = 1000,
    width: float = 1.0,
    layers: Layers = "keras",
    stem: Stem | None = None,
) -> KerasModel:
    """Build DenseNet169, untrained.

    Args:
        input_shape: (height, width, channels) of an image.
        classes: logits.
        width: multiplies the first layer's channels and the growth rate.
        layers: ``keras``, or ``qkeras`` for the quantised form.
        stem: ``imagenet`` is torchvision's network. ``cifar`` starts with a 3x3 convolution of stride 1 and
            no pooling. None: ``cifar`` for images of up to 64 pixels.

    Returns:
        A ``keras.Model`` from (N, *input_shape) to logits (N, classes).

    Raises:
        HwflowError: an argument is out of range, or the image is too small.
    """
    return _densenet(Kit("densenet169", input_shape, classes, width, layers), (6, 12, 32, 32), width, stem)


def _densenet(kit: Kit, depths: Sequence[int], width: float, stem: Stem | None) -> KerasModel:
    small = choose_stem(stem, kit.image.shape[1:]) == "cifar"
    if small:
        x = kit.conv(kit.image, scaled(2 * GROWTH, width), 3, "features_conv0", padding=1)
    else:
        x = kit.conv(kit.image, scaled(2 * GROWTH, width), 7, "features_conv0", stride=2, padding=3)
    x = kit.relu(kit.norm(x, "features_norm0"), "features_relu0")
    if not small:
        x = kit.max_pool(x, "features_pool0", padding=1)
    for block, depth in enumerate(depths, 1):
        for layer in range(1, depth + 1):
            x = _dense_layer(kit, x, scaled(GROWTH, width), f"features_denseblock{block}_denselayer{layer}")
        if block < len(depths):
            x = _transition(kit, x, f"features_transition{block}")
    x = kit.relu(kit.norm(x, "features_norm5"), "relu")
    return kit.model(kit.dense(kit.global_average_pool(x, "avgpool"), kit.classes, "classifier"))


def _dense_layer(kit: Kit, x: Any, growth: int, name: str) -> Any:
    new = kit.relu(kit.norm(x, f"{name}_norm1"), f"{name}_relu1")
    new = kit.conv(new, _BOTTLENECK * growth, 1, f"{name}_conv1")
    new = kit.relu(kit.norm(new, f"{name}_norm2"), f"{name}_relu2")
    new = kit.conv(new, growth, 3, f"{name}_conv2", padding=1)
    return kit.concatenate(x, new, f"{name}_concat")


def _transition(kit: Kit, x: Any, name: str) -> Any:
    channels = x.shape[-1] // 2
    x = kit.relu(kit.norm(x, f"{name}_norm"), f"{name}_relu")
    return kit.average_pool(kit.conv(x, channels, 1, f"{name}_conv"), 2, f"{name}_pool")
