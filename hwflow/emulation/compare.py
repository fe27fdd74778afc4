"""The emulator against hls4ml's C simulation: every output, and the first layer that differs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwflow.emulation.csim import Hls4mlSimulation
from hwflow.emulation.emulator import Emulator
from hwflow.errors import HwflowError
from hwflow.fixed import Codes
from hwflow.progress import Advance

_AT_ONCE = 64
"""Images whose layers are all in memory at the same time."""


@dataclass(frozen=True)
class CsimAgreement:
    """The emulator and the C simulation on the same images.

    Attributes:
        images: compared.
        output_codes: compared.
        differing_codes: of them, those that differ.
        layers: compared, inner ones included.
        first_layer: the first layer in the network's order with a code that differs; ``None`` if there is none.
    """

    images: int
    output_codes: int
    differing_codes: int
    layers: int
    first_layer: str | None

    def check(self) -> None:
        """Raise an error if anything differs.

        Raises:
            HwflowError: it names the first layer.
        """
        if self.differing_codes or self.first_layer is not None:
            raise HwflowError(
                f"{self.differing_codes} of {self.output_codes} output codes differ from hls4ml's C simulation; the "
                f"first layer that differs is {self.first_layer}"
            )


def compare(
    emulator: Emulator, simulation: Hls4mlSimulation, codes: Sequence[Codes], advance: Advance | None = None
) -> CsimAgreement:
    """Compare all outputs and all layers.

    Args:
        emulator: of the same ModelGraph as the simulation.
        simulation: hls4ml's, compiled.
        codes: input codes ``(n, size)``, one array an input.
        advance: told how far it is.

    Raises:
        HwflowError: the simulation stops.
    """
    count, differing, total = len(codes[0]), 0, 0
    apart: set[str] = set()
    seen: set[str] = set()
    for start in range(0, count, _AT_ONCE):
        batch = [each[start : start + _AT_ONCE] for each in codes]
        reals = [signal.type.decode(each) for each, (_, signal) in zip(batch, emulator.inputs, strict=True)]
        theirs, their_layers = simulation.run(reals)
        ours, our_layers = emulator.run_traced(batch)
        for one, two, (_, signal) in zip(ours, theirs, emulator.outputs, strict=True):
            differing += int(np.count_nonzero(signal.type.decode(one) != two))
            total += one.size
        for step in emulator.steps:
            if step.name in their_layers:
                seen.add(step.name)
                same = np.array_equal(step.signal.type.decode(our_layers[step.name]), their_layers[step.name])
                apart |= set() if same else {step.name}
        if advance is not None:
            advance(min(start + _AT_ONCE, count), count, "C simulation")
    first = next((step.name for step in emulator.steps if step.name in apart), None)
    if differing and first is None:
        first = emulator.outputs[0][0]
    return CsimAgreement(count, total, differing, len(seen), first)
