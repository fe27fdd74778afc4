"""The application that commands are added to."""

from __future__ import annotations

from typing import Annotated

import typer

from hwflow.cli._help import App, Group
from hwflow.version import __version__

BEGIN, DESIGN, STUDY, OTHERS = "Begin here", "Make and check a design", "Study faults", "Other networks and papers"
"""Themes of commands."""


class _Commands(Group):
    """The commands, in the order in which a network goes through them."""

    order = (
        "doctor", "demo", "harden", "evaluate", "generate", "simulate", "sensitivity", "advise", "campaign", "report",
        "emulate", "paper",
    )  # fmt: skip


app = App(
    cls=_Commands,
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Begin with: hwflow doctor, then hwflow demo",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"hwflow {__version__}")
        raise typer.Exit


@app.callback()
def hwflow(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Harden neural networks against bit flips in FPGA memory, and show bit for bit what the flips do."""
