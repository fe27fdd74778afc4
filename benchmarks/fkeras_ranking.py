"""FKeras' own ranking of the bits of a QKeras network, as a file for `benchmarks/sensitivity.py --ranking`.

FKeras (https://github.com/KastnerRG/fkeras) is no package of a registry and pulls a second Keras, so this script runs
in an environment of its own, without hwflow:

    python3.11 -m venv peer
    peer/bin/pip install tensorflow-cpu==2.15.1 keras==2.15.0 qkeras==0.9.0 tensorflow-model-optimization==0.7.5 \
        numpy==1.26.4 pyparsing scipy scikit-learn tqdm networkx keras-tuner
    peer/bin/pip install --no-deps git+https://github.com/KastnerRG/fkeras
    python benchmarks/sensitivity.py --export peer/network        # model.h5 and images.npz
    peer/bin/python benchmarks/fkeras_ranking.py peer/network peer/fkeras.csv
    python benchmarks/sensitivity.py --ranking peer/fkeras.csv

The largest eigenvalues and their eigenvectors of the Hessian of the cross-entropy score every weight
(`hessian_ranking_general`, strategy sum); bits are ordered by position first, by weight within it
(`convert_param_ranking_to_msb_bit_ranking`), or with `--bits power` by score times the bit's weight (`rank_bits`).
"""

import argparse
import contextlib
import csv
import io
import time
from pathlib import Path

BITS = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", type=Path, help="folder with model.h5 and images.npz")
    parser.add_argument("ranking", type=Path, help="CSV file to write: layer, index, bit, score")
    parser.add_argument("--eigenvectors", type=int, default=8)
    parser.add_argument("--bits", default="msb", choices=("msb", "power"))
    options = parser.parse_args()
    import fkeras
    import numpy as np
    import qkeras
    import tensorflow as tf
    from fkeras.metrics.hessian import HessianMetrics

    # The layers that FKeras takes, in the place of QKeras' own that they extend.
    names = {}
    qkeras.utils._add_supported_quantized_objects(names)
    names |= {"QConv2D": fkeras.FQConv2D, "QDense": fkeras.FQDense}
    model = tf.keras.models.load_model(options.network / "model.h5", custom_objects=names, compile=False)
    with np.load(options.network / "images.npz") as data:
        images, labels = data["images"], data["labels"]
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        metrics = HessianMetrics(model, loss, images, labels, batch_size=len(images))
        values, vectors = metrics.top_k_eigenvalues(k=options.eigenvectors, rank_BN=False)
        ranking, scores = metrics.hessian_ranking_general(vectors, values, k=options.eigenvectors)
        if options.bits == "msb":
            order = metrics.convert_param_ranking_to_msb_bit_ranking(ranking, BITS)
        else:
            by_weight = np.zeros(len(ranking))
            by_weight[ranking] = scores
            order, _ = metrics.rank_bits(by_weight, BITS)
    seconds = time.perf_counter() - start
    places = []
    for layer in model.layers:
        for number, each in enumerate(layer.trainable_variables):
            size = int(np.prod(each.shape))
            places += [(layer.name if number == 0 else None, index) for index in range(size)]
    with options.ranking.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["layer", "index", "bit", "score"])
        for rank, place in enumerate(np.asarray(order).tolist()):
            layer, index = places[place // BITS]
            if layer is not None:  # biases are no memories
                writer.writerow([layer, index, BITS - 1 - place % BITS, len(order) - rank])
    print(f"{len(order)} bits ranked in {seconds:.1f} s; eigenvalues {[round(float(value), 4) for value in values]}")


if __name__ == "__main__":
    main()
