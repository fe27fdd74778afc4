"""The help of commands: options by theme, a term and its description, words whole, at any width.

Every description ends with what holds without the option, unless its own words say so.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

MOST = 100
"""Characters of a line, however wide the terminal: longer ones are hard to read."""
_INDENT, _TERM = 2, 26
_FIXED_SPACE = "\N{NO-BREAK SPACE}"
ARGUMENTS, OPTIONS = "Arguments", "Options"
"""Themes that come first and last."""
Entry = tuple[str, str]
"""A term and its description."""


class Command(TyperCommand):
    """A command with this help."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        formatter.write(_rendered(self, ctx))


class Group(TyperGroup):
    """A group of commands with this help; it lists them in the order in which they are worked with."""

    order: Sequence[str] = ()

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        formatter.write(_rendered(self, ctx))

    def list_commands(self, ctx: Any) -> list[str]:
        """Names, those of ``order`` first."""
        names = super().list_commands(ctx)
        return sorted(names, key=lambda name: self.order.index(name) if name in self.order else len(self.order))


class App(typer.Typer):
    """An application whose commands have this help."""

    def command(self, name: str | None = None, **settings: Any) -> Callable[[Any], Any]:
        """As in Typer."""
        return super().command(name, cls=Command, **settings)


def sections(command: Any, ctx: Any) -> dict[str, list[Entry]]:
    """What a command takes, by theme: arguments, options, and the commands of a group."""
    found: dict[str, list[Entry]] = {}
    for parameter in command.get_params(ctx):
        if isinstance(parameter, TyperArgument):
            found.setdefault(ARGUMENTS, []).append((parameter.display_name_raw, description(parameter, ctx)))
        elif isinstance(parameter, TyperOption) and not parameter.hidden:
            theme = getattr(parameter, "rich_help_panel", None) or OPTIONS
            found.setdefault(theme, []).append((term(parameter, ctx), description(parameter, ctx)))
    if isinstance(command, TyperGroup):
        for name in command.list_commands(ctx):
            each = command.get_command(ctx, name)
            assert each is not None
            theme = getattr(each, "rich_help_panel", None) or "Commands"
            found.setdefault(theme, []).append((name, (each.help or "").partition("\n\n")[0]))
    return {theme: found[theme] for theme in sorted(found, key=lambda each: (each == OPTIONS, each != ARGUMENTS))}


def term(option: TyperOption, ctx: Any) -> str:
    """An option as it is written: short and long name, then the choices or the value's name."""
    names = sorted(option.opts, key=len)
    if option.secondary_opts:
        return " / ".join([*names, *option.secondary_opts])
    value = "" if option.is_flag else f" {(option.display_type_rich(ctx) or '').strip('<>')}"
    return ", ".join(names) + value


def description(parameter: TyperOption | TyperArgument, ctx: Any) -> str:
    """The help of an option or argument, with the values that it takes and its default."""
    text, notes = parameter.help or "", []
    if parameter.required:
        notes.append("required")
    elif (default := _default(parameter, ctx)) is not None and not re.search(r"\b(default|without)\b", text, re.I):
        notes.append(f"default: {default}")
    if parameter.min or parameter.max is not None:
        least = f"{parameter.min:g}"
        notes.append(f"at least {least}" if parameter.max is None else f"{least} to {parameter.max:g}")
    return f"{text} [{'; '.join(notes)}]" if notes else text


def _default(parameter: TyperOption | TyperArgument, ctx: Any) -> str | None:
    """What holds without the parameter; None if that is in its help, or it only prints something."""
    if isinstance(parameter, TyperOption) and parameter.is_flag and not parameter.secondary_opts:
        return None if parameter.is_eager else "off"
    value = parameter._extract_default_help_str(ctx=ctx)
    if value is None:
        return None
    return parameter._get_default_string(ctx=ctx, show_default_is_str=False, default_value=value)


def lines(command: Any, ctx: Any, width: int) -> Iterator[str]:
    """The help, in lines of ``width`` characters at most; headings end in a colon."""
    width = min(width, MOST)
    pieces = " ".join(command.collect_usage_pieces(ctx)).translate({ord(each): None for each in "{}"})
    yield from _wrapped(f"Usage: {ctx.command_path} {pieces}", width, "    ")
    for paragraph in filter(None, (command.help or "").split("\n\n")):
        yield from ("", *_wrapped(" ".join(paragraph.split()), width))
    for theme, entries in sections(command, ctx).items():
        yield from ("", f"{theme}:")
        for name, text in entries:
            yield from _entry(name, text, width)
    if command.epilog:
        yield from ("", *_wrapped(command.epilog, width))


def _entry(name: str, text: str, width: int) -> Iterator[str]:
    """A term, and its description beside it, or below if the term is long."""
    together = re.sub(r"\[[^]]*\]$", lambda note: note[0].replace(" ", _FIXED_SPACE), text)
    first, body = " " * _INDENT + name, _wrapped(together, width - _TERM)
    beside = len(first) + _INDENT <= _TERM
    yield f"{first:<{_TERM}}{body.pop(0)}" if beside else first
    yield from (" " * _TERM + line for line in body)


def _wrapped(text: str, width: int, indent: str = "") -> list[str]:
    found = textwrap.wrap(text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return [line.replace(_FIXED_SPACE, " ") for line in found]


def _rendered(command: Any, ctx: Any) -> str:
    """The help for a terminal, or plain elsewhere."""
    from rich.text import Text

    from hwflow.cli._console import rendered, width

    shown = Text("\n".join(lines(command, ctx, width())))
    shown.highlight_regex(r"(?m)^\S.*:$", "bold")
    shown.highlight_regex(r"(?<![\w-])--?[a-z][\w-]*", "cyan")
    return rendered(shown, soft_wrap=True)
