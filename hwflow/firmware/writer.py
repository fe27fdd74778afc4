"""Writes a ModelGraph as a Vitis project: hls4ml's files, hwflow's metadata and the C simulation's entry."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import yaml
from hls4ml.writer.vitis_writer import VitisWriter

from hwflow.codes import Words
from hwflow.firmware.project import ProjectMemory
from hwflow.firmware.storage import Stored, StoredWords
from hwflow.graph import Conv2D, DepthwiseConv2D, FloatArray, Graph, WeightLayer
from hwflow.resources import folder

CSIM_SOURCE = "csim.cpp"
CSIM_HEADER = "hwflow_csim.h"
VALUES_AT_ONCE = 1 << 18
"""Weights that are text in memory at the same time."""


class HwflowWriter(VitisWriter):
    """hls4ml's writer, without its import of Keras, which takes seconds and is only needed to save the model."""

    def write_project_cpp(self, model: Any) -> None:
        """hls4ml's top function, with the block RAM interface that it leaves out in io_parallel."""
        super().write_project_cpp(model)
        ports = [weights.name for weights in model.get_weight_variables() if weights.storage == "bram"]
        if ports and model.config.get_config_value("IOType") == "io_parallel":
            path = Path(model.config.get_output_dir()) / "firmware" / f"{model.config.get_project_name()}.cpp"
            interface = "    #pragma HLS INTERFACE "
            text = path.read_text(encoding="utf-8")
            bram = f"{interface}bram port={','.join(ports)}\n"
            path.write_text(text.replace(interface, bram + interface, 1), encoding="utf-8")

    def print_array_to_cpp(
        self, var: Any, odir: Any, namespace: str | None = None, write_txt_file: bool = True
    ) -> None:
        """hls4ml's files of an array: its values once, in the text file, which the header includes for synthesis.

        Stored words are hexadecimal there, which C++ has no constants for beyond 64 bits: synthesis includes
        initialisers of its own.
        """
        weights = Path(odir) / "firmware" / "weights"
        included, values = f"{var.name}.txt", f"{' x '.join(map(str, var.shape))} values"
        with (weights / included).open("w", encoding="ascii") as file:
            if isinstance(var, StoredWords):
                write_words(file, var.words, "0x{}", ", ")
            else:
                write_values(file, np.asarray(var.data, dtype=np.float64).reshape(-1), var.type.precision.fractional)
        if isinstance(var, StoredWords):
            included, values = f"{var.name}.inc", f"{len(var.words)} words"
            with (weights / included).open("w", encoding="ascii") as file:
                write_words(file, var.words, '{{"{}", 16}}', ",\n")
        guard = f"{var.name.upper()}_H_"
        lines = [
            f"// {values}; C simulation reads {var.name}.txt when it starts.",
            f"#ifndef {guard}",
            f"#define {guard}",
            "",
            "#ifndef __SYNTHESIS__",
            f"{var.definition_cpp()};",
            "#else",
            f"{var.definition_cpp()} = {{",
            f'#include "{included}"',
            "};",
            "#endif",
            "",
            "#endif",
            "",
        ]
        (weights / f"{var.name}.h").write_text("\n".join(lines), encoding="ascii")

    def write_test_bench(self, model: Any) -> None:
        """The folder of test data; :mod:`hwflow.firmware.testbench` fills it and writes the testbench."""
        (Path(model.config.get_output_dir()) / "tb_data").mkdir(exist_ok=True)

    def write_yml(self, model: Any) -> None:
        """hls4ml's configuration, less the Keras model and the temporary name of the folder."""
        settings = {
            name: {"ReuseFactor": model.config.layer_name_rf[name.lower()], "Strategy": "Resource"}
            for name in model.graph
            if name.lower() in model.config.layer_name_rf
        }
        path = Path(model.config.get_output_dir()) / "hls4ml_config.yml"
        path.write_text(configuration(model, settings), encoding="utf-8")


def configuration(model: Any, layers: Mapping[str, Mapping[str, Any]]) -> str:
    """The YAML of a ModelGraph's configuration, less the Keras model and the temporary name of the folder.

    Args:
        model: the ModelGraph.
        layers: settings by layer in the place of those that were asked for: what is in use.
    """
    config = {key: value for key, value in model.config.config.items() if key != "KerasModel"} | {"OutputDir": "."}
    asked = config["HLSConfig"].get("LayerName", {})
    used = {name: {**asked.get(name, {}), **settings} for name, settings in layers.items()}
    config["HLSConfig"] = config["HLSConfig"] | {"LayerName": asked | used}
    return yaml.safe_dump(config)


def write_values(file: TextIO, values: FloatArray, fraction: int) -> None:
    """Write values ``(n,)`` with ``fraction`` fraction bits as exact decimals, in one line."""
    for start in range(0, len(values), VALUES_AT_ONCE):
        codes = np.ldexp(values[start : start + VALUES_AT_ONCE], fraction).astype(np.int64)
        distinct = np.unique(codes)
        decimals = dict(zip(distinct.tolist(), map(decimal, np.ldexp(distinct.astype(float), -fraction)), strict=True))
        file.write(", " if start else "")
        file.write(", ".join(map(decimals.__getitem__, codes.tolist())))


