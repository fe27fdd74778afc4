"""Output files: refused before any work where writing them would cost something, then complete or not there.

:func:`check_outputs` is what every command and every function that writes asks first; :func:`write_file` is what
writes. Neither replaces a device or a pipe, and neither leaves half a file behind.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from hwflow.errors import HwflowError
from hwflow.files.leftovers import hidden, partial_file, remove_leftovers

Paths = Mapping[str, object]
"""Paths by what they are called: text, a path, something with a ``path``, or anything else, which is no path."""

_LINKS = 40  # as many symbolic links as Linux follows


def check_outputs(reads: Paths, *, files: Paths | None = None, folders: Paths | None = None) -> None:
    """Refuse outputs that would overwrite an input or each other, and files that cannot be written.

    Two paths are the same if they lead to the same place, by whatever spelling, symbolic or hard link. An output
    inside an input folder is refused too, and so is an output folder with an input inside.

    Args:
        reads: what is read, by what it is, such as ``{"design": path}``; what does not exist is left to its reader.
        files: output files by the option that names them, such as ``{"--json": path}``.
        folders: output folders by option; whether one may be replaced is
            :func:`hwflow.files.folders.check_output`'s to say. Files that are made by other means may stand here too.

    Raises:
        HwflowError: names the option, the path and what it would cost.
    """
    inputs = {name: path for name, value in reads.items() if (path := as_path(value)) and path.exists()}
    outputs: dict[str, Path] = {}
    for option, value in (files or {}).items():
        if (path := as_path(value)) is not None:
            check_file(option, path)
            if not _is_stream(path):
                outputs[option] = path
    outputs |= {option: path for option, value in (folders or {}).items() if (path := as_path(value)) is not None}
    for option, path in outputs.items():
        for name, source in inputs.items():
            if how := _meets(path, source):
                raise HwflowError(f"{option} {path}: {how} the {name} {source}, an input; choose another place")
    names = list(outputs)
    for number, option in enumerate(names):
        for other in names[:number]:
            if how := _meets(outputs[option], outputs[other]):
                raise HwflowError(
                    f"{option} {outputs[option]}: {how} {other} {outputs[other]}, another output; choose another place"
                )


def check_file(option: str, path: Path) -> None:
    """Refuse a file that could not be written.

    Raises:
        HwflowError: it is a folder or a disk, its folder is missing, or it may not be written.
    """
    if _descriptor(path) is not None:
        return
    target = Path(os.path.realpath(path))
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        mode = None
    except OSError as error:
        raise HwflowError(f"{option} {path}: cannot be written ({error.strerror})") from error
    if mode is not None and stat.S_ISDIR(mode):
        raise HwflowError(f"{option} {path}: is a folder; name a file")
    if mode is not None and (stat.S_ISBLK(mode) or stat.S_ISSOCK(mode)):
        raise HwflowError(f"{option} {path}: is a {'disk' if stat.S_ISBLK(mode) else 'socket'}; name a file")
    if not target.parent.is_dir():
        raise HwflowError(f"{option} {path}: the folder {target.parent} does not exist; make it first")
    check_name(f"{option} {path}", target)
    places = [target] if mode is not None else []
    if mode is None or stat.S_ISREG(mode):
        places.append(target.parent)  # where the new file is written before it takes its name
    for place in places:
        if not os.access(place, os.W_OK):
            raise HwflowError(f"{option} {path}: cannot be written (no permission for {place})")


def check_name(what: object, target: Path) -> None:
    """Refuse a name that leaves no room for the longer one under which it is written.

    Raises:
        HwflowError: begins with ``what``.
    """
    try:
        os.lstat(hidden(target, "partial"))
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise HwflowError(f"{what}: cannot be written ({error.strerror})") from error


def write_file(path: Path, content: bytes) -> None:
    """Write a file, completely or not at all.

    A symbolic link is followed; the permissions of a file that is there stay. Devices, pipes, and this process's
    own streams (``/dev/stdout``) are written to, and never replaced.

    Raises:
        HwflowError: it cannot be written.
    """
    try:
        if _is_stream(path):
            _write_through(path, content)
        else:
            _write_regular(Path(os.path.realpath(path)), content)
    except OSError as error:
        raise HwflowError(f"{path}: cannot be written ({error.strerror or error})") from error


def _write_regular(target: Path, content: bytes) -> None:
    remove_leftovers(target)
    with partial_file(target) as (work, descriptor):
        try:
            with contextlib.suppress(FileNotFoundError):
                _same_owner(descriptor, target.stat())
            with open(descriptor, "wb", closefd=False) as file:
                file.write(content)
            os.replace(work, target)
        finally:
            work.unlink(missing_ok=True)


def _same_owner(descriptor: int, before: os.stat_result) -> None:
    os.fchmod(descriptor, stat.S_IMODE(before.st_mode))
    with contextlib.suppress(PermissionError):  # only root may give files away
        os.fchown(descriptor, before.st_uid, before.st_gid)


def _write_through(path: Path, content: bytes) -> None:
    descriptor = _descriptor(path)
    if descriptor is None:
        # Neither created nor truncated: it is no regular file.
        descriptor = os.open(path, os.O_WRONLY)
    else:
        if descriptor == 1 and sys.stdout is not None:
            sys.stdout.flush()
        # Opened anew, a file would be written from its beginning, over what was printed to it.
        descriptor = os.dup(descriptor)
    with open(descriptor, "wb") as stream:
        stream.write(content)


def _is_stream(path: Path) -> bool:
    """Whether a path is written to and not replaced: a device, a pipe, or a stream of this process."""
    if _descriptor(path) is not None:
        return True
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return stat.S_ISCHR(mode) or stat.S_ISFIFO(mode)


def _descriptor(path: Path) -> int | None:
    """The open file of this process that a path such as ``/dev/stdout`` stands for."""
    for _ in range(_LINKS):
        if path.name.isdecimal() and os.path.realpath(path.parent) == f"/proc/{os.getpid()}/fd":
            return int(path.name)
        if not os.path.islink(path):
            return None
        path = path.parent / path.readlink()
    return None


def as_path(value: object) -> Path | None:
    """The path that something is, or has; None of anything else."""
    if isinstance(value, str | os.PathLike):
        return Path(value)
    path = getattr(value, "path", None)  # of a design, a project, a results file
    return path if isinstance(path, Path) else None


def _meets(output: Path, other: Path) -> str | None:
    """How an output touches another path, or None if it does not."""
    real_output, real_other = Path(os.path.realpath(output)), Path(os.path.realpath(other))
    one, two = _identity(real_output), _identity(real_other)
    if real_output == real_other or (one is not None and one == two):
        return "is"
    if real_other in real_output.parents or (two is not None and two in map(_identity, real_output.parents)):
        return "lies in"
    if real_output in real_other.parents or (one is not None and one in map(_identity, real_other.parents)):
        return "holds"
    linked = one is not None and real_output.is_file() and real_output.stat().st_nlink > 1
    if linked and any(one == _identity(file) for file in _files(real_other)):
        return "is a hard link into"
    return None


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        about = path.stat()
    except OSError:
        return None
    return about.st_dev, about.st_ino


def _files(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):
        yield from (Path(parent) / name for name in names)
