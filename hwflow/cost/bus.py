"""Models of the cells that the top level has around the network: guard, results, and the configuration ring."""

from __future__ import annotations

from hwflow.cost.model import CellModel, Values, index_bits

MESSAGE_BITS = 35
"""Bits of a message of the ring besides its address."""


def guard(values: Values) -> CellModel:
    """``hwflow_guard``: three beats and a count of beats."""
    beats = values("BEATS")
    features = {"one": 1.0, "bit": values("WIDTH"), "beat": index_bits(beats)}
    wraps = index_bits(beats) if beats & (beats - 1) else 0
    return CellModel(luts={**features, "wrap": wraps}, flip_flops=features)


def results(values: Values) -> CellModel:
    """``hwflow_results``: three beats, a count of beats, and numbers of images, which take the same always."""
    features = {"one": 1.0, "bit": values("WIDTH"), "beat": index_bits(values("BEATS"))}
    return CellModel(luts=features, flip_flops=features)


def axil(values: Values) -> CellModel:
    """``hwflow_axil``: two addresses, a word of data and one of an answer, and a message."""
    features = {"one": 1.0, "address": values("ADDR_W")}
    return CellModel(luts=features, flip_flops=features)


def control(values: Values) -> CellModel:
    """``hwflow_control``: counters, and two messages."""
    features = {"one": 1.0, "address": values("ADDR_W")}
    return CellModel(luts=features, flip_flops=features)


def cfg_mem(values: Values) -> CellModel:
    """``hwflow_cfg_mem``: a message, and a word of the memory, of which a part is chosen and changed."""
    width, row = values("WIDTH"), index_bits(values("DEPTH"))
    parts, part = -(-width // 32), min(width, 32)
    return CellModel(
        luts={
            "one": 1,
            "message": values("ADDR_W") + MESSAGE_BITS,
            "part": part,
            # A changed bit is a LUT of the old, the new, the operation and the part's number, of up to 3 bits.
            "bit": width * (2 if parts > 8 else 1),
            "choice": part * -(-(parts - 1) // 3),
        },
        flip_flops={
            "one": 1,
            "message": values("ADDR_W") + MESSAGE_BITS,
            "row": row,
            "bit": width,
            "part": part,
        },
    )


def cfg_errors(values: Values) -> CellModel:
    """``hwflow_cfg_errors``: a message, two counters and two sums of flags."""
    message, flags = values("ADDR_W") + MESSAGE_BITS, values("FLAGS")
    return CellModel(
        luts={"one": 1, "message": message, "flags": flags},
        flip_flops={"one": 1, "message": message, "sum": index_bits(flags + 1)},
    )
