"""The commands campaign, report and paper: what they print, write, and refuse."""

import csv
import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from hwflow.campaign import CampaignSpec, load_spec, run_campaign
from hwflow.campaign.spec_file import parse_spec
from hwflow.errors import HwflowError
from hwflow.paper.studies import LOGITS, TABLE1, TABLE2, Subject, fig3, table2
from tests.campaign.conftest import SPEC, toml
from tests.cli.conftest import hwflow, left_in
from tests.cli.test_demo import DOCUMENTATION, keys

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def spec_file(tmp_path):
    def write(**changes):
        path = tmp_path / "spec.toml"
        path.write_text(toml({**SPEC, "formats": ["ap_fixed<8,3>"], "rounds": 2, **changes}))
        return path

    return write


def test_run_status_resume_report(spec_file, tmp_path):
    results, out = tmp_path / "r.sqlite", tmp_path / "out.json"
    text = hwflow("campaign", spec_file(), "-o", results, "--json", out).succeeds()
    assert "6 of 6 conditions finished, 10 trials" in text
    assert json.loads(out.read_text())["missing"] == 0
    assert "10 trials" in hwflow("campaign", "-o", results, "--status").succeeds()
    assert "14 trials" in hwflow("campaign", "-o", results, "--rounds", "3").succeeds()
    text = hwflow("report", results, "--csv", tmp_path / "r.csv", "--parquet", tmp_path / "r.parquet").succeeds()
    assert "page:" not in text
    with (tmp_path / "r.csv").open() as file:
        found = list(csv.DictReader(file))
    assert len(found) == 14
    assert not any("time" in key or "second" in key for key in found[0])
    page = tmp_path / "report"
    hwflow("report", results, "-o", page, "--json", out).succeeds()
    assert {"report.html", "report.json", "summary.csv", "figures"} == left_in(page)
    assert "ber-digits-cnn-ap-fixed-8-3.svg" in left_in(page / "figures")
    hwflow("report", results, "-o", page).fails_with(str(page), "--force")
    hwflow("report", results, "-o", page, "--force").succeeds()
    assert json.loads(out.read_text())["cells"][1]["rounds"] == 3


def test_until_ci(spec_file, tmp_path):
    out = tmp_path / "out.json"
    path = spec_file(rounds=3)
    hwflow("campaign", path, "-o", tmp_path / "r", "--until-ci", "30", "--max-rounds", "6", "--json", out).succeeds()
    reached = json.loads(out.read_text())
    assert reached["stopping"] == {"rounds": 3, "until_ci": 30.0, "max_rounds": 6, "interval": "wilson"}
    assert 2 + 4 * 3 <= reached["trials"] <= 2 + 4 * 6


