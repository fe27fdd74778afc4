"""What Keras 2 saves is read back bit for bit: every class and every attribute value of the reader's table."""

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwflow.errors import HwflowError
from hwflow.frontends._objects import ACTIVATIONS, CONSTRAINTS, INITIALIZERS, REGULARIZERS
from hwflow.frontends._quantizers import FUNCTIONS, QUANTIZERS, canonical_text
from hwflow.frontends._table import LAYERS
from hwflow.frontends._values import Only, Refused, ignored
from hwflow.frontends.keras_versions import is_keras3
from hwflow.models import load_model
from hwflow.models._tf import keras as installed_keras
from hwflow.models._tf import qkeras, tensorflow
from tests.unit.crafted import chain, dense, layer, save_weights_file, write

SUFFIXES = (".h5", ".keras", ".json", ".weights.h5")
Build = Callable[[Any, Any], Any]

ROWS, IMAGE, FLAT = (6, 3), (6, 6, 2), (5,)
Q = "quantized_bits(6,1,alpha=1)"
# A shape, and the attributes of several instances in a row; or a function of Keras' layers and an input.
CASES: dict[str, tuple[tuple[int, ...], list[dict[str, Any]]]] = {
    "Dense": (FLAT, [{"units": 4, "activation": "relu"}, {"units": 3, "use_bias": False, "trainable": False}]),
    "Conv1D": (
        ROWS,
        [
            {"filters": 4, "kernel_size": 3, "padding": "causal", "dilation_rate": 2},
            {"filters": 3, "kernel_size": 2, "groups": 3},
        ],
    ),
    "Conv2D": (
        IMAGE,
        [
            {"filters": 4, "kernel_size": (3, 2), "padding": "same", "strides": (2, 1), "groups": 2},
            {"filters": 2, "kernel_size": 2, "dilation_rate": 2, "activation": "tanh"},
        ],
    ),
    "SeparableConv1D": (ROWS, [{"filters": 4, "kernel_size": 3, "depth_multiplier": 2, "padding": "same"}]),
    "SeparableConv2D": (IMAGE, [{"filters": 4, "kernel_size": 3, "depth_multiplier": 2, "use_bias": False}]),
    "DepthwiseConv1D": (ROWS, [{"kernel_size": 3, "strides": 2, "depth_multiplier": 2}]),
    "DepthwiseConv2D": (IMAGE, [{"kernel_size": 3, "padding": "same", "depth_multiplier": 2}]),
    "Activation": (FLAT, [{"activation": name} for name in ACTIVATIONS]),
    "ReLU": (FLAT, [{"max_value": 1.5, "negative_slope": 0.1, "threshold": 0.2}, {}, {"max_value": 1}]),
    "LeakyReLU": (FLAT, [{"alpha": 0.2}, {}]),
    "ThresholdedReLU": (FLAT, [{"theta": 0.3}, {"theta": 0}]),
    "ELU": (FLAT, [{"alpha": 0.5}]),
    "PReLU": (IMAGE, [{"shared_axes": [1, 2]}, {}]),
    "Softmax": (ROWS, [{"axis": 1}, {}]),
    "BatchNormalization": (
        IMAGE,
        [{"axis": 1, "scale": False}, {"center": False, "epsilon": 0.01}, {"axis": [1, 2]}, {"trainable": False}],
    ),
    "LayerNormalization": (ROWS, [{"axis": [1, 2]}, {"scale": False, "epsilon": 0.01}, {"center": False}]),
    "MaxPooling1D": (ROWS, [{"pool_size": 2, "strides": 1, "padding": "same"}, {"pool_size": 2}]),
    "AveragePooling1D": (ROWS, [{"pool_size": 2, "strides": 1, "padding": "same"}, {"pool_size": 2}]),
    "MaxPooling2D": (IMAGE, [{"pool_size": (3, 2), "strides": 1, "padding": "same"}, {}]),
    "AveragePooling2D": (IMAGE, [{"pool_size": (3, 2), "strides": (1, 2), "padding": "same"}, {"pool_size": 2}]),
    "GlobalMaxPooling1D": (ROWS, [{"keepdims": True}, {}]),
    "GlobalAveragePooling1D": (ROWS, [{"keepdims": True}, {}]),
    "GlobalMaxPooling2D": (IMAGE, [{"keepdims": True}, {}]),
    "GlobalAveragePooling2D": (IMAGE, [{"keepdims": True}, {"data_format": "channels_first"}]),
    "Flatten": (IMAGE, [{"data_format": "channels_first"}]),
    "Reshape": (IMAGE, [{"target_shape": (3, -1)}]),
    "Permute": (IMAGE, [{"dims": (3, 1, 2)}]),
    "UpSampling1D": (ROWS, [{"size": 3}]),
    "UpSampling2D": (IMAGE, [{"size": (2, 3)}, {"interpolation": "bilinear"}]),
    "ZeroPadding1D": (ROWS, [{"padding": (1, 2)}, {"padding": 2}]),
    "ZeroPadding2D": (IMAGE, [{"padding": ((1, 0), (2, 3))}, {"padding": 1}]),
    "Cropping1D": (ROWS, [{"cropping": (1, 2)}]),
    "Cropping2D": (IMAGE, [{"cropping": ((1, 0), (2, 1))}]),
    "Dropout": (IMAGE, [{"rate": 0.4, "noise_shape": (None, 1, 1, 2), "seed": 3}]),
    "SpatialDropout1D": (ROWS, [{"rate": 0.4}]),
    "SpatialDropout2D": (IMAGE, [{"rate": 0.4}]),
    "AlphaDropout": (IMAGE, [{"rate": 0.4}]),
    "GaussianDropout": (IMAGE, [{"rate": 0.4}]),
    "GaussianNoise": (IMAGE, [{"stddev": 0.4}]),
    "ActivityRegularization": (IMAGE, [{"l1": 0.1, "l2": 0.2}]),
    "SimpleRNN": (ROWS, [{"units": 3, "return_sequences": True, "dropout": 0.1}, {"units": 2, "go_backwards": True}]),
    "LSTM": (
        ROWS,
        [
            {"units": 3, "return_sequences": True, "recurrent_activation": "hard_sigmoid", "unroll": True},
            {"units": 2, "unit_forget_bias": False, "implementation": 1, "use_bias": False},
        ],
    ),
    "GRU": (ROWS, [{"units": 3, "return_sequences": True, "reset_after": False}, {"units": 2, "activation": "relu"}]),
    "QDense": (FLAT, [{"units": 4, "kernel_quantizer": Q, "bias_quantizer": Q, "activation": "quantized_relu(6,2)"}]),
    "QConv1D": (ROWS, [{"filters": 3, "kernel_size": 2, "kernel_quantizer": "ternary()"}]),
    "QConv2D": (
        IMAGE,
        [
            {"filters": 3, "kernel_size": 2, "kernel_quantizer": "binary()", "bias_quantizer": "quantized_po2(4)"},
            {"filters": 2, "kernel_size": 2, "kernel_quantizer": "quantized_bits(4,0,alpha='auto_po2')"},
        ],
    ),
    "QSeparableConv1D": (ROWS, [{"filters": 3, "kernel_size": 2, "depthwise_quantizer": Q, "pointwise_quantizer": Q}]),
    "QSeparableConv2D": (IMAGE, [{"filters": 3, "kernel_size": 2, "depthwise_quantizer": Q, "bias_quantizer": Q}]),
    "QDepthwiseConv2D": (IMAGE, [{"kernel_size": 2, "depthwise_quantizer": Q, "activation": "quantized_tanh(5)"}]),
    "QBatchNormalization": (IMAGE, [{}, {"gamma_quantizer": Q, "mean_quantizer": None, "scale": False}]),
    "QConv2DBatchnorm": (
        IMAGE,
        [
            {"filters": 3, "kernel_size": 2, "kernel_quantizer": Q, "bias_quantizer": "quantized_bits(8,2)"},
            {"filters": 3, "kernel_size": 2, "folding_mode": "batch_stats_folding", "ema_freeze_delay": 10},
        ],
    ),
    "QLSTM": (ROWS, [{"units": 2, "kernel_quantizer": Q, "recurrent_quantizer": Q, "state_quantizer": Q}]),
    "QActivation": (
        FLAT,
        [
            *({"activation": name} for name in FUNCTIONS),
            {"activation": "quantized_relu(6,2,negative_slope=0.25)"},
            {"activation": "quantized_bits(5, 1, 1, alpha=1)"},
            {"activation": "quantized_relu(4,1,is_quantized_clip=False,relu_upper_bound=1.5)"},
            {"activation": "quantized_sigmoid(5,use_real_sigmoid=True)"},
            {"activation": "quantized_ulaw(6)"},
            {"activation": "quantized_relu_po2(4)"},
        ],
    ),
}  # fmt: skip
# Built with functions below, because they take other layers or several tensors.
COMPOSED = {
    *("InputLayer", "Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate", "Dot", "Embedding"),
    *("TimeDistributed", "Bidirectional"),
}
# QKeras 0.9 cannot call them with TensorFlow 2.15 at all.
BROKEN = {"QSimpleRNN", "QGRU"}


