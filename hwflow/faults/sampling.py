"""Drawing fault lists; the cost grows with the number of flips, not with the size of the memories."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from hwflow.errors import HwflowError
from hwflow.faults.faultlist import FaultList, Memory, check_names, unknown_memory


def round_seed(seed: int, round_: int) -> int:
    """The seed of a round's fault list: a list can be drawn again from it alone, however many rounds there are."""
    return int(np.random.SeedSequence(seed, spawn_key=(round_,)).generate_state(1, np.uint64)[0])


def sample_ber(memories: Sequence[Memory], ber: float, seed: int, model_hash: str = "") -> FaultList:
    """Independent flips of every stored bit with probability `ber` (the paper's fault model, (1) to (3)).

    The number of flips is drawn from the binomial distribution, then their places: the same
    distribution as one draw a bit, at a cost that grows with the flips.

    Args:
        memories: the memories that can be hit.
        ber: bit error rate, 0 to 1.
        seed: any integer >= 0; equal seeds and memories give equal lists.
        model_hash: hash of the design that the memories belong to.

    Raises:
        HwflowError: the bit error rate or the seed is out of range.
    """
    if not 0.0 <= ber <= 1.0:
        raise HwflowError(f"the bit error rate must be 0 to 1, not {ber}")
    rng = _generator(seed)
    flips = int(rng.binomial(_total_bits(memories), ber))
    places = _distinct_places(rng, memories, flips)
    return _at(memories, places, seed, model_hash, {"kind": "ber", "ber": float(ber)})


def sample_count(memories: Sequence[Memory], n: int, seed: int, model_hash: str = "") -> FaultList:
    """Exactly `n` distinct flips, every set of `n` stored bits equally likely.

    Raises:
        HwflowError: `n` is negative or exceeds the number of stored bits, or the seed is negative.
    """
    total = _total_bits(memories)
    if not 0 <= n <= total:
        raise HwflowError(f"cannot flip {n} of {total} stored bits")
    places = _distinct_places(_generator(seed), memories, n)
    return _at(memories, places, seed, model_hash, {"kind": "count", "count": int(n)})


def chosen(memories: Sequence[Memory], bits: Iterable[tuple[str, int, int]], model_hash: str = "") -> FaultList:
    """The given flips, each `(memory name, word, bit)`.

    Raises:
        HwflowError: a memory is unknown, or a bit is outside its memory or given twice.
    """
    index = {memory.name: number for number, memory in enumerate(memories)}
    rows = []
    for name, word, bit in bits:
        if name not in index:
            raise unknown_memory(name, memories)
        rows.append((index[name], word, bit))
    memory, word_, bit_ = np.array(rows, dtype=np.int64).reshape(-1, 3).T
    return FaultList(tuple(memories), memory, word_, bit_, None, model_hash, {"kind": "chosen"})


def _generator(seed: int) -> np.random.Generator:
    if seed < 0:
        raise HwflowError(f"the seed must not be negative, it is {seed}")
    return np.random.default_rng(np.random.SeedSequence(int(seed)))


def _total_bits(memories: Sequence[Memory]) -> int:
    check_names(memories)
    return sum(memory.total_bits for memory in memories)


def _distinct_places(rng: np.random.Generator, memories: Sequence[Memory], n: int) -> npt.NDArray[np.int64]:
    """`n` distinct bits, numbered through all memories, words and bits, in ascending order."""
    if n == 0:
        return np.empty(0, dtype=np.int64)
    places = rng.choice(_total_bits(memories), n, replace=False, shuffle=False)
    places.sort()
    return places


def _at(
    memories: Sequence[Memory],
    places: npt.NDArray[np.int64],
    seed: int,
    model_hash: str,
    source: dict[str, object],
) -> FaultList:
    """The list of the numbered bits."""
    sizes = np.array([memory.total_bits for memory in memories], dtype=np.int64)
    ends = np.cumsum(sizes)
    memory = np.searchsorted(ends, places, side="right")
    inside = places - (ends - sizes)[memory]
    word, bit = np.divmod(inside, np.array([memory.bits for memory in memories], dtype=np.int64)[memory])
    return FaultList(tuple(memories), memory, word, bit, int(seed), model_hash, source)
