"""Registers that an ECP5 has inside its multipliers and block RAMs, and that Yosys leaves beside them.

``synth_ecp5`` maps products to ``MULT18X18D`` and memories to ``DP16KD``, with all of their registers bypassed, and
nextpnr takes them as they come: from a block RAM to a flip-flop, or through a multiplier, are then the longest paths of
a design. :func:`pack_registers` moves flip-flops that stand right at such a block into it, as Lattice's own tools do:

- both operands of a multiplier, where all of their bits come from flip-flops (which stay where others use them too);
- the register behind its product, where it is all that reads it; a second one stays, on the way to what adds;
- the register behind a port of a block RAM that reads in every cycle, or with the register's own enable: whether the
  block's enable stops its output register makes no difference then.

Only flip-flops of one rising clock, without reset and with one enable, are moved; they hold 0 at power-up there as
here.

Block RAMs lie in rows across the device. A flip-flop that a memory of many blocks hangs on, as a register of its
address, gets a copy for each of them, which nextpnr places beside it. So that this holds for a write enable
too, the LUT that makes it wait for the port's enable is left out: a block writes nothing while its port is not enabled.

    yosys -p "read_verilog -sv *.sv; synth_ecp5 -top top -json design.json"
    python -m hwflow.cost.ecp5 design.json packed.json
    nextpnr-ecp5 --85k --json packed.json ...

Sources: Lattice FPGA-TN-02204 (memories), FPGA-TN-02205 (DSP), FPGA-DS-02012 (primitives).
"""

from __future__ import annotations

import argparse
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from hwflow.errors import HwflowError
from hwflow.files.outputs import write_file

Bit = int | str
"""A net of Yosys's JSON netlist, or ``"0"``, ``"1"``, ``"x"``."""
_ADVICE = "write it with synth_ecp5 -top TOP -json FILE"
OPERAND_BITS, PRODUCT_BITS, PORT_BITS, WIDE = 18, 36, 18, 36


@dataclass(frozen=True)
class Packed:
    """What was moved.

    Attributes:
        operands: multipliers with registered operands.
        products: multipliers with a registered product.
        ports: ports of block RAMs with an output register.
        flip_flops: flip-flops that are no longer beside them.
        copies: flip-flops that are copies of others.
        write_enables: ports of block RAMs whose write enable no longer waits for their enable.
    """

    operands: int
    products: int
    ports: int
    flip_flops: int
    copies: int
    write_enables: int


class _Control(NamedTuple):
    """Clock and enable of a register; ``"1"`` enables it always."""

    clock: Bit
    enable: Bit


class _Pin(NamedTuple):
    cell: str
    port: str


_Registers = tuple[Mapping[str, str], _Control]
"""Flip-flops by the port that they stand at, and what controls all of them."""


