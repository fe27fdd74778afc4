"""C simulation of the small networks here is compiled without optimisation, which takes longer than it saves."""

from collections.abc import Iterator

import pytest

from hwflow.firmware import csim


@pytest.fixture(autouse=True, scope="session")
def unoptimised(request: pytest.FixtureRequest) -> Iterator[None]:
    """In the quick tests only, so that the slow ones have what users get.

    For the whole session: a project that a fixture compiled is compiled again with other flags.
    """
    with pytest.MonkeyPatch.context() as patch:
        if request.config.option.markexpr == "not slow":
            patch.setattr(csim, "FLAGS", tuple("-O0" if flag == "-O1" else flag for flag in csim.FLAGS))
        yield