@pytest.fixture(scope="module")
def keras() -> Any:
    return installed_keras()


def check_round_trip(model: Any, folder: Path, suffixes: tuple[str, ...] = (".h5", ".keras")) -> None:
    """Random weights, saved and read in each way: the same weights, configuration and predictions."""
    rng = np.random.default_rng(5)
    for variable in model.weights:
        if "variance" not in variable.name and "float" in str(variable.dtype):
            variable.assign(rng.normal(0, 0.5, variable.shape))
    inputs = [np.asarray(rng.normal(size=(3, *tensor.shape[1:])), np.float32) for tensor in model.inputs]
    if any("embedding" in each.name for each in model.layers):
        inputs = [np.arange(values.size).reshape(values.shape) % 7 for values in inputs]
    inputs = inputs[0] if len(inputs) == 1 else inputs
    expected = model(inputs)
    for number, suffix in enumerate(suffixes):
        path = folder / f"model{number}{suffix if suffix.startswith(('.h', '.k')) else '.json'}"
        if path.suffix == ".json":
            path.write_text(model.to_json())
            ending = "_weights.h5" if suffix == ".json" else suffix
            save_weights_file(model, folder / f"model{number}{ending}")
        else:
            model.save(path)
        again = load_model(path)
        assert [each.name for each in again.layers] == [each.name for each in model.layers]
        for one, two in zip(model.get_weights(), again.get_weights(), strict=True):
            np.testing.assert_array_equal(one, two)
        for one, two in zip(np_list(expected), np_list(again(inputs)), strict=True):
            np.testing.assert_array_equal(one, two)
        assert settled(again) == settled(model)


