"""Every attribute of every accepted Keras layer: it has its effect, it has none on inference, or it is refused."""

import inspect

import keras
import numpy as np
import pytest
import qkeras

from hwflow.errors import HwflowError
from hwflow.firmware import read_keras
from hwflow.frontends.keras_attributes import config_of
from hwflow.frontends.keras_layers import LAYERS, check_layer
from hwflow.frontends.keras_versions import is_keras3
from hwflow.frontends.rules import QUANTIZERS
from hwflow.models import load_model
from hwflow.reference.real import RealExecutor

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*serialize.*:UserWarning"),  # QKeras hands quantisers over as constraints
    pytest.mark.filterwarnings("ignore:.*_range is deprecated:UserWarning"),
    pytest.mark.filterwarnings("ignore:The initializer:UserWarning"),
]

L = keras.layers
BITS = "quantized_bits(6,1,alpha=1)"
IMAGE, ROWS, VECTOR = (5, 6, 3), (7, 3), (6,)
CLASSES = {name: getattr(home, name) for name in LAYERS if hasattr(home := qkeras if name.startswith("Q") else L, name)}
"""Those of the table that the installed Keras has."""
SHAPES = {name: ROWS if name.endswith("1D") else IMAGE for name in LAYERS}
SHAPES |= {"Dense": VECTOR, "QDense": VECTOR, "Softmax": VECTOR, "Dot": VECTOR}
MERGES = ("Add", "Subtract", "Average", "Maximum", "Minimum", "Multiply", "Concatenate", "Dot")
DEFAULTS = {
    "InputLayer": {"shape" if is_keras3() else "input_shape": IMAGE},
    **{f"{kind}Pooling{of}D": {"pool_size": 2} for kind in ("Max", "Average") for of in (1, 2)},
    "Conv2D": {"filters": 2, "kernel_size": 3},
    "QConv2D": {"filters": 2, "kernel_size": 3, "kernel_quantizer": BITS},
    "QConv2DBatchnorm": {"filters": 2, "kernel_size": 3, "kernel_quantizer": BITS},
    "TimeDistributed": {"layer": L.Dense(3)},
    "Conv1D": {"filters": 2, "kernel_size": 3},
    "QConv1D": {"filters": 2, "kernel_size": 3, "kernel_quantizer": BITS},
    "DepthwiseConv2D": {"kernel_size": 3},
    "QDepthwiseConv2D": {"kernel_size": 3, "depthwise_quantizer": BITS},
    "SeparableConv2D": {"filters": 2, "kernel_size": 3},
    "QSeparableConv2D": {"filters": 2, "kernel_size": 3, "depthwise_quantizer": BITS, "pointwise_quantizer": BITS},
    "DepthwiseConv1D": {"kernel_size": 3},
    "SeparableConv1D": {"filters": 2, "kernel_size": 3},
    "QSeparableConv1D": {"filters": 2, "kernel_size": 3, "depthwise_quantizer": BITS, "pointwise_quantizer": BITS},
    "Dense": {"units": 3},
    "QDense": {"units": 3, "kernel_quantizer": BITS},
    "Activation": {"activation": "relu"},
    "QActivation": {"activation": "quantized_relu(4,1)"},
    "Reshape": {"target_shape": (90,)},
    "Permute": {"dims": (2, 1, 3)},
    "PReLU": {"shared_axes": [1, 2]},
    "Dot": {"axes": 1},
    "Dropout": {"rate": 0.5},
    "SpatialDropout1D": {"rate": 0.5},
    "SpatialDropout2D": {"rate": 0.5},
    "GaussianNoise": {"stddev": 1.0},
    "GaussianDropout": {"rate": 0.5},
    "AlphaDropout": {"rate": 0.5},
}

