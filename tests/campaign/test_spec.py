"""Specification files: every mistake is one line that names the file and the key."""

import random

import pytest

from hwflow.campaign import load_spec
from hwflow.campaign.plan import MAX_TRIALS, cells
from hwflow.campaign.spec_file import parse_spec
from hwflow.errors import HwflowError
from tests.campaign.conftest import SPEC, toml
from tests.cli.conftest import hwflow

CLUSTERED = "[faults]\nmodel = 'clustered'\n"
REFERENCE = "executor = 'reference'\n"
MISTAKES = {
    # kinds
    "rounds = 1.5": "rounds: 1.5 is not a whole number",
    "rounds = true": "rounds: True is not a whole number",
    "rounds = '3'": "rounds: '3' is not a whole number",
    "rounds = [3]": r"rounds: \[3\] is not a whole number",
    "rounds = 2020-01-01": "rounds: .* is not a whole number",
    "data = 3": "data: 3 is not text",
    "ber = [[1]]": r"ber\[0\]: \[1\] is not a number",
    "ber = ['high']": r"ber\[0\]: 'high' is not a number",
    "t = [0.5, true]": r"t\[1\]: True is not a number, 'none' or 'optimal'",
    "t = ['most']": r"t\[0\]: 'most' is not a number",
    "t = {a = 1}": r"t\[0\]: .* is not a number",
    "formats = [8]": r"formats\[0\]: 8 is not text",
    "models = [3]": r"models\[0\]: 3 is not a table",
    "models = [{weights = 'x'}]": r"models\[0\].model: is missing; name a network, or a 'design'",
    "faults = 3": "faults: 3 is not a table",
    "[[faults]]": "faults: .* is not a table",
    "[faults]\nbits = [1.5]": r"faults.bits\[0\]: 1.5 is not a whole number",
    "[faults]\nbits = ['x']": r"faults.bits\[0\]: 'x' is not a whole number",
    "[faults]\nbits = 3": "faults.bits: 3 is not a list",
    CLUSTERED + "sizes = ['a']": r"faults.sizes\[0\]: 'a' is not a number",
    "physics = 3": "physics: 3 is not a table",
    "[physics]\nfit_per_mbit = 'a'\nscrub_interval = 1": "physics.fit_per_mbit: 'a' is not a number",
    # keys
    "formts = ['fp32']": "unknown key 'formts'; did you mean 'formats'",
    "a.b.c = 1": "unknown key 'a'; choose one of models",
    "models = [{model = 'x', wieghts = 'y'}]": r"unknown key 'models\[0\].wieghts'; did you mean 'weights'",
    "[faults]\nmodle = 'x'": "unknown key 'faults.modle'; did you mean 'model'",
    "[physics]\nscrub_intervall = 1": "unknown key 'physics.scrub_intervall'; did you mean 'scrub_interval'",
    "[physics]\nfit_per_mbit = 1": "physics.scrub_interval: is missing",
    "[physics]\nscrub_interval = 1": "physics: give fit_per_mbit, or cross_section and flux",
    "ber = 0.1\n[physics]\nscrub_interval = 1": "ber: leave it out",
    "[faults]\nup = 2.0": "faults.up: is of model = 'asymmetric', but the model is 'ber'",
    "calibration = 'digits'": "calibration: .*leave it out",
    # choices
    "executor = 'refrence'": "executor: 'refrence' is unknown; did you mean 'reference'",
    "where = ['al']": r"where\[0\]: 'al' is unknown; did you mean 'all'",
    "interval = 'student'": "interval: 'student' is unknown; choose one of wilson, bootstrap",
    "formats = ['fp8']": "formats: .*'fp8' is unknown",
    "[faults]\nmodel = 'asymetric'": "faults.model: 'asymetric' is unknown; did you mean 'asymmetric'",
    "granularity = ['chanel']": r"granularity\[0\]: 'chanel' is unknown; did you mean 'channel'",
    "align = 'shift'\nexecutor = 'reference'\ncompensation = 'logit'": r"compensation\[0\]: .* did you mean 'logits'",
    "align = 'add'": r"align\[0\]: 'add' is unknown; choose one of shift, multiply",
    # what an executor or a code cannot do
    "align = 'multiply'": "align: is for executor = 'reference'; leave it out",
    "outliers = [0.0, 0.01]": "outliers: is for executor = 'reference'",
    "compensation = ['layer']": "compensation: is for executor = 'reference'",
    "activation_bits = [8, 16]": "activation_bits: is for executor = 'reference'",
    REFERENCE + "activation_bits = [16, 7]": "activation_bits: 7 must be at least 8",
    "protect_top = 0.01": "protect_top: is for executor = 'reference'",
    REFERENCE + "protect_top = [1.5]": "protect_top: 1.5 must be a fraction of the weights, from 0 to 1",
    REFERENCE + "outliers = [1.0]": "outliers: 1.0 must be a fraction of the weights",
    REFERENCE + "outliers = [0, 0.01]\nprotections = ['plain', 'cosq']": "outliers: .*'cosq' is fitted to all weights",
    REFERENCE + "outliers = 0.01\nprotections = 'parity'": "outliers: .*'parity' does not have the weights",
    # designs
    "models = [{design = 'd'}]": "models: d is a design, which needs executor = 'reference'",
    REFERENCE + "models = [{design = ''}]": r"models\[0\].design: is empty",
    REFERENCE + "models = [{design = 'd', classes = 3}]": r"models\[0\].design: brings its weights and shape",
    REFERENCE + "models = [{design = 'a/d'}, {design = 'b/d'}]": "models: two have the same name",
    REFERENCE + "granularity = 'channel'\nmodels = [{design = 'd'}]": "granularity: every model is a design",
    # ranges
    "rounds = 12345678901234567890": "rounds: 12345678901234567890 must be at most 1000000",
    "rounds = 0": "rounds: 0 must be at least 1",
    f"rounds = {'9' * 5000}": "not TOML",
    f"rounds = 0x{'f' * 5000}": "rounds: a number of 20000 bits must be at most",
    f"seed = {'9' * 40}": "seed: a number of 133 bits must be at most",
    f"ber = 1{'0' * 400}": r"ber\[0\]: a number of 1329 bits is not a number",
    f"t = 1{'0' * 400}": r"t\[0\]: a number of 1329 bits is not a number",
    "ber = [nan]": "ber: nan is not a bit error rate",
    "t = [nan]": "t: nan must be a positive number",
    "t = []": "t: is empty; give at least one",
    "models = []": "models: is empty",
    "models = ['']": r"models\[0\].model: is missing",
    "models = [{model = 'x', name = \"a\\u001b[31m\"}]": r"models\[0\].name: .* cannot be printed",
    "models = [{model = 'resnet18', classes = 123456789012345678901}]": r"models\[0\].classes: .* must be at most",
    "models = [{model = 'resnet18', image_size = 0}]": r"models\[0\].image_size: 0 must be at least 1",
    "until_ci = inf": "until_ci: inf must be a positive number",
    "[faults]\nlayers = []": "faults.layers: is empty",
    "[faults]\nbits = []": "faults.bits: is empty",
    "[faults]\nbits = [8]": r"faults.bits: 8 is beyond the bits of ap_fixed<8,3>, 0 to 7",
    "[faults]\nbits = [-1]": "faults.bits: -1 must be at least 0",
    CLUSTERED + "sizes = []": "faults: cluster sizes .* add up to 1",
    CLUSTERED + "sizes = [nan, 1.0]": "faults: cluster sizes .* add up to 1",
    CLUSTERED + "interleave = 99999999999999999999": "faults.interleave: 99999999999999999999 must be at most",
    "[faults]\nmodel = 'asymmetric'\nup = 20000.0": "faults: at ber = 0.0001: up=2.0 must be 0 to 1",
    "[physics]\nfit_per_mbit = 1\nscrub_interval = []": "physics: scrub_interval: is empty",
    "[physics]\nfit_per_mbit = 1\nscrub_interval = -1": "physics: the scrub interval must be",
    # the file
    "a = " + "[" * 3000: "not a specification: its values are nested too deeply",
    "a = " + "[" * 300 + "]" * 300: "unknown key 'a'",
    "models = " + "[" * 300 + "]" * 300: r"models\[0\]: .* is not a table",
    "rounds = 1\nrounds = 2": "not TOML",
    "\0": "not TOML",
    "# long\n" * 200_000: "is longer than 1048576 bytes",
}


