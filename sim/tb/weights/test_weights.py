"""hwflow_weights: every beat between pauses, storage codes, outliers, the memory's second port, upsets, reset."""

import random
from dataclasses import replace

import cocotb
import numpy as np
import pytest
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, Timer
from common import pack, parameters, random_codes, rest_rows, rtl, run_tb, unpack
from second_port import SecondPort

from hwflow.codes import CodeSpec, Plain, Secded, Table, storage_code
from hwflow.codes.registry import family_of
from hwflow.codes.words import to_integers, word_bytes
from hwflow.cost.packing import Packing
from hwflow.fixed import FixedType
from hwflow.rtl.decoders import word_latency, word_parameters
from hwflow.rtl.memory_image import label_tables

P = parameters()
DECODERS = ("decode_secded", "decode_table", "decode_word", "decode_bch", "decode_bch_folded", "decode_flips")
SOURCES = rtl("weights", "weight_mem", *DECODERS, "outliers", "delay", "delay_words")

DEFAULTS = {"PE": 2, "SIMD": 3, "N_IN": 12, "N_OUT": 6, "CHANNELWISE": 0, "W_W": 8, "B_W": 10, "CODE": 0, "KEEPS": 0}

CONFIGS = {
    "folds": {},
    "serial": {"PE": 1, "SIMD": 1, "N_IN": 5, "N_OUT": 3, "W_W": 5},
    "one_neuron_fold": {"PE": 4, "SIMD": 1, "N_IN": 7, "N_OUT": 4},
    "one_fold": {"PE": 3, "SIMD": 5, "N_IN": 5, "N_OUT": 3},
    "one_weight": {"PE": 1, "SIMD": 1, "N_IN": 1, "N_OUT": 1, "W_W": 1, "B_W": 1},
    "channels": {"CHANNELWISE": 1, "PE": 1, "N_OUT": 1},
    "rows_of_channels": {"CHANNELWISE": 1, "PE": 1, "N_OUT": 4},
    "rows_of_one_beat": {"CHANNELWISE": 1, "PE": 1, "N_OUT": 3, "SIMD": 4, "N_IN": 4},
    "one_beat_of_channels": {"CHANNELWISE": 1, "PE": 1, "N_OUT": 1, "SIMD": 4, "N_IN": 4},
    "loaded_through_port_b": {"PE": 3, "SIMD": 2},
    "outliers": {"REST_W": 10, "outliers": 9},
    "outliers_serial": {"REST_W": 4, "outliers": 6, "PE": 1, "SIMD": 1, "N_IN": 5, "N_OUT": 3},
    "secded_words_a_beat": {"CODE": 1, "SIMD": 16, "N_IN": 48},
    "secded_a_word_a_beat": {"CODE": 1, "W_W": 16, "SIMD": 4, "N_IN": 12, "ON_DOUBLE": 1},
    "secded_whole_row": {"CODE": 1, "SIMD": 11, "N_IN": 11, "PE": 3},
    "secded_beats_a_word": {"CODE": 1, "SIMD": 2, "N_IN": 22, "W_W": 6},
    "secded_serial": {"CODE": 1, "SIMD": 1, "N_IN": 11, "PE": 1, "N_OUT": 3},
    "secded_short_row": {"CODE": 1, "SIMD": 2, "N_IN": 6},
    "secded_channels": {"CODE": 1, "CHANNELWISE": 1, "PE": 1, "N_OUT": 1, "SIMD": 4, "N_IN": 20},
    "secded_rows_of_channels": {"CODE": 1, "CHANNELWISE": 1, "PE": 1, "N_OUT": 3, "SIMD": 2, "N_IN": 10},
    "secded_loaded_through_port_b": {"CODE": 1, "SIMD": 4, "N_IN": 12},
    "secded_outliers": {"CODE": 1, "SIMD": 4, "N_IN": 12, "REST_W": 10, "outliers": 9},
    "secded_outliers_wide": {"CODE": 1, "SIMD": 8, "N_IN": 16, "REST_W": 4, "outliers": 20, "ON_DOUBLE": 1},
    "table": {"CODE": 2},
    "table_serial": {"CODE": 2, "PE": 1, "SIMD": 1, "N_IN": 5, "N_OUT": 3, "W_W": 5},
    "table_channels": {"CODE": 2, "CHANNELWISE": 1, "PE": 1, "N_OUT": 1, "SIMD": 4},
    "table_loaded_through_port_b": {"CODE": 2, "PE": 3, "SIMD": 2},
    "table_outliers": {"CODE": 2, "REST_W": 10, "outliers": 9},
    "table_outliers_narrow": {"CODE": 2, "W_W": 6, "SIMD": 1, "REST_W": 4, "outliers": 20},
    "words_a_beat": {"CODE": 3, "name": "bch32-22-16", "SIMD": 8, "N_IN": 16, "N_OUT": 2},
    "words_beats_a_word": {"CODE": 3, "name": "bch32-20", "SIMD": 2, "N_IN": 6, "N_OUT": 4},
    "words_serial": {"CODE": 3, "name": "bch32-26", "SIMD": 1, "N_IN": 7, "PE": 1, "N_OUT": 3},
    "words_with_short_rows": {"CODE": 3, "name": "bch64-45", "SIMD": 1, "N_IN": 11, "PE": 2, "N_OUT": 4},
    "words_with_one_beat_rows": {"CODE": 3, "name": "bch32-20", "SIMD": 1, "N_IN": 5, "PE": 1, "N_OUT": 3},
    "words_of_some_errors": {"CODE": 3, "name": "bch64-40-32", "SIMD": 2, "N_IN": 16, "PE": 1, "N_OUT": 3},
    "words_channels": {"CODE": 3, "name": "bch32-26", "CHANNELWISE": 1, "PE": 1, "N_OUT": 1, "SIMD": 4, "N_IN": 16},
    "words_whole_row": {"CODE": 3, "name": "bch64-45", "SIMD": 11, "N_IN": 11, "PE": 1, "N_OUT": 3},
    "words_of_parities": {"CODE": 3, "name": "flip32-20-16", "SIMD": 2, "N_IN": 6, "REST_W": 10, "outliers": 9},
    "words_outliers": {"CODE": 3, "name": "bch32-20", "SIMD": 2, "N_IN": 6, "REST_W": 10, "outliers": 9},
    "kept": {"REST_W": 8, "outliers": 9, "KEEPS": 2},
    "words_kept_and_outliers": {
        "CODE": 3,
        "name": "bch32-20",
        "SIMD": 2,
        "N_IN": 6,
        "REST_W": 10,
        "outliers": 9,
        "KEEPS": 1,
    },
    "loadable_outliers": {"REST_W": 10, "outliers": 9, "LOADABLE": 1},
    "loadable_table": {"CODE": 2, "LOADABLE": 1},
    "loadable_table_outliers": {"CODE": 2, "W_W": 6, "REST_W": 4, "outliers": 20, "LOADABLE": 1},
    "loadable_words": {"CODE": 3, "name": "bch64-46-44", "SIMD": 2, "N_IN": 16, "LOADABLE": 1},
}

