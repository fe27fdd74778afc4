"""Train the CIFAR-10 form of a port in PyTorch and write its weights as a state dict that hwflow loads.

    python scripts/train_cifar.py --data cifar10_train.tar.xz --test-data cifar10_test.tar.xz \\
        --network resnet18 --width 0.25 --epochs 10 --seed 1 -o resnet18_cifar.npz

Images are normalised as by the preprocessing ``cifar``, flipped and shifted. Fixed seeds, deterministic
kernels, one thread: a second run on the same machine writes the same arrays. After every epoch the state is
kept beside the output until the weights are written; the same command takes the training up again from there,
with the same result. The number of epochs is fixed; the test images are looked at once, at the end, by the
network as hwflow loads it.
"""

import argparse
import math
import os
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from hwflow.data import CIFAR, Preprocessing, image_folder, unreadable_text
from hwflow.errors import HwflowError
from hwflow.models import NETWORKS, port

BATCH = 128
RATE = 2e-3
WEIGHT_DECAY = 0.05
LABEL_SMOOTHING = 0.05
SHIFT = 4  # pixels, each way
CLASSES, SIZE, CROP = 10, 32, 24

RAW = Preprocessing(None, None, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), divisor=1.0)

Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Settings:
    """What a training's result depends on, besides the images.

    Attributes:
        network: a port.
        width: multiplies its channels.
        epochs: passes over the images.
        seed: of the first weights, the order and the augmentation.
        rate: the largest learning rate.
        crop_epochs: of the epochs, so many at the start on random crops, which is faster.
    """

    network: str
    width: float
    epochs: int
    seed: int
    rate: float
    crop_epochs: int


