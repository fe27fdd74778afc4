"""Reads damaged files in a process of its own, which a damaged file may not bring down: python -m tests.fuzz.runner.

Prints the number of the mutation before it is read, so that a crash can be found again, and a line for each failure.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

import numpy as np

from hwflow.errors import HwflowError
from tests.fuzz.mutate import mutated
from tests.fuzz.subjects import SUBJECTS, Subject

SIDE_FILES = ("-wal", "-shm")
SECONDS = 20.0
"""No file may take longer; those that do declare more than they hold."""


def listing(folder: Path) -> set[str]:
    """Files in a folder, but SQLite's own beside a damaged results file, which it cannot tidy up."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.name.endswith(SIDE_FILES)}


def complaint(subject: Subject, folder: Path, before: set[str], right: object) -> str | None:
    """What is wrong about reading the folder, if anything."""
    start = time.monotonic()
    found: object = None
    refused = False
    try:
        found = subject.use(folder)
    except HwflowError as error:
        refused = True
        if "\n" in str(error) or not str(error).strip():
            return f"not one line: {error!r}"
    except BaseException as error:
        place = traceback.extract_tb(error.__traceback__)
        where = [f"{Path(each.filename).name}:{each.lineno}" for each in place][-4:]
        return f"{type(error).__name__}: {str(error)[:150]!r} at {' '.join(where)}"
    if time.monotonic() - start > SECONDS:
        return f"took {time.monotonic() - start:.0f} s"
    if left := listing(folder) ^ before:
        return f"left or removed {sorted(left)[:3]}"
    if subject.sealed and not refused and found != "damage is named" and not same(found, right):
        return "another result, and no error"
    return None


def same(a: object, b: object) -> bool:
    return repr(a) == repr(b)


def main(name: str, seed: int, count: int) -> int:
    subject = SUBJECTS[name]
    failures = 0
    with tempfile.TemporaryDirectory(prefix="hwflow-fuzz-") as folder_name:
        folder = Path(folder_name)
        paths = subject.make(folder)
        before = listing(folder)
        right = subject.use(folder)
        assert listing(folder) == before
        for number in range(count):
            rng = np.random.default_rng([seed, number])
            path = paths[int(rng.integers(len(paths)))]
            original = path.read_bytes()
            damaged = mutated(original, path.suffix, rng)
            print(f"at {number} {path.name}", flush=True)
            path.write_bytes(damaged)
            wrong = complaint(subject, folder, before, right)
            if wrong is not None:
                failures += 1
                print(f"FAILED {name} seed {seed} mutation {number} of {path.name}: {wrong}", flush=True)
                if len(sys.argv) > 4:
                    shutil.copy(path, Path(sys.argv[4]) / f"{number}{path.suffix}")
            path.write_bytes(original)
            for suffix in SIDE_FILES:
                path.with_name(path.name + suffix).unlink(missing_ok=True)
    print(f"done {count}, {failures} failed", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