@pytest.mark.parametrize(("text", "words"), MISTAKES.items(), ids=lambda value: value[:40])
def test_a_mistake_is_one_line(tmp_path, text, words):
    path = tmp_path / "spec.toml"
    path.write_text(text)
    with pytest.raises(HwflowError, match=rf"spec.toml: {words}") as caught:
        load_spec(path)
    message = str(caught.value)
    assert len(message) < 500
    assert message.isprintable()


def test_files_that_are_no_text(tmp_path):
    path = tmp_path / "spec.toml"
    path.write_bytes(b"rounds = 1 # \xff")
    with pytest.raises(HwflowError, match=r"spec.toml: not TOML"):
        load_spec(path)
    with pytest.raises(HwflowError, match="cannot be read"):
        load_spec(tmp_path)
    with pytest.raises(HwflowError, match="/dev/zero: is longer than"):
        load_spec("/dev/zero")


@pytest.mark.parametrize("count", [200, pytest.param(10_000, marks=pytest.mark.slow)])
def test_any_damaged_specification_is_read_or_refused_in_one_line(tmp_path, count):
    whole = toml(SPEC) + CLUSTERED + "sizes = [0.5, 0.5]\nlayers = ['conv1']\n[[models_]]\n"
    content, rng = whole.replace("[[models_]]", "").encode(), random.Random(count)
    tokens = [b"[", b"]", b"{", b"'", b"=", b"-", b"nan", b"1e999", b"true", b"\n", b"0x", b"\xff", b"\0", b"[faults]"]
    path, read = tmp_path / "spec.toml", 0
    for _ in range(count):
        place = rng.randrange(len(content))
        token = rng.choice([rng.choice(tokens), bytes([rng.randrange(256)]), b""])
        path.write_bytes(content[:place] + token + content[place + rng.randrange(4) :])
        try:
            spec = load_spec(path)
        except HwflowError as error:
            bad = not str(error).startswith(f"{path}: ") or not str(error).isprintable()
            if bad:
                raise
            continue
        read += 1
        assert parse_spec(spec.to_json()) == spec
    assert 0 < read < count


