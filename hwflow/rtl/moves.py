"""The cells of nodes that give elements new places."""

from __future__ import annotations

from collections.abc import Mapping

from hwflow.errors import HwflowError
from hwflow.graph import Crop2D, Move, Node, Permute, UpSample2D, ZeroPad2D
from hwflow.rtl.decoders import Parameter
from hwflow.rtl.structure import Stream


def scatters_channels(node: Node) -> bool:
    """Whether the elements of a pixel do not stay together, so that they have to come one by one."""
    return isinstance(node, Permute) and node.axes[-1] != 2


def waiting_beats(node: Move, shape: tuple[int, ...], source: Stream) -> int:
    """Beats that come evenly while a node gives others than them, so that what is before it need not wait."""
    beats = shape[2] // source.lanes
    if isinstance(node, UpSample2D) and node.factors[0] > 1:
        return shape[1] * beats
    if isinstance(node, ZeroPad2D):
        top, bottom, left, right = node.padding
        zeros = (top + bottom) * node.shape[1] + left + right
        return -(-zeros * shape[0] * shape[1] // (node.shape[0] * node.shape[1])) * beats
    return 0


def move_cell(node: Move, shape: tuple[int, ...], source: Stream) -> tuple[str, Mapping[str, Parameter]]:
    """The module without ``hwflow_``, and its parameters.

    Args:
        node: what moves pixels.
        shape: of its input, ``(height, width, channels)``.
        source: its input.

    Raises:
        HwflowError: the RTL has no such operation.
    """
    height, width, channels = shape
    beats = channels // source.lanes
    parameters: dict[str, Parameter] = {"W": source.type.width, "LANES": source.lanes}
    match node:
        case ZeroPad2D() | Crop2D():
            kind, edges = ("PAD", node.padding) if isinstance(node, ZeroPad2D) else ("CROP", node.cropping)
            parameters |= {"BEATS": beats, "IN_H": height, "IN_W_PX": width}
            parameters |= {f"{each}_{side}": 0 for each in ("CROP", "PAD") for side in "TBLR"}
            parameters |= {f"{kind}_{side}": pixels for side, pixels in zip("TBLR", edges, strict=True)}
            return "border", parameters
        case UpSample2D():
            rows, columns = node.factors
            sizes: dict[str, Parameter] = {"BEATS": beats, "IN_W_PX": width, "ROWS": rows, "COLUMNS": columns}
            return "repeat", parameters | sizes
        case Permute():
            sides, strides = (height, width, beats), (width * beats, beats, 1)
            parameters |= {f"SIZE_{i}": sides[axis] for i, axis in enumerate(node.axes)}
            return "permute", parameters | {f"STRIDE_{i}": strides[axis] for i, axis in enumerate(node.axes)}
    raise HwflowError(f"{node.name}: the RTL has no {node.op}")
