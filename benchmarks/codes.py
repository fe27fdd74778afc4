"""Storage codes ranked by what they leave of the weights: their mean square error, relative to the weights' power.

Every code of a grid is fitted, and its error is computed from its tables and the residual errors of its block code.
The best ones at each bit error rate are then simulated: weights are stored, bits flip, and the words are read.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hwflow.codes import Protection, Secded, StorageCode, Table, WordCode, storage_code
from hwflow.codes.bch import Bch
from hwflow.codes.blocks import BlockCode
from hwflow.codes.flips import Flips
from hwflow.codes.layout import ordered
from hwflow.codes.noise import read_noisy
from hwflow.codes.registry import DESIGN_BER, family_of
from hwflow.codes.word import word_channel
from hwflow.errors import HwflowError
from hwflow.fixed import Codes, FixedType
from hwflow.folders.design import load_design

BERS = (1e-3, 1e-2, 2e-2, 5e-2)
TYPE = FixedType(8, 3)
LARGEST = 0.99  # of the type's range, where the largest weight is
DRAWN = 1 << 15  # weights of a distribution
COLUMNS = 1 << 10  # of them in a row, so that no word has room to spare
BUDGET = 50  # LUTs a weight
REFERENCES = ("plain", "secded-null", "cosq")
ALSO = ("bch64-45", "bch64-39", "bch64-40-32", "flip64-40-32", "flip128-80-64", "flip512-320-256-3-6")

Weights = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Found:
    """What one code leaves at one bit error rate.

    Attributes:
        name: of the code.
        fitted: bit error rate that it is fitted for.
        ber: where it is judged.
        luts: of its decoder, a weight, by count.
        error: relative mean square error.
        clean: that without flips.
        deviation: standard deviation of the mean of the simulated errors; 0 for computed ones.
    """

    name: str
    fitted: float
    ber: float
    luts: float
    error: float
    clean: float
    deviation: float = 0.0


def drawn(distribution: str) -> list[Weights]:
    """One layer ``(rows, COLUMNS)`` of a distribution."""
    rng = np.random.default_rng(0)
    shape = (DRAWN // COLUMNS, COLUMNS)
    weights = rng.laplace(size=shape) if distribution == "laplace" else rng.standard_t(5, size=shape)
    return [weights * (LARGEST * TYPE.max / np.abs(weights).max())]


def of_design(path: Path) -> list[Weights]:
    """The layers of a design that is stored plainly, as rows of outputs, on the scale of ``TYPE``."""
    constants = [layer.weight for layer in load_design(path).graph.weight_layers]
    if any(constant.type is None or constant.type.width != TYPE.width for constant in constants):
        raise SystemExit(f"{path}: its weights have not {TYPE.width} bits")
    return [
        ordered(constant.array).reshape(constant.shape[-1], -1) * TYPE.lsb
        for constant in constants
        if constant.array.any()
    ]


def grid() -> Iterator[str]:
    """Names for words of 32 to 512 bits; there are not codes of all of them."""
    for bits in (32, 64, 128, 256, 512):
        count = bits // TYPE.width
        for labels in range(2 * count, 7 * count + 1):
            even = labels % count == 0 or (2 * labels % count == 0 and bits >= 64)
            for protected in [count * each for each in range(2, 1 + labels // count)] + [labels]:
                tail = "" if protected == labels else f"-{protected}"
                if bits <= 256:
                    yield f"bch{bits}-{labels}{tail}"
                if bits >= 64 and even and 3 * count <= labels <= 6 * count and 2 * protected >= labels:
                    yield from (f"flip{bits}-{labels}-{protected}-3-{checks}" for checks in (3, 4, 5, 6, 8))
                    yield from (f"flip{bits}-{labels}-{protected}-2-{checks}" for checks in (4, 5))
                    yield from (f"ols{bits}-{labels}-{protected}-3-{checks}" for checks in (4, 5))


def there(name: str) -> bool:
    """Whether there is such a code."""
    try:
        Protection(name, DESIGN_BER).bits(TYPE)
    except HwflowError:
        return False
    return True


class Code:
    """A code fitted to layers."""

    def __init__(self, name: str, fitted: float, layers: list[Weights]) -> None:
        self.name, self.fitted, self.layers = name, fitted, layers
        protection = Protection(name, None if family_of(name)[0].fit is None else fitted)
        self.codes: list[tuple[StorageCode, Codes]] = []
        for weights in layers:
            stored = protection.fit(weights, TYPE)
            self.codes.append((storage_code(stored.spec, TYPE), stored.round(weights)))

    @cached_property
    def luts(self) -> float:
        return luts(self.codes[0][0])

    def relative(self, errors: Iterable[float]) -> float:
        """Mean over all weights of the relative errors of their layers, from the sums of squares in each."""
        total = sum(
            error * weights.size / float(np.sum(np.square(weights)))
            for error, weights in zip(errors, self.layers, strict=True)
        )
        return total / sum(weights.size for weights in self.layers)

    @cached_property
    def clean(self) -> float:
        """Error without flips."""
        return self.relative(
            float(np.sum(np.square(TYPE.decode(codes) - weights)))
            for weights, (_, codes) in zip(self.layers, self.codes, strict=True)
        )

    def expected(self, ber: float) -> float:
        """Error of a word code by its tables."""
        return self.relative(
            _expected(weights, code, codes, ber)
            for weights, (code, codes) in zip(self.layers, self.codes, strict=True)
            if isinstance(code, WordCode)
        )

    def simulated(self, ber: float, seeds: int) -> tuple[float, float]:
        """Error by storing, flipping and reading, and the standard deviation of its mean."""
        found = [
            self.relative(
                _simulated(weights, code, codes, ber, np.random.default_rng((seed, layer)))
                for layer, (weights, (code, codes)) in enumerate(zip(self.layers, self.codes, strict=True))
            )
            for seed in range(seeds)
        ]
        return float(np.mean(found)), float(np.std(found) / np.sqrt(max(1, seeds - 1)))

    def found(self, ber: float, seeds: int = 0) -> Found:
        """The error at a bit error rate; computed where there are no seeds."""
        error, deviation = self.simulated(ber, seeds) if seeds else (self.expected(ber), 0.0)
        return Found(self.name, self.fitted, ber, self.luts, error, self.clean, deviation)


def _expected(weights: Weights, code: WordCode, codes: Codes, ber: float) -> float:
    """Sum of the square errors of weights."""
    kinds, total = np.resize(code.shape.kind_of, weights.shape[1]), 0.0
    for i, kind in enumerate(code.shape.kinds):
        steps = (weights[:, kinds == i] / TYPE.lsb).reshape(-1)
        labels = code.encoders[i][codes[:, kinds == i].reshape(-1) - TYPE.min_code]
        channel = word_channel(kind, code.block.residual(ber, kind.protected), ber)
        values, size = code.decoders[i].astype(float), 1 << kind.bits
        square = np.bincount(labels, minlength=size) @ channel @ np.square(values)
        cross = np.bincount(labels, steps, size) @ channel @ values
        total += float(square - 2 * cross + np.sum(np.square(steps)))
    return total * TYPE.lsb**2


def _simulated(weights: Weights, code: StorageCode, codes: Codes, ber: float, rng: np.random.Generator) -> float:
    """Sum of the square errors of weights."""
    return float(np.sum(np.square(TYPE.decode(read_noisy(code, codes, ber, rng)) - weights)))


def luts(code: StorageCode) -> float:
    """Six-input LUTs a weight of a decoder that reads a word a cycle: a count, not a synthesis."""
    if isinstance(code, Table):
        return table(TYPE.width, TYPE.width)
    if isinstance(code, Secded):
        return (8 * gate(27) + 64 * gate(9)) / 8
    if not isinstance(code, WordCode):
        return 0.0
    tables = sum(table(label.bits + 1, TYPE.width) for label in code.shape.labels)
    doubts = [label.protected for label in code.shape.labels]
    block = flip_luts(code.block, doubts) if isinstance(code.block, Flips) else bch_luts(code.block)
    return (tables + block) / code.weights_per_word


def flip_luts(code: BlockCode, doubts: list[int]) -> int:
    """Syndromes once more than there are passes; thresholds, each with the bit that it flips; doubts of labels."""
    assert isinstance(code, Flips)
    syndrome = sum(gate(int(count) + 1) for count in code.matrix.sum(axis=0))
    flipped = sum(threshold(len(row), 1) for row in code.rows)
    doubtful = sum(threshold(len(row), 0) for row in code.rows) + sum(gate(bits) for bits in doubts)
    return len(code.margins) * (syndrome + flipped) + syndrome + doubtful


def bch_luts(code: BlockCode) -> int:
    """Syndromes of t symbols; t steps of Berlekamp and Massey; for each data bit a sum of t constant products."""
    assert isinstance(code, Bch)
    m, t = code.m, code.t
    syndromes = m * t * gate(code.bits // 2)
    if t == 1:
        return syndromes + code.data_bits * gate(m + 1)
    product = m * m // 2 + m * gate(m)  # two ANDs a LUT, and the reduction
    key = sum((min(2 * step, t) + 1 + 2 * min(step + 1, t)) * product for step in range(1, t))
    search = code.data_bits * (m * gate(t * m // 2) + gate(m))
    count = code.data_bits + 4 * m  # of the roots, against the order
    return syndromes + key + search + count


def gate(inputs: int) -> int:
    """LUTs of an associative gate."""
    return -(-(inputs - 1) // 5)


def table(inputs: int, outputs: int) -> int:
    """LUTs of a table; up to five inputs two outputs share one, and multiplexers of up to eight LUTs are free."""
    return outputs * (1 << max(0, inputs - 6)) if inputs > 5 else -(-outputs // 2)


def threshold(votes: int, data: int) -> int:
    """LUTs that compare a number of votes: counts of six are three LUTs."""
    if votes + data <= 8:
        return min(1 << max(0, votes + data - 6), 4)
    return 3 + threshold(votes - 6 + 3, data)


def show(title: str, rows: list[Found], others: dict[str, list[float]] | None = None) -> None:
    """A table of codes, and of their errors at other bit error rates."""
    head = "".join(f"{f'at {ber:g}':>11}" for ber in (0.0, *BERS)) if others else ""
    print(f"\n{title}\n{'code':<26}{'LUTs':>7}{'error':>11}{'+-':>10}{'clean':>11}{head}")
    for row in rows:
        rest = "".join(f"{error:11.2e}" for error in others[row.name]) if others else ""
        print(f"{row.name:<26}{row.luts:7.0f}{row.error:11.2e}{row.deviation:10.1e}{row.clean:11.2e}{rest}")


def rank(names: list[str], layers: list[Weights], options: argparse.Namespace) -> list[Found]:
    """Tables of the best codes; all that is found."""
    everything: list[Found] = []
    for ber in BERS:
        codes = {name: Code(name, ber, layers) for name in names}
        computed = sorted((code.found(ber) for code in codes.values()), key=lambda row: row.error)
        everything += computed
        cheap = [row for row in computed if row.luts <= BUDGET]
        for title, rows in (("", computed), (f" of at most {BUDGET} LUTs a weight", cheap)):
            best = [codes[row.name].found(ber, options.seeds) for row in rows[: options.top]]
            best.sort(key=lambda row: row.error)
            everything += best
            show(f"best at {ber:g}{title}, fitted there", best)
        if ber == DESIGN_BER:
            # What a user meets who fits at the rate of the data sheet, and reads at another.
            chosen = {row.name: codes[row.name] for rows in (computed, cheap) for row in rows[: options.top]}
            judged = {
                name: [code.clean, *(code.simulated(other, options.seeds)[0] for other in BERS)]
                for name, code in chosen.items()
            }
            rows = sorted((code.found(ber, options.seeds) for code in chosen.values()), key=lambda row: row.error)
            show(f"fitted at {ber:g}, judged elsewhere", rows, judged)
        del codes
    for ber in BERS:
        rows = [Code(name, ber, layers).found(ber, options.seeds) for name in (*REFERENCES, *options.also)]
        everything += rows
        show(f"others at {ber:g}, fitted there", rows)
    return everything


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--distribution", choices=("laplace", "student"), default="laplace", help="of the weights")
    parser.add_argument("--design", type=Path, help="judge by the layers of this design folder, stored plainly")
    parser.add_argument("--like", default="*", help="only codes with names like this pattern")
    parser.add_argument("--also", nargs="*", default=ALSO, help="codes to show in any case")
    parser.add_argument("--top", type=int, default=12, help="codes of a table, simulated")
    parser.add_argument("--seeds", type=int, default=8, help="simulations of a code")
    parser.add_argument("--json", type=Path, help="write everything here")
    options = parser.parse_args()
    begin = time.perf_counter()
    layers = of_design(options.design) if options.design else drawn(options.distribution)
    names = [name for name in dict.fromkeys(grid()) if fnmatchcase(name, options.like) and there(name)]
    print(f"{len(names)} codes, {sum(layer.size for layer in layers)} weights", flush=True)
    found = rank(names, layers, options)
    print(f"\n{time.perf_counter() - begin:.0f} s")
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in found], indent=1) + "\n")


if __name__ == "__main__":
    main()