_KERNEL_READ = {"activation": ["relu", "relu6", "tanh"], "use_bias": [False]}
FUNCTIONS = [
    *("sigmoid", "tanh", "elu", "selu", "softplus", "softsign", "swish", "silu", "gelu", "mish", "exponential"),
    *("hard_sigmoid", "leaky_relu"),
]
"""Keras' activations by name."""
QUANTISED_READ = [
    *("quantized_relu(6,2)", "quantized_relu(3,0)", "quantized_relu(4,0,negative_slope=0.25)"),
    *("quantized_relu(6,1,negative_slope=0.5)", "quantized_bits(4,0)", "quantized_bits(5,2,symmetric=1,alpha=1)"),
    *("quantized_bits(3,1,keep_negative=False)", "quantized_bits(1,0)", "quantized_tanh(4)"),
    *("quantized_tanh(5,symmetric=True)", "quantized_tanh(4,use_real_tanh=True)", "quantized_sigmoid(4)"),
    *("quantized_sigmoid(6,use_real_sigmoid=True)", "quantized_ulaw(6,1)", "quantized_ulaw(5,0,1,u=127.0)"),
    *("binary", "binary()", "binary(alpha=0.5)", "binary(use_01=True)", "ternary()", "ternary(alpha=2,threshold=0.7)"),
    *("hard_sigmoid", "hard_tanh", "smooth_sigmoid", "binary_tanh", "binary_sigmoid"),
]
QUANTISED_REFUSED = [
    *("quantized_po2(4)", "stochastic_ternary", "quantized_bits(4,0,alpha='auto')", "binary(alpha='auto')"),
    *("quantized_relu(4,0,negative_slope=2)", "quantized_sigmoid(4,symmetric=True)", "quantized_tanh(1)"),
]
_QUANTISED_READ = {"kernel_quantizer": ["binary(alpha=1)", "quantized_bits(4,0)"], "bias_quantizer": [BITS]}
_CONV_READ = {
    "filters": [1, 4],
    "kernel_size": [1, (2, 3)],
    "strides": [2, (1, 2)],
    "padding": ["same"],
    **_KERNEL_READ,
}
_CONV1D_READ = _CONV_READ | {"kernel_size": [1, 4], "strides": [2, 3], "padding": ["same", "causal"]}
_POOL1D_READ = {"pool_size": [3], "padding": ["valid"], "strides": [1]}
_DEPTHWISE_READ = {
    **{name: values for name, values in _CONV_READ.items() if name != "filters"},
    "depth_multiplier": [2],
    "strides": [2],  # Keras refuses others
}
_DEPTHWISE1D_READ = _DEPTHWISE_READ | {"kernel_size": [1, 2]}
_QUANTISED_DEPTHWISE = {"depthwise_quantizer": _QUANTISED_READ["kernel_quantizer"], "bias_quantizer": [BITS]}
_POINTWISE_READ = {"filters": [1, 4], "pointwise_quantizer": _QUANTISED_READ["kernel_quantizer"]}
_POOL_READ = {"pool_size": [(2, 3)], "padding": ["valid"], "strides": [1, (1, 2)]}
_NORM_READ = {"epsilon": [0.1], "center": [False], "scale": [False]}
EFFECTS = {
    "Conv2D": _CONV_READ,
    "QConv2D": _CONV_READ | _QUANTISED_READ,
    "QConv2DBatchnorm": _CONV_READ | _QUANTISED_READ | {"epsilon": [0.1], "scale": [False]},
    "TimeDistributed": {"layer": [L.Dense(2, activation="relu"), L.ReLU(0.5)]},
    "Conv1D": _CONV1D_READ,
    "QConv1D": _CONV1D_READ | _QUANTISED_READ,
    "DepthwiseConv1D": _DEPTHWISE1D_READ,
    "DepthwiseConv2D": _DEPTHWISE_READ,
    "QDepthwiseConv2D": _DEPTHWISE_READ | _QUANTISED_DEPTHWISE,
    "SeparableConv1D": _DEPTHWISE1D_READ | {"filters": [1, 4], "padding": ["same", "causal"]},
    "SeparableConv2D": _DEPTHWISE_READ | {"filters": [1, 4]},
    "QSeparableConv1D": _DEPTHWISE1D_READ | _QUANTISED_DEPTHWISE | _POINTWISE_READ,
    "QSeparableConv2D": _DEPTHWISE_READ | _QUANTISED_DEPTHWISE | _POINTWISE_READ,
    "Dense": {"units": [1, 5], **_KERNEL_READ},
    "QDense": {"units": [1, 5], **_KERNEL_READ, **_QUANTISED_READ},
    "Activation": {"activation": ["linear", "relu6", *FUNCTIONS]},
    "QActivation": {"activation": QUANTISED_READ},
    "ReLU": {"max_value": [0.5, 6.0], "negative_slope": [0.1], "threshold": [0.5]},
    "LeakyReLU": {"alpha": [0.1, 1.5]},
    "ThresholdedReLU": {"theta": [0.5]},
    "PReLU": {"shared_axes": [[1, 2, 3]]},
    "ELU": {"alpha": [0.3]},
    "MaxPooling2D": _POOL_READ,
    "AveragePooling2D": _POOL_READ | {"padding": ["same"]},
    "MaxPooling1D": _POOL1D_READ | {"padding": ["same"]},
    "AveragePooling1D": _POOL1D_READ | {"padding": ["same"]},
    **{f"Global{kind}Pooling{of}D": {"keepdims": [True]} for kind in ("Max", "Average") for of in (1, 2)},
    "BatchNormalization": _NORM_READ,
    "LayerNormalization": _NORM_READ,
    "QBatchNormalization": _NORM_READ | {f"{of}_quantizer": [None] for of in ("beta", "gamma", "mean", "variance")},
    "Cropping1D": {"cropping": [2, (0, 1)]},
    "Cropping2D": {"cropping": [1, ((0, 1), (2, 0))]},
    "UpSampling1D": {"size": [1, 3]},
    "UpSampling2D": {"size": [1, (2, 3)]},
    "Concatenate": {"axis": [1, 2, -2]},
    "Permute": {"dims": [(1, 2, 3), (3, 1, 2)]},
    "Reshape": {"target_shape": [(3, 5, 6), (-1, 9), (3, 5, 3, 2)]},
    "ZeroPadding1D": {"padding": [2, (0, 1)]},
    "ZeroPadding2D": {"padding": [2, ((0, 1), (2, 0))]},
}
"""Values that are read: Keras and the graph must both change, and agree."""

