"""C simulation of the small networks here is compiled without optimisation, which takes longer than it saves."""

import pytest

from hwflow.firmware import csim


@pytest.fixture(autouse=True)
def unoptimised(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the quick tests only, so that the slow ones have what users get."""
    if request.node.get_closest_marker("slow") is None:
        monkeypatch.setattr(csim, "FLAGS", tuple("-O0" if flag == "-O1" else flag for flag in csim.FLAGS))
