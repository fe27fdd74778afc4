"""Models of the network's cells."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache

from hwflow.cost import bus
from hwflow.cost.area import Area
from hwflow.cost.memories import Memory
from hwflow.cost.model import CellModel, Features, Values, index_bits
from hwflow.cost.moves import border, memory_area, permute, repeat

BIAS_WORDS = 64
"""Biases of more words are in block RAM."""
DIVIDER_CHUNK = 17
"""Bits of the constant that ``hwflow_pool`` multiplies by at a time."""
RESCALE_WHOLE, RESCALE_LOW = 18, 17
"""Bits of x up to which ``hwflow_rescale`` multiplies at once, and of the lower part of a wider one."""
TABLE_BITS = 4096
"""A table of so many bits is made of LUTs, as Yosys has it."""
LUT_RAM_WORDS = 32
"""Up to so many results wait in ``hwflow_catch``."""


def _times(count: int, features: Features) -> Features:
    return {name: count * value for name, value in features.items()}


def _dsps(x: int, w: int) -> int:
    """DSP48E2, of 27 by 18 bits, that a product takes; tiny ones are made of LUTs."""
    small, large = sorted((x, w))
    if small < 2 or small + large < 9:
        return 0
    return math.ceil(max(large - 1, 1) / 26) * math.ceil(max(small - 1, 1) / 17)


def fifo(values: Values) -> CellModel:
    """``hwflow_fifo``: a memory, two indices and a count; of block RAM a register and a FIFO of LUTs behind it."""
    width, depth = values("WIDTH"), values("DEPTH")
    memory = Memory(width, depth)
    block = not memory.is_small
    fixed = memory_area(memory)
    if block:
        fixed += memory_area(Memory(width, values("BEHIND", 8)))
    features = {"one": 1.0, "index": 2 * index_bits(depth) + index_bits(depth + 1), "behind": block}
    return CellModel(fixed, features | {"bit": width}, features | {"bit": width * (1 + block)})


def register_slice(values: Values) -> CellModel:
    """``hwflow_slice``: two beats, of which one is chosen."""
    return CellModel(luts={"one": 1, "bit": values("WIDTH")}, flip_flops={"one": 1, "bit": 2 * values("WIDTH")})


def fork(values: Values) -> CellModel:
    """``hwflow_fork``: a bit an output."""
    return CellModel(luts={"one": 1, "output": values("N")}, flip_flops={"output": values("N")})


def width(values: Values) -> CellModel:
    """``hwflow_width``: a register of the wide side, which shifts."""
    wide = max(values("LANES_IN"), values("LANES_OUT"))
    narrow = min(values("LANES_IN"), values("LANES_OUT"))
    narrows = values("LANES_IN") > values("LANES_OUT")
    count = index_bits(wide // narrow + 1)
    return CellModel(
        luts={"one": 1, "count": count, "bit": wide * values("W") * narrows},
        flip_flops={"bit": wide * values("W"), "count": count},
    )


def relu(values: Values) -> CellModel:
    """``hwflow_relu``: a cast a lane of what is not negative."""
    lanes, (width, fraction, signed) = values("LANES", 1), values.type("IN")
    positive = (width - signed, fraction, 0)
    cast = values.cast(positive)
    bits = lanes * (values.out_bits(positive) - (0 if cast["round"] else values("OUT_SIGNED")))
    # A bit is a LUT; a second one rounds, or finds that it saturates, where more than one bit says so.
    beyond = (width - fraction - signed) - (values("OUT_W") - values("OUT_FRAC") - values("OUT_SIGNED"))
    twice = bits if cast["round"] or (cast["saturate"] and beyond > 1) else 0
    return CellModel(luts={"one": 1, "bit": bits, "twice": twice}, flip_flops={"one": 1, "bit": bits})


MAXIMUM = 2
"""``hwflow_add`` with this OP or a higher one chooses."""


def add(values: Values) -> CellModel:
    """``hwflow_add``: an adder, or a comparison and a choice, and a cast a lane."""
    chooses = values("OP") >= MAXIMUM
    lanes = values("LANES", 1)
    a, b = values.type("A"), values.type("B")
    fraction = max(a[1], b[1])
    integer = max(each[0] - each[1] + 1 - each[2] for each in (a, b)) + 1
    total = (integer + fraction, fraction, 1)
    cast = values.cast(total)
    return CellModel(
        luts={
            "one": 1,
            "adder": lanes * (integer + fraction) * (not chooses),
            **_times(lanes * (not chooses), cast),
            # The larger or the smaller is a comparison and a choice; the choice takes no part in rounding.
            "choice": lanes * (integer + fraction) * chooses,
            "chosen": lanes * cast["round"] * chooses,
        },
        flip_flops={"one": 1, "bit": lanes * values.out_bits(total)},
    )


def concat(values: Values) -> CellModel:
    """``hwflow_concat``: two casts and a choice a lane."""
    lanes = values("LANES", 1)
    a, b = values.cast("A"), values.cast("B")
    both = {name: a[name] + b[name] for name in a}
    beat = index_bits(values("A_BEATS") + values("B_BEATS"))
    bits = lanes * values("OUT_W")
    return CellModel(
        luts={"one": 1, "bit": bits, "beat": beat, **_times(lanes, both)},
        flip_flops={"one": 1, "bit": bits, "beat": beat},
    )


def rescale(values: Values) -> CellModel:
    """``hwflow_rescale``: a product, or two of a wide x, by one constant or one of several, and a cast a lane."""
    lanes, uniform = values("LANES", 1), values("UNIFORM")
    x, m = values("IN_W"), values("M_W")
    product = (x + m + 1, values("IN_FRAC") + values("M_FRAC"), 1)
    splits = x > RESCALE_WHOLE
    dsps = _dsps(RESCALE_LOW + 1, m + 1) + _dsps(x - RESCALE_LOW, m + 1) if splits else _dsps(x, m + 1)
    cast = values.cast(product)
    bits = lanes * values.out_bits(product)
    return CellModel(
        Area(luts=Memory(bits, LUT_RAM_WORDS).lut_ram, dsp=lanes * dsps),
        {
            "one": 1,
            "constant": 0 if uniform else lanes * m * math.ceil(values("CHANNELS") / lanes / 64),
            "sum": lanes * (x + m - RESCALE_LOW) * splits,
            "cast": lanes * (cast["round"] + cast["saturate"]),
        },
        {"one": 1, "bit": bits, "operand": lanes * (x + m * (1 - uniform)), "product": lanes * (x + m)},
    )


def multiply(values: Values) -> CellModel:
    """``hwflow_multiply``: a product and a cast a lane."""
    lanes, a, b = values("LANES", 1), values("A_W"), values("B_W")
    product = (a + b + 2, values("A_FRAC") + values("B_FRAC"), 1)
    cast = values.cast(product)
    bits = lanes * values.out_bits(product)
    dsps = _dsps(a + 1 - values("A_SIGNED"), b + 1 - values("B_SIGNED"))
    return CellModel(
        Area(luts=Memory(bits, LUT_RAM_WORDS).lut_ram, dsp=lanes * dsps),
        {"one": 1, "cast": lanes * (cast["round"] + cast["saturate"])},
        {"one": 1, "bit": bits, "product": lanes * (a + b)},
    )


def lookup(values: Values) -> CellModel:
    """``hwflow_lookup``: a cast and a table a lane."""
    lanes, bits = values("LANES", 1), values("OUT_W")
    cast = values.cast("IN", "INDEX")
    table = Memory(bits, 1 << values("INDEX_W"))
    small = table.bits * table.words <= TABLE_BITS
    blocks = 0.0 if small else table.block_ram
    in_luts = lanes * bits * math.ceil(table.words / 64) if small else 0
    return CellModel(
        Area(luts=Memory(lanes * bits, LUT_RAM_WORDS).lut_ram, block_ram=lanes * blocks),
        {"one": 1, "entry": in_luts, "round": lanes * cast["round"], "saturate": lanes * cast["saturate"]},
        {"one": 1, "bit": lanes * bits, "index": lanes * values("INDEX_W"), "small": lanes * bits * small},
    )


def leaky(values: Values) -> CellModel:
    """``hwflow_leaky``: a comparison, a product with one or a slope, and a cast a lane."""
    lanes, uniform, x, m = values("LANES", 1), values("UNIFORM"), values("IN_W"), values("M_W")
    product = (x + m + 1, values("IN_FRAC") + values("M_FRAC"), 1)
    cast = values.cast(product)
    bits = lanes * values.out_bits(product)
    return CellModel(
        Area(luts=Memory(bits, LUT_RAM_WORDS).lut_ram, dsp=lanes * _dsps(x + 1, m)),
        {
            "one": 1,
            "lane": lanes,
            "slope": 0 if uniform else lanes * m * math.ceil(values("CHANNELS") / lanes / 64),
            "cast": lanes * (cast["round"] + cast["saturate"]),
        },
        {"one": 1, "bit": bits, "operand": lanes * (x + m), "product": lanes * (x + m)},
    )


def affine(values: Values) -> CellModel:
    """``hwflow_affine``: a product, a sum and a cast a lane."""
    pe = values("PE")
    bits = values("X_W") + values("W_W")
    return CellModel(
        Area(dsp=pe * _dsps(values("X_W") + 1 - values("X_SIGNED"), values("W_W"))),
        {"one": 1, "sum": pe * values("ACC_W"), "bit": pe * values("OUT_W")},
        {"one": 1, "sum": pe * (values("ACC_W") + values("B_W")), "product": pe * bits, "bit": pe * values("OUT_W")},
    )


def depthwise(values: Values) -> CellModel:
    """``hwflow_depthwise``: a product, a sum and a cast a lane, and the sums of the beats of a pixel."""
    pe, acc = values("PE"), values("ACC_W")
    beats, positions = values("CHANNELS") // pe, values("POSITIONS")
    weight = values("EFFECT_W", values("W_W"))
    operands = pe * (values("X_W") // values("MULTIPLIER", 1) + weight)
    accumulator = (acc, values("ACC_FRAC"), 1)
    out = pe * values.out_bits(accumulator)
    cast = _times(pe, values.cast(accumulator))
    indices = index_bits(beats) + index_bits(positions)
    sums = memory_area(Memory(pe * acc, beats)) if beats > 1 else Area()  # a register is behind either
    multipliers = pe * _dsps(values("X_W") + 1 - values("X_SIGNED"), weight)
    return CellModel(
        sums + Area(luts=Memory(out, LUT_RAM_WORDS).lut_ram, dsp=multipliers),
        {"one": 1, "index": indices, "sum": pe * acc, "cast": cast["round"] + cast["saturate"]},
        {"one": 1, "index": indices, "sum": pe * (acc + values("B_W")), "product": operands, "out": out},
    )


def mvu(values: Values) -> CellModel:
    """``hwflow_mvu``: products, an adder tree and an accumulator an output, and the vector that is replayed."""
    pe, simd = values("PE"), values("SIMD")
    x, w, acc = values("X_W"), values("EFFECT_W", values("W_W")), values("ACC_W")
    beats, folds = values("N_IN") // simd, values("N_OUT") // pe
    levels = math.ceil(math.log2(simd)) if simd > 1 else 0
    sum_bits = min(x + w + levels, acc)
    sums, more = _tree(simd)
    vector = _registered_memory(simd * x, beats) if folds > 1 else Area()
    products = pe * simd
    pairs = products // 2 * values("PAIRS")
    operand = x + 1 - values("X_SIGNED")
    accumulator = (acc, values("ACC_FRAC"), 1)
    out = pe * values.out_bits(accumulator)
    cast = _times(pe, values.cast(accumulator))
    indices = index_bits(beats) + index_bits(folds)
    fixed = vector + Area(
        luts=Memory(out, LUT_RAM_WORDS).lut_ram + pairs * (w + 1), dsp=(products - pairs) * _dsps(operand, w)
    )
    return CellModel(
        fixed,
        {
            "one": 1,
            "index": indices,
            "x": simd * x,
            "adder": pe * sums * sum_bits,
            "adders": pe * more * sum_bits,
            "accumulator": pe * acc,
            "bias": pe * values("B_W"),
            "cast": cast["round"] + cast["saturate"],
        },
        {
            "one": 1,
            "index": indices,
            "x": simd * x,
            "product": products * (x + w),
            "tree": pe * sums * sum_bits,
            "accumulator": pe * (acc + values("B_W")),
            "out": out,
        },
    )


@cache
def _tree(simd: int) -> tuple[int, int]:
    """Registered sums in the adder tree of ``hwflow_mvu``, and their terms beyond two each."""

    def terms(node: int) -> int:
        return 1 if node >= simd - 1 or _distance(node) % 2 == 0 else terms(2 * node + 1) + terms(2 * node + 2)

    registered = [node for node in range(simd - 1) if _distance(node) % 2 == 0]
    return len(registered), sum(terms(2 * node + 1) + terms(2 * node + 2) - 2 for node in registered)


def _distance(node: int) -> int:
    return (node + 1).bit_length() - 1


def pool(values: Values) -> CellModel:
    """``hwflow_pool``: a state a channel, and the division of an average."""
    lanes, sums, average = values("LANES", 1), values("MODE") > 0, values("MODE") == 1
    beats, positions = values("CHANNELS", 1) // lanes, values("POSITIONS")
    state = values("IN_W") + (index_bits(positions) if sums and positions > 1 else 0)
    result = values("IN_W") + values("ACC_SHIFT") if average else state
    memory = memory_area(Memory(lanes * state, beats)) if beats > 1 else Area()
    edges = values("EDGES") > 0
    twos = 0 if edges else (positions & -positions).bit_length() - 1
    divides = average and positions >> twos > 1
    numerator = state - max(twos - values("ACC_SHIFT"), 0)
    longer = index_bits(positions) if edges else 0
    constant = numerator + max(values("ACC_SHIFT") - twos, 0) + longer + 1
    chunks = math.ceil(constant / DIVIDER_CHUNK)
    places = index_bits(values("OUT_H", 1)) + index_bits(values("OUT_W_PX", 1))
    dsps = chunks * _dsps(numerator + 1, DIVIDER_CHUNK + 1) if divides else 0
    divider = lanes * chunks * (numerator + DIVIDER_CHUNK) if divides else 0
    reduced = (result, values("IN_FRAC") + values("ACC_SHIFT") * average, values("IN_SIGNED"))
    cast = values.cast(reduced)
    return CellModel(
        memory + Area(luts=Memory(lanes * values("OUT_W"), LUT_RAM_WORDS).lut_ram, dsp=lanes * dsps),
        {
            "one": 1,
            "index": index_bits(beats) + index_bits(positions),
            "maximum": 0 if average else lanes * state,
            "average": lanes * (state + result) if average else 0,
            "divider": divider,
            "negation": lanes * (state + result) if average and values("IN_SIGNED") else 0,
            "sum": 0 if average or not sums else lanes * state,
            "edges": int(edges),
            "reciprocal": constant * edges,
            "place": places * edges,
            "cast": lanes * (cast["round"] + cast["saturate"]),
        },
        {
            "one": 1,
            "index": index_bits(beats) + index_bits(positions),
            "maximum": 0 if average else lanes * (state + values("IN_W")),
            "average": lanes * (state + result) if average else 0,
            "divider": divider,
            "edges": int(edges),
            "reciprocal": constant * edges,
            "place": places * edges,
            "out": lanes * values.out_bits(reduced),
        },
    )


def window(values: Values) -> CellModel:
    """``hwflow_window``: a line buffer, and counters of beats, pixels and addresses."""
    lanes, beats = values("LANES"), values("CHANNELS") // values("LANES")
    bits, rows, columns = lanes * values("W"), values("BUF_ROWS"), values("IN_W_PX")
    depth, positions = rows * columns * beats, values("POSITIONS", 1)
    lines = _registered_memory(bits, depth) if positions == 1 else _banks(values, bits)
    pads = values("PAD_T") + values("PAD_B")
    count = index_bits(values("IN_H") * columns + (rows + pads + values("STRIDE_H") + values("K_H")) * columns + 2) + 1
    row = index_bits(values("IN_H") + pads + values("STRIDE_H") + values("K_H")) + 1
    places = index_bits(beats) * 2 + index_bits(values("K_H")) + index_bits(values("K_W")) + 2 * row
    features: Features = {"one": 1, "count": count, "address": index_bits(depth), "place": places}
    features |= {"bit": bits * positions, "several": int(positions > 1)}
    return CellModel(lines, features, features)


def _registered_memory(bits: int, words: int) -> Area:
    """A memory with a register behind it where it is block RAM, which Yosys leaves beside it."""
    memory = Memory(bits, words)
    return memory_area(memory) + Area(flip_flops=0 if memory.is_small else bits)


def _banks(values: Values, bits: int) -> Area:
    """``hwflow_banks``: a memory for every pixel of a beat, registers behind it, and choices of columns and rows."""
    columns = values("K_W")
    rows = values("POSITIONS") // columns
    place, slots = index_bits(math.ceil(values("IN_W_PX") / columns)), math.ceil(values("BUF_ROWS") / rows)
    memory, of_beat = Memory(bits, slots << place), rows * columns * bits
    outputs = (values("IN_H") + values("PAD_T") + values("PAD_B") - values("K_H")) // values("STRIDE_H")
    moves = (values("STRIDE_H") % rows, (values("IN_H") - outputs * values("STRIDE_H")) % rows)
    turns = [columns if values("STRIDE_W") % columns else 1, rows if any(moves) else 1]
    area = Area(luts=of_beat * sum(math.ceil((count - 1) / 3) for count in turns))
    registers = 2 + memory.is_small  # of a block RAM, one is in it
    if registers > 2 and turns[0] == 1:
        area += Area(luts=of_beat)  # they are shift registers
    else:
        area += Area(flip_flops=registers * of_beat)
    blocks, in_luts = (0.0, memory.lut_ram) if memory.is_small else (memory.block_ram, 0)
    addresses = place + index_bits(slots)
    return area + Area(luts=rows * columns * (in_luts + addresses), block_ram=rows * columns * blocks)


def weight_memory(values: Values) -> Memory:
    """The weight memory of a ``hwflow_weights``."""
    pe, simd, n_in = values("PE"), values("SIMD"), values("N_IN")
    per_word, stored = _stored_words(values)
    row = math.ceil(n_in / max(simd, min(per_word, n_in)))
    return Memory(pe * math.ceil(simd / per_word) * stored, values("N_OUT") // pe * row, both_ports=True)


def _stored_words(values: Values) -> tuple[int, int]:
    """Weights of a stored word, and its bits."""
    if values("CODE") == 1:
        return 64 // values("W_W"), 72
    return (values("WEIGHTS"), values("STORED_W")) if values("CODE") == 3 else (1, values("W_W"))


def weights(values: Values) -> CellModel:
    """``hwflow_weights``: the weight memory, counters, biases, and SECDED's decoders."""
    pe, simd, n_in, n_out = values("PE"), values("SIMD"), values("N_IN"), values("N_OUT")
    memory, (per_word, stored) = weight_memory(values), _stored_words(values)
    words, folds, beats = math.ceil(simd / per_word), n_out // pe, n_in // simd
    decoders = pe * words if values("CODE") == 1 else 0
    counters = index_bits(folds * beats) + index_bits(beats) + index_bits(folds)
    of_columns = values("CHANNELWISE") > 0  # a bias a column of the matrix, not a row
    bias, bias_words = (simd if of_columns else pe) * values("B_W"), beats if of_columns else folds
    choice = pe * stored if simd < min(per_word, n_in) else 0
    match values.parameters.get("MEM_STYLE"):
        case '"distributed"':  # the registers behind it are none of a block RAM
            stored_in = Area(luts=memory.two_port_lut_ram, flip_flops=2 * memory.bits)
        case '"ultra"':
            stored_in = Area(uram=memory.uram)
        case _:
            stored_in = Area(block_ram=memory.block_ram, flip_flops=2 * memory.bits if memory.in_two else 0)
    return CellModel(
        stored_in + _biases(bias, bias_words),
        {"one": 1, "counter": counters, "decoder": decoders, "choice": choice},
        {"one": 1, "counter": counters, "bias": bias, "decoder": decoders, "bit": memory.bits},
    )


def _biases(bits: int, words: int) -> Area:
    """The memory of biases, which the bus reads and writes besides: registers, LUT RAM, or block RAM where deep."""
    if words == 1:
        return Area(flip_flops=bits)
    if words > BIAS_WORDS:
        return Area(block_ram=Memory(bits, words, both_ports=True).block_ram)
    return Area(luts=Memory(bits, words).two_port_lut_ram)


MODELS: Mapping[str, Callable[[Values], CellModel]] = {
    "slice": register_slice,
    **{
        model.__name__: model
        for model in (
            *(fifo, fork, width, relu, leaky, lookup, add, concat, multiply, rescale, affine, depthwise, mvu),
            *(pool, window, weights, border, repeat, permute),
            *(bus.guard, bus.results, bus.axil, bus.control, bus.cfg_mem, bus.cfg_errors),
        )
    },
}
"""By module, without ``hwflow_``."""
