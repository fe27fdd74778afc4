"""Results of a campaign in one SQLite file: every finished trial is committed, and none twice.

meta     spec, plan (the cells), hashes, versions; as JSON, each with a checksum
trials   one row a trial, by cell (its place in the plan) and round, with a checksum
claims   the trials that some process has begun, and
workers  those processes, see `hwflow.campaign.claims`

The header's application id tells such a file from any other database, before SQLite opens it.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hwflow.campaign import claims, records
from hwflow.campaign.claims import Claims
from hwflow.campaign.place import check_header, check_place, is_new, is_shared_by_machines
from hwflow.campaign.records import INSERT, READ, Damage, Stored, Trial, checksum_of, row_of, trial_of
from hwflow.errors import HwflowError

FORMAT = "hwflow campaign results"
VERSION = 4
APPLICATION_ID = int.from_bytes(b"hwfc", "big")
KEYS = ("format", "version", "hwflow", "versions", "spec", "stopping", "plan", "hashes", "inputs", "layers", "float")
"""Of the head."""

_BUSY_SECONDS = 60.0
_POLL_SECONDS = 0.1
_WAIT_SECONDS = 2.0

_ERRORS = (sqlite3.Error, UnicodeDecodeError)
"""What reading raises: an error of SQLite's that quotes a damaged schema may be no text."""

_SCHEMA = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL, checksum TEXT NOT NULL) WITHOUT ROWID",
    records.SCHEMA,
    *claims.SCHEMA,
)


