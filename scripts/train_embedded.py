"""Train the two embedded networks on the digits and write the weights that ship with hwflow.

    python scripts/train_embedded.py

Fixed split, fixed seeds, deterministic kernels, one thread: a second run on the same machine writes the
same bytes. The number of epochs is fixed; the test images are looked at once, at the end.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hwflow.data import Dataset, load_digits
from hwflow.models import WEIGHTS, digits_cnn, digits_qcnn
from hwflow.models._tf import qkeras, tensorflow
from hwflow.models._weights import save_weights

SEED = 1
BATCH = 32
FLOAT_EPOCHS, FLOAT_RATE = 80, 3e-3
QUANTISED_EPOCHS, QUANTISED_RATE = 40, 1e-3
WEIGHT_DECAY = 1e-3

Array = npt.NDArray[np.float32]


def main() -> None:
    """Train both networks, print their accuracies, write their weights."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=WEIGHTS, help="folder of the weight files")
    output: Path = parser.parse_args().output
    output.mkdir(parents=True, exist_ok=True)
    os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"  # oneDNN picks its kernels by the processor
    tf = tensorflow()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()
    train, test = load_digits("train"), load_digits("test")

    tf.keras.utils.set_random_seed(SEED)
    model = digits_cnn()
    fit(model, train, FLOAT_EPOCHS, FLOAT_RATE)
    report(model, train, test)
    save_weights(model, output / "digits_cnn.npz")

    tf.keras.utils.set_random_seed(SEED)
    twin = digits_qcnn()
    fold_batch_norm(model, twin)
    fit(twin, train, QUANTISED_EPOCHS, QUANTISED_RATE)
    put_on_grid(twin)
    report(twin, train, test)
    save_weights(twin, output / "digits_qcnn.npz")


def fit(model: Any, train: Dataset, epochs: int, rate: float) -> None:
    """Train with Adam, decoupled weight decay and a cosine learning rate on jittered images."""
    keras = tensorflow().keras
    steps = epochs * (len(train) // BATCH)
    optimizer = keras.optimizers.AdamW(keras.optimizers.schedules.CosineDecay(rate, steps), WEIGHT_DECAY)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.05)
    model.compile(optimizer, loss)
    rng = np.random.default_rng(SEED)
    started = time.monotonic()
    for epoch in range(epochs):
        losses = [model.train_on_batch(x, y) for x, y in batches(train, rng)]
        print(
            f"\r{model.name}: epoch {epoch + 1}/{epochs}, loss {np.mean(losses):.4f}, "
            f"{time.monotonic() - started:.0f} s ",
            end="", file=sys.stderr, flush=True,
        )  # fmt: skip
    print(file=sys.stderr)


def batches(train: Dataset, rng: np.random.Generator) -> Iterator[tuple[Array, Array]]:
    """Yield one shuffled epoch of (jittered images, one-hot labels)."""
    assert train.labels is not None
    order = rng.permutation(len(train))
    one_hot = np.eye(10, dtype=np.float32)
    for start in range(0, len(train) - BATCH + 1, BATCH):
        chosen = order[start : start + BATCH]
        yield jitter(train.images[chosen], rng), one_hot[train.labels[chosen]]


def jitter(images: Array, rng: np.random.Generator) -> Array:
    """Rotate, scale and shift every image a little, by bilinear interpolation with a black border."""
    count, size = len(images), images.shape[1]
    angle = rng.uniform(-0.2, 0.2, (count, 1, 1))
    zoom = rng.uniform(0.9, 1.1, (count, 2, 1, 1))
    shift = rng.uniform(-0.6, 0.6, (count, 2, 1, 1))
    row, column = np.mgrid[:size, :size] - (size - 1) / 2
    rows = (np.cos(angle) * row - np.sin(angle) * column) * zoom[:, 0] + shift[:, 0]
    columns = (np.sin(angle) * row + np.cos(angle) * column) * zoom[:, 1] + shift[:, 1]
    # One black pixel around the image is enough: whatever falls farther out is clamped onto it.
    padded = np.pad(images[..., 0], ((0, 0), (1, 1), (1, 1)))
    rows = np.clip(rows + (size + 1) / 2, 0, size + 1 - 1e-6)
    columns = np.clip(columns + (size + 1) / 2, 0, size + 1 - 1e-6)
    top, left = rows.astype(int), columns.astype(int)
    down, right = rows - top, columns - left
    which = np.arange(count)[:, None, None]
    upper = padded[which, top, left] * (1 - right) + padded[which, top, left + 1] * right
    lower = padded[which, top + 1, left] * (1 - right) + padded[which, top + 1, left + 1] * right
    jittered: Array = (upper * (1 - down) + lower * down)[..., None].astype(np.float32)
    return jittered


def fold_batch_norm(model: Any, twin: Any) -> None:
    """Give `twin` the weights of `model`, each batch normalisation folded into its convolution."""
    for layer in model.layers:
        if layer.__class__.__name__ == "Dense":
            twin.get_layer(layer.name).set_weights(layer.get_weights())
        if layer.__class__.__name__ == "Conv2D":
            norm = model.get_layer(f"{layer.name}_bn")
            gamma, beta, mean, variance = norm.get_weights()
            scale = gamma / np.sqrt(variance + norm.epsilon)
            twin.get_layer(layer.name).set_weights([layer.get_weights()[0] * scale, beta - mean * scale])


def put_on_grid(twin: Any) -> None:
    """Replace the weights that training kept in float by the values their quantisers make of them."""
    for layer in twin.layers:
        if isinstance(layer, qkeras().QConv2D | qkeras().QDense):
            pairs = zip(layer.get_quantizers(), layer.get_weights(), strict=True)
            layer.set_weights([quantizer(weight).numpy() for quantizer, weight in pairs])


def report(model: Any, train: Dataset, test: Dataset) -> None:
    """Print the accuracy on both splits and the range of every layer's weights."""
    for data in (train, test):
        right = (model.predict(data.images, verbose=0).argmax(-1) == data.labels).sum()
        print(f"{model.name}: {right}/{len(data)} = {100 * right / len(data):.2f} %")
    for layer in model.layers:
        if weights := layer.get_weights():
            print(f"  {layer.name:20s} max|w| {abs(weights[0]).max():.3f}  std {weights[0].std():.3f}")


if __name__ == "__main__":
    main()
