"""The results file: damage is named, never counted; other programs' files are not touched; work is shared."""

import hashlib
import json
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from dataclasses import astuple

import pytest

from hwflow.campaign import Store, claims, run_campaign, status
from hwflow.campaign.claims import Claims, Process
from hwflow.campaign.export import read_results
from hwflow.campaign.records import READ, Trial
from hwflow.campaign.spec_file import parse_spec
from hwflow.campaign.store import KEYS
from hwflow.errors import HwflowError
from hwflow.report import to_json
from hwflow.report.page import render
from tests.campaign.conftest import SPEC, csv_of, toml
from tests.cli.conftest import hwflow

FEW = {**SPEC, "formats": ["ap_fixed<8,3>"], "ber": [1e-3], "rounds": 3, "images": 20}


def change(path, statement, *values):
    """Edit a results file behind hwflow's back."""
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(statement, values)
    connection.close()


def seal(row):
    """The checksum of a row, written out."""
    return hashlib.blake2b(repr(tuple(row)).encode(), digest_size=8).hexdigest()


@pytest.fixture
def copy(finished, tmp_path):
    return shutil.copy(finished, tmp_path / "copy.sqlite")


class TestDamage:
    EDITS = (
        "UPDATE trials SET correct = 51 WHERE cell = 2 AND round = 1",
        "UPDATE trials SET correct = correct - 1 WHERE cell = 2 AND round = 1",
        "UPDATE trials SET images = 49 WHERE cell = 2 AND round = 1",
        "UPDATE trials SET seed = '1' WHERE cell = 2 AND round = 1",
        "UPDATE trials SET seed = 'x' WHERE cell = 2 AND round = 1",
        "UPDATE trials SET correct = NULL WHERE cell = 2 AND round = 1",
        "UPDATE trials SET correct = 40.5 WHERE cell = 2 AND round = 1",
        "UPDATE trials SET correct = 'many' WHERE cell = 2 AND round = 1",
        "UPDATE trials SET engine = x'ff' WHERE cell = 2 AND round = 1",
        "UPDATE trials SET checksum = NULL WHERE cell = 2 AND round = 1",
    )

    @pytest.mark.parametrize("edit", EDITS)
    def test_an_edited_trial_is_named_left_out_and_computed_again(self, copy, finished, tmp_path, spec, edit):
        change(copy, edit)
        results = read_results(copy)
        (damage,) = results.damaged
        assert (damage.cell, damage.round) == (2, 1)
        assert not results.cells[2].complete
        assert [trial.round for trial in results.cells[2].trials] == [0]
        assert not to_json(results)["complete"]
        said = hwflow("report", copy, "--csv", tmp_path / "r.csv").succeeds()
        where = "unscaled, BER 0.01, round 1, is damaged"
        assert f"the trial of digits_cnn, ap_fixed<8,3>, {where}" in said
        assert f"ap_fixed&lt;8,3&gt;, {where}" in render(to_json(results), [])
        reached = run_campaign(spec, copy)
        assert [each.cell for each in reached.damaged] == [2]
        assert read_results(copy).damaged == ()
        assert csv_of(copy) == csv_of(shutil.copy(finished, tmp_path / "once.sqlite"))

    def test_a_damaged_place_is_found_too(self, copy, finished, tmp_path, spec):
        change(copy, "UPDATE trials SET round = 77 WHERE cell = 2 AND round = 1")
        assert [(each.cell, each.round) for each in read_results(copy).damaged] == [(2, 77)]
        run_campaign(spec, copy)
        assert csv_of(copy) == csv_of(shutil.copy(finished, tmp_path / "once.sqlite"))

    @pytest.mark.parametrize(
        ("values", "reason"),
        [({"correct": 51}, "correct = 51 is more than its 50 images"), ({"flips": -1}, "negative")],
    )
    def test_values_that_cannot_be_are_refused_even_with_a_checksum(self, copy, values, reason):
        with Store(copy) as store:
            trial = store.trials()[2][1]
        row = [trial.cell, trial.round, str(trial.seed), *astuple(trial)[3:]]
        names = ("flips", "bad_weights", "bad_images", "correct", "images", "side_bits", "engine")
        for name, value in values.items():
            row[3 + names.index(name)] = value
        change(copy, "DELETE FROM trials WHERE cell = 2 AND round = 1")
        change(copy, "INSERT INTO trials VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", *row, seal(row))
        (damage,) = read_results(copy).damaged
        assert reason in damage.reason

    @pytest.mark.parametrize("key", sorted({*KEYS} - {"hwflow", "versions"}))
    def test_a_damaged_head_is_refused(self, copy, spec, key):
        for edit in ("UPDATE meta SET value = value || ' ' WHERE key = ?", "DELETE FROM meta WHERE key = ?"):
            change(copy, edit, key)
            for call in (lambda: read_results(copy), lambda: status(copy), lambda: run_campaign(spec, copy)):
                with pytest.raises(HwflowError, match=f"copy.sqlite: is damaged: '{key}' of its head"):
                    call()

    def test_another_version_is_refused(self, copy):
        with Store(copy) as store:
            store.put("version", 5)
        with pytest.raises(HwflowError, match="version 5 of the results format, not 4"):
            read_results(copy)


