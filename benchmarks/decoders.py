"""What the decoders of storage codes cost: LUTs, flip-flops, block RAM and latency, by Yosys for an UltraScale+ part,
and with ``--nextpnr`` their clock rate on an ECP5.

Tables are those of 16,384 Laplacian weights of 8 bits, fitted to a bit error rate of 1e-2. Writes
``hwflow/cost/decoders.csv``, from which ``hwflow advise`` takes its figures; ``--markdown`` prints what
``docs/protections.md`` shows of it.
"""

import argparse
import csv
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import hwflow.cost.decoders
from hwflow.campaign.advice import NAMES
from hwflow.codes import Plain, Protection, Secded, StorageCode, Table, WordCode, storage_code
from hwflow.codes.bch import Bch
from hwflow.cost.decoders import DSP, MULTIPLIER, costs
from hwflow.fixed import FixedType
from hwflow.rtl.decoders import word_latency, word_parameters
from hwflow.rtl.memory_image import label_tables
from hwflow.sim.hexfile import write_hex

ROOT = Path(__file__).resolve().parents[1]
RTL = ROOT / "hls_templates" / "rtl"
OUTPUT = Path(hwflow.cost.decoders.__file__).with_name(hwflow.cost.decoders.TABLE)
TYPE = FixedType(8, 3)
BER = "1e-2"
FAMILY = "xcup"
RATES = (1, 8, 64)
"""Weights a cycle."""
SUBJECTS = (
    *NAMES,
    "secded-null", "mset", "zero-space", "value-aware",
    "flip128-64-48-2-5", "flip128-80-64", "flip256-160-96-3-5", "flip256-160-128-3-5", "flip512-352-256-3-5",
    MULTIPLIER, DSP,
)  # fmt: skip
COLUMNS = ("code", "weights", "cycles", "luts", "flip_flops", "block_ram", "dsp", "latency", "fmax")
MULTIPLY = """
module multiply (input wire clk_i, input wire en_i, input wire [23:0] data_i, output logic [23:0] data_o);
    always_ff @(posedge clk_i) if (en_i) data_o <= $signed(data_i[7:0]) * $signed(data_i[23:8]);
endmodule
"""
TOO_LARGE = "Unable to place cell"
"""What nextpnr says then."""
# Registers on either side, so that all paths count.
TIMED = """
module timed (
    input wire clk_i, input wire en_i, input wire start_i, input wire next_i,
    input wire [{bits}-1:0] data_i, output logic [{outputs}-1:0] data_o
);
    logic en_reg, start_reg, next_reg;
    logic [{bits}-1:0] data_reg;
    wire [{outputs}-1:0] found;
    {module} #({parameters}) subject (.clk_i(clk_i), .en_i(en_reg), {beats}.data_i(data_reg), .data_o(found));
    always_ff @(posedge clk_i) begin
        {{en_reg, start_reg, next_reg}} <= {{en_i, start_i, next_i}};
        data_reg <= data_i;
        data_o   <= found;
    end
endmodule
"""
BEATS = ".start_i(start_reg), .next_i(next_reg), "


@dataclass(frozen=True)
class Subject:
    """A module with ``clk_i``, ``en_i``, ``data_i`` and ``data_o``, and its parameters.

    Attributes:
        weights: of a word.
        bits: of a word.
        outputs: bits that come out.
        latency: cycles.
        cycles: that a word lasts.
        table: content of ``table.mem``, in bytes.
    """

    module: str
    weights: int
    bits: int
    outputs: int
    latency: int
    cycles: int = 1
    parameters: Mapping[str, object] = field(default_factory=dict)
    table: tuple[int, ...] = ()


def code_of(name: str) -> StorageCode:
    """The code as it is fitted to Laplacian weights."""
    weights = np.random.default_rng(1).laplace(scale=0.5, size=(64, 256))
    protection = Protection.parse(name)
    if protection.ber is not None:
        protection = Protection.parse(f"{name}:{BER}")
    return storage_code(protection.fit(weights, TYPE).spec, TYPE)


