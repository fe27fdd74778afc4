"""The tables that the commands print."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, astuple
from typing import TYPE_CHECKING, Any

from hwflow.cli._console import print_line, print_table

if TYPE_CHECKING:
    from hwflow.cost.layers import LayerCost
    from hwflow.doctor import Finding
    from hwflow.folders.design import Design
    from hwflow.stages.comparison import Compared
    from hwflow.stages.demo import DemoResult
    from hwflow.stages.deviation import Deviations
    from hwflow.stages.evaluate import Evaluation
    from hwflow.stages.input_range import InputRange
    from hwflow.stages.upsets import StateUpsets


MANY = 12
"""How many lines of one kind are printed before they are summed up."""


def print_plan(design: Design, chosen: bool = True) -> None:
    """Print the scale plan of a design and what it had to decide."""
    rows = design.layers()
    plan = design.manifest["plan"]
    sparse = ("outliers", "side bits") if plan["outliers"] else ()
    print_table(
        f"Scale plan of {design.graph.name}: {len(rows)} layers, {sum(row['weights'] for row in rows)} weights "
        f"in {design.manifest['options']['weights']}",
        ("layer", "weights", "max|W|", "c", "log2 S", "bits used", "error %", "alignment", *sparse),
        (
            (
                row["name"],
                row["weights"],
                row["max_abs"],
                _span(row["c"], row["c_largest"]),
                f"{row['log2_scale']:.2f}",
                row["bits_used"],
                f"{100 * row['quantisation_error']:.2f}",
                f"{row['alignment']:.3f}",
                *(row[name.replace(" ", "_")] for name in sparse),
            )
            for row in rows
        ),
        spare=("log2 S", "bits used", "alignment", "outliers"),
    )
    if sparse:
        print_line(f"side memory: {plan['side_bits']} bits for {plan['outliers']} outliers, not reached by faults")
    if design.manifest["options"]["storage"] != "plain":
        _print_storage(design)
    _print_rescales(plan["rescales"])
    for note in plan["notes"][:MANY]:
        print_line(f"note: {note}")
    if len(plan["notes"]) > MANY:
        print_line(f"note: {len(plan['notes']) - MANY} more in {design.path}/design.json")
    calibration = design.manifest["calibration"]
    how = f", preprocessing {calibration['preprocessing']}" if calibration["preprocessing"] else ""
    print_line(f"calibration: {calibration['images']} images of {calibration['data']}{how}")
    if how and not chosen:
        print_line(
            "note: that preprocessing is a guess by the images' size; --preprocessing says what was trained with"
        )
    tried = calibration["images"] + len(calibration["unreadable"])
    _print_unreadable([(each["path"], each["reason"]) for each in calibration["unreadable"]], tried)
    _print_check(design.manifest["check"])


def _print_storage(design: Design) -> None:
    """Print what the storage code takes, and what the weights lose to it."""
    from hwflow.codes.protection import Loss
    from hwflow.memory import memories

    bits = sum(memory.total_bits for memory in memories(design.graph))
    weights = sum(layer.weight.size for layer in design.graph.weight_layers)
    code = design.manifest["options"]["storage"]
    print_line(
        f"stored in {code}: {bits} bits, {bits / weights:.2f} a weight with check bits and what rows leave empty"
    )
    losses = [Loss(**{key: value for key, value in row.items() if key != "name"}) for row in design.manifest["storage"]]
    if losses:
        loss = Loss.sum(losses)
        print_line(
            f"{code} has fewer values than {design.manifest['options']['weights']}: {loss.moved} of {loss.weights} "
            f"weights ({100 * loss.moved / loss.weights:.0f} %) take another than the nearest; root mean square error "
            f"{math.sqrt(loss.square):.2f} LSB, {math.sqrt(loss.rounding):.2f} LSB without the code"
        )


def _print_check(check: Mapping[str, Any]) -> None:
    """Print how well the hardened network agrees with the Keras model."""
    print_line(
        f"against Keras, {check['images']} images: same largest output {check['same_class']:.2f} %; outputs differ by "
        f"{check['largest_error']:.3g} at most, {check['mean_error']:.2g} on average, of a range of "
        f"{check['output_range']:.3g}; before scaling by {check['unscaled_error']:.1g} of a layer's range at most"
    )
    if check["warning"]:
        print_line(f"warning: {check['warning']}")


def _print_rescales(rescales: Sequence[Mapping[str, Any]]) -> None:
    """Print the constant multipliers; those that only move a binary point are counted."""
    import numpy as np

    factors = {each["name"]: np.atleast_1d(each["factor"]) for each in rescales}
    multipliers = {name: factor for name, factor in factors.items() if (np.frexp(factor)[0] != 0.5).any()}
    moves = len(factors) - len(multipliers)
    if moves:
        print_line(f"{moves} alignments by a move of the binary point, which costs nothing")
    for name, factor in list(multipliers.items())[:MANY]:
        several = f" ({factor.size} constants)" if factor.size > 1 else ""
        print_line(f"multiplier {name}: x {_span(factor.min(), factor.max())}{several}")
    if len(multipliers) > MANY:
        print_line(f"and {len(multipliers) - MANY} more multipliers, in design.json")


def _print_unreadable(unreadable: Sequence[tuple[str, str]], tried: int) -> None:
    """Name the images that do not count."""
    if unreadable:
        print_line(f"unreadable: {len(unreadable)} of {tried} images cannot be decoded and do not count")
    for path, reason in unreadable[:MANY]:
        print_line(f"  {path} ({reason})")
    if len(unreadable) > MANY:
        print_line(f"  and {len(unreadable) - MANY} more; --json lists all of them")


def _span(smallest: float, largest: float) -> str:
    return f"{smallest:.4g}" if smallest == largest else f"{smallest:.4g} .. {largest:.4g}"


def print_layers(layers: Iterable[LayerCost]) -> None:
    """Print what every weight layer takes."""
    rows = [asdict(cost) for cost in layers]
    columns = {
        "layer": "name", "reuse factor": "reuse_factor", "PE": "pe", "SIMD": "simd", "weight words": "words",
        "bits a word": "word_bits", "BRAM kbit": "bram_kbit", "busy cycles": "cycles_per_image",
    }  # fmt: skip
    sparse = {"outliers": "outliers", "kept": "kept", "side bits": "side_bits"}
    columns |= {name: key for name, key in sparse.items() if any(row[key] for row in rows)}
    print_table(
        "Layers",
        tuple(columns),
        (tuple(row[key] for key in columns.values()) for row in rows),
        spare=("BRAM kbit", "side bits", "outliers", "kept", "SIMD", "PE"),
    )


def print_pace(pace: Mapping[str, float] | None, rate: float | None, clock: float | None) -> None:
    """Print how fast the RTL is, and whether that is the rate (images a second, at a clock in MHz) asked for."""
    if pace is None:
        if rate is not None:
            print_line("whether the rate is reached is not known: the RTL's cycles are not")
        return
    between = pace["image_to_image"]
    print_line(f"RTL: {between:,.0f} cycles from image to image; about {pace['one_image']:,} for one image alone")
    if rate is not None and clock is not None:
        reached = clock * 1e6 / between
        verdict = (
            "reached" if reached >= rate else f"NOT reached, which takes {math.ceil(rate * between / 1e4) / 100:g} MHz"
        )
        print_line(f"rate: {_per_second(reached)} at {clock:g} MHz, {_per_second(rate)} asked for: {verdict}")


def _per_second(rate: float) -> str:
    return f"{rate:,.0f} images/s" if rate >= 100 else f"{rate:.3g} images/s"


def print_area(area: Mapping[str, Any]) -> None:
    """Print what every layer takes of an FPGA, by the estimate and, where it ran, by Yosys."""
    if not area:
        return
    estimate, synthesis = area["estimate"], area.get("synthesis")
    names = ("luts", "flip_flops", "dsp", "block_ram", "uram")
    sources = [estimate] if synthesis is None else [estimate, synthesis]
    layers = dict.fromkeys(layer for source in sources for layer in source["layers"])

    def cells(layer: str | None) -> list[str]:
        rows = [source["total"] if layer is None else source["layers"].get(layer, {}) for source in sources]
        return [" / ".join(f"{row.get(name, 0):,g}" for row in rows) for name in names]

    print_table(
        "Estimate" if synthesis is None else f"Estimate / Yosys for {synthesis['family']}",
        ("layer", "LUTs", "flip-flops", "DSPs", "RAMB36", "URAM", "weights in"),
        [*((layer, *cells(layer), area["weights"].get(layer, "")) for layer in layers), ("total", *cells(None), "")],
        spare=("weights in", "URAM", "flip-flops"),
    )


def print_evaluation(title: str, result: Evaluation, faults: str) -> None:
    """Print accuracies; ``faults`` says what the faulted one is under."""
    rows = [("none", 0.0, result.clean, result.clean_top5)]
    if result.faulted is not None:
        flips = sum(draw.flips for draw in result.draws) / len(result.draws)
        rows.append((faults, flips, result.faulted, result.faulted_top5))
    top5 = ("top-5 %", "std %") if result.clean_top5 else ()
    print_table(
        title,
        ("faults", "flips a round", "top-1 %", "std %", *top5, "rounds", "images"),
        (
            (
                name,
                _mean(flips),
                *(f"{value:.2f}" for each in (top1, top5) if each for value in (each.mean, each.std)),
                top1.rounds,
                top1.images,
            )
            for name, flips, top1, top5 in rows
        ),
        spare=("flips a round", "images"),
    )
    if result.draws:
        corrected, detected, silent = (count / len(result.draws) for count in astuple(result.words))
        print_line(
            f"words hit, a round: {corrected:.1f} corrected, {detected:.1f} detected (DUE), {silent:.1f} silent (SDC)"
        )
    if result.engine is not None and "NumPy" in result.engine:  # else it is fast, and there is nothing to do
        print_line(f"reference: {result.engine}")
    unreadable = [(str(each.path), each.reason) for each in result.unreadable]
    _print_unreadable(unreadable, result.clean.images + len(unreadable))
    print_inputs(result.inputs)


def print_deviations(title: str, result: Deviations, faults: str) -> None:
    """Print how far outputs are from the Keras model's; ``faults`` says what the faulted ones are under."""
    rows = [("none", 0.0, result.clean)]
    if result.faulted is not None:
        rows.append((faults, sum(draw.flips for draw in result.draws) / len(result.draws), result.faulted))
    print_table(
        title,
        ("faults", "flips a round", "root mean square", "std", "% of the outputs' std", "rounds", "images"),
        (
            (name, _mean(flips), f"{each.rms:.4g}", f"{each.std:.2g}", f"{each.relative:.2f}", each.rounds, each.images)
            for name, flips, each in rows
        ),
        spare=("flips a round", "images"),
    )


