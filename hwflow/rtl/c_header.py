"""The address space of a design as a C header."""

from __future__ import annotations

from collections.abc import Sequence

from hwflow.graph.naming import Unique, identifiers
from hwflow.rtl.address_map import MAGIC, REGISTERS, VERSION, AddressMap


def render_c_header(addresses: AddressMap, name: str, empty: Sequence[str] = ()) -> str:
    """A C header with the addresses of registers and memories.

    Args:
        addresses: of the design.
        name: of its top module; every macro begins with it in capitals.
        empty: layers whose weights no bitstream holds.
    """
    prefix = name.upper()
    lines = [
        f"/* Address space of {name}, the AXI4-Lite slave s_axil. Written by hwflow. Accesses have 32 bits.",
        " * Word i of a memory starts at BASE + i * STRIDE, its lowest 32 bits first; it has BITS bits in WORDS words.",
        f" * A write to an address + {prefix}_INJECT flips the bits that are set in what is written. */",
        f"#ifndef {prefix}_H",
        f"#define {prefix}_H",
        "",
        _define(prefix, "MAGIC_VALUE", MAGIC),
        _define(prefix, "VERSION_VALUE", VERSION),
        _define(prefix, "STRUCTURE_VALUE", int(addresses.structure, 16), "ull"),
        _define(prefix, "DESIGN_VALUE", int(addresses.design, 16), "ull"),
        _define(prefix, "INJECT", addresses.inject),
        "",
        "/* 1: some weights are in URAM, which a bitstream does not fill. No image begins until they are written, and",
        " * then DESIGN. */",
        _define(prefix, "STARTS_EMPTY", int(bool(empty))),
    ]
    for register in REGISTERS:
        lines += ["", f"/* {register.access}: {register.meaning} */"]
        halves = ("",) if register.words == 1 else ("_LOW", "_HIGH")
        lines += [_define(prefix, register.name + half, register.offset + 4 * i) for i, half in enumerate(halves)]
    names = identifiers(region.layer for region in addresses.regions)
    missing = {(layer, "weight") for layer in empty}
    unique = Unique([])
    for region in addresses.regions:
        memory = unique(f"{names[region.layer]}_{region.kind}").upper()
        where = ", in URAM" if (region.layer, region.kind) in missing else ""
        lines += ["", f"/* {region.kind} memory of {names[region.layer]}{where} */"]
        lines += [
            _define(prefix, f"{memory}_BASE", region.base),
            _define(prefix, f"{memory}_STRIDE", region.stride),
            _define(prefix, f"{memory}_WORDS", region.words),
            _define(prefix, f"{memory}_BITS", region.width),
        ]
    for region in addresses.errors:
        memory = unique(f"{names[region.layer]}_errors").upper()
        lines += ["", f"/* stored words of {names[region.layer]} that were read with errors, corrected or not */"]
        lines += [
            _define(prefix, f"{memory}_CORRECTED", region.base),
            _define(prefix, f"{memory}_UNCORRECTABLE", region.base + region.stride),
        ]
    return "\n".join([*lines, "", "#endif", ""])


def _define(prefix: str, name: str, value: int, suffix: str = "u") -> str:
    return f"#define {prefix}_{name} 0x{value:x}{suffix}"
