"""The numbers of a report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hwflow.campaign.export import CellResult, Results, comparisons
from hwflow.formats import weight_format


def to_json(results: Results) -> dict[str, Any]:
    """Everything that the page says, as JSON data."""
    head = results.head
    return {
        "made_with": {"hwflow": head["hwflow"], "versions": head["versions"]},
        "spec": head["spec"],
        "stopping": head["stopping"],
        "hashes": head["hashes"],
        "complete": len(results.cells) == len(head["plan"]) and all(each.complete for each in results.cells),
        "cells": [cell_row(each) for each in results.cells],
        "comparisons": [
            {
                "model": each.first.model,
                "format": each.first.format,
                "ber": each.first.ber,
                "first": each.first.label,
                "second": each.second.label,
                "difference": each.paired.difference,
                "low": each.paired.low,
                "high": each.paired.high,
                "p": each.paired.p,
                "rounds": each.paired.rounds,
            }
            for each in comparisons(results)
        ],
        "layers": scale_rows(head),
    }


def cell_row(each: CellResult) -> dict[str, Any]:
    """A cell: its coordinates and the accuracy, percent."""
    cell, summary = each.cell, each.summary
    return {
        "model": cell.model,
        "format": cell.format,
        "protection": cell.label,
        "t": cell.target,
        "storage": cell.protection,
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
        "complete": each.complete,
    }


def scale_rows(head: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row for every weight layer, format and scaled t: max|W| and c = t / max|W|."""
    rows = []
    plan = {(cell["model"], cell["format"], cell["target"]): None for cell in head["plan"]}
    for model, format_, target in plan:
        for layer in head["layers"]:
            if layer["model"] == model and target is not None:
                largest = layer["max_abs"]
                rows.append(
                    {
                        "model": model,
                        "layer": layer["layer"],
                        "weights": layer["weights"],
                        "bits": layer["weights"] * weight_format(format_).bits,
                        "max_abs": largest,
                        "format": format_,
                        "t": target,
                        "c": target / largest if largest else 1.0,
                    }
                )
    return rows
