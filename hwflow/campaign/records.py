"""The rows of a results file: trials as they are stored, each with a checksum, and what is wrong with one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

COLUMNS = (
    "cell INTEGER, round INTEGER, seed TEXT, flips INTEGER, bad_weights INTEGER, bad_images INTEGER, "
    "correct INTEGER, images INTEGER, side_bits INTEGER, engine TEXT, corrected INTEGER, detected INTEGER, "
    "silent INTEGER, stored_bits INTEGER, checksum TEXT"
)
SCHEMA = f"CREATE TABLE trials ({COLUMNS}, PRIMARY KEY (cell, round)) WITHOUT ROWID"
# Not sorted by SQLite: a damaged key then is only in its wrong place.
READ = f"SELECT {', '.join(each.split()[0] for each in COLUMNS.split(', '))} FROM trials"
INSERT = f"INSERT OR IGNORE INTO trials VALUES ({', '.join('?' for _ in COLUMNS.split(', '))})"


@dataclass(frozen=True, slots=True)
class Trial:
    """One fault list and what it did; fields as in `hwflow.float_study.Outcome`.

    Attributes:
        cell: place of its cell in the plan.
        round: counts the fault lists of the cell.
        seed: of the fault list.
        side_bits: bits of the protected side memory beside the weights.
        engine: what computed it, one line.
        corrected, detected, silent: words hit, as in `hwflow.memory.WordCounts`; 0 in the float executor.
        stored_bits: of all weight memories, check bits and what rows leave empty included.
    """

    cell: int
    round: int
    seed: int
    flips: int
    bad_weights: int
    bad_images: int
    correct: int
    images: int
    side_bits: int = 0
    engine: str = ""
    corrected: int = 0
    detected: int = 0
    silent: int = 0
    stored_bits: int = 0

    @property
    def accuracy(self) -> float:
        """Top-1, percent."""
        return 100.0 * self.correct / self.images

    def contradiction(self) -> str | None:
        """Why no trial can have these values; None if one can."""
        counts = (self.cell, self.round, self.seed, self.flips, self.bad_weights, self.bad_images, self.correct)
        words = (self.side_bits, self.corrected, self.detected, self.silent, self.stored_bits)
        if self.images < 1 or min(*counts, *words) < 0:
            return "it has a negative count, or no images"
        for name in ("correct", "bad_images"):
            if getattr(self, name) > self.images:
                return f"{name} = {getattr(self, name)} is more than its {self.images} images"
        return None


@dataclass(frozen=True, slots=True)
class Damage:
    """A stored trial that cannot be trusted, and does not count.

    Attributes:
        cell: place of its cell in the plan, as far as it can be read; None where nothing can.
        round: likewise.
        reason: what is wrong.
    """

    cell: int | None
    round: int | None
    reason: str


@dataclass(frozen=True)
class Stored:
    """The trials of a results file.

    Attributes:
        trials: those that are sound, by cell, in the order of the rounds.
        damaged: those that are not.
    """

    trials: Mapping[int, list[Trial]]
    damaged: tuple[Damage, ...]


def row_of(trial: Trial) -> Sequence[Any]:
    """A trial as it is stored."""
    cell, round_, seed, *rest = (getattr(trial, name) for name in Trial.__slots__)
    values = (cell, round_, str(seed), *rest)  # SQLite's integers are signed
    return (*values, checksum_of(*values))


def trial_of(row: Sequence[Any]) -> Trial | Damage:
    """The trial of a row, or what is wrong with it."""
    cell, round_, seed, *rest, checksum = row
    place = [each if isinstance(each, int) else None for each in (cell, round_)]
    if checksum != checksum_of(cell, round_, seed, *rest):
        return Damage(place[0], place[1], "its checksum differs")
    trial = Trial(cell, round_, int(seed), *rest)
    reason = trial.contradiction()
    return trial if reason is None else Damage(place[0], place[1], reason)


def checksum_of(*values: Any) -> str:
    """Of values with their types, so that a number that became a text is seen too."""
    return hashlib.blake2b(repr(values).encode("utf-8", "backslashreplace"), digest_size=8).hexdigest()
