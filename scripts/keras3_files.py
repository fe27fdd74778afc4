"""Write small networks as Keras 3 saves them, with inputs and what it computes from them, into one archive.

Run it where Keras 3 is installed, which hwflow's own environment has not (it needs Keras 2):

    python3 -m venv keras3 && keras3/bin/pip install keras jax
    keras3/bin/python scripts/keras3_files.py networks.tar.xz

The QKeras networks are written where qkeras-v3 is installed, which needs TensorFlow. `tests/data/keras3` has what
Keras 3.15.1 and qkeras-v3 1.2.1 wrote.
"""

import argparse
import importlib.util
import os
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

QKERAS = importlib.util.find_spec("qkeras") is not None
os.environ.setdefault("KERAS_BACKEND", "tensorflow" if QKERAS else "jax")

import keras  # noqa: E402  after its backend is chosen
import numpy as np  # noqa: E402
from keras import layers  # noqa: E402

IMAGES = 4
SUFFIXES = (".keras", ".h5", ".json")


def chain() -> keras.Model:
    """A Sequential CNN with batch normalisation that ends in softmax."""
    return keras.Sequential(
        [
            keras.Input((8, 8, 2)),
            layers.Conv2D(3, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(max_value=6.0),
            layers.MaxPooling2D(2),
            layers.Dropout(0.2),
            layers.Flatten(),
            layers.Dense(4, activation="relu", kernel_regularizer="l2"),
            layers.Dense(3, activation="softmax"),
        ],
        name="chain",
    )


def branches() -> keras.Model:
    """Branches that are added and concatenated; a layer and a nested network, each called twice; two inputs."""
    first, second = keras.Input((6, 6, 2), name="first"), keras.Input((6, 6, 2), name="second")
    shared = layers.Conv2D(3, 3, padding="same", activation="relu", name="shared")
    inside = keras.Input((6, 6, 3))
    nested = keras.Model(
        inside, layers.Conv2D(3, 1, name="nested_1")(layers.Conv2D(2, 1, name="nested_2")(inside)), name="nested"
    )
    a, b = shared(first), shared(second)
    total = layers.Add()([nested(a), nested(b)]) + a
    joined = layers.Concatenate()([total, layers.Multiply()([a, b])])
    means = layers.GlobalAveragePooling2D()(joined)
    return keras.Model([first, second], [layers.Dense(2, name="left")(means), layers.Dense(3, name="right")(means)])


def planes() -> keras.Model:
    """The other layers of images."""
    x = image = keras.Input((9, 9, 2))
    x = layers.SeparableConv2D(4, 3, padding="same", depth_multiplier=2)(x)
    x = layers.LeakyReLU(negative_slope=0.2)(x)
    x = layers.DepthwiseConv2D(3, strides=2)(x)
    x = layers.BatchNormalization(scale=False, epsilon=0.01)(x)
    x = layers.ZeroPadding2D(((1, 0), (0, 2)))(layers.ELU(alpha=0.5)(x))
    x = layers.UpSampling2D(2)(layers.Cropping2D(((1, 0), (1, 1)))(x))
    x = layers.PReLU(shared_axes=[1, 2])(x)
    x = layers.AveragePooling2D(2)(layers.Conv2D(3, (1, 3), activation="leaky_relu")(x))
    x = layers.Permute((2, 1, 3))(x)
    x = layers.Maximum()([x, layers.Activation("sigmoid")(x)])
    return keras.Model(image, layers.Softmax()(layers.Flatten()(x)), name="planes")


def rows() -> keras.Model:
    """The layers of sequences."""
    x = sequence = keras.Input((6, 3))
    x = layers.Conv1D(4, 3, padding="causal", activation="tanh")(x)
    x = layers.LayerNormalization()(x)
    x = layers.LSTM(3, return_sequences=True)(x)
    x = layers.Bidirectional(layers.GRU(2, return_sequences=True, name="both"))(x)
    x = layers.TimeDistributed(layers.Dense(3, activation="softsign"))(x)
    x = layers.MaxPooling1D(2)(x)
    x = layers.SimpleRNN(4)(x)
    return keras.Model(sequence, layers.Dense(2)(layers.Reshape((4,))(x)), name="rows")


def quantised() -> keras.Model:
    """QKeras' layers, of qkeras-v3."""
    import qkeras

    weights = qkeras.quantized_bits(6, 1, alpha=1.0)
    return keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            qkeras.QConv2D(3, 3, kernel_quantizer=weights, bias_quantizer=qkeras.quantized_bits(8, 2), name="conv"),
            qkeras.QActivation("quantized_relu(6,2)", name="act"),
            layers.Flatten(),
            qkeras.QDense(3, kernel_quantizer=weights, bias_quantizer=qkeras.quantized_bits(8, 2), name="dense"),
            qkeras.QActivation(qkeras.quantized_bits(8, 4), name="out"),
        ],
        name="quantised",
    )


