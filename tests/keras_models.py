"""Random Keras models: nested, with shared layers, and with every attribute of every class that can be hardened.

Now and then a layer gets an attribute that cannot be computed right; the model then has to be refused by its name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import qkeras
from hypothesis import strategies as st

L = keras.layers
Draw = Callable[[st.SearchStrategy[Any]], Any]

WEIGHTS = ("quantized_bits(6,0,alpha=1)", "quantized_bits(5,1)", "binary(alpha=1)", "ternary(alpha=1)", "binary()")
RELUS = ("quantized_relu(4,0)", "quantized_relu(6,2)")


@dataclass
class RandomModel:
    """A model, and the layers that have to be refused."""

    model: Any = None
    bad: list[str] = field(default_factory=list)
    count: int = 0

    def name(self, kind: str, bad: bool = False) -> str:
        self.count += 1
        name = f"{kind}{self.count}"
        if bad:
            self.bad.append(name)
        return name


@st.composite
def random_models(draw: Draw) -> RandomModel:
    """Models of up to six steps and a head."""
    made = RandomModel()
    rank = draw(st.sampled_from([3, 3, 3, 2, 1]))
    sizes = {
        3: (draw(st.integers(4, 6)), draw(st.integers(4, 6)), 2),
        2: (draw(st.integers(3, 7)), draw(st.integers(1, 4))),
        1: (5,),
    }
    x = image = L.Input(sizes[rank], name="image")
    for _ in range(draw(st.integers(1, 4))):
        x = _step(draw, made, x, nested=True)
    if len(x.shape) > 2 and draw(st.booleans()):
        pool = L.GlobalAveragePooling2D(name=made.name("mean")) if len(x.shape) == 4 else L.Flatten()
        x = pool(x)
        x = L.Dense(draw(st.integers(2, 4)), activation=draw(st.sampled_from(["linear", "softmax"])))(x)
    if x is image:
        x = L.Dense(2)(x)
    made.model = filled(keras.Model(image, x), draw(st.integers(0, 2**16)))
    return made


def filled(model: Any, seed: int) -> Any:
    """Random weights; variances stay positive."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        low, high = (0.3, 2.0) if "variance" in weight.name or "gamma" in weight.name else (-1.0, 1.0)
        weight.assign(rng.uniform(low, high, weight.shape))
    return model


def _step(draw: Draw, made: RandomModel, x: Any, nested: bool) -> Any:
    steps = [_activation, _norm, _dense, _training]
    if len(x.shape) == 4:
        steps += [_conv, _conv, _pool, _residual, _concatenate, _padded, _shared, _moved]
    if len(x.shape) == 3:
        steps += [_rows, _rows]
    if nested:
        steps.append(_nested)
    return draw(st.sampled_from(steps))(draw, made, x)


def _conv_arguments(draw: Draw, size: tuple[int, ...], same: bool = False) -> dict[str, Any]:
    kernel = (draw(st.integers(1, min(3, size[0]))), draw(st.integers(1, min(3, size[1]))))
    strides = (1, 1) if same else (draw(st.integers(1, 2)), draw(st.integers(1, 2)))
    return {
        "kernel_size": kernel,
        "strides": strides,
        "padding": "same" if same else draw(st.sampled_from(["same", "valid"])),
        "use_bias": draw(st.booleans()),
    }


def _conv(draw: Draw, made: RandomModel, x: Any) -> Any:
    bad = draw(
        st.sampled_from(
            [None] * 12
            + [{"dilation_rate": 2, "strides": 1, "padding": "same"}, {"groups": 2}, {"activation": "log_softmax"}]
        )
    )
    arguments = _conv_arguments(draw, x.shape[1:3])
    if bad is None:
        arguments["activation"] = draw(st.sampled_from(["linear", "relu", "relu6"]))
    elif "groups" in bad and x.shape[-1] % 2:
        bad = {"activation": "log_softmax"}
    arguments |= bad or {}
    name = made.name("conv", bad is not None)
    filters = 2 * draw(st.integers(1, 2))
    if draw(st.booleans()):
        arguments["activation"] = draw(st.sampled_from([None, *RELUS])) if bad is None else bad.get("activation")
        quantizer = draw(st.sampled_from(WEIGHTS))
        return qkeras.QConv2D(filters, kernel_quantizer=quantizer, name=name, **arguments)(x)
    return L.Conv2D(filters, name=name, **arguments)(x)