def test_one_value_for_a_list_and_whole_numbers_for_fractions():
    spec = parse_spec({"models": "digits_cnn", "t": 2, "ber": 0, "formats": "fp32", "where": "all", "until_ci": 3})
    assert (spec.t, spec.ber, spec.formats, spec.where, spec.until_ci) == ((2.0,), (0.0,), ("fp32",), ("all",), 3.0)
    assert [type(each) for each in (*spec.t, *spec.ber)] == [float, float]
    assert parse_spec(spec.to_json()) == spec


def test_more_trials_than_can_be_run():
    spec = parse_spec({**SPEC, "rounds": 1_000_000, "where": ["layers"]})
    with pytest.raises(HwflowError, match=rf"asks for \d+ trials, more than {MAX_TRIALS}"):
        cells(spec, {"digits_cnn": ["a", "b"]})
    assert len(cells(parse_spec(SPEC), {"digits_cnn": ["a", "b"]})) == 12


def test_what_only_the_network_can_tell_is_told_before_the_file_is_made(tmp_path):
    (tmp_path / "spec.toml").write_text(toml(SPEC) + "[faults]\nlayers = ['conv9']\n")
    command = ("campaign", tmp_path / "spec.toml", "-o", tmp_path / "r.sqlite")
    hwflow(*command).fails_with("faults.layers", "digits_cnn", "'conv9'", "block1_conv1")
    hwflow(*command, "--rounds", 10**20).fails_with("rounds", "at most")
    hwflow(*command, "--max-rounds", 5).fails_with("--max-rounds", "--until-ci")
    assert not (tmp_path / "r.sqlite").exists()