def np_list(outputs: Any) -> list[Any]:
    return outputs if isinstance(outputs, list) else [outputs]


def settled(model: Any) -> Any:
    """The configuration without what no inference reads: numbers of objects, seeds, a network's own trainable flag.

    A quantiser's text may be spelt in another way; that it means the same is tested by itself.
    """

    def strip(data: Any) -> Any:
        if isinstance(data, dict):
            # Keras leaves some out of a nested network once that was saved as .h5.
            dropped = {"shared_object_id", "seed", "module", "registered_name", "build_config"}
            if "layers" in data:
                dropped.add("trainable")
            kept = {key: value for key, value in data.items() if key not in dropped}
            return {key: strip(value) for key, value in kept.items() if key != "mask" or value is not None}
        if isinstance(data, str) and data.startswith("quantized_"):
            return data.partition("(")[0]
        return [strip(item) for item in data] if isinstance(data, list) else data

    return strip(json.loads(model.to_json()))


def test_every_class_has_a_case() -> None:
    assert set(CASES) | COMPOSED | BROKEN == set(LAYERS)


def possible(kind: str, attributes: dict[str, Any]) -> bool:
    """Whether the installed Keras can build, compute and save a case."""
    if not is_keras3():
        return True
    # QKeras for Keras 3 does not save whether a ReLU clips, nor the name of a QLSTM.
    lost = "is_quantized_clip=False" in str(attributes.get("activation"))
    return not lost and kind != "QLSTM" and not (kind == "BatchNormalization" and attributes.get("axis") == [1, 2])


