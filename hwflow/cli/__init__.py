"""The command line: one command a stage.

Nothing is imported here that takes time, so that a signal finds its handler from the beginning.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from hwflow.cli._signals import Stopped, stoppable
from hwflow.errors import HwflowError
from hwflow.optional import leave_out

if TYPE_CHECKING:
    from hwflow.cli._help import App

INTERRUPTED = 130
_MODULES = (
    "begin",
    "emulate",
    "evaluate",
    "generate",
    "harden",
    "paper",
    "report",
    "sensitivity",
    "simulate",
    "studies",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status.

    0: it did what it says; 1: it did not, and standard error says why in one line; 2: it was called
    wrongly; 130 and 143: it was interrupted or terminated.

    Args:
        arguments: words after ``hwflow``; by default those of the process, which the command then has to itself.
    """
    process = arguments is None
    try:
        with stoppable(process):
            from hwflow.cli._console import lost_output, open_streams, print_error

            open_streams(process)
            if process:
                leave_out("pandas")  # Keras takes it along, for data frames: 80 MB and most of a second
            status = _run(arguments)
            if (reason := lost_output()) is not None:
                print_error(f"standard output: {reason}; what was to be printed there is lost")
                status = status or 1
            return status
    except Stopped as stopped:
        from hwflow.cli._console import print_error

        print_error(f"{stopped.word}; what was half-written is removed")
        return stopped.status


def application() -> App:
    """The application with all commands."""
    from hwflow.cli._app import app

    for name in _MODULES:
        import_module(f"hwflow.cli.{name}")
    return app


def _run(arguments: Sequence[str] | None) -> int:
    from typer.exceptions import TyperException

    from hwflow.cli._console import print_error, working_folder

    try:
        working_folder()
        status = application()(args=arguments, prog_name="hwflow", standalone_mode=False)
    except TyperException as error:
        _print_usage_error(error)
        return error.exit_code
    except HwflowError as error:
        print_error(str(error))
        return 1
    except OSError as error:
        print_error(f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error))
        return 1
    except MemoryError as error:
        print_error(f"there is not enough memory for this ({error})" if str(error) else "there is not enough memory")
        return 1
    except KeyboardInterrupt:  # what a library raises of its own accord
        status = INTERRUPTED
    if status == INTERRUPTED:
        raise Stopped(INTERRUPTED - 128)
    return status or 0


def _print_usage_error(error: Exception) -> None:
    from hwflow.cli._console import print_error

    context = getattr(error, "ctx", None)
    help_text = "" if context is None else f" (see '{context.command_path} --help')"
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    if message:  # else it was called without any argument and has printed its help
        print_error(message.removesuffix(".") + help_text)