def _dense(draw: Draw, made: RandomModel, x: Any) -> Any:
    units, name = draw(st.integers(1, 4)), made.name("dense")
    if draw(st.booleans()):
        quantizer = draw(st.sampled_from(WEIGHTS))
        return qkeras.QDense(units, kernel_quantizer=quantizer, use_bias=draw(st.booleans()), name=name)(x)
    return L.Dense(units, activation=draw(st.sampled_from(["linear", "relu"])), name=name)(x)


def _norm(draw: Draw, made: RandomModel, x: Any) -> Any:
    axis = draw(st.sampled_from([-1, len(x.shape) - 1, *range(1, len(x.shape) - 1)]))
    bad = axis not in (-1, len(x.shape) - 1)
    kind = draw(st.sampled_from([L.BatchNormalization, L.BatchNormalization, qkeras.QBatchNormalization]))
    flags = {"center": draw(st.booleans()), "scale": draw(st.booleans()), "epsilon": draw(st.sampled_from([1e-3, 0.1]))}
    if bad:
        kind = L.BatchNormalization
    return kind(axis=axis, name=made.name("norm", bad), **flags)(x)


def _activation(draw: Draw, made: RandomModel, x: Any) -> Any:
    kind = draw(st.integers(0, 9))
    if kind < 2:
        return L.ReLU(draw(st.sampled_from([None, 0.5, 6.0])), name=made.name("relu"))(x)
    if kind < 4:
        return L.Activation(draw(st.sampled_from(["relu", "linear", "relu6"])), name=made.name("act"))(x)
    if kind < 6:
        return qkeras.QActivation(draw(st.sampled_from(RELUS)), name=made.name("quantised"))(x)
    if kind < 8:
        bends = [L.Activation("tanh"), L.Activation("swish"), L.ReLU(threshold=0.5), L.ReLU(negative_slope=0.25)]
        bends.append(L.ReLU(1.0, negative_slope=0.25))
        bends += [L.LeakyReLU(0.1), L.ELU(0.5), qkeras.QActivation("quantized_bits(4,1)")]
        layer = draw(st.sampled_from(bends))
        layer._name = made.name("bend")
        return layer(x)
    bad = [L.Activation("log_softmax", name="a"), qkeras.QActivation("quantized_po2(4)", name="a")]
    layer = draw(st.sampled_from(bad))
    layer._name = made.name("bad", True)
    return layer(x)


def _training(draw: Draw, made: RandomModel, x: Any) -> Any:
    kinds = [
        L.Dropout(0.5),
        L.GaussianNoise(1.0),
        L.GaussianDropout(0.5),
        L.AlphaDropout(0.5),
        L.ActivityRegularization(),
    ]
    layer = draw(st.sampled_from(kinds))
    layer._name = made.name("training")
    return layer(x)


def _pool(draw: Draw, made: RandomModel, x: Any) -> Any:
    size = (min(2, x.shape[1]), min(2, x.shape[2]))
    padding = draw(st.sampled_from(["valid", "same"]))
    strides = draw(st.sampled_from([None, 1, (1, 2)]))
    if draw(st.booleans()):
        return L.MaxPooling2D(size, strides, padding, name=made.name("max"))(x)
    return L.AveragePooling2D(size, strides, padding, name=made.name("average"))(x)


def _residual(draw: Draw, made: RandomModel, x: Any) -> Any:
    y = L.Conv2D(x.shape[-1], name=made.name("conv"), **_conv_arguments(draw, x.shape[1:3], same=True))(x)
    return L.Add(name=made.name("add"))([x, y] if draw(st.booleans()) else [y, x])