class _Netlist:
    """Cells of a flat module, with who drives and who reads a net."""

    def __init__(self, module: Mapping[str, Any]) -> None:
        self.cells: dict[str, Any] = module["cells"]
        self.readers: defaultdict[Bit, set[_Pin]] = defaultdict(set)
        self.drivers: dict[Bit, _Pin] = {}
        for name, cell in self.cells.items():
            for port, bits in cell["connections"].items():
                for bit in bits:
                    if cell["port_directions"].get(port) == "output":
                        self.drivers[bit] = _Pin(name, port)
                    else:
                        self.readers[bit].add(_Pin(name, port))
        for name, port in module["ports"].items():
            for bit in port["bits"] if port["direction"] != "input" else ():
                self.readers[bit].add(_Pin("", name))
        self._last = max(bit for bit in (*self.readers, *self.drivers, 1) if isinstance(bit, int))

    def named(self, kind: str) -> list[str]:
        """The names of all cells of a type."""
        return [name for name, cell in self.cells.items() if cell["type"] == kind]

    def net(self, cell: str, port: str, otherwise: Bit = "0") -> Bit:
        """What is at a port of one bit."""
        found: Bit = next(iter(self.cells[cell]["connections"].get(port, ())), otherwise)
        return found

    def connect(self, cell: str, port: str, bit: Bit) -> None:
        """Connect an input, or the output that drives a net from now on."""
        known = self.cells[cell]
        direction = known["port_directions"].setdefault(port, "input")
        if direction == "input":
            self.readers[self.net(cell, port)].discard(_Pin(cell, port))
            self.readers[bit].add(_Pin(cell, port))
        else:
            self.drivers[bit] = _Pin(cell, port)
        known["connections"][port] = [bit]

    def copy(self, name: str, pins: Iterable[_Pin]) -> None:
        """Add a copy of a flip-flop, for some of the inputs that it drives."""
        known = self.cells[name]
        held = self._last = self._last + 1
        copy = f"{name}_copy_{held}"
        self.cells[copy] = known | {"connections": known["connections"] | {"Q": [held]}}
        for port, (bit,) in known["connections"].items():
            if known["port_directions"].get(port) != "output":
                self.readers[bit].add(_Pin(copy, port))
        self.drivers[held] = _Pin(copy, "Q")
        for cell, port in pins:
            self.connect(cell, port, held)

    def remove(self, name: str) -> None:
        """Take out a cell."""
        for port, (bit,) in self.cells.pop(name)["connections"].items():
            self.readers[bit].discard(_Pin(name, port))

    def control(self, name: str) -> _Control | None:
        """What controls a cell, if it is a flip-flop that can be moved."""
        cell = self.cells.get(name)
        if cell is None or cell["type"] != "TRELLIS_FF":
            return None
        parameters = cell["parameters"]
        enabled, with_enable = (parameters.get("CEMUX", "CE").strip() == text for text in ("1", "CE"))
        if (
            self.net(name, "LSR") != "0"
            or parameters.get("REGSET", "RESET") != "RESET"
            or parameters.get("CLKMUX", "CLK") != "CLK"
            or not (enabled or with_enable)
        ):
            return None
        return _Control(self.net(name, "CLK"), "1" if enabled else self.net(name, "CE", "1"))

    def behind(self, outputs: Mapping[str, Bit]) -> _Registers | None:
        """The flip-flops that take in all outputs that are used, and are all that does."""
        flip_flops: dict[str, str] = {}
        for port, bit in outputs.items():
            readers = self.readers[bit]
            if not readers:
                continue
            reader = next(iter(readers))
            if len(readers) > 1 or reader.port != "DI":
                return None
            flip_flops[port] = reader.cell
        return self._alike(flip_flops)

    def before(self, inputs: Mapping[str, Bit]) -> _Registers | None:
        """The flip-flops that drive all inputs, but for those that are 0."""
        flip_flops: dict[str, str] = {}
        for port, bit in inputs.items():
            if bit == "0":
                continue
            driver = self.drivers.get(bit)
            if driver is None or driver.port != "Q":
                return None
            flip_flops[port] = driver.cell
        return self._alike(flip_flops)

    def _alike(self, flip_flops: Mapping[str, str]) -> _Registers | None:
        controls = {self.control(name) for name in flip_flops.values()}
        control = controls.pop() if len(controls) == 1 else None
        return None if control is None else (flip_flops, control)

    def absorb_behind(self, cell: str, flip_flops: Mapping[str, str]) -> None:
        """Drive from a cell's outputs what the flip-flops behind them drive, and remove these."""
        for port, flip_flop in flip_flops.items():
            held = self.net(flip_flop, "Q")
            self.remove(flip_flop)
            self.connect(cell, port, held)

    def absorb_before(self, cell: str, flip_flops: Mapping[str, str]) -> None:
        """Connect a cell's inputs to what the flip-flops before them take in; remove those that nothing else reads."""
        for port, flip_flop in flip_flops.items():
            self.connect(cell, port, self.net(flip_flop, "DI"))
        for flip_flop in set(flip_flops.values()):
            if not self.readers[self.net(flip_flop, "Q")]:
                self.remove(flip_flop)

    def nets(self, cell: str, prefix: str, bits: int) -> dict[str, Bit]:
        """The nets at the ports ``prefix0``, ``prefix1`` and so on, those that the cell has."""
        ports = (f"{prefix}{i}" for i in range(bits))
        return {port: self.net(cell, port) for port in ports if port in self.cells[cell]["connections"]}