_DTYPE = {"dtype": ["float16", "mixed_float16"]}
_FIRST = {"data_format": ["channels_first"]}
_CONV_REFUSED = {"dilation_rate": [2, (1, 2)], "groups": [3], "activation": ["log_softmax"], **_FIRST}
REFUSED = {
    "Conv2D": _CONV_REFUSED | {"filters": [3]},
    "QConv2D": _CONV_REFUSED | {"filters": [3]},
    "QConv2DBatchnorm": {"dilation_rate": [2], "activation": ["stochastic_binary"], "groups": [3]},
    "TimeDistributed": {"layer": [L.Dropout(0.5), L.Dense(2, activation="log_softmax")]},
    "Conv1D": _CONV_REFUSED | {"filters": [3], "dilation_rate": [2]},
    "QConv1D": _CONV_REFUSED | {"filters": [3], "dilation_rate": [2]},
    **dict.fromkeys(("DepthwiseConv2D", "QDepthwiseConv2D", "SeparableConv2D", "QSeparableConv2D"), _CONV_REFUSED),
    **dict.fromkeys(("DepthwiseConv1D", "SeparableConv1D", "QSeparableConv1D"), _CONV_REFUSED | {"dilation_rate": [2]}),
    "Dense": {"activation": ["log_softmax"]},
    "QDense": {"activation": ["quantized_po2(4)", "stochastic_binary"]},
    "Activation": {"activation": ["log_softmax"]},
    "QActivation": {"activation": QUANTISED_REFUSED},
    "MaxPooling2D": _FIRST,
    "AveragePooling2D": _FIRST,
    "MaxPooling1D": _FIRST,
    "AveragePooling1D": _FIRST,
    **{f"Global{kind}Pooling{of}D": _FIRST for kind in ("Max", "Average") for of in (1, 2)},
    "Concatenate": {"axis": [0]},
    "Dot": {"normalize": [True]},
    "BatchNormalization": {"axis": [1, 2]},
    "LayerNormalization": {"axis": [1, [2, 3]]},
    "QBatchNormalization": {"axis": [1, 2]},
    "ZeroPadding2D": _FIRST,
    "Cropping2D": _FIRST,
    "UpSampling2D": _FIRST | {"interpolation": ["bilinear"]},
    "Flatten": _FIRST,
}
"""Values that are refused by the layer's name."""