def main() -> None:
    """Train, write the weights, load them as a user would and print the accuracy."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="training images: one folder a class, or a tar of it")
    parser.add_argument("--test-data", type=Path, help="test images, likewise; without them, no accuracy")
    parser.add_argument("--network", choices=sorted(NETWORKS), default="resnet18")
    parser.add_argument("--width", type=float, default=0.25, help="multiplies the channels; a multiple of 1/16")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=RATE, help="the largest learning rate")
    parser.add_argument(
        "--crop-epochs", type=int, default=0, help=f"first epochs on {CROP}x{CROP} crops, 0.6 of the work; not alexnet"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="state dict to write, .npz")
    given = parser.parse_args()
    if given.output.suffix != ".npz" or not given.output.resolve().parent.is_dir():
        parser.error("the output ends in .npz, in a folder that exists")
    if not 0 <= given.crop_epochs <= given.epochs or given.epochs < 1 or given.rate <= 0 or given.seed < 0:
        parser.error("at least one epoch, of which the first may be on crops; a positive rate; a seed from 0")
    if given.network == "alexnet" and given.crop_epochs:
        parser.error("alexnet has one size of image only, for its dense layers")
    if not (16 * given.width).is_integer() or not 0 < given.width <= 1:
        parser.error("the width is a multiple of 1/16 up to 1, so that it can be told from the weights")
    try:
        settings = Settings(given.network, given.width, given.epochs, given.seed, given.rate, given.crop_epochs)
        checkpoint = given.output.with_suffix(".checkpoint")
        network = train(settings, *read_images(given.data), checkpoint)
        save(network, given.output)
        checkpoint.unlink()
        print(f"{given.output}: {given.output.stat().st_size} bytes")
        if given.test_data is not None:
            report(given.network, given.output, *read_images(given.test_data))
    except HwflowError as error:
        sys.exit(f"error: {error}")


def read_images(source: Path) -> tuple[Pixels, Labels]:
    """Return the images (N, 32, 32, 3) and labels (N,) of a folder of class folders, or of a tar of one."""
    with unpacked(source) as folder:
        images = image_folder(folder, RAW)
        pixels = []
        for batch in images.batches(BATCH):
            if batch.unreadable:
                raise HwflowError(unreadable_text(batch.unreadable, len(images)))
            if batch.images.shape[1:3] != (SIZE, SIZE) or len(images.classes) != CLASSES:
                raise HwflowError(f"{source}: not {CLASSES} classes of {SIZE}x{SIZE} images")
            pixels.append(batch.images.astype(np.uint8))
    assert images.labels is not None
    return np.concatenate(pixels), images.labels


@contextmanager
def unpacked(source: Path) -> Iterator[Path]:
    """Yield the folder of `source`: itself, or where a tar of it lies unpacked meanwhile."""
    if source.is_dir():
        yield source
        return
    with tempfile.TemporaryDirectory(prefix="hwflow-") as folder:
        try:
            with tarfile.open(source) as archive:
                archive.extractall(folder, filter="data")
        except (OSError, tarfile.TarError) as error:
            raise HwflowError(f"{source}: neither a folder nor a readable tar file") from error
        yield Path(folder)


def train(settings: Settings, pixels: Pixels, labels: Labels, checkpoint: Path) -> "Network":
    """Return the trained network: AdamW, a one-cycle learning rate, the state in `checkpoint` as it goes."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(settings.seed)
    keras_model = NETWORKS[settings.network](input_shape=(SIZE, SIZE, 3), classes=CLASSES, width=settings.width)
    network = Network(keras_model)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # PyTorch's own overload lacks it
    trainable = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [each for each in trainable if each.ndim > 1]},
        {"params": [each for each in trainable if each.ndim == 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, settings.rate, weight_decay=WEIGHT_DECAY)
    steps = settings.epochs * (len(pixels) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.rate, total_steps=steps + 1)
    loss_function = nn.CrossEntropyLoss(label_smoothing=LABEL_SMOOTHING)
    parts = {"network": network, "optimizer": optimizer, "schedule": schedule}
    for epoch in range(resume(checkpoint, settings, parts), settings.epochs):
        started, losses, right = time.monotonic(), [], 0
        torch.manual_seed(1000 * settings.seed + epoch)  # of dropout
        network.train()
        size = CROP if epoch < settings.crop_epochs else SIZE
        for images, truth in batches(pixels, labels, size, np.random.default_rng((settings.seed, epoch))):
            optimizer.zero_grad()
            logits = network(images)
            loss = loss_function(logits, truth)
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
            right += int((logits.argmax(1) == truth).sum())
        print(
            f"{settings.network}: epoch {epoch + 1}/{settings.epochs}, loss {np.mean(losses):.4f}, training accuracy "
            f"{100 * right / (BATCH * len(losses)):.2f} %, {time.monotonic() - started:.0f} s",
            file=sys.stderr, flush=True,
        )  # fmt: skip
        keep(checkpoint, settings, parts, epoch + 1)
    return network


def keep(path: Path, settings: Settings, parts: dict[str, Any], epoch: int) -> None:
    """Write the state after `epoch` epochs, whole or not at all."""
    state = {name: part.state_dict() for name, part in parts.items()}
    unfinished = path.with_suffix(".unfinished")
    torch.save({"settings": asdict(settings), "epoch": epoch, **state}, unfinished)
    os.replace(unfinished, path)


def resume(path: Path, settings: Settings, parts: dict[str, Any]) -> int:
    """Take up the state that `keep` wrote, if there is one, and return its number of epochs."""
    if not path.is_file():
        return 0
    state = torch.load(path, weights_only=True)
    if state["settings"] != asdict(settings):
        raise HwflowError(f"{path}: of another training, {state['settings']}; finish that one, or delete the file")
    for name, part in parts.items():
        part.load_state_dict(state[name])
    return int(state["epoch"])


def batches(
    pixels: Pixels, labels: Labels, size: int, rng: np.random.Generator
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield one shuffled epoch of (flipped and shifted images of `size` pixels a side, labels)."""
    padded = np.pad(pixels, ((0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT), (0, 0)), "reflect")
    order = rng.permutation(len(pixels))
    for start in range(0, len(pixels) - BATCH + 1, BATCH):
        chosen = order[start : start + BATCH]
        top, left = rng.integers(0, 2 * SHIFT + SIZE - size + 1, (2, BATCH, 1))
        rows, columns = top + np.arange(size), left + np.arange(size)
        flipped = rng.integers(0, 2, BATCH, dtype=bool)
        columns[flipped] = columns[flipped, ::-1]
        images = padded[chosen[:, None, None], rows[:, :, None], columns[:, None, :]]
        yield as_tensor(images), torch.from_numpy(labels[chosen])


def as_tensor(images: Pixels) -> torch.Tensor:
    """Return images (N, height, width, channels) as the networks see them, in PyTorch's order of axes."""
    return torch.from_numpy(CIFAR.normalise(images)).permute(0, 3, 1, 2)


class Network(nn.Module):
    """The same network as a Keras port in PyTorch, untrained; its modules have torchvision's names."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.graph: list[tuple[str, list[str]]] = []
        self.layers = nn.ModuleDict()
        for layer in model.layers:
            sources = layer.input if isinstance(layer.input, list) else [layer.input]
            self.graph.append((layer.name, [source.node.layer.name for source in sources]))
            self.layers[layer.name] = module(layer)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits (N, classes) of `images` (N, channels, height, width)."""
        values: dict[str, torch.Tensor] = {}
        (first, _), *others = self.graph
        values[first] = images
        for name, sources in others:
            values[name] = self.layers[name](*(values[source] for source in sources))
        return values[name]


class Together(nn.Module):
    """The sum of two tensors, or their channels one after the other."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.add = kind == "Add"

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Join (N, channels, height, width) with another."""
        return x + y if self.add else torch.cat([x, y], 1)


def module(layer: Any) -> nn.Module:
    """Return the PyTorch module of a Keras layer, untrained; one that is not to be trained keeps its weights."""
    match type(layer).__name__:
        case "Conv2D":
            (n_out, n_in), kernel = layer.kernel.shape[:1:-1], layer.kernel_size
            padding = "same" if layer.padding == "same" else 0
            conv = nn.Conv2d(n_in, n_out, kernel, layer.strides, padding, bias=layer.use_bias)
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            if not layer.trainable:
                conv.weight.data = torch.from_numpy(layer.kernel.numpy().transpose(3, 2, 0, 1).copy())
                conv.requires_grad_(False)
            return conv
        case "Dense":
            dense = nn.Linear(*layer.kernel.shape)
            nn.init.kaiming_normal_(dense.weight, nonlinearity="relu")
            nn.init.zeros_(dense.bias)
            return dense
        case "BatchNormalization":
            return nn.BatchNorm2d(layer.gamma.shape[0], layer.epsilon, 1 - layer.momentum)
        case "ZeroPadding2D":
            return nn.ZeroPad2d(tuple(pixels for sides in reversed(layer.padding) for pixels in sides))
        case "MaxPooling2D":
            return nn.MaxPool2d(layer.pool_size, layer.strides)
        case "AveragePooling2D":
            return nn.AvgPool2d(layer.pool_size, layer.strides)
        case "GlobalAveragePooling2D":
            return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        case "Activation":
            return nn.ReLU()
        case "Add" | "Concatenate" as kind:
            return Together(kind)
        case "Flatten":
            return nn.Flatten()
        case "Dropout":
            return nn.Dropout(layer.rate)
        case "InputLayer":
            return nn.Identity()
        case other:
            raise HwflowError(f"{layer.name}: no PyTorch module for a {other}")


def save(network: Network, path: Path) -> None:
    """Write torchvision's names and orders of axes: kernels in float16, the rest in float32."""
    arrays = {}
    for name, layer in network.layers.items():
        if all(parameter.requires_grad for parameter in layer.parameters()):
            for key, tensor in layer.state_dict().items():
                if key != "num_batches_tracked":
                    dtype = np.float16 if tensor.ndim > 1 else np.float32
                    arrays[f"{name.replace('_', '.')}.{key}"] = tensor.numpy().astype(dtype)
    np.savez_compressed(path, **arrays)


def report(name: str, weights: Path, pixels: Pixels, labels: Labels) -> None:
    """Print the accuracy of the weights, loaded by hwflow, with its standard error."""
    model = port(name, weights, CLASSES, SIZE)
    logits = model.predict(CIFAR.normalise(pixels), verbose=0)
    right = int((logits.argmax(-1) == labels).sum())
    fraction = right / len(labels)
    error = math.sqrt(fraction * (1 - fraction) / len(labels))
    print(f"{name}: {right}/{len(labels)} = {100 * fraction:.2f} ± {100 * error:.2f} % of the test images")


if __name__ == "__main__":
    main()
