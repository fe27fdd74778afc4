"""The cells of layers with weights: the unit that multiplies, and beside it the memories of its weights and biases."""

from __future__ import annotations

import math
from collections.abc import Mapping

from hwflow.cost.memories import Memory
from hwflow.cost.packing import packing
from hwflow.cost.reuse import layer_fold
from hwflow.errors import HwflowError
from hwflow.graph import (
    Affine,
    Conv2D,
    DepthwiseConv2D,
    Graph,
    WeightLayer,
)
from hwflow.memory import layer_bias_type
from hwflow.rtl.cells import Cells, image, input_lanes, output_parameters
from hwflow.rtl.decoders import READ, TABLE, WORD, Parameter, code_parameters
from hwflow.rtl.memory_image import SideMemory, side_memory
from hwflow.rtl.structure import Keeps, Loadable, MatrixUnit, RestRoom, Stream


class WeightCells(Cells):
    """The cells of layers with weights.

    Args:
        graph: a typed graph.
        reuse: reuse factor of every weight layer.
        loadable: whether rests, tables and constants can be written, and into how much room.
    """

    def __init__(self, graph: Graph, reuse: Mapping[str, int], loadable: Loadable | None) -> None:
        busy = (layer.vectors * reuse[layer.name] for layer in graph.weight_layers)
        super().__init__(graph, max((math.prod(graph.input.shape) // input_lanes(graph.input), *busy)))
        self.reuse = reuse
        self.loadable = loadable
        self.units: list[MatrixUnit] = []

    def _weight_layer(self, node: WeightLayer, source: Stream) -> Stream:
        pe, simd = layer_fold(self.graph, node, self.reuse[node.name])
        # More than a convolution's channels are several positions of its kernel, with all channels.
        channels = node.weight.values.shape[-2] if isinstance(node, Conv2D) else simd
        lanes = self._to_lanes(node, source, min(simd, channels))
        positions = simd // lanes.lanes
        stream = self._window(node, node.window, lanes, 0, positions) if isinstance(node, Conv2D) else lanes
        if stream is lanes and node.n_out > pe:
            # The unit takes no vector while it replays one: the next one waits here, and not its producer for it.
            stream = self._fifo(node, stream, node.n_in // simd, "vector")
        sizes: dict[str, Parameter] = {"PE": pe, "SIMD": simd, "N_IN": node.n_in, "N_OUT": node.n_out}
        return self._matrix_unit("mvu", node, stream, pe, simd, sizes)

    def _affine(self, node: Affine, source: Stream) -> Stream:
        pe, simd = layer_fold(self.graph, node, self.reuse[node.name])
        return self._matrix_unit("affine", node, self._to_lanes(node, source, pe), pe, simd, {"PE": pe})

    def _depthwise(self, node: DepthwiseConv2D, source: Stream) -> Stream:
        pe, simd = layer_fold(self.graph, node, self.reuse[node.name])
        lanes = self._to_lanes(node, source, pe // node.multiplier)
        stream = self._window(node, node.window, lanes, 0)
        sizes: dict[str, Parameter] = {"PE": pe, "CHANNELS": node.n_out, "POSITIONS": node.n_in}
        if node.multiplier > 1:
            sizes["MULTIPLIER"] = node.multiplier
        return self._matrix_unit("depthwise", node, stream, pe, simd, sizes)

    def _matrix_unit(
        self, module: str, node: WeightLayer, stream: Stream, pe: int, simd: int, sizes: Mapping[str, Parameter]
    ) -> Stream:
        """An instance that multiplies, beside the one that holds its weights and biases."""
        assert node.weight.type is not None and node.accum is not None
        weight, bias, x = node.weight.type, layer_bias_type(node), stream.type
        code, latency = code_parameters(node, packing(node, "weight", pe, simd))
        effect_bits, signals = self._weights(node, pe, simd, code)
        latency += self.units[-1].rests is not None  # what the side memory makes of them
        parameters: dict[str, Parameter] = {
            **sizes,
            "X_W": x.width,
            "X_SIGNED": int(x.signed),
            "W_W": weight.width,
            **({} if effect_bits == weight.width else {"EFFECT_W": effect_bits}),
            **({} if latency == READ else {"W_LATENCY": latency}),
            "ACC_W": node.accum.width,
            "ACC_FRAC": node.accum.fraction,
            "B_W": bias.width,
            "B_SHIFT": node.accum.fraction - bias.fraction,
            **output_parameters(node.resolved),
        }
        out = self._tensor(node, node.resolved, pe)
        self._instance(module, node, parameters, {"s": stream}, out, signals=signals)
        return out

    def _weights(
        self, node: WeightLayer, pe: int, simd: int, code: Mapping[str, Parameter]
    ) -> tuple[int, dict[str, str]]:
        """An instance with a layer's memories.

        Returns:
            Bits of a weight that it gives, and the signals to it by the ports of the unit that multiplies.
        """
        assert node.weight.type is not None
        layout, bias = packing(node, "weight", pe, simd), layer_bias_type(node)
        name, room = self.names[node.name], self._rest_room(node, side_memory(node, pe, simd))
        files = {kind: f"{name}_{kind}.mem" for kind in ("weight", "bias", "rest", "table")}
        table = files["table"] if code.get("CODE") in (TABLE, WORD) else None
        parameters: dict[str, Parameter] = {
            "PE": layout.pe,
            "SIMD": layout.simd,
            "N_IN": layout.n_in,
            "N_OUT": layout.n_out,
            **({"CHANNELWISE": 1} if node.channelwise else {}),
            "W_W": node.weight.type.width,
            **code,
            "B_W": bias.width,
            **({} if table is None else {"TABLE_FILE": image(table)}),
            "WEIGHT_FILE": image(files["weight"]),
            **({"MEM_STYLE": '"distributed"'} if Memory(layout.width, layout.depth).is_small else {}),
            "BIAS_FILE": image(files["bias"]),
        }
        effect_bits = node.weight.type.width
        if room is not None:
            effect_bits = room.effect_bits(effect_bits)
            parameters |= {
                "REST_ROWS": room.rows,
                "REST_SLOTS": room.slots,
                "REST_W": room.bits,
                **({"KEEPS": int(room.keeps)} if room.keeps else {}),
                "REST_FILE": image(files["rest"]),
            }
        loads = {"rb": room is not None, "tb": table is not None} if self.loadable else {"rb": False, "tb": False}
        if any(loads.values()):
            parameters["LOADABLE"] = 1
        wire = self._name("w", node, "")
        bits = {"next": 1, "data": pe * simd * effect_bits, "bias": pe * bias.width}
        self.signals |= {f"{wire}_{part}": width for part, width in bits.items()}
        signals = {f"{part}_{'i' if part == 'next' else 'o'}": f"{wire}_{part}" for part in bits}
        for port, served in {"wb": True, "bb": True, **loads}.items():
            signals |= self._second_port(wire, port, served)
        signals["wb_wait_o"] = f"{wire}_wb_wait_o"
        self.signals[signals["wb_wait_o"]] = 1
        self.signals |= {f"{wire}_{part}": layout.pe * layout.words for part in ("corrected", "uncorrectable")}
        signals |= {f"{part}_o": f"{wire}_{part}" for part in ("corrected", "uncorrectable")}
        instance = self._instance("weights", node, parameters, {}, suffix="weights", signals=signals)
        rests = None if room is None else files["rest"]
        unit = MatrixUnit(node.name, instance, wire, pe, simd, files["weight"], files["bias"], rests, table, room)
        self.units.append(unit)
        ports = {"w_next_o": "next", "w_data_i": "data", "w_bias_i": "bias"}
        return effect_bits, {pin: f"{wire}_{part}" for pin, part in ports.items()}

    def _rest_room(self, node: WeightLayer, side: SideMemory | None) -> RestRoom | None:
        """Room for the side memory of a layer, if it has one or the hardware has room for one."""
        if self.loadable is None:
            return None if side is None else side.room
        if self.loadable.rests is None:
            return None if side is None else side.room_to_load
        room = self.loadable.rests.get(node.name)
        if side is not None and (room is None or not room.holds(side.room)):
            raise HwflowError(_no_room(node, side, room))
        return room


_ENTRIES = {Keeps.NONE: "outliers", Keeps.SOME: "outliers or kept weights", Keeps.ALL: "kept weights"}


def _no_room(node: WeightLayer, side: SideMemory, room: RestRoom | None) -> str:
    has = "none"
    if room is not None:
        has = f"room for {room.rows} words of {room.slots} {_ENTRIES[room.keeps]} with {room.bits} bits each"
    return (
        f"{node.name}: its {_ENTRIES[side.keeps]} are in {side.rows} words, up to {side.slots} in one, with "
        f"{side.rest_bits} bits each; the hardware has {has}; generate and build it anew, or harden with fewer"
    )
