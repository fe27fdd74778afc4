"""What the cells of the RTL take on an UltraScale+ part, by Yosys: a sweep of their parameters, and the coefficients of
the estimate that are fitted to it.

Writes ``hwflow/cost/leaves.csv``, and ``--fit`` the coefficients in ``hwflow/cost/coefficients.csv``, which is the
last step after cells have changed; ``--report`` prints how far the estimate is off, cell by cell.
"""

import argparse
import csv
import json
import random
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

import hwflow.cost.estimate as model
from hwflow.cost.area import Area
from hwflow.cost.synthesis import TOP, YOSYS, synthesise

ROOT = Path(__file__).resolve().parents[1]
RTL = ROOT / "hls_templates" / "rtl"
OUTPUT = Path(model.__file__).with_name(model.LEAVES)
COEFFICIENTS = Path(model.__file__).with_name(model.COEFFICIENTS)
COLUMNS = ("module", "parameters", "luts", "flip_flops", "dsp", "block_ram", "uram")
TYPES = ((16, 9, 1), (17, 11, 1), (16, 11, 0), (8, 4, 1), (8, 5, 0), (10, 3, 1))
"""Bits, fraction bits and sign."""


def typed(prefix: str, type_: tuple[int, int, int]) -> dict[str, int]:
    return dict(zip((f"{prefix}_W", f"{prefix}_FRAC", f"{prefix}_SIGNED"), type_, strict=True))


def outputs(type_: tuple[int, int, int], rounding: int = 2, overflow: int = 1) -> dict[str, int]:
    return {**typed("OUT", type_), "ROUNDING": rounding, "OVERFLOW": overflow}