def pack_registers(netlist: Mapping[str, Any]) -> Packed:
    """Move registers into the multipliers and block RAMs of a netlist for an ECP5.

    Args:
        netlist: what ``synth_ecp5 -json`` writes, flat; it is changed.

    Raises:
        HwflowError: it has no top module, or more than one.
    """
    tops = [module for module in netlist.get("modules", {}).values() if "top" in module.get("attributes", {})]
    if len(tops) != 1:
        raise HwflowError(f"the netlist has {len(tops)} top modules; {_ADVICE}")
    cells = _Netlist(tops[0])
    before, memories = len(cells.named("TRELLIS_FF")), cells.named("DP16KD")
    multipliers = [_pack_multiplier(cells, name) for name in cells.named("MULT18X18D")]
    ports = sum(_pack_port(cells, name, side) for name in memories for side in "AB")
    write_enables = sum(_free_write_enable(cells, name, side) for name in memories for side in "AB")
    left = cells.named("TRELLIS_FF")
    return Packed(
        operands=sum("INPUTA" in registers for registers in multipliers),
        products=sum("OUTPUT" in registers for registers in multipliers),
        ports=ports,
        flip_flops=before - len(left),
        copies=sum(_copy_register(cells, name) for name in left),
        write_enables=write_enables,
    )


def _free_write_enable(cells: _Netlist, name: str, side: str) -> bool:
    """Take a port's enable, without which it writes nothing, out of what its write enables wait for.

    Words of 18 bits have enables of their bytes where others have the lowest bits of the address.
    """
    enable, write = cells.net(name, f"CE{side}", "1"), cells.net(name, f"WE{side}")
    lut = cells.drivers.get(write, _Pin("", "")).cell
    if not lut or cells.cells[lut]["type"] != "LUT4" or enable in ("0", "1"):
        return False
    table = int(cells.cells[lut]["parameters"]["INIT"], 2)
    inputs = [cells.net(lut, port) for port in "ABCD"]
    rows = [row for row in range(16) if all(_agrees(net, row >> i & 1, enable) for i, net in enumerate(inputs))]
    for place, net in enumerate(inputs):
        if net not in ("0", "1", enable) and all((table >> row ^ row >> place) & 1 == 0 for row in rows):
            for port in (f"WE{side}", f"AD{side}0", f"AD{side}1"):
                if cells.net(name, port) == write:
                    cells.connect(name, port, net)
            if not cells.readers[cells.net(lut, "Z")]:
                cells.remove(lut)
            return True
    return False


def _agrees(net: Bit, value: int, enable: Bit) -> bool:
    """Whether a net can have a value while an enable is high."""
    return value == 1 if net in ("1", enable) else net != "0" or value == 0


def _copy_register(cells: _Netlist, name: str) -> int:
    """Give a flip-flop a copy for every block RAM that it drives but one; how many."""
    memories: defaultdict[str, list[_Pin]] = defaultdict(list)
    for pin in cells.readers[cells.net(name, "Q")]:
        if pin.cell and cells.cells[pin.cell]["type"] == "DP16KD":
            memories[pin.cell].append(pin)
    others = sorted(memories, key=_natural)[1:]
    for block in others:
        cells.copy(name, memories[block])
    return len(others)


