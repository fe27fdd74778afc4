"""AlexNet as torchvision defines it.

Krizhevsky, "One weird trick for parallelizing convolutional neural networks" (2014): one column, no local
response normalisation.
"""

from hwflow.models._kit import Kit, Layers, Stem, choose_stem, scaled
from hwflow.models.digits import KerasModel


def alexnet(
    input_shape: tuple[int, int, int] = (224, 224, 3),
    classes: int = 1000,
    width: float = 1.0,
    layers: Layers = "keras",
    stem: Stem | None = None,
) -> KerasModel:
    """Build AlexNet, untrained.

    Args:
        input_shape: (height, width, channels) of an image.
        classes: logits.
        width: multiplies the channels of every hidden layer.
        layers: ``keras``, or ``qkeras`` for the quantised form.
        stem: ``imagenet`` is torchvision's network. ``cifar`` starts with a 3x3 convolution of stride 1,
            pools 2x2, and has no adaptive pooling. None: ``cifar`` for images of up to 64 pixels.

    Returns:
        A ``keras.Model`` from (N, *input_shape) to logits (N, classes).

    Raises:
        HwflowError: an argument is out of range, or the image is too small or does not pool to 6x6.
    """
    kit = Kit("alexnet", input_shape, classes, width, layers)
    small = choose_stem(stem, input_shape) == "cifar"
    pool = 2 if small else 3
    if small:
        x = kit.conv(kit.image, scaled(64, width), 3, "features_0", padding=1, bias=True)
    else:
        x = kit.conv(kit.image, scaled(64, width), 11, "features_0", stride=4, padding=2, bias=True)
    x = kit.relu(x, "features_1")
    x = kit.max_pool(x, "features_2", size=pool)
    x = kit.relu(kit.conv(x, scaled(192, width), 5, "features_3", padding=2, bias=True), "features_4")
    x = kit.max_pool(x, "features_5", size=pool)
    for index, channels in ((6, 384), (8, 256), (10, 256)):
        x = kit.conv(x, scaled(channels, width), 3, f"features_{index}", padding=1, bias=True)
        x = kit.relu(x, f"features_{index + 1}")
    x = kit.max_pool(x, "features_12", size=pool)
    if not small:
        x = kit.adaptive_average_pool(x, 6, "avgpool")
    x = kit.flatten(x, "flatten")
    for index in (1, 4):
        x = kit.dropout(x, f"classifier_{index - 1}")
        x = kit.relu(kit.dense(x, scaled(4096, width), f"classifier_{index}"), f"classifier_{index + 1}")
    return kit.model(kit.dense(x, classes, "classifier_6"))