IDLE = {
    "trainable": False,
    "momentum": 0.5,
    "rate": 0.1,
    "stddev": 0.1,
    "noise_shape": None,
    "seed": 3,
    "l1": 0.1,
    "l2": 0.1,
    "kernel_range": 1.0,
    "depthwise_range": 1.0,
    "bias_range": 1.0,
    "ema_freeze_delay": 3,
    "folding_mode": "batch_stats_folding",
    "beta_range": 1.0,
    "gamma_range": 1.0,
}


def build(kind, **attributes):
    """A model around one layer, random weights in it; Keras' own parameters are drawn from one seed."""
    shape = SHAPES[kind]
    arguments = {"name": "subject"} | DEFAULTS.get(kind, {}) | attributes
    if kind == "InputLayer":
        x = L.InputLayer(**arguments).output
        return keras.Model(x, L.Flatten()(x))
    x = keras.Input(shape)
    layer = CLASSES[kind](**arguments)
    if kind in MERGES:
        y = layer([x, L.MaxPooling2D(3, 1, "same")(x) if len(shape) == 3 else L.ReLU(0.5)(x)])
    else:
        y = layer(x)
    return _filled(keras.Model(x, y))


def _filled(model):
    rng = np.random.default_rng(7)
    model.set_weights([rng.uniform(0.1, 0.9, w.shape) * rng.choice([-1, 1], w.shape) for w in model.get_weights()])
    for layer in model.layers:
        norm = getattr(layer, "batchnorm", layer)
        if hasattr(norm, "moving_variance"):
            norm.moving_variance.assign(np.abs(norm.moving_variance) + 0.3)
    return model


def images(model):
    # The inputs lie on a grid of few bits, so that float32 rounds no quantiser another way than float64.
    rng = np.random.default_rng(3)
    return rng.integers(-320, 320, (4, *model.input_shape[1:])) / 32


def both(model):
    """What Keras and the graph compute."""
    graph = read_keras(model)
    x = images(model)
    values = RealExecutor(graph).run(x)
    node = graph.output
    if node.type is not None:
        values = node.type.decode(node.type.encode(values))
    return np.asarray(model(x.astype("float32"))), values


@pytest.mark.parametrize("kind", CLASSES)
def test_the_table_knows_every_attribute(kind):
    layer = build(kind).get_layer("subject")
    known, found = set(LAYERS[kind]), set(config_of(layer))
    assert found <= known
    # What Keras 2.15 does not write for this class is written by others: for first layers, or by later versions.
    later = {"batch_input_shape", "synchronized", "noise_shape", "trainable", "rms_scaling"}
    assert known - found <= later | absent(kind)


def absent(kind):
    """Attributes that a class has in Keras 2 only."""
    if not is_keras3():
        return set()
    of_kernel = {f"kernel_{role}" for role in ("initializer", "regularizer", "constraint")}
    gone = of_kernel if "Separable" in kind else {"activity_regularizer"} if kind == "Dense" else set()
    gone = gone | {"trainable"} if kind.startswith("SpatialDropout") else gone
    return gone | {"groups"} if "Depthwise" in kind or "Separable" in kind else gone


