"""Which layer gets which of several choices, so that a budget is spent where it helps most."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwflow.graph import FloatArray


def allocate(errors: FloatArray, costs: FloatArray, budget: float) -> list[int]:
    """The choice of every layer that leaves little error within a budget.

    Each layer goes along the lower convex hull of its choices, and the steps that save most error for their cost are
    taken first (Y. Shoham and A. Gersho, "Efficient bit allocation for an arbitrary set of quantizers", 1988), but
    those that no longer fit.

    Args:
        errors: ``(layers, choices)``, which add up; infinite for what a layer cannot have, but never a whole row.
        costs: of the same shape, finite, which add up.
        budget: most that all layers may cost.

    Returns:
        A choice a layer; the cheapest of each if even they cost more than the budget.
    """
    hulls = [_hull(*pair) for pair in zip(errors, costs, strict=True)]
    places = [0] * len(hulls)
    left = budget - sum(float(costs[layer, hull[0]]) for layer, hull in enumerate(hulls))
    steps = sorted(
        (-(_saved(errors[layer], hull, step) / _saved(-costs[layer], hull, step)), layer, step)
        for layer, hull in enumerate(hulls)
        for step in range(len(hull) - 1)
    )
    for _, layer, step in steps:
        price = _saved(-costs[layer], hulls[layer], step)
        if places[layer] == step and price <= left:
            places[layer] += 1
            left -= price
    return [hull[place] for hull, place in zip(hulls, places, strict=True)]


def _saved(values: FloatArray, hull: Sequence[int], step: int) -> float:
    return float(values[hull[step]] - values[hull[step + 1]])


def _hull(errors: FloatArray, costs: FloatArray) -> list[int]:
    """The choices on the lower convex hull, the cheapest first; the slopes between them become flatter."""
    hull: list[int] = []
    for choice in np.lexsort((errors, costs)).tolist():
        if errors[choice] >= (errors[hull[-1]] if hull else np.inf):
            continue
        while len(hull) > 1 and _slope(errors, costs, hull[-2], hull[-1]) >= _slope(errors, costs, hull[-2], choice):
            hull.pop()
        hull.append(choice)
    return hull


def _slope(errors: FloatArray, costs: FloatArray, first: int, second: int) -> float:
    return float((errors[second] - errors[first]) / (costs[second] - costs[first]))