def print_inputs(inputs: InputRange | None) -> None:
    """Warn of images that are not like those of the calibration."""
    warning = None if inputs is None else inputs.warning()
    if warning is not None:
        print_line(f"warning: {warning}")


def print_compared(title: str, compared: Compared) -> None:
    """Print, condition by condition, how every executor classifies and which codes differ from the reference."""
    cycles = {(each.executor, each.faults): each.cycles_per_image for each in compared.comparisons}
    rtl = compared.comparisons[0].executor
    shown = {
        "keras": "Keras, float",
        "reference_logits": "reference, logits",
        "rtl": f"RTL, {rtl}",
        "firmware": "firmware, behavioural",
    }
    if not compared.accuracy:
        print_table(
            title,
            ("executor", "faults", "flips", "images", "output codes", "differing codes", "cycles an image"),
            (
                (shown.get(each.executor, each.executor), each.faults, each.flips, each.images, each.output_codes,
                 each.differing_codes, _rounded(each.cycles_per_image))
                for each in compared.comparisons
            ),
            spare=("flips", "images"),
        )  # fmt: skip
        return
    rows = [
        (index, shown.get(name, name), score, cycles.get((rtl if name == "rtl" else name, score.faults)))
        for name, accuracy in compared.accuracy.items()
        for index, score in enumerate(accuracy.conditions)
    ]
    print_table(
        title,
        ("faults", "flips", "executor", "images", "top-1 %", "Keras' class %", "differing codes", "cycles an image"),
        (
            (
                score.faults,
                score.flips,
                name,
                score.images,
                None if score.top1 is None else f"{score.top1:.2f}",
                f"{score.agreement:.2f}",
                score.differing_codes,
                _rounded(each_cycles),
            )
            for _, name, score, each_cycles in sorted(rows, key=lambda row: row[0])
        ),
        spare=("images", "flips"),
    )
    faulted = {shown.get(name, name): each.faulted for name, each in compared.accuracy.items()}
    means = [f"{name} {each}" for name, each in faulted.items() if each is not None and each.rounds > 1]
    if means:
        rounds = len(compared.accuracy["reference"].conditions) - 1
        print_line(f"top-1 over {rounds} fault lists: {'; '.join(means)}")


