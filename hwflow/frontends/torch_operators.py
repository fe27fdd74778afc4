"""ATen's operators as Keras layers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from hwflow.frontends.torch_translation import Arguments, Tensor, Translate, Translation


def _conv(net: Translation, given: Arguments) -> Tensor:
    x, weight, bias = _as_image(net, given, given.tensor()), given.weight("weight"), given.weight("bias")
    assert weight is not None
    rank = weight.ndim - 2
    name, groups = given.name(), int(given.value("groups", 1))
    given_channels = x.shape[0]
    strides = given.ints("stride", 1, rank)
    dilation = given.ints("dilation", 1, rank)
    if rank > 1 and any(size != 1 for size in dilation):
        raise given.refuse("dilation")
    reach = [(size - 1) * rate + 1 for size, rate in zip(weight.shape[2:], dilation, strict=True)]
    x, padding = _padded(net, given, x, tuple(reach), strides, name)
    options = {"strides": strides, "padding": padding, "use_bias": bias is not None, "name": name}
    if dilation[0] != 1:
        if strides[0] != 1:
            raise given.refuse("dilation with a stride")
        options["dilation_rate"] = dilation[0]
    arrays = [] if bias is None else [bias]
    if groups != given_channels or groups == 1:
        options["groups"] = groups
        kind = (net.layers.Conv1D, net.layers.Conv2D)[rank - 1]
        layer = kind(weight.shape[0], weight.shape[2:], **options)
        kernel = np.moveaxis(weight, (0, 1), (-1, -2))
    else:
        kind = (net.layers.DepthwiseConv1D, net.layers.DepthwiseConv2D)[rank - 1]
        multiplier = weight.shape[0] // groups
        if rank == 1:
            options["strides"] = strides[0]
        layer = kind(weight.shape[2:] if rank > 1 else weight.shape[2], depth_multiplier=multiplier, **options)
        kernel = np.moveaxis(weight.reshape(groups, multiplier, *weight.shape[2:]), (0, 1), (-2, -1))
    net.weights.append((layer, [kernel, *arrays]))
    return net.put(layer, x, given.shape)


def _padded(
    net: Translation, given: Arguments, x: Tensor, kernel: tuple[int, ...], strides: tuple[int, ...], name: str
) -> tuple[Tensor, str]:
    """``x`` with zeros around it if Keras' own padding is another; what Keras is to pad."""
    if isinstance(text := given.value("padding", 0), str):
        return x, text
    pads = given.ints("padding", 0, len(kernel))
    if not any(pads):
        return x, "valid"
    if all(stride == 1 and 2 * pad == size - 1 for stride, pad, size in zip(strides, pads, kernel, strict=True)):
        return x, "same"
    kind = net.layers.ZeroPadding1D if len(kernel) == 1 else net.layers.ZeroPadding2D
    layer = kind(pads[0] if len(kernel) == 1 else pads, name=net.unique(f"{name}_padding"))
    return net.put(layer, x, x.shape, nonnegative=x.nonnegative), "valid"


def _linear(net: Translation, given: Arguments) -> Tensor:
    x, weight, bias = given.tensor(), given.weight("weight"), given.weight("bias")
    assert weight is not None
    if len(x.shape) != 1:
        raise given.refuse(f"an input of shape {x.shape}")
    layer = net.layers.Dense(len(weight), use_bias=bias is not None, name=given.name())
    kernel = weight.T
    if x.order is not None:
        kernel = np.empty_like(weight.T)
        kernel[x.order] = weight.T
    net.weights.append((layer, [kernel] if bias is None else [kernel, bias]))
    return net.put(layer, x, given.shape)


def _batch_norm(net: Translation, given: Arguments) -> Tensor:
    x = given.tensor()
    if x.order is not None:
        raise given.refuse("a flattened image as input")
    given.only("training", False)
    gamma, beta, mean, variance = (given.weight(key) for key in ("weight", "bias", "running_mean", "running_var"))
    if mean is None or variance is None:
        raise given.refuse("a norm without running statistics")
    layer = net.layers.BatchNormalization(
        epsilon=float(given.value("eps", 1e-5)), scale=gamma is not None, center=beta is not None, name=given.name()
    )
    net.weights.append((layer, [each for each in (gamma, beta, mean, variance) if each is not None]))
    return net.put(layer, x, x.shape)