def separable() -> keras.Model:
    """QKeras' other convolutions, its normalisation, and quantisers that find their scale."""
    import qkeras

    weights = "quantized_bits(5,0,alpha='auto_po2')"
    x = image = keras.Input((6, 6, 2))
    x = qkeras.QSeparableConv2D(3, 3, depthwise_quantizer=weights, pointwise_quantizer="quantized_po2(4)")(x)
    x = qkeras.QBatchNormalization()(x)
    x = qkeras.QDepthwiseConv2D(2, depthwise_quantizer="ternary()", activation="quantized_tanh(6)")(x)
    x = qkeras.QConv2D(3, 1, kernel_quantizer="binary(alpha=1)", activation="hard_sigmoid")(x)
    return keras.Model(image, layers.Flatten()(x), name="separable")


Builder = Callable[[], keras.Model]
NETWORKS: dict[str, tuple[Builder, tuple[str, ...]]] = {
    "chain": (chain, (".keras", ".json")),
    "branches": (branches, SUFFIXES),
    "planes": (planes, (".keras", ".h5")),
    "rows": (rows, (".keras", ".h5")),
}
QNETWORKS: dict[str, tuple[Builder, tuple[str, ...]]] = {
    "quantised": (quantised, SUFFIXES),
    "separable": (separable, (".keras", ".h5")),
}


def write(folder: Path, name: str, model: keras.Model, suffixes: tuple[str, ...]) -> None:
    """Give every variable a random value, save the network in each way, and what it computes."""
    rng = np.random.default_rng(len(name))
    for variable in model.variables:
        if "seed" not in variable.path:
            values = rng.uniform(0.5, 1.5, variable.shape) if "variance" in variable.path else None
            variable.assign(rng.normal(0, 0.4, variable.shape) if values is None else values)
    inputs = [rng.normal(size=(IMAGES, *tensor.shape[1:])).astype(np.float32) for tensor in model.inputs]
    outputs = model.predict(inputs, verbose=0)
    outputs = outputs if isinstance(outputs, list) else [outputs]
    arrays = {f"x{index}": values for index, values in enumerate(inputs)}
    np.savez_compressed(folder / f"{name}.npz", **arrays, **{f"y{index}": out for index, out in enumerate(outputs)})
    for suffix in suffixes:
        if suffix == ".json":
            (folder / f"{name}.json").write_text(model.to_json())
            model.save_weights(folder / f"{name}.weights.h5")
        else:
            model.save(folder / f"{name}{suffix}")


def main() -> None:
    """Write all networks into the archive that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path, help="the .tar.xz to write")
    archive = parser.parse_args().archive
    with tempfile.TemporaryDirectory() as folder, tarfile.open(archive, "w:xz") as tar:
        for name, (build, suffixes) in (NETWORKS | (QNETWORKS if QKERAS else {})).items():
            write(Path(folder), name, build(), suffixes)
        for file in sorted(Path(folder).iterdir()):
            tar.add(file, file.name)


if __name__ == "__main__":
    main()
