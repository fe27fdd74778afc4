"""Which storage code to choose: codes are ranked by what they do to the outputs of layers, the best ones are tried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from hwflow.campaign.advised import Advice, Candidate, Tried
from hwflow.campaign.allocation import allocate
from hwflow.campaign.candidate import hardening_of, try_candidate
from hwflow.campaign.distortion import LayerErrors, sensitivities
from hwflow.campaign.spec import CampaignSpec, ModelSpec
from hwflow.campaign.statistics import beats
from hwflow.campaign.trials import NetworkData, prepare
from hwflow.codes import Protection
from hwflow.cost.decoders import decoder_cost
from hwflow.data.accuracy import guessing
from hwflow.errors import HwflowError
from hwflow.fixed import FixedType, Rounding
from hwflow.folders.design import load_design
from hwflow.graph import FloatArray
from hwflow.hardening import HardenOptions, ScalingOptions
from hwflow.hardening.calibration import calibrate
from hwflow.hardening.plan import scale_graph
from hwflow.progress import Advance, Step, no_progress, silent
from hwflow.stages.protect import check_fraction

NAMES = (
    "plain", "parity", "cep", "secded", "cosq", "byte7", "byte6", "byte5",
    "flip64-40-32", "flip128-64-48-3-5", "flip256-160-96-2-5", "flip256-128-96-3-6",
    "bch32-21", "bch64-51", "bch64-45", "bch64-39", "bch64-40-32", "bch128-92", "bch128-78", "bch128-64",
    "bch256-171", "bch256-155", "bch256-131", "bch256-99",
)  # fmt: skip
"""Codes that are ranked, fitted to the bit error rate in question where they are fitted."""
GRANULARITIES = ("layer", "channel")
BUDGETS = (25.0, 50.0, 100.0, 200.0, 400.0)
"""LUTs a weight that codes chosen by layer may take on average."""
DESIGNS = (0.5, 2.0, 4.0)
"""Times its bit error rate: what else the code of a layer may be designed for, where codes are chosen by layer."""
TRIED, IMAGES, ROUNDS = 8, 500, 4
KEPT = (0.001, 0.01)
"""Fractions of the weights that are kept."""
_BETTER = 0.95  # less is chance
_SPARE_OF_LAYER, _SPARE_OF_ALL = 1.05, 1e-3  # of weights, that what rows leave empty may add to codes chosen by layer


def advise(
    model: str | Path,
    data: str,
    ber: float,
    *,
    loss: float = 1.0,
    max_luts: float | None = None,
    codes: Sequence[str] | None = None,
    by_layer: bool = True,
    tried: int = TRIED,
    torch_weights: str | Path | None = None,
    classes: int | None = None,
    image_size: int | None = None,
    calibration: str | None = None,
    labels: str | None = None,
    preprocessing: str | None = None,
    images: int = IMAGES,
    rounds: int = ROUNDS,
    kept: Sequence[float] = KEPT,
    seed: int = 0,
    step: Step = silent,
    advance: Advance = no_progress,
) -> Advice:
    """Rank storage codes for a network at a bit error rate, and try the best of them.

    Every layer's weights are stored, hit and read again, and what that adds to the layer's outputs is computed from the
    calibration images' moments. How much of it reaches the logits is measured once a layer, on a few images. Codes are
    ranked for all layers alike, and where every layer has the one that leaves the least error within a budget of LUTs.
    Trials share their images and their seeds. The best of those that lose too much and are no more expensive than what
    does is tried once more with its most critical weights kept in a side memory.

    Args:
        model: an embedded network's or a port's name, a model file, or a design folder, whose types and rounding
            are taken over.
        data: labelled images, see :func:`hwflow.data.open_data`.
        ber: bit error rate of the memory.
        loss: points of top-1 accuracy that may be lost against the float network.
        max_luts: LUTs that a decoder may take for a weight a cycle; codes that were not synthesised are then left out.
        codes: names of storage codes, with or without a rate; by default ``NAMES``.
        by_layer: also codes chosen by layer, for the LUTs of ``BUDGETS`` and ``max_luts``.
        tried: how many candidates are tried, unprotected weights and what is cheapest included.
        torch_weights: a port's state dict.
        classes: of a port.
        image_size: of a port.
        calibration: images that activation types, fits and ranking come from, see :func:`hwflow.harden`.
        labels: of a folder of images.
        preprocessing: of a folder of images.
        images: so many of the data.
        rounds: fault lists for each candidate.
        kept: fractions of the weights to keep, by estimates on the calibration images as ``hwflow sensitivity`` makes
            them; none, and nothing is kept.
        seed: of the fault lists.
        step: called with the name of each step.
        advance: progress of the trials.

    Raises:
        HwflowError: a network, images or options that do not fit.
    """
    _check(ber, loss, max_luts, tried, images, rounds)
    for fraction in kept:
        check_fraction("kept", fraction)
    options, spec = _subject(model, torch_weights, classes, image_size)
    protections = _protections(codes, ber, options.scaling.weight_type)
    _check_price(max_luts, [_price_of(each, options.scaling.weight_type) for each in protections])
    bundle = prepare(
        CampaignSpec(
            models=(spec,), formats=(str(options.scaling.weight_type),), ber=(ber,), data=data, calibration=calibration,
            labels=labels, preprocessing=preprocessing, images=images, rounds=rounds, seed=seed, executor="reference",
        ),
        step,
    )  # fmt: skip
    network = bundle.networks[spec.name]
    accuracy = 100 * bundle.in_float[spec.name] / len(network.labels)
    assert network.graph is not None
    if reason := guessing(accuracy, len(network.labels), network.graph.output.shape[-1]):
        raise HwflowError(f"{spec.name}: without faults and in float, {reason}")
    step("ranking")
    budgets = _budgets(max_luts) if by_layer else ()
    ranked = sorted(
        (
            each
            for granularity in GRANULARITIES
            for each in _candidates(network, options, granularity, protections, ber, budgets)
        ),
        key=lambda each: each.error,
    )
    chosen = _chosen(ranked, max_luts, tried)
    found = []
    for done, candidate in enumerate(chosen):
        advance(done, len(chosen), candidate.protection)
        found += try_candidate(network, options, candidate, (), ber, accuracy, rounds, seed)
    if kept and (near := _nearly(found, loss)) is not None:
        advance(len(chosen), len(chosen) + len(kept), f"{near.protection} with kept weights")
        found += try_candidate(network, options, near, kept, ber, accuracy, rounds, seed)
    advance(len(chosen), len(chosen), "")
    found.sort(key=lambda each: (each.loss, *_price(each)))
    within = [each for each in found if each.within(loss)]
    return Advice(
        model=str(model),
        ber=ber,
        accepted=loss,
        accuracy=accuracy,
        images=len(network.labels),
        rounds=rounds,
        ranked=tuple(ranked),
        tried=tuple(found),
        front=tuple(each for each in found if not any(_beats(other, each) for other in found)),
        cheapest=min(within, key=lambda each: (*_price(each), each.loss), default=None),
        best=found[0],
        hardening=_shared(spec, options, calibration, preprocessing),
        data=data,
    )


def _check(ber: float, loss: float, max_luts: float | None, tried: int, images: int, rounds: int) -> None:
    if not 0 < ber <= 0.5:
        raise HwflowError(f"ber={ber} must be above 0 and at most 0.5")
    for name, value, least in (("loss", loss, 0), ("max_luts", max_luts, 0)):
        if value is not None and not value >= least:
            raise HwflowError(f"{name}={value} must be at least {least}")
    for name, count, fewest in (("tried", tried, 1), ("images", images, 1), ("rounds", rounds, 2)):
        if count < fewest:
            raise HwflowError(f"{name}={count} must be at least {fewest}")


def _protections(names: Sequence[str] | None, ber: float, type_: FixedType) -> list[Protection]:
    """The codes asked for, or those of ``NAMES`` that take the type; fitted to the rate where a name says no other."""
    found = []
    for name in NAMES if names is None else names:
        protection = Protection.parse(name)
        if ":" not in name and protection.ber is not None:
            protection = replace(protection, ber=ber)
        try:
            protection.bits(type_)
        except HwflowError:
            if names is not None:
                raise
            continue
        found.append(protection)
    return found


def _budgets(max_luts: float | None) -> tuple[float, ...]:
    if max_luts is None:
        return BUDGETS
    return (*(each for each in BUDGETS if each < max_luts), max_luts)


def _subject(
    model: str | Path, torch_weights: str | Path | None, classes: int | None, image_size: int | None
) -> tuple[HardenOptions, ModelSpec]:
    """What is hardened how: the Keras model of a design folder with the design's options, or a network by name."""
    options = HardenOptions(ScalingOptions(saturate=True))
    if not (Path(model) / "design.json").is_file():
        weights = None if torch_weights is None else str(torch_weights)
        return options, ModelSpec(str(model), weights, classes=classes, image_size=image_size)
    if (torch_weights, classes, image_size) != (None, None, None):
        raise HwflowError(
            f"{model}: a design brings its weights and shape; leave out torch_weights, classes, image_size"
        )
    chosen = load_design(model).manifest["options"]
    options = HardenOptions(
        replace(options.scaling, weight_type=FixedType.parse(chosen["weights"])),
        activation_bits=chosen["activation_bits"],
        guard_bits=chosen["guard_bits"],
        rounding=Rounding(chosen["rounding"]),
        calibrated_rounding=chosen["calibrated_rounding"],
    )
    return options, ModelSpec(str(Path(model) / "model.h5"), name=Path(model).name)


