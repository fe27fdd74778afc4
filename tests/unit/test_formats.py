"""Weight formats as bits, scaled storage, and networks computed in float32 under faults."""

import math
import struct

import numpy as np
import pytest

from hwflow.codes.layout import ordered
from hwflow.codes.words import to_uint64
from hwflow.data import load_digits
from hwflow.errors import HwflowError
from hwflow.faults import chosen, sample_ber
from hwflow.float_study import FaultyNetwork, KerasNetwork, StudyOptions, store, weight_format
from hwflow.float_study.network import top1

RNG = np.random.default_rng(3)
WEIGHTS = RNG.normal(0, 0.3, (3, 3, 2, 4)).astype(np.float32)
FORMATS = ["fp32", "fp16", "ap_fixed<8,3>", "ap_fixed<8,2>", "ap_fixed<12,2>"]


def flipped(value: float, mask: int, format_: str) -> float:
    """Equation (2), written out for one weight with the standard library."""
    if format_ in ("fp32", "fp16"):
        real, word = ("<f", "<I") if format_ == "fp32" else ("<e", "<H")
        bits = struct.unpack(word, struct.pack(real, value))[0]
        return struct.unpack(real, struct.pack(word, bits ^ mask))[0]
    width, integer = (int(number) for number in format_[9:-1].split(","))
    scale = 2 ** (width - integer)
    code = max(-(2 ** (width - 1)), min(2 ** (width - 1) - 1, round(value * scale)))  # Python rounds half to even
    code = (code ^ mask) & (2**width - 1)
    return (code - 2**width if code >= 2 ** (width - 1) else code) / scale


@pytest.mark.parametrize("name", FORMATS)
def test_bits_and_values(name):
    format_ = weight_format(name)
    words = format_.encode(WEIGHTS)
    masks = RNG.integers(0, 2**format_.bits, WEIGHTS.shape, dtype=np.uint64)
    expected = [flipped(float(w), int(m), name) for w, m in zip(WEIGHTS.flat, masks.flat, strict=True)]
    np.testing.assert_array_equal(format_.decode(words ^ masks).ravel(), np.array(expected))
    again = format_.encode(format_.decode(words))
    np.testing.assert_array_equal(again, words)


def test_the_top_exponent_bit_is_the_papers_example():
    fp32 = weight_format("fp32")
    assert fp32.exponent_msb == 30
    word = fp32.encode(0.1)
    assert fp32.decode(word ^ np.uint64(1 << 30)) == pytest.approx(3.403e37, rel=1e-3)
    assert fp32.decode(fp32.encode(1.0) ^ np.uint64(1 << 30)) == math.inf
    assert weight_format("fp16").exponent_msb == 14


def test_optimal_t():
    assert weight_format("fp32").optimal_t == weight_format("FP16").optimal_t == 1.9999
    assert weight_format("ap_fixed<8,2>").optimal_t == pytest.approx(1.97)
    assert weight_format("ap_fixed<8,3>").optimal_t == pytest.approx(3.94)


def test_fixed_point_saturates_unless_told_to_wrap():
    assert weight_format("ap_fixed<8,2>").decode(weight_format("ap_fixed<8,2>").encode(2.5)) == 1.984375
    wrapping = weight_format("ap_fixed<8,2,AP_RND_CONV,AP_WRAP>")
    assert wrapping.decode(wrapping.encode(2.5)) == -1.5
    assert wrapping.name == "ap_fixed<8,2,AP_RND_CONV,AP_WRAP>"
    assert weight_format("ap_fixed<8, 2>").name == "ap_fixed<8,2>"


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("per", ["layer", "channel"])
def test_storage_is_equations_2_to_6(name, per):
    format_ = weight_format(name)
    layer = store("conv", WEIGHTS, format_, format_.optimal_t, per=per)
    largest = np.abs(WEIGHTS).max() if per == "layer" else np.abs(WEIGHTS).max((0, 1, 2))
    np.testing.assert_allclose(layer.c, format_.optimal_t / largest)
    np.testing.assert_allclose(layer.read(), WEIGHTS, atol=0.01)
    faults = sample_ber([layer.memory], 0.05, 1)
    positions, values = layer.upset(faults)
    c = np.broadcast_to(layer.c, WEIGHTS.shape)
    read = ordered(layer.read()).copy()
    order = ordered(np.arange(WEIGHTS.size).reshape(WEIGHTS.shape))
    words, masks = faults.masks("conv.weight")
    for word, mask in zip(words, to_uint64(masks), strict=True):
        where = np.unravel_index(order[word], WEIGHTS.shape)
        mask = int(mask) if format_.exponent_msb is None else int(mask) & ~(1 << format_.exponent_msb)
        read[word] = flipped(float(WEIGHTS[where]) * c[where], mask, name) / c[where]
    faulted = layer.read()
    faulted.reshape(-1)[positions] = values
    np.testing.assert_array_equal(ordered(faulted), read.astype(np.float32))


