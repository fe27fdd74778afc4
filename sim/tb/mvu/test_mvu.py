"""hwflow_mvu beside its hwflow_weights: results, R cycles a vector, late weights, outliers, bad parameters."""

import random
from pathlib import Path

import cocotb
import pytest
from common import (
    TB,
    cast,
    fixed,
    gaps,
    pack,
    pack_beats,
    parameters,
    random_codes,
    rest_rows,
    rtl,
    run_tb,
    unpack_beats,
)

P = parameters()
TOP = "mvu_with_weights"
SOURCES = [
    Path(__file__).with_name(f"{TOP}.sv"),
    *rtl("mvu", "mul_pair", "weights", "weight_mem", "outliers", "delay", "cast", "catch", "fifo", "ram"),
]

DEFAULTS = {
    "PE": 2, "SIMD": 3, "N_IN": 12, "N_OUT": 6, "X_W": 8, "X_SIGNED": 1, "W_W": 8, "W_LATENCY": 3,
    "ACC_W": 24, "ACC_FRAC": 10, "B_W": 10, "B_SHIFT": 3, "OUT_W": 12, "OUT_FRAC": 7, "OUT_SIGNED": 1,
    "ROUNDING": 6, "OVERFLOW": 1,
}  # fmt: skip

CONFIGS = {
    "folds": {},
    "serial": {"PE": 1, "SIMD": 1, "N_IN": 5, "N_OUT": 3, "ROUNDING": 2},
    "one_synapse_fold": {"PE": 1, "SIMD": 6, "N_IN": 6, "N_OUT": 5, "OVERFLOW": 2},
    "one_neuron_fold": {"PE": 4, "SIMD": 1, "N_IN": 7, "N_OUT": 4, "ROUNDING": 0, "OVERFLOW": 0},
    "one_fold": {"PE": 3, "SIMD": 5, "N_IN": 5, "N_OUT": 3, "ROUNDING": 5},
    "one_product": {"PE": 1, "SIMD": 1, "N_IN": 1, "N_OUT": 1, "ACC_W": 16, "B_SHIFT": 0},
    "unsigned_input": {"X_SIGNED": 0, "X_W": 9, "ACC_FRAC": 12, "ROUNDING": 3},
    "unsigned_output": {"OUT_SIGNED": 0, "OUT_W": 9, "ROUNDING": 4, "PE": 6},
    "binary_input": {"X_SIGNED": 0, "X_W": 1, "W_W": 2, "N_IN": 13, "SIMD": 13, "ACC_W": 14, "OUT_FRAC": 10},
    "wide": {"X_W": 16, "PE": 1, "SIMD": 2, "ACC_W": 40, "ACC_FRAC": 20, "B_W": 16, "B_SHIFT": 6, "OUT_W": 16},
    # The sums reach the accumulator's end: 2**18 - 2**14, and -16 * 511 * 128 without sign
    "tight_signed": {"N_IN": 15, "SIMD": 15, "ACC_W": 19, "B_W": 1, "B_SHIFT": 0, "OUT_W": 20, "OUT_FRAC": 10},
    "tight_unsigned": {
        "X_SIGNED": 0, "X_W": 9, "N_IN": 16, "SIMD": 4, "ACC_W": 21, "B_W": 1, "B_SHIFT": 0, "OUT_W": 22,
    },
    "pairs": {"PAIRS": 1, "PE": 6, "SIMD": 2},
    "pairs_unsigned": {"PAIRS": 1, "X_SIGNED": 0, "PE": 2, "SIMD": 3, "W_LATENCY": 4},
    "late_weights": {"W_LATENCY": 4, "PE": 3, "SIMD": 2},
    "later_weights": {"W_LATENCY": 6, "PE": 2, "SIMD": 4, "N_IN": 4},
    "replay_from_block_ram": {
        "X_W": 16, "SIMD": 2, "N_IN": 80, "ACC_W": 40, "ACC_FRAC": 20, "B_W": 16, "B_SHIFT": 6, "OUT_W": 16,
    },
    "outliers": {"W_LATENCY": 4, "REST_W": 10, "outliers": 9},
    "outliers_serial": {
        "W_LATENCY": 5, "REST_W": 4, "outliers": 6, "PE": 1, "SIMD": 1, "N_IN": 5, "N_OUT": 3, "X_SIGNED": 0,
    },
}  # fmt: skip

