"""Upsets of what a design holds besides weights: flip-flops, FIFOs, line buffers, counters."""

from __future__ import annotations

import fnmatch
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.handle import (
    ArrayObject,
    HierarchyArrayObject,
    HierarchyObject,
    Immediate,
    LogicArrayObject,
    LogicObject,
    PackedObject,
)

from hwflow.errors import HwflowError
from hwflow.graph import IntArray
from hwflow.sim.network import Network
from hwflow.sim.registers import assigned_registers
from hwflow.sim.stuck import Stuck

OUTCOMES = ("masked", "wrong logits", "wrong class", "hang")
"""From harmless to fatal."""

_RAM = "hwflow_ram"
_LOADED = re.compile(r"\.gen_ram\.ram|\.gen_register\.(limit|word)_reg")
"""What the bus loads with ``--loadable``: tables, outliers' rests, rescaling constants, limits."""
_LATER = 2
"""Images of a run that begin after its upset."""


@dataclass(frozen=True)
class Register:
    """A register or a memory of a design.

    Attributes:
        path: names from the top module, with dots.
        bits: of a word.
        words: of a memory; 1 of a register.
        cell: module that it is in; of a memory in ``hwflow_ram``, the module that has it.
    """

    path: str
    bits: int
    words: int = 1
    cell: str = ""

    @property
    def total_bits(self) -> int:
        """Bits of all words."""
        return self.bits * self.words

    @property
    def kind(self) -> str:
        """``flip-flops``, or ``memory`` if it has words."""
        return "memory" if self.words > 1 else "flip-flops"


@dataclass(frozen=True)
class StateUpset:
    """One bit of a register that flips just before a clock edge.

    Attributes:
        register: which one.
        word: of a memory, counted from 0.
        bit: 0 is the least significant.
        cycle: number of the clock edge, as in :meth:`hwflow.sim.Network.run`; at least 1.
    """

    register: Register
    word: int
    bit: int
    cycle: int


@dataclass(frozen=True)
class Outcome:
    """What upsets did to the images of a run.

    Attributes:
        images: for every image one of ``OUTCOMES``; ``hang`` of one that did not come out.
        where: what was stuck, if something was.
    """

    images: tuple[str, ...]
    where: str | None = None

    @property
    def worst(self) -> str:
        """The worst of the images."""
        return max(self.images, key=OUTCOMES.index)

    @property
    def recovered(self) -> bool:
        """Whether images were wrong, and a later one and all after it are right."""
        return self.worst != "masked" and self.images[-1] == "masked"


@dataclass(frozen=True)
class Trial:
    """A run with one upset.

    Attributes:
        upset: the upset.
        images: numbers of the images that were run, in order.
        outcome: what it did to them.
    """

    upset: StateUpset
    images: tuple[int, ...]
    outcome: Outcome


@dataclass(frozen=True)
class Upsets:
    """Runs with one upset each.

    Attributes:
        per_run: images of a run.
        run_cycles: cycles of a run without upsets.
        first, last: upsets strike before a clock edge from the first to the last.
        trials: the runs.
    """

    per_run: int
    run_cycles: int
    first: int
    last: int
    trials: tuple[Trial, ...]


def registers(net: Network) -> tuple[Register, ...]:
    """Every register and memory of a design that the simulator shows, in order of paths.

    Weights, biases and what else the bus loads are left out: what an upset does to them stays there after a reset.

    Icarus shows all of them; Verilator those of a build for it (``hwflow simulate --test FILE --registers``).

    Raises:
        HwflowError: there are none to be seen.
    """
    names = {module: found for file in sorted(net.design.folder.glob("*.sv")) for module, found in _modules(file)}
    weights = {stored.path for stored in net.design.memories.values()}
    top = net.design.top
    walk = _walk(net.top, "", top, top, names)
    found = [each for each in walk if each.path not in weights and _LOADED.search(each.path) is None]
    if not found:
        raise HwflowError("no register can be seen; in Verilator, hwflow simulate --test needs --registers")
    return tuple(sorted(found, key=lambda each: each.path))


