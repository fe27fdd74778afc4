"""The numbers of a report."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from hwflow.campaign.export import CellResult, Results, protection_pairs
from hwflow.campaign.plan import Labels
from hwflow.campaign.records import Damage
from hwflow.campaign.run import input_ranges, plan_of
from hwflow.campaign.statistics import PAIRED_INTERVAL, described
from hwflow.float_study import weight_format
from hwflow.report.ways import answers, way_rows


def to_json(results: Results) -> dict[str, Any]:
    """Everything that the page says, as JSON data."""
    head = results.head
    return {
        "made_with": {"hwflow": head["hwflow"], "versions": head["versions"]},
        "spec": head["spec"],
        "stopping": head["stopping"],
        "float": head["float"],
        "interval": {**described(head["stopping"]["interval"]), "comparison": PAIRED_INTERVAL},
        "hashes": head["hashes"],
        "engines": [{"engine": engine, "trials": trials} for engine, trials in results.engines.items()],
        "inputs": head["inputs"],
        "warnings": warnings(results),
        "damaged": [asdict(each) for each in results.damaged],
        "complete": len(results.cells) == len(head["plan"]) and all(each.complete for each in results.cells),
        "not_reached": sum(each.reached is False for each in results.cells if each.complete),
        "answers": answers(results),
        "ways": way_rows(results),
        "cells": [cell_row(each, results.labels) for each in results.cells],
        "comparisons": [
            {
                "model": each.first.model,
                "format": each.first.format,
                "ber": each.first.ber,
                "first": results.labels(each.first),
                "second": results.labels(each.second),
                "difference": each.paired.difference,
                "low": each.paired.low,
                "high": each.paired.high,
                "p": each.paired.p,
                "rounds": each.paired.rounds,
            }
            for each in protection_pairs(results)
        ],
        "layers": scale_rows(head),
    }


def cell_row(each: CellResult, labels: Labels) -> dict[str, Any]:
    """A cell: its coordinates and the accuracy, percent."""
    cell, summary = each.cell, each.summary
    return {
        "model": cell.model,
        "format": cell.format,
        "protection": labels(cell),
        "design": cell.design,
        "t": cell.target,
        "storage": cell.protection,
        "granularity": cell.granularity,
        "outliers": cell.outliers,
        "protect_top": cell.protect_top,
        "align": cell.align,
        "compensation": cell.compensation,
        "activation_bits": cell.activation_bits,
        "ber": cell.ber,
        "layer": cell.layer,
        "bit": cell.bit,
        "mean": summary.mean,
        "std": summary.std,
        "low": summary.low,
        "high": summary.high,
        "rounds": summary.rounds,
        "images": each.trials[0].images,
        "flips": sum(trial.flips for trial in each.trials) / len(each.trials),
        "bad_weights": sum(trial.bad_weights for trial in each.trials),
        "bad_images": sum(trial.bad_images for trial in each.trials),
        "side_bits": each.trials[0].side_bits,
        "stored_bits": each.trials[0].stored_bits,
        "complete": each.complete,
        "half_width": summary.half_width if summary.rounds > 1 else None,
        "reached": each.reached,
    }


def warnings(results: Results) -> list[str]:
    """What a reader must know before the figures, a line each."""
    found = [f"{damage_text(each, results.head)}; it is left out" for each in results.damaged]
    wide = [each for each in results.cells if each.complete and each.reached is False]
    if wide:
        stopping, widest = results.head["stopping"], max(each.summary.half_width for each in wide)
        found.append(not_reached_text(len(wide), widest, stopping))
    for name, inputs in input_ranges(results.head).items():
        if inputs is not None and (warning := inputs.warning()):
            found.append(f"{name}: {warning}")
    # Ways to store the weights may give graphs of other nodes.
    if len({re.sub(r", \d+ of \d+ nodes$", "", engine) for engine in results.engines}) > 1:
        found.append("the trials were not all computed in the same way; how each was is in the results file")
    return found


def not_reached_text(count: int, widest: float, stopping: Mapping[str, Any]) -> str:
    """That conditions stopped at the cap of rounds, without the interval that was asked for."""
    cap, conditions = max(stopping["rounds"], stopping["max_rounds"]), "condition" if count == 1 else "conditions"
    return (
        f"{count} {conditions} stopped at {cap} rounds with intervals wider than ± {stopping['until_ci']:g} points, "
        f"up to ± {widest:.2g}; more rounds (max_rounds) narrow them"
    )


def damage_text(damage: Damage, head: Mapping[str, Any]) -> str:
    """Which stored trial is damaged, and how."""
    plan = plan_of(head)
    if damage.cell is None or not 0 <= damage.cell < len(plan):
        where = "a stored trial"
    else:
        cell = plan[damage.cell]
        place = "".join(f", {name} {value}" for name in ("layer", "bit") if (value := getattr(cell, name)) is not None)
        where = f"the trial of {cell.model}, {cell.format}, {Labels(plan)(cell)}, BER {cell.ber:g}{place}"
    return f"{where}{'' if damage.round is None else f', round {damage.round}'}, is damaged: {damage.reason}"


def scale_rows(head: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row for every weight layer and way to scale it: max|W| and what the weights are multiplied by.

    Of hardened networks these are the constants in use, after alignment and with batch normalisation folded; in the
    float executor, and in results files of before they were stored, c = t / max|W|.
    """
    layers = {(layer["model"], layer["layer"]): layer for layer in head["layers"]}
    return [
        {
            "model": row["model"],
            "layer": row["layer"],
            "weights": layer["weights"],
            "bits": layer["weights"] * weight_format(row["format"]).bits,
            "max_abs": layer["max_abs"],
            "format": row["format"],
            "t": row["target"],
            **{name: row.get(name) for name in ("granularity", "outliers", "align", "compensation")},
            "c": row["c"],
            "c_largest": row["c_largest"],
        }
        for row in head.get("constants") or _plain_constants(head)
        for layer in [layers[row["model"], row["layer"]]]
    ]


def _plain_constants(head: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    own = [cell for cell in plan_of(head) if cell.design is None]
    for model, format_, target in dict.fromkeys((cell.model, cell.format, cell.target) for cell in own):
        for layer in head["layers"] if target is not None else ():
            if layer["model"] == model:
                c = target / layer["max_abs"] if layer["max_abs"] else 1.0
                row = {"model": model, "layer": layer["layer"], "format": format_, "target": target}
                yield {**row, "c": c, "c_largest": c}
