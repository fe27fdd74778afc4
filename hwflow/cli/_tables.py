"""The tables that the commands print."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from hwflow.cli._console import print_line, print_table

if TYPE_CHECKING:
    from hwflow.demo import DemoResult
    from hwflow.design import Design
    from hwflow.doctor import Finding
    from hwflow.evaluation import Evaluation
    from hwflow.generation import LayerCost
    from hwflow.simulation import Comparison


def print_plan(design: Design) -> None:
    """Print the scale plan of a design and what it had to decide."""
    print_table(
        f"Scale plan of {design.graph.name}",
        ("layer", "weights", "max|W|", "c", "log2 S", "weight type", "accumulator", "output type"),
        (tuple(row.values()) for row in design.layers()),
    )
    plan = design.manifest["plan"]
    for rescale in plan["rescales"]:
        print_line(f"{rescale['name']}: x {rescale['factor']:.6g}")
    for note in plan["notes"]:
        print_line(f"note: {note}")


def print_layers(layers: Iterable[LayerCost]) -> None:
    """Print what every weight layer takes."""
    print_table(
        "Layers",
        ("layer", "reuse factor", "PE", "SIMD", "weight words", "bits a word", "BRAM kbit", "cycles an image"),
        (tuple(asdict(cost).values()) for cost in layers),
    )


def print_evaluation(title: str, result: Evaluation, faults: str) -> None:
    """Print accuracies; ``faults`` says what the faulted one is under."""
    rows = [("none", 0.0, result.clean)]
    if result.faulted is not None:
        rows.append((faults, sum(draw.flips for draw in result.draws) / len(result.draws), result.faulted))
    print_table(
        title,
        ("faults", "flips a round", "accuracy %", "std %", "rounds", "images"),
        (
            (name, flips, f"{accuracy.mean:.2f}", f"{accuracy.std:.2f}", accuracy.rounds, accuracy.images)
            for name, flips, accuracy in rows
        ),
    )


def print_comparisons(title: str, comparisons: Iterable[Comparison]) -> None:
    """Print executors against the reference."""
    print_table(
        title,
        ("executor", "faults", "flips", "images", "output codes", "differing codes", "cycles an image"),
        (each.row() for each in comparisons),
    )


def print_tools(findings: Sequence[Finding]) -> None:
    """Print what the doctor found."""
    print_table(
        "Tools",
        ("tool", "version", "needed for", "where or how to get it"),
        (
            (each.tool.name, each.version or each.status, each.tool.purpose, each.path or each.remedy)
            for each in findings
        ),
    )


def print_demo(result: DemoResult) -> None:
    """Print the tables of a demo."""
    images = result.float_accuracy.images
    print_table(
        f"Top-1 accuracy on {images} digits, mean ± standard deviation over the rounds",
        ("network", "weights", "BER", "with scaling", "without scaling", "rounds"),
        [
            ("Keras", "float32", "0", str(result.float_accuracy), str(result.float_accuracy), 1),
            ("hardened", "8 bits", "0", str(result.clean["scaled"]), str(result.clean["unscaled"]), 1),
            *(
                ("hardened", "8 bits", f"{ber:g}", str(row["scaled"]), str(row["unscaled"]), row["scaled"].rounds)
                for ber, row in result.faulted.items()
            ),
        ],
    )
    print_comparisons("Against the reference, bit for bit", result.comparisons)
    print_layers(result.layers)
    print_table(
        "Generated",
        ("what", "KiB", "where"),
        (
            ("design", result.sizes["design"] / 1024, str(result.path / "design")),
            ("firmware (Vitis HLS)", result.sizes["firmware"] / 1024, str(result.path / "project" / "firmware")),
            ("RTL", result.sizes["rtl"] / 1024, str(result.path / "project" / "rtl")),
        ),
    )
    print_line(
        f"RTL: {result.cycles_per_image:.0f} cycles an image, {result.stored_bits} weight bits in block RAM.  "
        f"This took {result.seconds:.0f} s."
    )