def matching(found: Sequence[Register], patterns: Sequence[str]) -> tuple[Register, ...]:
    """Those registers whose path matches one of the patterns, in which ``*`` is any text and ``?`` any character.

    Raises:
        HwflowError: a pattern matches none.
    """
    # The brackets of a generate loop's index are no set of characters.
    rules = {pattern: re.compile(fnmatch.translate(pattern.replace("[", "[[]"))) for pattern in patterns}
    for pattern, rule in rules.items():
        if not any(rule.match(each.path) for each in found):
            paths = ", ".join(each.path for each in found[:: max(1, len(found) // 3)][:3])
            raise HwflowError(f"{pattern}: no register has such a path; there are {len(found)}, among them {paths}")
    return tuple(each for each in found if any(rule.match(each.path) for rule in rules.values()))


def draw(found: Sequence[Register], count: int, cycles: range, seed: int) -> tuple[StateUpset, ...]:
    """So many upsets, each of a bit drawn from all bits, before a clock edge of ``cycles``, which are at least 1."""
    rng = random.Random(seed)
    weights = [register.total_bits for register in found]
    return tuple(
        StateUpset(register, rng.randrange(register.words), rng.randrange(register.bits), rng.choice(cycles))
        for register in rng.choices(found, weights, k=count)
    )


def flip(net: Network, upset: StateUpset) -> bool:
    """Flip the bit now; ``False`` if it is undefined, as that of a word that was never written."""
    handle = net.top
    for name in upset.register.path.split("."):
        base, *indices = re.split(r"[\[\]]+", name.rstrip("]"))
        handle = getattr(handle, base)
        for index in indices:
            handle = handle[int(index)]
    if isinstance(handle, ArrayObject):
        handle = handle[min(handle.range.left, handle.range.right) + upset.word]
    value = handle.value
    if not value.is_resolvable:
        return False
    handle.set(Immediate(int(value) ^ (1 << upset.bit)))
    return True


async def replay(
    net: Network,
    images: IntArray,
    clean: IntArray,
    upsets: Sequence[StateUpset],
    timeout_cycles: int,
    threshold: float | None = None,
) -> Outcome:
    """Reset, run images with upsets at their cycles, and compare; undefined output bits count as 0.

    What an upset leaves in the weights, by way of the configuration bus, stays there.

    Args:
        net: the design.
        images: codes ``(n, *input shape)``.
        clean: what they give without upsets.
        upsets: any number.
        timeout_cycles: after so many cycles it hangs; a few times what the run takes.
        threshold: code above which a single output tells class 1.
    """
    await net.reset()
    net.undefined_as_zero = True

    async def strike() -> None:
        for upset in sorted(upsets, key=lambda each: each.cycle):
            if not await net.until(upset.cycle):
                return
            flip(net, upset)

    task = cocotb.start_soon(strike())
    where = None
    try:
        outputs = await net.run(images, timeout_cycles=timeout_cycles)
    except Stuck as stuck:
        outputs, where = stuck.outputs, stuck.where
    task.cancel()
    found = [verdict(code, expected, threshold) for code, expected in zip(outputs, clean, strict=False)]
    return Outcome((*found, *["hang"] * (len(clean) - len(found))), where)


async def measure(
    net: Network,
    images: IntArray,
    clean: IntArray,
    found: Sequence[Register],
    count: int,
    seed: int,
    most: int = 1000,
    threshold: float | None = None,
) -> Upsets:
    """Run so many times, each time other images with one upset.

    The upset, of a bit drawn from all bits, strikes when the design is full: before an edge after the end of the first
    image, up to the end of the second one. A run has two images that begin after that, which show whether the design
    recovers. It hangs after four times the cycles that it takes.

    Args:
        net: the design.
        images: codes ``(n, *input shape)`` to draw each run's images from.
        clean: what they give without upsets.
        found: registers to upset.
        count: of runs.
        seed: of all draws; the upsets are those of :func:`draw`.
        most: images that a run may have.
        threshold: code above which a single output tells class 1.

    Raises:
        HwflowError: a run needs more images, or one without upsets does not give what it should, first or last.
    """

    async def without(count: int, when: str) -> None:
        await net.reset()
        chosen = np.arange(count) % len(images)
        if not np.array_equal(await net.run(images[chosen]), clean[chosen]):
            raise HwflowError(f"{when} the upsets, images without any do not give what they should")

    per_run, later = 2, 0
    while later < _LATER:
        per_run += _LATER - later
        if per_run > most:
            raise HwflowError(f"a run needs more than {most} images, which are too many for the bench")
        await without(per_run, "before")
        later = int(np.count_nonzero(net.begun >= net.finished[1]))
    cycles, run_cycles = range(int(net.finished[0]) + 1, int(net.finished[1]) + 1), int(net.finished[-1])
    rng = random.Random(f"images {seed}")
    trials = []
    for upset in draw(found, count, cycles, seed):
        chosen = rng.choices(range(len(images)), k=per_run)
        outcome = await replay(net, images[chosen], clean[chosen], [upset], 4 * run_cycles, threshold)
        trials.append(Trial(upset, tuple(chosen), outcome))
    await without(per_run, "after")
    return Upsets(per_run, run_cycles, cycles[0], cycles[-1], tuple(trials))


def verdict(codes: IntArray, expected: IntArray, threshold: float | None = None) -> str:
    """What an image comes to: ``masked``, ``wrong logits`` or ``wrong class``; see :func:`replay`."""
    if np.array_equal(codes, expected):
        return "masked"
    if threshold is not None:
        same = bool(codes[0] > threshold) == bool(expected[0] > threshold)
    else:
        same = expected.ndim != 1 or codes.argmax() == expected.argmax()
    return "wrong logits" if same else "wrong class"


def _modules(file: Path) -> Iterator[tuple[str, frozenset[str]]]:
    yield file.stem, assigned_registers(file.read_text())


def _walk(handle: Any, path: str, module: str, cell: str, names: dict[str, frozenset[str]]) -> Iterator[Register]:
    """The registers below a module or a generate block."""
    for child in handle:
        name = child._name
        below = f"{path}.{name}" if path else name
        if isinstance(child, HierarchyArrayObject):
            child._discover_all()  # Icarus gives no range of a generate loop
            for index, element in child._sub_handles.items():
                yield from _walk(element, f"{below}[{index}]", module, cell, names)
        elif isinstance(child, HierarchyObject):
            kind = child._def_name if child._def_name in names else module
            yield from _walk(child, below, kind, cell if kind == _RAM else kind, names)
        elif name in names.get(module, ()):
            if isinstance(child, ArrayObject):
                first = child[min(child.range.left, child.range.right)]
                yield Register(below, len(first), len(child), cell)
            elif isinstance(child, LogicArrayObject | PackedObject):
                yield Register(below, len(child), cell=cell)
            elif isinstance(child, LogicObject):
                yield Register(below, 1, cell=cell)