def test_both_readings_store_the_same_codes_at_optimal_t():
    stored = [
        store("conv", WEIGHTS, weight_format(name), weight_format(name).optimal_t)
        for name in ("ap_fixed<8,3>", "ap_fixed<8,2>")
    ]
    np.testing.assert_array_equal(stored[0].words(), stored[1].words())
    np.testing.assert_array_equal(stored[0].read(), stored[1].read())


class TestMostSignificantExponentBit:
    WEIGHTS = np.array([[0.5, -3.0], [1.5, 2.0]], np.float32)  # words: 0.5, 1.5, -3.0, 2.0

    def read(self, msb, *flips):
        layer = store("d", self.WEIGHTS, weight_format("fp32"), None, msb)
        positions, values = layer.upset(chosen([layer.memory], [("d.weight", *flip) for flip in flips]))
        kernel = layer.read()
        kernel.reshape(-1)[positions] = values
        return kernel, layer

    def test_assume(self):
        np.testing.assert_array_equal(self.read("assume", (0, 30), (2, 30))[0], self.WEIGHTS)
        assert self.read("assume", (0, 31))[0][0, 0] == -0.5

    def test_none(self):
        assert abs(self.read("none", (0, 30))[0][0, 0]) > 1e37
        assert not np.isfinite(self.read("none", (1, 30))[0][1, 0])

    def test_clamp(self):
        kernel, layer = self.read("clamp", (0, 30), (3, 30))
        below = np.nextafter(np.float32(2), np.float32(0))
        np.testing.assert_array_equal(kernel, np.array([[0.5, -below], [1.5, below]], np.float32))
        assert layer.side_bits == 0

    def test_sparse_is_lossless(self):
        kernel, layer = self.read("sparse", (0, 30), (2, 30), (2, 31), (3, 0))
        np.testing.assert_array_equal(kernel, self.WEIGHTS)
        np.testing.assert_array_equal(layer.outside, [2, 3])
        assert layer.side_bits == 2 * (32 + 32)
        assert self.read("sparse", (1, 31))[0][1, 0] == -1.5


def test_comparators_and_nan():
    nan = np.nan
    logits = [[1, nan, 2], [nan, 5, 9], [nan, nan, nan], [-np.inf, nan, -np.inf], [1, np.inf, np.inf]]
    np.testing.assert_array_equal(top1(np.array(logits)), [2, 0, 0, 0, 1])


@pytest.fixture(scope="module")
def network():
    from hwflow.models import load_model

    return KerasNetwork(load_model("digits_cnn"))


@pytest.fixture(scope="module")
def digits():
    return load_digits().head(100)


def test_scaled_weights_compute_the_network(network, digits):
    own = network.logits(digits.images)
    for name, tolerance in (("fp32", 1e-4), ("fp16", 0.05), ("ap_fixed<8,3>", 2.0)):
        format_ = weight_format(name)
        logits, bad = FaultyNetwork(network, format_, StudyOptions(format_.optimal_t)).logits(digits.images)
        np.testing.assert_allclose(logits, own, atol=tolerance)
        assert bad == 0
    np.testing.assert_array_equal(FaultyNetwork(network, weight_format("fp32")).logits(digits.images)[0], own)