def print_upset(compared: Compared) -> None:
    """Say which images an upset in mid-run left to be compared, and with what."""
    for each in compared.comparisons:
        if each.images_inside is not None:
            print_line(
                f"{each.faults}: {each.images_before} images had left the design and are compared with the "
                f"fault-free reference, {each.images_after} began later and are compared with the faulted one; "
                f"{each.images_inside} were inside and are not compared"
            )
            return


def print_state_upsets(title: str, result: StateUpsets) -> None:
    """Print what upsets of registers did, by the cell that they were in, and how often."""
    rows = [row for row in result.cells() if row["upsets"]]
    print_table(title, tuple(rows[0]), (tuple(row.values()) for row in rows), spare=("kind", "bits"))
    shares, runs = {**result.outcomes, "recovered, of those not masked": result.recovered}, result.measured
    print_table(
        f"{len(result.trials)} upsets before edges {runs.first} to {runs.last}, in runs of {runs.per_run} images and "
        f"{runs.run_cycles} cycles",
        ("worst image", "upsets", "of", "%", "95 % interval"),
        (
            (
                name,
                share.hits,
                share.count,
                None if share.percent is None else f"{share.percent:.2f}",
                f"{share.low:.2f} to {share.high:.2f}",
            )
            for name, share in shares.items()
        ),
    )


def _mean(flips: float) -> str:
    return f"{flips:.1f}" if flips else "0"


def _rounded(value: float | None) -> int | None:
    return None if value is None else round(value)


def print_tools(findings: Sequence[Finding], kernels: str) -> None:
    """Print what the doctor found, and the reference's kernels."""
    print_table(
        "Tools",
        ("tool", "version", "needed for", "where"),
        ((each.tool.name, each.version or each.status, each.tool.purpose, each.path or "") for each in findings),
        spare=("where",),
    )
    for each in findings:
        if not each.found:
            print_line(f"to get {each.tool.name}: {each.remedy}")
    print_line(f"kernels of the reference: {kernels}")


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
    print_compared(
        "The executors on the same images: top-1, the same largest class as Keras, codes that differ",
        result.compared,
    )
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
