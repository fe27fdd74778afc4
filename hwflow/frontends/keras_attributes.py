"""Attributes of layers in Keras 2 and in Keras 3: under Keras 2's names here, under the installed Keras' there."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from hwflow.frontends._tf import keras, qkeras
from hwflow.frontends._values import Refused
from hwflow.frontends.keras_versions import KerasLayer, is_keras3

_KERAS3_NAMES = {"InputLayer": {"batch_input_shape": "batch_shape"}, "LeakyReLU": {"alpha": "negative_slope"}}
# What every layer of Keras 3, or QKeras' for it, has, and says nothing where it is None or False.
_NEW = ("quantization_config", "lora_rank", "lora_alpha", "optional", "mask", "inverse_quantizer")
# Layers whose order of axes Keras 3 asks for, and Keras 2 does not.
_ROWS = ("ZeroPadding1D", "SpatialDropout1D", "SpatialDropout2D")
# Layers whose axis Keras 2 writes as a list.
_ONE_AXIS = ("BatchNormalization", "QBatchNormalization", "QConv2DBatchnorm")
# Attributes that constructors of Keras 3 lack; of these, two may change what a layer computes, and are looked at.
_GONE = ("batch_input_shape", "implementation", "input_length", "noise_shape", "time_major", "groups", "trainable")


def config_of(layer: KerasLayer) -> dict[str, Any]:
    """A layer's configuration under Keras 2's names, with the name of its type.

    What only Keras 3 and QKeras for it have is left out where it says nothing.
    """
    config: dict[str, Any] = dict(layer.get_config())
    kind, policy = type(layer).__name__, getattr(layer, "dtype_policy", None)
    if policy is not None and not (is_keras3() and kind == "InputLayer"):
        config["dtype"] = policy.name  # a layer with another one in it may write that one's
    if not is_keras3():
        return config
    names = {new: old for old, new in _KERAS3_NAMES.get(kind, {}).items()}
    return {names.get(key, key): value for key, value in config.items() if not _says_nothing(kind, key, config)}


def _says_nothing(kind: str, key: str, config: Mapping[str, Any]) -> bool:
    if key in _NEW:
        return config[key] is None or config[key] is False
    if key.startswith("renorm"):
        return config.get("renorm") is False
    return key == "data_format" and kind in _ROWS and config[key] == "channels_last"


def layer_class(package: str, kind: str) -> Any:
    """A class of layers, of ``keras`` or ``qkeras``.

    Raises:
        Refused: Keras 3 has dropped it.
    """
    found = getattr(qkeras() if package == "qkeras" else keras().layers, kind, None)
    if found is None:
        raise Refused(f"is not in Keras {keras().__version__}; replace it, or install hwflow with Keras 2")
    return found


def constructor_arguments(kind: str, cls: Any, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments under Keras 2's names as the installed Keras takes them.

    Raises:
        Refused: Keras 3 cannot do what an argument says.
    """
    if not is_keras3():
        return dict(arguments)
    names = _KERAS3_NAMES.get(kind, {})
    taken = _parameters(cls)
    given = {}
    for key, value in arguments.items():
        name = names.get(key, key)
        if name in taken or key not in _GONE:
            given[name] = value
        elif (key == "time_major" and value) or (key == "groups" and value != 1):
            raise Refused(f"with {key}={value}: Keras {keras().__version__} cannot do that; use Keras 2")
    if kind in _ONE_AXIS and isinstance(given.get("axis"), list):
        if len(given["axis"]) != 1:
            raise Refused(
                f"with axis={given['axis']}: Keras {keras().__version__} normalises along one axis; use Keras 2"
            )
        given["axis"] = given["axis"][0]
    return given


def _parameters(cls: Any) -> set[str]:
    """The names that the constructors of a class and of those that it extends take."""
    found: set[str] = set()
    for each in cls.__mro__:
        if "__init__" in vars(each) and each is not object:
            parameters = inspect.signature(each.__init__).parameters
            found |= set(parameters)
            if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
                break
    return found