def outcome(path, expected):
    """What a results file says, held against what it should: ``same``, ``named`` or ``refused``; else it fails."""
    try:
        results = read_results(path)
        data = to_json(results)
        status(path)
    except HwflowError as error:
        return "refused" if path.name in str(error) and "\n" not in str(error) else f"unclear: {error}"
    assert results.head == expected.head
    sound = {each.cell: each for each in expected.cells}
    for each in results.cells:
        whole = sound[each.cell]
        assert each.trials == whole.trials[: len(each.trials)]
        assert each.summary == whole.summary if each.complete else True
        assert each.complete == (len(each.trials) == len(whole.trials))
    if results == expected:
        return "same"
    assert not data["complete"] or results.damaged
    return "named"


def flip(content, rng):
    """One bit, or one byte, at a random place."""
    place = rng.randrange(len(content))
    mask = 1 << rng.randrange(8) if rng.random() < 0.5 else rng.randrange(1, 256)
    return content[:place] + bytes([content[place] ^ mask]) + content[place + 1 :]


@pytest.mark.parametrize("count", [200, pytest.param(2000, marks=pytest.mark.slow)])
def test_any_flipped_bit_or_byte_is_seen_or_changes_nothing(finished, tmp_path, count):
    rng, content, expected = random.Random(count), finished.read_bytes(), read_results(finished)
    path = tmp_path / "flipped.sqlite"
    counts = Counter()
    for _ in range(count):
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        path.write_bytes(flip(content, rng))
        counts[outcome(path, expected)] += 1
    # Unused space of the pages, claims and the like; the head; the trials.
    assert counts.keys() == {"same", "named", "refused"}
    assert min(counts.values()) > count / 100, counts


@pytest.mark.parametrize("count", [12, pytest.param(200, marks=pytest.mark.slow)])
def test_a_flipped_file_is_completed_or_refused(tmp_path, count):
    spec, original = parse_spec(FEW), tmp_path / "original.sqlite"
    run_campaign(spec, original)
    content, table = original.read_bytes(), csv_of(original)
    pages = [start for start in range(0, len(content), 4096) if b"TensorFlow" in content[start : start + 4096]]
    rng, done = random.Random(count), Counter()
    for number in range(count):
        path = tmp_path / f"{number}.sqlite"
        page = rng.choice(pages)
        path.write_bytes(content[:page] + flip(content[page : page + 4096], rng) + content[page + 4096 :])
        try:
            run_campaign(spec, path)
        except HwflowError as error:
            done["refused" if path.name in str(error) else str(error)] += 1
            continue
        assert csv_of(path) == table
        done["completed"] += 1
    assert done.keys() <= {"completed", "refused"}
    assert done["completed"] > count / 2


@pytest.mark.parametrize("text", [b"trials", b"meta", b"WITHOUT ROWID", b"INTEGER", b"cell", b"workers"])
@pytest.mark.parametrize("byte", [0x20, 0x0A, 0xBC, 0x00])
def test_a_damaged_schema_is_one_line(finished, tmp_path, text, byte):
    content = bytearray(finished.read_bytes())
    for place in (content.index(text), content.index(text) + len(text) - 1):
        path = tmp_path / f"{place}.sqlite"
        path.write_bytes(content[:place] + bytes([byte]) + content[place + 1 :])
        assert outcome(path, read_results(finished)) in ("same", "refused")