def _elementwise(make: Callable[[Any, Arguments], Any], nonnegative: bool = False) -> Translate:
    def translate(net: Translation, given: Arguments) -> Tensor:
        x = given.tensor()
        layer = make(net.layers, given)
        return replace(x, keras=layer(x.keras), nonnegative=nonnegative)

    return translate


def _hardtanh(layers: Any, given: Arguments) -> Any:
    low, high = float(given.value("min_val", -1.0)), float(given.value("max_val", 1.0))
    if low != 0 or high <= 0:
        raise given.refuse(f"limits {low:g} and {high:g}")
    return layers.ReLU(high, name=given.name())


def _leaky_relu(layers: Any, given: Arguments) -> Any:
    return layers.LeakyReLU(float(given.value("negative_slope", 0.01)), name=given.name())


def _named(activation: str) -> Callable[[Any, Arguments], Any]:
    return lambda layers, given: layers.Activation(activation, name=given.name())


def _elu(layers: Any, given: Arguments) -> Any:
    given.only("scale", 1, 1.0)
    given.only("input_scale", 1, 1.0)
    return layers.ELU(float(given.value("alpha", 1.0)), name=given.name())


def _softmax(net: Translation, given: Arguments) -> Tensor:
    x = given.tensor()
    if x.order is not None or int(given.value("dim")) not in (1, -len(x.shape)):
        raise given.refuse(f"dim={given.value('dim')}")
    return replace(x, keras=net.layers.Softmax(name=given.name())(x.keras), nonnegative=True)


def _pool(kind: str) -> Translate:
    def translate(net: Translation, given: Arguments) -> Tensor:
        x = given.tensor()
        rank = len(x.shape) - 1
        name = given.name()
        size = given.ints("kernel_size", 1, rank)
        strides = given.ints("stride", 0, rank)
        strides = size if 0 in strides else strides
        pads = given.ints("padding", 0, rank)
        given.only("dilation", 1, [1] * rank, [1])
        if given.value("ceil_mode", False) and _sizes(x.shape, size, strides, pads) != given.shape[1:]:
            raise given.refuse("ceil_mode=True")
        if any(pads) and kind == "Max" and not x.nonnegative:
            raise given.refuse("padding before a ReLU")
        given.only("divisor_override", None)
        if any(pads) and kind == "Average" and not given.value("count_include_pad", True):
            if any(stride != 1 or 2 * pad != each - 1 for stride, pad, each in zip(strides, pads, size, strict=True)):
                raise given.refuse("count_include_pad=False with other padding than 'same', or a stride,")
            layer = getattr(net.layers, f"AveragePooling{rank}D")(size, strides, "same", name=name)
            return net.put(layer, x, given.shape, nonnegative=x.nonnegative)
        x = _padded(net, given, x, (0,) * rank, strides, name)[0] if any(pads) else x
        layer = getattr(net.layers, f"{kind}Pooling{rank}D")(size, strides, name=name)
        return net.put(layer, x, given.shape, nonnegative=x.nonnegative)

    return translate


