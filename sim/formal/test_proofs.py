"""Proofs of RTL cells for small parameters, for all inputs, stalls and resets.

What a stream cell does for ever is proved by Yosys and ABC's property-directed reachability; what the matrix unit does,
by induction, since its proof says what holds in every state. A decoder or a cast, which forgets what it did after a few
cycles, is unrolled for these from any state of its registers by yosys-smtbmc, for z3; so is the step of the induction.
"""

import os
import subprocess
import sys
from functools import reduce
from operator import xor
from pathlib import Path

import numpy as np
import pytest

from hwflow.codes.bch import Bch

HERE = Path(__file__).parent
RTL_DIR = HERE.parents[1] / "hls_templates" / "rtl"
LIMIT_S = 900


class NoProofError(AssertionError):
    """The property does not hold, or could not be proved."""


def elaborate(folder: Path, top: str, sources: list[Path], parameters: dict, steps: str) -> None:
    """Run Yosys on a proof's top module with its parameters, then the steps that write what the solver reads."""
    files = " ".join(map(str, [HERE / f"{top}.sv", *sources]))
    values = " ".join(f"-chparam {name} {value}" for name, value in parameters.items())
    script = f"read_verilog -formal -sv {files}; hierarchy -top {top} {values}; prep -flatten -top {top}; {steps}"
    run(["yosys", "-q", "-p", script], folder)


def prove_for_ever(folder: Path, top: str, sources: list[Path], parameters: dict) -> None:
    """Prove the assertions of ``top`` in every state that can be reached from its initial one."""
    prepare = "memory_map; async2sync; setundef -undriven -anyseq; opt -keepdc -fast; dffunmap; delete -output; techmap"
    elaborate(folder, top, sources, parameters, f"{prepare}; abc -g AND -fast; write_aiger -I -B -zinit proof.aig")
    report = run(["yosys-abc", "-c", "read_aiger proof.aig; fold; strash; scorr; pdr"], folder)
    if "Property proved" not in report:
        raise NoProofError(report)


def prove_unrolled(folder: Path, top: str, sources: list[Path], parameters: dict, steps: int) -> None:
    """Prove the assertions of ``top`` for so many steps, from any state of registers without an initial value."""
    elaborate(folder, top, sources, parameters, "async2sync; opt; dffunmap; write_smt2 -wires proof.smt2")
    _solve(folder, steps)


def prove_by_induction(folder: Path, top: str, sources: list[Path], parameters: dict) -> None:
    """Prove the assertions of ``top`` in its first states, and in a state after two in which they hold."""
    elaborate(folder, top, sources, parameters, "memory_map; async2sync; opt; dffunmap; write_smt2 -wires proof.smt2")
    _solve(folder, 4)
    _solve(folder, 2, "-i")


def _solve(folder: Path, steps: int, *options: str) -> None:
    report = run(["yosys-smtbmc", "-s", "z3", "--noprogress", *options, "-t", str(steps), "proof.smt2"], folder)
    if "Status: PASSED" not in report:
        raise NoProofError(report)


