"""Images for the tests inside a generated project."""

from __future__ import annotations

from hwflow.data import DIGITS, DataLike, open_data
from hwflow.folders.design import Design
from hwflow.reference.stimuli import Stimuli, random_stimuli, stimuli_count, stimuli_of
from hwflow.stages.input_range import calibrated_range
from hwflow.stages.inputs import fitting, open_for


def stimuli_for(design: Design, data: DataLike | None = None) -> Stimuli:
    """The first of the given images; else of the embedded digits, where the design was calibrated on them; else
    random values within the range of the calibration.

    Raises:
        HwflowError: data that do not fit the design.
    """
    graph = design.graph
    if data is None and design.manifest["calibration"].get("data") == DIGITS:
        data = open_data(DIGITS, "test")
    if data is None:
        return random_stimuli(graph, calibrated_range(design))
    opened = open_for(design, data, images=stimuli_count(graph))
    return stimuli_of(graph, opened.name, fitting(opened, stimuli_count(graph), graph).images)
