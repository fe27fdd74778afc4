"""Reading a campaign's specification: TOML to `CampaignSpec`, and every mistake in one line that names its key."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from hwflow.campaign.kinds import Real, Reals, nearest, shown
from hwflow.campaign.spec import CampaignSpec, FaultSpec, ModelSpec
from hwflow.errors import HwflowError
from hwflow.faults.physics import ber_from_rate, rate_from_cross_section, rate_from_fit

MAX_BYTES = 1 << 20

_WORDS = {
    "int_type": "is not a whole number",
    "int_from_float": "is not a whole number",
    "int_parsing_size": "is not a number of a usual size",
    "float_type": "is not a number",
    "finite_number": "is not a finite number",
    "string_type": "is not text",
    "tuple_type": "is not a list",
    "dataclass_type": "is not a table",
}
"""What is wrong with a value, by pydantic's kind of error."""


@dataclass(frozen=True)
class Physics:
    """The table ``[physics]``: bit error rates from upsets and scrubbing.

    Attributes:
        scrub_interval: seconds, one or several.
        fit_per_mbit: FIT of a Mbit; or else
        cross_section, flux: cm2 a bit, and particles a cm2 and second.
        when: at the ``end`` of the interval, or the ``mean`` over it.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    scrub_interval: Reals
    fit_per_mbit: Real | None = None
    cross_section: Real | None = None
    flux: Real | None = None
    when: Literal["end", "mean"] = "end"

    def bers(self) -> list[float]:
        """The bit error rates, one for every interval.

        Raises:
            HwflowError: the rate is given twice or not at all, or a number is negative.
        """
        if self.fit_per_mbit is not None and self.cross_section is None and self.flux is None:
            rate = rate_from_fit(self.fit_per_mbit)
        elif self.fit_per_mbit is None and self.cross_section is not None and self.flux is not None:
            rate = rate_from_cross_section(self.cross_section, self.flux)
        else:
            raise HwflowError("give fit_per_mbit, or cross_section and flux")
        if not self.scrub_interval:
            raise HwflowError("scrub_interval: is empty; give at least one")
        return [ber_from_rate(rate, each, self.when) for each in self.scrub_interval]


_Table = TypeVar("_Table", CampaignSpec, Physics)
_KEYS = {field.name for table in (CampaignSpec, ModelSpec, FaultSpec, Physics) for field in fields(table)}
_NESTED: Mapping[str, type[Any]] = {"models": ModelSpec, "faults": FaultSpec}


def load_spec(path: str | Path) -> CampaignSpec:
    """Read a spec.

    Raises:
        HwflowError: not a TOML file, an unknown key (the nearest is suggested), a value of a wrong kind or out of
            range.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise HwflowError(f"{path}: cannot be read ({error.strerror})") from error
    if len(content) > MAX_BYTES:
        raise HwflowError(f"{path}: is longer than {MAX_BYTES} bytes, and so no specification")
    try:
        return parse_spec(_toml(content))
    except HwflowError as error:
        raise HwflowError(f"{path}: {error}") from error


def parse_spec(data: Mapping[str, Any]) -> CampaignSpec:
    """A spec from TOML or JSON data; see `load_spec`."""
    data = dict(data)
    if "physics" in data:
        if "ber" in data:
            raise HwflowError("ber: leave it out, [physics] gives it")
        try:
            data["ber"] = _checked(Physics, data.pop("physics"), "physics.").bers()
        except HwflowError as error:
            text = str(error)
            known = text.startswith(("physics", "unknown key"))
            raise HwflowError(text if known else f"physics: {text}") from error
    return _checked(CampaignSpec, data, "")


def _toml(content: bytes) -> dict[str, Any]:
    try:
        return tomllib.loads(content.decode())
    except RecursionError as error:
        raise HwflowError("not a specification: its values are nested too deeply") from error
    except ValueError as error:  # not TOML, not UTF-8, or a number of thousands of digits
        raise HwflowError(f"not TOML ({error})") from error


def _checked(kind: type[_Table], data: object, prefix: str) -> _Table:
    """A table of the file as a dataclass.

    Raises:
        HwflowError: names the key of the first mistake.
    """
    try:
        found: _Table = TypeAdapter(kind).validate_python(data)
    except ValidationError as error:
        mistakes = error.errors(include_url=False)
        # An unknown key explains a missing one.
        first = next((each for each in mistakes if each["type"] == "unexpected_keyword_argument"), mistakes[0])
        raise HwflowError(_message(kind, first, prefix)) from error
    except RecursionError as error:
        raise HwflowError("its values are nested too deeply") from error
    return found


def _message(kind: type[Any], error: Mapping[str, Any], prefix: str) -> str:
    loc, what, value = error["loc"], error["type"], error["input"]
    key = (prefix + _key(loc)).rstrip(".")
    if what == "unexpected_keyword_argument":
        key = prefix + ".".join(filter(None, (_key(loc[:-1]), str(loc[-1]))))
        table = _NESTED.get(str(loc[0]), kind) if len(loc) > 1 else kind
        known = [field.name for field in fields(table)] + (["physics"] if table is CampaignSpec else [])
        return f"unknown key {shown(key)}; {nearest(str(loc[-1]), known)}"
    if what == "value_error":
        # A check of the dataclass itself: it names its own key, within the table that it checks.
        text = str(error["ctx"]["error"])
        if text.startswith("is "):
            return f"{key}: {shown(value)} {text}"
        if re.match(r"\w+: ", text):
            return f"{key}.{text}" if key else text
        return f"{key}: {text}" if key else text
    if what == "missing":
        return f"{key}: is missing"
    if what == "literal_error":
        known = re.findall(r"'([^']*)'", error["ctx"]["expected"])
        return f"{key}: {shown(value)} is unknown; {nearest(str(value), known)}"
    words = _WORDS.get(what, f"is not usable ({error['msg'].lower()})")
    return f"{key}: {shown(value)} {words}" if key else f"{shown(value)} {words}"


def _key(loc: Iterable[Any]) -> str:
    """A place in the file, such as ``faults.bits[0]``, without the names that pydantic gives to alternatives."""
    text = ""
    for part in loc:
        if isinstance(part, str) and part not in _KEYS:
            continue
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text
