"""From hls4ml's ModelGraph to the graph that the RTL is made from, and the output folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hwflow.backend.types import typed_graph
from hwflow.cost.reuse import choose_reuse
from hwflow.errors import HwflowError
from hwflow.files.folders import FILES, FolderKind, files_in, new_folder, write_json
from hwflow.firmware.harden_pass import KEY, configured_reuse, harden_model
from hwflow.firmware.writer import configuration
from hwflow.fixed import FixedType
from hwflow.frontends.keras_check import check
from hwflow.frontends.keras_network import read_network
from hwflow.frontends.model_graph import read_graph
from hwflow.graph import Graph, Rescale
from hwflow.rtl import generate
from hwflow.rtl.netlist import build_netlist
from hwflow.version import __version__

OUTPUT = FolderKind("hls4ml output", "hwflow.json", "hwflow-hls4ml", ("rtl/build/*", "report/*"))
CHECKED_IMAGES = 4


def convert(model: Any) -> tuple[Graph, dict[str, int], list[str]]:
    """The typed graph of a ModelGraph up to its logits, valid reuse factors, and what was chosen differently.

    Raises:
        HwflowError: a layer that the RTL lacks, or an option or type that cannot be honoured.
    """
    result = harden_model(model)
    if result is None:
        untyped = read_graph(model, linear=True)
        graph = typed_graph(model, untyped.logits)
        _check_against_keras(model, untyped, graph.input.resolved)
        ends_early = untyped.logits is not untyped
    else:
        model.hwflow = result
        graph = result.graph.logits
        _check_types(model, graph)
        ends_early = graph is not result.graph
    notes = [] if not ends_early else ["the RTL has no softmax: it ends at the logits, and predict() gives them"]
    wanted = {layer.name: configured_reuse(model, layer.name) for layer in graph.weight_layers}
    reuse = {name: choose_reuse(graph, factor)[name] for name, factor in wanted.items()}
    if changed := [
        f"{name} {factor} instead of {wanted[name]}" for name, factor in reuse.items() if factor != wanted[name]
    ]:
        notes.append(f"the nearest valid ReuseFactor is used: {', '.join(changed)}")
    build_netlist(graph, reuse)
    return graph, reuse, notes


def write(model: Any, graph: Graph, reuse: dict[str, int], output: Path) -> None:
    """Write hls4ml's configuration and the RTL project into ``output``, in the place of what was written before.

    Raises:
        HwflowError: the folder holds files that hwflow did not write.
    """
    with new_folder(output, OUTPUT, force=True) as folder:
        generate(graph, folder / "rtl", reuse, part=str(model.config.get_config_value("Part")))
        (folder / "hls4ml_config.yml").write_text(
            configuration(model, {name: {"ReuseFactor": n} for name, n in reuse.items()}), encoding="utf-8"
        )
        write_json(
            folder / OUTPUT.manifest,
            {
                "format": OUTPUT.format,
                "hwflow": __version__,
                "graph": graph.digest,
                "reuse": reuse,
                FILES: files_in(folder),
            },
        )


def _check_against_keras(model: Any, untyped: Graph, input_type: FixedType) -> None:
    """Refuse a ModelGraph in which hls4ml dropped something of the Keras model that it was made from."""
    keras_model = model.config.config.get("KerasModel")
    if not hasattr(keras_model, "layers"):
        return
    network = read_network(keras_model)
    for layer in network.layers:
        if layer.get("hwflow_limit") is not None:
            raise HwflowError(
                f'{layer["name"]}: hls4ml drops the limit of this ReLU; with config["Model"]["{KEY}"] it is kept'
            )
    graph = _without_casts(untyped)
    rng = np.random.default_rng(0)
    images = rng.uniform(max(-1.0, input_type.min), min(1.0, input_type.max), (CHECKED_IMAGES, *graph.input.shape))
    check(graph, network, images.astype(np.float32), keras_model)


def _without_casts(graph: Graph) -> Graph:
    """The graph without linear activations, which Keras has inside their layers."""
    stands: dict[str, str] = {}
    nodes = []
    for node in graph:
        if isinstance(node, Rescale):
            stands[node.name] = stands.get(node.inputs[0], node.inputs[0])
        else:
            nodes.append(replace(node, inputs=tuple(stands.get(name, name) for name in node.inputs)))
    return Graph(tuple(nodes), graph.name)


def _check_types(model: Any, graph: Graph) -> None:
    """Refuse types that the configuration gives a layer, and that hardening has chosen otherwise.

    Those of a layer with a quantiser are that quantiser's, which hardening has read itself.
    """
    layers = model.config.config["HLSConfig"].get("LayerName", {})
    for node in graph:
        given = layers.get(node.name, {}).get("Precision", {})
        layer = model.graph.get(node.name)
        if layer is None or any(layer.get_attr(f"{kind}_quantizer") for kind in ("weight", "bias", "activation")):
            continue
        types = {"default": given, "result": given} if isinstance(given, str) else given
        for kind, text in types.items():
            chosen = {"result": node.type, "weight": getattr(getattr(node, "weight", None), "type", None)}.get(kind)
            if text == "auto" or chosen is None or FixedType.parse(str(text)) == chosen:
                continue
            raise HwflowError(
                f"{node.name}: {kind} {text} is not the {chosen} that {KEY} chooses; set it to auto, or leave {KEY} out"
            )
