"""Which names a SystemVerilog module assigns at a clock edge, and which there are at all."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from hwflow.errors import HwflowError

_PLACE = re.compile(r"(?::|\)|\bhwflow_\w+)\s*([A-Za-z_]\w*)")
"""Names of generate blocks and instances, among others."""
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_ASSIGNED = re.compile(r"(?:^|;|\)|\bbegin|\belse|:)\s*([A-Za-z_]\w*)\s*(?:\[[^;\n]*\]\s*)?<=", re.MULTILINE)


def assigned_registers(source: str) -> frozenset[str]:
    """Names on the left of a non-blocking assignment; the cells have none elsewhere than at clock edges."""
    return frozenset(_ASSIGNED.findall(_COMMENT.sub("", source)))


def refuse_unknown(patterns: Iterable[str], folder: Path) -> None:
    """Refuse patterns of paths that no register can have by its names alone, before the RTL is built.

    Args:
        patterns: see :func:`hwflow.sim.state.matching`.
        folder: SystemVerilog files.

    Raises:
        HwflowError: a pattern has a name that is nowhere in them.
    """
    names: set[str] = set()
    for file in folder.glob("*.sv"):
        source = file.read_text()
        names |= assigned_registers(source)
        names.update(_PLACE.findall(_COMMENT.sub("", source)))
    for pattern in patterns:
        for part in re.split(r"\[\d*\]?|[.\]]", pattern):
            pieces = re.split(r"[*?]", part)
            known = names if len(pieces) == 1 else {piece for piece in pieces if any(piece in name for name in names)}
            if missing := [piece for piece in pieces if piece and piece not in known]:
                some = ", ".join(sorted(name for name in names if name.startswith("u_"))[:3])
                why = f"nothing in the RTL is called {missing[0]}; cells are {some} and others"
                raise HwflowError(f"{pattern}: no register has such a path: {why}")
