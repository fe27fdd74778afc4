"""Campaigns: trials that can be replayed, stores that survive, rules that stop."""

import csv
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
from distributed.client import FutureCancelledError

from hwflow.campaign import Store, cluster, run_campaign, status
from hwflow.campaign.designs import check_networks
from hwflow.campaign.export import COLUMNS, protection_pairs, read_results, rows, write_csv, write_parquet
from hwflow.campaign.plan import Cell, Labels, cells, seed_of
from hwflow.campaign.records import Trial
from hwflow.campaign.run import plan_of
from hwflow.campaign.spec import CampaignSpec, FaultSpec
from hwflow.campaign.spec_file import parse_spec
from hwflow.campaign.statistics import Stopping
from hwflow.campaign.trials import ReferenceNetwork, Runner, prepare
from hwflow.data import load_digits
from hwflow.errors import HwflowError
from hwflow.faults import sample_ber
from hwflow.faults.models import restrict
from hwflow.graph import ReLU
from hwflow.hardening import HardenOptions, ScalingOptions, harden
from hwflow.memory import memories
from hwflow.reference import IntegerExecutor
from hwflow.report import to_json
from hwflow.stages.harden import harden as harden_model
from hwflow.stages.input_range import input_range
from hwflow.stages.protect import critical_weights, keep_critical, protect
from hwflow.stages.sensitivity import sensitivity
from tests.campaign.conftest import SPEC, csv_of, toml
from tests.cli.conftest import hwflow


def command(folder, results, **changes):
    """The command of a campaign, for a process of its own."""
    path = folder / "spec.toml"
    path.write_text(toml({**SPEC, **changes}))
    return [sys.executable, "-m", "hwflow", "campaign", str(path), "-o", str(results)]


def wait_for(results, trials, process):
    """Wait until a running campaign has stored some trials."""
    for _ in range(1200):
        if results.exists():
            try:
                if status(results).trials >= trials:
                    return
            except HwflowError:
                pass  # its head is not written yet
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    raise AssertionError("the campaign stores nothing")


def test_every_condition_is_there(finished):
    results = read_results(finished)
    head = results.head
    assert status(finished).missing == 0
    assert [each.cell.to_json() for each in results.cells] == head["plan"]
    assert len(results.cells) == 2 * 2 * 3
    assert all(len(each.trials) == (4 if each.cell.ber else 1) for each in results.cells)
    assert set(head["hashes"]["digits_cnn"]) == {"model", "data"}
    scaled, unscaled = (results.find(format="ap_fixed<8,3>", t=t, ber=1e-2)[0] for t in ("optimal", "none"))
    assert scaled.summary.mean > unscaled.summary.mean + 20


def test_any_trial_can_be_replayed_alone(finished, spec):
    runner = Runner(prepare(spec))
    with Store(finished) as store:
        plan, stored = plan_of(store.meta()), store.trials()
    for index in (11, 4, 0):
        trial = stored[index][-1]
        assert runner.run(index, plan[index], trial.round) == trial


def test_protections_meet_the_same_faults(finished):
    results = read_results(finished)
    first, second = (results.find(format="fp16", t=t, ber=1e-3)[0].trials for t in ("none", "optimal"))
    assert [(trial.seed, trial.flips) for trial in first] == [(trial.seed, trial.flips) for trial in second]
    assert len({trial.seed for each in results.cells for trial in each.trials if each.cell.ber}) == 2 * 4
    assert {(each.first.t, each.second.t) for each in protection_pairs(results)} == {("none", "optimal")}


def test_seeds_depend_on_their_own_coordinates_only(spec):
    cell = cells(spec, {"digits_cnn": []})[1]
    more = replace(spec, rounds=50, formats=("fp32",), ber=(0.5, 1e-3), images=3)
    assert seed_of(spec, cell, 2) == seed_of(more, cell, 2)
    assert seed_of(spec, cell, 2) != seed_of(spec, cell, 3)
    assert seed_of(spec, cell, 2) != seed_of(replace(spec, seed=4), cell, 2)
    assert seed_of(spec, cell, 2) != seed_of(spec, replace(cell, ber=2e-3), 2)


