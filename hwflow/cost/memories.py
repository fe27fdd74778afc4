"""How many blocks a memory takes, by their geometry, and which memories lie in which blocks of a part."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hwflow.cost.area import Area, total

BLOCK_RAM_WORDS = {1: 16384, 2: 8192, 4: 4096, 9: 2048, 18: 1024}
"""Words of a RAMB18 (and of half a RAMB36), by bits of a word; of an ECP5's DP16KD, too."""
SIMPLE_WIDTH = 36
"""Bits of a RAMB18 of 512 words, of which one port writes and the other reads."""
LUT_RAM = {32: 14, 64: 7}
"""Bits of a memory of 8 LUTs, by its words; one port writes, the other reads."""
LUT_RAM_LUTS = 8
DEEPEST_LUT_RAM = 256
"""Words of the deepest memory of LUTs whose parts need no LUTs to choose between them."""
URAM_BITS, URAM_WORDS = 72, 4096
"""Of a URAM288, which has no other shape; both of its ports read and write."""
SMALL_WORDS, SMALL_BITS = 32, 1024
"""Up to so many words, or bits, ``hwflow_ram`` is made of LUTs."""


@dataclass(frozen=True)
class Memory:
    """A memory.

    Attributes:
        bits: of a word.
        words: of it.
        both_ports: whether both ports read, or both write: a block RAM is then half as wide.
    """

    bits: int
    words: int
    both_ports: bool = False

    @property
    def is_small(self) -> bool:
        """Whether it is made of LUTs."""
        return self.words <= SMALL_WORDS or self.bits * self.words <= SMALL_BITS

    @property
    def block_ram(self) -> float:
        """RAMB36, of which a RAMB18 is half."""
        shapes = [*BLOCK_RAM_WORDS.items(), *([] if self.both_ports else [(SIMPLE_WIDTH, 512)])]
        return min(_up(self.bits, bits) * _up(self.words, words) for bits, words in shapes) / 2

    @property
    def in_two(self) -> bool:
        """Whether Yosys gets two memories for it from ``hwflow_weight_mem``, each with an output register."""
        low = 1 << (self.words - 1).bit_length() >> 1

        def blocks(words: int) -> dict[int, int]:
            return {depth: _up(self.bits, bits) * _up(words, depth) for bits, depth in BLOCK_RAM_WORDS.items()}

        whole, lower, upper = blocks(self.words), blocks(low), blocks(self.words - low)
        fewest = min(whole.values())
        best = [depth for depth, count in whole.items() if count == fewest]
        return self.words > low and all(
            self.words > 2 * depth and min(lower.values()) + upper[depth] <= fewest for depth in best
        )

    @property
    def lut_ram(self) -> int:
        """LUTs of a memory of LUTs, without those that choose between its parts."""
        rows = min((words for words in LUT_RAM if words >= self.words), default=max(LUT_RAM))
        return _up(self.bits, LUT_RAM[rows]) * _up(self.words, rows) * LUT_RAM_LUTS

    @property
    def two_port_lut_ram(self) -> int:
        """LUTs of a memory of LUTs whose writing port reads, too, without those that choose between its parts."""
        bits = LUT_RAM_LUTS if self.words <= min(LUT_RAM) else LUT_RAM_LUTS // 2
        rows = min(DEEPEST_LUT_RAM, max(max(LUT_RAM), 1 << (self.words - 1).bit_length()))
        return _up(self.bits, bits) * _up(self.words, rows) * (rows // max(LUT_RAM)) * LUT_RAM_LUTS

    @property
    def uram(self) -> int:
        """URAM288."""
        return _up(self.bits, URAM_BITS) * _up(self.words, URAM_WORDS)


def place(memories: Mapping[str, Mapping[str, Area]], rest: Area, limit: Area) -> dict[str, str] | None:
    """Where memories lie so that a design takes no more block RAM than there may be, if that can be.

    All lie in block RAM at first. As long as that is too much, the memory moves that saves the most block RAM for the
    share of the LUTs, or of the URAMs, that it takes instead; if that does not do, the one that saves the most. In the
    end, what need not have moved returns.

    Args:
        memories: by name, what each takes by the place where it may lie; the first place is block RAM, and the only
            one of a memory that cannot move.
        rest: what the design takes besides.
        limit: what it may take.

    Returns:
        Their places by name; None if what there may be does not suffice.
    """
    places = {name: next(iter(options)) for name, options in memories.items()}
    changes = {
        (name, where): area - options[places[name]]
        for name, options in memories.items()
        for where, area in options.items()
        if where != places[name]
    }
    taken = total([rest, *(memories[name][where] for name, where in places.items())])
    for gain in (_saving_a_share, _saving):
        moved = _move(changes, taken, limit, gain)
        if moved is not None:
            return places | moved
    return None


def _move(
    changes: Mapping[tuple[str, str], Area], taken: Area, limit: Area, gain: Callable[[Area, Area], float]
) -> dict[str, str] | None:
    """Which memories move where, those with the largest gain first; None if that does not do."""
    moved: dict[str, str] = {}
    while taken.block_ram > limit.block_ram:
        gains = {
            move: gain(change, limit)
            for move, change in changes.items()
            if move[0] not in moved and _fits(taken + change, limit, change)
        }
        best = max(gains, key=lambda move: gains[move], default=None)
        if best is None or gains[best] <= 0:
            return None
        moved |= [best]
        taken += changes[best]
    for move in list(moved.items()):
        if (taken - changes[move]).block_ram <= limit.block_ram:
            taken -= changes[move]
            del moved[move[0]]
    return moved


def _saving(change: Area, _: Area) -> float:
    """Block RAMs that a move saves."""
    return -change.block_ram


def _saving_a_share(change: Area, limit: Area) -> float:
    """The same, by the largest share of another resource that it takes."""
    shares = (more / there for more, there in zip(change.numbers, limit.numbers, strict=True) if there and more > 0)
    return -change.block_ram / max(shares, default=1)


def _fits(area: Area, limit: Area, change: Area) -> bool:
    """Whether a design has no resource too much of which a move takes more."""
    columns = zip(area.numbers, limit.numbers, change.numbers, strict=True)
    return all(more <= 0 or taken <= there for taken, there, more in columns)


def _up(number: int, of: int) -> int:
    return -(-number // of)