LATENCY = {0: 3, 1: 5, 2: 4}
"""By the number of the storage code, without outliers and beats that share a word; that of words follows their code."""


def storage(p):
    """The storage code of the parameters."""
    type_ = FixedType(p["W_W"], p["W_W"])
    match p["CODE"]:
        case 1:
            return Secded(type_, ("null", "pass")[p.get("ON_DOUBLE", 0)])
        case 2:
            decoder = random_table(p["W_W"])
            return Table("cosq", type_, decoder=decoder, encoder=decoder.argsort())
        case 3:
            return random_word_code(p["name"], p["W_W"])
    return Plain(type_)


def random_table(width):
    """Every weight code, in random order."""
    codes = list(range(-(1 << width - 1), 1 << width - 1))
    return np.array(random.Random(width).sample(codes, len(codes)))


def random_word_code(name, width):
    """Random weights for the labels of a word."""
    rng, (family, numbers), type_ = np.random.default_rng(1), family_of(name), FixedType(width, width)
    assert family.fit is not None
    tables = family.fit(name, numbers, rng.uniform(-1, 1, (8, 64)), type_, 0.01).tables
    return storage_code(CodeSpec(name, tables), type_)


class Layout:
    """Where the weights and biases of a layer are."""

    def __init__(self, p):
        self.pe, self.simd, self.n_in = p["PE"], p["SIMD"], p["N_IN"]
        self.code = storage(p)
        self.k = self.code.weights_per_word
        self.folds = self.n_in // self.simd
        self.beats = p["N_OUT"] // self.pe * self.folds
        self.channelwise = bool(p["CHANNELWISE"])
        # Weights of a row that an address holds; the row's last address may have fewer.
        self.chunk = self.simd if self.simd >= min(self.k, self.n_in) else self.k

    def lanes(self, matrix):
        """A matrix (N_OUT rows of N_IN) as the lanes of each beat."""
        beats = (divmod(beat, self.folds) for beat in range(self.beats))
        return [
            [matrix[nf * self.pe + p][sf * self.simd + s] for p in range(self.pe) for s in range(self.simd)]
            for nf, sf in beats
        ]

    def words(self, matrix):
        """A matrix as the weight memory's words."""
        words = []
        for fold in range(0, len(matrix), self.pe):
            for start in range(0, self.n_in, self.chunk):
                chunks = [row[start : start + self.chunk] for row in matrix[fold : fold + self.pe]]
                words.append(pack([word for chunk in chunks for word in self.encode(chunk)], self.code.bits))
        return words

    def encode(self, codes):
        """Stored words of weights of a row."""
        words = -(-self.chunk // self.k)
        full = np.zeros(words * self.k, dtype=np.int64)
        full[: len(codes)] = codes
        return to_integers(self.code.encode(full.reshape(words, self.k)))

    def read(self, words, beat):
        """The weights of a beat, from the memory's words."""
        nf, sf = divmod(beat, self.folds)
        turn, row = sf * self.simd % self.chunk, -(-self.n_in // self.chunk)
        stored = unpack(
            words[nf * row + sf * self.simd // self.chunk], self.code.bits, self.pe * -(-self.chunk // self.k), False
        )
        raw = b"".join(word.to_bytes(word_bytes(self.code.bits), "little") for word in stored)
        codes = self.code.decode(np.frombuffer(raw, dtype=np.uint8).reshape(len(stored), -1))
        return codes.reshape(self.pe, -1)[:, turn : turn + self.simd].reshape(-1).tolist()

    def address(self, beat):
        """Where a beat is read."""
        nf, sf = divmod(beat, self.folds)
        return nf * -(-self.n_in // self.chunk) + sf * self.simd // self.chunk

    def turn(self, beat):
        """Which of the beats of its address it is."""
        return beat % self.folds * self.simd % self.chunk // self.simd

    def bias_words(self, biases, width):
        """The biases as the words of their memory."""
        lanes = self.simd if self.channelwise else self.pe
        return [pack(biases[i : i + lanes], width) for i in range(0, len(biases), lanes)]

    def bias_word(self, beat):
        """Address of the biases of a beat."""
        return beat % self.folds if self.channelwise else beat // self.folds


class Bench:
    """The module, what its memories hold, and the beats that are on their way through it."""

    def __init__(self, dut):
        self.dut, self.layout = dut, Layout(P)
        self.rng = random.Random(cocotb.RANDOM_SEED)
        self.words, self.biases, self.rests = list(P["words"]), list(P["biases"]), P["rests"]
        self.effect_bits = len(dut.data_o) // (P["PE"] * P["SIMD"])
        Clock(dut.clk_i, 10, unit="ns").start(start_high=False)

    async def start(self):
        self.dut.wb_en_i.value = self.dut.bb_en_i.value = 0
        await self.reset()
        if not P["files"]:
            for address, word in enumerate(self.words):
                await self.write(address, word)

    async def reset(self):
        self.beat, self.line = 0, [None] * P["latency"]
        self.dut.rst_ni.value, self.dut.next_i.value = 0, 0
        for _ in range(2):
            await FallingEdge(self.dut.clk_i)
        self.dut.rst_ni.value = 1

    async def cycle(self, next_):
        """One rising edge."""
        self.dut.next_i.value = int(next_)
        await FallingEdge(self.dut.clk_i)
        self.line = [*self.line[1:], self.beat if next_ else None]
        if next_:
            self.beat = (self.beat + 1) % self.layout.beats

    async def write(self, address, word):
        """The word is taken in the cycle after the write's, and another one is there before."""
        self.dut.wb_en_i.value, self.dut.wb_we_i.value = 1, 1
        self.dut.wb_addr_i.value, self.dut.wb_wdata_i.value = address, ~word & (1 << len(self.dut.wb_wdata_i)) - 1
        await self.cycle(False)
        self.dut.wb_en_i.value, self.dut.wb_addr_i.value, self.dut.wb_wdata_i.value = 0, 0, word
        await self.cycle(False)

    async def read(self, address):
        self.dut.wb_en_i.value, self.dut.wb_we_i.value, self.dut.wb_addr_i.value = 1, 0, address
        await self.cycle(False)
        self.dut.wb_en_i.value, self.dut.wb_addr_i.value = 0, 0
        for _ in range(2):
            await self.cycle(False)
        return int(self.dut.wb_rdata_o.value)

    async def check(self, cycles, stall=0.0):
        """Cycles of which each beat that comes out is checked; without a stall one a cycle."""
        seen = 0
        for _ in range(cycles):
            await self.cycle(self.rng.random() >= stall)
            await Timer(1, unit="ns")
            seen += self.check_beat(self.line[0])
        assert seen >= min(max(0, cycles - 2 * P["latency"]), self.layout.beats) // 4

    def check_beat(self, beat):
        if beat is None:
            return 0
        stored = self.layout.read(self.words, beat)
        entries = zip(stored, self.rests[beat], kept(P, self.rests)[beat], strict=True)
        expected = [rest if keep else weight + rest for weight, rest, keep in entries]
        assert unpack(int(self.dut.data_o.value), self.effect_bits, len(stored), signed=True) == expected
        assert int(self.dut.bias_o.value) == self.biases[self.layout.bias_word(beat)]
        return 1

    def rounds(self, count, stall=0.0):
        """Cycles of so many rounds, and some."""
        return int((count * self.layout.beats + P["latency"]) / (1 - stall)) + 3


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.4, 0.7])
async def beats_come_in_order(dut, stall):
    bench = Bench(dut)
    await bench.start()
    await bench.check(bench.rounds(4, stall), stall)


@cocotb.test()
async def port_b_reads_and_writes(dut):
    bench = Bench(dut)
    await bench.start()
    for address in bench.rng.sample(range(len(bench.words)), min(20, len(bench.words))):
        assert await bench.read(address) == bench.words[address]
        await bench.check(bench.rng.randint(1, 3))
    await bench.reset()
    clean = list(bench.words)
    bench.words = bench.rng.sample(clean, len(clean))
    for address, word in enumerate(bench.words):
        await bench.write(address, word)
    await bench.check(bench.rounds(2))
    for address, word in enumerate(clean):
        await bench.write(address, word)


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.3])
async def a_write_waits_for_beats_that_are_read(dut, stall):
    """A beat has a word as it was before or after a write, and nothing is read where port B writes."""
    bench = Bench(dut)
    await bench.start()
    layout, clean = bench.layout, list(bench.words)
    line, turns = [None] * P["latency"], -(-layout.chunk // layout.simd)
    read, waited, written = list(bench.words), 0, None
    for write in range(60):
        address = bench.rng.randrange(len(clean))
        word, held = clean[bench.rng.randrange(len(clean))], 0
        dut.wb_en_i.value, dut.wb_we_i.value, dut.wb_addr_i.value = int(write % 4 > 0), 1, address
        while True:
            taken, beat = bench.rng.random() >= stall, bench.beat
            dut.next_i.value = int(taken)
            await Timer(1, unit="ns")
            waits = bool(dut.wb_wait_o.value)
            if taken and write % 4 and len(clean) > 1:
                assert waits or layout.address(beat) != address
            asked = line[-1]  # it is read in this cycle
            if asked is not None:
                at = layout.address(asked[0])
                if P["CODE"] != 3 or layout.turn(asked[0]) == 0:
                    read[at] = bench.words[at]
                line[-1] = (asked[0], list(read))
            line = [*line[1:], (beat, ()) if taken else None]
            if written is not None:  # it is written in this cycle
                bench.words[written[0]] = dut.wb_wdata_i.value = written[1]
            written = (address, word) if write % 4 and not waits else None
            await bench.cycle(taken)
            await Timer(1, unit="ns")
            if line[0] is not None:
                beat_words, bench.words = bench.words, line[0][1]
                bench.check_beat(line[0][0])
                bench.words = beat_words
            held += waits
            if not waits:
                break
        assert held <= 3 * turns or stall
        waited += held
    assert waited or len(clean) == 1
    for address, word in enumerate(clean):
        await bench.write(address, word)


@cocotb.test()
async def biases_are_written_through_their_second_port(dut):
    bench = Bench(dut)
    await bench.start()
    clean = list(bench.biases)
    bench.biases = [bench.rng.getrandbits(len(dut.bb_wdata_i)) for _ in clean]
    for words in (bench.biases, clean):
        bench.biases = words
        await bench.reset()
        for address, word in enumerate(words):
            dut.bb_en_i.value = dut.bb_we_i.value = 1
            dut.bb_addr_i.value, dut.bb_wdata_i.value = address, word
            await bench.cycle(False)
        dut.bb_we_i.value = 0
        for address, word in enumerate(words):
            dut.bb_addr_i.value = address
            await bench.cycle(False)
            assert int(dut.bb_rdata_o.value) == word
        dut.bb_en_i.value = 0
        await bench.check(bench.rounds(2))


@cocotb.test()
async def words_with_errors_are_flagged_once(dut):
    bench = Bench(dut)
    await bench.start()
    code, size = bench.layout.code, bench.layout.code.bits
    protected = size - (code.shape.raw_bits if P["CODE"] == 3 else 0)
    for count in (0, 1, 1, 2, 2, 5):
        address = bench.rng.randrange(len(bench.words))
        word = bench.rng.randrange(len(dut.corrected_o))
        flips = bench.rng.sample(range(protected), min(count, protected))
        clean = bench.words[address]
        damaged = clean ^ sum(1 << word * size + bit for bit in flips)
        stored(dut)[address].value = damaged
        await bench.reset()
        corrected, uncorrectable = [0] * len(dut.corrected_o), [0] * len(dut.corrected_o)
        for cycle in range(bench.layout.beats + P["latency"] + 5):
            await bench.cycle(cycle < bench.layout.beats)
            for counts, pins in ((corrected, dut.corrected_o), (uncorrectable, dut.uncorrectable_o)):
                if cycle > P["latency"] + 5 or "X" not in str(pins.value).upper():
                    counts[:] = [n + (int(pins.value) >> i & 1) for i, n in enumerate(counts)]
        raw = (damaged >> word * size & (1 << size) - 1).to_bytes(word_bytes(size), "little")
        detected = bool(code.detected(np.frombuffer(raw, dtype=np.uint8)[None])[0])
        coded = P["CODE"] in (1, 3)
        assert uncorrectable == [int(coded and detected and i == word) for i in range(len(uncorrectable))]
        assert corrected == [int(coded and bool(flips) and not detected and i == word) for i in range(len(corrected))]
        stored(dut)[address].value = clean
    await bench.cycle(False)


@cocotb.test()
async def upsets_of_weights(dut):
    bench = Bench(dut)
    await bench.start()
    clean, bits = list(bench.words), len(dut.wb_wdata_i)
    for count in (1, 1, 2, 3, 4, bits):
        address = bench.rng.randrange(len(clean))
        mask = sum(1 << bit for bit in bench.rng.sample(range(bits), min(count, bits)))
        stored(dut)[address].value = bench.words[address] = clean[address] ^ mask
        await bench.cycle(False)
        await bench.reset()
        await bench.check(bench.rounds(1))
        assert await bench.read(address) == clean[address] ^ mask
        stored(dut)[address].value = bench.words[address] = clean[address]
        await bench.cycle(False)


@cocotb.test()
async def an_upset_of_a_bias(dut):
    bench = Bench(dut)
    await bench.start()
    address = bench.rng.randrange(len(bench.biases))
    clean = bench.biases[address]
    bench.biases[address] ^= 1 << bench.rng.randrange(len(dut.bias_o))
    dut.bias_mem[address].value = bench.biases[address]
    await bench.cycle(False)
    await bench.check(bench.rounds(2))
    dut.bias_mem[address].value = clean
    await bench.cycle(False)


@cocotb.test()
async def reset_returns_to_the_first_beat(dut):
    bench = Bench(dut)
    await bench.start()
    for _ in range(6):
        await bench.check(bench.rng.randint(1, bench.rounds(1)), stall=0.2)
        await bench.reset()
    await bench.check(bench.rounds(1))


@cocotb.test(skip=not P.get("LOADABLE"))
async def rests_and_tables_are_loaded(dut):
    """The last test: it leaves others behind."""
    bench = Bench(dut)
    await bench.start()
    images = {}
    if P.get("REST_ROWS"):
        bench.rests = [[-rest // 2 for rest in beat] for beat in P["rests"]]
        rows, _ = rest_rows(bench.rests, P["REST_W"], P["REST_SLOTS"], kept(P, bench.rests) if P["KEEPS"] else None)
        images["rb"] = rows + [0] * (P["REST_ROWS"] - len(rows))
    if P["CODE"] >= 2:
        codes = table_codes(bench.layout.code)
        other = np.array(bench.rng.sample(codes, len(codes)))
        bench.layout.code = with_table(bench.layout.code, other)
        images["tb"] = [pack([code], P["W_W"]) for code in table_codes(bench.layout.code)]
    for prefix, words in images.items():
        port = SecondPort(dut, prefix, lambda: bench.cycle(False))
        for address, word in enumerate(words):
            await port.write(address, word)
        assert [await port.read(address) for address in range(len(words))] == words
    await bench.check(bench.rounds(2), stall=0.2)


def stored(dut):
    """The weight memory; what Yosys writes is flat, and has the path as its name."""
    return dut.memory.mem if hasattr(dut, "memory") else dut._id("\\memory.mem ", extended=False)


def table_codes(code):
    """The words of the tables of a storage code."""
    return (code.decoder if P["CODE"] == 2 else label_tables(code)).tolist()


def with_table(code, codes):
    """The same storage code with other entries in its tables."""
    if P["CODE"] == 2:
        return replace(code, decoder=codes)
    decoders = [codes[i : i + len(table)] for i, table in enumerate(code.decoders)]
    return replace(code, decoders=tuple(decoders))


def random_rests(p, rng):
    """What is added to each weight, N_OUT rows of N_IN: 0 but for some of them."""
    rests = [[0] * p["N_IN"] for _ in range(p["N_OUT"])]
    for place in rng.sample(range(p["N_OUT"] * p["N_IN"]), p.get("outliers", 0)):
        rests[place // p["N_IN"]][place % p["N_IN"]] = rng.choice([-1, 1]) * rng.randint(1, (1 << p["REST_W"] - 1) - 1)
    return rests


def kept(p, rests):
    """Which rests are weights in the place of the memory's: none, the odd ones, or all."""
    kinds = {0: lambda _: 0, 1: lambda rest: rest & 1, 2: lambda rest: int(rest != 0)}
    return [[kinds[p["KEEPS"]](rest) for rest in beat] for beat in rests]


@pytest.mark.parametrize(
    ("name", "simulator"),
    [
        *((name, "icarus") for name in CONFIGS),
        *((name, "verilator") for name in ("folds", "secded_outliers", "table_outliers")),
    ],
)
def test_weights(tmp_path, name, simulator):
    p = DEFAULTS | CONFIGS[name]
    rng, layout, files = random.Random(name), Layout(p), not name.endswith("through_port_b")
    weights = [random_codes(rng, p["N_IN"], p["W_W"], signed=True) for _ in range(p["N_OUT"])]
    biases = [rng.getrandbits(p["B_W"]) for _ in range(p["N_IN"] if p["CHANNELWISE"] else p["N_OUT"])]
    if not files:
        biases = [0] * len(biases)
    rests = layout.lanes(random_rests(p, rng))
    texts = {"WEIGHT_FILE": layout.words(weights), "BIAS_FILE": layout.bias_words(biases, p["B_W"])}
    extra = {
        "words": texts["WEIGHT_FILE"],
        "biases": texts["BIAS_FILE"],
        "rests": rests,
        "files": files,
        "latency": LATENCY.get(p["CODE"], 0) + int(p["CODE"] == 1 and layout.chunk > layout.simd),
        "name": p.pop("name", None),
    }
    if p["CODE"] == 3:
        words = word_parameters(layout.code)
        p |= {"STORED_W": words.pop("WORD_W"), **words}
        placed = Packing(p["N_IN"], p["N_OUT"], p["PE"], p["SIMD"], layout.code.bits, layout.k)
        extra["latency"] = word_latency(layout.code, placed.turns, placed.fewest_turns) + 3
    if p.pop("outliers", 0):
        texts["REST_FILE"], p["REST_SLOTS"] = rest_rows(
            rests, p["REST_W"], keeps=kept(p, rests) if p["KEEPS"] else None
        )
        p["REST_ROWS"] = len(texts["REST_FILE"])
        extra["latency"] += 1
    if not files:
        texts.clear()
    if p["CODE"] >= 2:
        table = layout.code.decoder if p["CODE"] == 2 else label_tables(layout.code)
        texts["TABLE_FILE"] = [pack([code], p["W_W"]) for code in table.tolist()]
    for parameter, words in texts.items():
        path = tmp_path / f"{parameter.lower()}.hex"
        path.write_text("".join(f"{word:x}\n" for word in words))
        p[parameter] = f'"{path}"'
    run_tb("hwflow_weights", SOURCES, p, __name__, simulator, tmp_path, extra=extra)
