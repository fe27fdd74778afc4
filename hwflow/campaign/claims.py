"""Who works on a results file: claims of trials, heartbeats, and how a process that died is told from one that works.

A claim says that a process has begun a trial. It ends with the trial, with its process, or when that process gives no
sign of life: on one machine the process is looked up; of other machines, which may have other clocks, a counter must
move. A claim that is taken over by mistake costs one trial computed twice, with equal results.
"""

from __future__ import annotations

import os
import socket
import sqlite3
import threading
import time
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from uuid import uuid4

BEAT_SECONDS = 5.0
EXPIRES_SECONDS = 60.0
"""Without a beat for so long, as this process sees it, another one counts as dead."""

_BUSY_SECONDS = 60.0

SCHEMA = (
    "CREATE TABLE claims (cell INTEGER, round INTEGER, owner TEXT NOT NULL, PRIMARY KEY (cell, round)) WITHOUT ROWID",
    "CREATE TABLE workers (owner TEXT PRIMARY KEY, place TEXT, pid INTEGER, started TEXT, beat INTEGER) WITHOUT ROWID",
)


@dataclass(frozen=True)
class Process:
    """A process, so that another one on the same machine can tell whether it still runs.

    Attributes:
        place: the machine since its last start, and the process namespace; empty where that is not known.
        pid: within it.
        started: when it started, as its machine counts; numbers are used again, their start times are not.
    """

    place: str
    pid: int
    started: str

    @classmethod
    def current(cls) -> Process:
        """This process."""
        return cls(_place(), os.getpid(), _started(os.getpid()))

    def is_dead(self) -> bool:
        """Whether it is known to have ended; False of other machines, and where there is no ``/proc``."""
        here = _place()
        return here != "" and self.place == here and _started(self.pid) != self.started


@dataclass
class Claims:
    """The claims of one process in an open results file.

    Attributes:
        connection: to the file, in autocommit mode.
        path: of the file, for the heartbeat's own connection.
        owner: this process, and this campaign in it.
    """

    connection: sqlite3.Connection
    path: Path
    owner: str = field(default_factory=lambda: uuid4().hex)
    _seen: dict[str, tuple[object, float]] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def join(self) -> None:
        """Become one of the file's workers."""
        process = Process.current()
        row = (self.owner, process.place, process.pid, process.started, 0)
        self.connection.execute("INSERT OR REPLACE INTO workers VALUES (?, ?, ?, ?, ?)", row)
        self._thread = threading.Thread(target=self._beat, name="hwflow-claims", daemon=True)
        self._thread.start()

    def leave(self) -> None:
        """Be none any more; claims that are left are given back."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        with suppress(sqlite3.Error):  # a full disk, say: then the claims end with this process
            self._release(self.owner)

    def take(self, cell: int, round_: int) -> bool:
        """Claim a trial, inside a transaction; False if a process that lives has it."""
        key = (cell, round_)
        row = self.connection.execute("SELECT owner FROM claims WHERE cell = ? AND round = ?", key).fetchone()
        if row is not None and row[0] == self.owner:
            return True
        if row is not None:
            if self._lives(row[0]):
                return False
            self._release(row[0])
        self.connection.execute("INSERT OR REPLACE INTO claims VALUES (?, ?, ?)", (*key, self.owner))
        return True

    def others(self) -> list[str]:
        """The other workers that live."""
        owners = [row[0] for row in self.connection.execute("SELECT owner FROM workers")]
        return [owner for owner in owners if owner != self.owner and self._lives(owner)]

    def _lives(self, owner: str) -> bool:
        query = "SELECT place, pid, started, beat FROM workers WHERE owner = ?"
        row = self.connection.execute(query, (owner,)).fetchone()
        if row is None:
            return False
        place, pid, started, beat = row
        if Process(place, pid, started).is_dead():
            return False
        now = time.monotonic()
        last, since = self._seen.get(owner, (None, now))
        if beat != last:
            since = now
        self._seen[owner] = (beat, since)
        return now - since < EXPIRES_SECONDS

    def _release(self, owner: str) -> None:
        self.connection.execute("DELETE FROM claims WHERE owner = ?", (owner,))
        self.connection.execute("DELETE FROM workers WHERE owner = ?", (owner,))

    def _beat(self) -> None:
        with closing(sqlite3.connect(self.path, timeout=_BUSY_SECONDS, isolation_level=None)) as connection:
            while not self._stop.wait(BEAT_SECONDS):
                with suppress(sqlite3.Error):  # a full disk, say: the trials report it, and the next beat may come
                    connection.execute("UPDATE workers SET beat = beat + 1 WHERE owner = ?", (self.owner,))


@cache
def _place() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{socket.gethostname()} {boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _started(pid: object) -> str:
    """When a process started, in ticks since the machine did; empty if there is none, or it only waits to be reaped."""
    try:
        # The name in parentheses may hold anything, spaces and parentheses too.
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]
