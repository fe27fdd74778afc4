"""hls4ml's layers against hwflow's executors: what each cell says is found by running a network of that layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import hls4ml
import numpy as np
from hls4ml.converters.keras_v2_to_hls import get_supported_keras_layers

from hwflow.cost.reuse import choose_reuse
from hwflow.emulation import emulate
from hwflow.errors import HwflowError
from hwflow.firmware import CsimExecutor, read_keras
from hwflow.firmware import generate as generate_firmware
from hwflow.frontends.packed import rewritten
from hwflow.graph import Graph
from hwflow.hardening import harden
from hwflow.models._tf import qkeras, tensorflow
from hwflow.reference import IntegerExecutor, RealExecutor
from hwflow.rtl import RtlExecutor
from hwflow.rtl import generate as generate_rtl
from tests.unit.test_keras_attributes import CLASSES, build

NO_LAYERS = frozenset(
    ("Functional", "Sequential", "FixedPointQuantizer", "HGQ>FixedPointQuantizer", "HGQ>UnaryLUT", "UnaryLUT")
)
"""Names in hls4ml's table of layers that are models, or another package's quantisers."""
COLUMNS = ("hardened", "C simulation", "RTL", "emulated")


def subjects() -> Mapping[str, Callable[[], Any]]:
    """A network of every layer of hls4ml's Keras converter that Keras and QKeras have, by the layer.

    Not of QKeras' ``QSimpleRNN`` and ``QGRU``, which fail in Keras 2.15.
    """
    keras = tensorflow().keras
    layers = keras.layers

    def after(*shape: int) -> Callable[[Any], Any]:
        def model(layer: Any) -> Any:
            x = keras.Input(shape)
            return keras.Model(x, layer(x))

        return model

    q = {"kernel_quantizer": "quantized_bits(6,1,alpha=1)", "recurrent_quantizer": "quantized_bits(6,1,alpha=1)"}
    q |= {"state_quantizer": "quantized_bits(8,1,alpha=1)"}
    others: dict[str, Callable[[], Any]] = {
        **{name: lambda name=name: after(4, 3)(getattr(layers, name)(3)) for name in ("SimpleRNN", "LSTM", "GRU")},
        "Bidirectional": lambda: after(4, 3)(layers.Bidirectional(layers.LSTM(2))),
        "QLSTM": lambda: after(4, 3)(qkeras().QLSTM(3, **q)),
        "Embedding": lambda: after(4)(layers.Embedding(8, 3)),
    }
    names = set(get_supported_keras_layers()) - NO_LAYERS
    known = {name: lambda name=name: build(name) for name in CLASSES if name in names}
    return dict(sorted({**others, **known}.items()))


def hardened(model: Any) -> Graph | None:
    """The typed graph of a model whose real values are Keras'; ``None`` if it is refused."""
    try:
        model = rewritten(model)
        graph = read_keras(model)
        images = np.random.default_rng(1).uniform(-1, 1, (16, *graph.input.shape))
        right = np.asarray(model.predict(images, verbose=0))
        wrong = np.abs(RealExecutor(graph).run(images).reshape(right.shape) - right).max()
        # A quantiser of a network rounds, which real values do not.
        assert wrong <= max(1e-4, 0.1 * float(np.abs(right).max())), model.name
        return harden(graph, images).graph
    except HwflowError:
        return None


def csim_agrees(graph: Graph, model: Any, folder: Path) -> bool:
    """Whether hls4ml's C simulation gives the reference's codes; false if it is refused."""
    try:
        generate_firmware(graph, rewritten(model), folder, reuse=choose_reuse(graph))
    except HwflowError:
        return False
    return agree(graph, CsimExecutor(folder, graph))


def rtl_agrees(graph: Graph, folder: Path) -> bool:
    """Whether the RTL gives the reference's codes; false if it is refused."""
    graph = graph.in_rtl
    try:
        generate_rtl(graph, folder, choose_reuse(graph))
    except HwflowError:
        return False
    return agree(graph, RtlExecutor(folder, graph, "icarus"))


def agree(graph: Graph, executor: Any) -> bool:
    """Whether an executor gives the reference's codes.

    Raises:
        AssertionError: it gives others.
    """
    reference = IntegerExecutor(graph)
    codes = reference.encode(np.random.default_rng(2).uniform(-1, 1, (2, *graph.input.shape)))
    np.testing.assert_array_equal(executor.run(codes), reference.run(codes))
    return True


def emulated(model: Any) -> bool:
    """Whether hls4ml's conversion is emulated; whether bit for bit, the tests of the emulator tell."""
    try:
        config = hls4ml.utils.config_from_keras_model(model, granularity="name", backend="Vitis")
        converted = hls4ml.converters.convert_from_keras_model(
            model, hls_config=config, backend="Vitis", output_dir="unused"
        )
        emulate(converted)
    except HwflowError:
        return False
    except Exception:  # whatever hls4ml's own conversion raises
        return False
    return True


def row(name: str, cells: Mapping[str, bool]) -> str:
    """A line of the table in the documentation."""
    return f"| `{name}` | " + " | ".join("yes" if cells[column] else "no" for column in COLUMNS) + " |"


def table(text: str) -> dict[str, dict[str, bool]]:
    """The table in a text, by layer."""
    found = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 1 + len(COLUMNS) and set(cells[1:]) <= {"yes", "no"}:
            found[cells[0].strip("`")] = {
                column: cell == "yes" for column, cell in zip(COLUMNS, cells[1:], strict=True)
            }
    return found