def test_faults_leave_no_trace(network, digits):
    faulty = FaultyNetwork(network, weight_format("ap_fixed<8,3>"), StudyOptions(3.94))
    clean = faulty.logits(digits.images)[0]
    faults = sample_ber(faulty.memories, 1e-2, 1)
    upset = faulty.logits(digits.images, faults)[0]
    assert not np.array_equal(clean, upset)
    np.testing.assert_array_equal(faulty.logits(digits.images)[0], clean)
    np.testing.assert_array_equal(faulty.logits(digits.images, faults)[0], upset)


def test_accuracy_is_that_of_the_formula_on_every_kernel(network, digits):
    faulty = FaultyNetwork(network, weight_format("fp16"), StudyOptions(1.9999))
    faults = sample_ber(faulty.memories, 3e-3, 2)
    kernels = {}
    for layer in faulty.layers:
        words = layer.words()
        where, masks = faults.masks(layer.memory.name)
        words[where] ^= to_uint64(masks) & ~np.uint64(1 << 14)
        values = layer.format.decode(words) / layer.c
        shape = layer.weights.shape
        kernels[layer.name] = np.moveaxis(values.reshape(shape[-1], *shape[:-1]), 0, -1).astype(np.float32)
    expected = np.argmax(network.logits(digits.images, kernels), -1)
    outcome = faulty.evaluate(digits.images, digits.labels, faults)
    assert outcome.accuracy == 100 * np.mean(expected == digits.labels)
    assert (outcome.images, outcome.flips) == (100, len(faults))


def test_faults_of_another_network_are_refused(network, digits):
    faulty = FaultyNetwork(network, weight_format("fp16"))
    memories = faulty.memories
    faulty.logits(digits.images[:1], sample_ber(memories, 1e-3, 1, network.digest))
    with pytest.raises(HwflowError, match="another design: model hash 0000"):
        faulty.logits(digits.images[:1], sample_ber(memories, 1e-3, 1, "0" * 64))
    with pytest.raises(HwflowError, match="another design"):
        faulty.logits(digits.images[:1], sample_ber(memories[1:], 1e-3, 1, network.digest))


def test_nan_and_infinity_are_counted(network, digits):
    faulty = FaultyNetwork(network, weight_format("fp32"), StudyOptions(msb="none"))
    name = faulty.memories[0].name
    one = store("one", np.ones((1, 1), np.float32), weight_format("fp32"), None)
    assert one.words()[0] == 0x3F800000
    word = int(to_uint64(faulty.contents(name))[0])
    to_infinity = [(name, 0, bit) for bit in range(32) if (word ^ 0x7F800000) >> bit & 1 and bit < 31]
    outcome = faulty.evaluate(digits.images, digits.labels, chosen(faulty.memories, to_infinity))
    assert outcome.bad_weights == 1
    assert outcome.bad_images > 0
    assert FaultyNetwork(network, weight_format("fp32")).evaluate(digits.images, digits.labels).bad_images == 0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: weight_format("fp8"), "fp8.*fp32, fp16"),
        (lambda: weight_format("ap_ufixed<8,3>"), "signed"),
        (lambda: weight_format("fp16").encode(1e6), "fp16 cannot hold"),
        (lambda: store("x", WEIGHTS, weight_format("fp32"), -1.0), "t=-1"),
        (lambda: store("x", WEIGHTS * np.nan, weight_format("fp32"), 1.0), "x: .*NaN"),
        (lambda: store("x", WEIGHTS, weight_format("fp32"), 1.0, "maybe"), "assume, clamp, sparse, none"),
    ],
)
def test_bad_input(call, words):
    with pytest.raises(HwflowError, match=words):
        call()


def test_qkeras_is_refused():
    from hwflow.models import load_model

    with pytest.raises(HwflowError, match=r"conv1.*QKeras"):
        KerasNetwork(load_model("digits_qcnn"))
