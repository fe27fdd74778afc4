"""The command line: one command a stage."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from types import FrameType

from typer.exceptions import TyperException

from hwflow.cli import emulate, studies  # noqa: F401  (they add their commands to the app)
from hwflow.cli._console import print_error
from hwflow.cli.commands import app
from hwflow.errors import HwflowError

INTERRUPTED = 130
TERMINATED = 143


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status.

    0: it did what it says; 1: it did not, and standard error says why in one line; 2: it was called
    wrongly; 130 and 143: it was interrupted or terminated.

    Args:
        arguments: words after ``hwflow``; by default those of the process.
    """
    previous = signal.signal(signal.SIGTERM, _terminate)
    try:
        status = app(args=arguments, prog_name="hwflow", standalone_mode=False)
    except TyperException as error:
        _print_usage_error(error)
        return error.exit_code
    except HwflowError as error:
        print_error(str(error))
        return 1
    except OSError as error:
        print_error(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        return 1
    except KeyboardInterrupt:
        status = INTERRUPTED
    finally:
        signal.signal(signal.SIGTERM, previous)
    if status == INTERRUPTED:
        print_error("interrupted; what was half-written is removed")
    return status or 0


def _print_usage_error(error: TyperException) -> None:
    context = getattr(error, "ctx", None)
    help_text = "" if context is None else f" (see '{context.command_path} --help')"
    if error.format_message():  # else it was called without any argument and has printed its help
        print_error(error.format_message().removesuffix(".") + help_text)


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    # An exception, so that temporary folders are removed on the way out.
    sys.exit(TERMINATED)
