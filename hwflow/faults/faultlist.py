"""The fault list: which bits of which memories are flipped, and its file format.

The file is JSON, one object: `format` ("hwflow fault list"), `version` (1), `model_hash`, `seed` (an
integer or null), `source` (how the faults were drawn), `memories` (in order, each with `name`, `words`,
`bits` and `flips`, its number of faults) and `faults` (memory name to `{"word": [...], "bit": [...]}`,
sorted; memories without faults are left out).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from operator import index
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hwflow.errors import HwflowError
from hwflow.files.folders import read_json
from hwflow.files.outputs import write_file
from hwflow.show import Shown

WordIndices = npt.NDArray[np.int64]
Bits = npt.NDArray[np.int16]
Masks = npt.NDArray[np.uint8]

FORMAT = "hwflow fault list"
VERSION = 1
MAX_BITS = 1 << 62
"""Of all memories together: bits are counted in int64."""


@dataclass(frozen=True, slots=True)
class Memory:
    """A memory that can be upset: `words` stored words of `bits` bits each, check bits included.

    Raises:
        HwflowError: a size is not positive, or a word is wider than 32767 bits.
    """

    name: str
    words: int
    bits: int

    def __post_init__(self) -> None:
        """Refuse sizes that no memory has."""
        # NumPy integers have no JSON form
        object.__setattr__(self, "words", index(self.words))
        object.__setattr__(self, "bits", index(self.bits))
        if self.words < 1 or not 1 <= self.bits <= np.iinfo(np.int16).max:
            raise HwflowError(f"memory {self.name!r}: {self.words} words of {self.bits} bits is not a memory")

    @property
    def total_bits(self) -> int:
        """Stored bits of the whole memory."""
        return self.words * self.bits


@dataclass(frozen=True, eq=False, repr=False)
class FaultList(Shown):
    """Distinct flipped bits of some memories; the same list means the same upset in every executor.

    The three arrays have one element a fault, `memory` being an index into `memories`. They are sorted
    lexicographically on construction and read-only afterwards.

    Args:
        memories: every memory that could have been hit, hit or not.
        memory: int32 indices into `memories`.
        word: int64 stored-word indices.
        bit: int16 bit positions in the stored word, 0 the least significant.
        seed: what the faults were drawn with, or None if they were chosen.
        model_hash: hash of the design that the memories belong to; "" binds the list to no design.
        source: how the faults came about, JSON values only, e.g. ``{"kind": "ber", "ber": 1e-4}``.

    Raises:
        HwflowError: two memories share a name, a fault lies outside its memory, or a bit is listed
            twice (which would undo the flip).
    """

    memories: tuple[Memory, ...]
    memory: npt.NDArray[np.int32]
    word: WordIndices
    bit: Bits
    seed: int | None = None
    model_hash: str = ""
    source: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the faults against the memories, sort them and freeze the arrays."""
        check_names(self.memories)
        if sum(memory.total_bits for memory in self.memories) > MAX_BITS:
            raise HwflowError(f"its memories hold more than {MAX_BITS} bits")
        columns = [_integers(name, getattr(self, name)) for name in ("memory", "word", "bit")]
        if len({column.shape for column in columns}) != 1:
            raise HwflowError("a fault list needs as many memory indices as words and bits")
        memory, word, bit = columns
        if ((memory < 0) | (memory >= len(self.memories))).any():
            raise HwflowError(f"a fault names a memory index outside 0..{len(self.memories) - 1}")
        words, bits, firsts = (np.array(sizes, dtype=np.int64)[memory] for sizes in _sizes(self.memories))
        outside = (word < 0) | (word >= words) | (bit < 0) | (bit >= bits)
        if outside.any():
            first = int(np.argmax(outside))
            raise HwflowError(
                f"word {word[first]}, bit {bit[first]} is outside {_describe(self.memories[memory[first]])}"
            )
        place = firsts + word * bits + bit
        if not (place[1:] > place[:-1]).all():
            order = np.argsort(place)
            place, memory, word, bit = (column[order] for column in (place, memory, word, bit))
            twice = place[1:] == place[:-1]
            if twice.any():
                first = int(np.argmax(twice))
                name = self.memories[memory[first]].name
                raise HwflowError(f"memory {name!r}: word {word[first]}, bit {bit[first]} is listed twice")
        for name, column, dtype in (("memory", memory, np.int32), ("word", word, np.int64), ("bit", bit, np.int16)):
            frozen = column.astype(dtype)
            frozen.flags.writeable = False
            object.__setattr__(self, name, frozen)
        object.__setattr__(self, "source", dict(self.source))

    def __len__(self) -> int:
        """The number of flipped bits."""
        return int(self.word.size)

    def facts(self) -> dict[str, object]:
        """Counts instead of the faults themselves."""
        return {
            "flips": len(self),
            "bits": sum(memory.total_bits for memory in self.memories),
            "memories": len(self.memories),
            "seed": self.seed,
            "source": dict(self.source),
        }

    def rows(self) -> list[dict[str, Any]]:
        """A row for every flipped bit."""
        columns = (self.memory.tolist(), self.word.tolist(), self.bit.tolist())
        return [
            {"memory": self.memories[memory].name, "word": word, "bit": bit}
            for memory, word, bit in zip(*columns, strict=True)
        ]

    def __eq__(self, other: object) -> bool:
        """Whether both describe the same faults of the same memories, drawn the same way."""
        if not isinstance(other, FaultList):
            return NotImplemented
        return self._head() == other._head() and all(
            np.array_equal(mine, theirs)
            for mine, theirs in ((self.memory, other.memory), (self.word, other.word), (self.bit, other.bit))
        )

    def counts(self) -> dict[str, int]:
        """Flips in each memory, by name; memories without any included."""
        flips = np.bincount(self.memory, minlength=len(self.memories))
        return {memory.name: int(count) for memory, count in zip(self.memories, flips, strict=True)}

    def for_memory(self, name: str) -> tuple[WordIndices, Bits]:
        """WordIndices and bits of the faults of one memory, sorted.

        Raises:
            HwflowError: no memory has this name.
        """
        span = self._span(name)
        return self.word[span], self.bit[span]

    def masks(self, name: str) -> tuple[WordIndices, Masks]:
        """The faults of one memory: distinct words ``(m,)``, and what to flip in each, ``(m, ceil(bits / 8))``.

        A mask is bytes, bit 0 of a word the least significant of byte 0.

        Raises:
            HwflowError: no memory has this name.
        """
        words, bits = self.for_memory(name)
        size = -(-self.memories[self._index(name)].bits // 8)
        new_word = np.diff(words, prepend=-1) != 0
        masks = np.zeros((int(new_word.sum()), size), dtype=np.uint8)
        if len(words):
            byte, place = np.divmod(bits, 8)
            starts = np.flatnonzero(new_word | (np.diff(byte, prepend=-1) != 0))  # faults are sorted
            flips = np.bitwise_or.reduceat(np.left_shift(1, place).astype(np.uint8), starts)
            masks[(np.cumsum(new_word) - 1)[starts], byte[starts]] = flips
        return words[new_word], masks

    def check(self, memories: Iterable[Memory], model_hash: str) -> None:
        """Refuse this list for a design that it was not made for.

        A list without a model hash is compared by its memories alone.

        Raises:
            HwflowError: the memories or the model hash differ.
        """
        expected = tuple(memories)
        if self.memories != expected:
            mine = {memory.name: memory for memory in self.memories}
            theirs = {memory.name: memory for memory in expected}
            for name in sorted(mine.keys() | theirs.keys()):
                if name not in theirs:
                    raise HwflowError(f"the fault list is for another design: this one has no memory {name!r}")
                if name not in mine:
                    raise HwflowError(f"the fault list is for another design: it has no memory {name!r}")
                if mine[name] != theirs[name]:
                    raise HwflowError(
                        f"the fault list is for another design: it has {_describe(mine[name])}, "
                        f"the design {theirs[name].words} words of {theirs[name].bits} bits"
                    )
            raise HwflowError("the fault list is for another design: its memories are in another order")
        if self.model_hash not in ("", model_hash):
            raise HwflowError(f"the fault list is for another design: model hash {self.model_hash}, not {model_hash}")

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the list to a JSON file, whole or not at all.

        Raises:
            HwflowError: the file cannot be written.
        """
        write_file(Path(path), json.dumps(self._document(), separators=(",", ":")).encode() + b"\n")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> FaultList:
        """Read a list that `save` wrote, and check it.

        Raises:
            HwflowError: the file is missing, truncated, of another version or inconsistent.
        """
        target = Path(path)
        try:
            document = read_json(target)
        except HwflowError as error:
            raise HwflowError(f"fault list {error}") from error
        try:
            return cls._from_document(document)
        except HwflowError as error:
            raise HwflowError(f"fault list {target}: {error}") from error

    def _head(self) -> dict[str, Any]:
        flips = self.counts()
        return {
            "format": FORMAT,
            "version": VERSION,
            "model_hash": self.model_hash,
            "seed": self.seed,
            "source": dict(self.source),
            "memories": [
                {"name": memory.name, "words": memory.words, "bits": memory.bits, "flips": flips[memory.name]}
                for memory in self.memories
            ],
        }

    def _document(self) -> dict[str, Any]:
        faults = {}
        for name, count in self.counts().items():
            if count:
                words, bits = self.for_memory(name)
                faults[name] = {"word": words.tolist(), "bit": bits.tolist()}
        return {**self._head(), "faults": faults}

    @classmethod
    def _from_document(cls, document: object) -> FaultList:
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise HwflowError("this JSON file is not a fault list")
        if document.get("version") != VERSION:
            raise HwflowError(f"version {document.get('version')!r} is not supported, only {VERSION} is")
        entries: list[Any] = _field(document, "memories", list)
        memories = tuple(
            Memory(_field(entry, "name", str), _field(entry, "words", int), _field(entry, "bits", int))
            for entry in entries
        )
        numbers = {memory.name: number for number, memory in enumerate(memories)}
        columns: dict[str, list[Any]] = {"memory": [], "word": [], "bit": []}
        for name, faults in _field(document, "faults", dict).items():
            if name not in numbers:
                raise HwflowError(f"it has faults in an unknown memory {name!r}")
            word, bit = (_integers(key, _field(faults, key, list)) for key in ("word", "bit"))
            columns["memory"].append(np.full(word.shape, numbers[name]))
            columns["word"].append(word)
            columns["bit"].append(bit)
        seed = document.get("seed")
        memory, word, bit = (np.concatenate([np.empty(0, dtype=np.int64), *parts]) for parts in columns.values())
        loaded = cls(
            memories,
            memory,
            word,
            bit,
            seed=None if seed is None else _field(document, "seed", int),
            model_hash=_field(document, "model_hash", str),
            source=_field(document, "source", dict),
        )
        for entry, (name, count) in zip(entries, loaded.counts().items(), strict=True):
            if _field(entry, "flips", int) != count:
                raise HwflowError(f"memory {name!r} should have {entry['flips']} flips, the file lists {count}")
        return loaded

    def _index(self, name: str) -> int:
        for number, memory in enumerate(self.memories):
            if memory.name == name:
                return number
        raise unknown_memory(name, self.memories)

    def _span(self, name: str) -> slice:
        number = self._index(name)
        first, last = np.searchsorted(self.memory, [number, number + 1])
        return slice(int(first), int(last))


def check_names(memories: Iterable[Memory]) -> None:
    """Refuse two memories of one name."""
    seen = set()
    for memory in memories:
        if memory.name in seen:
            raise HwflowError(f"two memories are named {memory.name!r}")
        seen.add(memory.name)


def unknown_memory(name: str, memories: Iterable[Memory]) -> HwflowError:
    """The error for a memory that is not there."""
    names = ", ".join(memory.name for memory in memories)
    return HwflowError(f"no memory is named {name!r}; there are {names or 'none'}")


def _sizes(memories: Sequence[Memory]) -> tuple[list[int], list[int], list[int]]:
    """WordIndices and bits of the memories, and the number of bits before each."""
    words, bits = [memory.words for memory in memories], [memory.bits for memory in memories]
    return words, bits, list(accumulate((memory.total_bits for memory in memories[:-1]), initial=0))


def _describe(memory: Memory) -> str:
    return f"memory {memory.name!r} of {memory.words} words of {memory.bits} bits"


def _integers(name: str, values: object) -> npt.NDArray[np.int64]:
    """`values` as a one-dimensional int64 array, refusing what is not a list of integers."""
    try:
        array = np.asarray(values)
    except ValueError:  # a ragged list
        array = np.empty((0, 0))
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise HwflowError(f"{name!r} must be a list of integers")
    return array.astype(np.int64)


def _field(entry: object, name: str, kind: type[Any]) -> Any:
    """A field of a JSON object, of the expected type."""
    if not isinstance(entry, dict) or name not in entry:
        raise HwflowError(f"the field {name!r} is missing")
    value = entry[name]
    if not isinstance(value, kind) or isinstance(value, bool):
        raise HwflowError(f"the field {name!r} is {value!r:.40}, not of type {kind.__name__}")
    return value