def sweep() -> Iterator[tuple[str, dict[str, object]]]:
    """Cells with parameters as networks have them."""
    for width, depth in (
        (8, 5), (16, 20), (64, 5), (16, 64), (24, 100), (72, 512), (16, 1280), (64, 300), (8, 4000), (128, 24),
        (512, 100),
    ):  # fmt: skip
        yield "fifo", {"WIDTH": width, "DEPTH": depth}
    for width in (8, 16, 64, 128):
        yield "slice", {"WIDTH": width}
    for width, count in ((8, 2), (16, 2), (64, 2), (32, 3), (128, 2)):
        yield "fork", {"WIDTH": width, "N": count}
    for width, lanes_in, lanes_out in ((8, 1, 4), (16, 1, 16), (8, 4, 1), (16, 8, 1), (8, 2, 32), (10, 16, 2)):
        yield "width", {"W": width, "LANES_IN": lanes_in, "LANES_OUT": lanes_out}
    for lanes, source, target in (
        (1, 1, 2),
        (4, 1, 2),
        (8, 0, 4),
        (2, 3, 4),
        (1, 0, 2),
        (16, 5, 4),
        (4, 5, 5),
        (4, 1, 4),
        (8, 1, 0),
        (2, 0, 4),
        (1, 1, 3),
    ):
        yield "relu", {"LANES": lanes, **typed("IN", TYPES[source]), **outputs(TYPES[target])}
    for lanes, a, b, out in ((1, 0, 0, 1), (4, 0, 2, 1), (8, 3, 4, 3), (2, 5, 3, 0), (16, 3, 3, 3), (1, 1, 1, 3)):
        yield "add", {"LANES": lanes, **typed("A", TYPES[a]), **typed("B", TYPES[b]), **outputs(TYPES[out])}
    for op, lanes, a, b, out in (
        (1, 1, 0, 0, 1),
        (2, 4, 3, 4, 3),
        (2, 1, 0, 0, 1),
        (3, 8, 3, 3, 3),
        (3, 2, 0, 2, 0),
        (2, 2, 5, 3, 0),
        (3, 16, 4, 4, 4),
    ):
        types = {**typed("A", TYPES[a]), **typed("B", TYPES[b]), **outputs(TYPES[out])}
        yield "add", {"LANES": lanes, **types, "OP": op}
    for lanes, a, b, out in ((1, 0, 0, 1), (4, 3, 4, 3), (8, 3, 3, 3), (2, 0, 2, 0), (1, 1, 2, 1)):
        yield "multiply", {"LANES": lanes, **typed("A", TYPES[a]), **typed("B", TYPES[b]), **outputs(TYPES[out])}
    for lanes, beats, a, b, out in (
        (1, 16, 0, 2, 1),
        (4, 8, 3, 3, 3),
        (8, 2, 4, 4, 4),
        (2, 4, 0, 1, 0),
        (8, 5, 3, 4, 3),
    ):
        types = {**typed("A", TYPES[a]), **typed("B", TYPES[b]), **outputs(TYPES[out])}
        yield "concat", {"LANES": lanes, "A_BEATS": beats, "B_BEATS": beats // 2 + 1, **types}
    for width, lanes, beats, height, columns, crop, pad in (
        (8, 1, 1, 8, 8, 0, 1), (16, 4, 2, 28, 28, 0, 2), (8, 8, 8, 56, 56, 2, 0), (8, 16, 1, 1, 64, 0, 3),
        (10, 2, 3, 12, 20, 1, 1), (16, 1, 64, 32, 32, 3, 0),
    ):  # fmt: skip
        edges = {
            f"{kind}_{side}": n for kind, n in (("CROP", 0 if height == 1 else crop), ("PAD", pad)) for side in "TBLR"
        }
        yield "border", {"W": width, "LANES": lanes, "BEATS": beats, "IN_H": height, "IN_W_PX": columns, **edges}
    for width, lanes, beats, columns, rows, times in (
        (8, 1, 1, 8, 2, 2), (16, 4, 2, 28, 2, 2), (8, 8, 8, 28, 2, 2), (8, 16, 1, 14, 3, 3), (10, 2, 3, 64, 1, 4),
        (16, 1, 64, 32, 2, 2),
    ):  # fmt: skip
        shape = {"W": width, "LANES": lanes, "BEATS": beats, "IN_W_PX": columns}
        yield "repeat", {**shape, "ROWS": rows, "COLUMNS": times}
    for width, lanes, sizes, axes in (
        (8, 1, (8, 8, 3), (2, 0, 1)), (16, 4, (16, 16, 2), (1, 0, 2)), (8, 8, (1, 10, 1), (0, 2, 1)),
        (10, 1, (28, 28, 16), (2, 1, 0)), (16, 1, (1, 64, 40), (0, 2, 1)), (8, 2, (7, 3, 5), (1, 2, 0)),
    ):  # fmt: skip
        strides = (sizes[1] * sizes[2], sizes[2], 1)
        order = {f"SIZE_{i}": sizes[axis] for i, axis in enumerate(axes)}
        order |= {f"STRIDE_{i}": strides[axis] for i, axis in enumerate(axes)}
        yield "permute", {"W": width, "LANES": lanes, **order}
    for lanes, channels, source, bits, uniform in (
        (1, 10, (29, 15, 1), 16, 0),
        (4, 16, TYPES[0], 8, 0),
        (1, 64, TYPES[4], 8, 0),
        (2, 10, (31, 11, 1), 16, 0),
        (1, 10, (28, 17, 1), 16, 1),
        (8, 64, TYPES[0], 16, 1),
        (4, 64, (24, 12, 1), 16, 1),
    ):
        count = 1 if uniform else channels
        word = random.Random(channels).getrandbits(bits * count) | 1
        literal = f"{bits * count}'h{word:x}"
        shape = {"LANES": lanes, "CHANNELS": channels, "M_W": bits, "M_FRAC": bits - 2, "M": literal}
        yield "rescale", {**shape, "UNIFORM": uniform, **typed("IN", source), **outputs(TYPES[0])}
    for lanes, source, index, out in (
        (1, TYPES[0], (12, 8, 1), 16),
        (4, TYPES[0], (12, 6, 1), 16),
        (2, TYPES[0], (10, 6, 1), 16),
        (1, TYPES[3], TYPES[3], 8),
        (8, TYPES[4], TYPES[4], 8),
        (4, (12, 8, 1), (12, 8, 1), 12),
        (1, TYPES[2], (13, 11, 0), 16),
        (2, TYPES[3], TYPES[3], 16),
        (2, TYPES[0], (8, 6, 1), 8),
        (16, TYPES[4], TYPES[4], 8),
    ):
        modes = {"ROUNDING": 2, "OVERFLOW": 1}
        types = {**typed("IN", source), **typed("INDEX", index), **modes, "OUT_W": out}
        yield "lookup", {"LANES": lanes, **types, "TABLE_FILE": '"table.mem"'}
    for lanes, channels, source, bits, uniform, threshold in (
        (1, 10, TYPES[0], 18, 1, 0),
        (8, 64, TYPES[0], 18, 1, 0),
        (4, 16, TYPES[0], 18, 0, 0),
        (1, 64, TYPES[3], 12, 0, 0),
        (4, 64, TYPES[3], 18, 1, 0),
        (2, 64, TYPES[0], 18, 0, 0),
        (2, 16, TYPES[0], 18, 1, 100),
    ):
        count = 1 if uniform else channels
        slopes = random.Random(channels)
        word = sum(slopes.getrandbits(bits - 2) << (i * bits) for i in range(count))
        shape = {"LANES": lanes, "CHANNELS": channels, "THRESHOLD": threshold, "M_W": bits, "M_FRAC": bits - 2}
        literal = f"{bits * count}'h{word:x}"
        types = {**typed("IN", source), **outputs(TYPES[0] if source[0] == 16 else TYPES[3])}
        yield "leaky", {**shape, "M": literal, "UNIFORM": uniform, **types}
    for pe, x, acc in ((1, TYPES[0], 28), (4, TYPES[0], 28), (8, TYPES[4], 20), (2, TYPES[2], 28)):
        widths = {"X_W": x[0], "X_SIGNED": x[2], "W_W": 8, "ACC_W": acc, "ACC_FRAC": x[1] + 7, "B_W": 16, "B_SHIFT": 1}
        yield "affine", {"PE": pe, **widths, **outputs(TYPES[1])}
    for pe, channels, positions, multiplier, x, acc in (
        (1, 8, 9, 1, TYPES[0], 28), (4, 16, 9, 1, TYPES[2], 29), (8, 8, 9, 1, TYPES[4], 21),
        (8, 64, 9, 1, TYPES[4], 21), (2, 128, 25, 1, TYPES[2], 30), (16, 32, 9, 1, TYPES[3], 22),
        (4, 8, 9, 2, TYPES[0], 28), (1, 64, 9, 1, TYPES[0], 28),
    ):  # fmt: skip
        shape = {"PE": pe, "CHANNELS": channels, "POSITIONS": positions, "MULTIPLIER": multiplier}
        widths = {"X_W": x[0], "X_SIGNED": x[2], "W_W": 8, "ACC_W": acc, "ACC_FRAC": x[1] + 7, "B_W": 16, "B_SHIFT": 1}
        yield "depthwise", {**shape, **widths, **outputs(TYPES[1] if x[0] == 16 else TYPES[3])}
    for pe, simd, n_in, n_out, x, acc in (
        (8, 1, 9, 8, TYPES[0], 28), (4, 1, 27, 16, TYPES[0], 29), (1, 8, 144, 32, TYPES[2], 32),
        (1, 1, 64, 10, TYPES[2], 30), (2, 4, 36, 8, TYPES[4], 22), (8, 16, 144, 16, TYPES[4], 24),
        (4, 8, 64, 64, TYPES[3], 23), (16, 4, 64, 16, TYPES[0], 30), (1, 32, 288, 64, TYPES[4], 26),
        (2, 2, 128, 10, TYPES[2], 32), (8, 3, 27, 16, TYPES[3], 21), (1, 16, 576, 64, TYPES[2], 34),
    ):  # fmt: skip
        folds = {"PE": pe, "SIMD": simd, "N_IN": n_in, "N_OUT": n_out}
        widths = {"X_W": x[0], "X_SIGNED": x[2], "W_W": 8, "ACC_W": acc, "ACC_FRAC": x[1] + 7, "B_W": 16, "B_SHIFT": 5}
        yield "mvu", {**folds, **widths, **outputs(TYPES[1] if x[0] == 16 else TYPES[3])}
    for mode, lanes, channels, positions, source, shift in (
        (0, 8, 8, 4, TYPES[2], 0), (0, 1, 16, 4, TYPES[4], 0), (0, 4, 64, 9, TYPES[3], 0),
        (0, 2, 64, 9, TYPES[2], 0),
        (1, 1, 16, 4, TYPES[2], 2), (1, 1, 64, 64, TYPES[2], 6), (1, 4, 512, 49, TYPES[4], 6),
        (1, 2, 32, 9, TYPES[0], 4),
        (2, 1, 1, 10, TYPES[2], 0), (2, 1, 1, 100, TYPES[0], 0), (2, 4, 16, 9, TYPES[4], 0),
    ):  # fmt: skip
        accumulator = {"ACC_W": source[0] + shift + 8, "ACC_SHIFT": shift} if mode == 1 else {}
        types = {**typed("IN", source), **outputs(TYPES[0] if source[0] == 16 else TYPES[4])}
        yield (
            "pool",
            {"MODE": mode, "LANES": lanes, "CHANNELS": channels, "POSITIONS": positions, **types, **accumulator},
        )
    for lanes, channels, size, kernel, source, shift in (
        (1, 16, 8, 3, TYPES[2], 4), (2, 32, 28, 2, TYPES[0], 2), (4, 64, 14, 3, TYPES[4], 4), (1, 8, 7, 5, TYPES[3], 5),
    ):  # fmt: skip
        window = {"K_H": kernel, "K_W": kernel, "PAD_T": kernel // 2, "PAD_L": kernel // 2}
        sizes = {
            "EDGES": 1,
            "IN_H": size,
            "IN_W_PX": size,
            "OUT_H": size,
            "OUT_W_PX": size,
            "STRIDE_H": 1,
            "STRIDE_W": 1,
        }
        types = {**typed("IN", source), **outputs(TYPES[0] if source[0] == 16 else TYPES[4])}
        fold = {"MODE": 1, "LANES": lanes, "CHANNELS": channels, "POSITIONS": kernel * kernel}
        yield "pool", {**fold, **types, "ACC_W": source[0] + shift + 8, "ACC_SHIFT": shift, **sizes, **window}
    for width, lanes, channels, size, kernel, stride, pad in (
        (16, 1, 1, 8, 3, 1, 1), (16, 1, 3, 32, 3, 1, 1), (16, 8, 16, 32, 3, 2, 1), (8, 4, 64, 56, 3, 1, 1),
        (8, 1, 3, 224, 7, 2, 3), (8, 16, 256, 14, 3, 1, 1), (16, 2, 32, 16, 2, 2, 0), (8, 8, 64, 28, 1, 2, 0),
    ):  # fmt: skip
        sizes = {"IN_H": size, "IN_W_PX": size, "K_H": kernel, "K_W": kernel, "STRIDE_H": stride, "STRIDE_W": stride}
        pads = {f"PAD_{side}": pad for side in "TBLR"}
        rows = {"PAD_VALUE": f"{width}'h0", "BUF_ROWS": min(kernel, size) + min(kernel, stride)}
        yield "window", {"W": width, "LANES": lanes, "CHANNELS": channels, **sizes, **pads, **rows}
    for width, channels, positions, size, kernel, stride, pad in (
        (16, 1, 3, 28, 3, 1, 1), (8, 3, 3, 32, 3, 1, 1), (8, 3, 9, 32, 3, 1, 1), (8, 16, 9, 32, 3, 2, 1),
        (8, 3, 7, 224, 7, 2, 3), (16, 4, 4, 16, 2, 2, 0), (8, 8, 3, 224, 3, 1, 1),
    ):  # fmt: skip
        sizes = {"IN_H": size, "IN_W_PX": size, "K_H": kernel, "K_W": kernel, "STRIDE_H": stride, "STRIDE_W": stride}
        pads = {f"PAD_{side}": pad for side in "TBLR"}
        rows = {"PAD_VALUE": f"{width}'h0", "BUF_ROWS": min(kernel, size) + min(kernel, stride)}
        shape = {"W": width, "LANES": channels, "CHANNELS": channels, "POSITIONS": positions}
        yield "window", {**shape, **sizes, **pads, **rows}
    for code, pe, simd, n_in, n_out in (
        (0, 8, 1, 9, 8), (0, 4, 1, 27, 16), (0, 1, 8, 144, 32), (0, 8, 16, 144, 64), (0, 2, 4, 64, 64),
        (0, 1, 1, 64, 10),
        (0, 1, 32, 288, 64), (0, 4, 8, 576, 64), (1, 1, 8, 144, 32), (1, 4, 8, 144, 64), (1, 1, 1, 576, 64),
        (1, 2, 16, 288, 64),
    ):  # fmt: skip
        folds = {"PE": pe, "SIMD": simd, "N_IN": n_in, "N_OUT": n_out}
        code_of = {"CODE": code, "ON_DOUBLE": 0} if code else {}
        yield "weights", {**folds, "W_W": 8, "B_W": 16, **code_of, "BIAS_FILE": '"bias.mem"'}
    for style, pe, simd, n_in, n_out in (
        ("ultra", 1, 18, 576, 64), ("ultra", 3, 3, 288, 96),
        ("distributed", 4, 8, 64, 64), ("distributed", 2, 8, 64, 64),
    ):  # fmt: skip
        folds = {"PE": pe, "SIMD": simd, "N_IN": n_in, "N_OUT": n_out}
        yield "weights", {**folds, "W_W": 8, "B_W": 16, "MEM_STYLE": f'"{style}"', "BIAS_FILE": '"bias.mem"'}
    for bits, beats in ((8, 64), (16, 784), (24, 1024), (64, 50176), (16, 10)):
        yield "guard", {"WIDTH": bits, "BEATS": beats}
        yield "results", {"WIDTH": bits, "BEATS": beats}
    for address in (8, 12, 16, 20, 24):
        yield "axil", {"ADDR_W": address}
        yield "control", {"ADDR_W": address, "STRUCTURE": "64'h0123456789abcdef", "DESIGN": "64'hfedcba9876543210"}
    for address, bits, depth in (
        (10, 8, 72), (10, 16, 10), (16, 64, 576), (18, 72, 1024), (14, 144, 512), (20, 256, 1152), (16, 1024, 128),
        (12, 128, 36), (12, 16, 40), (24, 32, 300),
    ):  # fmt: skip
        yield "cfg_mem", {"ADDR_W": address, "BASE": 0, "WIDTH": bits, "DEPTH": depth}
    for address, flags in ((12, 1), (16, 2), (16, 4), (14, 8), (20, 16)):
        yield "cfg_errors", {"ADDR_W": address, "BASE": 64, "FLAGS": flags}


def measure(module: str, points: list[dict[str, object]], rtl: Path, yosys: str) -> list[Area]:
    """Resources of a cell with several sets of parameters, in one run."""
    with tempfile.TemporaryDirectory() as made:
        work, instances, words = Path(made), [], random.Random(1)
        for number, point in enumerate(points):
            values = dict(point)
            if "BIAS_FILE" in values:
                values["BIAS_FILE"] = f'"bias{number}.mem"'
                depth, bits = int(str(values["N_OUT"])) // int(str(values["PE"])), int(str(values["PE"])) * 16
                lines = "\n".join(f"{words.getrandbits(bits):x}" for _ in range(depth))
                (work / f"bias{number}.mem").write_text(lines + "\n")
            if "TABLE_FILE" in values:
                values["TABLE_FILE"] = f'"table{number}.mem"'
                entries = (
                    words.getrandbits(int(str(values["OUT_W"]))) for _ in range(1 << int(str(values["INDEX_W"])))
                )
                (work / f"table{number}.mem").write_text("".join(f"{entry:x}\n" for entry in entries))
            text = ", ".join(f".{name}({value})" for name, value in values.items())
            instances.append(f"(* keep *) hwflow_{module} #({text}) u{number} ();")
        (work / "sweep.sv").write_text("module sweep;\n" + "\n".join(instances) + "\nendmodule\n")
        sources = [*sorted(rtl.glob("*.sv")), work / "sweep.sv"]
        areas = synthesise(sources, "sweep", [f"hwflow_{module}"], work, yosys=yosys)
        assert areas.pop(TOP) == Area()
        return [areas[f"u{number}"] for number in range(len(points))]


def rows(areas: Mapping[tuple[str, str], Area]) -> Iterator[tuple[object, ...]]:
    for (module, parameters), area in areas.items():
        numbers = (area.luts, area.flip_flops, area.dsp, area.block_ram, area.uram)
        yield module, parameters, *(f"{number:g}" for number in numbers)


def fit() -> None:
    """Coefficients with the least sum of squared relative errors, none of them negative."""
    leaves = model.leaves()
    with COEFFICIENTS.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("module", "resource", "feature", "coefficient"))
        for module in sorted({leaf.module for leaf in leaves}):
            mine = [leaf for leaf in leaves if leaf.module == module]
            for resource in ("luts", "flip_flops"):
                models = [model.cell_model(module, leaf.parameters) for leaf in mine]
                features: list[dict[str, float]] = [getattr(each, resource) for each in models]
                names = list(features[0])
                wanted = np.array([getattr(leaf.area, resource) for leaf in mine], float)
                fixed = np.array([getattr(each.fixed, resource) for each in models], float)
                table = np.array([[each[name] for name in names] for each in features], float)
                weight = 1 / np.maximum(wanted, 20)
                found = nonnegative(table * weight[:, None], (wanted - fixed) * weight)
                for name, value in zip(names, found, strict=True):
                    writer.writerow((module, resource, name, f"{value:.4g}"))


def nonnegative(table: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Least squares without negative coefficients: those that would be are left out, the worst first."""
    kept = list(range(table.shape[1]))
    while True:
        found = np.linalg.lstsq(table[:, kept], wanted, rcond=None)[0]
        if found.min() >= 0:
            break
        kept.pop(int(found.argmin()))
    every = np.zeros(table.shape[1])
    every[kept] = found
    return every


def report() -> None:
    """How far the estimate is off, row by row."""
    for leaf in model.leaves():
        estimated = model.estimate(leaf.module, leaf.parameters)
        cells = []
        for resource in ("luts", "flip_flops", "dsp", "block_ram"):
            true, said = getattr(leaf.area, resource), getattr(estimated, resource)
            cells.append(
                f"{resource} {true:g} {said:.4g} ({(said - true) / true:+.0%})" if true else f"{resource} 0 {said:.3g}"
            )
        print(leaf.module, " ".join(f"{cell:32}" for cell in cells), json.dumps(leaf.parameters)[:90])


def main() -> None:
    """Measure the cells named, or all of them; or fit; or report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", help="names of cells without hwflow_, by default all")
    parser.add_argument("--yosys", default=YOSYS, help="the program")
    parser.add_argument("--rtl", type=Path, default=RTL, help="folder of the cells")
    parser.add_argument("--fit", action="store_true", help="fit the coefficients to the table")
    parser.add_argument("--report", action="store_true", help="print the estimate beside the table")
    chosen = parser.parse_args()
    if chosen.fit:
        fit()
    if chosen.report:
        report()
    if chosen.fit or chosen.report:
        return
    known = {(leaf.module, leaf.text): leaf.area for leaf in model.leaves()} if OUTPUT.is_file() else {}
    order = [(module, json.dumps(point)) for module, point in sweep()]
    for module in dict.fromkeys(module for module, _ in order):
        if chosen.modules and module not in chosen.modules:
            continue
        points = [point for name, point in sweep() if name == module]
        for point, area in zip(points, measure(module, points, chosen.rtl, chosen.yosys), strict=True):
            known[module, json.dumps(point)] = area
        with OUTPUT.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows(rows({key: known[key] for key in order if key in known}))
        print(module, flush=True)


if __name__ == "__main__":
    main()