def _shared(
    spec: ModelSpec, options: HardenOptions, calibration: str | None, preprocessing: str | None
) -> tuple[str, ...]:
    """What follows ``hwflow harden`` for every candidate; options that have their default are left out."""
    default = HardenOptions()
    folder = calibration is not None and Path(calibration).is_dir()
    given = {
        "--torch-weights": (spec.weights, None),
        "--classes": (spec.classes, None),
        "--image-size": (spec.image_size, None),
        "--weights": (str(options.scaling.weight_type), str(default.scaling.weight_type)),
        "--activation-bits": (options.activation_bits, default.activation_bits),
        "--guard-bits": (options.guard_bits, default.guard_bits),
        "--calibration": (calibration, None),
        "--preprocessing": (preprocessing if folder else None, None),
    }
    words = [word for name, (value, usual) in given.items() if value != usual for word in (name, str(value))]
    flags = ["--saturate"] if options.scaling.saturate else []
    flags += [] if options.calibrated_rounding else ["--no-calibrated-rounding"]
    return (spec.model, *words, *flags)


def _candidates(
    network: NetworkData,
    options: HardenOptions,
    granularity: str,
    protections: Sequence[Protection],
    ber: float,
    budgets: Sequence[float],
) -> list[Candidate]:
    """Every code for all layers, and for every budget the codes that leave the least error together, each once."""
    assert network.graph is not None and network.calibration is not None
    scaling = hardening_of(options, "plain", granularity).scaling
    graph, _ = scale_graph(network.graph, scaling)
    layers = graph.weight_layers
    moments = calibrate(graph, network.calibration, [layer.name for layer in layers]).moments
    errors = LayerErrors(layers, moments, scaling.memory_type, ber, options.calibrated_rounding)
    weights = sensitivities(graph, layers, moments, network.calibration)
    found = [
        _candidate(errors, weights, granularity, str(each), [each] * len(layers), _price_of(each, errors.type))
        for each in protections
    ]
    mixed = [_mixed(errors, weights, granularity, protections, budget) for budget in budgets]
    once = {each.protection: each for each in (*mixed, *found) if each is not None}
    return list(once.values())


