"""How simulations are compiled in the quick tests: their networks are small, and compiling takes longer than running."""

from collections.abc import Iterator

import pytest

from hwflow.firmware import csim
from hwflow.rtl import simulator

ONE_FILE = {"OPT_FAST": "-O0", "VM_PARALLEL_BUILDS": "0"}
"""Verilator's C++ as a single file: the two precompiled headers of several take longer than a small network."""


@pytest.fixture(autouse=True, scope="session")
def unoptimised(request: pytest.FixtureRequest) -> Iterator[None]:
    """In the quick tests only, so that the slow ones have what users get.

    For the whole session: a project that a fixture compiled is compiled again with other flags.
    """
    with pytest.MonkeyPatch.context() as patch:
        if request.config.option.markexpr == "not slow":
            patch.setattr(csim, "FLAGS", tuple("-O0" if flag == "-O1" else flag for flag in csim.FLAGS))
            patch.setattr(simulator, "OPTIMISATION", {**simulator.OPTIMISATION, **ONE_FILE})
        yield