def _natural(name: str) -> list[tuple[int, str]]:
    """A key that sorts numbers in names by their size: Yosys numbers the blocks of a memory."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name)]


def _pack_multiplier(cells: _Netlist, name: str) -> Iterable[str]:
    """Give a multiplier its registers; those that it uses, by their names in the primitive's parameters."""
    controls: dict[str, _Control] = {}
    behind = cells.behind(cells.nets(name, "P", PRODUCT_BITS))
    if behind is not None:
        flip_flops, controls["OUTPUT"] = behind
        cells.absorb_behind(name, flip_flops)
    operands = [cells.before(cells.nets(name, side, OPERAND_BITS)) for side in "AB"]
    registered = [operand for operand in operands if operand is not None]
    clocks = {control.clock for control in controls.values()} | {control.clock for _, control in registered}
    if len(registered) == len(operands) and len(clocks) == 1:  # nextpnr times one registered operand as none
        for side, (flip_flops, control) in zip("AB", registered, strict=True):
            controls[f"INPUT{side}"] = control
            cells.absorb_before(name, flip_flops)
    if not controls:
        return ()
    enables = sorted({control.enable for control in controls.values()}, key=str)
    cells.connect(name, "CLK0", next(iter(controls.values())).clock)
    cells.connect(name, "RST0", "0")
    for i, enable in enumerate(enables):
        cells.connect(name, f"CE{i}", enable)
    parameters = cells.cells[name]["parameters"]
    parameters |= {"GSR": "DISABLED", "RESETMODE": "SYNC"}
    for register, control in controls.items():
        parameters |= {
            f"REG_{register}_CLK": "CLK0",
            f"REG_{register}_CE": f"CE{enables.index(control.enable)}",
            f"REG_{register}_RST": "RST0",
        }
    return controls


def _pack_port(cells: _Netlist, name: str, side: str) -> bool:
    """Give a port of a block RAM its output register, if there is one behind it.

    A word of 36 bits takes the outputs of both: it stays as it is.
    """
    if int(cells.cells[name]["parameters"]["DATA_WIDTH_B"], 2) == WIDE:
        return False
    behind = cells.behind(cells.nets(name, f"DO{side}", PORT_BITS))
    if behind is None or cells.net(name, f"RST{side}") != "0":
        return False
    flip_flops, control = behind
    if control.clock != cells.net(name, f"CLK{side}") or cells.net(name, f"CE{side}", "1") not in ("1", control.enable):
        return False
    cells.absorb_behind(name, flip_flops)
    cells.connect(name, f"OCE{side}", control.enable)
    cells.cells[name]["parameters"][f"REGMODE_{side}"] = "OUTREG"
    return True


def pack_file(path: Path, output: Path | None = None) -> Packed:
    """:func:`pack_registers` of a file, which is replaced unless there is an ``output``.

    Raises:
        HwflowError: it is not a netlist, or has not one top module, or the output cannot be written.
    """
    try:
        netlist = json.loads(path.read_text(encoding="utf-8"))
        packed = pack_registers(netlist)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise HwflowError(f"{path}: no netlist of Yosys ({error}); {_ADVICE}") from error
    except HwflowError as error:
        raise HwflowError(f"{path}: {error}") from error
    write_file(output or path, json.dumps(netlist).encode())
    return packed


def main() -> None:
    """``python -m hwflow.cost.ecp5 NETLIST OUTPUT``."""
    parser = argparse.ArgumentParser(prog="python -m hwflow.cost.ecp5", description="Move registers into blocks.")
    parser.add_argument("netlist", type=Path, help="what synth_ecp5 -json wrote")
    parser.add_argument("output", type=Path, help="the netlist for nextpnr-ecp5 --json")
    options = parser.parse_args()
    try:
        packed = pack_file(options.netlist, options.output)
    except HwflowError as error:
        parser.exit(1, f"hwflow: error: {error}\n")
    print(", ".join(f"{count} {name.replace('_', ' ')}" for name, count in asdict(packed).items()))


if __name__ == "__main__":
    main()
