"""Writing the report: a folder with the page, its figures as files, and its numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hwflow.campaign.export import Results
from hwflow.campaign.plan import t_text
from hwflow.campaign.statistics import has_width, interval_text
from hwflow.files.folders import FILES, REPORT, files_in, json_text, new_folder
from hwflow.files.outputs import check_outputs
from hwflow.report.figures import Figure, report_figures
from hwflow.report.tables import to_json
from hwflow.report.ways import summary_csv
from hwflow.version import __version__

PAGE = "report.html"
SUMMARY = "summary.csv"
_FOLDER = Path(__file__).parent


def write_report(results: Results, output: str | Path, force: bool = False) -> Path:
    """Write ``report.html``, which needs no other file, ``summary.csv``, ``report.json`` and ``figures/`` (SVG, PNG).

    Returns:
        The page.

    Raises:
        HwflowError: the folder exists, is the results file, or cannot be written.
    """
    output = Path(output)
    check_outputs({"results file": results}, folders={"output": output})
    data = to_json(results)
    figures = report_figures(results)
    with new_folder(output, REPORT, force) as folder:
        (folder / PAGE).write_text(render(data, figures), encoding="utf-8")
        (folder / SUMMARY).write_bytes(summary_csv(data["ways"]).encode("utf-8", "backslashreplace"))
        (folder / "figures").mkdir()
        for figure in figures:
            (folder / "figures" / f"{figure.name}.svg").write_text(figure.svg, encoding="utf-8")
            (folder / "figures" / f"{figure.name}.png").write_bytes(figure.png)
        manifest = {"format": REPORT.format, "hwflow": __version__, **data, FILES: files_in(folder)}
        (folder / REPORT.manifest).write_text(json_text(manifest), encoding="utf-8")
    return output / PAGE


def render(data: dict[str, Any], figures: list[Figure]) -> str:
    """The page as HTML."""
    spec = data["spec"]
    return filled(
        "page.html",
        figures,
        **data,
        names=", ".join(model["name"] for model in spec["models"]),
        scaled_by=[
            name
            for name in ("granularity", "outliers", "align", "compensation")
            if len({row[name] for row in data["layers"]}) > 1
        ],
        spec_text=json.dumps(spec, indent=2),
    )


def filled(template: str, figures: list[Figure], **values: Any) -> str:
    """A template of this folder with its values; every figure comes with ids that no other one has."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["number"] = _number
    environment.filters["percent"] = lambda value: f"{value:z.2f}"
    environment.globals |= {"interval_text": interval_text, "has_width": has_width}
    environment.filters["t"] = lambda value: "-" if value is None else t_text(value)
    environment.filters["whole"] = lambda value: "-" if value is None else f"{value:.0f}"
    style = Markup((_FOLDER / "page.css").read_text(encoding="utf-8"))
    drawn = [(figure, _unique_ids(figure)) for figure in figures]
    return environment.get_template(template).render(**values, figures=drawn, style=style)


def _unique_ids(figure: Figure) -> str:
    """The drawing, with ids that no other drawing of the page has."""
    prefix = f"{figure.name}-"
    return (
        figure.svg.replace(' id="', f' id="{prefix}')
        .replace('href="#', f'href="#{prefix}')
        .replace("url(#", f"url(#{prefix}")
    )


def _number(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)
