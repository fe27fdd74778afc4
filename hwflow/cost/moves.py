"""Models of the cells that give beats new places."""

from __future__ import annotations

from hwflow.cost.area import Area
from hwflow.cost.memories import Memory
from hwflow.cost.model import CellModel, Features, Values, index_bits


def memory_area(memory: Memory) -> Area:
    """A memory that one port writes and the other reads."""
    return Area(luts=memory.lut_ram) if memory.is_small else Area(block_ram=memory.block_ram)


def border(values: Values) -> CellModel:
    """``hwflow_border``: a register, and counters of beats, columns and rows."""
    bits, beats = values("LANES") * values("W"), values("BEATS")
    rows = values("PAD_T") + values("IN_H") + values("PAD_B")
    columns = values("PAD_L") + values("IN_W_PX") + values("PAD_R")
    count = index_bits(beats) * (beats > 1) + index_bits(rows + 1) + index_bits(columns + 1)
    features: Features = {"one": 1, "count": count, "bit": bits}
    return CellModel(luts=features, flip_flops=features)


def repeat(values: Values) -> CellModel:
    """``hwflow_repeat``: the memory of a row, a register beside it and a choice, and counters."""
    bits, beats = values("LANES") * values("W"), values("BEATS")
    memory = Memory(bits, beats * values("IN_W_PX"))
    sizes = (beats, values("ROWS"), values("COLUMNS"), beats * values("IN_W_PX"))
    features: Features = {"one": 1, "count": sum(index_bits(size) for size in sizes), "bit": bits}
    return CellModel(memory_area(memory), features, features | {"read": bits * memory.is_small})


def permute(values: Values) -> CellModel:
    """``hwflow_permute``: a memory of two images, and where in it is written and read."""
    bits, sizes = values("LANES") * values("W"), [values(f"SIZE_{i}") for i in range(3)]
    image = sizes[0] * sizes[1] * sizes[2]
    memory = Memory(bits, 2 * image)
    features: Features = {"one": 1, "place": index_bits(image), "count": sum(index_bits(size) for size in sizes)}
    return CellModel(memory_area(memory), features, features | {"read": bits * memory.is_small})
