"""PyTorch weights into the ports: names, axis order, and the order of the flattened features."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hwflow.errors import HwflowError
from hwflow.frontends.keras_versions import input_shape, output_shape, source_of
from hwflow.models._state_dict import StateDict, read_state_dict
from hwflow.models.digits import KerasModel
from hwflow.models.resnet import SUBSAMPLE

# Keras' name of a variable and PyTorch's. A kernel and a gamma are both `weight` there.
_PARAMETERS = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
_COUNTER = "num_batches_tracked"
# torchvision's published DenseNet files predate the module names of its own DenseNet.
_OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12])\.")


@dataclass(frozen=True, slots=True)
class _Target:
    """One variable of the network, and where PyTorch keeps it.

    Attributes:
        key: PyTorch's name of the tensor.
        variable: the Keras variable.
        shape: PyTorch's shape of the tensor.
        flattened: (rows, columns, channels) of the features that a dense kernel reads flattened, or None.
    """

    key: str
    variable: Any
    shape: tuple[int, ...]
    flattened: tuple[int, int, int] | None


def load_torchvision(model: KerasModel, path: str | Path, names: Mapping[str, str] | None = None) -> None:
    """Set every variable of `model` from a torchvision state dict; `model` is as before if that fails.

    Convolution kernels (O, I, H, W) become (H, W, I, O), dense ones (O, I) become (I, O). PyTorch flattens
    features channel by channel, Keras pixel by pixel: the kernel behind a Flatten is reordered.

    Args:
        model: one of `hwflow.models.NETWORKS`, in Keras or QKeras.
        path: ``.pth``, ``.pt`` or ``.th`` (needs PyTorch), ``.npz`` or ``.safetensors``. Floats of 16 bits
            become float32; a ``module.`` before every key and ``num_batches_tracked`` are ignored.
        names: the file's names of modules, and torchvision's, where they differ: for the original
            SqueezeNet, `CAFFE_NAMES`.

    Raises:
        HwflowError: the file cannot be read, is damaged, or holds more than tensors; or it is another
            network's: a key is missing, left over, or of another shape. The first one is named.
    """
    path = Path(path)
    tensors = {
        _OLD_DENSENET.sub(r"\1\2.", _renamed(key, names or {})): tensor
        for key, tensor in read_state_dict(path).items()
        if not key.endswith(_COUNTER)
    }
    targets = list(_targets(model))
    _check_same(path, model.name, {target.key: target.shape for target in targets}, tensors)
    for target in targets:
        target.variable.assign(_to_keras(tensors[target.key], target.flattened))


def _renamed(key: str, names: Mapping[str, str]) -> str:
    module, _, parameter = key.rpartition(".")
    return f"{names.get(module, module)}.{parameter}"


def _check_same(path: Path, network: str, expected: Mapping[str, tuple[int, ...]], tensors: StateDict) -> None:
    for key, shape in expected.items():
        if key not in tensors:
            raise HwflowError(f"{path}: not the weights of {network}: it lacks {key!r}, of shape {shape}")
        if tensors[key].shape != shape:
            raise HwflowError(
                f"{path}: not the weights of this {network}: {key!r} has shape {tensors[key].shape}, not {shape}; "
                f"build it with the file's classes, width and stem"
            )
    for key, tensor in tensors.items():
        if key not in expected:
            raise HwflowError(f"{path}: not the weights of {network}: it also has {key!r}, of shape {tensor.shape}")


def _targets(model: KerasModel) -> Iterator[_Target]:
    for layer in model.layers:
        if layer.name.endswith(SUBSAMPLE):
            continue
        for variable in layer.weights:
            keras_name = variable.name.split("/")[-1].split(":")[0]
            if keras_name == "kernel" and "Depthwise" in type(layer).__name__:  # Keras 3's name for it
                keras_name = "depthwise_kernel"
            if keras_name not in _PARAMETERS:
                raise HwflowError(f"{model.name}: layer {layer.name!r} with a {keras_name!r} is none of torchvision's")
            key = f"{layer.name.replace('_', '.')}.{_PARAMETERS[keras_name]}"
            shape = tuple(variable.shape)
            if len(shape) == 2:
                yield _Target(key, variable, shape[::-1], _flattened_shape(layer))
            else:
                torch_shape = (shape[3], shape[2], *shape[:2]) if len(shape) == 4 else shape
                yield _Target(key, variable, torch_shape, None)


def _flattened_shape(layer: Any) -> tuple[int, int, int] | None:
    """Return the shape that a Flatten before `layer` flattens; other layers with weights end the search."""
    while (source := source_of(layer)) is not None:
        layer = source
        if type(layer).__name__ == "Flatten":
            rows, columns, channels = input_shape(layer)[1:]
            return rows, columns, channels
        if layer.weights or len(output_shape(layer)) != 2:
            return None
    return None


def _to_keras(tensor: npt.NDArray[np.float32], flattened: tuple[int, int, int] | None) -> npt.NDArray[np.float32]:
    if tensor.ndim == 4:
        return tensor.transpose(2, 3, 1, 0)
    if flattened is not None:
        rows, columns, channels = flattened
        features = tensor.reshape(-1, channels, rows, columns).transpose(2, 3, 1, 0)
        return features.reshape(-1, len(tensor))
    return tensor.T