def test_a_width_that_is_not_reached_is_said(spec_file, tmp_path):
    results, out = tmp_path / "r", tmp_path / "out.json"
    command = ("campaign", spec_file(rounds=3), "-o", results, "--until-ci", "0.01", "--max-rounds", "4", "--json", out)
    for arguments in (command, ("campaign", "-o", results, "--status", "--json", out)):
        text = hwflow(*arguments).succeeds()
        reached = json.loads(out.read_text())
        assert reached["finished"] == reached["cells"] == 6
        assert 1 <= reached["not_reached"] <= 4
        assert reached["widest"] > 0.01
        said = f"{reached['not_reached']} conditions stopped at 4 rounds with intervals wider than ± 0.01 points"
        assert f"warning: {said}, up to ± {reached['widest']:.2g}" in text
    text = hwflow("report", results, "-o", tmp_path / "report", "--json", out).succeeds()
    page, data = (tmp_path / "report" / "report.html").read_text(), json.loads(out.read_text())
    assert said in text
    assert said in page
    assert "<td>no, ± " in page.replace(' class="text"', "")
    assert (data["complete"], data["not_reached"]) == (True, reached["not_reached"])
    for row in data["cells"]:
        wide = row["ber"] and row["half_width"] > 0.01
        assert row["reached"] is (None if not row["ber"] else not wide)
    hwflow("campaign", spec_file(rounds=3), "-o", results).succeeds()
    hwflow("report", results, "--csv", tmp_path / "r.csv", "--json", out).succeeds()
    assert all(row["reached"] is None for row in json.loads(out.read_text())["cells"])
    assert json.loads(out.read_text())["warnings"] == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"formts": ["fp32"]}, ("unknown key 'formts'", "'formats'")),
        ({"ber": [1.5]}, ("ber", "1.5", "0 to 1")),
        ({"ber": ["high"]}, ("ber", "not a number")),
        ({"rounds": 0}, ("rounds", "at least 1")),
        ({"rounds": 2.5}, ("rounds", "whole number")),
        ({"images": 501}, ("digits", "500", "501")),
        ({"models": ["resnet20"]}, ("resnet20", "state dict")),
        ({"models": ["nothing"]}, ("nothing", "digits_cnn")),
        ({"data": "missing.npz"}, ("missing.npz",)),
        ({"formats": ["fp8"]}, ("fp8",)),
        ({"formats": []}, ("formats", "at least one")),
        ({"t": [-1.0]}, ("t:", "-1")),
        ({"executor": "refrence"}, ("executor", "'reference'")),
        ({"msb": "asume"}, ("msb", "'assume'")),
        ({"protections": ["plan"], "executor": "reference"}, ("protections", "'plain'")),
        ({"executor": "reference", "formats": ["fp16"]}, ("fp16", "float executor")),
        ({"seed": -1}, ("seed",)),
    ],
    ids=lambda value: str(value)[:30],
)
def test_bad_specifications(spec_file, tmp_path, changes, words):
    hwflow("campaign", spec_file(**changes), "-o", tmp_path / "r.sqlite").fails_with(*words)


def test_bad_files(spec_file, tmp_path, finished):
    spec, results = spec_file(), tmp_path / "r.sqlite"
    hwflow("campaign", tmp_path / "none.toml", "-o", results).fails_with("none.toml", "cannot be read")
    (tmp_path / "bad.toml").write_text("ber = [")
    hwflow("campaign", tmp_path / "bad.toml", "-o", results).fails_with("bad.toml", "not TOML")
    hwflow("campaign", "-o", results).fails_with("r.sqlite", "no such results file")
    hwflow("campaign", "-o", results, "--status").fails_with("no such results file")
    hwflow("report", results).fails_with("no such results file")
    copy = shutil.copy(finished, tmp_path / "other.sqlite")
    hwflow("campaign", spec, "-o", copy).fails_with("another campaign", "'formats'")
    hwflow("report", copy, "--csv", tmp_path / "no" / "file.csv").fails_with("file.csv", "does not exist")
    assert not left_in(tmp_path) & {"r.sqlite"}


def test_a_scheduler_that_is_not_there(spec_file, tmp_path, monkeypatch):
    monkeypatch.setattr("hwflow.campaign.cluster._CONNECT_SECONDS", 1)
    hwflow("campaign", spec_file(), "-o", tmp_path / "r", "--dask", "tcp://127.0.0.1:9").fails_with("cannot be reached")
    hwflow("campaign", spec_file(), "-o", tmp_path / "r", "--dask", "somewhere").fails_with("local:N")
    hwflow("campaign", spec_file(), "-o", tmp_path / "r", "--dask", "local:x").fails_with("'x'")


def test_examples_are_specifications():
    paths = sorted(EXAMPLES.glob("*.toml"))
    specs = [load_spec(path) for path in paths]
    assert len(set(map(str, specs))) == len(paths) >= 7
    assert [parse_spec(spec.to_json()) for spec in specs] == specs


