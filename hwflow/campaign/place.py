"""Where a results file is or shall be: what is there before SQLite opens it, and what lies on a network."""

from __future__ import annotations

from pathlib import Path

from hwflow.errors import HwflowError

_NETWORK = (
    "9p", "afp", "afs", "beegfs", "ceph", "cifs", "davfs", "gfs", "gluster", "gpfs", "juicefs", "lustre", "nfs",
    "ocfs", "orangefs", "smb", "sshfs", "virtiofs",
)  # fmt: skip
"""Beginnings of the names of file systems that several machines can mount."""


def is_new(path: Path) -> bool:
    """Whether a results file would be begun here: nothing is there, or an empty file."""
    return not path.exists() or (path.is_file() and path.stat().st_size == 0)


def check_place(path: Path) -> None:
    """Refuse a place for a new results file where none can be, before any long work.

    Raises:
        HwflowError: the folder is missing, or something that is no file is there.
    """
    if not path.resolve().parent.is_dir():
        raise HwflowError(f"{path}: the folder {path.resolve().parent} does not exist; make it first")
    if path.exists() and not path.is_file():
        raise HwflowError(f"{path}: is not a file; choose another results file")


def is_shared_by_machines(path: Path) -> bool:
    """Whether a file lies on a file system of the network: SQLite's write-ahead log is for one machine only."""
    import psutil

    mounts = {Path(each.mountpoint): each.fstype for each in psutil.disk_partitions(all=True)}
    kind = next((mounts[each] for each in path.resolve().parents if each in mounts), "")
    return kind.lower().removeprefix("fuse.").startswith(_NETWORK)


def check_header(path: Path, application_id: int) -> None:
    """Refuse what is no results file without touching it: SQLite may write to a database that it only opens."""
    if not path.exists():
        raise HwflowError(f"{path}: no such results file; make one with 'hwflow campaign SPEC -o {path}'")
    check_place(path)
    try:
        with path.open("rb") as file:
            header = file.read(100)
    except OSError as error:
        raise HwflowError(f"{path}: cannot be read ({error.strerror})") from error
    if not header:
        raise HwflowError(f"{path}: is empty: its campaign never began")
    if header[:16] != b"SQLite format 3\0":
        raise HwflowError(f"{path}: not a results file of hwflow, nor any SQLite database; choose another file")
    if int.from_bytes(header[68:72], "big") != application_id:
        raise HwflowError(
            f"{path}: not a results file of hwflow, or one of a version that stored no checksums; choose another file"
        )