def run(command: list[str], folder: Path) -> str:
    # z3 is a program of the Python package z3-solver.
    env = os.environ | {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}
    done = subprocess.run(
        command, cwd=folder, env=env, timeout=LIMIT_S, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode and "FAILED" not in done.stdout:
        raise RuntimeError(f"{command[0]} failed: {done.stdout[-2000:]}")
    return done.stdout


def cells(*names: str) -> list[Path]:
    return [RTL_DIR / f"hwflow_{name}.sv" for name in names]


def spoil(folder: Path, cell: str, right: str, wrong: str) -> Path:
    """A cell with an error in it."""
    text = cells(cell)[0].read_text()
    assert text.count(right) == 1, f"{right!r} is not once in hwflow_{cell}"
    path = folder / f"hwflow_{cell}.sv"
    path.write_text(text.replace(right, wrong))
    return path


STREAMS = [
    ("fifo", {"DEPTH": 1}),
    ("fifo", {"DEPTH": 2}),
    ("fifo", {"DEPTH": 3}),
    ("fifo", {"DEPTH": 2, "BLOCK": 1, "BEHIND": 1}),
    pytest.param("fifo", {"DEPTH": 1, "BLOCK": 1, "BEHIND": 2}, marks=pytest.mark.slow),
    ("slice", {}),
    ("width", {"LANES_IN": 1, "LANES_OUT": 3}),
    ("width", {"LANES_IN": 3, "LANES_OUT": 1}),
    ("width", {"LANES_IN": 2, "LANES_OUT": 4}),
    ("fork", {"N": 1}),
    ("fork", {"N": 3}),
]


INNER = {"fifo": ("ram",)}
"""What a cell instantiates."""


@pytest.mark.parametrize(("cell", "parameters"), STREAMS)
def test_streams_lose_and_repeat_nothing(tmp_path, cell, parameters):
    prove_for_ever(
        tmp_path, f"proof_{cell}", [HERE / "stream_check.sv", *cells(cell, *INNER.get(cell, ()))], parameters
    )


UNIT = ("mul_pair", "catch", "ram", "delay", "cast", "fifo")


@pytest.mark.parametrize(("n_in", "n_out"), [(1, 1), (2, 1), (1, 2), (3, 3)])
def test_the_matrix_unit_never_stops(tmp_path, n_in, n_out):
    prove_by_induction(tmp_path, "proof_mvu", cells("mvu", *UNIT), {"N_IN": n_in, "N_OUT": n_out})


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("= room || !last_beat_reg;", "= 1'b1;"),
        ("go && (s_tvalid || !first_fold_reg)", "go && s_tvalid"),
        ("assign s_tready = go && first_fold_reg;", "assign s_tready = go;"),
        ("done_reg  <= {done_reg[SUM_AT:0], done}", "done_reg  <= {done_reg[SUM_AT:0], done && s_tvalid}"),
    ],
)
def test_an_error_in_the_matrix_unit_is_found(tmp_path, right, wrong):
    with pytest.raises(NoProofError):
        prove_by_induction(tmp_path, "proof_mvu", [*cells(*UNIT), spoil(tmp_path, "mvu", right, wrong)], {})


@pytest.mark.parametrize("beats", [1, *(pytest.param(beats, marks=pytest.mark.slow) for beats in (2, 3))])
def test_the_guard_gives_whole_images(tmp_path, beats):
    prove_for_ever(tmp_path, "proof_guard", cells("guard", "fifo", "ram"), {"BEATS": beats})


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("fill_reg ? '0 : data", "data"),
        ("drop_reg <= pass && last_beat && late", "drop_reg <= 1'b0"),
        ("!(valid && (last || !check_i))", "!valid"),
        ("!last_beat && (fill_reg || ends)", "fill_reg || ends"),
    ],
)
def test_an_error_in_the_guard_is_found(tmp_path, right, wrong):
    with pytest.raises(NoProofError):
        prove_for_ever(tmp_path, "proof_guard", [*cells("fifo", "ram"), spoil(tmp_path, "guard", right, wrong)], {})


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("data_valid_reg <= read_valid_reg;", "data_valid_reg <= take;"),
        ("if (take && !left_reg) begin", "if (take && !m_tready) begin"),
    ],
)
def test_an_error_in_a_fifo_of_block_ram_is_found(tmp_path, right, wrong):
    sources = [HERE / "stream_check.sv", spoil(tmp_path, "fifo", right, wrong), *cells("ram")]
    with pytest.raises(NoProofError):
        prove_for_ever(tmp_path, "proof_fifo", sources, {"DEPTH": 2, "BLOCK": 1, "BEHIND": 1})