@pytest.mark.parametrize("kind", CASES)
def test_layer(keras: Any, tmp_path: Path, kind: str) -> None:
    shape, instances = CASES[kind]
    cls = getattr(qkeras() if LAYERS[kind].package == "qkeras" else keras.layers, kind, None)
    if cls is None:
        pytest.skip(f"Keras {keras.__version__} has no {kind}")
    instances = [attributes for attributes in instances if possible(kind, attributes)]
    if not instances:
        pytest.skip(f"QKeras for Keras {keras.__version__} does not save a {kind} as it is")
    image = keras.Input(shape)
    model = keras.Model(image, [cls(**attributes)(image) for attributes in instances])
    check_round_trip(model, tmp_path)


@pytest.mark.parametrize("kind", sorted(set(LAYERS) - BROKEN))
def test_table_has_every_attribute(keras: Any, kind: str) -> None:
    """What Keras 2 writes of a layer is in the table, and every entry is Keras 2's, Keras 3's or an older one's."""
    cls = getattr(qkeras() if LAYERS[kind].package == "qkeras" else keras.layers, kind, None)
    if cls is None:
        pytest.skip(f"Keras {keras.__version__} has no {kind}")
    special: dict[str, dict[str, Any]] = {
        "InputLayer": {"shape" if is_keras3() else "input_shape": (3,)},
        "Embedding": {"input_dim": 3, "output_dim": 2},
        "Dot": {"axes": 1},
        "TimeDistributed": {"layer": keras.layers.Dense(2)},
        "Bidirectional": {"layer": keras.layers.LSTM(2), "backward_layer": keras.layers.LSTM(2, go_backwards=True)},
    }
    attributes = special.get(kind) or (CASES[kind][1][0] if kind in CASES else {})
    written = set(cls(**attributes).get_config())
    known = set(LAYERS[kind].attributes) | set(LAYERS[kind].wrapped) | set(LAYERS[kind].renamed)
    assert written <= known


def test_quantisers_are_qkeras_own(keras: Any) -> None:
    """Names, and the order that arguments without a name are taken in."""
    for name, kinds in QUANTIZERS.items():
        parameters = list(inspect.signature(getattr(qkeras().quantizers, name).__init__).parameters)[1:]
        taken = [key for key in kinds if key != "post_training_scale"]
        # QKeras for Keras 3 has added some behind them.
        assert taken == [key for key in parameters if key not in ADDED or key in taken][: len(taken)]
        built = getattr(qkeras().quantizers, name)()
        assert set(built.get_config()) <= set(kinds)


ADDED = ("elements_per_scale", "min_po2_exponent", "max_po2_exponent", "post_training_scale", "training")
MERGES = ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum")
TEXTS = (
    "quantized_bits(4,0,1)", "quantized_bits(bits=4, integer=0, alpha=1.0)", "quantized_bits(8, 3, alpha='auto')",
    'quantized_bits(4,0,alpha="auto_po2")', "quantized_relu(4,0)", "quantized_relu(4,1,0,0.125)", "quantized_relu",
    "binary()", "ternary(threshold=0.3)", "quantized_po2(4,max_value=2)", "quantized_tanh(6,symmetric=True)",
    "quantized_bits(6,1,keep_negative=False,use_stochastic_rounding=False)", "hard_tanh", "quantized_sigmoid(7)",
)  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_texts_mean_what_qkeras_takes_them_for(keras: Any, text: str) -> None:
    from hwflow.frontends._quantizers import quantizer_from_text, quantizer_function

    x = tensorflow().constant(np.linspace(-3, 3, 97, dtype=np.float32).reshape(1, -1))
    ours = quantizer_function(text) or quantizer_from_text(text)
    canonical = canonical_text(text)
    for theirs in (qkeras().get_quantizer(text), qkeras().get_quantizer(canonical)):
        theirs = theirs() if isinstance(theirs, type) else theirs
        np.testing.assert_array_equal(ours(x), theirs(x))