def test_every_key_is_documented(spec_file, tmp_path):
    results, text = tmp_path / "r", DOCUMENTATION.read_text()
    hwflow("campaign", spec_file(executor="reference"), "-o", results, "--json", tmp_path / "campaign.json").succeeds()
    connection = sqlite3.connect(results)
    with connection:
        connection.execute("UPDATE trials SET correct = 0 WHERE cell = 1 AND round = 1")
    connection.close()
    hwflow("campaign", "-o", results, "--status", "--json", tmp_path / "status.json").succeeds()
    hwflow("report", results, "-o", tmp_path / "report", "--json", tmp_path / "out.json").succeeds()
    hwflow("paper", "table1", "--images", 5, "--format", "fp16", "--json", tmp_path / "table1.json").succeeds()
    hwflow("paper", "fig2", "--rounds", 2, "--format", "fp16", "--c", 1, "--json", tmp_path / "fig2.json").succeeds()
    logits = ("--images", 5, "--format", "fp16", "--json", tmp_path / "logits.json")
    hwflow("paper", "logits", *logits).succeeds()
    files = [*tmp_path.glob("*.json"), tmp_path / "report" / "report.json"]
    assert len(files) == 7
    for path in files:
        data = json.loads(path.read_text())
        assert data.get("damaged", True) or path.stem == "campaign"
        # The specification's keys are in campaign.md; some objects have a key for every network.
        data.pop("spec", None)
        for name in ("hashes", "inputs", "float"):
            data[name] = list((data.get(name) or {}).values())
        missing = {key for key in keys(data) if f"`{key}`" not in text}
        assert not missing, path.name