def _concatenate(draw: Draw, made: RandomModel, x: Any) -> Any:
    y = L.Conv2D(2, name=made.name("conv"), **_conv_arguments(draw, x.shape[1:3], same=True))(x)
    axis = draw(st.sampled_from([-1, -1, 3, 3, 1]))
    along = axis != 1 or y.shape[-1] == x.shape[-1]
    return L.Concatenate(axis=axis if along else -1, name=made.name("concat"))([x, y])


def _padded(draw: Draw, made: RandomModel, x: Any) -> Any:
    pads = ((draw(st.integers(0, 2)), draw(st.integers(0, 1))), (draw(st.integers(0, 1)), draw(st.integers(0, 2))))
    y = L.ZeroPadding2D(pads, name=made.name("pad"))(x)
    return L.Conv2D(2, (min(2, y.shape[1]), min(2, y.shape[2])), name=made.name("conv"))(y)


def _moved(draw: Draw, made: RandomModel, x: Any) -> Any:
    """Pixels at other places."""
    kind, name = draw(st.integers(0, 4)), made.name("moved")
    if kind == 0:
        return L.Permute(draw(st.permutations([1, 2, 3])), name=name)(x)
    if kind == 1:
        return L.UpSampling2D((draw(st.integers(1, 2)), draw(st.integers(1, 2))), name=name)(x)
    if kind == 2:
        left = draw(st.integers(0, x.shape[2] - 1))
        return L.Cropping2D(((0, draw(st.integers(0, x.shape[1] - 1))), (left, 0)), name=name)(x)
    if kind == 3:
        return L.ZeroPadding2D(draw(st.integers(0, 2)), name=name)(x)
    return L.Reshape((x.shape[2], x.shape[1], x.shape[3]), name=name)(x)


def _rows(draw: Draw, made: RandomModel, x: Any) -> Any:
    """A layer along the rows of ``(rows, channels)``."""
    rows, kind = x.shape[1], draw(st.integers(0, 6))
    name = made.name("rows")
    kernel, strides = draw(st.integers(1, min(3, rows))), draw(st.integers(1, 2))
    if kind == 0:
        return L.MaxPooling1D(kernel, strides, draw(st.sampled_from(["valid", "same"])), name=name)(x)
    if kind == 1:
        return L.AveragePooling1D(kernel, strides, draw(st.sampled_from(["valid", "same"])), name=name)(x)
    if kind == 2:
        return L.Permute((2, 1), name=name)(x)
    if kind == 3:
        padding = draw(st.sampled_from(["valid", "same", "causal"]))
        return L.SeparableConv1D(2, kernel, strides, padding, depth_multiplier=2, name=name)(x)
    if kind == 4:
        pool = draw(st.sampled_from([L.GlobalMaxPooling1D, L.GlobalAveragePooling1D]))
        return pool(keepdims=True, name=name)(x)
    activation = draw(st.sampled_from(["linear", "relu", "relu6"]))
    arguments = {"activation": activation, "padding": draw(st.sampled_from(["valid", "same", "causal"])), "name": name}
    if kind == 5:
        return qkeras.QConv1D(2, kernel, strides, kernel_quantizer=draw(st.sampled_from(WEIGHTS)), **arguments)(x)
    return L.Conv1D(2, kernel, strides, **arguments)(x)


def _shared(draw: Draw, made: RandomModel, x: Any) -> Any:
    """One layer called twice, in a row or side by side."""
    layer = L.Conv2D(x.shape[-1], 3, padding="same", activation="relu", name=made.name("shared"))
    y = layer(x)
    return layer(y) if draw(st.booleans()) else L.Add(name=made.name("add"))([y, layer(y)])


def _nested(draw: Draw, made: RandomModel, x: Any) -> Any:
    """A model inside, called once or twice."""
    inner = L.Input(tuple(x.shape[1:]))
    y = _step(draw, made, inner, nested=False)
    model = keras.Model(inner, y, name=made.name("model"))
    x = model(x)
    return model(x) if y.shape[1:] == inner.shape[1:] and draw(st.booleans()) else x
