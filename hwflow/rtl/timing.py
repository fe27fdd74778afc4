"""When the cells of the RTL pass beats on: the one place that the cycle model takes latencies from.

Whoever changes the pipeline of a cell changes its row here; ``tests/exact/test_rtl_throughput.py`` holds the model
against the RTL.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hwflow.rtl.decoders import READ, Parameter

MAXIMUM, AVERAGE, SUM = range(3)
"""``MODE`` of ``hwflow_pool``."""
CHUNK = 17
"""Bits of the constant by which ``hwflow_pool`` divides that it multiplies with in a cycle."""
CREDIT = 2
"""Cycles from a result's leaving until ``hwflow_catch`` has its room for another."""


@dataclass(frozen=True)
class Timing:
    """What a cell holds back.

    Attributes:
        latency: cycles from the beat that completes a result until the result is offered.
        capacity: results that find room in the cell while none can leave it.
        freed: cycles from a result's leaving until its room is free: 0 where ready is combinational.
        readable: of a window: cycles from a pixel's last beat until the pixel can be read.
    """

    latency: int
    capacity: int
    freed: int = 0
    readable: int = 0


def in_block_ram(width: int, depth: int) -> bool:
    """Whether ``hwflow_ram`` is block RAM with so many bits a word and so many words."""
    return depth > 32 and width * depth > 1024


def _integer(parameters: Mapping[str, Parameter], name: str, default: int = 0) -> int:
    return int(parameters.get(name, default))


def _mvu(parameters: Mapping[str, Parameter]) -> Timing:
    simd = _integer(parameters, "SIMD")
    to_sums = _integer(parameters, "W_LATENCY", READ) + 4 + ((simd - 1).bit_length() + 1) // 2
    return Timing(to_sums + 4, -(-(to_sums + 6) // (_integer(parameters, "N_IN") // simd)) + 1, CREDIT)


def _affine(parameters: Mapping[str, Parameter]) -> Timing:
    to_results = _integer(parameters, "W_LATENCY", READ) + 4
    return Timing(to_results + 2, to_results + 5, CREDIT)


def _pool(parameters: Mapping[str, Parameter]) -> Timing:
    positions, lanes = _integer(parameters, "POSITIONS"), _integer(parameters, "LANES")
    bits, beats = _integer(parameters, "IN_W"), _integer(parameters, "CHANNELS") // lanes
    mode, divide = _integer(parameters, "MODE"), 0
    if mode != MAXIMUM:
        bits += (positions - 1).bit_length()
    if mode == AVERAGE:
        edges = _integer(parameters, "EDGES") > 0
        twos = 0 if edges else (positions & -positions).bit_length() - 1
        shift = _integer(parameters, "ACC_SHIFT") - twos
        constant = bits + shift + 1  # bits, where an odd number is left to divide by
        constant += (positions - 1).bit_length() * edges
        divide = 2 + (-(-constant // CHUNK) if positions >> twos > 1 else 1)
    to_results = 3 + in_block_ram(lanes * bits, beats) + divide
    return Timing(to_results + 2, to_results + 4, CREDIT)


def _window(parameters: Mapping[str, Parameter]) -> Timing:
    beats = _integer(parameters, "CHANNELS") // _integer(parameters, "LANES")
    buffered = _integer(parameters, "BUF_ROWS") * _integer(parameters, "IN_W_PX") * beats
    in_block = in_block_ram(_integer(parameters, "LANES") * _integer(parameters, "W"), buffered)
    latency = 6 if _integer(parameters, "POSITIONS", 1) > 1 else 4 + in_block
    return Timing(latency, latency + 3, CREDIT + 1, readable=2)


def _fifo(parameters: Mapping[str, Parameter]) -> Timing:
    """``capacity`` is what finds room behind the memory."""
    block = in_block_ram(_integer(parameters, "WIDTH"), _integer(parameters, "DEPTH"))
    return Timing(5, 8, CREDIT) if block else Timing(2, 1)


_REGISTER = Timing(1, 1)
_TIMINGS: Mapping[str, Callable[[Mapping[str, Parameter]], Timing]] = {
    "hwflow_add": lambda _: _REGISTER,
    "hwflow_affine": _affine,
    "hwflow_border": lambda _: _REGISTER,
    "hwflow_depthwise": _affine,
    "hwflow_concat": lambda _: _REGISTER,
    "hwflow_fifo": _fifo,
    "hwflow_multiply": lambda _: Timing(6, 9, CREDIT),
    "hwflow_leaky": lambda _: Timing(6, 9, CREDIT),
    "hwflow_lookup": lambda _: Timing(5, 8, CREDIT),
    "hwflow_mvu": _mvu,
    "hwflow_permute": lambda _: _REGISTER,
    "hwflow_pool": _pool,
    "hwflow_relu": lambda _: _REGISTER,
    "hwflow_repeat": lambda _: _REGISTER,
    "hwflow_rescale": lambda _: Timing(6, 9, CREDIT),
    "hwflow_slice": lambda _: Timing(1, 2, 1),
    "hwflow_window": _window,
}


def timing(module: str, parameters: Mapping[str, Parameter]) -> Timing:
    """What a cell holds back. Forks have no latency, and width converters one cycle; a FIFO has its depth besides."""
    return _TIMINGS[module](parameters)
