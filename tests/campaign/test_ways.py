"""Which way to store the weights: numbers by hand, and what the report makes of them."""

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from hwflow.campaign.export import CellResult, Results
from hwflow.campaign.plan import Cell
from hwflow.campaign.records import Trial
from hwflow.campaign.statistics import summarise
from hwflow.cost.decoders import decoder_cost
from hwflow.report import to_json, write_report
from hwflow.report.figures import report_figures
from hwflow.report.looks import LINES, looks_of
from hwflow.report.tables import cell_row
from hwflow.report.ways import COLUMNS, answers, front, way_rows, ways

LAYERS = {"a": 300, "b": 100}
VECTORS = {"a": 1, "b": 7}
BITS = {"plain": 8.0, "secded": 9.0, "cosq": 8.0, "bch64-45": 8.0, "a=secded,b=plain": 8.75, "tmr": 8.0}


def result(cell: Cell, hits: list[int], stored: float) -> CellResult:
    """A cell whose rounds classify so many of 100 images right."""
    trials = [Trial(0, n, n, 0, 0, 0, each, 100, stored_bits=round(stored * 400)) for n, each in enumerate(hits)]
    return CellResult(cell, tuple(trials), summarise([float(each) for each in hits]), True)


def results_of(hits: dict[str, dict[float, list[int]]], **changes: object) -> Results:
    """A campaign of storage codes on one network, 90 % in float."""
    cells = [
        result(
            replace(
                Cell("net", "ap_fixed<8,3>", "1.0", 1.0, code, ber, "layer", 0.0, 0.0, "shift", "logits", 16), **changes
            ),
            rounds,
            BITS[code],
        )
        for code, each in hits.items()
        for ber, rounds in each.items()
    ]
    head = {
        "hwflow": "0",
        "versions": {},
        "spec": {
            "models": [{"name": "net"}], "data": "images", "executor": "reference", "faults": {"model": "ber"},
            "msb": "assume", "granularity": ["layer"], "seed": 0,
        },
        "stopping": {"rounds": 2, "until_ci": None, "max_rounds": 2, "interval": "wilson"},
        "hashes": {},
        "inputs": {},
        "plan": [each.cell.to_json() for each in cells],
        "layers": [
            {"model": "net", "layer": name, "weights": size, "max_abs": 1.0, "vectors": VECTORS[name]}
            for name, size in LAYERS.items()
        ],
        "float": {"net": {"correct": 180, "images": 200}},
    }  # fmt: skip
    return Results(head, tuple(cells))


HITS = {
    "plain": {0.0: [90], 1e-3: [89, 90], 1e-2: [50, 60]},
    "secded": {0.0: [90], 1e-3: [90, 90], 1e-2: [60, 60]},
    "cosq": {0.0: [89], 1e-3: [91, 91], 1e-2: [90, 90]},
    "bch64-45": {0.0: [90], 1e-3: [88, 90], 1e-2: [90, 90]},
    "a=secded,b=plain": {0.0: [90], 1e-3: [90, 90], 1e-2: [89, 90]},
    "tmr": {0.0: [90], 1e-3: [90, 90], 1e-2: [60, 61]},
}


def test_numbers_by_hand():
    results = results_of(HITS)
    rows = {(row["protection"], row["ber"]): row for row in way_rows(results)}
    row = rows["plain", 1e-3]
    assert (row["accuracy"], row["lost"], row["rounds"], row["images"]) == (89.5, 0.5, 2, 100)
    summary = summarise([89.0, 90.0])
    assert (row["lost_low"], row["lost_high"]) == (90 - summary.high, 90 - summary.low)
    assert (row["std"], row["low"], row["high"]) == (summary.std, summary.low, summary.high)
    secded, cosq, bch = (decoder_cost(name).luts_a_weight for name in ("secded", "cosq", "bch64-45"))
    assert {each.cell.protection: (each.bits, each.luts, each.largest_ber) for each in ways(results)} == {
        "plain": (8.0, 0.0, 1e-3),
        "secded": (9.0, secded, 1e-3),
        "cosq": (8.0, cosq, None),  # one point lost without faults is not less than one
        "bch64-45": (8.0, bch, 0.0),  # a larger rate that it bears does not count
        "a=secded,b=plain": (8.75, 0.3 * secded, 1e-2),
        "tmr": (8.0, None, 1e-3),
    }
    wide = ways(results_of({"plain": HITS["plain"], "secded": HITS["secded"]}, format="ap_fixed<16,3>"))
    assert [each.luts for each in wide] == [0.0, None]


def test_the_front_and_the_choice():
    results = results_of(HITS)
    found = ways(results)
    assert [each.cell.protection for each in front(found, 1e-2)] == ["plain", "cosq", "a=secded,b=plain"]
    assert [each.cell.protection for each in front(found, 0.0)] == ["plain"]
    (answer,) = answers(results)
    assert [row["way"] for row in answer["table"]] == [
        "a=secded,b=plain",
        "plain",
        "tmr",
        "secded",
        "bch64-45",
        "cosq",
    ]
    first, second = answer["choices"]
    assert (first["ber"], first["best"]["way"], first["cheapest"]["way"]) == (1e-3, "cosq", "cosq")
    assert first["best"]["lost"] == -1.0
    assert (second["ber"], second["best"]["way"], second["cheapest"]["way"]) == (1e-2, "cosq", "cosq")
    (none,) = answers(results_of({name: HITS[name] for name in ("plain", "secded")}))
    assert [each["cheapest"] and each["cheapest"]["way"] for each in none["choices"]] == ["secded", None]
    assert answers(results_of({"plain": HITS["plain"]})) == []
    (once,) = answers(results_of({name: {1e-3: [90]} for name in ("plain", "secded")}))
    assert [each["cheapest"] for each in once["choices"]] == [None]  # one round has no interval


