"""From a Keras or QKeras model to the untyped graph, through hls4ml's layers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import hls4ml
from hls4ml.model.graph import ModelGraph

from hwflow.frontends.hls4ml_passes import fast_passes
from hwflow.frontends.keras_network import KerasCalls, read_network
from hwflow.frontends.legal import renamed, renamed_layers, users_names
from hwflow.frontends.model_graph import read_graph
from hwflow.frontends.quiet import quiet
from hwflow.graph import Graph
from hwflow.graph.naming import identifiers, restored

FLOWS = {"Flows": ["optimize"]}
"""Stops hls4ml after its last flow before its backend's: parsed, batch norms fused."""


def read_keras(model: Any) -> Graph:
    """The untyped graph of a Keras or QKeras model, through hls4ml's layers and its fusion of batch norms.

    Raises:
        HwflowError: a layer or attribute that is not supported, by the layer's name.
    """
    return network_graph(read_network(model))


def network_graph(network: KerasCalls) -> Graph:
    """The untyped graph of the calls of a Keras model."""
    # hls4ml multiplies two batch normalisations in a row into a wrong one.
    wrong = ("fuse_consecutive_batch_normalization",)
    names = identifiers(layer["name"] for layer in network.layers)
    back = partial(restored, names=names)
    with fast_passes(wrong), quiet(f"{network.name}: hls4ml cannot convert it", back):
        graph = read_graph(convert_network(network, names))
        return renamed(graph, users_names(graph, names), network.name)


def convert_network(
    network: KerasCalls,
    names: Mapping[str, str],
    io_type: str = "io_stream",
    output: Path = Path("unused"),
    name: str = "network",
    **settings: Any,
) -> ModelGraph:
    """hls4ml's ModelGraph of the calls of a Keras model under legal names ``names``, by the user's."""
    config = hls4ml.utils.config.create_config(
        output_dir=str(output), project_name=name, backend="Vitis", io_type=io_type, **settings
    )
    layers = renamed_layers(network.layers, names)
    # Types that are left to hls4ml do not stand in the way of its fusion of batch norms.
    config["HLSConfig"] = {
        "Model": {"Precision": {"default": "ap_fixed<16,6>"}, "ReuseFactor": 1},
        "LayerName": {layer["name"]: {"Precision": "auto"} for layer in layers},
    } | FLOWS
    inputs = [layer["name"] for layer in layers if layer["class_name"] == "InputLayer"]
    return ModelGraph.from_layer_list(config, layers, inputs, [names[network.output_layer]])
