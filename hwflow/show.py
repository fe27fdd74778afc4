"""How results show themselves: a line in a shell, a table in a notebook, a pandas frame for a program."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hwflow.errors import HwflowError

if TYPE_CHECKING:
    import pandas

ROWS = 20
"""Rows of a table in a notebook; what is left out is said below it."""

_TEMPLATE = """
<div class="hwflow"><strong>{{ title }}</strong>
<table><tbody>{% for name, value in facts %}<tr><th style="text-align:left">{{ name }}</th>\
<td style="text-align:left">{{ value }}</td></tr>{% endfor %}</tbody></table>
{% if columns %}<div style="overflow-x:auto"><table><thead><tr>{% for name in columns %}<th>{{ name }}</th>{% endfor %}\
</tr>
</thead><tbody>{% for row in rows %}<tr>{% for value in row %}<td>{{ value }}</td>{% endfor %}</tr>{% endfor %}</tbody>\
</table></div>{% endif %}
{% if left_out %}<p>{{ left_out }} more rows: to_pandas() has all.</p>{% endif %}
{{ figure | safe }}</div>
"""


class Shown(ABC):
    """What has a short ``repr``, an HTML form for notebooks and, where it holds rows, ``to_pandas()``."""

    __slots__ = ()

    @abstractmethod
    def facts(self) -> Mapping[str, object]:
        """What it is, in a few named values."""

    def rows(self) -> Sequence[Mapping[str, Any]]:
        """Its rows, each with the same columns; none by default."""
        return ()

    def brief(self) -> Sequence[Mapping[str, Any]]:
        """The rows as a notebook shows them; by default with all their columns."""
        return self.rows()

    def figure(self) -> str:
        """A plot as SVG; empty by default."""
        return ""

    def __repr__(self) -> str:
        """One line."""
        return f"{type(self).__name__}({', '.join(f'{name}={value}' for name, value in self.facts().items())})"

    def _repr_html_(self) -> str:
        """For notebooks: the facts, the first rows without columns that are empty, and the plot."""
        from jinja2 import Environment

        rows = self.brief()
        columns = [name for name in rows[0] if any(row[name] is not None for row in rows)] if rows else []
        return (
            Environment(autoescape=True)
            .from_string(_TEMPLATE)
            .render(
                title=type(self).__name__,
                facts=list(self.facts().items()),
                columns=columns,
                rows=[[_short(row[name]) for name in columns] for row in rows[:ROWS]],
                left_out=max(0, len(rows) - ROWS),
                figure=self.figure(),
            )
        )

    def to_pandas(self) -> pandas.DataFrame:
        """Its rows as a frame, a column for every value.

        Raises:
            HwflowError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise HwflowError("to_pandas() needs pandas: pip install 'pandas>=2.2,<3'") from error
        return pandas.DataFrame(list(self.rows()))


def _short(value: object) -> object:
    """A value as a cell of a table."""
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else value