@pytest.mark.parametrize("kind", CLASSES)
def test_defaults_are_computed_as_keras_does(kind):
    keras_values, ours = both(build(kind))
    np.testing.assert_allclose(ours, keras_values, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize("kind", CLASSES)
def test_every_class_survives_a_file(kind, suffix, tmp_path):
    model = build(kind)
    model.save(tmp_path / f"model{suffix}")
    assert read_keras(load_model(tmp_path / f"model{suffix}")).digest == read_keras(model).digest


def cases(table):
    rows = [(kind, row) for kind, row in table.items() if kind in CLASSES]
    found = [(kind, name, value) for kind, row in rows for name, values in row.items() for value in values]
    return [case for case in found if case[1] not in absent(case[0]) and not (is_keras3() and case in BROKEN)]


BROKEN = [
    ("SeparableConv1D", "padding", "causal"),
    ("QConv1D", "padding", "causal"),
    ("QSeparableConv1D", "padding", "causal"),
    ("QConv2DBatchnorm", "scale", False),
]
"""What Keras 3, or QKeras for it, cannot compute."""


@pytest.mark.parametrize(("kind", "name", "value"), cases(EFFECTS))
def test_an_attribute_that_is_read_has_its_effect(kind, name, value):
    keras_values, ours = both(build(kind, **{name: value}))
    before, _ = both(build(kind))
    assert before.shape != keras_values.shape or not np.allclose(before, keras_values) or (kind, name) in UNSEEN
    np.testing.assert_allclose(ours, keras_values, rtol=1e-4, atol=1e-5)


UNSEEN = {("MaxPooling2D", "padding")}
UNSEEN |= {("QBatchNormalization", "beta_quantizer")}
"""The value is the default's own, or the drawn weights do not show it."""


@pytest.mark.parametrize(("kind", "name", "value"), cases(REFUSED))
def test_another_value_is_refused_by_name(kind, name, value):
    if name == "filters" and kind in ("Conv1D", "Conv2D", "QConv1D", "QConv2D"):
        attributes = {"filters": 3, "groups": 3}
    else:
        attributes = {name: value} | ({"filters": 3} if name == "groups" and "filters" in LAYERS[kind] else {})
    with pytest.raises(HwflowError) as error:
        read_keras(build(kind, **attributes))
    assert str(error.value).startswith("subject: ")
    assert "not supported" in str(error.value)


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("dtype", ["float16", "mixed_float16"])
def test_other_precisions_are_refused(kind, dtype):
    if kind == "InputLayer":
        dtype = "float16"  # an input has a type, no policy
    layer = CLASSES[kind](**{"name": "subject", "dtype": dtype} | DEFAULTS.get(kind, {}))
    with pytest.raises(HwflowError, match=r"^subject: dtype="):
        check_layer(layer)


@pytest.mark.parametrize("attribute", ["sparse", "ragged"])
def test_other_tensors_are_refused(attribute):
    layer = L.InputLayer(**DEFAULTS["InputLayer"], name="subject", **{attribute: True})
    with pytest.raises(HwflowError, match=f"^subject: {attribute}=True of InputLayer is not supported"):
        check_layer(layer)


@pytest.mark.parametrize("axis", [1, 2, (1, 2)])
def test_softmax_along_another_axis_is_refused(axis):
    x = keras.Input(IMAGE)
    with pytest.raises(HwflowError, match=r"^subject: axis=.* of Softmax is not supported; use the last axis"):
        read_keras(keras.Model(x, L.Softmax(axis=axis, name="subject")(x)))


def test_dot_products_of_rows_are_refused():
    x = keras.Input((7, 3))
    with pytest.raises(HwflowError, match=r"^subject: axes=2 of Dot is not supported; use two vectors"):
        read_keras(keras.Model(x, L.Dot(2, name="subject")([x, x])))


ELSEWHERE = {
    ("Reshape", "target_shape"),
    ("Softmax", "axis"),
    ("Dot", "axes"),
    ("LayerNormalization", "rms_scaling"),  # of Keras 3
    ("QConv2DBatchnorm", "data_format"),  # which it takes and does not hand on
    ("QConv2DBatchnorm", "axis"),
    ("QConv2DBatchnorm", "center"),  # without it QKeras itself fails
}
"""Rules of what other tests see, or no layer can have."""


@pytest.mark.parametrize("kind", CLASSES)
def test_every_rule_of_the_table_is_tested(kind):
    tested = {"name", "dtype", "batch_input_shape", "synchronized", "sparse", "ragged"}
    tested |= set(EFFECTS.get(kind, {})) | set(REFUSED.get(kind, {}))
    for name, rule in LAYERS[kind].items():
        if rule.meaning == "idle":
            assert name in tested or name in IDLE or name.endswith(("initializer", "regularizer", "constraint"))
        else:
            assert name in tested or (kind, name) in ELSEWHERE


def idle(kind):
    """Every attribute of a class that has no effect, with a value that would show it."""
    attributes = {}
    for name, rule in LAYERS[kind].items():
        if rule.meaning != "idle" or name in ("name", "synchronized") or name in absent(kind):
            continue
        if (kind, name) == ("QConv2DBatchnorm", "trainable"):
            continue  # it puts the weights in another order, so that other values are drawn for them
        if name.endswith("initializer"):
            attributes[name] = "ones"
        elif name.endswith("regularizer"):
            attributes[name] = None if kind == "ActivityRegularization" else keras.regularizers.L2(0.1)
        elif name.endswith("constraint"):
            attributes[name] = keras.constraints.NonNeg()
        elif name != "noise_shape" or kind == "Dropout":
            attributes[name] = IDLE[name]
    return {name: value for name, value in attributes.items() if value is not None}


@pytest.mark.parametrize("kind", [kind for kind in CLASSES if kind != "InputLayer"])
def test_idle_attributes_have_no_effect_on_inference(kind):
    keras_values, ours = both(build(kind, **idle(kind)))
    before, _ = both(build(kind))
    np.testing.assert_array_equal(keras_values, before)
    np.testing.assert_allclose(ours, keras_values, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("use_sigmoid", 1),
        ("negative_slope", 2.0),
        ("use_stochastic_rounding", True),
        ("relu_upper_bound", 1.5),
        ("is_quantized_clip", False),
        ("qnoise_factor", 0.5),
    ],
)
def test_attributes_of_a_quantised_relu_are_refused(name, value):
    model = build("QActivation", activation=qkeras.quantized_relu(4, 1, **{name: value}))
    with pytest.raises(HwflowError, match=f"^subject: {name}="):
        read_keras(model)


