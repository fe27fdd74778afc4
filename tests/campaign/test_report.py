"""The report: complete without a network, drawn the same twice, readable on a phone."""

import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from hwflow.campaign import run_campaign
from hwflow.campaign.export import read_results, write_csv, write_parquet
from hwflow.campaign.spec_file import parse_spec
from hwflow.errors import HwflowError
from hwflow.report import write_report
from tests.campaign.conftest import SPEC

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class References(HTMLParser):
    """Collects what a page would load, its ids, and checks that tags close."""

    def __init__(self):
        super().__init__()
        self.loaded, self.ids, self.open = [], [], []
        self.tags, self.attributes = set(), set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {key for key, _ in attrs}
        for key, value in attrs:
            if key in ("src", "href", "xlink:href", "data") and not value.startswith("#"):
                self.loaded.append(value)
            if key == "id":
                self.ids.append(value)
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("reports")
    spec = {
        **SPEC,
        "formats": "ap_fixed<8,3>",
        "t": ["none", 1.0, "optimal", 8.0],
        "rounds": 2,
        "where": ["all", "layers", "bits"],
    }
    run_campaign(parse_spec(spec), folder / "r.sqlite")
    write_report(read_results(folder / "r.sqlite"), folder / "report")
    return folder / "report" / "report.html"


def test_the_page_needs_nothing_else(report):
    text = report.read_text()
    page = References()
    page.feed(text)
    assert page.open == []
    assert page.loaded == []
    assert len(page.ids) == len(set(page.ids))
    assert set(re.findall(r"url\(#([^)]+)\)", text)) <= set(page.ids)
    assert "<script" not in text
    assert not re.search(r"url\((?!#)|@import", text)


def test_the_page_says_all(report):
    text = report.read_text()
    data = json.loads((report.parent / "report.json").read_text())
    for words in (
        "assumed never to flip",
        data["hashes"]["digits_cnn"]["model"],
        "ap_fixed&lt;8,3&gt;",
        "block1_conv1",
    ):
        assert words in text
    drawn = {path.stem for path in (report.parent / "figures").glob("*.svg")}
    assert drawn == {
        "ber-digits-cnn-ap-fixed-8-3",
        "t-digits-cnn-ap-fixed-8-3",
        *(f"{kind}-{ber}-digits-cnn-ap-fixed-8-3" for kind in ("layer", "bit") for ber in ("0.001", "0.01")),
    }
    assert drawn == {path.stem for path in (report.parent / "figures").glob("*.png")}
    assert len(data["comparisons"]) == 3 * 2
    conv1 = data["layers"][0]
    assert conv1["c"] == pytest.approx(conv1["t"] / conv1["max_abs"])


def test_the_same_results_give_the_same_bytes(report, tmp_path):
    write_report(read_results(report.parent.parent / "r.sqlite"), tmp_path / "again")
    for path in report.parent.rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "again" / path.relative_to(report.parent)).read_bytes(), path


HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "--><b>x</b>",
    "]]><b>",
    "{{ 7 * 7 }}",
    "$x^{$",
    "a$\\frac{1}$",
    "\x1b[31mred\x01",
    "\u65e5\u672c",
    "_hidden",
    "x" * 500,
    "a b",
    "a-b",
    "A-b",
)


@pytest.mark.filterwarnings("error")
def test_names_are_text_and_nothing_else(report, tmp_path):
    """Names of networks and layers come from files of others: no markup, no formula, no file of another name."""
    results = read_results(report.parent.parent / "r.sqlite")
    cells = [each for each in results.cells if each.cell.layer is not None][:4]
    whole = [each for each in results.find(layer=None, bit=None) if each.cell.t == "none"]
    named = [replace(each, cell=replace(each.cell, model=name)) for name in HOSTILE for each in whole]
    placed = [replace(cells[0], cell=replace(cells[0].cell, layer=name)) for name in HOSTILE]
    spec = {**results.head["spec"], "models": [{"name": name} for name in HOSTILE], "data": HOSTILE[0]}
    layers = [{**each, "model": name} for name in HOSTILE for each in results.head["layers"]]
    in_float = {name: {"correct": 9, "images": 10} for name in (*HOSTILE, "digits_cnn")}
    plan = [each.cell.to_json() for each in (*named, *placed)]
    head = {**results.head, "spec": spec, "plan": plan, "layers": layers, "float": in_float}
    write_report(replace(results, head=head, cells=(*named, *placed), engines={HOSTILE[0]: 1}), tmp_path / "hostile")
    text = (tmp_path / "hostile" / "report.html").read_text()
    page, before = References(), References()
    page.feed(text)
    before.feed(report.read_text())
    assert page.open == []
    assert page.loaded == []
    assert page.tags - before.tags == set()
    assert page.attributes - before.attributes == set()
    assert len(page.ids) == len(set(page.ids))
    assert "7 * 7" in text
    assert "49" not in re.findall(r"<title>(.*?)</title>", text, re.DOTALL)[0]
    names = {path.name for path in (tmp_path / "hostile" / "figures").iterdir()}
    assert len({name.lower() for name in names}) == len(names) == 2 * (len(HOSTILE) + 1)
    assert all(re.fullmatch(r"[A-Za-z0-9._-]{1,80}", name) for name in names)
    for path in (tmp_path / "hostile" / "figures").glob("*.svg"):
        ElementTree.fromstring(path.read_bytes())


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")
@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_overflows_in_a_browser(report, tmp_path, width):
    """The page inside a frame of that width: it scrolls down only, and tables scroll by themselves."""
    probe = """<script>addEventListener('load', () => parent.postMessage(JSON.stringify({
        inner: innerWidth, client: document.documentElement.clientWidth, scroll: document.documentElement.scrollWidth,
        figures: [...document.querySelectorAll('figure svg')].map(each => each.getBoundingClientRect().width),
    }), '*'))</script></body>"""
    (tmp_path / "page.html").write_text(report.read_text().replace("</body>", probe))
    (tmp_path / "frame.html").write_text(
        f"<body><pre id=out></pre><script>onmessage = event => out.textContent = event.data</script>"
        f"<iframe src=page.html width={width} height=800 style='border:0'></iframe></body>"
    )
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--virtual-time-budget=5000"]
    command = [
        CHROMIUM,
        *flags,
        f"--user-data-dir={tmp_path / 'profile'}",
        "--dump-dom",
        f"file://{tmp_path}/frame.html",
    ]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    seen = json.loads(re.search(r'<pre id="out">(.*?)</pre>', dom)[1])
    assert seen["inner"] == width
    assert seen["scroll"] == seen["client"]
    assert len(seen["figures"]) == 6
    assert min(seen["figures"]) > 250


@pytest.mark.parametrize("write", [write_csv, write_parquet, write_report])
def test_no_table_overwrites_the_results(report, tmp_path, write):
    results = tmp_path / "r.sqlite"
    shutil.copy(report.parent.parent / "r.sqlite", results)
    (tmp_path / "link").hardlink_to(results)
    before = results.read_bytes()
    for path in (results, tmp_path / "link"):
        with pytest.raises(HwflowError, match=r"the results file .* an input"):
            write(read_results(results), path)
    assert results.read_bytes() == before
