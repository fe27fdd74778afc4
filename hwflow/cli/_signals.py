"""Interruption and termination: exceptions, so that what is half-written is removed, and no process stays behind.

An exception of its own, because libraries treat ``KeyboardInterrupt`` and ``SystemExit`` in ways of their own.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

_WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated", signal.SIGHUP: "hung up"}
_PATIENCE = 2.0  # seconds after which a second signal ends what still cleans up; `timeout` sends two at once
_GRACE = 0.5  # seconds that a child has to end by itself
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER


class Stopped(BaseException):
    """A signal asked this process to stop.

    Attributes:
        status: exit status, as a shell counts it.
        word: what happened.
    """

    def __init__(self, number: int) -> None:
        self.status = 128 + number
        self.word = _WORDS[signal.Signals(number)]
        super().__init__(self.word)


@contextmanager
def stoppable(process: bool) -> Iterator[None]:
    """Raise :class:`Stopped` in the block on SIGINT, SIGTERM and SIGHUP, unless the caller has these ignored.

    Args:
        process: whether the block is all that this process does: then its children end with it, and signals that
            come after the block are too late and ignored.
    """
    first: list[float] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        if first:
            if time.monotonic() - first[0] > _PATIENCE:
                os._exit(128 + number)
            return
        first.append(time.monotonic())
        if process:
            _end_children()
        raise Stopped(number)

    def unraisable(failure: Any) -> None:
        if isinstance(failure.exc_value, Stopped):  # it came where exceptions are dropped, such as a finaliser
            first.clear()
            signal.raise_signal(failure.exc_value.status - 128)
        else:
            hook(failure)

    hook = sys.unraisablehook
    wanted = [number for number in _WORDS if signal.getsignal(number) != signal.SIG_IGN]
    previous = {number: signal.signal(number, stop) for number in wanted}
    sys.unraisablehook = unraisable
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, signal.SIG_IGN if process else handler)
        sys.unraisablehook = hook


def _end_children() -> None:
    """End what this process has started, and what that has started: compilers, simulators, workers.

    They are first asked to, so that they remove their own temporary files.
    """
    if not Path("/proc/self/stat").exists():
        return
    import ctypes

    # Orphans become children of this process: no compiler escapes by losing its `make`.
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    asked: set[int] = set()
    start = time.monotonic()
    while children := set(_descendants(os.getpid())):
        late = time.monotonic() - start > _GRACE
        for child in children if late else children - asked:
            with suppress(OSError):
                os.kill(child, signal.SIGKILL if late else signal.SIGTERM)
        asked |= children
        time.sleep(0.01)


def _descendants(root: int) -> list[int]:
    """Process numbers below ``root``, without those that have ended and only wait to be asked for."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if state not in "ZX":
            parents[int(entry.name)] = int(parent)
    found: list[int] = []
    level = [root]
    while level:
        level = [process for process, parent in parents.items() if parent in level]
        found += level
    return found
