"""hls4ml without its prints, and its failures as one line each."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator, Mapping

from hwflow.errors import HwflowError
from hwflow.naming import restored


@contextlib.contextmanager
def quiet(doing: str, names: Mapping[str, str] | None = None) -> Iterator[None]:
    """Run hls4ml without output on the terminal.

    Args:
        doing: what fails if it fails, the beginning of the error's line.
        names: what hls4ml calls the layers, by the names that the user gave them; errors have the user's.

    Raises:
        HwflowError: anything that hls4ml raised, on one line.
    """
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except HwflowError as error:
        if not names:
            raise
        raise HwflowError(restored(str(error), names)) from error
    except Exception as error:  # hls4ml raises bare Exception, asserts and KeyErrors for bad models alike
        reason = restored(" ".join(str(error).split()) or type(error).__name__, names or {})
        raise HwflowError(f"{doing}: {reason}") from error
