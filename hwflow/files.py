"""Output files and folders that are either complete or not there.

Everything is written beside its final place under a hidden name and renamed at the end, so that a
failure or an interruption leaves nothing behind and never damages what was there before.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwflow.errors import HwflowError


@dataclass(frozen=True)
class FolderKind:
    """A kind of folder that hwflow writes, known by its manifest.

    Attributes:
        name: what to call it in messages.
        manifest: the JSON file in it whose key ``format`` tells the kind.
        format: the value of that key.
    """

    name: str
    manifest: str
    format: str

    def describes(self, path: Path) -> bool:
        """Whether ``path`` is a folder of this kind, of any version."""
        try:
            data = json.loads((path / self.manifest).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        return isinstance(data, dict) and data.get("format") == self.format


DESIGN = FolderKind("design", "design.json", "hwflow-design")
PROJECT = FolderKind("project", "project.json", "hwflow-project")
FAULT_LISTS = FolderKind("fault lists", "round-0.json", "hwflow fault list")
DEMO = FolderKind("demo", "demo.json", "hwflow-demo")

_REMOVE_TRIES = 20
_REMOVE_PAUSE = 0.1  # seconds


def check_output(path: Path, kind: FolderKind, force: bool) -> None:
    """Refuse an output folder that must not be replaced; called before any long work.

    Raises:
        HwflowError: something is there and ``force`` is off, or it is not a folder of this kind.
    """
    if not os.path.lexists(path):
        return
    if not force:
        raise HwflowError(f"{path} exists; choose another output folder, or replace it with --force")
    if not kind.describes(path):
        raise HwflowError(f"{path} is not a {kind.name} folder of hwflow, so --force does not replace it; remove it")


@contextmanager
def new_folder(path: Path, kind: FolderKind, force: bool = False) -> Iterator[Path]:
    """A folder to fill, which takes the place ``path`` when the block ends without an error.

    Yields:
        The folder's temporary path, on the same file system.

    Raises:
        HwflowError: see :func:`check_output`; or the parent folder cannot be written.
    """
    check_output(path, kind, force)
    final = path.resolve()
    created = _make_parents(final.parent)
    work = _hidden(final, "partial")
    try:
        try:
            work.mkdir()
        except OSError as error:
            raise HwflowError(f"{path}: cannot be created ({error.strerror}); choose another output folder") from error
        yield work
        _put(work, final)
    except BaseException:
        remove_tree(work)
        for parent in reversed(created):
            _remove_if_empty(parent)
        raise


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write ``data`` as indented JSON, completely or not at all.

    Raises:
        HwflowError: the file cannot be written.
    """
    work = _hidden(path, "partial")
    try:
        try:
            work.write_text(json_text(data), encoding="utf-8")
            os.replace(work, path)
        finally:
            work.unlink(missing_ok=True)
    except OSError as error:
        raise HwflowError(f"{path}: cannot be written ({error.strerror})") from error


def json_text(data: Mapping[str, Any]) -> str:
    """The one JSON spelling that hwflow writes: indented, NaN and infinity refused."""
    return json.dumps(data, indent=2, allow_nan=False) + "\n"


def sha256_file(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_bytes(path: Path) -> int:
    """Sizes of all files under ``path``, added up."""
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def remove_tree(path: Path) -> None:
    """Remove a folder; patient with compilers that an interruption has not quite stopped yet."""
    for _ in range(_REMOVE_TRIES):
        shutil.rmtree(path, ignore_errors=True)
        if not path.exists():
            return
        time.sleep(_REMOVE_PAUSE)


def _hidden(path: Path, suffix: str) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.{suffix}")


def _put(work: Path, final: Path) -> None:
    """Rename ``work`` to ``final``; what is there comes back if that fails."""
    if not final.exists():
        os.replace(work, final)
        return
    old = _hidden(final, "old")
    try:
        os.replace(final, old)
        os.replace(work, final)
    except BaseException:
        if not final.exists():
            os.replace(old, final)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)


def _make_parents(parent: Path) -> list[Path]:
    """Create missing folders down to ``parent``; returns those created, outermost first."""
    missing: list[Path] = []
    while not parent.exists():
        missing.insert(0, parent)
        parent = parent.parent
    for folder in missing:
        try:
            folder.mkdir()
        except OSError as error:
            raise HwflowError(f"{folder}: cannot be created ({error.strerror})") from error
    return missing


def _remove_if_empty(folder: Path) -> None:
    if not any(folder.iterdir()):
        folder.rmdir()
