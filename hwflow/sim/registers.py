"""Which names a SystemVerilog module assigns at a clock edge."""

from __future__ import annotations

import re

_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_ASSIGNED = re.compile(r"(?:^|;|\)|\bbegin|\belse|:)\s*([A-Za-z_]\w*)\s*(?:\[[^;\n]*\]\s*)?<=", re.MULTILINE)


def assigned_registers(source: str) -> frozenset[str]:
    """Names on the left of a non-blocking assignment; the cells have none elsewhere than at clock edges."""
    return frozenset(_ASSIGNED.findall(_COMMENT.sub("", source)))