@pytest.mark.parametrize("name", QUANTIZERS)
def test_the_tables_of_quantisers_are_complete(name):
    parameters = inspect.signature(getattr(qkeras, name).__init__).parameters
    assert set(parameters) - {"self"} <= set(QUANTIZERS[name])
    assert set(QUANTIZERS[name]) - set(parameters) <= (set() if is_keras3() else V3)


V3 = {"elements_per_scale", "min_po2_exponent", "max_po2_exponent", "post_training_scale", "scale_axis", "training"}
"""What quantisers of QKeras for Keras 3 have and those of QKeras 0.9 have not."""


@pytest.mark.parametrize(
    "attributes",
    [
        {"negative_slope": 0.25, "max_value": 1.0},
        {"negative_slope": 0.25, "threshold": 0.5},
        {"threshold": 0.5, "max_value": 2.0},
        {"negative_slope": 0.125, "threshold": 0.75, "max_value": 3.0},
        {"negative_slope": 0.5, "max_value": 6.0},
    ],
)
def test_attributes_of_a_relu_together(attributes):
    keras_values, ours = both(build("ReLU", **attributes))
    np.testing.assert_allclose(ours, keras_values, rtol=1e-5, atol=1e-6)


def test_slopes_of_pixels_are_refused():
    with pytest.raises(HwflowError, match=r"^subject: its slopes differ from pixel to pixel; .*shared_axes"):
        read_keras(build("PReLU", shared_axes=None))


def test_a_users_own_class_of_a_known_name_is_refused():
    class Dense(L.Dense):
        def call(self, inputs):
            return 2 * super().call(inputs)

    x = keras.Input((4,))
    with pytest.raises(HwflowError, match=r"^mine: Dense layers are not supported"):
        read_keras(keras.Model(x, Dense(2, name="mine")(x)))


def test_integers_for_booleans_are_accepted():
    x = keras.Input((3,))
    model = _filled(keras.Model(x, L.Dense(2, use_bias=1)(L.BatchNormalization(scale=1, center=0)(x))))
    keras_values, ours = both(model)
    np.testing.assert_allclose(ours, keras_values, rtol=1e-5)


@pytest.mark.parametrize("shape", [(6,), (3, 6), (2, 4, 6)])
@pytest.mark.parametrize("kind", [L.Dense, qkeras.QDense])
def test_normalisation_after_a_dense_layer_of_any_rank(shape, kind):
    x = keras.Input(shape)
    y = L.BatchNormalization()(L.BatchNormalization()(kind(3, name="dense")(x)))
    keras_values, ours = both(_filled(keras.Model(x, y)))
    np.testing.assert_allclose(ours, keras_values, rtol=1e-4, atol=1e-5)


def test_a_dense_layer_on_four_axes_is_refused():
    x = keras.Input((2, 2, 2, 3))
    with pytest.raises(HwflowError, match=r"^dense: Dense on a tensor of 4 axes is not supported, on 1 to 3"):
        read_keras(keras.Model(x, L.Dense(2, name="dense")(x)))
