"""Figure 3 and tables I and II as campaigns, with the paper's settings, and its published values."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwflow.campaign import CampaignSpec, ModelSpec, run_campaign
from hwflow.campaign.export import CellResult, read_results
from hwflow.campaign.plan import Cell
from hwflow.campaign.spec import T
from hwflow.errors import HwflowError
from hwflow.float_study import Msb, weight_format
from hwflow.float_study.words import PAPER_FORMATS
from hwflow.progress import Advance, no_progress
from hwflow.report.tables import damage_text

ROUNDS = 10
PAPER_T: tuple[T, ...] = (0.5, 1.0, 1.5, "optimal", 2.5, 3.0, 3.5, 4.0)
"""Figure 3's; the format's own optimum stands where the paper has 1.9999 and 1.97."""

PAPER_Q_T = 1.97
"""The paper's t for Q2.5: the optimum of ap_fixed<8,2>, half of that of ap_fixed<8,3>."""

FIG3_BER = (1e-3, 1e-4, 1e-5)
FLOAT_BER, FIXED_BER = 1e-3, 1e-4

TABLE1: Mapping[tuple[str, str], float] = {
    ("alexnet", "fp32"): 56.55,
    ("alexnet", "fp16"): 56.55,
    ("alexnet", "Q2.5"): 51.24,
    ("resnet18", "fp32"): 69.76,
    ("resnet18", "fp16"): 69.75,
    ("resnet18", "Q2.5"): 66.87,
    ("resnet50", "fp32"): 76.15,
    ("resnet50", "fp16"): 76.15,
    ("resnet50", "Q2.5"): 72.26,
    ("densenet169", "fp32"): 75.59,
    ("densenet169", "fp16"): 75.6,
    ("densenet169", "Q2.5"): 71.81,
}
"""Table I: top-1 without faults."""

TABLE2: Mapping[tuple[str, str, float], str] = {
    ("alexnet", "fp32", 1.0): "2.68 ± 1.44",
    ("alexnet", "fp32", 1.9999): "34.26 ± 5.27",
    ("resnet18", "fp32", 1.0): "14.78 ± 7.04",
    ("resnet18", "fp32", 1.9999): "53.29 ± 4.62",
    ("resnet50", "fp32", 1.0): "4.83 ± 4.01",
    ("resnet50", "fp32", 1.9999): "53.78 ± 9.30",
    ("densenet169", "fp32", 1.0): "7.02 ± 4.45",
    ("densenet169", "fp32", 1.9999): "56.67 ± 4.67",
    ("alexnet", "fp16", 1.0): "2.83 ± 1.27",
    ("alexnet", "fp16", 1.9999): "32.40 ± 4.72",
    ("resnet18", "fp16", 1.0): "23.48 ± 5.80",
    ("resnet18", "fp16", 1.9999): "56.34 ± 3.00",
    ("resnet50", "fp16", 1.0): "4.43 ± 4.33",
    ("resnet50", "fp16", 1.9999): "59.87 ± 4.62",
    ("densenet169", "fp16", 1.0): "3.85 ± 2.08",
    ("densenet169", "fp16", 1.9999): "58.59 ± 6.57",
    ("alexnet", "Q2.5", 1.0): "6.35 ± 3.46",
    ("alexnet", "Q2.5", 1.97): "38.18 ± 4.35",
    ("resnet18", "Q2.5", 1.0): "32.59 ± 10.28",
    ("resnet18", "Q2.5", 1.97): "63.88 ± 2.20",
    ("resnet50", "Q2.5", 1.0): "14.38 ± 6.02",
    ("resnet50", "Q2.5", 1.97): "68.80 ± 2.55",
    ("densenet169", "Q2.5", 1.0): "16.02 ± 8.97",
    ("densenet169", "Q2.5", 1.97): "67.97 ± 3.45",
}
"""Table II: top-1 under faults, BER 1e-3 for FP32 and FP16, 1e-4 for Q2.5."""

LOGITS = {("alexnet", "fp32", "none"): 56.55, ("alexnet", "fp32", "logits"): 54.13}
"""Section V.C: top-1 of FP32 AlexNet without and with compensation at the logits."""

PAPER_NETWORKS = ("alexnet", "resnet18", "resnet50", "densenet169")
IMAGENET_CLASSES = 1000


@dataclass(frozen=True)
class Subject:
    """What a study runs on.

    Attributes:
        model: an embedded network, a port or a model file.
        weights: a port's state dict.
        classes: a port's logits.
        image_size: a port's image, pixels.
        data: labelled images, see `hwflow.data.open_data`.
        labels: of a flat folder of images.
        preprocessing: of a folder's images.
        images: only so many.
        rounds: fault lists a condition.
        seed: of all fault lists.
        msb: protection of the most significant exponent bit.
    """

    model: str = "digits_cnn"
    weights: str | None = None
    classes: int | None = None
    image_size: int | None = None
    data: str = "digits"
    labels: str | None = None
    preprocessing: str | None = None
    images: int | None = None
    rounds: int = ROUNDS
    seed: int = 0
    msb: Msb = "assume"

    @property
    def is_papers(self) -> bool:
        """Whether network and data can be the paper's: torchvision's weights and ImageNet's classes."""
        return self.model in PAPER_NETWORKS and self.weights is not None and self.classes in (None, IMAGENET_CLASSES)

    @property
    def network(self) -> ModelSpec:
        """The network of a campaign."""
        return ModelSpec(self.model, self.weights, "", self.classes, self.image_size)

    def spec(self, formats: Sequence[str], t: Sequence[T], ber: Sequence[float]) -> CampaignSpec:
        """A campaign on this subject."""
        return CampaignSpec(
            models=(self.network,),
            formats=tuple(formats),
            t=tuple(t),
            ber=tuple(ber),
            rounds=self.rounds,
            seed=self.seed,
            data=self.data,
            labels=self.labels,
            preprocessing=self.preprocessing,
            images=self.images,
            msb=self.msb,
        )


