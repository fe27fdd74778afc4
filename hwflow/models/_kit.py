"""The layers that the ports are built from, in Keras or in QKeras, padded and named as in torchvision.

A layer is called what torchvision calls the module, with ``_`` for its dots: ``layer1.0.conv1`` is
``layer1_0_conv1``. No torchvision name has an underscore, so that the way back is unique. Only operations
that hls4ml parses are used: explicit padding, pairs of inputs at an Add or a Concatenate.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Any, Literal, get_args

from hwflow.errors import HwflowError
from hwflow.models._tf import keras, qkeras
from hwflow.models.digits import ACTIVATION, BIAS_QUANTIZER, WEIGHT_QUANTIZER, KerasModel

Layers = Literal["keras", "qkeras"]
Stem = Literal["imagenet", "cifar"]

EPSILON = 1e-5
MOMENTUM = 0.9  # of the old statistics; PyTorch's 0.1 is that of the new ones
CIFAR_SIZE = 64  # images up to this many pixels a side get the CIFAR stem unless told otherwise
CHANNEL_STEP = 4

Tensor = Any


def scaled(channels: int, width: float) -> int:
    """Return `channels` times `width`, to the nearest multiple of `CHANNEL_STEP` and at least that."""
    return max(CHANNEL_STEP, CHANNEL_STEP * round(channels * width / CHANNEL_STEP))


def choose_stem(stem: Stem | None, input_shape: Sequence[int]) -> Stem:
    """Return `stem`, or if it is None the one that fits the size of the image.

    Raises:
        HwflowError: there is no such stem.
    """
    if stem is None:
        return "cifar" if max(input_shape[:2]) <= CIFAR_SIZE else "imagenet"
    if stem not in get_args(Stem):
        raise HwflowError(f"no stem {stem!r}: choose one of {', '.join(get_args(Stem))}")
    return stem


class Kit:
    """Makes the layers of one network, float or quantised.

    The quantised form has `WEIGHT_QUANTIZER` kernels, `BIAS_QUANTIZER` biases and `ACTIVATION` in place of
    every ReLU. Its batch normalisation stays, in float, so that a state dict loads into either form and
    that the statistics follow when the network is fine-tuned.
    """

    def __init__(self, network: str, input_shape: Sequence[int], classes: int, width: float, layers: Layers) -> None:
        if layers not in get_args(Layers):
            raise HwflowError(f"{network}: no layers {layers!r}; choose one of {', '.join(get_args(Layers))}")
        if len(input_shape) != 3 or min(input_shape) < 1:
            raise HwflowError(f"{network}: the input shape is (height, width, channels), not {tuple(input_shape)}")
        if classes < 1 or not 0 < width < math.inf:
            raise HwflowError(f"{network}: cannot have {classes} classes at a width of {width}")
        self.network = network
        self.classes = classes
        self.quantised = layers == "qkeras"
        self.keras = keras()
        self.image = self.keras.Input(tuple(input_shape), name="image")

    def model(self, output: Tensor) -> KerasModel:
        """Return the network from `image` to `output`."""
        return self.keras.Model(self.image, output, name=self.network)

    def conv(
        self,
        x: Tensor,
        filters: int,
        kernel: int,
        name: str,
        *,
        stride: int = 1,
        padding: int = 0,
        bias: bool = False,
        trainable: bool = True,
    ) -> Tensor:
        """A convolution with PyTorch's symmetric zero padding of `padding` pixels.

        Keras' own ``same`` is that for a stride of 1 only: with a stride it pads the far side more.
        """
        same = stride == 1 and kernel == 2 * padding + 1
        if not same:
            x = self.pad(x, padding, padding, f"{name}_pad")
            self._check_fit(x, kernel, name)
        options = {
            "strides": stride,
            "padding": "same" if same else "valid",
            "use_bias": bias,
            "kernel_initializer": "he_normal",
            "trainable": trainable,
            "name": name,
        }
        if self.quantised:
            return qkeras().QConv2D(filters, kernel, **options, **_quantisers(bias))(x)
        return self.keras.layers.Conv2D(filters, kernel, **options)(x)

    def dense(self, x: Tensor, units: int, name: str) -> Tensor:
        """A fully connected layer with bias."""
        if self.quantised:
            return qkeras().QDense(units, name=name, kernel_initializer="he_normal", **_quantisers())(x)
        return self.keras.layers.Dense(units, name=name, kernel_initializer="he_normal")(x)

    def norm(self, x: Tensor, name: str) -> Tensor:
        """Batch normalisation with PyTorch's epsilon."""
        return self.keras.layers.BatchNormalization(epsilon=EPSILON, momentum=MOMENTUM, name=name)(x)

    def relu(self, x: Tensor, name: str) -> Tensor:
        """ReLU, or its quantised form."""
        if self.quantised:
            return qkeras().QActivation(ACTIVATION, name=name)(x)
        return self.keras.layers.Activation("relu", name=name)(x)

    def max_pool(
        self, x: Tensor, name: str, *, size: int = 3, stride: int = 2, padding: int = 0, ceil: bool = False
    ) -> Tensor:
        """Max pooling of what a ReLU made: padding with zeros is then padding with minus infinity.

        Args:
            x: nothing in it is negative.
            name: the layer's name.
            size: of the window.
            stride: of the window.
            padding: pixels on every side.
            ceil: let a last window hang over the edge (PyTorch's ``ceil_mode``).
        """
        overhang = [-(side - size) % stride if ceil else 0 for side in x.shape[1:3]]
        x = self.pad(x, padding, padding, f"{name}_pad", overhang=overhang)
        self._check_fit(x, size, name)
        return self.keras.layers.MaxPooling2D(size, strides=stride, name=name)(x)

    def average_pool(self, x: Tensor, size: int, name: str, *, stride: int | None = None) -> Tensor:
        """Average pooling without padding; `stride` is `size` unless given."""
        self._check_fit(x, size, name)
        return self.keras.layers.AveragePooling2D(size, strides=stride or size, name=name)(x)

    def adaptive_average_pool(self, x: Tensor, size: int, name: str) -> Tensor:
        """PyTorch's adaptive average pooling to `size` by `size`, where its windows are regular.

        Output i averages the pixels from floor(i n / size) to ceil((i + 1) n / size). Those windows have one
        size and one stride if n is a multiple of `size` or one more than it, among others.

        Raises:
            HwflowError: the windows of this image are irregular, which no fixed pooling can express.
        """
        regular = [_regular_windows(side, size) for side in x.shape[1:3]]
        if None in regular or regular[0] != regular[1]:
            raise HwflowError(
                f"{self.network}: an image of {self.image.shape[1]}x{self.image.shape[2]} pixels reaches {name} as "
                f"{x.shape[1]}x{x.shape[2]}, which does not pool to {size}x{size} evenly; take 224x224"
            )
        window, stride = regular[0] or (1, 1)
        return x if (window, stride) == (1, 1) else self.average_pool(x, window, name, stride=stride)

    def global_average_pool(self, x: Tensor, name: str) -> Tensor:
        """The mean over all pixels, (N, channels)."""
        return self.keras.layers.GlobalAveragePooling2D(name=name)(x)

    def pad(self, x: Tensor, before: int, after: int, name: str, *, overhang: Sequence[int] = (0, 0)) -> Tensor:
        """Zero padding on each axis, `overhang` more (rows, columns) at the far side; none, no layer."""
        sides = tuple((before, after + more) for more in overhang)
        if not any(map(any, sides)):
            return x
        return self.keras.layers.ZeroPadding2D(sides, name=name)(x)

    def add(self, x: Tensor, y: Tensor, name: str) -> Tensor:
        """The sum of two tensors."""
        return self.keras.layers.Add(name=name)([x, y])

    def concatenate(self, x: Tensor, y: Tensor, name: str) -> Tensor:
        """The channels of `x`, then those of `y`."""
        return self.keras.layers.Concatenate(name=name)([x, y])

    def flatten(self, x: Tensor, name: str) -> Tensor:
        """Rows, columns, channels: `load_torchvision` reorders the weights of the dense layer behind it."""
        return self.keras.layers.Flatten(name=name)(x)

    def dropout(self, x: Tensor, name: str) -> Tensor:
        """Dropout of one half, in training only."""
        return self.keras.layers.Dropout(0.5, name=name)(x)

    def _check_fit(self, x: Tensor, size: int, name: str) -> None:
        if min(x.shape[1:3]) < size:
            raise HwflowError(
                f"{self.network}: an image of {self.image.shape[1]}x{self.image.shape[2]} pixels is too small: "
                f"{name} would see {x.shape[1]}x{x.shape[2]} of them"
            )


def _quantisers(bias: bool = True) -> dict[str, str | None]:
    return {"kernel_quantizer": WEIGHT_QUANTIZER, "bias_quantizer": BIAS_QUANTIZER if bias else None}


def _regular_windows(side: int, size: int) -> tuple[int, int] | None:
    """Return (window, stride) of the adaptive pooling from `side` to `size` pixels, None if they vary."""
    starts = [i * side // size for i in range(size)]
    ends = [-(-(i + 1) * side // size) for i in range(size)]
    windows = {end - start for start, end in zip(starts, ends, strict=True)}
    strides = {after - before for before, after in itertools.pairwise(starts)}
    if len(windows) > 1 or len(strides) > 1 or 0 in strides:
        return None
    window = windows.pop()
    return window, strides.pop() if strides else window
