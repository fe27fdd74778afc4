"""Sources and sinks of AXI4-Stream ports for cocotb tests, with random pauses."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable
from typing import Any

import cocotb
from cocotb.triggers import Event, FallingEdge, ReadOnly

from hwflow.errors import HwflowError


class _Stream(ABC):
    """A stream's signals, and the task that drives it: values change while the clock is low and settle before it rises.

    So it does not matter who makes the clock, nor what the other end of a combinational ready does.
    """

    def __init__(self, dut: Any, prefix: str, clock: Any, pause: float, seed: int) -> None:
        if not 0 <= pause < 1:
            raise HwflowError(f"{prefix}: pause={pause:g} is a share of the cycles, from 0 to below 1")
        self.prefix, self.pause = prefix, pause
        self.data = getattr(dut, f"{prefix}_tdata")
        self.valid = getattr(dut, f"{prefix}_tvalid")
        self.ready = getattr(dut, f"{prefix}_tready")
        self.last = getattr(dut, f"{prefix}_tlast", None)
        self.cycles: list[int] = []
        self.cycle = 0
        self._clock, self._random, self._moved = clock, random.Random(seed), Event()
        self._task = cocotb.start_soon(self._run())

    def stop(self) -> None:
        """Drive it no longer."""
        self._task.cancel()

    async def _run(self) -> None:
        low = FallingEdge(self._clock)
        while True:
            await low
            self._drive()
            await ReadOnly()
            self._observe(bool(self.valid.value == 1) and bool(self.ready.value == 1))
            self.cycle += 1

    def _pauses(self) -> bool:
        return self.pause > 0 and self._random.random() < self.pause

    def _moves(self) -> None:
        self.cycles.append(self.cycle)
        self._moved.set()
        self._moved.clear()

    @abstractmethod
    def _drive(self) -> None:
        """Set the signals that are this side's."""

    @abstractmethod
    def _observe(self, moved: bool) -> None:
        """Take note of the cycle, in which a beat moved or not."""


class StreamSource(_Stream):
    """Drives ``<prefix>_tdata``, ``_tvalid`` and, if there is one, ``_tlast``; it obeys the protocol.

    Args:
        dut: who has the signals.
        prefix: of their names, as ``s_axis``.
        clock: its rising edges move beats.
        pause: share of the cycles in which nothing new is offered.
        seed: of these pauses.
        beats_per_image: ``tlast`` stands on every so many-th beat; 0: on none.

    Attributes:
        cycle: falling edges of the clock so far.
        cycles: value of ``cycle`` as each beat was taken.
        begun: value of ``cycle`` as each beat was offered for the first time.
    """

    def __init__(
        self, dut: Any, prefix: str, clock: Any, pause: float = 0.0, seed: int = 1, beats_per_image: int = 0
    ) -> None:
        self.begun: list[int] = []
        self._queue: deque[int] = deque()
        self._offers = False
        self._per_image = beats_per_image
        super().__init__(dut, prefix, clock, pause, seed)
        self.valid.value = 0

    def send(self, beats: Iterable[int]) -> None:
        """Queue beats; they leave from the next cycle on."""
        self._queue.extend(beats)

    async def sent(self) -> None:
        """Until every queued beat was taken."""
        while self._queue:
            await self._moved.wait()

    def _drive(self) -> None:
        if not self._offers:
            self._offers = bool(self._queue) and not self._pauses()
            if self._offers:
                self.data.value = self._queue[0]
                if self.last is not None and self._per_image:
                    self.last.value = int(len(self.begun) % self._per_image == self._per_image - 1)
                self.begun.append(self.cycle)
        self.valid.value = int(self._offers)

    def _observe(self, moved: bool) -> None:
        if moved:
            self._queue.popleft()
            self._offers = False
            self._moves()


class StreamSink(_Stream):
    """Drives ``<prefix>_tready`` and collects beats.

    Args:
        dut, prefix, clock, pause, seed: see :class:`StreamSource`.

    Attributes:
        beats: data of every beat that is not received yet.
        lasts: whether ``tlast`` stood on each of them; always ``False`` without that signal.
        cycle, cycles: see :class:`StreamSource`.
    """

    def __init__(self, dut: Any, prefix: str, clock: Any, pause: float = 0.0, seed: int = 2) -> None:
        self.beats: list[int] = []
        self.lasts: list[bool] = []
        super().__init__(dut, prefix, clock, pause, seed)
        self.ready.value = 0

    async def came(self, count: int) -> None:
        """Until so many beats are there."""
        while len(self.beats) < count:
            await self._moved.wait()

    async def receive(self, count: int) -> list[int]:
        """The first ``count`` beats, as soon as they are there; they are removed."""
        await self.came(count)
        taken = self.beats[:count]
        del self.beats[:count], self.lasts[:count]
        return taken

    def _drive(self) -> None:
        self.ready.value = int(not self._pauses())

    def _observe(self, moved: bool) -> None:
        if moved:
            self.beats.append(int(self.data.value))
            self.lasts.append(self.last is not None and bool(self.last.value == 1))
            self._moves()
