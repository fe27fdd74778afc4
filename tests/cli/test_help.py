"""The help of every command: whole words within the terminal, and of every option what holds without it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.core import TyperArgument, TyperGroup, TyperOption

from hwflow.cli import application
from hwflow.cli._help import description, lines, term
from tests.cli.conftest import hwflow


def commands(command: Any, context: Any) -> Iterator[tuple[Any, Any]]:
    """A command and all below it, with what they are called in."""
    yield command, context
    if isinstance(command, TyperGroup):
        for name in command.list_commands(context):
            each = command.get_command(context, name)
            yield from commands(each, type(context)(each, parent=context, info_name=name))


ROOT = typer.main.get_command(application())
COMMANDS = list(commands(ROOT, ROOT.make_context("hwflow", ["doctor"])))
OPTIONS = [
    # The longest name, for the names of --help come in any order, and every worker must collect the same.
    pytest.param(command, context, option, id=f"{context.command_path} {max(option.opts, key=len)}")
    for command, context in COMMANDS
    for option in command.get_params(context)
    if isinstance(option, TyperOption | TyperArgument)
]


def test_all_commands_are_there() -> None:
    assert len(COMMANDS) == 18
    assert [context.info_name for _, context in COMMANDS][:4] == ["hwflow", "doctor", "demo", "harden"]


@pytest.mark.parametrize(("command", "context", "option"), OPTIONS)
def test_an_option_says_what_it_is_and_what_holds_without(command: Any, context: Any, option: Any) -> None:
    text = description(option, context)
    assert len((option.help or "").split()) > 1
    assert text.isascii()
    if not option.is_eager:
        assert re.search(r"\b(default|without|required)\b", text, re.IGNORECASE), text
    if isinstance(option, TyperOption) and not option.is_flag:
        assert "<" not in term(option, context), "a value without a name"


@pytest.mark.parametrize("columns", [60, 80, 120])
@pytest.mark.parametrize(("command", "context"), COMMANDS, ids=[context.command_path for _, context in COMMANDS])
def test_help_keeps_words_whole(command: Any, context: Any, columns: int) -> None:
    """All words of the texts are there as they are, in their order; only the name of a value may be too long."""
    shown = list(lines(command, context, columns))
    assert [line for line in shown if len(line) > columns and len(line.split()) > 1 and columns >= 80] == []
    texts = [command.help or "", command.epilog or ""]
    texts += [description(each, context) for each in command.get_params(context)]
    words = " ".join(" ".join(shown).split())
    assert [text for text in texts if " ".join(text.split()) not in words] == []


@pytest.mark.parametrize("context", [context for _, context in COMMANDS], ids=lambda context: context.command_path)
def test_what_is_printed_is_that(context: Any) -> None:
    out = hwflow(*context.command_path.split()[1:], "--help", columns=80).succeeds()
    assert out.startswith(f"Usage: {context.command_path}")
    assert max(map(len, out.splitlines())) <= 80
    assert "\x1b" not in out
    if epilog := context.command.epilog:
        assert epilog in out.splitlines()
