"""How well `hwflow sensitivity` ranks stored bits, beside rankings by derivatives of the loss, on the same network.

Peers, as FKeras and others rank bits of quantised networks: the diagonal of the Hessian of the cross-entropy
(Hutchinson's estimator, 64 probes) times the square of what a flip changes of the weight; the size of the gradient
times that change; both together, with their signs; and the position of the bit alone. All are held against exact runs
of the same random single flips: the error of the logits, the size of the change of the cross-entropy, and that change.
Prints Spearman's rank correlations, and how many of the worst tenth by the logits and by the loss each finds.

`--ranking FILE` adds that of another tool, a CSV file with a row for every bit: `layer`, `index` of the weight in
Keras' kernel, row-major, `bit` (0 the least significant), `score`. `benchmarks/fkeras_ranking.py` makes one with
FKeras, from the model and the images that `--export DIR` writes.
"""

import argparse
import csv
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np

import hwflow
from hwflow.memory.flips import single_flips
from hwflow.reference import IntegerExecutor
from hwflow.stages.sensitivity import rank_correlation, sensitivity

PROBES = 64


def derivatives(model, images, labels, names):
    """Gradient and diagonal of the Hessian of the mean cross-entropy in every layer's weights, by layer."""
    import tensorflow as tf

    kernels = [model.get_layer(name).kernel for name in names]
    x, y = tf.constant(images), tf.constant(labels)
    rng = np.random.default_rng(1)
    diagonal = [np.zeros(kernel.shape) for kernel in kernels]
    for _ in range(PROBES):
        probes = [tf.constant(rng.choice([-1.0, 1.0], kernel.shape), tf.float32) for kernel in kernels]
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                loss = tf.reduce_mean(tf.keras.losses.sparse_categorical_crossentropy(y, model(x), from_logits=True))
            gradients = inner.gradient(loss, kernels)
            along = tf.add_n([tf.reduce_sum(g * v) for g, v in zip(gradients, probes, strict=True)])
        products = outer.gradient(along, kernels)
        for total, product, probe in zip(diagonal, products, probes, strict=True):
            total += (product * probe).numpy() / PROBES
    return {name: (g.numpy(), h) for name, g, h in zip(names, gradients, diagonal, strict=True)}


def export(design, data, folder):
    """The Keras model and the images, for another tool."""
    folder.mkdir(parents=True)
    shutil.copyfile(design.path / "model.h5", folder / "model.h5")
    np.savez(folder / "images.npz", images=data.images, labels=data.labels)


def ranking_of(path, graph):
    """The scores of another tool's ranking, by memory, word and bit."""
    layers = {layer.name: layer for layer in graph.weight_layers}
    found = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            layer = layers[row["layer"]]
            source, output = divmod(int(row["index"]), layer.n_out)
            found[f"{layer.name}.weight", output * layer.n_in + source, int(row["bit"])] = float(row["score"])
    return found


def loss_of(logits, labels):
    shifted = logits - logits.max(axis=1, keepdims=True)
    return float(np.mean(np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="digits_qcnn", help="embedded network without batch normalisation")
    parser.add_argument("--images", type=int, default=256, help="test images of the exact runs and of the derivatives")
    parser.add_argument("--sample", type=int, default=2000, help="random bits")
    parser.add_argument("--scale", default="exact", choices=("exact", "pow2"))
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--ranking", type=Path, action="append", default=[], metavar="FILE", help="of another tool")
    parser.add_argument("--export", type=Path, metavar="DIR", help="write model and images there, and end")
    options = parser.parse_args()
    digits = hwflow.load_digits().head(options.images)
    with tempfile.TemporaryDirectory() as folder:
        scaling = hwflow.ScalingOptions(scale=options.scale)
        design = hwflow.harden(options.model, Path(folder) / "design", hwflow.HardenOptions(scaling))
        if options.export is not None:
            export(design, digits, options.export)
            return
        graph = design.graph.logits
        found = sensitivity(
            design, digits, images=options.images, confirmed=1, sampled=options.sample, seed=options.seed
        )
        start = time.perf_counter()
        names = [layer.name for layer in graph.weight_layers]
        by_layer = derivatives(design.keras_model(), digits.images, digits.labels, names)
        seconds = time.perf_counter() - start
    both, hessian, gradient, position = {}, {}, {}, {}
    for layer in graph.weight_layers:
        slopes, curves = (np.moveaxis(each, -1, 0).reshape(-1) for each in by_layer[layer.name])
        constant = next(row["c"] for row in design.layers() if row["name"] == layer.name)
        for words, bit, index, change in single_flips(layer):
            moved = change[:, 0] * layer.weight.type.lsb / constant
            for word, place, by in zip(words.tolist(), index[:, 0].tolist(), moved.tolist(), strict=True):
                key = f"{layer.name}.weight", word, bit
                gradient[key] = abs(slopes[place] * by)
                hessian[key] = abs(curves[place]) * by**2 / 2
                both[key] = slopes[place] * by + curves[place] * by**2 / 2
                position[key] = bit
    runner = IntegerExecutor(graph)
    codes = runner.encode(digits.images)
    batch = runner.clean_prefix(codes)
    prone = hwflow.memories(graph)
    numbers = {memory.name: number for number, memory in enumerate(prone)}
    clean = loss_of(runner.decode(batch.run()), digits.labels)
    losses = []
    for each in found.sample:
        place = (np.array([value]) for value in (numbers[each.memory], each.word, each.bit))
        faults = hwflow.FaultList(prone, *place, None, graph.digest)
        losses.append(loss_of(runner.decode(batch.run(faults)), digits.labels) - clean)
    errors = [each.error for each in found.sample]
    rankings = {
        "`hwflow sensitivity`": [each.estimate for each in found.sample],
        "Hessian's diagonal": [hessian[each.memory, each.word, each.bit] for each in found.sample],
        "gradient and Hessian's diagonal, signed": [both[each.memory, each.word, each.bit] for each in found.sample],
        "gradient": [gradient[each.memory, each.word, each.bit] for each in found.sample],
        "bit position": [position[each.memory, each.word, each.bit] for each in found.sample],
    }
    for path in options.ranking:
        scores = ranking_of(path, graph)
        rankings[path.stem] = [scores[each.memory, each.word, each.bit] for each in found.sample]
    tenth = len(errors) // 10
    worst = [set(np.argsort(-np.array(truth), kind="stable")[:tenth]) for truth in (errors, losses)]
    seen = f"{options.model}, {options.images} images, {len(errors)} of {found.bits} bits"
    print(f"{seen}; estimate {found.seconds:.2f} s, derivatives {seconds:.1f} s;")
    print(f"{found.faults_per_second:.0f} exact flips a second\n")
    print("| ranking | error of the logits | size of the loss's change | loss's change | worst tenth: logits, loss |")
    print("|---|---|---|---|---|")
    for name, values in rankings.items():
        first = set(np.argsort(-np.array(values), kind="stable")[:tenth])
        hits = ", ".join(f"{100 * len(first & truth) / tenth:.0f} %" for truth in worst)
        ranks = " | ".join(f"{rank_correlation(values, truth):.3f}" for truth in (errors, np.abs(losses), losses))
        print(f"| {name} | {ranks} | {hits} |")


if __name__ == "__main__":
    main()