def test_killed_at_any_moment_and_resumed(tmp_path, finished):
    results = tmp_path / "killed.sqlite"
    process = subprocess.Popen(command(tmp_path, results, rounds=400), stderr=subprocess.PIPE, text=True)
    wait_for(results, 5, process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    kept = status(results).trials
    assert kept >= 5
    before = read_results(results)
    assert not before.cells[-1].complete
    # Rounds may be fewer than before: the same trials, cut.
    reached = run_campaign(parse_spec(SPEC), results)
    assert reached.missing == 0
    assert reached.trials >= kept
    assert csv_of(results) == csv_of(shutil.copy(finished, tmp_path / "once.sqlite"))


@pytest.mark.slow  # test_store.py has what it rests on in a process of its own
def test_two_processes_share_one_file(tmp_path, finished):
    results = tmp_path / "shared.sqlite"
    line = command(tmp_path, results)
    both = [subprocess.Popen(line, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for process in both:
        assert process.wait(120) == 0, process.stderr.read()
        process.stderr.close()
    assert csv_of(results) == csv_of(shutil.copy(finished, tmp_path / "once.sqlite"))
    with sqlite3.connect(results) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_killed_dask_worker_loses_nothing(tmp_path, finished):
    from distributed import LocalCluster

    results = tmp_path / "dask.sqlite"
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs="CRITICAL") as cluster:
        victims = [cluster.workers[0].process.pid]

        def advance(done, _total, _name):
            if done >= 3 and victims:
                os.kill(victims.pop(), signal.SIGKILL)

        reached = run_campaign(parse_spec(SPEC), results, dask=cluster.scheduler_address, advance=advance)
    assert not victims
    assert reached.missing == 0
    assert csv_of(results) == csv_of(shutil.copy(finished, tmp_path / "once.sqlite"))


def test_a_result_that_died_with_its_worker_is_computed_again():
    class Future:
        status = "finished"

        def result(self):
            raise FutureCancelledError("key", "already forgotten")

    assert cluster._outcome(Future()) is None


def test_a_worker_with_two_threads_runs_one_trial_at_a_time(monkeypatch):
    class Alone:
        running = 0

        def run(self, number):
            self.running += 1
            time.sleep(0.02)
            assert self.running == 1
            self.running -= 1
            return number

    monkeypatch.setitem(cluster._runners, "key", Alone())
    with ThreadPoolExecutor(2) as pool:
        done = pool.map(lambda number: cluster._run(None, "key", [(number,)]), range(4))
        assert [trials for trials, _ in done] == [[0], [1], [2], [3]]


def test_rounds_are_added_until_the_interval_is_narrow(tmp_path):
    spec = parse_spec({**SPEC, "formats": ["ap_fixed<8,3>"], "rounds": 3, "until_ci": 4.0, "max_rounds": 12})
    run_campaign(spec, tmp_path / "r.sqlite")
    results = read_results(tmp_path / "r.sqlite")
    counts = {results.labels(each.cell) + str(each.cell.ber): len(each.trials) for each in results.cells}
    assert len(set(counts.values())) > 2
    for each in results.cells:
        if each.cell.ber:
            assert each.summary.half_width <= 4.0 or len(each.trials) == 12


def test_rounds_that_ran_ahead_change_nothing():
    rule = Stopping(3, until_ci=1.0, max_rounds=10)
    assert rule.enough([90.0, 91.0]) is None
    assert rule.enough([90.0, 90.1, 90.0]) == 3
    assert rule.enough([90.0, 90.1, 90.0, 10.0, 99.0]) == 3
    assert rule.enough([10.0, 90.0, 10.0, 90.0]) is None
    assert rule.enough([10.0, 90.0] * 6) == 10


def test_faults_in_one_layer_or_bit(tmp_path):
    spec = parse_spec(
        {
            **SPEC,
            "formats": ["ap_fixed<8,3>"],
            "t": "optimal",
            "ber": 1e-2,
            "rounds": 2,
            "where": ["all", "layers", "bits"],
        }
    )
    run_campaign(spec, tmp_path / "r.sqlite")
    results = read_results(tmp_path / "r.sqlite")
    (whole,) = results.find(ber=1e-2, layer=None, bit=None)
    by_layer = [each for each in results.cells if each.cell.layer]
    by_bit = [each for each in results.cells if each.cell.bit is not None]
    assert len(by_layer) == 7
    assert [each.cell.bit for each in by_bit] == list(range(8))
    for group in (by_layer, by_bit):
        assert sum(each.trials[0].flips for each in group) == whole.trials[0].flips
    assert by_bit[7].summary.mean < by_bit[0].summary.mean


def test_scales_a_channel_narrow_activations_and_words_counted(tmp_path):
    base = {**SPEC, "formats": "ap_fixed<8,3>", "t": "optimal", "ber": 1e-2, "rounds": 1, "executor": "reference"}
    spec = parse_spec(
        {**base, "protections": ["plain", "bch64-45"], "granularity": "channel", "activation_bits": 9, "images": 20}
    )
    run_campaign(spec, tmp_path / "r.sqlite")
    trials = {
        each.cell.protection: each.trials[0] for each in read_results(tmp_path / "r.sqlite").cells if each.cell.ber
    }
    network = Runner(prepare(spec))._reference(cells(spec, {"digits_cnn": []})[-1])
    assert any(np.ndim(layer.c) for layer in network.graph.weight_layers)
    assert {node.type.width for node in network.graph if isinstance(node, ReLU)} == {9}
    assert trials["plain"].silent > 0 == trials["plain"].corrected
    assert trials["bch64-45"].corrected > 10 * trials["bch64-45"].silent


AXES = {
    "formats": ["ap_fixed<8,3>", "ap_fixed<8,2>"],
    "t": ["none", 1.0],
    "protections": ["plain", "secded"],
    "granularity": ["layer", "channel"],
    "outliers": [0.0, 0.01],
    "protect_top": [0.0, 0.001],
    "align": ["shift", "multiply"],
    "compensation": ["logits", "layer", "none"],
    "activation_bits": [8, 16],
    "executor": "reference",
}


def test_every_combination_is_a_cell_and_meets_the_same_faults():
    spec = parse_spec({**AXES, "ber": 1e-2})
    plan = cells(spec, {"digits_cnn": ["conv"]})
    assert len(plan) == len(set(plan)) == 2 * (2 * 2 * 2 * 2 * 2) * (1 + 2 * 2 * 3)
    for cell in plan:
        assert (cell.granularity is None) == (cell.align is None) == (cell.compensation is None) == (cell.t == "none")
    assert len({seed_of(spec, cell, 0) for cell in plan if cell.ber}) == 1
    labels = Labels(plan)
    assert len({(cell.format, labels(cell)) for cell in plan}) == len(plan) / 2
    assert labels(plan[-1]) == (
        "t = 1, secded, channel scales, outliers 0.01, 0.1 % kept, align multiply, compensation none, "
        "16-bit activations"
    )


def test_what_does_not_differ_is_not_named():
    plan = cells(parse_spec({**SPEC, "formats": "ap_fixed<8,3>", "t": 1.0}), {"digits_cnn": []})
    assert {Labels(plan)(cell) for cell in plan} == {"t = 1"}
    codes = {"protections": ["plain", "cosq"], "executor": "reference", "formats": "ap_fixed<8,3>"}
    plan = cells(parse_spec({**codes, "t": 1.0}), {"digits_cnn": []})
    mine = replace(plan[0], design="mine", granularity="channel")
    assert [Labels((*plan, mine))(cell) for cell in (*plan[::3], mine)] == ["plain", "cosq", "design mine"]
    plan = cells(parse_spec({**codes, "granularity": ["layer", "channel"]}), {"digits_cnn": []})
    assert list(dict.fromkeys(map(Labels(plan), plan))) == [
        "unscaled, plain",
        "unscaled, cosq",
        "t = 3.94, plain, layer scales",
        "t = 3.94, plain, channel scales",
        "t = 3.94, cosq, layer scales",
        "t = 3.94, cosq, channel scales",
    ]


def test_kept_weights_are_a_way_to_store_them(tmp_path):
    """The most critical by runs on the calibration images; their side memories are counted; a design has its own."""
    keys = {**SPEC, "formats": "ap_fixed<8,3>", "t": "optimal", "ber": 2e-2, "rounds": 2, "images": 20}
    keys |= {"executor": "reference", "protections": ["plain", "secded"], "protect_top": [0, 0.02]}
    plain = harden_model("digits_cnn", tmp_path / "plain", HardenOptions())
    found = sensitivity(plain, "digits", images=8, confirmed=1, sampled=1)
    protect(plain, found, 0.05, tmp_path / "mine")
    keys["models"] = ["digits_cnn", {"design": str(tmp_path / "mine")}]
    run_campaign(parse_spec(keys), tmp_path / "r.sqlite")
    results = read_results(tmp_path / "r.sqlite")
    faulted = [each for each in results.cells if each.cell.ber]
    assert [each.cell.protect_top for each in faulted] == [0.0, 0.02, 0.0, 0.02, 0.05]
    side = [each.trials[0].side_bits for each in faulted]
    assert side[0] == side[2] == 0
    network, data = prepare(parse_spec(keys)).networks["digits_cnn"], load_digits().head(20)
    graph = harden(network.graph, network.calibration, HardenOptions(ScalingOptions(saturate=True))).graph
    kept = keep_critical(graph, critical_weights(graph, network.calibration), 0.02)
    assert side[1] == sum(layer.side_bits for layer in kept.weight_layers) > 0
    subject = ReferenceNetwork(kept)
    for trial in faulted[1].trials:
        faults = sample_ber(subject.memories, 2e-2, trial.seed, subject.digest)
        assert subject.evaluate(data.images, data.labels, faults).correct == trial.correct
    labels = Labels([each.cell for each in results.cells])
    assert [labels(each.cell) for each in faulted[:2]] == ["plain, 0 % kept", "plain, 2 % kept"]
    column = COLUMNS.index("protect_top")
    assert {row[column] for row in rows(results)} == {0.0, 0.02, 0.05}
    written = to_json(results)["cells"]
    assert [row["protect_top"] for row in written if row["ber"]] == [0.0, 0.02, 0.0, 0.02, 0.05]
    with pytest.raises(HwflowError, match=r"its 'protect_top' is \[0.0, 0.02\], not \[0.0, 0.03\]"):
        run_campaign(parse_spec({**keys, "protect_top": [0, 0.03]}), tmp_path / "r.sqlite")


def test_a_design_is_one_way_beside_others(tmp_path):
    scaling = ScalingOptions(granularity="channel", outliers=0.01)
    design = harden_model("digits_cnn", tmp_path / "mine", HardenOptions(scaling, 12, storage="secded"))
    spec = parse_spec(
        {
            **SPEC,
            "models": ["digits_cnn", {"design": str(tmp_path / "mine")}],
            "formats": "ap_fixed<8,3>",
            "t": "optimal",
            "outliers": [0.0, 0.01],
            "ber": 1e-2,
            "rounds": 2,
            "images": 20,
            "executor": "reference",
        }
    )
    run_campaign(spec, tmp_path / "r.sqlite")
    results = read_results(tmp_path / "r.sqlite")
    assert [each.cell.design for each in results.cells] == [None] * 4 + ["mine"] * 2
    clean, faulted = results.cells[4:]
    assert clean.cell == Cell(
        "digits_cnn", "ap_fixed<8,3>", str(scaling.target), scaling.target, "secded", 0.0,
        "channel", 0.01, 0.0, "shift", "logits", 12, "mine",
    )  # fmt: skip
    subject, data = ReferenceNetwork(design.graph), load_digits().head(20)
    for trial in faulted.trials:
        faults = sample_ber(subject.memories, 1e-2, trial.seed, subject.digest)
        assert subject.evaluate(data.images, data.labels, faults).correct == trial.correct
    assert [trial.seed for trial in faulted.trials] == [trial.seed for trial in results.cells[1].trials]
    side = [each.trials[0].side_bits for each in results.cells]
    assert side[:2] == [0, 0]
    assert side[2] == side[3] > 0
    assert side[5] == sum(layer.side_bits for layer in design.graph.weight_layers) > 0
    weights = sum(layer.weight.size for layer in design.graph.weight_layers)
    assert results.cells[0].trials[0].stored_bits == 8 * weights
    assert clean.trials[0].stored_bits == sum(memory.total_bits for memory in memories(design.graph)) > 9 * weights
    hits = np.argmax(design.keras_model()(data.images).numpy(), axis=-1) == data.labels
    assert results.head["float"] == {"digits_cnn": {"correct": np.count_nonzero(hits), "images": 20}}
    assert {(each.first.design, each.second.design) for each in protection_pairs(results)} == {
        (None, None),
        (None, "mine"),
    }
    with pytest.raises(HwflowError, match=r"faults.bits: 72 is beyond the bits of the design mine, 0 to 71"):
        prepare(CampaignSpec(spec.models[1:], images=20, executor="reference", faults=FaultSpec(bits=(72,))))


def test_a_design_of_other_weights_is_not_compared():
    cell = Cell("net", "ap_fixed<8,3>", "1", 1.0, "plain", 0.0, design="mine")
    layers = {"net": {"conv": (9, 0.5)}, "mine": {"conv": (9, 0.5)}}
    check_networks(layers, {"mine": cell})
    check_networks({**layers, "net": {}}, {"mine": replace(cell, model="other")})
    with pytest.raises(HwflowError, match=r"the design mine has other weights than net, .* give it another 'model'"):
        check_networks({**layers, "net": {"conv": (9, 0.6)}}, {"mine": cell})
    with pytest.raises(HwflowError, match="the design mine has other weights than yours"):
        check_networks({**layers, "yours": {}}, {"yours": replace(cell, model="x"), "mine": replace(cell, model="x")})


def test_the_exact_reference_executor(tmp_path):
    spec = parse_spec({**SPEC, "formats": "ap_fixed<8,3>", "ber": 1e-2, "rounds": 2, "executor": "reference"})
    run_campaign(spec, tmp_path / "r.sqlite")
    results = read_results(tmp_path / "r.sqlite")
    means = {(each.cell.t, each.cell.ber): each.summary.mean for each in results.cells}
    assert means["none", 0.0] > 95
    assert means["optimal", 0.0] > 95
    assert means["optimal", 1e-2] > means["none", 1e-2] + 20


def test_images_outside_the_calibrated_range_are_counted(tmp_path):
    digits = load_digits().head(30)
    spec = parse_spec({**SPEC, "formats": "ap_fixed<8,3>", "ber": 1e-2, "rounds": 1, "executor": "reference"})
    for name, factor in (("usual", 1), ("bytes", 255)):
        np.savez(tmp_path / f"{name}.npz", x=factor * digits.images, y=digits.labels)
        run = replace(spec, data=str(tmp_path / f"{name}.npz"), images=None)
        reached = run_campaign(run, tmp_path / f"{name}.sqlite")
        results = read_results(tmp_path / f"{name}.sqlite")
        inputs = reached.inputs["digits_cnn"]
        bundle = prepare(run).networks["digits_cnn"]
        typed = harden(bundle.graph, bundle.calibration).graph
        assert inputs == input_range(typed, factor * digits.images, inputs.calibrated)
        assert results.head["inputs"] == {"digits_cnn": json.loads(json.dumps(inputs.to_json()))}
        assert status(tmp_path / f"{name}.sqlite").inputs == reached.inputs
        warned = [line for line in to_json(results)["warnings"] if "of the input values saturate" in line]
        assert len(warned) == (name == "bytes")
        text = hwflow("report", tmp_path / f"{name}.sqlite", "-o", tmp_path / name).succeeds()
        assert ("digits_cnn: " in text) == ("input values saturate" in text) == (name == "bytes")
        assert ("input values saturate" in (tmp_path / name / "report.html").read_text()) == (name == "bytes")


def test_activations_kept_from_trial_to_trial_change_nothing(tmp_path, monkeypatch):
    spec = parse_spec(
        {
            **SPEC,
            "formats": "ap_fixed<8,3>",
            "t": "optimal",
            "ber": [3e-4, 1e-2],
            "rounds": 2,
            "where": ["all", "layers"],
            "executor": "reference",
        }
    )
    run_campaign(spec, tmp_path / "kept.sqlite")
    with Store(tmp_path / "kept.sqlite") as store:
        plan, stored = plan_of(store.meta()), store.trials()
    assert len(plan) == 1 + 2 * (1 + 7)
    monkeypatch.setattr("hwflow.executors.MAX_BATCH", 16)
    for kept in (0, 20_000):
        monkeypatch.setattr("hwflow.campaign.trials.KEPT_BYTES", kept)
        runner = Runner(prepare(spec), threads=1)
        for index in reversed(range(len(plan))):
            for trial in stored[index]:
                again = runner.run(index, plan[index], trial.round)
                assert "1 thread," in again.engine
                assert replace(again, engine=trial.engine) == trial
    network = runner.bundle.networks["digits_cnn"]
    subject = ReferenceNetwork(harden(network.graph, network.calibration).graph)
    faults = sample_ber(subject.memories, 3e-2, 1)
    late = restrict(faults, ["block2_*", "logits"])
    plain = IntegerExecutor(subject.graph)
    codes = plain.encode(network.images)
    for upsets in (late, faults, None, late):
        expected = np.count_nonzero(plain.run(codes, upsets).argmax(-1) == network.labels)
        assert subject.evaluate(network.images, network.labels, upsets).correct == expected


@pytest.mark.parametrize(
    "faults",
    [
        {"model": "asymmetric", "up": 1.0, "down": 0.0},
        {"model": "stuck-at", "ones": 1.0},
        {"model": "clustered", "interleave": 2, "layers": ["block*"]},
    ],
    ids=lambda faults: faults["model"],
)
def test_fault_models(tmp_path, faults):
    spec = parse_spec({**SPEC, "formats": "ap_fixed<8,3>", "t": "optimal", "ber": 1e-2, "rounds": 1, "faults": faults})
    run_campaign(spec, tmp_path / "r.sqlite")
    clean, faulted = read_results(tmp_path / "r.sqlite").cells
    assert 100 < faulted.trials[0].flips < 1000
    assert faulted.summary.mean <= clean.summary.mean


def test_the_side_memory_is_reported(tmp_path):
    spec = parse_spec({**SPEC, "formats": "fp16", "t": [8.0], "ber": 1e-3, "rounds": 1, "msb": "sparse"})
    run_campaign(spec, tmp_path / "r.sqlite")
    clean, faulted = read_results(tmp_path / "r.sqlite").cells
    side_bits = faulted.trials[0].side_bits
    assert side_bits > 0
    assert side_bits % (32 + 16) == 0
    assert clean.summary.mean > 95  # lossless


def test_physics_gives_bit_error_rates():
    spec = parse_spec({"physics": {"cross_section": 1e-14, "flux": 1e5, "scrub_interval": [10, 1000]}})
    assert spec.ber == (pytest.approx(1e-8, rel=1e-4), pytest.approx(1e-6, rel=1e-4))


def test_parquet_and_csv_hold_the_same(finished, tmp_path):
    results = read_results(finished)
    write_parquet(results, tmp_path / "r.parquet")
    table = pyarrow.parquet.read_table(tmp_path / "r.parquet")
    assert tuple(table.column_names) == COLUMNS
    assert [tuple(row.values()) for row in table.to_pylist()] == list(rows(results))


def test_no_cell_of_the_csv_is_a_formula(finished, tmp_path):
    results = read_results(finished)
    first = results.cells[0]
    names = ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "'x", "plain-1"]
    hostile = [replace(first, cell=replace(first.cell, model=name, layer=name)) for name in names]
    write_csv(replace(results, cells=tuple(hostile)), tmp_path / "r.csv")
    with (tmp_path / "r.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert [row["model"] for row in found] == [row["layer"] for row in found]
    assert [row["model"] for row in found] == [*(f"'{name}" for name in names[:5]), "' x", *names[6:]]
    assert [row["correct"] for row in found] == [str(first.trials[0].correct)] * len(names)
    write_parquet(replace(results, cells=tuple(hostile)), tmp_path / "r.parquet")
    assert pyarrow.parquet.read_table(tmp_path / "r.parquet")["model"].to_pylist() == names


class TestRefusal:
    def test_another_specification(self, finished, spec, tmp_path):
        copy = shutil.copy(finished, tmp_path / "r.sqlite")
        with pytest.raises(HwflowError, match=r"another campaign, its 'ber'.*remove"):
            run_campaign(replace(spec, ber=(1e-4,)), copy)
        assert run_campaign(replace(spec, rounds=2), copy).missing == 0

    def test_another_model_or_data(self, finished, spec, tmp_path):
        for what in ("model", "data"):
            copy = shutil.copy(finished, tmp_path / f"{what}.sqlite")
            with Store(copy) as store:
                hashes = store.meta()["hashes"]
                hashes["digits_cnn"][what] = "0" * 64
                store.put("hashes", hashes)
            with pytest.raises(HwflowError, match=f"another {what}"):
                run_campaign(spec, copy)

    def fill(self, store):
        for round_ in range(10_000):
            store.add(Trial(0, round_, 1, 0, 0, 0, 1, 1))

    def test_a_full_disk_loses_nothing(self, tmp_path):
        with Store.create(tmp_path / "r.sqlite", {}) as store:
            store._connection.execute("PRAGMA max_page_count = 8")
            with pytest.raises(HwflowError, match="full; what is stored is intact"):
                self.fill(store)
            assert len(store.trials()[0]) > 10

    def test_files_that_are_no_results(self, tmp_path):
        with pytest.raises(HwflowError, match="no such results file"):
            Store(tmp_path / "missing")
        with pytest.raises(HwflowError, match="does not exist"):
            Store.create(tmp_path / "no" / "folder", {})
        with pytest.raises(HwflowError, match="is not a file"):
            Store.create(tmp_path, {})

    def test_a_read_only_file(self, finished):
        code = """
            import os, sys
            from hwflow.campaign.store import Store, Trial
            if os.geteuid() == 0:  # who writes read-only files
                os.setuid(65534)
            with Store(sys.argv[1]) as store:
                assert store.trials()
                store.add(Trial(0, 99, 1, 0, 0, 0, 1, 1))
        """
        with tempfile.TemporaryDirectory(dir="/tmp") as folder:
            os.chmod(folder, 0o755)
            copy = shutil.copy(finished, Path(folder) / "r.sqlite")
            os.chmod(copy, 0o444)
            before = copy.read_bytes()
            command = [sys.executable, "-c", textwrap.dedent(code), str(copy)]
            done = subprocess.run(command, capture_output=True, text=True)
            assert copy.read_bytes() == before
        assert "HwflowError: " in done.stderr.splitlines()[-1]
        assert re.search("readonly|unable to open", done.stderr.splitlines()[-1])


def test_the_head_is_json(finished):
    with Store(finished) as store:
        head = store.meta()
    assert json.loads(json.dumps(head)) == head
    assert head["spec"]["seed"] == 3
    assert head["layers"][0]["layer"] == "conv1"
