"""The pictures of the README and of the documentation's first page, measured anew.

``docs/images/ber.svg``: accuracy of the embedded network against the bit error rate, with and without weight scaling,
and in a storage code. ``docs/images/method.svg``: what a flip of each bit does to a weight, stored as it is and scaled.
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

import hwflow
from hwflow.campaign import CampaignSpec, ModelSpec
from hwflow.report.looks import COLOURS, MARKERS

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 2e-2)
ROUNDS = 20
STYLE = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "hwflow",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "legend.frameon": False,
}


def save(name: str, size: tuple[float, float], paint: Callable[[Figure], None]) -> None:
    """Draw a figure of so many inches on white, so that it can be read in a dark page."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        paint(figure)
        figure.savefig(IMAGES / name, metadata={"Date": None, "Creator": None})


def measured(folder: Path) -> dict[str, list[tuple[float, float, float, float]]]:
    """Bit error rate, mean, and the ends of the interval, by way to store the weights."""
    found: dict[str, list[tuple[float, float, float, float]]] = {}
    ways = (
        ("without scaling", "none", "plain"),
        ("weight scaling", "optimal", "plain"),
        ("bch64-45", "optimal", "bch64-45"),
    )
    for number, (label, t, protection) in enumerate(ways):
        spec = CampaignSpec(
            models=(ModelSpec("digits_cnn"),), data="digits", formats=("ap_fixed<8,3>",), t=(t,),
            protections=(protection,), ber=RATES, rounds=ROUNDS, seed=1, executor="reference",
        )  # fmt: skip
        results = folder / f"{number}.sqlite"
        hwflow.run_campaign(spec, results)
        cells = hwflow.load_results(results).cells
        found[label] = [(c.cell.ber, c.summary.mean, c.summary.low, c.summary.high) for c in cells if c.cell.ber]
    return found


def paint_ber(figure: Figure, curves: dict[str, list[tuple[float, float, float, float]]]) -> None:
    """A curve for every way to store the weights, with 95 % intervals."""
    axes = figure.add_subplot()
    colours = {"without scaling": COLOURS[1], "weight scaling": COLOURS[0], "bch64-45": COLOURS[2]}
    for (label, points), marker in zip(curves.items(), MARKERS, strict=False):
        rates, means, lows, highs = zip(*points, strict=True)
        errors = [
            [m - low for m, low in zip(means, lows, strict=True)],
            [h - m for m, h in zip(means, highs, strict=True)],
        ]
        axes.errorbar(rates, means, errors, label=label, color=colours[label], marker=marker, markersize=4, capsize=2)
    axes.set_xscale("log")
    axes.set_xlabel("bit error rate of the weight memory")
    axes.set_ylabel("top-1 accuracy, %")
    axes.set_ylim(0, 103)
    axes.legend(loc="lower left")


def paint_method(figure: Figure) -> None:
    """Error of a weight of 0.11 by the bit that flips, in ap_fixed<8,3>; the layer's largest weight is 0.34."""
    type_ = hwflow.FixedType.parse("ap_fixed<8,3>")
    weight, largest = 0.11, 0.34
    axes = figure.add_subplot()
    for shift, (label, constant, colour) in enumerate(
        (
            ("stored as it is", 1.0, COLOURS[1]),
            (f"stored as c W, c = 3.94 / {largest} = {3.94 / largest:.1f}", 3.94 / largest, COLOURS[0]),
        )
    ):
        code = round(weight * constant * 2**type_.fraction)
        errors = []
        for bit in range(type_.width):
            flipped = (code ^ 1 << bit) & 0xFF
            value = (flipped - 256 if flipped > 127 else flipped) / 2**type_.fraction / constant
            errors.append(abs(value - weight))
        axes.bar([bit + 0.4 * (shift - 0.5) for bit in range(8)], errors, 0.38, label=label, color=colour)
    axes.axhline(largest, color="black", linewidth=0.8, linestyle="--")
    axes.annotate("largest weight of the layer", (0, largest), (0, 3), textcoords="offset points", fontsize=8)
    axes.set_yscale("log")
    axes.set_xticks(range(8), [*map(str, range(7)), "7, sign"])
    axes.set_xlabel("bit that flips")
    axes.set_ylabel("error of the weight")
    axes.legend(loc="upper left")


def main() -> None:
    """Measure, draw, and print the figures' values."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    IMAGES.mkdir(exist_ok=True)
    save("method.svg", (5.6, 3.2), paint_method)
    with tempfile.TemporaryDirectory() as folder:
        curves = measured(Path(folder))
    save("ber.svg", (5.6, 3.4), lambda figure: paint_ber(figure, curves))
    for label, points in curves.items():
        print(label, " ".join(f"{ber:g}: {mean:.2f} [{low:.2f}, {high:.2f}]" for ber, mean, low, high in points))


if __name__ == "__main__":
    main()
