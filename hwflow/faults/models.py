"""Fault models beyond independent flips, for the causes that the paper names: write errors, aging, radiation.

Each draws a `FaultList`. Where the effect depends on what a cell holds, the model asks for the stored words;
the list then is the flips that those contents really suffer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from hwflow.errors import HwflowError
from hwflow.faults.faultlist import FaultList, Memory
from hwflow.faults.sampling import sample_ber

Contents = Callable[[str], npt.NDArray[Any]]
"""The words that a memory holds, by its name: bytes ``(words, ceil(bits / 8))``, the least significant first."""


class FaultModel(Protocol):
    """A way in which memories fail."""

    @property
    def kind(self) -> str:
        """Its name in specs and fault lists."""

    def draw(self, memories: Sequence[Memory], contents: Contents, seed: int, model_hash: str = "") -> FaultList:
        """The flips of one upset; equal seeds, memories and contents give equal lists."""


@dataclass(frozen=True, slots=True)
class Independent:
    """Every stored bit flips with probability `ber` (equation 1)."""

    ber: float

    kind = "ber"

    def draw(self, memories: Sequence[Memory], contents: Contents, seed: int, model_hash: str = "") -> FaultList:
        """The flips; the contents do not matter."""
        return sample_ber(memories, self.ber, seed, model_hash)


@dataclass(frozen=True, slots=True)
class Asymmetric:
    """Write errors: a 0 becomes 1 with one probability, a 1 becomes 0 with another.

    Attributes:
        up: probability of 0 -> 1.
        down: probability of 1 -> 0.
    """

    up: float
    down: float

    kind = "asymmetric"

    def __post_init__(self) -> None:
        _check_probability("up", self.up)
        _check_probability("down", self.down)

    def draw(self, memories: Sequence[Memory], contents: Contents, seed: int, model_hash: str = "") -> FaultList:
        """The flips: candidates at the higher rate, thinned by what each cell holds."""
        rate = max(self.up, self.down)
        candidates = sample_ber(memories, rate, seed, model_hash)
        if not len(candidates):
            return _relabel(candidates, seed, self)
        chance = np.where(_stored_bits(candidates, contents), self.down, self.up) / rate
        keep = _second_stream(seed).random(len(candidates)) < chance
        return _relabel(candidates, seed, self, keep)


@dataclass(frozen=True, slots=True)
class StuckAt:
    """Aging: a share of the cells is stuck; such a cell is a fault only if it should hold the other value.

    Attributes:
        rate: share of stuck cells.
        ones: share of them that is stuck at 1.
    """

    rate: float
    ones: float = 0.5

    kind = "stuck-at"

    def __post_init__(self) -> None:
        _check_probability("rate", self.rate)
        _check_probability("ones", self.ones)

    def draw(self, memories: Sequence[Memory], contents: Contents, seed: int, model_hash: str = "") -> FaultList:
        """The cells that do not hold what was written. The stuck cells depend on the seed alone."""
        stuck = sample_ber(memories, self.rate, seed, model_hash)
        value = _second_stream(seed).random(len(stuck)) < self.ones
        return _relabel(stuck, seed, self, value != _stored_bits(stuck, contents))


@dataclass(frozen=True, slots=True)
class Clustered:
    """Multi-bit upsets: one particle flips neighbouring cells of a physical row.

    A physical row holds `interleave` words, bit by bit: first bit 0 of each of them, then bit 1, and so
    on. Without interleaving (1) a cluster hits bits of one word; with 4, a cluster of 4 hits four words.

    Attributes:
        ber: expected share of cells in a cluster (where clusters overlap, a cell flips back).
        sizes: probability of every cluster size, 1 cell first.
        interleave: words that share a physical row.
    """

    ber: float
    sizes: tuple[float, ...] = (0.7, 0.2, 0.07, 0.03)
    interleave: int = 1

    kind = "clustered"

    def __post_init__(self) -> None:
        _check_probability("ber", self.ber)
        sizes = np.asarray(self.sizes, dtype=np.float64)
        if not len(sizes) or (sizes < 0).any() or not abs(sizes.sum() - 1.0) <= 1e-9:
            raise HwflowError(f"cluster sizes {self.sizes} must be probabilities that add up to 1")
        if self.interleave < 1:
            raise HwflowError(f"interleave={self.interleave} must be at least 1")

    @property
    def mean_size(self) -> float:
        """Cells of a cluster, on average."""
        return float(np.dot(np.arange(1, len(self.sizes) + 1), self.sizes))

    def draw(self, memories: Sequence[Memory], contents: Contents, seed: int, model_hash: str = "") -> FaultList:
        """The flips; the contents do not matter. A cluster ends at the end of its row."""
        starts = sample_ber(memories, self.ber / self.mean_size, seed, model_hash)
        sizes = _second_stream(seed).choice(len(self.sizes), len(starts), p=self.sizes) + 1
        row, column = self._physical(starts.word, starts.bit)
        words = np.array([memory.words for memory in memories])[starts.memory]
        bits = np.array([memory.bits for memory in memories])[starts.memory]
        hit = [
            np.stack([starts.memory, *self._logical(row, column + step), words, bits])[:, sizes > step]
            for step in range(len(self.sizes))
        ]
        memory, word, bit, words, bits = np.concatenate(hit, axis=1)
        inside = (word < words) & (bit < bits)
        cells, count = np.unique(np.stack([memory, word, bit])[:, inside], axis=1, return_counts=True)
        memory, word, bit = cells[:, count % 2 == 1]
        return FaultList(tuple(memories), memory, word, bit, int(seed), model_hash, _source(self))

    def _physical(self, word: npt.NDArray[Any], bit: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Row and column of a cell."""
        return word // self.interleave, bit.astype(np.int64) * self.interleave + word % self.interleave

    def _logical(self, row: npt.NDArray[Any], column: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Word and bit of a cell; the bit lies beyond the word where the column lies beyond the row."""
        return row * self.interleave + column % self.interleave, column // self.interleave


MODELS: Mapping[str, type[Any]] = {each.kind: each for each in (Independent, Asymmetric, StuckAt, Clustered)}


def restrict(faults: FaultList, layers: Sequence[str] | None = None, bits: Sequence[int] | None = None) -> FaultList:
    """The faults of `faults` in some layers and at some bit positions only.

    Args:
        faults: any list; those that stay are where they were, so that restricted studies stay paired.
        layers: patterns of layer names, such as ``block1_*``; None for all.
        bits: positions in the stored word, 0 the LSB; None for all.

    Raises:
        HwflowError: a pattern matches no memory, or no memory is so wide.
    """
    keep = np.ones(len(faults), dtype=bool)
    if layers is not None:
        keep &= np.array(in_layers(faults.memories, layers))[faults.memory]
    if bits is not None:
        widest = max((memory.bits for memory in faults.memories), default=0)
        for bit in bits:
            if not 0 <= bit < widest:
                raise HwflowError(f"bit {bit} is outside the stored words, whose bits are 0 to {widest - 1}")
        keep &= np.isin(faults.bit, list(bits))
    source = {**faults.source}
    if layers is not None:
        source["layers"] = list(layers)
    if bits is not None:
        source["bits"] = [int(bit) for bit in bits]
    return _kept(faults, keep, faults.seed, source)


def without(faults: FaultList, spared: FaultList) -> FaultList:
    """The faults of `faults` that do not hit the places of `spared`, whose bits are in memory that faults do not reach.

    Args:
        faults: any list.
        spared: a list of some or all of the same memories.

    Raises:
        HwflowError: `spared` has a memory that `faults` does not have, or not so, or is of another design.
    """
    names = {memory.name for memory in spared.memories}
    spared.check([each for each in faults.memories if each.name in names], faults.model_hash or spared.model_hash)
    numbers = {memory.name: number for number, memory in enumerate(faults.memories)}
    theirs = np.array([numbers[memory.name] for memory in spared.memories], dtype=np.int64)
    deep = max((memory.words for memory in faults.memories), default=1)
    wide = max((memory.bits for memory in faults.memories), default=1)

    def places(memory: npt.NDArray[Any], each: FaultList) -> npt.NDArray[np.int64]:
        return (memory.astype(np.int64) * deep + each.word) * wide + each.bit

    keep = ~np.isin(places(faults.memory, faults), places(theirs[spared.memory], spared))
    return _kept(faults, keep, faults.seed, {**faults.source, "spared": len(spared)})


def in_layers(memories: Sequence[Memory], layers: Sequence[str]) -> list[bool]:
    """Whether each memory is that of a layer whose name matches one of the patterns.

    Raises:
        HwflowError: a pattern matches no layer.
    """
    names = [memory.name.rpartition(".")[0] for memory in memories]
    for pattern in layers:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise HwflowError(f"no layer matches {pattern!r}; there are {', '.join(dict.fromkeys(names))}")
    return [any(fnmatchcase(name, pattern) for pattern in layers) for name in names]


def _stored_bits(faults: FaultList, contents: Contents) -> npt.NDArray[np.bool_]:
    """What the cells of `faults` hold."""
    held = np.zeros(len(faults), dtype=bool)
    for number, memory in enumerate(faults.memories):
        here = np.flatnonzero(faults.memory == number)
        if len(here):
            byte, place = np.divmod(faults.bit[here], 8)
            held[here] = contents(memory.name)[faults.word[here], byte] >> place & 1 == 1
    return held


def _second_stream(seed: int) -> np.random.Generator:
    """Random numbers independent of those that chose the places."""
    return np.random.default_rng(np.random.SeedSequence(int(seed), spawn_key=(1,)))


def _source(model: Any) -> dict[str, Any]:
    return {"kind": model.kind, **{key: _plain(value) for key, value in asdict(model).items()}}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _relabel(faults: FaultList, seed: int, model: Any, keep: npt.NDArray[np.bool_] | None = None) -> FaultList:
    everything = np.ones(len(faults), dtype=bool)
    return _kept(faults, everything if keep is None else keep, int(seed), _source(model))


def _kept(faults: FaultList, keep: npt.NDArray[np.bool_], seed: int | None, source: Mapping[str, Any]) -> FaultList:
    return FaultList(
        faults.memories,
        faults.memory[keep],
        faults.word[keep],
        faults.bit[keep],
        seed,
        faults.model_hash,
        source,
    )


def _check_probability(name: str, value: float) -> None:
    if not 0.0 <= value <= 1.0:
        raise HwflowError(f"{name}={value} must be 0 to 1")
