"""Figures 2 and 3 as files for a paper: their size, their text, what their bars are, and the paper's values."""

import re
from dataclasses import replace

import pytest

from hwflow.campaign.export import CellResult
from hwflow.campaign.plan import Cell
from hwflow.campaign.records import Trial
from hwflow.campaign.statistics import summarise
from hwflow.paper.fig2 import fig2
from hwflow.paper.plots import fig2_plot, fig3_plot, save
from hwflow.paper.studies import FIG3_BER, TABLE2, Subject, published_in, row

PAPERS = Subject(model="resnet18", weights="resnet18.pth", data="imagenet/val")
T = {"fp16": (1.0, 1.9999, 4.0), "ap_fixed<8,2>": (1.0, 1.97, 4.0)}


def result(format_, t, ber, hits=(50, 60, 58)):
    trials = tuple(Trial(0, index, index, 1, 0, 0, each, 100) for index, each in enumerate(hits))
    cell = Cell("resnet18", format_, str(t), t, "plain", ber)
    return CellResult(cell, trials, summarise([float(each) for each in hits]), True)


RESULTS = [result(format_, t, ber) for format_ in T for t in T[format_] for ber in FIG3_BER]


@pytest.fixture(scope="module")
def curves():
    return fig2(["fp32", "fp16", "ap_fixed<8,2>"], rounds=500)


def drawn(canvas, path):
    save(canvas, path)
    text = path.read_text()
    words = [
        found.replace("&lt;", "<").replace("&gt;", ">") for found in re.findall(r"<text[^>]*>([^<]+)</text>", text)
    ]
    return float(re.search(r'width="([\d.]+)pt"', text)[1]) / 72, words


@pytest.mark.parametrize(("width", "inches"), [("single", 3.5), ("double", 7.16)])
def test_they_are_as_wide_as_columns_and_their_text_is_text(curves, tmp_path, width, inches):
    two, three = fig2_plot(curves, 0.1, 500, width), fig3_plot(RESULTS, width)
    found, words = drawn(two, tmp_path / "2.svg")
    assert found == pytest.approx(inches)
    for said in ("(a) FP32", "(c) ap_fixed<8,2>", "weight W", "mean absolute error", "c = 1 (baseline)", "1e-2"):
        assert said in words
    assert any("95 % interval over 500 rounds; BER 0.1" in each for each in words)
    assert any(each.startswith("c = 4: mean") for each in words)
    found, words = drawn(three, tmp_path / "3.svg")
    assert found == pytest.approx(inches)
    for said in (
        "t (largest scaled weight)",
        "top-1 accuracy (%)",
        "BER 1e-3",
        "bars: 95 % interval of the mean, 3 rounds",
    ):
        assert said in words
    assert not any("paper" in each or "$" in each for each in words)


def test_pdfs_are_vectors_with_fonts_and_the_same_twice(curves, tmp_path):
    for name in ("a", "b"):
        save(fig2_plot(curves, 0.1, 500), tmp_path / f"{name}.pdf")
    data = (tmp_path / "a.pdf").read_bytes()
    assert data == (tmp_path / "b.pdf").read_bytes()
    assert b"/CIDFontType2" in data or b"/TrueType" in data
    assert b"/Subtype /Image" not in data


def bars(canvas):
    """Ends of the error bars of the first curve of the first panel."""
    (_, _, (lines,)), *_ = canvas.axes[0].containers
    return [tuple(segment[:, 1]) for segment in lines.get_segments()]


def test_the_bars_are_what_the_legend_says(tmp_path):
    summary = RESULTS[0].summary
    assert bars(fig3_plot(RESULTS)) == [pytest.approx((summary.low, summary.high))] * 3
    spread = fig3_plot(RESULTS, bars="std")
    assert bars(spread) == [pytest.approx((summary.mean - summary.std, summary.mean + summary.std))] * 3
    assert "bars: standard deviation, 3 rounds" in drawn(spread, tmp_path / "s.svg")[1]


def test_the_papers_values_stand_beside_its_own_network_only(tmp_path):
    canvas = fig3_plot(RESULTS, subject=PAPERS)
    for panel, name, format_, ber in zip(canvas.axes, ("fp16", "Q2.5"), T, ("1e-3", "1e-4"), strict=True):
        label = f"paper, table II, BER {ber} (± std)"
        (found,) = [each for each in panel.containers if each.get_label() == label]
        assert list(found.lines[0].get_xdata()) == list(T[format_][:2])
        expected = [TABLE2["resnet18", name, t].split(" ± ") for t in T[format_][:2]]
        assert [f"{value:.2f}" for value in found.lines[0].get_ydata()] == [mean for mean, _ in expected]
        reach = [(high - low) / 2 for low, high in (each[:, 1] for each in found.lines[2][0].get_segments())]
        assert [f"{value:.2f}" for value in reach] == [std for _, std in expected]
    assert sum("paper, table II" in each for each in drawn(canvas, tmp_path / "p.svg")[1]) == 2
    for other in (Subject(), replace(PAPERS, weights=None), replace(PAPERS, classes=10)):
        assert {published_in(other, each.cell) for each in RESULTS} == {None}
    rows = [row("fig3", PAPERS, each)["published"] for each in RESULTS]
    assert sum(each is not None for each in rows) == 4
