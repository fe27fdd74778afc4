"""What killed runs leave behind: known by its name, and by a lock that dies with its process.

Everything is written under a hidden name beside its final place, ``.NAME.<8 digits>.partial``; a folder that is
being replaced waits as ``.old``. A process holds a lock on what it writes, so that the next one can tell a leftover
from the work of a neighbour, in another container too, where process numbers mean nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

_ENDING = r"\.[0-9a-f]{8}\.(?:partial|old)"
_REMOVE_TRIES = 20
_REMOVE_PAUSE = 0.1  # seconds


def hidden(path: Path, suffix: str) -> Path:
    """A new hidden name beside ``path``; ``suffix`` is ``partial`` or ``old``."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.{suffix}")


def is_leftover(name: str) -> bool:
    """Whether a file's name is one that :func:`hidden` makes."""
    return re.fullmatch(rf"\..+{_ENDING}", name) is not None


@contextlib.contextmanager
def partial_folder(final: Path) -> Iterator[Path]:
    """A new hidden folder beside ``final``, locked while the block runs under whatever name it then has."""
    with _claimed(final, _made_folder) as (work, _):
        yield work


@contextlib.contextmanager
def partial_file(final: Path) -> Iterator[tuple[Path, int]]:
    """A new hidden file beside ``final`` and its descriptor, open for writing and locked while the block runs."""
    with _claimed(final, lambda work: os.open(work, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)) as claimed:
        yield claimed


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a folder while the block runs, under whatever name it then has."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        _lock(descriptor)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _claimed(final: Path, make: Callable[[Path], int]) -> Iterator[tuple[Path, int]]:
    while True:
        work = hidden(final, "partial")
        try:
            descriptor = make(work)
        except FileNotFoundError:
            if not final.parent.is_dir():
                raise
            continue  # a neighbour that cleans up took it in the moment before it could be locked
        if _lock(descriptor) and _is_at(descriptor, work):
            break
        os.close(descriptor)
    try:
        yield work, descriptor
    finally:
        os.close(descriptor)


def _made_folder(work: Path) -> int:
    work.mkdir()
    return os.open(work, os.O_RDONLY)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _lock(descriptor: int) -> bool:
    """Lock an open file or folder; False if another process has done so.

    Where the file system knows no locks, nobody can lock a leftover either, and it stays.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def remove_leftovers(final: Path) -> None:
    """Remove what dead processes left beside ``final``; a folder that was lost between two names comes back."""
    for path in sorted(_beside(final), key=lambda path: path.suffix == ".partial"):
        with _abandoned(path) as abandoned:
            if not abandoned:
                continue
            if path.suffix == ".old" and not os.path.lexists(final):
                os.rename(path, final)
            elif path.is_dir():
                remove_tree(path)
            else:
                path.unlink(missing_ok=True)


def remove_tree(path: Path) -> None:
    """Remove a folder; patient with compilers that an interruption has not quite stopped yet."""
    for _ in range(_REMOVE_TRIES):
        shutil.rmtree(path, ignore_errors=True)
        if not path.exists():
            return
        time.sleep(_REMOVE_PAUSE)


def _beside(final: Path) -> list[Path]:
    try:
        names = os.listdir(final.parent)
    except OSError:
        return []
    ours = re.compile(rf"\.{re.escape(final.name)}{_ENDING}")
    return [final.parent / name for name in names if ours.fullmatch(name)]


@contextlib.contextmanager
def _abandoned(path: Path) -> Iterator[bool]:
    """Whether the process that made it is gone: then its lock is free, and held here while the block runs."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        yield False
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        free = True
    except OSError:
        free = False
    try:
        yield free
    finally:
        os.close(descriptor)
