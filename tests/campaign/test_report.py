"""The report: complete without a network, drawn the same twice, readable on a phone."""

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from hwflow.campaign import run_campaign
from hwflow.campaign.export import read_results
from hwflow.campaign.spec_file import parse_spec
from hwflow.report import write_report
from tests.campaign.conftest import SPEC

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class References(HTMLParser):
    """Collects what a page would load, its ids, and checks that tags close."""

    def __init__(self):
        super().__init__()
        self.loaded, self.ids, self.open = [], [], []

    def handle_starttag(self, tag, attrs):
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