# --- the golden model


def random_network(p, rng):
    """Weights (N_OUT rows of N_IN) and biases; row 0 has the most negative weights and a zero bias."""
    weights = [random_codes(rng, p["N_IN"], p["W_W"], signed=True) for _ in range(p["N_OUT"])]
    weights[0] = [-(1 << (p["W_W"] - 1))] * p["N_IN"]
    return weights, [0, *random_codes(rng, p["N_OUT"] - 1, p["B_W"], signed=True)]


def random_rests(p, rng):
    """What is added to each weight, N_OUT rows of N_IN: 0 but for some of them."""
    rests = [[0] * p["N_IN"] for _ in range(p["N_OUT"])]
    for place in rng.sample(range(p["N_OUT"] * p["N_IN"]), p.get("outliers", 0)):
        rests[place // p["N_IN"]][place % p["N_IN"]] = rng.choice([-1, 1]) * rng.randint(1, (1 << p["REST_W"] - 1) - 1)
    return rests


def random_vectors(p, rng, count):
    """Input vectors, the first two at the ends of the range."""
    low, high = (-(1 << (p["X_W"] - 1)), (1 << (p["X_W"] - 1)) - 1) if p["X_SIGNED"] else (0, (1 << p["X_W"]) - 1)
    ends = [[low] * p["N_IN"], [high] * p["N_IN"]]
    return ends + [random_codes(rng, p["N_IN"], p["X_W"], bool(p["X_SIGNED"])) for _ in range(count - 2)]


def golden(p, vector):
    """The N_OUT output codes."""
    acc = fixed(p, "ACC")
    sums = [
        (bias << p["B_SHIFT"]) + sum((w + rest) * x for w, rest, x in zip(row, rests, vector, strict=True))
        for row, rests, bias in zip(p["weights"], p["rests"], p["biases"], strict=True)
    ]
    return [cast(total, acc, fixed(p, "OUT")) for total in sums]


def memory_words(p, matrix):
    """A matrix (N_OUT rows of N_IN) as the weight memory's words, each a list of lanes."""
    return [
        [matrix[nf * p["PE"] + pe][sf * p["SIMD"] + s] for pe in range(p["PE"]) for s in range(p["SIMD"])]
        for nf in range(p["N_OUT"] // p["PE"])
        for sf in range(p["N_IN"] // p["SIMD"])
    ]


def weight_words(p, weights):
    """The weight memory's words."""
    return [pack(word, p["W_W"]) for word in memory_words(p, weights)]


# --- inside the simulator


class Bench:
    """The unit with its streams; without a sink if `sink_stall` is None."""

    def __init__(self, dut, source_stall=0.0, sink_stall=0.0):
        self.dut = dut
        self.tb = TB(dut)
        self.source = self.tb.source("s", source_stall)
        self.sink = None
        if sink_stall is not None:
            self.sink = self.tb.sink("m", sink_stall)
        self.words = (P["N_OUT"] // P["PE"]) * (P["N_IN"] // P["SIMD"])

    def send(self, vectors):
        for vector in vectors:
            self.source.send(pack_beats(vector, P["X_W"], P["SIMD"]))

    async def receive(self, count):
        beats = count * P["N_OUT"] // P["PE"]
        codes = unpack_beats(await self.tb.collect(self.sink, beats), P["OUT_W"], P["PE"], bool(P["OUT_SIGNED"]))
        self.sink.beats.clear()
        return [codes[i : i + P["N_OUT"]] for i in range(0, len(codes), P["N_OUT"])]

    async def check(self, vectors):
        self.send(vectors)
        assert await self.receive(len(vectors)) == [golden(P, vector) for vector in vectors]


@cocotb.test()
@cocotb.parametrize(source_stall=[0.0, 0.5], sink_stall=[0.0, 0.5])
async def results(dut, source_stall, sink_stall):
    bench = Bench(dut, source_stall, sink_stall)
    await bench.tb.reset()
    await bench.check(random_vectors(P, bench.tb.rng, 20))
    assert bench.source.empty


@cocotb.test()
async def one_weight_word_a_cycle(dut):
    bench = Bench(dut)
    await bench.tb.reset()
    sf = P["N_IN"] // P["SIMD"]
    await bench.check(random_vectors(P, bench.tb.rng, 6))
    starts = bench.source.cycles[::sf]
    assert set(gaps(starts)) == {bench.words}
    assert set(gaps(bench.sink.cycles)) <= {sf}
    assert (
        bench.sink.cycles[0] - bench.source.cycles[sf - 1]
        == P["W_LATENCY"] + ((P["SIMD"] - 1).bit_length() + 1) // 2 + 8
    )


@cocotb.test()
async def full_output_stops_the_unit_without_loss(dut):
    bench = Bench(dut, sink_stall=None)
    dut.m_tready.value = 0
    await bench.tb.reset()
    vectors = random_vectors(P, bench.tb.rng, 24)
    bench.send(vectors)
    await bench.tb.step(20 * bench.words + 20)
    accepted = len(bench.source.cycles)
    await bench.tb.step(50)
    assert len(bench.source.cycles) == accepted < 24 * P["N_IN"] // P["SIMD"]
    bench.sink = bench.tb.sink("m")
    assert await bench.receive(24) == [golden(P, vector) for vector in vectors]


@cocotb.test()
async def reset_forgets_the_vector(dut):
    bench = Bench(dut)
    await bench.tb.reset()
    bench.send(random_vectors(P, bench.tb.rng, 3))
    await bench.tb.step(bench.words + 3)
    await bench.tb.reset()
    bench.sink.beats.clear()
    await bench.check(random_vectors(P, bench.tb.rng, 3))


# --- outside the simulator


def run(tmp_path, name, simulator):
    p = {**DEFAULTS, **CONFIGS[name], "ACC_SIGNED": 1}
    rng = random.Random(name)
    weights, biases = random_network(p, rng)
    rests = random_rests(p, rng)
    texts = {
        "WEIGHT_FILE": weight_words(p, weights),
        "BIAS_FILE": pack_beats(biases, p["B_W"], p["PE"]),
    }
    if p.pop("outliers", 0):
        texts["REST_FILE"], p["REST_SLOTS"] = rest_rows(memory_words(p, rests), p["REST_W"])
        p["REST_ROWS"] = len(texts["REST_FILE"])
    literals = {}
    for parameter, words in texts.items():
        path = tmp_path / f"{parameter.lower()}.hex"
        path.write_text("".join(f"{word:x}\n" for word in words))
        literals[parameter] = f'"{path}"'
    extra = {"ACC_SIGNED": p.pop("ACC_SIGNED"), "weights": weights, "biases": biases, "rests": rests}
    run_tb(TOP, SOURCES, {**p, **literals}, __name__, simulator, tmp_path, extra=extra)


@pytest.mark.parametrize("name", CONFIGS)
def test_mvu(tmp_path, name):
    run(tmp_path, name, "icarus")


@pytest.mark.parametrize("name", ["outliers"])
def test_mvu_verilator(tmp_path, name):
    run(tmp_path, name, "verilator")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"PAIRS": 1, "PE": 3}, "with 1 PE (3) even"),
        ({"PAIRS": 1, "X_W": 11, "ACC_W": 30}, "at most 26"),
        ({"SIMD": 5}, "must divide"),
        ({"PE": 4}, "must divide"),
        ({"B_SHIFT": -1}, "B_SHIFT not negative"),
        ({"ACC_W": 18}, "holds not every sum"),
        ({"B_SHIFT": 15}, "or not every bias"),
        ({"X_SIGNED": 0, "X_W": 9, "ACC_W": 20}, "holds not every sum"),
    ],
)
def test_bad_parameters_are_refused(tmp_path, capfd, wrong, message):
    with pytest.raises((SystemExit, RuntimeError, AssertionError)):
        run_tb(TOP, SOURCES, {**DEFAULTS, **wrong}, __name__, "icarus", tmp_path)
    assert message in capfd.readouterr().out