class TestPaper:
    def damage(self, path):
        connection = sqlite3.connect(path)
        with connection:
            connection.execute("UPDATE trials SET correct = correct + 1 WHERE cell = 0")
        connection.close()

    def test_a_study_that_fails_leaves_nothing(self, tmp_path):
        kept = tmp_path / "kept"
        hwflow("paper", "table1", "--images", 501, "--results", kept).fails_with("501")
        assert not kept.exists()
        kept.mkdir()
        (kept / "table1-1.sqlite").write_text("a poem")
        hwflow("paper", "table1", "--images", 5, "--results", kept).fails_with("table1-1.sqlite", "not a results file")
        assert (kept / "table1-1.sqlite").read_text() == "a poem"

    def test_fig2(self, tmp_path):
        out, figure = tmp_path / "out.json", tmp_path / "fig2.svg"
        arguments = ("--rounds", 2000, "--json", out, "--figure", figure)
        assert "Monte Carlo" in hwflow("paper", "fig2", *arguments).succeeds()
        result = json.loads(out.read_text())
        assert {(row["format"], row["c"]) for row in result["rows"]} == {
            (name, c) for name in ("fp32", "fp16", "ap_fixed<8,3>", "ap_fixed<8,2>") for c in (1, 2, 3, 4, 5)
        }
        assert figure.read_text().startswith("<?xml")
        hwflow("paper", "fig2", "--figure", tmp_path / "x.gif").fails_with(".pdf, .svg or .png")
        hwflow("paper", "fig2", "--width", "double").fails_with("--width", "without --figure")
        hwflow("paper", "fig2", "--figure", tmp_path / "no" / "x.svg").fails_with("does not exist")

    def test_tables_and_fig3(self, tmp_path):
        out = tmp_path / "out.json"
        few = ("--images", 40, "--json", out, "--format", "fp16", "--format", "ap_fixed<8,2>")
        hwflow("paper", "table1", *few).succeeds()
        rows = json.loads(out.read_text())["rows"]
        assert [row["format"] for row in rows] == ["fp16", "ap_fixed<8,2>"]
        assert all(row["mean"] > 90 and row["published"] is None for row in rows)
        hwflow("paper", "table2", *few, "--rounds", 2, "--results", tmp_path / "kept").succeeds()
        rows = json.loads(out.read_text())["rows"]
        assert {(row["format"], row["ber"]) for row in rows} == {("fp16", 1e-3), ("ap_fixed<8,2>", 1e-4)}
        assert [row["t"] for row in rows[:3]] == [None, 1.0, 1.9999]
        assert left_in(tmp_path / "kept") == {"table2-1.sqlite", "table2-2.sqlite"}
        self.damage(tmp_path / "kept" / "table2-1.sqlite")
        text = hwflow("paper", "table2", *few, "--rounds", 2, "--results", tmp_path / "kept").succeeds()
        assert "table2-1.sqlite: the trial of digits_cnn, fp16, unscaled, BER 0, round 0, is damaged" in text
        again = json.loads(out.read_text())
        assert again["rows"] == rows
        assert again["interval"]["accuracy"].startswith("Wilson")
        hwflow("paper", "fig3", *few, "--rounds", 1, "--figure", tmp_path / "fig3.png").succeeds()
        rows = json.loads(out.read_text())["rows"]
        places = [(row["format"], row["t"], row["ber"]) for row in rows]
        assert len(places) == 2 * 8 * 3
        assert places == sorted(places, key=lambda place: (place[0] != "fp16", place[1]))
        assert [t for _, t, _ in places[::3]][8:] == [0.5, 1.0, 1.5, 1.97, 2.5, 3.0, 3.5, 4.0]
        assert (tmp_path / "fig3.png").read_bytes().startswith(b"\x89PNG")

    def test_logits(self, tmp_path):
        out = tmp_path / "out.json"
        hwflow("paper", "logits", "--images", 40, "--json", out).succeeds()
        rows = json.loads(out.read_text())["rows"]
        assert len(rows) == 2 * 4 + 2 * 3
        assert all(row["accuracy"] > 90 and row["bad_images"] == 0 for row in rows)
        assert all((row["log2_scale"] != 0) == (row["compensation"] == "logits") for row in rows)
        assert {(row["ber"], row["rounds"], row["std"]) for row in rows} == {(0.0, 1, 0.0)}

    def test_logits_under_faults(self, tmp_path):
        out = tmp_path / "out.json"
        faults = ("--ber", 1e-4, "--ber", 1e-3, "--rounds", 3, "--seed", 1)
        formats = ("--format", "fp16", "--format", "ap_fixed<8,3>")
        hwflow("paper", "logits", "--images", 40, "--json", out, *faults, *formats).succeeds()
        rows = json.loads(out.read_text())["rows"]
        assert [row["ber"] for row in rows] == [0.0, 1e-4, 1e-3] * (4 + 3)
        assert all(row["rounds"] == (3 if row["ber"] else 1) for row in rows)
        assert all(row["low"] <= row["accuracy"] <= row["high"] for row in rows)
        worst = {(row["format"], row["compensation"]): row["accuracy"] for row in rows if row["ber"] == 1e-3}
        for name in ("fp16", "ap_fixed<8,3>"):
            assert worst[name, "none"] < min(worst[name, "layer"], worst[name, "logits"])
        hwflow("paper", "logits", "--ber", 2).fails_with("--ber", status=2)

    def test_settings_are_the_papers(self):
        (spec,) = fig3(Subject(), ("fp32", "fp16", "ap_fixed<8,2>"))
        assert spec.ber == (1e-3, 1e-4, 1e-5)
        assert spec.t == (0.5, 1.0, 1.5, "optimal", 2.5, 3.0, 3.5, 4.0)
        assert spec.rounds == 10
        floats, fixed = table2(Subject())
        assert (floats.ber, fixed.ber) == ((1e-3,), (1e-4,))
        assert 1.97 in fixed.t  # ap_fixed<8,3> is also measured at the paper's own t

    def test_published_values(self):
        assert (len(TABLE1), len(TABLE2), len(LOGITS)) == (12, 24, 2)
        gain = [float(TABLE2["resnet50", "Q2.5", t].split()[0]) * sign for t, sign in ((1.97, 1), (1.0, -1))]
        assert sum(gain) == pytest.approx(54.42, abs=0.01)  # the abstract's 54.418

    def test_bad_input(self):
        hwflow("paper", "table1", "--model", "resnet18").fails_with("resnet18", "state dict")
        hwflow("paper", "table1", "--weights", "x.pth").fails_with("digits_cnn", "a state dict")
        hwflow("paper", "table2", "--images", 501).fails_with("500", "501")
        hwflow("paper", "logits", "--format", "fp8").fails_with("fp8")


def test_image_folders(tmp_path):
    from PIL import Image

    for name in ("a", "b"):
        (tmp_path / "set" / name).mkdir(parents=True)
        for number in range(3):
            Image.new("L", (8, 8), number).save(tmp_path / "set" / name / f"{number}.png")
    spec = CampaignSpec(data=str(tmp_path / "set"), images=4, ber=(1e-3,), rounds=1, t=("optimal",))
    with pytest.raises(HwflowError, match=r"\(4, 8, 8, 3\).*8, 8, 1"):
        run_campaign(spec, tmp_path / "r.sqlite")
    hwflow("paper", "table1", "--data", tmp_path / "set", "--images", 7).fails_with("6 images", "7")
    hwflow("paper", "table1", "--labels", tmp_path).fails_with("digits", "labels")