class TestOtherFiles:
    @pytest.fixture(params=["database", "wal", "empty_tables", "old", "text", "short", "zeros"])
    def foreign(self, request, tmp_path):
        path = tmp_path / "theirs"
        kind = request.param
        if kind in ("text", "short", "zeros"):
            path.write_bytes({"text": b"my thesis\n" * 500, "short": b"x", "zeros": bytes(8192)}[kind])
            return path
        connection = sqlite3.connect(path)
        if kind == "wal":
            connection.execute("PRAGMA journal_mode=WAL")
        if kind != "empty_tables":
            connection.execute("CREATE TABLE customers (name)")
        for name in ("meta (key, value)", "trials (cell, round)", "claims (cell)"):
            if kind in ("old", "empty_tables"):
                connection.execute(f"CREATE TABLE {name}")
        if kind == "database":
            connection.execute("PRAGMA application_id=1")
        connection.commit()
        connection.close()
        return path

    def test_they_are_refused_and_untouched(self, foreign, tmp_path):
        (tmp_path / "spec.toml").write_text(toml(FEW))
        before, names = foreign.read_bytes(), sorted(tmp_path.iterdir())
        for command in (
            ("campaign", tmp_path / "spec.toml", "-o", foreign),
            ("campaign", "-o", foreign),
            ("campaign", "-o", foreign, "--status"),
            ("report", foreign, "--csv", tmp_path / "r.csv"),
        ):
            hwflow(*command).fails_with("theirs", "not a results file of hwflow", "choose another file")
        assert foreign.read_bytes() == before
        assert sorted(tmp_path.iterdir()) == names

    def test_a_device_or_folder(self, tmp_path):
        (tmp_path / "spec.toml").write_text(toml(FEW))
        hwflow("campaign", tmp_path / "spec.toml", "-o", "/dev/null").fails_with("/dev/null", "is not a file")
        hwflow("campaign", tmp_path / "spec.toml", "-o", tmp_path).fails_with("is a folder")
        hwflow("report", "/dev/null").fails_with("is not a file")


class TestNothingIsLeft:
    @pytest.mark.parametrize(
        "changes",
        [
            {"models": ["missing.h5"]},
            {"data": "missing.npz"},
            {"images": 501},
            {"calibration": "missing.npz", "executor": "reference"},
        ],
        ids=str,
    )
    def test_a_campaign_that_cannot_begin_leaves_no_file(self, tmp_path, changes):
        with pytest.raises(HwflowError):
            run_campaign(parse_spec({**FEW, **changes}), tmp_path / "r.sqlite")
        assert list(tmp_path.iterdir()) == []

    def test_nor_one_whose_first_trial_fails(self, tmp_path, monkeypatch):
        def fail(*_):
            raise KeyboardInterrupt

        monkeypatch.setattr("hwflow.campaign.run.Runner.run", fail)
        with pytest.raises(KeyboardInterrupt):
            run_campaign(parse_spec(FEW), tmp_path / "r.sqlite")
        assert list(tmp_path.iterdir()) == []

    def test_but_a_stored_trial_stays(self, tmp_path, monkeypatch):
        from hwflow.campaign.trials import Runner

        run = Runner.run

        def fail_later(self, index, cell, round_):
            if index:
                raise KeyboardInterrupt
            return run(self, index, cell, round_)

        monkeypatch.setattr(Runner, "run", fail_later)
        with pytest.raises(KeyboardInterrupt):
            run_campaign(parse_spec(FEW), tmp_path / "r.sqlite")
        assert status(tmp_path / "r.sqlite").trials == 1
        with sqlite3.connect(tmp_path / "r.sqlite") as connection:
            assert connection.execute("SELECT count(*) FROM claims").fetchone() == (0,)
            assert connection.execute("SELECT count(*) FROM workers").fetchone() == (0,)

    def test_an_empty_file_is_begun(self, tmp_path):
        (tmp_path / "r.sqlite").touch()
        with pytest.raises(HwflowError, match="is empty: its campaign never began"):
            status(tmp_path / "r.sqlite")
        assert run_campaign(parse_spec(FEW), tmp_path / "r.sqlite").missing == 0


WORKER = """
    import sys, time
    from hwflow.campaign import run_campaign
    from hwflow.campaign.spec_file import load_spec
    from hwflow.campaign.trials import Runner

    run = Runner.run
    def counted(self, index, cell, round_):
        print(index, round_, flush=True)
        time.sleep(float(sys.argv[3]))
        return run(self, index, cell, round_)
    Runner.run = counted
    run_campaign(load_spec(sys.argv[1]), sys.argv[2])
"""


