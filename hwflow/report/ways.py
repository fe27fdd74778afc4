"""Which way to store the weights: what each loses, takes and bears, and which ones no other one beats."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hwflow.campaign.export import CellResult, Results, csv_text
from hwflow.campaign.plan import LABELLED, Cell
from hwflow.campaign.statistics import beats
from hwflow.codes import Protections
from hwflow.cost.decoders import decoder_cost
from hwflow.float_study import weight_format

ACCEPTED = 1.0
"""Points that may be lost."""

COLUMNS = (
    "model", "way", "design", "format", "target", "protection", "granularity", "outliers", "protect_top", "align",
    "compensation", "activation_bits", "ber", "accuracy", "std", "low", "high", "rounds", "images", "complete", "lost",
    "lost_low", "lost_high", "bits", "luts", "largest_ber", "front",
)  # fmt: skip
"""Of ``summary.csv``."""


@dataclass(frozen=True)
class Way:
    """A way to store a network's weights.

    Attributes:
        model: the network.
        label: what tells it from the others.
        cells: its conditions with faults in all places, the bit error rates rising.
        accuracy: of the network in float, without faults, percent.
        bits: stored bits a weight, with check bits, what rows leave empty, and the side memory.
        luts: of the decoder for a weight a cycle; of codes by layer the mean over the multiplications of an image, as
            of multipliers that are all busy all the time; None if one of the decoders was not synthesised.
    """

    model: str
    label: str
    cells: tuple[CellResult, ...]
    accuracy: float
    bits: float
    luts: float | None

    @property
    def cell(self) -> Cell:
        """Any of its conditions."""
        return self.cells[0].cell

    @property
    def largest_ber(self) -> float | None:
        """The largest rate up to which, at all that were measured, less than ``ACCEPTED`` is lost on average."""
        largest = None
        for each in self.cells:
            if self.lost(each)[0] >= ACCEPTED:
                break
            largest = each.cell.ber
        return largest

    def lost(self, each: CellResult) -> tuple[float, float, float]:
        """Points lost against the network in float, and the ends of the 95 % interval."""
        summary = each.summary
        return self.accuracy - summary.mean, self.accuracy - summary.high, self.accuracy - summary.low

    def at(self, ber: float) -> CellResult | None:
        """The condition of that rate."""
        return next((each for each in self.cells if each.cell.ber == ber), None)

    @property
    def price(self) -> tuple[float, float]:
        """Bits and LUTs; a decoder that was not synthesised is beyond any price."""
        return round(self.bits, 1), math.inf if self.luts is None else self.luts


def ways(results: Results) -> list[Way]:
    """All ways of a campaign to store the weights, in the order of the plan."""
    found: dict[tuple[Any, ...], list[CellResult]] = {}
    for each in results.find(layer=None, bit=None):
        found.setdefault((each.cell.model, *each.cell.way), []).append(each)
    several = len({each.cell.format for each in results.cells}) > 1
    layers: dict[str, list[Mapping[str, Any]]] = {}
    for layer in results.head["layers"]:
        layers.setdefault(layer["model"], []).append(layer)
    return [_way(results, sorted(each, key=lambda one: one.cell.ber), layers, several) for each in found.values()]


def front(found: Sequence[Way], ber: float) -> list[Way]:
    """Of the ways of one network, those that no other one beats in points lost, bits and LUTs at a rate."""
    points = {id(way): (way.lost(each)[0], *way.price) for way in found if (each := way.at(ber)) is not None}

    return [
        way
        for way in found
        if id(way) in points and not any(beats(other, points[id(way)]) for other in points.values())
    ]


def way_rows(results: Results) -> list[dict[str, Any]]:
    """A row for every network, way to store its weights, and bit error rate, with the keys of `COLUMNS`."""
    rows = []
    found = ways(results)
    for way in found:
        rivals = [each for each in found if each.model == way.model]
        for each in way.cells:
            lost, low, high = way.lost(each)
            rows.append(
                {
                    "model": way.model,
                    "way": way.label,
                    "design": way.cell.design,
                    "format": way.cell.format,
                    **{name: getattr(way.cell, name) for name in LABELLED},
                    "ber": each.cell.ber,
                    "accuracy": each.summary.mean,
                    "std": each.summary.std,
                    "low": each.summary.low,
                    "high": each.summary.high,
                    "rounds": each.summary.rounds,
                    "images": each.trials[0].images,
                    "complete": each.complete,
                    "lost": lost,
                    "lost_low": low,
                    "lost_high": high,
                    "bits": way.bits,
                    "luts": way.luts,
                    "largest_ber": way.largest_ber,
                    "front": any(one is way for one in front(rivals, each.cell.ber)),
                }
            )
    return rows


def summary_csv(rows: Iterable[Mapping[str, Any]]) -> str:
    """The rows of `way_rows` as CSV."""
    return csv_text(COLUMNS, ([row[name] for name in COLUMNS] for row in rows))


def answers(results: Results) -> list[dict[str, Any]]:
    """For every network with several ways: which to take at every rate, and a table of all.

    The ways of the table that bear the largest rate come first; of these, those of the lowest price.
    """
    found: dict[str, list[Way]] = {}
    for way in ways(results):
        found.setdefault(way.model, []).append(way)
    return [_answer(model, each) for model, each in found.items() if len(each) > 1]


def _answer(model: str, found: Sequence[Way]) -> dict[str, Any]:
    rates = sorted({each.cell.ber for way in found for each in way.cells})
    fronts = {ber: front(found, ber) for ber in rates}
    table = []
    for way in sorted(found, key=lambda way: (1.0 if way.largest_ber is None else -way.largest_ber, *way.price)):
        cells = []
        for ber in rates:
            each = way.at(ber)
            best = any(one is way for one in fronts[ber])
            cells.append(None if each is None else (*way.lost(each), each.summary.rounds, best))
        table.append(
            {"way": way.label, "cells": cells, "bits": way.bits, "luts": way.luts, "largest_ber": way.largest_ber}
        )
    return {
        "model": model,
        "accuracy": found[0].accuracy,
        "rates": rates,
        "choices": [_choice(found, ber) for ber in rates if ber > 0],
        "table": table,
    }


def _choice(found: Sequence[Way], ber: float) -> dict[str, Any]:
    """The way that loses least, and the cheapest that surely, by at least two rounds, loses ``ACCEPTED`` or less."""
    here = [(way, way.lost(each), each.summary.rounds) for way in found if (each := way.at(ber)) is not None]
    best = min(here, key=lambda one: (one[1][0], *one[0].price))
    within = [one for one in here if one[1][2] <= ACCEPTED and one[2] > 1]
    cheapest = min(within, key=lambda one: (*one[0].price, one[1][0]), default=None)
    return {"ber": ber, "best": _named(*best), "cheapest": cheapest and _named(*cheapest)}


def _named(way: Way, lost: tuple[float, float, float], rounds: int) -> dict[str, Any]:
    points = {"lost": lost[0], "low": lost[1], "high": lost[2], "rounds": rounds}
    return {"way": way.label, **points, "bits": way.bits, "luts": way.luts}


def _way(
    results: Results,
    cells: Sequence[CellResult],
    layers: Mapping[str, Sequence[Mapping[str, Any]]],
    several: bool,
) -> Way:
    cell, trial = cells[0].cell, cells[0].trials[0]
    own, in_float = layers[cell.subject], results.head["float"][cell.model]
    label = results.labels(cell)
    return Way(
        model=cell.model,
        label=f"{cell.format}, {label}" if several and cell.design is None else label,
        cells=tuple(cells),
        accuracy=100 * in_float["correct"] / in_float["images"],
        bits=(trial.stored_bits + trial.side_bits) / sum(layer["weights"] for layer in own),
        luts=_luts(cell, own),
    )


def _luts(cell: Cell, layers: Sequence[Mapping[str, Any]]) -> float | None:
    """LUTs of the decoders for a weight a cycle."""
    codes, total, all_products = Protections.parse(cell.protection), 0.0, 0
    bits = weight_format(cell.format).bits
    for layer in layers:
        products = layer["weights"] * (layer.get("vectors") or 1)  # in the float executor all decoders cost the same
        all_products += products
        cost = decoder_cost(codes.of(layer["layer"]).name, bits)
        if cost is None:
            return None
        total += cost.luts_a_weight * products
    return total / all_products
