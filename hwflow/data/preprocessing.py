"""From a decoded picture to a network's input, as torchvision's evaluation transforms do it.

Every step is torchvision's on the same PIL image and in float32, in its order, so that results are equal
bit for bit: ``Resize`` (Pillow's bilinear filter, which is antialiased), ``CenterCrop``, ``ToTensor``,
``Normalize``.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from hwflow.errors import HwflowError

Float32 = npt.NDArray[np.float32]
Picture = Any
"""A ``PIL.Image.Image``; Pillow is imported on first use."""


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """What a trained network expects of an image.

    Attributes:
        resize: pixels of the shorter side, the other in proportion; None leaves the size alone.
        crop: side of the square that is cut from the centre, zeros where the image is smaller; None for all.
        mean: of each channel, subtracted after the division by `divisor`.
        std: of each channel, divided by last.
        divisor: of the 8-bit pixels.
        channels: their order.
    """

    resize: int | None = 256
    crop: int | None = 224
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    divisor: float = 255.0
    channels: Literal["RGB", "BGR", "L"] = "RGB"

    def __post_init__(self) -> None:
        wanted = len(self.channels)
        if len(self.mean) != wanted or len(self.std) != wanted:
            raise HwflowError(f"{self.channels} images need {wanted} means and deviations, not {self.mean}, {self.std}")
        sizes = [size for size in (self.resize, self.crop) if size is not None]
        if not all(value > 0 for value in (*sizes, *self.std, self.divisor)):
            raise HwflowError(f"sizes, deviations and the divisor must be positive: {self}")

    def __call__(self, picture: Picture) -> Float32:
        """Return `picture` as (height, width, channels)."""
        return self.normalise(self.pixels(picture))

    def pixels(self, picture: Picture) -> npt.NDArray[np.uint8]:
        """Return `picture` resized and cropped, uint8, (height, width, channels), channels in their order."""
        picture = picture.convert("L" if self.channels == "L" else "RGB")
        if self.resize is not None:
            picture = _resized(picture, self.resize)
        if self.crop is not None:
            picture = _centre(picture, self.crop)
        array = np.asarray(picture)
        if array.ndim == 2:
            array = array[..., None]
        return array[..., ::-1] if self.channels == "BGR" else array

    def normalise(self, pixels: npt.NDArray[np.uint8]) -> Float32:
        """Return 8-bit pixels (..., channels) as the float32 that the network was trained on."""
        x = pixels.astype(np.float32) / np.float32(self.divisor)
        x -= np.asarray(self.mean, np.float32)
        x /= np.asarray(self.std, np.float32)
        return x


def _resized(picture: Picture, shorter: int) -> Picture:
    from PIL import Image

    width, height = picture.size
    tall = width <= height
    size = (shorter, int(shorter * height / width)) if tall else (int(shorter * width / height), shorter)
    return picture if size == picture.size else picture.resize(size, Image.Resampling.BILINEAR)


def _centre(picture: Picture, side: int) -> Picture:
    """Cut the central square; Pillow fills what lies outside the picture with zeros, as torchvision does."""
    width, height = picture.size
    left, top = _first_pixel(width, side), _first_pixel(height, side)
    return picture.crop((left, top, left + side, top + side))


def _first_pixel(length: int, side: int) -> int:
    # torchvision rounds half to even when it cuts, and downwards when it pads.
    return round((length - side) / 2) if length >= side else -((side - length) // 2)


IMAGENET = Preprocessing()
"""torchvision's for its ImageNet networks: shorter side 256, central 224, normalised RGB."""

UNCHANGED = Preprocessing(resize=None, crop=None)
"""The image at its own size, normalised as for ImageNet; the public CIFAR-10 ResNets were trained so."""

CAFFE = Preprocessing(None, None, mean=(104.0, 117.0, 123.0), std=(1.0, 1.0, 1.0), divisor=1.0, channels="BGR")
"""The image at its own size, BGR from 0 to 255 minus the mean: the original SqueezeNet's."""

CIFAR = UNCHANGED
"""The public CIFAR-10 ResNets'."""

PIXELS = Preprocessing(None, None, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), divisor=1.0)
"""The image at its own size, RGB from 0 to 255, for networks that take what the file holds."""

UNIT = Preprocessing(None, None, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
"""The image at its own size, RGB from 0 to 1: most networks that Keras users train."""
