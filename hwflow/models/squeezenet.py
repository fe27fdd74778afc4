"""SqueezeNet 1.1 as torchvision defines it.

Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters" (2016); version 1.1 is the
authors' later release. The classifier is a 1x1 convolution, its ReLU and the mean over all pixels, so that
logits are never negative.
"""

from typing import Any

from hwflow.models._kit import Kit, Layers, Stem, choose_stem, scaled
from hwflow.models.digits import KerasModel

# Position in torchvision's `features`, squeeze channels, channels of each of the two expansions.
_FIRES = (
    (3, 16, 64),
    (4, 16, 64),
    (6, 32, 128),
    (7, 32, 128),
    (9, 48, 192),
    (10, 48, 192),
    (11, 64, 256),
    (12, 64, 256),
)
_POOLS = (5, 8)

CAFFE_NAMES = {
    "conv1": "features.0",
    "conv10": "classifier.1",
    **{
        f"fire{number}_{caffe}": f"features.{position}.{ours}"
        for number, (position, _, _) in enumerate(_FIRES, 2)
        for caffe, ours in (("squeeze1x1", "squeeze"), ("expand1x1", "expand1x1"), ("expand3x3", "expand3x3"))
    },
}
"""The original Caffe model's names of the modules and torchvision's, for `load_torchvision`."""


def squeezenet1_1(
    input_shape: tuple[int, int, int] = (224, 224, 3),
    classes: int = 1000,
    width: float = 1.0,
    layers: Layers = "keras",
    stem: Stem | None = None,
) -> KerasModel:
    """Build SqueezeNet 1.1, untrained.

    Args:
        input_shape: (height, width, channels) of an image.
        classes: logits.
        width: multiplies the channels of every hidden layer.
        layers: ``keras``, or ``qkeras`` for the quantised form.
        stem: ``imagenet`` is torchvision's network. ``cifar`` starts with a padded convolution of stride 1.
            None: ``cifar`` for images of up to 64 pixels.

    Returns:
        A ``keras.Model`` from (N, *input_shape) to logits (N, classes), which are at least 0.

    Raises:
        HwflowError: an argument is out of range, or the image is too small.
    """
    kit = Kit("squeezenet1_1", input_shape, classes, width, layers)
    stride, padding = (1, 1) if choose_stem(stem, input_shape) == "cifar" else (2, 0)
    x = kit.conv(kit.image, scaled(64, width), 3, "features_0", stride=stride, padding=padding, bias=True)
    x = kit.max_pool(kit.relu(x, "features_1"), "features_2", ceil=True)
    for position, squeeze, expand in _FIRES:
        x = _fire(kit, x, scaled(squeeze, width), scaled(expand, width), f"features_{position}")
        if position + 1 in _POOLS:
            x = kit.max_pool(x, f"features_{position + 1}", ceil=True)
    x = kit.conv(kit.dropout(x, "classifier_0"), classes, 1, "classifier_1", bias=True)
    return kit.model(kit.global_average_pool(kit.relu(x, "classifier_2"), "classifier_3"))


def _fire(kit: Kit, x: Any, squeeze: int, expand: int, name: str) -> Any:
    x = kit.relu(kit.conv(x, squeeze, 1, f"{name}_squeeze", bias=True), f"{name}_squeeze_activation")
    narrow = kit.conv(x, expand, 1, f"{name}_expand1x1", bias=True)
    wide = kit.conv(x, expand, 3, f"{name}_expand3x3", padding=1, bias=True)
    narrow = kit.relu(narrow, f"{name}_expand1x1_activation")
    wide = kit.relu(wide, f"{name}_expand3x3_activation")
    return kit.concatenate(narrow, wide, f"{name}_concat")