def subjects_of(name: str) -> list[Subject]:
    """The modules that decode words of a code, for a word a cycle and for fewer weights, or that multiply."""
    if name in (MULTIPLIER, DSP):
        return [Subject("multiply", 1, 24, 24, 1)]
    code = code_of(name)
    weights, bits = code.weights_per_word, code.bits
    match code:
        case Plain():
            return []
        case Secded(on_double=policy):
            values: dict[str, object] = {"W_W": 8, "ON_DOUBLE": int(policy == "pass")}
            return [Subject("hwflow_decode_secded", weights, bits, weights * 8, 2, parameters=values)]
        case WordCode():
            beats = sorted({1, *(weights // rate for rate in RATES if rate < weights)})
            return [words_of(code, each) for each in beats]
        case Table():
            values = {"W_W": 8, "TABLE_FILE": '"table.mem"'}
            table = tuple((code.decoder & 0xFF).tolist())
            return [Subject("hwflow_decode_table", 1, bits, 8, 1, parameters=values, table=table)]
    raise SystemExit(f"no decoder of {type(code).__name__} in hardware")


def words_of(code: WordCode, beats: int) -> Subject:
    """The decoder of words that last so many cycles, in which their weights are used one part after the other."""
    weights = code.weights_per_word
    cycles = beats if isinstance(code.block, Bch) else 1
    values = {
        **word_parameters(code),
        "W_W": TYPE.width,
        "LANES": weights // beats,
        "CYCLES": cycles,
        "TABLE_FILE": '"table.mem"',
    }
    return Subject(
        "hwflow_decode_word", weights, code.bits, weights // beats * TYPE.width, word_latency(code, beats, cycles),
        beats, values, tuple((label_tables(code) & 0xFF).tolist()),
    )  # fmt: skip


def measure(name: str, subject: Subject, yosys: str, nextpnr: str | None) -> dict[str, object]:
    """A row of the table, without ``fmax`` where there is no ``nextpnr``."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for file in RTL.glob("hwflow_de*.sv"):
            shutil.copy(file, folder)
        texts = {
            "bits": subject.bits,
            "outputs": subject.outputs,
            "module": subject.module,
            "parameters": ", ".join(f".{key}({value})" for key, value in subject.parameters.items()),
            "beats": BEATS if subject.module == "hwflow_decode_word" else "",
        }
        (folder / "multiply.sv").write_text(MULTIPLY)
        (folder / "timed.sv").write_text(TIMED.format(**texts))
        write_hex(folder / "table.mem", subject.table, 8)
        options = "" if name == DSP else " -nodsp"
        row = {
            "code": name,
            "weights": subject.weights,
            "cycles": subject.cycles,
            **area(folder, subject, yosys, options),
            "latency": subject.latency,
        }
        if nextpnr is not None:
            row["fmax"] = clock_rate(folder, yosys, nextpnr, options)
    print(row, f"{time.monotonic() - start:.0f} s", flush=True)
    return row


def area(folder: Path, subject: Subject, yosys: str, options: str) -> dict[str, object]:
    """What the module takes of an UltraScale+ part."""
    values = " ".join(f"-set {key} {value}" for key, value in subject.parameters.items())
    run(
        folder, yosys, "-q", "-p",
        f"read_verilog -sv *.sv; {f'chparam {values} {subject.module}; ' if values else ''}"
        f"synth_xilinx -family {FAMILY} -noiopad -flatten{options} -top {subject.module}; "
        "tee -q -o stat.json stat -json",
    )  # fmt: skip
    cells = json.loads((folder / "stat.json").read_text())["design"]["num_cells_by_type"]

    def count(*kinds: str) -> int:
        return sum(number for cell, number in cells.items() if cell.startswith(kinds))

    return {
        "luts": count("LUT", "INV", "SRL"),
        "flip_flops": count("FD"),
        "block_ram": f"{count('RAMB36') + count('RAMB18') / 2:g}",
        "dsp": count("DSP"),
    }


def clock_rate(folder: Path, yosys: str, nextpnr: str, options: str) -> str:
    """MHz on an ECP5, by one run; empty if the module does not fit there."""
    run(folder, yosys, "-q", "-p", f"read_verilog -sv *.sv; synth_ecp5{options} -top timed -json timed.json")
    said = run(
        folder, nextpnr, "-q", "--85k", "--speed", "8", "--out-of-context", "--freq", "400", "--timing-allow-fail",
        "--json", "timed.json", "--report", "report.json", fails=TOO_LARGE,
    )  # fmt: skip
    if TOO_LARGE in said:
        return ""
    (clock,) = json.loads((folder / "report.json").read_text())["fmax"].values()
    return f"{clock['achieved']:.0f}"


def run(folder: Path, *command: str, fails: str | None = None) -> str:
    """Run a program in a folder; what it said. It may fail if it says ``fails``."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    said = done.stdout + done.stderr
    if done.returncode and (fails is None or fails not in said):
        raise SystemExit(f"{command[0]} ended with {done.returncode}: {said.strip().rpartition(chr(10))[2]}")
    return said


def write(path: Path, row: Mapping[str, object]) -> None:
    """Put a row in its place in the table; what was not measured anew stays."""
    rows = {(row["code"], row["cycles"]): row for row in read(path)}
    key = (str(row["code"]), str(row["cycles"]))
    rows[key] = rows.get(key, {}) | {name: str(value) for name, value in row.items()}
    order = {name: place for place, name in enumerate(SUBJECTS)}
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            sorted(rows.values(), key=lambda each: (order.get(each["code"], len(order)), int(each["cycles"])))
        )


def read(path: Path) -> list[dict[str, str]]:
    """The rows that there are."""
    return list(csv.DictReader(path.read_text().splitlines())) if path.is_file() else []


def markdown() -> str:
    """The table as the documentation shows it, the cheapest decoder first, multipliers last."""
    found = sorted(costs().values(), key=lambda each: (each.code in (MULTIPLIER, DSP), each.luts_for(RATES[-1])))
    multiplier = costs()[MULTIPLIER].luts
    lines = [
        "| code | weights a word | LUTs: 1 weight a cycle | 8 | 64 | a weight of 64 | of a multiplier "
        "| flip-flops | cycles | MHz |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for each in found:
        luts = [each.luts_for(rate) for rate in RATES]
        a_weight = luts[-1] / RATES[-1]
        cells = (
            each.code, each.weights, *(f"{value:,}" for value in luts),
            f"{a_weight:,.0f}", f"{100 * a_weight / multiplier:.0f} %",
            f"{each.flip_flops:,}", each.latency, each.fmax or "",
        )  # fmt: skip
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def main() -> None:
    """Synthesise the codes named, or all of them, and write the table; or print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("codes", nargs="*", default=SUBJECTS, help="names of storage codes, by default all")
    parser.add_argument("--yosys", default="yosys", help="the program")
    parser.add_argument("--nextpnr", help="nextpnr-ecp5, the program; without it the clock rates stay as they are")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="the table")
    parser.add_argument("--markdown", action="store_true", help="print the table for the documentation, and no more")
    chosen = parser.parse_args()
    if chosen.markdown:
        print(markdown())
        return
    for name in chosen.codes:
        for subject in subjects_of(name):
            write(chosen.output, measure(name, subject, chosen.yosys, chosen.nextpnr))
        if name == "plain":
            write(chosen.output, {"code": name, "weights": 1, "cycles": 1} | dict.fromkeys(COLUMNS[3:-1], 0))


if __name__ == "__main__":
    main()