@pytest.mark.parametrize(
    ("cell", "right", "wrong"),
    [
        ("fifo", "wire write = s_tvalid && !full_reg;", "wire write = s_tvalid && !full_reg && count_reg != 1;"),
        ("fifo", "= !valid_reg || m_tready;", "= m_tready;"),
        ("slice", "waiting_reg ? waiting_data_reg : s_tdata", "s_tdata"),
        ("slice", "assign s_tready = !waiting_reg;", "assign s_tready = 1'b1;"),
        ("width", "assign s_tready = !m_tvalid || m_tready;", "assign s_tready = 1'b1;"),
        ("width", "assign m_tvalid = (count_reg == FULL);", "assign m_tvalid = (count_reg == FULL) && m_tready;"),
        ("fork", "& ~taken_reg;", ";"),
        ("fork", "assign s_tready = &(taken_reg | m_tready);", "assign s_tready = &m_tready;"),
    ],
)
def test_an_error_in_a_cell_is_found(tmp_path, cell, right, wrong):
    sources = [HERE / "stream_check.sv", spoil(tmp_path, cell, right, wrong), *cells(*INNER.get(cell, ()))]
    with pytest.raises(NoProofError):
        prove_for_ever(tmp_path, f"proof_{cell}", sources, {})


def border(rows: int, columns: int, crops: tuple[int, ...], pads: tuple[int, ...]) -> tuple[dict, list[int]]:
    """Parameters, and where every beat that goes out comes from."""
    sides = {
        f"{kind}_{side}": n
        for kind, edges in (("CROP", crops), ("PAD", pads))
        for side, n in zip("TBLR", edges, strict=True)
    }
    image = np.arange(rows * columns).reshape(rows, columns)[crops[0] : rows - crops[1], crops[2] : columns - crops[3]]
    places = np.pad(image, (pads[:2], pads[2:]), constant_values=ZERO)
    return {"IN_H": rows, "IN_W_PX": columns, **sides}, places.ravel().tolist()


def repeat(columns: int, rows_times: int, columns_times: int, beats: int = 1) -> tuple[dict, list[int]]:
    """The same of a row of pixels."""
    row = np.arange(columns * beats).reshape(columns, beats).repeat(columns_times, axis=0)
    sizes = {"IN_W_PX": columns, "ROWS": rows_times, "COLUMNS": columns_times, "BEATS": beats}
    return sizes, np.tile(row.ravel(), rows_times).tolist()


