"""What the executors gave on the same images under the same faults: codes that differ, and how they classify."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from hwflow.errors import HwflowError
from hwflow.faults import FaultList
from hwflow.stages.classification import ExecutorAccuracy, Limits


@dataclass(frozen=True)
class Condition:
    """What the executors run under.

    Attributes:
        name: of the fault list, or ``none``.
        faults: the list.
        upset_cycle: the faults strike just before this clock edge; by default they are there before the run.
    """

    name: str = "none"
    faults: FaultList | None = None
    upset_cycle: int | None = None

    @property
    def flips(self) -> int:
        """Bits flipped."""
        return 0 if self.faults is None else len(self.faults)

    @property
    def seed(self) -> int | None:
        """What the list was drawn with, if it was drawn."""
        return None if self.faults is None else self.faults.seed


@dataclass(frozen=True)
class Comparison:
    """An executor against the reference, on the same images under the same faults.

    Attributes:
        executor: what was compared: ``verilator``, ``icarus``, ``firmware`` in the place of the RTL, or ``csim``.
        faults: name of the fault list, or ``none``.
        flips: bits flipped.
        images: images compared.
        output_codes: output codes compared.
        differing_codes: how many of them differ; 0 is bit-exact.
        cycles_per_image: clock cycles from one image's end to the next one's; RTL only.
        images_before: of an upset in mid-run: images that had left the design, compared with the reference
            without faults.
        images_after: images that had not begun, compared with the reference under the faults.
        images_inside: images that were inside the design, which are not compared.
    """

    executor: str
    faults: str
    flips: int
    images: int
    output_codes: int
    differing_codes: int
    cycles_per_image: float | None = None
    images_before: int | None = None
    images_after: int | None = None
    images_inside: int | None = None


@dataclass(frozen=True)
class Compared:
    """What :func:`hwflow.stages.comparator.compare` found.

    Attributes:
        comparisons: one for the RTL, or ``firmware`` in its place, and one for csim, condition by condition.
        accuracy: of ``keras``, ``reference``, ``rtl`` or ``firmware``, and ``csim``, and before a softmax of
            ``reference_logits``; empty if the network does not classify.
        reports: cocotb's xunit reports, by condition.
        failures: what the bench's own tests found wrong, one line each.
    """

    comparisons: tuple[Comparison, ...]
    accuracy: Mapping[str, ExecutorAccuracy]
    reports: Mapping[str, str]
    failures: tuple[str, ...]

    @property
    def differing_codes(self) -> int:
        """Output codes that differ from the reference, in all comparisons together."""
        return sum(each.differing_codes for each in self.comparisons)

    def to_json(self) -> dict[str, Any]:
        """The result as JSON data."""
        return {
            "differing_codes": self.differing_codes,
            "comparisons": [asdict(each) for each in self.comparisons],
            "accuracy": {name: asdict(each) for name, each in self.accuracy.items()},
        }

    def check(self, limits: Limits | None = None) -> None:
        """Refuse a result that is not bit-exact, or outside the limits.

        Raises:
            HwflowError: codes differ, a figure misses a limit, or the bench says so.
        """
        for each in self.comparisons:
            if each.differing_codes:
                raise HwflowError(
                    f"{each.executor} under faults {each.faults!r}: {each.differing_codes} of {each.output_codes} "
                    "output codes differ from the reference"
                )
        missed = [] if limits is None else limits.missed(self.accuracy)
        if missed:
            more = f"; and {len(missed) - 1} more figures miss a limit" if len(missed) > 1 else ""
            raise HwflowError(missed[0] + more)
        if self.failures:
            raise HwflowError(self.failures[0])
