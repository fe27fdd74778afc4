"""From a hardened graph to a Vitis project."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, get_args

import hls4ml
from hls4ml.model.graph import ModelGraph

from hwflow.cost import DEFAULT_PART
from hwflow.errors import HwflowError
from hwflow.files.folders import new_folder
from hwflow.firmware.apply import apply_graph, firmware_reuse
from hwflow.firmware.build import layer_list
from hwflow.firmware.layers import register_layers
from hwflow.firmware.project import FIRMWARE, FirmwareProject, IOType, open_project
from hwflow.firmware.storage import store_words
from hwflow.firmware.testbench import write_testbench
from hwflow.firmware.writer import HwflowWriter, mark_bram_ports, memory_symbols, write_csim
from hwflow.frontends.hls4ml_passes import fast_passes
from hwflow.frontends.keras_graph import FLOWS, convert_network
from hwflow.frontends.keras_network import KerasCalls, read_network
from hwflow.frontends.legal import legal
from hwflow.frontends.quiet import quiet
from hwflow.graph import Flatten, Graph, Move, Rescale
from hwflow.graph.naming import restored
from hwflow.reference.stimuli import Stimuli, random_stimuli
from hwflow.version import __version__

CLOCK_PERIOD = 5.0


def model_graph(
    graph: Graph,
    keras_model: Any | None = None,
    *,
    reuse: Mapping[str, int],
    output: Path,
    io_type: IOType = "io_stream",
    part: str = DEFAULT_PART,
    clock_period: float = CLOCK_PERIOD,
) -> ModelGraph:
    """hls4ml's ModelGraph of a hardened graph, before its backend's flows; its layers have legal names.

    Args:
        graph: a typed graph.
        keras_model: the model that it was made from; without it, and for one with layers that hwflow reads
            its own way, hls4ml is given the graph itself.
        reuse: valid reuse factors by layer name.
        output: folder that hls4ml is to write.
        io_type: ``io_stream`` or ``io_parallel``.
        part: the FPGA part.
        clock_period: in ns.
    """
    network = _network(graph, keras_model)
    given, names = legal(graph, [] if network is None else [layer["name"] for layer in network.layers])
    settings = {"part": part, "clock_period": clock_period}
    return _model_graph(given, names, network, reuse, output, io_type, settings)


def _network(graph: Graph, keras_model: Any | None) -> KerasCalls | None:
    """The Keras model's layers where hls4ml is to be given those: it has all that the graph has."""
    if keras_model is None:
        return None
    network = read_network(keras_model)
    layers = {layer["name"] for layer in network.layers}
    own = any(isinstance(node, Move) and not isinstance(node, Flatten) for node in graph)
    own = own or any(layer["class_name"].startswith("GlobalMax") for layer in network.layers)
    lacks = any(node.name not in layers and not isinstance(node, Rescale) for node in graph)
    return None if own or lacks else network


def _model_graph(
    given: Graph,
    names: Mapping[str, str],
    network: KerasCalls | None,
    reuse: Mapping[str, int],
    output: Path,
    io_type: IOType,
    settings: Mapping[str, Any],
) -> ModelGraph:
    """The ModelGraph of a graph under legal names; ``names`` and ``reuse`` are by the user's."""
    name = f"{given.name}_hls"
    if network is None:
        config = hls4ml.utils.config.create_config(
            output_dir=str(output), project_name=name, backend="Vitis", io_type=io_type, **settings
        )
        # The precision is a placeholder: apply_graph sets every type.
        config["HLSConfig"] = {"Model": {"Precision": "ap_fixed<16,6>", "ReuseFactor": 1}} | FLOWS
        register_layers()
        model = ModelGraph.from_layer_list(config, layer_list(given))
    else:
        model = convert_network(network, names, io_type, output, name, **settings)
    apply_graph(given, model, {names[layer]: factor for layer, factor in reuse.items()})
    return model


def generate(
    graph: Graph,
    keras_model: Any | None,
    output: str | Path,
    *,
    reuse: Mapping[str, int],
    io_type: IOType = "io_stream",
    part: str = DEFAULT_PART,
    clock_period: float = CLOCK_PERIOD,
    bram_ports: bool = False,
    stimuli: Stimuli | None = None,
    force: bool = False,
) -> FirmwareProject:
    """Write the Vitis project of a hardened graph.

    Args:
        graph: a typed graph.
        keras_model: the model that it was made from, or ``None``: the graph alone says everything.
        output: the project's folder; it appears only when all of it is written.
        reuse: reuse factors by layer name, from :func:`hwflow.cost.reuse.choose_reuse`.
        io_type: ``io_stream`` or ``io_parallel``.
        part: the FPGA part.
        clock_period: in ns.
        bram_ports: make the weights external block RAM ports instead of memories inside.
        stimuli: images of the testbench; by default random ones.
        force: replace an existing folder.

    Raises:
        HwflowError: the folder exists, the graph cannot be written, or hls4ml fails.
    """
    if io_type not in get_args(IOType):
        raise HwflowError(f"io_type={io_type!r} is not one of {', '.join(get_args(IOType))}")
    factors, notes = firmware_reuse(graph, reuse, io_type)
    network = _network(graph, keras_model)
    given, names = legal(graph, [] if network is None else [layer["name"] for layer in network.layers])
    output = Path(output)
    with (
        new_folder(output, FIRMWARE, force) as folder,
        fast_passes(),
        quiet(f"{output}: hls4ml cannot write the project", partial(restored, names=names)),
    ):
        settings = {"part": part, "clock_period": clock_period}
        model = _model_graph(given, names, network, factors, folder, io_type, settings)
        model.apply_flow("vitis:ip")
        store_words(given, model)
        if bram_ports:
            mark_bram_ports(given, model)
        model.config.config["Stamp"] = graph.digest[:8]
        HwflowWriter().write_hls(model)
        write_csim(given, model, folder)
        project = FirmwareProject(
            path=output,
            name=model.config.get_project_name(),
            hwflow=__version__,
            graph=graph.digest,
            io_type=io_type,
            part=part,
            clock_period=clock_period,
            bram_ports=bram_ports,
            reuse=factors,
            memories=memory_symbols(graph, model, names),
            notes=tuple(notes),
        )
        write_testbench(graph, model, names, project, stimuli or random_stimuli(graph), folder)
        project.write(folder)
    return open_project(output)
