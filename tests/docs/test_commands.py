"""Every command that README and docs name is one: its program, its subcommand, its options and their values."""

import re
import shlex
from typing import Any

import pytest
import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from hwflow.cli import application
from tests.docs.blocks import NAMES, ROOT, blocks

RUN = ("python", "sh", "toml")
"""Languages of fenced blocks, all of which are run by ``test_snippets.py``."""

FOREIGN = {"apt-get", "pip", "vivado", "yosys", "nextpnr-ecp5"}
"""Programs of others, whose arguments are theirs."""

ILLUSTRATIVE = {"docs/protections.md": "conv1=bch64-39:0.01,layer1_0_conv1"}
"""Indented blocks that are no commands: page, and what the block begins with."""

COMMAND = typer.main.get_command(application())
CONTEXT = COMMAND.make_context("hwflow", ["doctor"])
WORDS = re.compile(r"`(hwflow [a-z][^`]*)`")


def resolved(words: list[str]) -> tuple[Any, Any, list[str]]:
    """The command that words name, the context that it is called in, and the words that are left."""
    command: Any = COMMAND
    context: Any = CONTEXT
    parent = context
    while isinstance(command, TyperGroup) and words:
        parent, name = context, words[0]
        command = command.get_command(context, name)
        assert command is not None, f"there is no command {name!r}"
        context = type(context)(command, parent=parent, info_name=name)
        words = words[1:]
    return command, parent, words


def options(command: Any) -> set[str]:
    """All names of a command's options."""
    return {"--help"} | {name for each in command.params for name in (*each.opts, *each.secondary_opts)}


def check(line: str) -> None:
    """Parse a command as the terminal would, values included; nothing runs."""
    words = shlex.split(line, comments=True)
    if words[0] == "hwflow":
        command, parent, rest = resolved(words[1:])
        try:
            command.make_context(words[1], rest, parent=parent)
        except TyperException as error:
            raise AssertionError(f"{line}: {error.format_message()}") from error
    elif words[0] == "make":
        targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
        assert {word for word in words[1:] if "=" not in word} <= targets, line
    elif words[0] == "python":
        path = words[1]
        assert path == "-m" or path.startswith("project/") or (ROOT / path).exists(), line
    else:
        assert words[0] in FOREIGN, f"{line}: neither a command nor in ILLUSTRATIVE"


@pytest.mark.parametrize("name", NAMES)
def test_every_block_is_run_or_parsed(name):
    for block in blocks(NAMES[name]):
        if block.language != "indented":
            assert block.language in RUN, f"{name}:{block.line}: no test runs {block.language!r}"
            continue
        if name in ILLUSTRATIVE and block.text.startswith(ILLUSTRATIVE[name]):
            continue
        for line in re.sub(r"\\\n\s*", "", block.text).splitlines():
            for command in filter(str.strip, line.split(" && ")):
                check(command.strip())


@pytest.mark.parametrize("name", NAMES)
def test_commands_within_sentences(name):
    for span in WORDS.findall(NAMES[name].read_text()):
        command, _, rest = resolved(shlex.split(span)[1:])
        unknown = {word.partition("=")[0] for word in rest if word.startswith("-")} - options(command)
        assert not unknown, f"{span}: {unknown}"


def test_what_is_wrong_is_found():
    for wrong in (
        "hwflow hardne digits_cnn -o design",
        "hwflow harden digits_cnn --frobnicate 3 -o design",
        "hwflow evaluate design --data digits --rounds many",
        "hwflow generate",
        "make dmeo",
        "python examples/nothing.py",
        "rm -rf design",
    ):
        with pytest.raises(AssertionError):
            check(wrong)
    check("hwflow evaluate design --data digits --ber 1e-2 --rounds 3   # a remark")


@pytest.mark.parametrize("name", ILLUSTRATIVE)
def test_illustrations_are_there(name):
    assert any(block.text.startswith(ILLUSTRATIVE[name]) for block in blocks(NAMES[name]))
