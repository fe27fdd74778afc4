"""How simulations are compiled in the quick tests: their networks are small, and compile longer than they run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

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


@pytest.fixture
def unoptimised_script(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same of what hls4ml's own script compiles, ``build_lib.sh``, for tests that call hls4ml's ``compile``."""
    if request.config.option.markexpr != "not slow":
        return
    from hls4ml.backends.fpga.fpga_backend import FPGABackend

    compile_ = FPGABackend.compile

    def unoptimised(backend: Any, model: Any) -> Any:
        script = Path(model.config.get_output_dir()) / "build_lib.sh"
        script.write_text(script.read_text().replace("-O3", "-O0"))
        return compile_(backend, model)

    monkeypatch.setattr(FPGABackend, "compile", unoptimised)
