"""Results of a campaign in one SQLite file: every finished trial is committed, and none twice.

meta     spec, plan (the cells), hashes, versions; as JSON
trials   one row a trial, by cell (its place in the plan) and round
claims   what some process has begun: a hint that saves double work, never a lock
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from hwflow.errors import HwflowError

FORMAT = "hwflow campaign results"
VERSION = 1
_BUSY_SECONDS = 60.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS trials (
    cell INTEGER, round INTEGER, seed TEXT, flips INTEGER, bad_weights INTEGER, bad_images INTEGER,
    correct INTEGER, images INTEGER, side_bits INTEGER, PRIMARY KEY (cell, round)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS claims (cell INTEGER, round INTEGER, PRIMARY KEY (cell, round)) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Trial:
    """One fault list and what it did; fields as in `hwflow.formats.Outcome`.

    Attributes:
        cell: place of its cell in the plan.
        round: counts the fault lists of the cell.
        seed: of the fault list.
        side_bits: bits of the protected side memory beside the weights.
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

    @property
    def accuracy(self) -> float:
        """Top-1, percent."""
        return 100.0 * self.correct / self.images


class Store:
    """An open results file; a context manager.

    Args:
        path: of the file.
        create: make it if it is missing.

    Raises:
        HwflowError: missing, not a results file, of another version, or not writable.
    """

    def __init__(self, path: str | Path, create: bool = False) -> None:
        self.path = Path(path)
        if not create and not self.path.is_file():
            raise HwflowError(f"{self.path}: no such results file; make one with 'hwflow campaign SPEC -o {self.path}'")
        if create and not self.path.resolve().parent.is_dir():
            raise HwflowError(f"{self.path}: the folder {self.path.resolve().parent} does not exist; make it first")
        with self._errors():
            self._connection = sqlite3.connect(self.path, timeout=_BUSY_SECONDS, isolation_level=None)
            try:
                # What is committed survives the death of any process; a power failure may cost the last trials.
                self._connection.execute("PRAGMA synchronous=NORMAL")
                if create:
                    self._connection.execute("PRAGMA journal_mode=WAL")
                    self._connection.executescript(_SCHEMA)
                tables = {row[0] for row in self._connection.execute("SELECT name FROM sqlite_master")}
                if not {"meta", "trials"} <= tables:
                    raise HwflowError(f"{self.path}: not a results file of hwflow")
            except BaseException:
                self._connection.close()
                raise

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; what is committed stays."""
        self._connection.close()

    @property
    def is_new(self) -> bool:
        """Whether nothing has been written yet."""
        with self._errors():
            return self._connection.execute("SELECT count(*) FROM meta").fetchone()[0] == 0

    def begin(self, meta: Mapping[str, Any]) -> None:
        """Write the head of a new file, all keys or, if another process was first, none."""
        rows = [(key, json.dumps(value)) for key, value in {"format": FORMAT, "version": VERSION, **meta}.items()]
        with self._errors(), self._transaction():
            if self.is_new:
                self._connection.executemany("INSERT INTO meta VALUES (?, ?)", rows)

    def put(self, key: str, value: Any) -> None:
        """Replace one entry of the head."""
        with self._errors():
            self._connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, json.dumps(value)))

    def meta(self) -> dict[str, Any]:
        """The head.

        Raises:
            HwflowError: another version wrote it, or it is incomplete.
        """
        with self._errors():
            head = {key: json.loads(value) for key, value in self._connection.execute("SELECT key, value FROM meta")}
        if head.get("format") != FORMAT:
            raise HwflowError(f"{self.path}: not a results file of hwflow, or its campaign never began")
        if head.get("version") != VERSION:
            raise HwflowError(f"{self.path}: version {head.get('version')} of the results format, not {VERSION}")
        return head

    def claim(self, cell: int, round_: int) -> bool:
        """Whether this process is the first to begin a trial."""
        with self._errors():
            before = self._connection.total_changes
            self._connection.execute("INSERT OR IGNORE INTO claims VALUES (?, ?)", (cell, round_))
            return self._connection.total_changes > before

    def add(self, trial: Trial) -> None:
        """Commit a trial; a second one of the same cell and round is dropped, for it is equal."""
        with self._errors():
            self._connection.execute("INSERT OR IGNORE INTO trials VALUES (?,?,?,?,?,?,?,?,?)", _row(trial))

    def trials(self) -> dict[int, list[Trial]]:
        """The trials of every cell that has any, by cell, in the order of the rounds."""
        found: dict[int, list[Trial]] = {}
        with self._errors():
            for row in self._connection.execute("SELECT * FROM trials ORDER BY cell, round"):
                trial = Trial(row[0], row[1], int(row[2]), *row[3:])
                found.setdefault(trial.cell, []).append(trial)
        return found

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """SQLite's errors, such as a full disk or a read-only file, in one line."""
        try:
            yield
        except sqlite3.Error as error:
            raise HwflowError(f"{self.path}: {error}; what is stored is intact") from error


def _row(trial: Trial) -> Sequence[Any]:
    cell, round_, seed, *rest = astuple(trial)
    return (cell, round_, str(seed), *rest)  # SQLite's integers are signed
