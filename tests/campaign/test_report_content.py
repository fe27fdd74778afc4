"""What a page says: the weights that are deployed, t as it is, what the error bars are; and figures of one size."""

import re
from dataclasses import replace

import pytest
from matplotlib.figure import Figure

from hwflow.campaign import run_campaign
from hwflow.campaign.export import read_results
from hwflow.campaign.plan import t_text
from hwflow.campaign.spec_file import parse_spec
from hwflow.hardening import HardenOptions
from hwflow.hardening.options import ScalingOptions
from hwflow.report import to_json, write_report
from hwflow.report.cost_plot import Point, paint_costs
from hwflow.report.figures import HEIGHT, report_figures
from hwflow.report.looks import Look
from hwflow.stages.harden import harden
from tests.campaign.test_ways import HITS, results_of


@pytest.mark.parametrize(
    ("t", "text"), [(1.9999, "1.9999"), (1.99999, "1.99999"), (2.0, "2"), (3.94, "3.94"), (3.9710865, "3.9711")]
)
def test_a_t_is_not_shown_as_another(t, text):
    assert t_text(t) == text


def test_the_page_shows_t_as_it_is(tmp_path):
    results = results_of({"plain": HITS["plain"]}, format="fp16", target=1.9999)
    page = write_report(results, tmp_path / "report").read_text()
    table = page[page.index("<h2>Weights and scale") :]
    assert "<td>1.9999</td>" in table
    assert "<td>2</td>" not in table


def axes_inches(svg):
    """Width and height of the axes, whose background is the first rectangle in the figure's."""
    x, y = zip(*re.findall(r"([\d.]+) ([\d.]+)", re.search(r'id="patch_2">\s*<path d="([^"]+)"', svg)[1]), strict=True)
    return [(max(map(float, each)) - min(map(float, each))) / 72 for each in (x, y)]


def test_figures_have_one_size_real_text_and_say_what_their_bars_are(finished):
    many = results_of(HITS)
    cells = [
        replace(each, cell=replace(each.cell, granularity=per)) for each in many.cells for per in ("layer", "channel")
    ]
    wide = replace(many, head={**many.head, "plan": [each.cell.to_json() for each in cells]}, cells=tuple(cells))
    figures = [*report_figures(wide), *report_figures(results_of(HITS)), *report_figures(read_results(finished))]
    assert len({re.search(r'width="([\d.]+)pt"', each.svg)[1] for each in figures}) == 1
    sizes = {tuple(round(inches, 2) for inches in axes_inches(each.svg)) for each in figures}
    assert len(sizes) == 1
    assert {height for _, height in sizes} == {HEIGHT}
    for each in figures:
        text = re.findall(r"<text[^>]*>([^<]+)</text>", each.svg)
        assert (
            len([words for words in text if re.search(r"\((%|flips per bit|percentage points|LUTs.*)\)", words)]) == 2
        )
        assert re.search(r"Error bars: 95 % interval of the mean \(.* rounds?, \d+ images\)", each.caption)


def test_the_weights_are_those_that_are_deployed(tmp_path):
    """Constants after alignment, batch normalisation folded: those of the same network hardened by itself."""
    options = HardenOptions(ScalingOptions(saturate=True))
    design = harden("digits_cnn", tmp_path / "mine", options)
    models = ["digits_cnn", {"design": str(tmp_path / "mine"), "model": "digits_cnn"}]
    spec = {"models": models, "formats": "ap_fixed<8,3>", "t": ["none", "optimal"], "granularity": ["layer", "channel"],
            "ber": [1e-3], "rounds": 1, "images": 20, "executor": "reference"}  # fmt: skip
    run_campaign(parse_spec(spec), tmp_path / "r.sqlite")
    results = read_results(tmp_path / "r.sqlite")
    rows = to_json(results)["layers"]
    expected = {row["name"]: (row["max_abs"], row["c"], row["c_largest"]) for row in design.manifest["plan"]["layers"]}
    found = {}
    for row in rows:
        key = (row["model"], row["granularity"])
        found.setdefault(key, {})[row["layer"]] = (row["max_abs"], row["c"], row["c_largest"])
    assert list(found) == [("digits_cnn", "layer"), ("digits_cnn", "channel"), ("mine", "layer")]
    assert found["digits_cnn", "layer"] == found["mine", "layer"] == expected
    aligned = [row for row in rows if row["c"] < 0.999 * row["t"] / row["max_abs"]]
    assert {row["granularity"] for row in aligned} >= {"layer"}
    assert all(row["c"] < row["c_largest"] for row in rows if row["granularity"] == "channel")
    page = write_report(results, tmp_path / "report").read_text()
    assert "batch normalisation is folded" in page
    assert '<th class="text">granularity</th>' in page
    old = replace(results, head={key: value for key, value in results.head.items() if key != "constants"})
    for row in to_json(old)["layers"]:
        assert row["c"] == row["c_largest"] == row["t"] / row["max_abs"]


@pytest.mark.parametrize("worst", [(86.2, 82.6, 89.0), (0.1, -1.2, 0.6), (-0.5, -0.5, -0.5)])
def test_no_point_is_cut_off(worst):
    figure = Figure()
    axes = figure.subplots()
    others = [(0.5, -0.1, 1.2), (30.9, 16.5, 49.4), (0.2, -0.4, 0.7)]
    points = [Point(155 * number, *each, Look.of(number)) for number, each in enumerate([*others, worst])]
    paint_costs(axes, points, 1)
    figure.draw_without_rendering()
    bottom, top = axes.get_ylim()
    assert bottom < min(each.low for each in points)
    assert top > 1.2 * max(each.high for each in points)
