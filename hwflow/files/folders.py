"""Output folders that are either complete or not there, and the JSON files in them.

A folder is written beside its final place under a hidden name and renamed at the end, so that a failure or an
interruption leaves nothing behind and never damages what was there before.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from hwflow.errors import HwflowError
from hwflow.files.leftovers import hidden, is_leftover, locked, partial_folder, remove_leftovers, remove_tree
from hwflow.files.outputs import check_name, write_file

FILES = "files"
"""Key of a manifest: the files of its folder, a list of their paths in it or an object with these as keys."""
_NAMED = 3  # files that a message names
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


@dataclass(frozen=True)
class FolderKind:
    """A kind of folder that hwflow writes, known by its manifest.

    Attributes:
        name: what to call it in messages.
        manifest: the JSON file in it whose key ``format`` tells the kind and ``files`` lists the other files.
        format: the value of that key.
        built: patterns of files that hwflow adds later, such as compiled simulations.
    """

    name: str
    manifest: str
    format: str
    built: tuple[str, ...] = ()

    def describes(self, path: Path) -> bool:
        """Whether ``path`` is a folder of this kind, of any version."""
        return self._manifest(path) is not None

    def foreign(self, path: Path) -> list[str]:
        """The files in a folder of this kind that hwflow did not write, sorted."""
        manifest = self._manifest(path) or {}
        listed = manifest.get(FILES, ())
        ours = {self.manifest, *(name for name in listed if isinstance(name, str))}
        return sorted(
            name
            for name in files_in(path)
            if name not in ours
            and not is_leftover(Path(name).name)
            and not any(fnmatchcase(name, pattern) for pattern in self.built)
        )

    def _manifest(self, path: Path) -> dict[str, Any] | None:
        try:
            data = read_json(path / self.manifest)
        except HwflowError:
            return None
        return data if isinstance(data, dict) and data.get("format") == self.format else None


_BUILDS = ("rtl/build/*", "firmware/csim/*", "firmware/tb_data/*.log")

DESIGN = FolderKind("design", "design.json", "hwflow-design")
PROJECT = FolderKind("project", "project.json", "hwflow-project", _BUILDS)
FAULT_LISTS = FolderKind("fault lists", "round-0.json", "hwflow fault list")
REPORT = FolderKind("report", "report.json", "hwflow-report")
DEMO = FolderKind("demo", "demo.json", "hwflow-demo", tuple(f"project/{each}" for each in _BUILDS))


def check_output(path: Path, kind: FolderKind, force: bool) -> None:
    """Refuse an output folder that must not be replaced; called before any long work.

    Raises:
        HwflowError: something is there and ``force`` is off, or it is not a folder of this kind, or holds files
            that hwflow did not write.
    """
    remove_leftovers(_real(path))
    _check_parent(path)
    if not os.path.lexists(path):
        return
    if not force:
        raise HwflowError(f"{path} exists; choose another output folder, or replace it with --force")
    if not kind.describes(path):
        raise HwflowError(f"{path} is not a {kind.name} folder of hwflow, so --force does not replace it; remove it")
    if foreign := kind.foreign(path):
        more = f" and {len(foreign) - _NAMED} more" if len(foreign) > _NAMED else ""
        raise HwflowError(
            f"{path}: --force would delete files that hwflow did not write, {', '.join(foreign[:_NAMED])}{more}; "
            "move them away, or choose another output folder"
        )


@contextmanager
def new_folder(path: Path, kind: FolderKind, force: bool = False) -> Iterator[Path]:
    """A folder to fill, which takes the place ``path`` when the block ends without an error.

    Yields:
        The folder's temporary path, on the same file system.

    Raises:
        HwflowError: see :func:`check_output`; or the parent folder cannot be written, or the disk is full.
    """
    check_output(path, kind, force)
    final = _real(path)
    created = _make_parents(final.parent)
    work: Path | None = None
    try:
        with partial_folder(final) as work:
            yield work
            check_output(path, kind, force)  # again: hours may have passed
            _put(work, final)
    except BaseException as error:
        if work is not None:
            remove_tree(work)
        for parent in reversed(created):
            _remove_if_empty(parent)
        if isinstance(error, OSError) and (work is None or _is_about(error, work)):
            raise HwflowError(f"{path}: cannot be written ({error.strerror or error})") from error
        raise


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        HwflowError: it cannot be read, is no JSON, or is nested too deeply.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise HwflowError(f"{path}: cannot be read ({error.strerror})") from error
    except RecursionError as error:
        raise HwflowError(f"{path}: nested too deeply to be a file of hwflow's") from error
    except ValueError as error:
        raise HwflowError(f"{path}: damaged, it is not JSON ({' '.join(str(error).split())})") from error


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write ``data`` as indented JSON, completely or not at all; errors as :func:`hwflow.files.outputs.write_file`."""
    write_file(path, json_text(data).encode())


def json_text(data: Mapping[str, Any]) -> str:
    """The one JSON spelling that hwflow writes: indented, NaN and infinity refused."""
    return json.dumps(data, indent=2, allow_nan=False) + "\n"


def sha256_file(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def content_hash(manifest: Mapping[str, Any]) -> str:
    """SHA-256 of a manifest without its own key ``sha256``; it covers the hashes of all files that it lists."""
    content = {key: value for key, value in manifest.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def file_hashes(folder: Path) -> dict[str, dict[str, Any]]:
    """``bytes`` and ``sha256`` of every file under ``folder``, by its path in it."""
    return {
        name: {"bytes": (folder / name).stat().st_size, "sha256": sha256_file(folder / name)}
        for name in files_in(folder)
    }


def files_in(folder: Path) -> list[str]:
    """Paths in ``folder`` of all files under it, sorted, with slashes."""
    return sorted(
        each.relative_to(folder).as_posix() for each in folder.rglob("*") if not each.is_dir() or each.is_symlink()
    )


def folder_bytes(path: Path) -> int:
    """Sizes of all files under ``path``, added up."""
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def _is_about(error: OSError, work: Path) -> bool:
    """Whether it was the folder that could not be written; errors of a full disk name no file."""
    return str(error.filename or "").startswith(str(work)) or (error.filename is None and error.errno in _FULL)


def _real(path: Path) -> Path:
    """The path without symbolic links; unlike `Path.resolve`, of a ring of links too."""
    return Path(os.path.realpath(path))


def _check_parent(path: Path) -> None:
    """Refuse a folder that could not be made."""
    check_name(path, _real(path))
    parent = _real(path).parent
    while not os.path.lexists(parent):
        parent = parent.parent
    if not parent.is_dir():
        raise HwflowError(f"{path}: cannot be created, for {parent} is no folder; choose another output folder")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise HwflowError(f"{path}: cannot be created (no permission for {parent}); choose another output folder")


def _put(work: Path, final: Path) -> None:
    """Rename ``work`` to ``final``; what is there comes back if that fails."""
    if not final.exists():
        os.rename(work, final)
        return
    old = hidden(final, "old")
    with locked(final):
        try:
            os.rename(final, old)
            os.rename(work, final)
        except BaseException:
            if not final.exists():
                os.rename(old, final)
            raise
        finally:
            if old.exists():
                remove_tree(old)


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
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