def fig3(subject: Subject, formats: Sequence[str] = PAPER_FORMATS) -> list[CampaignSpec]:
    """Accuracy against t at three bit error rates (section V.A)."""
    return [subject.spec(formats, _with_paper_t(PAPER_T, formats), FIG3_BER)]


def table1(subject: Subject, formats: Sequence[str] = PAPER_FORMATS) -> list[CampaignSpec]:
    """Accuracy without faults, weights unscaled."""
    return [subject.spec(formats, ("none",), (0.0,))]


def table2(subject: Subject, formats: Sequence[str] = PAPER_FORMATS) -> list[CampaignSpec]:
    """Accuracy under faults, at t = 1 and the optimum (section V.B); unscaled weights too."""
    kinds = {FLOAT_BER: [name for name in formats if _is_float(name)]}
    kinds[FIXED_BER] = [name for name in formats if not _is_float(name)]
    return [
        subject.spec(names, _with_paper_t(("none", 1.0, "optimal"), names), (ber,))
        for ber, names in kinds.items()
        if names
    ]


STUDIES: Mapping[str, Callable[[Subject, Sequence[str]], list[CampaignSpec]]] = {
    "fig3": fig3,
    "table1": table1,
    "table2": table2,
}


def run_study(
    name: str,
    subject: Subject,
    formats: Sequence[str] = PAPER_FORMATS,
    *,
    results: str | Path | None = None,
    advance: Advance = no_progress,
    step: Callable[[str], None] = lambda _: None,
) -> tuple[list[CellResult], list[str]]:
    """Run a study, or what is missing of it.

    Args:
        name: ``fig3``, ``table1`` or ``table2``.
        subject: network and data.
        formats: weight formats.
        results: folder that keeps every trial, to take the study up again; by default nothing is kept. It is made
            when the first trial is stored.
        advance: progress display.
        step: called with the name of each step.

    Returns:
        The accuracies, by format and t, and what was damaged of the trials that were kept, a line each; it was computed
        again.

    Raises:
        HwflowError: see `hwflow.campaign.run_campaign`.
    """
    found: list[CellResult] = []
    damaged: list[str] = []
    with _folder(results) as folder:
        for number, spec in enumerate(STUDIES[name](subject, formats), 1):
            path = folder / f"{name}-{number}.sqlite"
            reached = run_campaign(spec, path, advance=advance, step=step)
            stored = read_results(path)
            found.extend(stored.cells)
            damaged += [f"{path}: {damage_text(each, stored.head)}" for each in reached.damaged]
    shown = [each for each in found if name == "table1" or each.cell.ber > 0]
    places = {each: place for place, each in enumerate(dict.fromkeys(each.cell.format for each in shown))}
    return sorted(shown, key=lambda each: (places[each.cell.format], each.cell.target or 0.0)), damaged


def row(name: str, subject: Subject, result: CellResult) -> dict[str, Any]:
    """A line of a study's table, as JSON data; ``published`` is the paper's value where it has one."""
    cell, summary = result.cell, result.summary
    published: float | str | None = None
    if subject.is_papers and name == "table1":
        published = TABLE1.get((cell.model, _paper_format(cell.format)))
    elif name in ("table2", "fig3"):
        published = published_in(subject, cell)
    return {
        "model": cell.model,
        "format": cell.format,
        "t": cell.target,
        "ber": cell.ber,
        "mean": summary.mean,
        "std": summary.std,
        "low": summary.low,
        "high": summary.high,
        "rounds": summary.rounds,
        "images": result.trials[0].images,
        "published": published,
    }


def published_in(subject: Subject, cell: Cell) -> str | None:
    """The paper's accuracy in this condition, from its table II; None where it has none, or of another network."""
    rate = FLOAT_BER if _is_float(cell.format) else FIXED_BER
    if not subject.is_papers or cell.target is None or cell.ber != rate:
        return None
    return TABLE2.get((cell.model, _paper_format(cell.format), round(cell.target, 4)))


def _paper_format(name: str) -> str:
    """The paper's name of a format; both readings of its 8-bit one."""
    return name if _is_float(name) else "Q2.5"


def _is_float(name: str) -> bool:
    return weight_format(name).exponent_msb is not None


def _with_paper_t(t: Sequence[T], formats: Sequence[str]) -> tuple[T, ...]:
    """The values of t, and the paper's 1.97 where a fixed-point format has another optimum."""
    fixed = [weight_format(name).optimal_t for name in formats if not _is_float(name)]
    return (*t, PAPER_Q_T) if any(abs(each - PAPER_Q_T) > 1e-6 for each in fixed) else tuple(t)


@contextmanager
def _folder(results: str | Path | None) -> Iterator[Path]:
    if results is None:
        with tempfile.TemporaryDirectory(prefix="hwflow-") as folder:
            yield Path(folder)
        return
    path, made = Path(results), not Path(results).exists()
    try:
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise HwflowError(f"{path}: cannot be created ({error.strerror})") from error
    try:
        yield path
    finally:
        if made and not any(path.iterdir()):  # the study failed before its first trial
            path.rmdir()