def _sizes(
    shape: tuple[int, ...], kernel: tuple[int, ...], strides: tuple[int, ...], pads: tuple[int, ...]
) -> tuple[int, ...]:
    rows = zip(shape[1:], kernel, strides, pads, strict=True)
    return tuple((length + 2 * pad - size) // stride + 1 for length, size, stride, pad in rows)


def _adaptive_average(net: Translation, given: Arguments) -> Tensor:
    x = given.tensor()
    if x.shape == given.shape:
        return x
    if math.prod(given.shape) == x.shape[0]:
        return _global_average(net, given)
    size = tuple(old // new for old, new in zip(x.shape[1:], given.shape[1:], strict=True))
    if any(old % new for old, new in zip(x.shape[1:], given.shape[1:], strict=True)):
        raise given.refuse(f"an output of shape {given.shape}, which does not divide {x.shape},")
    layer = getattr(net.layers, f"AveragePooling{len(size)}D")(size, name=given.name())
    return net.put(layer, x, given.shape, nonnegative=x.nonnegative)


def _global_average(net: Translation, given: Arguments) -> Tensor:
    x = given.tensor()
    rank = len(x.shape) - 1
    if math.prod(given.shape) != x.shape[0]:
        raise given.refuse(f"an output of shape {given.shape}")
    axes = given.value("dim")
    if axes is not None and sorted(axis % (rank + 2) for axis in axes) != list(range(2, rank + 2)):
        raise given.refuse(f"dim={axes}")
    layer = getattr(net.layers, f"GlobalAveragePooling{rank}D")(name=given.name())
    return net.put(layer, x, given.shape, nonnegative=x.nonnegative)


def _flatten(net: Translation, given: Arguments) -> Tensor:
    x = given.tensor()
    pixel = (given.shape[0], *(1 for _ in given.shape[1:]))
    if len(given.shape) > 1 and given.shape == pixel and len(x.keras.shape) == 2 and x.order is None:
        return replace(x, shape=given.shape)  # the channels of one pixel
    if len(given.shape) != 1:
        raise given.refuse(f"an output of shape {given.shape}")
    if len(x.keras.shape) == 2:  # a vector, or pooled to one
        return replace(x, shape=given.shape)
    layer = net.layers.Flatten(name=given.name())
    places = np.arange(math.prod(x.shape)).reshape(*x.shape[1:], x.shape[0])
    order = np.moveaxis(places, -1, 0).reshape(-1)
    same = np.array_equal(order, np.arange(order.size))
    return net.put(layer, x, given.shape, order=None if same else order, nonnegative=x.nonnegative)


def _merge(kind: str, keeps: bool) -> Translate:
    def translate(net: Translation, given: Arguments) -> Tensor:
        first, second = given.tensor("self"), given.tensor("other")
        given.only("alpha", 1, 1.0)
        if len(first.shape) != len(second.shape):
            raise given.refuse(f"shapes {first.shape} and {second.shape}")
        if first.is_pooled != second.is_pooled:
            first, second = (_as_image(net, given, each) for each in (first, second))
        if (first.order is None) != (second.order is None):
            raise given.refuse("a flattened image and another vector")
        positive = keeps and first.nonnegative and second.nonnegative
        layer = getattr(net.layers, kind)(name=given.name())
        return net.put(layer, [first, second], given.shape, order=first.order, nonnegative=positive)

    return translate


def _as_image(net: Translation, given: Arguments, x: Tensor) -> Tensor:
    """What pooling made a vector of, as an image of one pixel."""
    if not x.is_pooled:
        return x
    layer = net.layers.Reshape((*x.shape[1:], x.shape[0]), name=net.unique(f"{given.operation.output}_pixel"))
    return net.put(layer, x, x.shape, nonnegative=x.nonnegative)


def _concatenate(net: Translation, given: Arguments) -> Tensor:
    tensors = [net.tensor(ref.name) for ref in given.value("tensors")]
    if int(given.value("dim", 0)) % (len(tensors[0].shape) + 1) != 1:
        raise given.refuse(f"dim={given.value('dim', 0)}")
    layer = net.layers.Concatenate(name=given.name())
    order = None
    if any(each.order is not None for each in tensors):
        sizes = np.cumsum([0, *(each.shape[0] for each in tensors)])
        own = (np.arange(each.shape[0]) if each.order is None else each.order for each in tensors)
        order = np.concatenate([start + places for start, places in zip(sizes[:-1], own, strict=True)])
    return net.put(layer, tensors, given.shape, order=order, nonnegative=all(each.nonnegative for each in tensors))


def _pad(net: Translation, given: Arguments) -> Tensor:
    x = given.tensor()
    sides = [int(side) for side in given.value("pad")]
    rank = len(x.shape) - 1
    if float(given.value("value") or 0) != 0 or len(sides) > 2 * rank or min(sides) < 0 or rank not in (1, 2):
        raise given.refuse(f"pad={sides}, value={given.value('value') or 0}")
    pairs = [(sides[i], sides[i + 1]) for i in range(0, len(sides), 2)]
    pairs = (pairs + [(0, 0)] * (rank - len(pairs)))[::-1]  # PyTorch begins with the last axis
    layer = getattr(net.layers, f"ZeroPadding{rank}D")(pairs[0] if rank == 1 else tuple(pairs), name=given.name())
    return net.put(layer, x, given.shape, nonnegative=x.nonnegative)


def _upsample(net: Translation, given: Arguments) -> Tensor:
    x = given.tensor()
    sizes = [new // old for new, old in zip(given.shape[1:], x.shape[1:], strict=True)]
    if [new * old for new, old in zip(sizes, x.shape[1:], strict=True)] != list(given.shape[1:]):
        raise given.refuse(f"an output of shape {given.shape}")
    layer = getattr(net.layers, f"UpSampling{len(sizes)}D")(
        tuple(sizes) if len(sizes) > 1 else sizes[0], name=given.name()
    )
    return net.put(layer, x, given.shape, nonnegative=x.nonnegative)


def _expand(net: Translation, given: Arguments) -> Tensor:
    """One pixel for every other."""
    x = given.tensor()
    if x.shape == given.shape:
        return x
    if len(given.shape) != 3 or x.shape != (given.shape[0], 1, 1):
        raise given.refuse(f"shapes {x.shape} and {given.shape}")
    x = _as_image(net, given, x)
    return net.put(net.layers.UpSampling2D(given.shape[1:], name=given.name()), x, given.shape)


def _same(net: Translation, given: Arguments) -> Tensor:
    x = given.tensor()
    if given.operation.kind.startswith("dropout"):
        given.only("train", False)
    return x


OPERATORS: Mapping[str, Translate] = {
    **dict.fromkeys(("conv1d", "conv2d"), _conv),
    "linear": _linear,
    "batch_norm": _batch_norm,
    "relu": _elementwise(lambda layers, given: layers.ReLU(name=given.name()), nonnegative=True),
    "relu6": _elementwise(lambda layers, given: layers.ReLU(6.0, name=given.name()), nonnegative=True),
    "hardtanh": _elementwise(_hardtanh, nonnegative=True),
    "leaky_relu": _elementwise(_leaky_relu),
    "elu": _elementwise(_elu),
    "sigmoid": _elementwise(_named("sigmoid"), nonnegative=True),
    "tanh": _elementwise(_named("tanh")),
    "softplus": _elementwise(_named("softplus"), nonnegative=True),
    "silu": _elementwise(_named("swish")),
    "softmax": _softmax,
    **dict.fromkeys(("max_pool1d", "max_pool2d"), _pool("Max")),
    **dict.fromkeys(("avg_pool1d", "avg_pool2d"), _pool("Average")),
    **dict.fromkeys(("adaptive_avg_pool1d", "adaptive_avg_pool2d"), _adaptive_average),
    "mean": _global_average,
    **dict.fromkeys(("flatten", "view", "reshape", "squeeze", "unsqueeze"), _flatten),
    "add": _merge("Add", keeps=True),
    "sub": _merge("Subtract", keeps=False),
    "mul": _merge("Multiply", keeps=True),
    "maximum": _merge("Maximum", keeps=True),
    "minimum": _merge("Minimum", keeps=True),
    **dict.fromkeys(("expand", "expand_as"), _expand),
    "cat": _concatenate,
    **dict.fromkeys(("constant_pad_nd", "pad"), _pad),
    **dict.fromkeys(("upsample_nearest1d", "upsample_nearest2d"), _upsample),
    **dict.fromkeys(("dropout", "clone", "contiguous", "alias", "detach", "identity", "feature_dropout"), _same),
}
"""ATen's operators; an in-place one's underscore is left out."""
