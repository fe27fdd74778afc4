"""hls4ml without its prints, and its failures as one line each."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator

from hwflow.errors import HwflowError


@contextlib.contextmanager
def quiet(doing: str, restore: Callable[[str], str] | None = None) -> Iterator[None]:
    """Run hls4ml without output on the terminal.

    Args:
        doing: what fails if it fails, the beginning of the error's line.
        restore: gives an error the names that the user gave, where hls4ml has been given others.

    Raises:
        HwflowError: anything that hls4ml raised, on one line.
    """
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except HwflowError as error:
        if restore is None:
            raise
        raise HwflowError(restore(str(error))) from error
    except Exception as error:  # hls4ml raises bare Exception, asserts and KeyErrors for bad models alike
        reason = " ".join(str(error).split()) or type(error).__name__
        raise HwflowError(f"{doing}: {reason if restore is None else restore(reason)}") from error