@pytest.mark.parametrize(
    "text",
    [
        "quantized_bits(4,0", "quantized_bits(4,[1,2])", "quantized_bits(4,0,bits=5)", "quantized_bits(*[4])",
        "quantized_bits(**{'bits': 4})", "quantized_bits(4)(x)", "quantized_bits(4,0,scale=1)", "Dense(4)", "",
        "quantized_bits(100)", "quantized_bits(4,alpha='never')", "quantized_bits(4,use_variables=True)", "relu; x",
        "lambda x: x", "(" * 300, "quantized_bits(" + "-" * 400 + "1)", "quantized_bits(f'{1}')",
        "quantized_bits(1,\x00)",
    ],
)  # fmt: skip
def test_texts_that_are_none(text: str) -> None:
    from hwflow.frontends._quantizers import quantizer_from_text

    with pytest.raises(Refused):
        quantizer_from_text(text)


def test_initializers_regularizers_constraints(keras: Any, tmp_path: Path) -> None:
    """Every one of the table, in a network that Keras saves, is the same in the network that is read."""
    built: list[dict[str, Any]] = []
    arguments = {"gain": 2.0, "value": 0.5, "mean": 0.1, "stddev": 0.2, "minval": -0.3, "maxval": 0.3, "scale": 2.0}
    for name in sorted(set(INITIALIZERS) - {"OrthogonalInitializer"}):
        given = {key: value for key, value in arguments.items() if key in INITIALIZERS[name]}
        built.append({"kernel_initializer": getattr(keras.initializers, name)(**given)})
    built += [{"kernel_regularizer": getattr(keras.regularizers, name)()} for name in REGULARIZERS]
    built += [{"kernel_constraint": getattr(keras.constraints, name)()} for name in CONSTRAINTS]
    model = keras.Sequential([keras.Input((4,)), *(keras.layers.Dense(4, **each) for each in built)])
    check_round_trip(model, tmp_path)


def test_merges(keras: Any, tmp_path: Path) -> None:
    layers = keras.layers
    a, b = keras.Input((3, 4)), keras.Input((3, 4))
    flat = [layers.GlobalAveragePooling1D()(x) for x in (a, b)]
    outputs = [
        getattr(layers, kind)()([a, b]) for kind in ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum")
    ]
    outputs += [layers.Concatenate(axis=axis)([a, b]) for axis in (1, 2, -1)]
    outputs += [layers.Dot(axes=1, normalize=True)(flat), layers.Dot(axes=(2, 2))([a, b]), layers.Add()([a, a])]
    check_round_trip(keras.Model([a, b], outputs), tmp_path)


def test_sequences(keras: Any, tmp_path: Path) -> None:
    layers = keras.layers
    words = keras.Input((5,))
    x = layers.Embedding(7, 3)(words)
    merged = {
        "sum": layers.LSTM(2),
        "mul": layers.SimpleRNN(3),
        "ave": layers.SimpleRNN(3),
        "concat": layers.SimpleRNN(3),
    }
    outputs = [layers.Bidirectional(layer, merge_mode=mode)(x) for mode, layer in merged.items()]
    outputs.append(layers.Bidirectional(layers.GRU(2))(x))
    forward, backward = layers.SimpleRNN(2), layers.SimpleRNN(2, activation="relu", go_backwards=True)
    outputs.append(layers.Bidirectional(forward, backward_layer=backward)(x))
    outputs.append(layers.TimeDistributed(layers.Dense(2, activation="relu"))(x))
    inside = keras.Input((3,))
    nested = keras.Model(inside, layers.Dense(2)(layers.Dense(4)(inside)))
    outputs.append(layers.TimeDistributed(nested)(x))
    check_round_trip(keras.Model(words, outputs), tmp_path)


def test_nested_and_shared(keras: Any, tmp_path: Path) -> None:
    """Networks in networks, frozen ones too; a layer and a network called again."""
    layers = keras.layers
    shared = layers.Dense(4, name="shared")
    chained = keras.Sequential([layers.Dense(3), layers.BatchNormalization(), layers.Dense(4)], name="chained")
    inside = keras.Input((4,))
    frozen = keras.Model(inside, layers.BatchNormalization()(layers.Dense(4)(inside)), name="frozen")
    frozen.trainable = False
    image = keras.Input((4,))
    x = shared(shared(image))
    y = frozen(chained(chained(x)))
    z = frozen(y)
    model = keras.Model(image, [layers.Add()([x, y, z]), chained(z)], name="outer")
    check_round_trip(model, tmp_path, SUFFIXES)
    check_round_trip(keras.Sequential([keras.Input((4,)), model.get_layer("frozen"), chained]), tmp_path, (".h5",))