def test_no_interval_is_said_where_rounds_are_alike_or_there_is_one(tmp_path):
    results = results_of(HITS)
    page = write_report(results, tmp_path / "report").read_text()
    assert "cosq</strong> loses least:\n-1.00 points (alike in all rounds),\n8.00 bits" in page
    assert not re.search(r"\((-?[\d.]+) to \1\)", page)
    rows = re.findall(r"<td>(\d+\.\d\d)</td>" + r"<td>([^<]+)</td>\s*" + r"<td>([^<]+)</td>" * 3, page)
    found = {(mean, std == "-", low == high == "-", rounds) for mean, std, low, high, rounds in rows}
    assert {("90.00", True, True, "1"), ("91.00", False, True, "2"), ("89.50", False, False, "2")} <= found
    cells = [cell_row(each, results.labels) for each in results.cells]
    assert {row["std"] > 0 for row in cells if row["rounds"] > 1 and row["low"] < row["high"]} == {True}


def test_side_memories_count_and_unfinished_campaigns_are_fine():
    (whole,) = results_of({"plain": {0.0: [90]}}).cells
    trial = replace(whole.trials[0], side_bits=200)
    results = results_of({"plain": {0.0: [90]}, "secded": {1e-2: [90, 90]}})
    results = replace(results, cells=(replace(whole, trials=(trial,)), results.cells[1]))
    plain, secded = ways(results)
    assert (plain.bits, plain.largest_ber, secded.largest_ber) == (8.5, 0.0, 1e-2)
    (answer,) = answers(results)
    assert [[cell is None for cell in row["cells"]] for row in answer["table"]] == [[True, False], [False, True]]


def test_the_report_opens_with_the_answer(tmp_path: Path):
    results = results_of(HITS)
    page = write_report(results, tmp_path / "report").read_text()
    assert page.index("Which one: net") < page.index("<h2>Figures") < page.index("<h2>Accuracies")
    assert "<strong>cosq</strong> loses least" in page
    assert page.count('<td class="front">') == 1 + 3 + 3
    with (tmp_path / "report" / "summary.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    data = json.loads((tmp_path / "report" / "report.json").read_text())
    assert data["ways"] == way_rows(results)
    assert tuple(rows[0]) == COLUMNS == tuple(data["ways"][0])
    assert len(rows) == 6 * 3
    assert [float(row["lost"]) for row in rows] == [row["lost"] for row in data["ways"]]
    assert [row["luts"] == "" for row in rows] == [row["protection"] == "tmr" for row in rows]
    drawn = {path.stem for path in (tmp_path / "report" / "figures").glob("*.svg")}
    assert drawn == {"ber-net-ap-fixed-8-3", "cost-0.001-net", "cost-0.01-net"}
    assert to_json(results)["float"] == {"net": {"correct": 180, "images": 200}}


def test_graphs_of_other_nodes_are_computed_alike():
    results = results_of({"plain": HITS["plain"]})
    alike, others = (
        replace(results, engines={f"int16 kernels, {first} of 9 nodes": 1, f"{kind} kernels, 9 of 9 nodes": 1})
        for first, kind in ((8, "int16"), (9, "int32"))
    )
    assert to_json(alike)["warnings"] == []
    assert len(to_json(others)["warnings"]) == 1


def test_no_way_is_a_formula(tmp_path: Path):
    results = results_of({"plain": HITS["plain"]}, design="=1+1")
    head = {**results.head, "layers": [{**each, "model": "=1+1"} for each in results.head["layers"]]}
    write_report(replace(results, head=head), tmp_path / "report")
    rows = list(csv.DictReader((tmp_path / "report" / "summary.csv").read_text().splitlines()))
    assert {(row["way"], row["design"]) for row in rows} == {("design =1+1", "'=1+1")}


@pytest.mark.parametrize("codes", [1, 12])
def test_many_ways_look_different(codes):
    named = {
        f"{code} {per} {bits}": Cell("net", "fp16", "1", 1.0, f"code{code}", 0.0, granularity=per, activation_bits=bits)
        for code in range(codes)
        for per in ("layer", "channel")
        for bits in (8, 16)
    }
    if codes > 1:
        named["design mine"] = replace(named["0 layer 8"], design="mine")
    looks = looks_of(named)
    assert len(set(looks.values())) == len(looks) == 4 * codes + (codes > 1)
    assert (looks["0 layer 8"].colour == looks["0 channel 16"].colour) == (codes > 1)
    if codes > 1:
        assert [looks[name].line for name in list(named)[:4]] == list(LINES)


def test_many_curves_are_drawn_beside_each_other_with_a_legend_below():
    few = results_of({name: HITS[name] for name in ("plain", "secded")})
    many = results_of({name: HITS[name] for name in HITS})
    cells = [
        replace(each, cell=replace(each.cell, granularity=per)) for each in many.cells for per in ("layer", "channel")
    ]
    head = {**many.head, "plan": [each.cell.to_json() for each in cells]}
    figures = {each.name: each for each in report_figures(replace(many, head=head, cells=tuple(cells)))}
    assert "stretched" in figures["ber-net-ap-fixed-8-3"].caption
    small = {each.name: each for each in report_figures(few)}["ber-net-ap-fixed-8-3"]
    assert "stretched" not in small.caption
    heights = [float(each.svg.split('height="')[1].split("pt")[0]) for each in (figures[small.name], small)]
    assert heights[0] > heights[1] + 40
