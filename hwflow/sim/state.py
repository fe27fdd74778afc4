"""Upsets of what a design holds besides weights: flip-flops, FIFOs, line buffers, counters."""

from __future__ import annotations

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


@dataclass(frozen=True)
class Register:
    """A register or a memory of a design.

    Attributes:
        path: names from the top module, with dots.
        bits: of a word.
        words: of a memory; 1 of a register.
    """

    path: str
    bits: int
    words: int = 1


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


def registers(net: Network) -> tuple[Register, ...]:
    """Every register and memory of a design that the simulator shows, weights and biases left out.

    Icarus shows all of them; Verilator those of a build for it (``hwflow simulate --test FILE --registers``).

    Raises:
        HwflowError: there are none to be seen.
    """
    names = {module: found for file in sorted(net.design.folder.glob("*.sv")) for module, found in _modules(file)}
    weights = {stored.path for stored in net.design.memories.values()}
    found = tuple(each for each in _walk(net.top, "", net.design.top, names) if each.path not in weights)
    if not found:
        raise HwflowError("no register can be seen; in Verilator, hwflow simulate --test needs --registers")
    return found


def draw(found: Sequence[Register], count: int, cycles: int, seed: int) -> tuple[StateUpset, ...]:
    """So many upsets, each of a bit drawn from all bits, before a clock edge from 1 to ``cycles``."""
    rng = random.Random(seed)
    weights = [register.bits * register.words for register in found]
    return tuple(
        StateUpset(register, rng.randrange(register.words), rng.randrange(register.bits), rng.randint(1, cycles))
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
    net: Network, images: IntArray, clean: IntArray, upsets: Sequence[StateUpset], timeout_cycles: int
) -> Outcome:
    """Reset, run images with upsets at their cycles, and compare; undefined output bits count as 0.

    What an upset leaves in the weights, by way of the configuration bus, stays there.

    Args:
        net: the design.
        images: codes ``(n, *input shape)``.
        clean: what they give without upsets.
        upsets: any number.
        timeout_cycles: after so many cycles it hangs; a few times what the run takes.
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
    verdicts = [_verdict(code, expected) for code, expected in zip(outputs, clean, strict=False)]
    return Outcome((*verdicts, *["hang"] * (len(clean) - len(verdicts))), where)


def _verdict(codes: IntArray, expected: IntArray) -> str:
    if np.array_equal(codes, expected):
        return "masked"
    return "wrong logits" if codes.argmax() == expected.argmax() else "wrong class"


def _modules(file: Path) -> Iterator[tuple[str, frozenset[str]]]:
    yield file.stem, assigned_registers(file.read_text())


def _walk(handle: Any, path: str, module: str, names: dict[str, frozenset[str]]) -> Iterator[Register]:
    """The registers below a module or a generate block."""
    for child in handle:
        name = child._name
        below = f"{path}.{name}" if path else name
        if isinstance(child, HierarchyArrayObject):
            child._discover_all()  # Icarus gives no range of a generate loop
            for index, element in child._sub_handles.items():
                yield from _walk(element, f"{below}[{index}]", module, names)
        elif isinstance(child, HierarchyObject):
            kind = child._def_name
            yield from _walk(child, below, kind if kind in names else module, names)
        elif name in names.get(module, ()):
            if isinstance(child, ArrayObject):
                first = child[min(child.range.left, child.range.right)]
                yield Register(below, len(first), len(child))
            elif isinstance(child, LogicArrayObject | PackedObject):
                yield Register(below, len(child))
            elif isinstance(child, LogicObject):
                yield Register(below, 1)
