"""Kinds of attribute values: what a model file's JSON may say, and the Python value that it means.

A kind takes the JSON value and what is known of the file, and returns the value for a constructor; it raises
`Refused` with the end of a sentence that begins with the attribute's name and value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

LARGEST = 2**31 - 1
"""Bound of every size in a file."""
_LONGEST = 60
_TUPLE = "__tuple__"
_NUMPY = "__numpy__"


class Refused(Exception):
    """A value that is not taken; the text says what it should be."""


@dataclass(frozen=True)
class Dialect:
    """Who wrote the file.

    Attributes:
        keras3: saved by Keras 3, so that names mean what they mean there.
        quantised: the value belongs to a QKeras layer, where QKeras' names come first.
    """

    keras3: bool = False
    quantised: bool = False


Kind = Callable[[Any, Dialect], Any]


@dataclass(frozen=True)
class Only:
    """An attribute that is accepted with these values only, and then left out: it has no effect, or is not built."""

    values: tuple[Any, ...]

    def __call__(self, value: Any, dialect: Dialect) -> None:
        """Refuse every other value; 0 and False are one value here, as they are in Python."""
        if value not in self.values:
            raise Refused(f"is not supported, only {' or '.join(map(repr, self.values))}")


def ignored(value: Any, dialect: Dialect) -> None:
    """An attribute that no forward pass reads."""


def short(value: Any) -> str:
    """A value as a message quotes it: printable, on one line, not long."""
    text = ascii(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def plain(value: Any) -> Any:
    """Keras' JSON spellings of tuples and NumPy numbers as plain JSON."""
    while isinstance(value, dict) and value.get("class_name") in (_TUPLE, _NUMPY):
        if value["class_name"] == _TUPLE:
            return value.get("items")
        config = value.get("config")
        value = config.get("value") if isinstance(config, dict) else None
    return value


def boolean(value: Any, dialect: Dialect) -> bool:
    """True or false; older files spell it 1 or 0."""
    if not isinstance(value, int | float) or value not in (0, 1):
        raise Refused("must be true or false")
    return bool(value)


def integer(value: Any, dialect: Dialect) -> int:
    """A whole number within the bound of sizes, negative ones included (axes, seeds)."""
    value = plain(value)
    whole = isinstance(value, float) and value.is_integer()
    if isinstance(value, bool) or not (isinstance(value, int) or whole) or abs(value) > LARGEST:
        raise Refused(f"must be a whole number up to {LARGEST}")
    return int(value)


def size(value: Any, dialect: Dialect) -> int:
    """A whole number above 0."""
    number = integer(value, dialect)
    if number < 1:
        raise Refused("must be a whole number above 0")
    return number


def number(value: Any, dialect: Dialect) -> float:
    """A finite number."""
    value = plain(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e300 or math.isnan(value):
        raise Refused("must be a finite number")
    return value


def text(value: Any, dialect: Dialect) -> str:
    """A text of at most 1000 characters; a name that is given to an object."""
    if not isinstance(value, str) or not 0 < len(value) <= 1000:
        raise Refused("must be a text")
    return value


def integers(value: Any, dialect: Dialect) -> tuple[Any, ...]:
    """A list of whole numbers, nested once at most, such as a kernel size or a padding."""
    value = plain(value)
    if not isinstance(value, list) or len(value) > 8:
        raise Refused("must be a list of whole numbers")
    return tuple(integers(item, dialect) if isinstance(plain(item), list) else integer(item, dialect) for item in value)


def sizes(value: Any, dialect: Dialect) -> Any:
    """One whole number or a list of them: sizes and axes as Keras takes them."""
    return integers(value, dialect) if isinstance(plain(value), list) else integer(value, dialect)


def shape(value: Any, dialect: Dialect) -> tuple[int | None, ...]:
    """A shape, whose dimensions may be unknown."""
    value = plain(value)
    if not isinstance(value, list) or len(value) > 8:
        raise Refused("must be a shape")
    return tuple(None if item is None else size(item, dialect) for item in value)


def one_of(*choices: Any) -> Kind:
    """One of these texts or numbers."""

    def kind(value: Any, dialect: Dialect) -> Any:
        if value not in choices or isinstance(value, bool):
            raise Refused(f"must be one of {', '.join(map(str, choices))}")
        return value

    return kind


def optional(kind: Kind) -> Kind:
    """None, or a value of this kind."""

    def either(value: Any, dialect: Dialect) -> Any:
        return None if value is None else kind(value, dialect)

    return either


def named(attributes: Mapping[str, Kind], config: Any, dialect: Dialect) -> dict[str, Any]:
    """The attributes of a table entry that a configuration sets, as constructor arguments.

    Raises:
        Refused: an attribute that the table lacks, or a value that its kind refuses.
    """
    if not isinstance(config, dict):
        raise Refused("must have a configuration")
    arguments = {}
    for name, value in config.items():
        if name not in attributes:
            raise Refused(f"has the attribute {short(name)}, which hwflow does not know")
        kind = attributes[name]
        try:
            built = kind(value, dialect)
        except Refused as reason:
            raise Refused(f"with {name}={short(value)}: {name} {reason}") from reason
        if not (isinstance(kind, Only) or kind is ignored):
            arguments[name] = built
    return arguments


def class_name(value: Any) -> str | None:
    """The class name of an object, without the package that qkeras-v3 writes before it; None if there is none."""
    name = value.get("class_name") if isinstance(value, dict) else None
    return name.removeprefix("qkeras>") if isinstance(name, str) else None


def class_and_config(value: Any, package: str = "keras") -> tuple[str, Any]:
    """The class name and the configuration of an object, whose home must be ``package``, Keras' or QKeras' own.

    Raises:
        Refused: no such object, or a class of somebody else's of the same name.
    """
    name = class_name(value)
    if name is None:
        raise Refused("must be an object with a class name")
    homes = ("qkeras",) if package == "qkeras" else ("keras", "tf_keras", "tensorflow.keras", "tensorflow.python.keras")
    module, registered = value.get("module"), value.get("registered_name")
    home = module is None or (
        isinstance(module, str) and any(module == root or module.startswith(f"{root}.") for root in homes)
    )
    # Keras 2 registers QKeras' classes under their own names when it saves them.
    if not home or registered not in (None, name, f"Custom>{name}", f"{package}>{name}", f"Keras>{name}"):
        raise Refused(f"is {short(registered or name)} of the module {short(module)}, not a class of {package}")
    return name, value.get("config", {})