def permute(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[dict, list[int]]:
    """The same of an image with its axes in another order."""
    turned = np.arange(np.prod(shape)).reshape(shape).transpose(axes)
    strides = (shape[1] * shape[2], shape[2], 1)
    sizes = {f"SIZE_{i}": n for i, n in enumerate(turned.shape)} | {
        f"STRIDE_{i}": strides[axis] for i, axis in enumerate(axes)
    }
    return sizes, turned.ravel().tolist()


ZERO = 255
MOVES = {
    "border": [border(2, 2, (0, 0, 0, 0), (1, 0, 0, 1)), border(2, 3, (0, 1, 1, 0), (0, 1, 1, 0))],
    "repeat": [repeat(2, 2, 2), repeat(2, 3, 1), repeat(1, 1, 2, beats=2)],
    "permute": [permute((2, 1, 2), (2, 1, 0)), permute((1, 3, 2), (0, 2, 1))],
}


def prove_moves(folder: Path, cell: str, case: tuple[dict, list[int]], sources: list[Path]) -> None:
    sizes, places = case
    beats = max(place for place in places if place != ZERO) + 1
    if cell == "border":
        beats = sizes["IN_H"] * sizes["IN_W_PX"]
    packed = sum(place << 8 * i for i, place in enumerate(places))
    parameters = {**sizes, "IN_BEATS": beats, "OUT_BEATS": len(places), "MAP": f"{8 * len(places)}'h{packed:x}"}
    prove_for_ever(folder, f"proof_{cell}", [HERE / "map_check.sv", *sources], parameters)


@pytest.mark.parametrize(
    ("cell", "case"),
    [
        pytest.param(cell, case, marks=[pytest.mark.slow] * (number > 0), id=f"{cell}{number}")
        for cell, cases in MOVES.items()
        for number, case in enumerate(cases)
    ],
)
def test_moves_put_every_beat_in_its_place(tmp_path, cell, case):
    prove_moves(tmp_path, cell, case, cells(cell, "ram", "between"))


@pytest.mark.parametrize(
    ("cell", "right", "wrong"),
    [
        ("border", "takes ? s_tdata :", "s_tvalid ? s_tdata :"),
        ("border", "assign s_tready = takes && room;", "assign s_tready = takes;"),
        ("repeat", "assign s_tready = space && is_new;", "assign s_tready = space;"),
        ("repeat", "if (last_pixel) row_reg <= last_row ? '0 : row_reg + 1'b1;", ""),
        ("permute", "assign s_tready = !full_reg[write_bank_reg];", "assign s_tready = 1'b1;"),
        ("permute", "wire read      = space && full_reg[read_bank_reg];", "wire read      = full_reg[read_bank_reg];"),
    ],
)
def test_an_error_in_a_move_is_found(tmp_path, cell, right, wrong):
    with pytest.raises(NoProofError):
        prove_moves(tmp_path, cell, MOVES[cell][0], [spoil(tmp_path, cell, right, wrong), *cells("ram", "between")])


CASTS = [
    {},
    {"IN_W": 24, "IN_FRAC": 15, "OUT_W": 16, "OUT_FRAC": 10},
    {"IN_W": 26, "IN_FRAC": 13, "OUT_W": 8, "OUT_FRAC": 4, "OUT_SIGNED": 0},
    {"IN_W": 9, "IN_FRAC": 2, "IN_SIGNED": 0, "OUT_W": 7, "OUT_FRAC": 5},
    {"IN_W": 3, "IN_FRAC": 8, "OUT_W": 4, "OUT_FRAC": 1},
]


@pytest.mark.parametrize("parameters", CASTS)
def test_casts_equal_their_specification(tmp_path, parameters):
    prove_unrolled(tmp_path, "proof_cast", cells("cast"), parameters, 1)


def test_an_error_in_the_cast_is_found(tmp_path):
    wrong = spoil(tmp_path, "cast", "carry = half && (sticky || odd);", "carry = half;")
    with pytest.raises(NoProofError):
        prove_unrolled(tmp_path, "proof_cast", [wrong], {}, 1)


@pytest.mark.parametrize(("bits", "x_bits"), [(2, 2), (3, 4), (4, 5)])
def test_pairs_of_products_are_products(tmp_path, bits, x_bits):
    prove_unrolled(tmp_path, "proof_mul_pair", cells("mul_pair"), {"W": bits, "X_W": x_bits}, 5)


def test_an_error_in_pairs_of_products_is_found(tmp_path):
    wrong = spoil(tmp_path, "mul_pair", " + FIELD'(product_reg[FIELD-1])", "")
    with pytest.raises(NoProofError):
        prove_unrolled(tmp_path, "proof_mul_pair", [wrong], {}, 5)


@pytest.mark.slow
@pytest.mark.parametrize("on_double", [0, 1])
def test_secded_corrects_one_error_and_detects_two(tmp_path, on_double):
    weight_3 = [value for value in range(256) if value.bit_count() == 3]
    columns = [*weight_3, *((31 << turn | 31 >> 8 - turn) & 255 for turn in range(8))]
    parameters = {"CHECKS": f"8'd{reduce(xor, columns)}", "ON_DOUBLE": on_double}
    prove_unrolled(tmp_path, "proof_secded", cells("decode_secded"), parameters, 4)


@pytest.mark.slow
@pytest.mark.parametrize(("bits", "data_bits"), [(7, 4), (15, 7), (16, 7)])
def test_bch_corrects_what_it_promises(tmp_path, bits, data_bits):
    code = Bch(bits, data_bits)
    checks = np.packbits(code.checks(np.eye(data_bits, dtype=np.uint8)), bitorder="little")
    size = (bits - data_bits) * data_bits
    parameters = {
        "N": bits, "K": data_bits, "M": code.m, "T": code.t, "EXTENDED": int(code.extended),
        "CHECKS": f"{size}'h{int.from_bytes(checks.tobytes(), 'little'):x}",
    }  # fmt: skip
    prove_unrolled(tmp_path, "proof_bch", cells("decode_bch", "delay"), parameters, 2 * code.t + 7)
