"""hls4ml fuses batch normalisations into depthwise layers wrongly; with weights in another shape it does so right."""

from __future__ import annotations

from typing import Any

import numpy as np
from hls4ml.model.flow import get_flow
from hls4ml.model.optimizer import ModelOptimizerPass, register_pass

PASS = "hwflow_depthwise_weights"
FLOW = "convert"


class DepthwiseWeights(ModelOptimizerPass):
    """Gives depthwise weights ``(kernel, channels, multiplier)`` the shape ``(kernel, 1, outputs)``.

    A scale an output then multiplies its own weights. Only where hwflow reads the weights: hls4ml's own templates take
    them as they were.
    """

    def __init__(self) -> None:
        self.name = PASS

    def transform(self, model: Any) -> bool:
        """Reshape the weights of all depthwise layers, before anything is fused with them."""
        config = model.config
        if config.backend.name != "hwflow" and "Hardening" not in config.config["HLSConfig"].get("Model", {}):
            return False
        for layer in model.get_layers():
            if layer.class_name in ("DepthwiseConv1D", "DepthwiseConv2D"):
                data = np.asarray(layer.get_weights("weight").data_unquantized)
                quantizer = layer.get_attr("weight_quantizer")
                data = data.reshape(*data.shape[:-2], 1, -1)
                layer.add_weights_variable(name="weight", var_name="w{index}", data=data, quantizer=quantizer)
        return True


def register() -> None:
    """Put the pass before hls4ml's own; a second call does nothing."""
    flow = get_flow(FLOW)
    if PASS not in flow.optimizers:
        register_pass(PASS, DepthwiseWeights)
        flow.optimizers.insert(0, PASS)
