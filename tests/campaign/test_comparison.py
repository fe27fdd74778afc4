"""Several results files beside each other: matched, paired where they may be, and the numbers as scipy has them."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from hwflow.campaign import run_campaign
from hwflow.campaign.spec_file import parse_spec
from hwflow.campaign.statistics import compare_unpaired, summarise
from hwflow.cli.report import _print_comparison
from hwflow.errors import HwflowError
from hwflow.report import compare_results, load_results, write_comparison
from hwflow.report.comparison import COLUMNS
from hwflow.report.comparison_figures import look_of
from hwflow.report.comparison_page import comparison_html
from hwflow.report.looks import MARKERS
from hwflow.stages.evaluate import evaluate
from tests.campaign.conftest import SPEC
from tests.campaign.test_report import HOSTILE, References
from tests.campaign.test_ways import results_of
from tests.cli.conftest import hwflow, left_in
from tests.cli.test_demo import DOCUMENTATION, keys

PLAIN = {0.0: [90], 1e-3: [89, 90, 81, 85], 1e-2: [50, 60, 41, 47]}
CODED = {0.0: [89], 1e-3: [90, 91, 87, 85], 1e-2: [88, 85, 86, 90]}


def of(rounds, code="plain", images="one", seeds=0, **changes):
    """A campaign of one storage code on images of that name, its seeds counted from a number."""
    found = results_of({code: rounds}, **changes)
    cells = [
        replace(each, trials=tuple(replace(trial, seed=trial.seed + seeds) for trial in each.trials))
        for each in found.cells
    ]
    spec = {**found.head["spec"], "data": images}
    head = {**found.head, "spec": spec, "hashes": {"net": {"model": "m" * 64, "data": images * 20}}}
    return replace(found, head=head, cells=tuple(cells))


def difference(first, second, ber=1e-2):
    compared = compare_results({"first": first, "second": second})
    return next(row for row in compared.rows() if row["file"] == "second" and row["ber"] == ber)


def test_the_same_seeds_are_paired():
    row = difference(of(PLAIN), of(CODED))
    paired = stats.ttest_rel(CODED[1e-2], PLAIN[1e-2])
    interval = paired.confidence_interval(0.95)
    assert row["pairing"] == "fault lists"
    assert (row["difference"], row["pairs"], row["against"]) == (pytest.approx(37.75), 4, "first")
    assert (row["difference_low"], row["difference_high"]) == pytest.approx((interval.low, interval.high))
    assert row["p"] == pytest.approx(paired.pvalue)
    summary = summarise([float(each) for each in CODED[1e-2]])
    assert (row["mean"], row["std"], row["low"], row["high"]) == (summary.mean, summary.std, summary.low, summary.high)


def test_memories_of_other_sizes_are_paired_by_seed_alone():
    assert difference(of(PLAIN), of(CODED, "secded"))["pairing"] == "seeds"


@pytest.mark.parametrize("other", [{"seeds": 1}, {"seeds": 7}], ids=["a round later", "all others"])
def test_other_seeds_are_not_paired(other):
    row = difference(of(PLAIN), of(CODED, **other))
    apart = stats.ttest_ind(CODED[1e-2], PLAIN[1e-2], equal_var=False)
    interval = apart.confidence_interval(0.95)
    assert (row["pairing"], row["pairs"]) == ("unpaired", 0)
    assert (row["difference_low"], row["difference_high"]) == pytest.approx((interval.low, interval.high))
    assert row["p"] == pytest.approx(apart.pvalue)


def test_rounds_in_another_order_are_no_pairs():
    """A planted error: the same accuracies and seeds, but of two rounds exchanged."""
    other = of(CODED)
    *rest, cell = other.cells
    first, second, *more = cell.trials
    swapped = replace(cell, trials=(replace(first, seed=second.seed), replace(second, seed=first.seed), *more))
    assert difference(of(PLAIN), replace(other, cells=(*rest, swapped)))["pairing"] == "unpaired"


def test_only_common_rounds_are_paired():
    row = difference(of(PLAIN), of({1e-2: [*CODED[1e-2], 10, 20]}))
    assert (row["rounds"], row["pairs"], row["difference"]) == (6, 4, pytest.approx(37.75))


def test_without_faults_and_of_one_round_there_is_no_interval():
    row = difference(of(PLAIN), of(CODED), 0.0)
    assert (row["pairing"], row["difference"], row["difference_low"], row["p"]) == ("no faults", -1.0, None, None)
    for seeds, pairing in ((0, "fault lists"), (5, "unpaired")):
        row = difference(of({1e-2: [50]}), of({1e-2: [60]}, seeds=seeds))
        assert (row["pairing"], row["difference"], row["difference_low"]) == (pairing, 10.0, None)


def test_where_all_rounds_are_alike_there_is_no_interval(capsys):
    found = compare_results({"a": of({1e-2: [50, 50]}), "b": of({1e-2: [60, 60]}), "c": of({1e-2: [60, 61]})})
    _print_comparison(found)
    alike, apart = capsys.readouterr().out, comparison_html(found)
    assert "50.00 to 50.00" not in alike + apart
    assert "+10.00 to +10.00" not in alike + apart
    assert "alike in all" in alike
    assert "+10.00 (alike in all rounds)" in apart
    assert "50.00 (alike in all rounds)" in apart
    assert apart.count('class="front"') == 1  # no interval does not hold 0


@pytest.mark.parametrize("first", [[50.0, 61.0], [99.0, 100.0, 98.5, 100.0]])
def test_welch(first):
    second = [40.0, 44.0, 39.0, 50.0, 41.0]
    found, expected = compare_unpaired(first, second), stats.ttest_ind(second, first, equal_var=False)
    interval = expected.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((max(interval.low, -100), min(interval.high, 100)))
    assert found.p == pytest.approx(expected.pvalue)
    assert compare_unpaired([1.0, 1.0], [2.0, 2.0]).p is None
    assert compare_unpaired([1.0, 1.0], [1.0, 1.0]).p is None
    assert compare_unpaired([1.0, 1.0], [2.0]).low is None


def test_welch_covers_the_difference_as_often_as_it_says():
    rng, covered = np.random.default_rng(2), 0
    for _ in range(1000):
        found = compare_unpaired(rng.normal(80, 1, 5), rng.normal(70, 6, 9))
        covered += found.low <= -10 <= found.high
    assert 0.93 < covered / 1000 < 0.97


def test_other_images_are_not_compared(tmp_path):
    compared = compare_results({"first": of(PLAIN), "b": of(CODED, images="two"), "c": of(CODED)})
    rows = [row for row in compared.rows() if row["file"] == "b"]
    assert {(row["difference"], row["pairing"]) for row in rows} == {(None, None)}
    (line,) = compared.notes
    assert line.startswith("b cannot be compared with first: other images")
    assert line.endswith("data two, not one")
    page = write_comparison(compared, tmp_path / "page.html").read_text()
    assert page.count("not compared") == 3
    assert line in page


def test_what_is_equal_is_said_once_and_what_differs_is_listed(tmp_path):
    first, second = of(PLAIN), of(CODED, "secded", target=1.9999, format="fp16")
    compared = compare_results({"first": first, "second": second})
    assert {name: compared.differing[name] for name in ("protection", "t", "format")} == {
        "protection": ["plain", "secded"], "t": ["1", "1.9999"], "format": ["ap_fixed<8,3>", "fp16"],
    }  # fmt: skip
    assert compared.equal["model"] == "net"
    assert compared.equal["executor"] == "reference"
    assert not compared.equal.keys() & compared.differing.keys()
    page = write_comparison(compared, tmp_path / "page.html").read_text()
    assert page.index("What differs") < page.index("1.9999") < page.index("What is equal in all")


def test_a_notebook_shows_what_differs_and_pandas_has_all():
    compared = compare_results({"first": of(PLAIN), "second": of(CODED)})
    assert repr(compared) == "Comparison(files=first, second, conditions=3, differences=3)"
    html = compared._repr_html_()
    assert "<th>difference_low</th>" in html
    assert "<th>granularity</th>" not in html
    assert html.count("<svg") == 1
    pytest.importorskip("pandas")
    assert list(compared.to_pandas().columns) == list(COLUMNS)


def test_conditions_are_matched_by_what_varies():
    """A code in both files is matched with itself; one that only one file has stands alone."""
    both, one = results_of({"plain": PLAIN, "secded": CODED}), of(PLAIN)
    both = replace(both, head={**both.head, "hashes": one.head["hashes"]})
    compared = compare_results({"both": both, "one": one})
    assert compared.varying == ("protection", "ber")
    differences = {(row["protection"], row["file"]): row["difference"] for row in compared.rows() if row["ber"] == 1e-2}
    assert differences == {("plain", "both"): None, ("secded", "both"): None, ("plain", "one"): 0.0}
    turned = compare_results({"one": one, "both": both})
    assert turned.notes == ["both: 3 of 6 conditions are not in one"]


def test_figures_have_a_curve_for_every_file():
    few = compare_results({"a file": of(PLAIN), "another": of(CODED)}).figures()
    assert [each.name for each in few] == ["all"]
    assert all(f">{name}</text>" in few[0].svg for name in ("a file", "another"))
    assert "95 % interval of the mean (4 rounds, 100 images)" in few[0].caption
    codes = dict.fromkeys(("plain", "secded", "cosq", "tmr", "bch64-45"), PLAIN)
    many = compare_results({"a": results_of(codes), "b": results_of(codes)}).figures()
    assert "Colours are files" in many[0].caption
    assert "Colours are files" not in many[1].caption + few[0].caption
    assert [each.name for each in many] == ["all", *(f"way-{number}" for number in range(5))]
    assert compare_results({"a": of({0.0: [9]}), "b": of({0.0: [9]})}).figures() == []


def test_curves_of_one_file_have_markers_of_their_own():
    looks = {way: look_of(1, way, len(MARKERS)) for way in range(len(MARKERS))}
    assert len({each.marker for each in looks.values()}) == len(MARKERS)
    assert {each.colour for each in looks.values()} == {look_of(1, 0, 1).colour}
    assert look_of(0, 0, 1).marker != look_of(1, 0, 1).marker


def test_names_are_text_and_nothing_else(tmp_path):
    compared = compare_results({name: of(CODED, design=name) for name in HOSTILE})
    assert "7 * 7" in repr(compared)
    page, before = References(), References()
    page.feed(write_comparison(compared, tmp_path / "page.html").read_text())
    before.feed(write_comparison(compare_results([of(PLAIN), of(CODED, "secded")]), tmp_path / "b.html").read_text())
    assert page.open == page.loaded == []
    assert page.tags - before.tags == set()
    assert len(page.ids) == len(set(page.ids))
    assert "'=1+1" in compare_results({"a": of(PLAIN), "=1+1": of(PLAIN)}).csv()


@pytest.fixture(scope="module")
def files(tmp_path_factory, hardened):
    """Two campaigns on the reference with the same seeds, and an evaluation on the same images."""
    folder = tmp_path_factory.mktemp("compared")
    base = {**SPEC, "formats": "ap_fixed<8,3>", "t": "optimal", "executor": "reference", "rounds": 3}
    for name, code in (("plain", "plain"), ("secded", "secded")):
        run_campaign(parse_spec({**base, "protections": code}), folder / f"{name}.sqlite")
    arguments = ("--data", "digits", "--images", 50, "--ber", 1e-2, "--rounds", 3)
    hwflow("evaluate", hardened, *arguments, "--json", folder / "mine.json").succeeds()
    return folder


@pytest.fixture(scope="module")
def hardened(tmp_path_factory):
    path = tmp_path_factory.mktemp("designs") / "design"
    hwflow("harden", "digits_cnn", "-o", path).succeeds()
    return path


def test_the_command(files, tmp_path):
    page, out, table = tmp_path / "page.html", tmp_path / "out.json", tmp_path / "t.csv"
    paths = [files / name for name in ("plain.sqlite", "secded.sqlite", "mine.json")]
    text = hwflow("report", *paths, "-o", page, "--json", out, "--csv", table).succeeds()
    assert "page:" in text
    data = json.loads(out.read_text())
    assert {row["pairing"] for row in data["rows"] if row["file"] == "secded"} == {"no faults", "seeds"}
    assert [row["pairing"] for row in data["rows"] if row["file"] == "mine"] == ["no faults", "unpaired"]
    assert {"what": "protection", "values": ["plain", "secded", "-"]} in data["differing"]
    with table.open(newline="") as file:
        found = list(csv.DictReader(file))
    assert tuple(found[0]) == COLUMNS
    assert [row["difference"] == "" for row in found] == [row["difference"] is None for row in data["rows"]]
    missing = {key for key in keys({**data, "equal": {}}) if f"`{key}`" not in DOCUMENTATION.read_text()}
    assert not missing
    References().feed(page.read_text())


def test_an_evaluation_names_its_images_as_a_campaign_does(files, hardened):
    with_campaign = load_results(files / "plain.sqlite").head["hashes"]["digits_cnn"]["data"]
    assert json.loads((files / "mine.json").read_text())["data_sha256"] == with_campaign
    assert evaluate(hardened, "digits", images=49).data_sha256 != with_campaign


def test_evaluations_with_the_same_seed_are_paired(files, hardened, tmp_path):
    arguments = ("--data", "digits", "--images", 50, "--ber", 1e-2, "--rounds", 4)
    hwflow("evaluate", hardened, *arguments, "--json", tmp_path / "again.json").succeeds()
    rows = compare_results([files / "mine.json", tmp_path / "again.json"]).rows()
    assert [(row["difference"], row["pairing"], row["pairs"]) for row in rows if row["file"] == "again"] == [
        (0.0, "no faults", 0),
        (0.0, "fault lists", 3),
    ]


def test_what_is_refused(files, tmp_path):
    plain, other = files / "plain.sqlite", files / "secded.sqlite"
    hwflow("report", plain, other, "-o", tmp_path / "page").fails_with("must end in .html")
    hwflow("report", plain, other, "-o", plain).fails_with("must end in .html")
    hwflow("report", plain, other, "--parquet", tmp_path / "x").fails_with("--parquet", "one results file")
    hwflow("report", plain, other, "-o", tmp_path / "p.html", "--force").fails_with("--force")
    hwflow("report", plain, tmp_path / "none").fails_with("no such results file")
    (tmp_path / "a.json").write_text('{"command": "harden"}')
    hwflow("report", plain, tmp_path / "a.json", "-o", tmp_path / "p.html").fails_with("holds no accuracies")
    (tmp_path / "b.json").write_text("{")
    hwflow("report", plain, tmp_path / "b.json", "-o", tmp_path / "p.html").fails_with("cannot be read as JSON")
    whole = json.loads((files / "mine.json").read_text())
    for key, value in {"clean": None, "draws": [{}], "design": 3}.items():
        (tmp_path / "a.json").write_text(json.dumps({**whole, key: value}))
        hwflow("report", plain, tmp_path / "a.json", "-o", tmp_path / "p.html").fails_with("a.json: is damaged")
    with pytest.raises(HwflowError, match="at least two"):
        compare_results([plain])
    assert left_in(tmp_path) == {"a.json", "b.json"}


def test_files_of_one_name_are_told_apart(files, tmp_path):
    (tmp_path / "plain.sqlite").write_bytes((files / "plain.sqlite").read_bytes())
    paths = [files / "plain.sqlite", tmp_path / "plain.sqlite", tmp_path / "plain.sqlite"]
    names = [file.name for file in compare_results(paths).files]
    assert names == [str(paths[0]), f"{paths[1]} (1)", f"{paths[2]} (2)"]


def test_an_unfinished_campaign_is_said(tmp_path):
    half = of(PLAIN)
    half = replace(half, cells=half.cells[:2])
    compared = compare_results({"whole": of(PLAIN), "half": half})
    assert any(line.startswith("half: the campaign is not finished") for line in compared.notes)
