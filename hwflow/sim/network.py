"""A generated design under cocotb: its memories in the coordinates of fault lists, and images through it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
import numpy.typing as npt
from cocotb.clock import Clock
from cocotb.handle import Immediate
from cocotb.task import Task
from cocotb.triggers import FallingEdge, First, RisingEdge, SimTimeoutError, with_timeout

from hwflow.errors import HwflowError
from hwflow.faults import FaultList
from hwflow.graph import IntArray
from hwflow.sim.design import StoredMemory, find_design
from hwflow.sim.hexfile import read_hex, write_hex
from hwflow.sim.streams import StreamSink, StreamSource
from hwflow.sim.stuck import Stuck, blocked

PERIOD_NS = 10
_INPUTS = ("sleep_i", "start_i", "in_count_i", "out_count_i", "upset_cycle_i", "stall_percent_i", "seed_i")
_HANDSHAKES = (
    "s_axis_tvalid",
    "m_axis_tready",
    *(f"s_axil_{name}" for name in ("awvalid", "wvalid", "bready", "arvalid", "rready")),
)


class Network:
    """A generated design under cocotb, for a test that wants images through it and bits flipped in it.

    ``dut`` is either the bench of hwflow, where sources and sinks in SystemVerilog move the beats and Python sleeps
    meanwhile, or the design's own top module, whose ports the test may then drive too.

    Args:
        dut: what cocotb hands to a test.
        project: folder of the design's ``rtl.json``; see :func:`hwflow.sim.find_design` for where it is looked for.

    Attributes:
        dut: the same.
        top: the design itself, in the bench an instance.
        design: what ``rtl.json`` says.
        begun: of the last run, the clock edge that first offered each image's first beat; edge 0 offered the first.
        finished: of the last run, the clock edge that took each image's last beat.
        wrong_last: whether ``tlast`` stood elsewhere than on each image's last beat in the last run.
        alone: no task but those of this object waits for a signal while images stream in the bench. Verilator then
            looks for no other, which is faster; a task that waits for one nevertheless would not wake.
        undefined_as_zero: undefined output bits, as Icarus has them after some upsets, count as 0; else they are an
            error.

    Raises:
        HwflowError: no such design.
    """

    def __init__(self, dut: Any, project: str | Path | None = None) -> None:
        self.dut = dut
        self.design = find_design(project)
        self._bench = hasattr(dut, "dut")
        self.top = dut.dut if self._bench else dut
        self.begun: IntArray = np.zeros(0, dtype=np.int64)
        self.finished: IntArray = np.zeros(0, dtype=np.int64)
        self.wrong_last = False
        self.alone = False
        self.undefined_as_zero = False
        self._clock: Clock | None = None
        self._source: StreamSource | None = None
        self._ended = 0  # runs

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers that have weights, in order."""
        return tuple(dict.fromkeys(name.rsplit(".", 1)[0] for name in self.design.memories))

    async def reset(self, cycles: int = 4) -> None:
        """Start the clock, if it does not run yet, and hold the reset for some cycles. Memories keep their content."""
        self.dut.rst_ni.value = 0
        if self._bench:
            for name in _INPUTS:
                getattr(self.dut, name).value = 0
        else:
            # An input that nobody drives is undefined in some simulators.
            for name in _HANDSHAKES:
                if hasattr(self.dut, name):
                    getattr(self.dut, name).value = 0
            if self._clock is None:
                self._clock = Clock(self.dut.clk_i, PERIOD_NS, unit="ns")
                self._clock.start()
        for _ in range(cycles):
            await FallingEdge(self.dut.clk_i)
        self.dut.rst_ni.value = 1

    def read(self, layer: str, index: int, kind: str = "weight") -> int:
        """The stored word ``index`` of a layer's ``weight`` or ``bias`` memory, check bits included.

        Raises:
            HwflowError: there is none, or the memory's bits are undefined.
        """
        memory = self.design.stored(layer, kind)
        address, position = memory.place(index)
        return self._word(memory, address) >> position & ((1 << memory.memory.bits) - 1)

    def write(self, layer: str, index: int, word: int, kind: str = "weight") -> None:
        """Put another word in its place."""
        memory = self.design.stored(layer, kind)
        if not 0 <= word < 1 << memory.memory.bits:
            raise HwflowError(f"memory {memory.memory.name!r}: {word} does not fit in {memory.memory.bits} bits")
        address, position = memory.place(index)
        self._flip(memory, address, (self.read(layer, index, kind) ^ word) << position)

    def load(self, layer: str, words: Sequence[int], kind: str = "weight") -> None:
        """Fill a whole memory with stored words.

        Raises:
            HwflowError: there are more or fewer than the memory has, or one has too many bits.
        """
        memory = self.design.stored(layer, kind)
        if len(words) != memory.memory.words:
            raise HwflowError(f"memory {memory.memory.name!r} has {memory.memory.words} words, not {len(words)}")
        for index, word in enumerate(words):
            self.write(layer, index, word, kind)

    def flip(self, layer: str, index: int, bit: int, kind: str = "weight") -> None:
        """Flip one stored bit, in the coordinates of fault lists: bit 0 is the least significant of word ``index``."""
        memory = self.design.stored(layer, kind)
        address, position = memory.place(index, bit)
        self._flip(memory, address, 1 << position)

    def inject(self, faults: FaultList) -> None:
        """Flip all bits of a fault list, now. Simulated time stands still meanwhile.

        Raises:
            HwflowError: the list is for another design.
        """
        self.design.check(faults)
        for memory in faults.memories:
            stored = self.design.memories[memory.name]
            for address, mask in sorted(stored.masks(faults).items()):
                self._flip(stored, address, mask)

    async def run(
        self,
        images: npt.NDArray[Any],
        *,
        upsets: Mapping[int, FaultList] | None = None,
        stall_percent: int = 0,
        seed: int = 1,
        timeout_cycles: int | None = None,
    ) -> IntArray:
        """Stream images through the design.

        Args:
            images: ``(n, *input shape)``; integers are input codes, real values are rounded to them.
            upsets: fault lists by clock cycle: each strikes just before the rising edge of that number, all of its
                bits at once; edge 0 offers the first beat. Several may hit the same bit, which flips each time.
            stall_percent: how often source and sink pause, in percent of the cycles.
            seed: of these pauses.
            timeout_cycles: after so many cycles the design is stuck; by default many times what it can take.

        Returns:
            Output codes ``(n, *output shape)``.

        Raises:
            Stuck: not all of the images came out; it names the stream that does not move.
            HwflowError: images of another shape, faults of another design, or an upset after the end.
        """
        codes = self.design.codes(np.asarray(images))
        for faults in (upsets or {}).values():
            self.design.check(faults)
        limit = timeout_cycles or self._timeout(len(codes), stall_percent)
        run = self._run_bench if self._bench else self._run_ports
        return await run(codes, dict(sorted((upsets or {}).items())), stall_percent, seed, limit)

    async def until(self, cycle: int) -> bool:
        """Until just before clock edge ``cycle`` of the run that goes on or begins next; one task may wait at a time.

        Returns:
            Whether the run got there; ``False`` if it ended before.
        """
        if not self._bench:
            return await self._until_ports(cycle)
        if self.dut.upset_o.value == 1 and int(self.dut.upset_cycle_i.value) == cycle:
            return True
        self.dut.upset_cycle_i.value = cycle
        await First(RisingEdge(self.dut.done_o), RisingEdge(self.dut.upset_o))
        # Between two clock edges, so that every read is either wholly before or wholly after.
        self.dut.sleep_i.value = 0
        await FallingEdge(self.dut.clk_i)
        self.dut.sleep_i.value = int(self.alone)
        return bool(self.dut.upset_o.value == 1 and self.dut.done_o.value == 0)

    async def _run_bench(
        self, codes: IntArray, upsets: Mapping[int, FaultList], stall_percent: int, seed: int, limit: int
    ) -> IntArray:
        dut, design = self.dut, self.design
        write_hex(Path("input.mem"), design.input.words(codes), design.input.bus_bits)
        dut.start_i.value = 0
        dut.in_count_i.value = len(codes) * design.input.beats
        dut.out_count_i.value = len(codes) * design.output.beats
        dut.stall_percent_i.value = stall_percent
        dut.seed_i.value = seed
        await FallingEdge(dut.clk_i)
        for name in ("begun.mem", "cycles.mem", "output.mem"):
            Path(name).unlink(missing_ok=True)
        dut.start_i.value = 1
        dut.sleep_i.value = int(self.alone)
        if 0 in upsets:
            self.inject(upsets[0])
        stuck = await self._to_the_end(upsets, RisingEdge(dut.done_o), limit)
        dut.sleep_i.value = 0
        self.wrong_last = bool(dut.wrong_last_o.value == 1)
        dut.start_i.value = 0
        await FallingEdge(dut.clk_i)
        self.begun, self.finished = (np.array(_words(name), dtype=np.int64) for name in ("begun.mem", "cycles.mem"))
        return self._outputs(_words("output.mem", self.undefined_as_zero), limit, stuck)

    async def _run_ports(
        self, codes: IntArray, upsets: Mapping[int, FaultList], stall_percent: int, seed: int, limit: int
    ) -> IntArray:
        design, clock = self.design, self.dut.clk_i
        source = StreamSource(self.dut, "s_axis", clock, stall_percent / 100, seed, design.input.beats)
        sink = StreamSink(self.dut, "m_axis", clock, stall_percent / 100, ~seed)
        self._source = source
        await FallingEdge(clock)
        source.send(design.input.words(codes))
        if 0 in upsets:
            self.inject(upsets[0])
        came = cocotb.start_soon(sink.came(len(codes) * design.output.beats))
        stuck = await self._to_the_end(upsets, came, limit)
        self._source, self._ended = None, self._ended + 1
        source.stop()
        sink.stop()
        await FallingEdge(clock)  # what the two drove in their last cycle has come to pass
        per_image, start = design.output.beats, (source.begun or [0])[0]
        self.begun = np.array(source.begun[:: design.input.beats], dtype=np.int64) - start
        self.finished = np.array(sink.cycles[per_image - 1 :: per_image], dtype=np.int64) - start
        self.wrong_last = any(last != (i % per_image == per_image - 1) for i, last in enumerate(sink.lasts))
        return self._outputs(sink.beats, limit, stuck)

    async def _until_ports(self, cycle: int) -> bool:
        """:meth:`until` where Python drives the ports: both count the same falling edges."""
        ended = self._ended
        while self._ended == ended:
            source = self._source
            if source is not None and source.begun and source.cycle - source.begun[0] >= cycle:
                return True
            await FallingEdge(self.dut.clk_i)
        return False

    async def _to_the_end(
        self, upsets: Mapping[int, FaultList], done: RisingEdge | Task[None], limit: int
    ) -> str | None:
        """Upset in order and wait for the end; what is stuck if it does not come within ``limit`` cycles."""

        async def end() -> None:
            for cycle, faults in upsets.items():
                if cycle:
                    if not await self.until(cycle):
                        raise HwflowError(f"the run ended before the upset in cycle {cycle}")
                    self.inject(faults)
            await done

        try:
            # Not at an edge: what the end of a run sets would come too late for the edge that is awaited next.
            await with_timeout(end(), limit * PERIOD_NS + 1, "ns")
        except SimTimeoutError:
            return blocked(self.top, self.design)
        return None

    def _outputs(self, beats: Sequence[int], limit: int, stuck: str | None) -> IntArray:
        """The codes of all images; of some, within an exception, if the design is stuck."""
        outputs = self.design.output.codes(beats[: len(self.finished) * self.design.output.beats])
        if stuck is not None:
            raise Stuck(limit, stuck, outputs)
        return outputs

    def _timeout(self, images: int, stall_percent: int) -> int:
        busy = (images + 2) * self.design.serial_cycles * 2
        return int(busy / (1 - min(stall_percent, 90) / 100)) + 10_000

    def _word(self, memory: StoredMemory, address: int) -> int:
        value = self._handle(memory, address).value
        if not value.is_resolvable:
            raise HwflowError(f"memory {memory.memory.name!r}: bits at address {address} are undefined")
        return int(value)

    def _flip(self, memory: StoredMemory, address: int, mask: int) -> None:
        # Deposited at once: neither a force, which Verilator ignores, nor a write that a second one would overtake.
        self._handle(memory, address).set(Immediate(self._word(memory, address) ^ mask))

    def _handle(self, memory: StoredMemory, address: int) -> Any:
        handle = self.top
        for name in memory.path.split("."):
            handle = getattr(handle, name)
        # A word alone: an array's handle makes an object for each word that it is asked for, and keeps it.
        return handle[address]


def _words(name: str, undefined_as_zero: bool = False) -> list[int]:
    """Words of a file that source or sink wrote; none if not one image got there."""
    path = Path(name)
    return read_hex(path, undefined_as_zero) if path.exists() else []