def _candidate(
    errors: LayerErrors,
    sensitivity: FloatArray,
    granularity: str,
    protection: str,
    of_layers: Sequence[Protection],
    luts: float | None,
) -> Candidate:
    found = [errors.of(number, each) for number, each in enumerate(of_layers)]
    costs = [decoder_cost(each.name, errors.type.width) for each in of_layers]
    return Candidate(
        protection=protection,
        granularity=granularity,
        error=float(sensitivity @ [each.error for each in found]),
        bits=sum(each.bits for each in found) / sum(layer.weight.size for layer in errors.layers),
        luts=luts,
        latency=None if None in costs else max((cost.latency for cost in costs if cost is not None), default=0),
    )


def _mixed(
    errors: LayerErrors,
    sensitivity: FloatArray,
    granularity: str,
    protections: Sequence[Protection],
    budget: float,
) -> Candidate | None:
    """The code of every layer, and what it is designed for, so that multipliers take ``budget`` LUTs on average.

    A layer has multipliers in proportion to its products, as where all layers are busy all the time. None if there is
    a layer for which all codes take more storage than its weights, or have no known price.
    """
    layers, width = errors.layers, errors.type.width
    prices = {each: price for each in protections if (price := _price_of(each, errors.type)) is not None}
    priced = list(prices)
    products = np.array([layer.vectors * layer.weight.size for layer in layers], dtype=np.float64)
    weights = sum(layer.weight.size for layer in layers)
    costs = np.outer(products / products.sum(), list(prices.values()))
    table = np.empty(costs.shape)
    for number, column in np.ndindex(*table.shape):
        found = errors.of(number, priced[column])
        room = width * (_SPARE_OF_LAYER * layers[number].weight.size + _SPARE_OF_ALL * weights)
        table[number, column] = sensitivity[number] * found.error if found.bits <= room else np.inf
    if not np.isfinite(table).any(axis=1).all():
        return None
    choice = allocate(table, costs, budget)
    chosen = [_designed(errors, number, priced[each]) for number, each in enumerate(choice)]
    rules = {layer.name: each for layer, each in zip(layers, chosen, strict=True)}
    common = max(chosen, key=chosen.count)
    special = [f"{name}={each}" for name, each in rules.items() if each != common]
    protection = ",".join([*special, f"*={common}"]) if special else str(common)
    luts = float(costs[np.arange(len(choice)), choice].sum())
    return _candidate(errors, sensitivity, granularity, protection, chosen, luts)