def test_structures_of_inputs_and_outputs(keras: Any, tmp_path: Path) -> None:
    a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b")
    model = keras.Model({"a": a, "b": b}, {"sum": keras.layers.Add()([a, b])})
    for suffix in (".h5", ".keras"):
        model.save(tmp_path / f"model{suffix}")
        outputs = load_model(tmp_path / f"model{suffix}").predict(
            {"a": np.ones((1, 3)), "b": np.ones((1, 3))}, verbose=0
        )
        np.testing.assert_array_equal(outputs["sum"], [[2, 2, 2]])


def test_call_of_a_trained_layer(keras: Any, tmp_path: Path) -> None:
    """hls4ml drops the keywords of a call; what has an effect is refused."""
    image = keras.Input((4,))
    norm = keras.layers.BatchNormalization(name="norm")
    check_round_trip(keras.Model(image, norm(image, training=False)), tmp_path)
    model = keras.Model(image, keras.layers.BatchNormalization(name="norm")(image, training=True))
    model.save(tmp_path / "model.h5")
    with pytest.raises(HwflowError, match=r"layer 'norm' \(BatchNormalization\).* is called with 'training'=True"):
        load_model(tmp_path / "model.h5")


@pytest.mark.parametrize("one", [1, 1.0, True])
def test_numbers_for_booleans(tmp_path: Path, one: Any) -> None:
    norm = layer("BatchNormalization", "norm", scale=one, center=0, trainable=one)
    ones = [np.ones(2, np.float32)] * 3
    weights = {"dense": [np.ones((3, 2)), np.ones(2)], "norm": ones}
    model = load_model(write(tmp_path / "model.json", chain(dense(use_bias=one), norm), weights))
    assert model.layers[0].use_bias is True
    assert model.layers[1].scale is True
    assert model.layers[1].center is False


def test_only_and_ignored_values_are_deliberate() -> None:
    """Attributes that are accepted and have no effect: each is here on purpose."""
    without_effect = {
        name
        for entry in LAYERS.values()
        for name, kind in entry.attributes.items()
        if kind is ignored or isinstance(kind, Only)
    }
    assert without_effect == {
        *("quantization_config", "lora_rank", "lora_alpha", "autocast", "seed", "use_cudnn", "optional", "type_spec"),
        *("sparse", "ragged", "renorm", "renorm_clipping", "renorm_momentum", "virtual_batch_size", "adjustment"),
        *("fused", "synchronized", "rms_scaling", "mask", "kernel_range", "bias_range", "depthwise_range"),
        *("beta_range", "gamma_range", "inverse_quantizer", "num_constants", "data_format", "filters"),
        *("kernel_initializer", "kernel_regularizer", "kernel_constraint", "implementation", "activation"),
    }


def test_weights_of_another_network(keras: Any, tmp_path: Path) -> None:
    layers = keras.layers
    one = keras.Sequential([keras.Input((3,)), layers.Dense(4, name="a"), layers.Dense(2, name="b")])
    two = keras.Sequential([keras.Input((3,)), layers.Dense(5, name="a"), layers.Dense(2, name="b")])
    renamed = keras.Sequential([keras.Input((3,)), layers.Dense(4, name="c"), layers.Dense(2, name="d")])
    path = tmp_path / "model.json"
    path.write_text(one.to_json())
    for suffix in ("_weights.h5", ".weights.h5"):
        for old in tmp_path.glob("*.h5"):
            old.unlink()
        save_weights_file(two, tmp_path / f"model{suffix}")
        with pytest.raises(HwflowError, match=r"layer 'a': a weight has shape \(3, 5\) in the file, not \(3, 4\)"):
            load_model(path)
        save_weights_file(renamed, tmp_path / f"model{suffix}")
        for mine, theirs in zip(load_model(path).get_weights(), renamed.get_weights(), strict=True):
            np.testing.assert_array_equal(mine, theirs)
