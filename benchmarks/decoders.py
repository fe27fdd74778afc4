"""What the decoders of storage codes cost: LUTs, flip-flops and latency, by Yosys for an UltraScale+ part.

Every decoder takes a stored word a cycle. Tables are those of 16,384 Laplacian weights of 8 bits, fitted to a bit
error rate of 1e-2. Writes ``hwflow/cost/decoders.csv``, from which ``hwflow advise`` and the documentation take theirs.
"""

import argparse
import csv
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np

import hwflow.cost.decoders
from hwflow.codes import Protection, Secded, StorageCode, Table, WordCode, storage_code
from hwflow.fixed import FixedType
from hwflow.rtl.decoders import word_latency, word_parameters
from hwflow.rtl.memory_image import label_tables, write_hex

ROOT = Path(__file__).resolve().parents[1]
RTL = ROOT / "hls_templates" / "rtl"
OUTPUT = Path(hwflow.cost.decoders.__file__).with_name(hwflow.cost.decoders.TABLE)
TYPE = FixedType(8, 3)
BER = "1e-2"
CODES = (
    "secded", "secded-null", "cosq",
    "bch32-21", "bch64-57", "bch64-51", "bch64-45", "bch64-39", "bch64-40-32",
    "bch128-92", "bch128-78", "bch128-64", "bch256-171", "bch256-155", "bch256-131", "bch256-99",
    "flip64-40-32", "flip128-80-64", "flip256-160-128-3-5", "flip512-352-256-3-5",
)  # fmt: skip


def code_of(name: str) -> StorageCode:
    """The code as it is fitted to Laplacian weights."""
    weights = np.random.default_rng(1).laplace(scale=0.5, size=(64, 256))
    protection = Protection.parse(name)
    if protection.ber is not None:
        protection = Protection.parse(f"{name}:{BER}")
    return storage_code(protection.fit(weights, TYPE).spec, TYPE)


def decoder_of(code: StorageCode, folder: Path) -> tuple[str, dict[str, object], int]:
    """The module that decodes a word, its parameters, and its latency."""
    match code:
        case Secded(on_double=policy):
            return "hwflow_decode_secded", {"W_W": 8, "ON_DOUBLE": int(policy == "pass")}, 2
        case WordCode():
            write_hex(folder / "table.mem", (label_tables(code) & 0xFF).tolist(), 8)
            values: dict[str, object] = {**word_parameters(code), "W_W": 8, "TABLE_FILE": '"table.mem"'}
            return "hwflow_decode_word", values, word_latency(code)
        case Table():
            write_hex(folder / "table.mem", (code.decoder & 0xFF).tolist(), 8)
            return "hwflow_decode_table", {"W_W": 8, "TABLE_FILE": '"table.mem"'}, 1
    raise SystemExit(f"no decoder of {type(code).__name__} in hardware")


def synthesise(name: str, yosys: str, family: str) -> dict[str, object]:
    """LUTs and flip-flops of the decoder of a code."""
    code = code_of(name)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        module, values, latency = decoder_of(code, folder)
        for file in RTL.glob("hwflow_de*.sv"):
            shutil.copy(file, folder)
        script = [
            "read_verilog -sv " + " ".join(sorted(file.name for file in folder.glob("*.sv"))),
            f"chparam {' '.join(f'-set {key} {value}' for key, value in values.items())} {module}",
            f"synth_xilinx -family {family} -noiopad -flatten -top {module}",
            "tee -q -o stat.json stat -json",
        ]
        start = time.monotonic()
        subprocess.run([yosys, "-q", "-p", "; ".join(script)], cwd=folder, check=True, stderr=subprocess.DEVNULL)
        cells = json.loads((folder / "stat.json").read_text())["design"]["num_cells_by_type"]
    luts = sum(count for cell, count in cells.items() if cell.startswith(("LUT", "INV", "SRL")))
    flip_flops = sum(count for cell, count in cells.items() if cell.startswith("FD"))
    print(f"{name}: {luts} LUTs, {flip_flops} flip-flops, {time.monotonic() - start:.0f} s of Yosys", flush=True)
    return {
        "code": name,
        "weights": code.weights_per_word,
        "luts": luts,
        "flip_flops": flip_flops,
        "latency": latency,
    }


def write(path: Path, rows: Iterable[dict[str, object]]) -> None:
    """Write the table; codes that were not synthesised anew keep their rows."""
    kept = {row["code"]: row for row in csv.DictReader(path.read_text().splitlines())} if path.is_file() else {}
    kept |= {str(row["code"]): row for row in rows}
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["code", "weights", "luts", "flip_flops", "latency"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(kept.values())


def main() -> None:
    """Synthesise the codes named, or all of them, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("codes", nargs="*", default=CODES, help="names of storage codes")
    parser.add_argument("--yosys", default="yosys", help="the program")
    parser.add_argument("--family", default="xcup", help="of synth_xilinx")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="the table")
    chosen = parser.parse_args()
    for name in chosen.codes:
        write(chosen.output, [synthesise(name, chosen.yosys, chosen.family)])


if __name__ == "__main__":
    main()