def _designed(errors: LayerErrors, number: int, protection: Protection) -> Protection:
    """A code for the bit error rate that leaves a layer the least error."""
    if protection.ber is None:
        return protection
    others = [replace(protection, ber=rate) for factor in DESIGNS if (rate := factor * protection.ber) <= 0.5]
    best = min(others, key=lambda each: errors.of(number, each).error, default=protection)
    return best if errors.of(number, best).error < _BETTER * errors.of(number, protection).error else protection


def _price_of(protection: Protection, type_: FixedType) -> float | None:
    cost = decoder_cost(protection.name, type_.width)
    return None if cost is None else cost.luts_a_weight


def _chosen(ranked: Sequence[Candidate], max_luts: float | None, count: int) -> list[Candidate]:
    """Those to try: no protection, the least error, then, from the front of error and price, some of every price."""
    affordable = [each for each in ranked if each.affordable(max_luts)]
    plain = [each for each in affordable if each.protection == "plain"][:1]
    # The ranking is by error: one is on the front if it is cheaper in something than all before it.
    front = [
        each
        for place, each in enumerate(affordable)
        if all(_luts(each) < _luts(better) or each.bits < better.bits for better in affordable[:place])
    ]
    left = max(0, count - 1 - len(plain))
    spread = [front[round(place)] for place in np.linspace(0, len(front) - 1, min(left, len(front)))] if front else []
    order = [*plain, *affordable[:1], *spread, *affordable]
    return list(dict.fromkeys(order))[:count]


def _check_price(most: float | None, prices: Sequence[float | None]) -> None:
    if most is not None and not any(price is not None and price <= most for price in prices):
        raise HwflowError(f"max_luts={most}: no decoder of these codes is known to take so few; allow more")


def _luts(candidate: Candidate) -> float:
    return np.inf if candidate.luts is None else candidate.luts


def _price(tried: Tried) -> tuple[float, float]:
    return round(tried.candidate.bits, 1), _luts(tried.candidate)


def _beats(one: Tried, other: Tried) -> bool:
    """Whether one is no worse in loss, bits and LUTs, and better in something."""
    return beats((one.loss, *_price(one)), (other.loss, *_price(other)))


def _nearly(found: Sequence[Tried], loss: float) -> Candidate | None:
    """What to keep weights of: the least loss of those that are too much, and cheaper than all that are not."""
    enough = min((_price(each) for each in found if each.within(loss)), default=(np.inf, np.inf))
    near = [each for each in found if not each.within(loss) and _price(each) < enough]
    return min(near, key=lambda each: each.loss).candidate if near else None
