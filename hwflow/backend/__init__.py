"""hls4ml's backend ``hwflow``: an hls4ml script gets this RTL, its simulation and a report, without a vendor's tools.

Installing hwflow registers it, by the entry point ``hls4ml.backends``::

    config = hls4ml.utils.config_from_keras_model(model, granularity="name", backend="hwflow")
    hls_model = hls4ml.converters.convert_from_keras_model(model, backend="hwflow", hls_config=config, output_dir="out")
    hls_model.compile()           # writes the RTL and builds its simulation in Verilator
    hls_model.predict(images)     # runs it
    hls_model.build()             # synthesis by Yosys, placement and routing by nextpnr if it is there

The types are those of the configuration, or with ``config["Model"]["Hardening"]`` those of hwflow's hardening
(:func:`hwflow.firmware.register`). What the RTL cannot do is refused by the layer's name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

NAME = "hwflow"


def register(register_backend: Callable[[str, Any], None], register_writer: Callable[[str, Any], None]) -> None:
    """What hls4ml calls when it is imported; the writer has to come first."""
    from hwflow.backend.backend import HwflowBackend, RtlWriter

    register_writer(NAME, RtlWriter)
    register_backend(NAME, HwflowBackend)
