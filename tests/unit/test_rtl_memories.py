"""Weight memories become block RAM, whatever the storage code, and small ones LUT RAM, says Yosys."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from hwflow.cost.memories import Memory

RTL_DIR = Path(__file__).resolve().parents[2] / "hls_templates" / "rtl"
DECODERS = ("decode_secded", "decode_table", "decode_word", "decode_bch", "decode_bch_folded", "decode_flips")
MODULES = ("weights", "weight_mem", "outliers", "delay", "delay_words", *DECODERS)


@pytest.mark.parametrize(
    "code",
    [
        pytest.param(0, id="plain"),
        pytest.param(1, id="secded"),
        pytest.param(2, id="table"),
        pytest.param(3, id="word", marks=pytest.mark.slow),  # Yosys takes a minute to read its constant functions
    ],
)
def test_weight_memory_is_block_ram(code: int, tmp_path: Path) -> None:
    """1024 words of 128 or 144 bits: a RAMB36 with two ports that read and write has 1024 words of 36 bits.

    Tables take none, for block RAM is not safe from faults; so few biases lie in LUTs, with a second port too.
    """
    values = {"PE": 2, "SIMD": 8, "N_IN": 256, "N_OUT": 64, "CODE": code, "TABLE_FILE": '"table.mem"'}
    if code == 3:  # a small decoder: what is behind the memory does not matter here
        values |= {"PE": 1, "SIMD": 16, "STORED_W": 32, "WEIGHTS": 4, "LABEL_W": 26, "BCH_M": 5, "BCH_T": 1}
    words = np.random.default_rng(1).permutation(256).tolist()
    (tmp_path / "table.mem").write_text("".join(f"{word:02x}\n" for word in words))
    for module in MODULES:
        shutil.copy(RTL_DIR / f"hwflow_{module}.sv", tmp_path)
    script = [
        "read_verilog -sv " + " ".join(f"hwflow_{module}.sv" for module in MODULES),
        f"chparam {' '.join(f'-set {name} {value}' for name, value in values.items())} hwflow_weights",
        # Memories are mapped before the rest, which takes longer and is not looked at.
        "synth_xilinx -family xcup -flatten -top hwflow_weights -run :map_ffram",
        "tee -q -o stat.json stat -json",
    ]
    subprocess.run(["yosys", "-q", "-p", "; ".join(script)], cwd=tmp_path, check=True)
    cells = json.loads((tmp_path / "stat.json").read_text())["design"]["num_cells_by_type"]
    assert {name: count for name, count in cells.items() if name.startswith("RAMB")} == {"RAMB36E2": 4}


@pytest.mark.parametrize(
    ("bits", "words"),
    [(1, 1), (8, 1024), (18, 2048), (18, 2500), (19, 2500), (72, 4608), (32, 8192), (32, 9216), (36, 5000), (1, 20000)],
)
def test_the_estimate_knows_which_memories_are_in_two(bits: int, words: int, tmp_path: Path) -> None:
    script = [
        f"read_verilog -sv {RTL_DIR / 'hwflow_weight_mem.sv'}",
        f"chparam -set WIDTH {bits} -set DEPTH {words} hwflow_weight_mem",
        "hierarchy -top hwflow_weight_mem",
        "proc",
        "tee -q -o found.txt select -count w:gen_two.a_low_out_reg",
    ]
    subprocess.run(["yosys", "-q", "-p", "; ".join(script)], cwd=tmp_path, check=True)
    found = (tmp_path / "found.txt").read_text().split()[0] != "0"
    assert Memory(bits, words).in_two == found


def test_an_ecp5_has_one_copy_of_a_weight_memory_and_no_logic_behind_it(tmp_path: Path) -> None:
    """9216 words of 32 bits: its block RAM does not define what a port reads that the other one writes.

    A memory of one shape would have a choice of nine behind every bit of both ports, of which each takes some LUTs.
    """
    script = [
        f"read_verilog -sv {RTL_DIR / 'hwflow_weight_mem.sv'}",
        "chparam -set WIDTH 32 -set DEPTH 9216 hwflow_weight_mem",
        "synth_ecp5 -top hwflow_weight_mem -run :check",
        "tee -q -o stat.json stat -json",
    ]
    subprocess.run(["yosys", "-q", "-p", "; ".join(script)], cwd=tmp_path, check=True)
    cells = json.loads((tmp_path / "stat.json").read_text())["design"]["num_cells_by_type"]
    assert cells["DP16KD"] == 18
    assert cells["LUT4"] < 2 * 32 + 10


def test_small_weight_memory_is_lut_ram(tmp_path: Path) -> None:
    """16 words of 72 bits of which one port reads, the other reads and writes."""
    script = [
        f"read_verilog -sv {RTL_DIR / 'hwflow_weight_mem.sv'}",
        'chparam -set WIDTH 72 -set DEPTH 16 -set STYLE "distributed" hwflow_weight_mem',
        "synth_xilinx -family xcup -flatten -top hwflow_weight_mem -run :map_ffs",
        "tee -q -o stat.json stat -json",
    ]
    (tmp_path / "run.ys").write_text("\n".join(script) + "\n")
    subprocess.run(["yosys", "-q", "-s", "run.ys"], cwd=tmp_path, check=True)
    cells = json.loads((tmp_path / "stat.json").read_text())["design"]["num_cells_by_type"]
    memories = {name: count for name, count in cells.items() if name.startswith("RAM")}
    assert memories == {"RAM32M16": 9}
    assert 8 * memories["RAM32M16"] == Memory(72, 16).two_port_lut_ram