def write_words(file: TextIO, words: Words, form: str, separator: str) -> None:
    """Write stored words ``(n, bytes)``, the ``form`` of each with its hexadecimal digits in it."""
    digits = 2 * words.shape[1]
    for start in range(0, len(words), VALUES_AT_ONCE):
        text = words[start : start + VALUES_AT_ONCE, ::-1].tobytes().hex()
        file.write(separator if start else "")
        file.write(separator.join(form.format(text[at : at + digits]) for at in range(0, len(text), digits)))


def decimal(value: float) -> str:
    """All digits of a binary fraction and no more."""
    text = format(Decimal(value), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def mark_bram_ports(graph: Graph, model: Any) -> None:
    """Make the weights (not the biases, which are registers) external block RAM ports.

    hls4ml's BramFactor decides by size and would export long biases too.
    """
    for layer in graph.weight_layers:
        model.graph[layer.name].get_weights("weight").storage = "bram"


def memory_symbols(graph: Graph, model: Any, names: Mapping[str, str]) -> dict[str, ProjectMemory]:
    """The arrays of every weight and bias memory, by the memory's name.

    The Resource strategy transposes the weights so that outputs come first, which is the storage order of
    :mod:`hwflow.memory`.

    Args:
        graph: a typed graph.
        model: what was made of it.
        names: of the layers in ``model``, by those in ``graph``.
    """
    memories = {}
    for layer in graph.weight_layers:
        weight, bias = (model.graph[names[layer.name]].get_weights(kind) for kind in ("weight", "bias"))
        memories[f"{layer.name}.weight"] = ProjectMemory(
            symbol=weight.name,
            type=weight.type.precision.definition_cpp() if isinstance(weight, StoredWords) else str(layer.weight.type),
            size=int(weight.data_length),
            layout=_layout(layer),
            **(_stored_form(weight.stored) if isinstance(weight, StoredWords) else {}),
        )
        memories[f"{layer.name}.bias"] = ProjectMemory(
            symbol=bias.name, type=str(layer.bias.type), size=int(bias.data_length), layout=("out",)
        )
    return memories


def write_csim(graph: Graph, model: Any, project: Path) -> None:
    """Write the entry of C simulation: codes in, codes out; the words of every weight array flipped or replaced."""
    shutil.copyfile(folder("hls_templates") / "firmware" / CSIM_HEADER, project / CSIM_HEADER)
    (project / CSIM_SOURCE).write_text(_csim_source(graph, model), encoding="utf-8")


def _layout(layer: WeightLayer) -> tuple[str, ...]:
    if isinstance(layer, DepthwiseConv2D):
        return ("kernel_height", "kernel_width", "out")
    return ("out", "kernel_height", "kernel_width", "in") if isinstance(layer, Conv2D) else ("out", "in")


def _stored_form(stored: Stored) -> dict[str, Any]:
    return {
        "code": stored.name,
        "decoder": stored.decoder,
        "word_bits": stored.code.bits,
        "weights_per_word": stored.code.weights_per_word,
        "rows": stored.layout.rows,
    }


def _csim_source(graph: Graph, model: Any) -> str:
    name = model.config.get_project_name()
    (source,), (result,) = model.get_input_variables(), model.get_output_variables()
    layers = [model.graph[layer.name] for layer in graph.weight_layers]
    weights = [layer.get_weights(kind) for layer in layers for kind in ("weight", "bias")]
    ports = [variable for variable in weights if variable.storage == "bram"]
    arguments = ", ".join(["x", "y", *(variable.name for variable in ports)])
    lines = [
        "// C simulation of the network on integer codes; hwflow builds and loads it. It includes the network's",
        "// source because one translation unit compiles in half the time.",
        "",
        f'#include "firmware/{name}.cpp"',
        f'#include "{CSIM_HEADER}"',
        *(f'#include "firmware/weights/{variable.name}.h"' for variable in ports),
        "",
        "// Needed by hls4ml's headers, which can trace layers.",
        "namespace nnet {",
        "bool trace_enabled = false;",
        "std::map<std::string, void *> *trace_outputs = NULL;",
        "size_t trace_type_size = sizeof(double);",
        "} // namespace nnet",
        "",
        'extern "C" {',
        "",
        "void hwflow_run(const long long *inputs, long long *outputs, long count) {",
        "    for (long n = 0; n < count; n++) {",
        f"        {definition(source, 'x')};",
        f"        {definition(result, 'y')};",
        f"        hwflow::load<{source.type.name}, {source.size_cpp()}>(inputs + n * {source.size()}, x);",
        f"        {name}({arguments});",
        f"        hwflow::store<{result.type.name}, {result.size_cpp()}>(y, outputs + n * {result.size()});",
        "    }",
        "}",
    ]
    for variable in weights:
        lines += [
            "",
            f"void hwflow_flip_{variable.name}(long count, const long long *index, const unsigned char *masks) {{",
            f"    hwflow::flip({variable.name}, count, index, masks);",
            "}",
            "",
            f"void hwflow_store_{variable.name}(long parts, const unsigned *values) {{",
            f"    hwflow::put({variable.name}, parts, values);",
            "}",
        ]
    return "\n".join([*lines, "", '} // extern "C"', ""])


def definition(variable: Any, name: str) -> str:
    """C++ that defines a tensor at the network's port under another name: a stream, or an array."""
    if variable.pragma and variable.pragma[0] == "stream":
        return f"hls::stream<{variable.type.name}> {name}"
    return f"{variable.type.name} {name}[{variable.size_cpp()}]"