class Store:
    """An open results file.

    Args:
        path: of the file.

    Attributes:
        created: whether this object made the file.

    Raises:
        HwflowError: missing, not a results file, of another version, damaged, or not readable.
    """

    def __init__(self, path: str | Path) -> None:
        self.path, self.created = Path(path), False
        check_header(self.path, APPLICATION_ID)
        self._connect()
        try:
            self._check_tables()
        except BaseException:
            self.close()
            raise

    @classmethod
    def begun(cls, path: str | Path) -> Store | None:
        """The results file at this place, or None if there is none yet: nothing, or what a killed creation left."""
        if is_new(Path(path)):
            return None
        try:
            return cls(path)
        except HwflowError:
            if is_new(Path(path)):  # opening it has undone the half creation
                return None
            raise

    @classmethod
    def create(cls, path: str | Path, head: Mapping[str, Any]) -> Store:
        """Make a results file with its head in one step; if another process was first, open that one's.

        Raises:
            HwflowError: something else is there, or the file cannot be written.
        """
        store = cls.__new__(cls)
        store.path, store.created = Path(path), False
        check_place(store.path)
        if (begun := cls.begun(path)) is not None:
            return begun
        there = store.path.exists()
        store._connect()
        try:
            with store._errors():
                store._begin(head)
            store._check_tables()
        except BaseException:
            store.close()
            if not there and is_new(store.path):
                store.path.unlink(missing_ok=True)
            raise
        return store

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; what is committed stays."""
        self._connection.close()

    def discard(self) -> None:
        """Remove the file again if this object made it, no trial is stored, and nobody else works on it."""
        if not self.created:
            return
        with suppress(HwflowError), self._errors(), self._transaction("EXCLUSIVE"):
            stored = self._connection.execute("SELECT count(*) FROM trials").fetchone()[0]
            if not stored and not self.claims.others():
                for suffix in ("", "-wal", "-shm"):
                    self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)

    def put(self, key: str, value: Any) -> None:
        """Replace one entry of the head."""
        with self._errors():
            self._connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?, ?)", _entry(key, value))

    def meta(self) -> dict[str, Any]:
        """The head.

        Raises:
            HwflowError: an entry is damaged or missing, or another version wrote it.
        """
        with self._errors():
            rows = self._connection.execute("SELECT key, value, checksum FROM meta").fetchall()
        head: dict[str, Any] = {}
        for key, value, checksum in rows:
            if checksum != checksum_of(key, value):
                raise self._damaged_head(str(key))
            head[key] = json.loads(value)
        if head.get("version", VERSION) != VERSION:
            raise HwflowError(
                f"{self.path}: version {head['version']} of the results format, not {VERSION}; run it again"
            )
        for key in KEYS:
            if key not in head:
                raise self._damaged_head(key)
        return head

    def load(self) -> Stored:
        """All trials, each checked; one that is damaged is named and left out."""
        found: dict[tuple[int, int], Trial] = {}
        damaged: list[Damage] = []
        try:
            for row in self._connection.execute(READ):
                trial = trial_of(row)
                if isinstance(trial, Damage):
                    damaged.append(trial)
                else:
                    found[trial.cell, trial.round] = trial
        except _ERRORS as error:
            if not _is_damage(error):
                raise self._one_line(error) from error
            damaged.append(Damage(None, None, f"the rest of the trials cannot be read ({_printable(error)})"))
        trials: dict[int, list[Trial]] = {}
        for key in sorted(found):
            trials.setdefault(key[0], []).append(found[key])
        return Stored(trials, tuple(damaged))

    def trials(self) -> Mapping[int, list[Trial]]:
        """The sound trials of every cell that has any, by cell, in the order of the rounds."""
        return self.load().trials

    def repair(self) -> tuple[Damage, ...]:
        """Drop damaged trials, which then are missing and computed again; returns them.

        Raises:
            HwflowError: the file is damaged beyond its rows.
        """
        with self._errors():
            sound = self._is_sound()
        damaged = self.load().damaged
        if sound and not damaged:
            return ()
        with self._errors(), self._transaction():
            trials, damaged = self.load().trials, self.load().damaged
            self._connection.execute("DELETE FROM trials")
            rows = [row_of(trial) for each in trials.values() for trial in each]
            self._connection.executemany(INSERT, rows)
        with self._errors():
            if not self._is_sound():
                raise HwflowError(
                    f"{self.path}: is damaged beyond its rows; save its sound trials with 'hwflow report {self.path} "
                    "--csv FILE', and choose another results file or remove this one"
                )
        return damaged

    # Sharing

    def share(self) -> None:
        """Let readers and writers not wait for each other, where the file's place allows it."""
        mode = "DELETE" if is_shared_by_machines(self.path) else "WAL"
        # Another process has the file open just now, and has done this itself.
        with suppress(sqlite3.OperationalError):
            self._connection.execute(f"PRAGMA journal_mode={mode}")

    def settle(self) -> None:
        """Make it a single file again that can be read anywhere, unless another process still works on it."""
        self._connection.execute("PRAGMA busy_timeout=0")
        with suppress(sqlite3.OperationalError):
            self._connection.execute("PRAGMA journal_mode=DELETE")
        self._connection.execute(f"PRAGMA busy_timeout={int(1000 * _BUSY_SECONDS)}")

    @contextmanager
    def joined(self) -> Iterator[None]:
        """Be one of the processes that work on this file while the block runs."""
        with self._errors():
            self.claims.join()
        try:
            yield
        finally:
            self.claims.leave()

    def claim(self, cell: int, round_: int) -> bool:
        """Whether this process may begin a trial: it is not stored, and no process that lives has begun it."""
        with self._errors(), self._transaction():
            query = "SELECT 1 FROM trials WHERE cell = ? AND round = ?"
            if self._connection.execute(query, (cell, round_)).fetchone():
                return False
            return self.claims.take(cell, round_)

    def add(self, trial: Trial) -> None:
        """Commit a trial, and end its claim; a second one of the same cell and round is dropped, for it is equal."""
        with self._errors(), self._transaction():
            self._connection.execute(INSERT, row_of(trial))
            key = (trial.cell, trial.round)
            self._connection.execute("DELETE FROM claims WHERE cell = ? AND round = ?", key)

    def wait(self) -> None:
        """Wait until another process has written something, or for two seconds."""
        end, first = time.monotonic() + _WAIT_SECONDS, self._data_version()
        while time.monotonic() < end and self._data_version() == first:
            time.sleep(_POLL_SECONDS)

    # SQLite

    def _connect(self) -> None:
        with self._errors():
            self._connection = sqlite3.connect(self.path, timeout=_BUSY_SECONDS, isolation_level=None)
            # A damaged text is a text whose checksum differs, not an error that ends the reading of all others.
            self._connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
            # What is committed survives the death of any process; a power failure may cost the last trials.
            self._connection.execute("PRAGMA synchronous=NORMAL")
        self.claims = Claims(self._connection, self.path)

    def _begin(self, head: Mapping[str, Any]) -> None:
        entries = [_entry(key, value) for key, value in {"format": FORMAT, "version": VERSION, **head}.items()]
        with self._transaction("EXCLUSIVE"):
            if self._tables():
                return
            self._connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            for statement in _SCHEMA:
                self._connection.execute(statement)
            self._connection.executemany("INSERT INTO meta VALUES (?, ?, ?)", entries)
        self.created = True

    def _tables(self) -> set[str]:
        return {row[0] for row in self._connection.execute("SELECT name FROM sqlite_master")}

    def _check_tables(self) -> None:
        with self._errors():
            if not {"meta", "trials", "claims", "workers"} <= self._tables():
                raise HwflowError(f"{self.path}: is damaged, tables are missing; restore a copy, or remove it")

    def _is_sound(self) -> bool:
        try:
            return bool(self._connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))
        except _ERRORS as error:
            if not _is_damage(error):
                raise
            return False

    def _data_version(self) -> int:
        with self._errors():
            return int(self._connection.execute("PRAGMA data_version").fetchone()[0])

    @contextmanager
    def _transaction(self, kind: str = "IMMEDIATE") -> Iterator[None]:
        self._connection.execute(f"BEGIN {kind}")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            # A full disk has already ended it.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """SQLite's errors, such as a full disk or a read-only file, in one line."""
        try:
            yield
        except _ERRORS as error:
            raise self._one_line(error) from error

    def _one_line(self, error: Exception) -> HwflowError:
        if _is_damage(error):
            return HwflowError(f"{self.path}: is damaged ({_printable(error)}); restore a copy, or remove it")
        return HwflowError(f"{self.path}: {error}; what is stored is intact")

    def _damaged_head(self, key: str) -> HwflowError:
        return HwflowError(
            f"{self.path}: is damaged: {key!r} of its head is missing or has another checksum; restore a copy, or "
            "remove it"
        )


def _printable(error: Exception) -> str:
    """What SQLite says; it may quote what it read in a damaged page."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(error))


def _is_damage(error: Exception) -> bool:
    """Whether the file is at fault: its pages, or a schema that no longer is hwflow's."""
    codes = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF in codes


def _entry(key: str, value: Any) -> tuple[str, str, str]:
    text = json.dumps(value)
    return key, text, checksum_of(key, text)