class TestSharing:
    def start(self, folder, results, pause, **changes):
        (folder / "spec.toml").write_text(toml({**FEW, **changes}))
        command = [sys.executable, "-c", textwrap.dedent(WORKER), str(folder / "spec.toml"), str(results), str(pause)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def test_two_processes_compute_every_trial_once(self, tmp_path):
        results = tmp_path / "r.sqlite"
        both = [self.start(tmp_path, results, 0.3, rounds=12) for _ in range(2)]
        computed = []
        for process in both:
            out, err = process.communicate(timeout=200)
            assert process.returncode == 0, err
            computed.append(out.splitlines())
        assert sorted(computed[0] + computed[1]) == sorted({*computed[0], *computed[1]})
        assert len(computed[0] + computed[1]) == 2 * (1 + 12) == status(results).trials
        assert min(map(len, computed)) >= 3

    def test_a_killed_process_trial_is_taken_over(self, tmp_path, monkeypatch):
        monkeypatch.setattr(claims, "EXPIRES_SECONDS", 600.0)
        results = tmp_path / "r.sqlite"
        victim = self.start(tmp_path, results, 600)
        begun = victim.stdout.readline().split()
        victim.send_signal(signal.SIGKILL)
        victim.communicate()
        with sqlite3.connect(results) as connection:
            assert connection.execute("SELECT cell, round FROM claims").fetchall() == [tuple(map(int, begun))]
        start = time.monotonic()
        assert run_campaign(parse_spec(FEW), results).missing == 0
        assert time.monotonic() - start < 300  # it was looked up, not waited for

    def test_a_stopped_process_is_waited_for_and_then_replaced(self, tmp_path, monkeypatch):
        monkeypatch.setattr(claims, "EXPIRES_SECONDS", 1.0)
        results = tmp_path / "r.sqlite"
        victim = self.start(tmp_path, results, 600)
        victim.stdout.readline()
        victim.send_signal(signal.SIGSTOP)
        try:
            assert run_campaign(parse_spec(FEW), results).missing == 0
        finally:
            victim.kill()
            victim.communicate()


class TestClaims:
    @pytest.fixture
    def opened(self, tmp_path):
        with Store.create(tmp_path / "r.sqlite", {}) as first, Store(tmp_path / "r.sqlite") as second:
            yield first, second

    def test_a_trial_is_claimed_once(self, opened):
        first, second = opened
        with first.joined(), second.joined():
            assert first.claim(0, 0)
            assert first.claim(0, 0)
            assert not second.claim(0, 0)
            assert second.claim(0, 1)
            first.add(Trial(0, 0, 1, 0, 0, 0, 1, 1))
            assert not first.claim(0, 0)
            assert not second.claim(0, 0)

    def test_one_that_leaves_gives_back(self, opened):
        first, second = opened
        with second.joined():
            with first.joined():
                first.claim(0, 0)
                assert not second.claim(0, 0)
            assert second.claim(0, 0)

    def test_many_threads_race_for_few_trials(self, tmp_path):
        path, taken = tmp_path / "r.sqlite", []
        Store.create(path, {}).close()

        def work():
            with Store(path) as store, store.joined():
                taken.extend(task for task in range(40) if store.claim(task, 0))
                barrier.wait()  # nobody leaves, and gives back, before all have tried

        barrier = threading.Barrier(6)
        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(taken) == list(range(40))

    def test_another_machine_lives_as_long_as_its_counter_moves(self, opened, monkeypatch):
        now = [100.0]
        monkeypatch.setattr(claims.time, "monotonic", lambda: now[0])
        first, second = opened
        first.claims.join()
        first.claim(0, 0)
        change(first.path, "UPDATE workers SET place = 'elsewhere', pid = 1, started = '1'")
        with second.joined():
            for _ in range(5):
                assert not second.claim(0, 0)
                now[0] += 0.9 * claims.EXPIRES_SECONDS
                change(first.path, "UPDATE workers SET beat = beat + 1 WHERE place = 'elsewhere'")
            assert not second.claim(0, 0)
            now[0] += 1.1 * claims.EXPIRES_SECONDS
            assert second.claim(0, 0)
            assert not first.claim(0, 0)
        first.claims.leave()

    def test_the_counter_moves(self, opened, monkeypatch):
        monkeypatch.setattr(claims, "BEAT_SECONDS", 0.02)
        first, second = opened
        with first.joined():
            seen = set()
            end = time.monotonic() + 20
            while len(seen) < 3 and time.monotonic() < end:
                seen.update(second.claims.connection.execute("SELECT beat FROM workers").fetchall())
        assert len(seen) >= 3

    def test_processes(self):
        mine = Process.current()
        assert mine.place
        assert not mine.is_dead()
        assert Process(mine.place, mine.pid, "1").is_dead()  # its number is used again
        assert not Process("elsewhere", mine.pid, "1").is_dead()
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        other = Process(mine.place, child.pid, claims._started(child.pid))
        assert not other.is_dead()
        child.kill()
        end = time.monotonic() + 20
        while not other.is_dead() and time.monotonic() < end:
            time.sleep(0.01)
        assert other.is_dead()  # a zombie, until it is waited for
        child.communicate()
        assert other.is_dead()

    def test_a_claim_of_nobody(self, opened):
        first, second = opened
        change(first.path, "INSERT INTO claims VALUES (0, 0, 'nobody')")
        with second.joined():
            assert second.claim(0, 0)
        assert Claims(first.claims.connection, first.path).others() == []


def test_what_computed_the_trials_is_stored(finished, tmp_path):
    data = to_json(read_results(finished))
    ((engine, trials),) = [each.values() for each in data["engines"]]
    assert engine.startswith("TensorFlow 2.15")
    assert trials == sum(row["rounds"] for row in data["cells"])
    with sqlite3.connect(finished) as connection:
        assert {row[9] for row in connection.execute(READ)} == {engine}
    exact = {**FEW, "executor": "reference"}
    run_campaign(parse_spec(exact), tmp_path / "r.sqlite")
    results = read_results(tmp_path / "r.sqlite")
    assert all("kernels (" in engine or engine.startswith("NumPy") for engine in results.engines)
    assert next(iter(results.engines)) in render(to_json(results), []).replace("&lt;", "<")
    assert json.loads(json.dumps(to_json(results)))["engines"]


KILLED = """
    import sys
    from hwflow.campaign.records import Trial
    from hwflow.campaign.store import KEYS, Store

    print(flush=True)
    for number in range(1000):
        head = {key: [number] * 300 for key in KEYS if key not in ("format", "version")}
        with Store.create(f"{sys.argv[1]}{number}", head) as store:
            store.share()
            with store.joined():
                for round_ in range(8):
                    assert store.claim(0, round_)
                    store.add(Trial(0, round_, 7, 0, 0, 0, 1, 2, 0, "x" * 200))
                    print(number, round_, flush=True)
            store.settle()
"""


@pytest.mark.parametrize("kills", [4, pytest.param(60, marks=pytest.mark.slow)])
def test_a_kill_at_any_moment_costs_no_trial_that_was_stored(tmp_path, kills):
    """While files are made, filled, and closed: what was said to be stored is there, sound, with a whole head."""
    command = [sys.executable, "-c", textwrap.dedent(KILLED)]
    rng, partial = random.Random(kills), 0
    for number in range(kills):
        folder = tmp_path / str(number)
        folder.mkdir()
        process = subprocess.Popen([*command, f"{folder}/r"], stdout=subprocess.PIPE, text=True)
        process.stdout.readline()
        time.sleep(rng.uniform(0, 0.3))
        process.kill()
        lines = [line.split() for line in process.communicate()[0].splitlines()]
        said = Counter(int(line[0]) for line in lines if len(line) == 2)
        files = [path for path in folder.iterdir() if path.name[1:].isdecimal()]
        assert len(files) >= len(said)
        for path in files:
            store = Store.begun(path)
            if store is None:
                assert said[int(path.name[1:])] == 0  # killed while it was made
                store = Store.create(path, {key: [0] for key in KEYS if key not in ("format", "version")})
            with store:
                store.meta()
                stored = store.load()
                assert stored.damaged == store.repair() == ()
                rounds = [trial.round for trial in stored.trials.get(0, [])]
                assert rounds == list(range(len(rounds)))
                assert len(rounds) >= said[int(path.name[1:])]
                partial += len(rounds) < 8
                with store.joined():
                    assert all(store.claim(0, round_) for round_ in range(len(rounds), 8))
    assert partial >= kills // 3


def test_a_finished_file_is_a_single_one(tmp_path):
    run_campaign(parse_spec(FEW), tmp_path / "r.sqlite")
    assert [path.name for path in tmp_path.iterdir()] == ["r.sqlite"]
    read_results(tmp_path / "r.sqlite")
    assert [path.name for path in tmp_path.iterdir()] == ["r.sqlite"]
    with sqlite3.connect(tmp_path / "r.sqlite") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
