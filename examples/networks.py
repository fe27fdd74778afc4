"""Five kinds of networks, trained on data made here, and run by all three executors under the same faults.

    python examples/networks.py                        all: unet keywords jets regressor tagger
    python examples/networks.py --networks jets --simulator icarus

For each it prints what Keras and the hardened network reach on test data, and how many output codes of the C simulation
and of the RTL differ from the reference, without faults and at a bit error rate of 1e-2; status 1 if any does.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import hwflow
from hwflow.cost.reuse import choose_reuse
from hwflow.faults import sample_ber
from hwflow.firmware import CsimExecutor
from hwflow.firmware import generate as generate_firmware
from hwflow.frontends.packed import pack
from hwflow.memory import memories
from hwflow.models import load_model
from hwflow.reference import IntegerExecutor
from hwflow.rtl import RtlExecutor
from hwflow.rtl import generate as generate_rtl

SAMPLES, TEST, COMPARED = 1500, 300, 3
BER = 1e-2


@dataclass(frozen=True)
class Task:
    """A trained network and what to judge it by.

    Attributes:
        model: of Keras.
        inputs: of the test data, as the hardened network takes them.
        targets: as the score takes them.
        keras: Keras' outputs, row by row.
        score: outputs and targets to a figure.
        what: the figure's name.
    """

    model: Any
    inputs: np.ndarray
    targets: np.ndarray
    keras: np.ndarray
    score: Callable[[np.ndarray, np.ndarray], float]
    what: str


def trained(model: Any, x: Any, y: np.ndarray, loss: str, epochs: int) -> Any:
    import tensorflow as tf

    model.compile(tf.keras.optimizers.Adam(3e-3), loss)
    model.fit(x, y, batch_size=32, epochs=epochs, verbose=0)
    return model


def top1(outputs: np.ndarray, classes: np.ndarray) -> float:
    return 100 * float((outputs.argmax(axis=1) == classes).mean())


def right_bits(outputs: np.ndarray, bits: np.ndarray) -> float:
    return 100 * float(((outputs > 0.5) == (bits.reshape(outputs.shape) > 0.5)).mean())


def unet(rng: np.random.Generator) -> Task:
    """Segmentation: which pixels of a noisy image are in a disc; a U-Net with upsampling and concatenation."""
    import tensorflow as tf

    layers = tf.keras.layers
    side = 16
    rows, columns = np.mgrid[:side, :side]
    centres = rng.uniform(4, 12, (SAMPLES, 2, 1, 1))
    inside = np.hypot(rows - centres[:, 0], columns - centres[:, 1]) < rng.uniform(2, 5, (SAMPLES, 1, 1))
    masks = inside[..., None].astype(np.float32)
    images = (masks + rng.normal(0, 0.5, masks.shape)).astype(np.float32)
    image = layers.Input((side, side, 1))
    wide = layers.Conv2D(6, 3, padding="same", activation="relu", name="down1")(image)
    deep = layers.Conv2D(12, 3, padding="same", activation="relu", name="down2")(layers.MaxPooling2D()(wide))
    joined = layers.Concatenate(name="skip")([layers.UpSampling2D(name="up")(deep), wide])
    out = layers.Conv2D(6, 3, padding="same", activation="relu", name="up1")(joined)
    model = tf.keras.Model(image, layers.Conv2D(1, 1, activation="sigmoid", name="mask")(out), name="unet")
    model = trained(model, images[TEST:], masks[TEST:], "binary_crossentropy", 4)
    return _task(model, images[:TEST], masks[:TEST].reshape(TEST, -1), right_bits, "right pixels, %")


def keywords(rng: np.random.Generator) -> Task:
    """A depthwise separable network on spectrograms, each with a tone that rises, falls, stays, or is not there."""
    import tensorflow as tf

    layers = tf.keras.layers
    steps, bands = 20, 10
    classes = rng.integers(4, size=SAMPLES)
    slope = np.array([0.3, -0.3, 0.0, 0.0])[classes][:, None]
    track = rng.uniform(3, 7, (SAMPLES, 1)) + slope * (np.arange(steps) - steps / 2)
    tone = np.exp(-np.square(np.arange(bands) - track[..., None])) * (classes != 3)[:, None, None]
    sounds = (tone + rng.normal(0, 0.25, tone.shape)).astype(np.float32)[..., None]
    sound = layers.Input((steps, bands, 1))
    x = layers.Conv2D(8, (4, 3), strides=2, padding="same", activation="relu", name="stem")(sound)
    for number in (1, 2):
        x = layers.SeparableConv2D(12, 3, padding="same", name=f"separable{number}")(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.8)(x))
    x = layers.Dense(4, activation="softmax", name="keyword")(layers.GlobalAveragePooling2D()(x))
    model = trained(
        tf.keras.Model(sound, x, name="keywords"), sounds[TEST:], classes[TEST:], "sparse_categorical_crossentropy", 15
    )
    return _task(model, sounds[:TEST], classes[:TEST], top1, "top-1, %")


def jets(rng: np.random.Generator) -> Task:
    """A tagger of 16 features with a sigmoid for each of five tags, of which several may be true."""
    import tensorflow as tf
    from sklearn.datasets import make_multilabel_classification

    layers = tf.keras.layers
    x, y = make_multilabel_classification(SAMPLES, 16, n_classes=5, random_state=int(rng.integers(1000)))
    x = ((x - x.mean(axis=0)) / x.std(axis=0)).astype(np.float32)
    model = tf.keras.Sequential(
        [
            layers.Input((16,)),
            layers.Dense(32, activation="relu", name="fc1"),
            layers.Dense(16, activation="tanh", name="fc2"),
            layers.Dense(5, activation="sigmoid", name="tags"),
        ],
        name="jets",
    )
    model = trained(model, x[TEST:], y[TEST:], "binary_crossentropy", 15)
    return _task(model, x[:TEST], y[:TEST], right_bits, "right tags, %")


def regressor(rng: np.random.Generator) -> Task:
    """Two inputs, an image and a vector, to one number: the brightness where the vector points, times a factor."""
    import tensorflow as tf

    layers = tf.keras.layers
    images = rng.uniform(0, 1, (SAMPLES, 8, 8, 1)).astype(np.float32)
    vectors = rng.uniform(-1, 1, (SAMPLES, 3)).astype(np.float32)
    y = images[:, :4].mean(axis=(1, 2, 3)) * vectors[:, 0] + images[:, 4:].mean(axis=(1, 2, 3)) * vectors[:, 1]
    image, vector = layers.Input((8, 8, 1), name="image"), layers.Input((3,), name="vector")
    x = layers.Conv2D(4, 3, strides=2, activation="relu", name="conv")(image)
    x = layers.Concatenate(name="both")([layers.Flatten()(x), layers.Dense(12, activation="relu", name="in")(vector)])
    x = layers.Dense(24, activation="relu", name="mix")(x)
    model = tf.keras.Model([image, vector], layers.Dense(1, name="value")(x), name="regressor")
    trained(model, [images[TEST:], vectors[TEST:]], y[TEST:], "mse", 15)
    keras = model.predict([images[:TEST], vectors[:TEST]], verbose=0)
    inputs = pack([images[:TEST], vectors[:TEST]])
    return Task(model, inputs, y[:TEST, None], keras, _explained, "explained variance, %")


def _explained(outputs: np.ndarray, targets: np.ndarray) -> float:
    return 100 * float(1 - np.var(outputs - targets) / np.var(targets))


def tagger(rng: np.random.Generator) -> Task:
    """An LSTM on sequences of eight steps: whether the first feature was larger early or late."""
    import tensorflow as tf

    layers = tf.keras.layers
    x = rng.normal(size=(SAMPLES, 8, 3)).astype(np.float32)
    classes = (x[:, :4, 0].sum(axis=1) > x[:, 4:, 0].sum(axis=1)).astype(np.int64)
    model = tf.keras.Sequential([layers.Input((8, 3)), layers.LSTM(6, name="lstm"), layers.Dense(2, name="tag")])
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model = trained(model, x[TEST:], classes[TEST:], loss, 25)
    return _task(model, x[:TEST], classes[:TEST], top1, "top-1, %")


def _task(model: Any, inputs: np.ndarray, targets: np.ndarray, score: Callable[..., float], what: str) -> Task:
    return Task(model, inputs, targets, model.predict(inputs, verbose=0), score, what)


NETWORKS: dict[str, Callable[[np.random.Generator], Task]] = {
    each.__name__: each for each in (unet, keywords, jets, regressor, tagger)
}


def run(name: str, simulator: str, seed: int) -> bool:
    """Train, harden, compare and print; whether all executors agree."""
    import tensorflow as tf

    tf.keras.utils.set_random_seed(seed)
    task = NETWORKS[name](np.random.default_rng(seed))
    with tempfile.TemporaryDirectory() as made:
        work = Path(made)
        np.savez(work / "x.npz", x=task.inputs)
        design = hwflow.harden(task.model, work / "design", calibration=work / "x.npz")
        reference = IntegerExecutor(design.graph)
        codes = reference.encode(task.inputs)
        outputs = reference.decode(reference.run(codes))
        clean, hardened = (task.score(each.reshape(TEST, -1), task.targets) for each in (task.keras, outputs))
        print(f"{name}: {task.what}: Keras {clean:.1f}, hardened {hardened:.1f}; {len(design.graph.nodes)} nodes")
        # The RTL of a network that ends in a softmax ends at its logits.
        graph, reuse = design.graph.in_rtl, choose_reuse(design.graph)
        generate_rtl(graph, work / "rtl", reuse)
        keras = load_model(design.path / "model.h5")
        generate_firmware(design.graph, keras, work / "csim", reuse=reuse)
        executors = {
            "C simulation": (CsimExecutor(work / "csim", design.graph), reference),
            "RTL": (RtlExecutor(work / "rtl", graph, simulator), IntegerExecutor(graph)),
        }
        agree = True
        for label, (executor, expected) in executors.items():
            digest = expected.graph.digest
            for faults in (None, sample_ber(memories(expected.graph), BER, seed, digest)):
                found = executor.run(codes[:COMPARED], faults)
                wrong = int((found != expected.run(codes[:COMPARED], faults)).sum())
                what = "no faults" if faults is None else f"{len(faults)} flips"
                print(f"  {label}, {what}: {wrong} of {found.size} codes differ")
                agree = agree and not wrong
    return agree


def main() -> None:
    """Run the networks named, by default all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="*", default=list(NETWORKS), choices=NETWORKS, help="by default all")
    parser.add_argument("--simulator", default="verilator", choices=("icarus", "verilator"))
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    results = [run(name, options.simulator, options.seed) for name in options.networks]
    sys.exit(not all(results))


if __name__ == "__main__":
    main()
