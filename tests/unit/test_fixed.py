"""Fixed-point types: properties against exact rational arithmetic, the spelling, and errors."""

import math
import re
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwflow.errors import HwflowError
from hwflow.fixed import FixedType, Overflow, Rounding

types = st.builds(
    FixedType,
    width=st.integers(1, 63),
    integer=st.integers(-80, 140),
    signed=st.booleans(),
    rounding=st.sampled_from(Rounding),
    overflow=st.sampled_from(Overflow),
)
reals = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def codes_of(draw, fixed):
    """A code, the extremes and the neighbourhood of powers of two more often than by chance."""
    low = -(1 << (fixed.width - 1)) if fixed.signed else 0
    power = draw(st.integers(0, 62)), draw(st.integers(-2, 2)), draw(st.sampled_from([1, -1]))
    near = power[2] * (1 << power[0]) + power[1]
    return draw(st.integers(low, fixed.max_code) | st.just(min(max(near, low), fixed.max_code)))


def exactly(value: Fraction, fixed: FixedType) -> int:
    """The code of a rational number, straight from the definitions of the modes."""
    scaled = value / Fraction(2) ** -fixed.fraction
    below = math.floor(scaled)
    rest = scaled - below
    tie = {
        Rounding.RND: True,
        Rounding.RND_ZERO: scaled < 0,
        Rounding.RND_INF: scaled > 0,
        Rounding.RND_MIN_INF: False,
        Rounding.RND_CONV: below % 2 == 1,
    }
    if fixed.rounding is Rounding.TRN:
        code = below
    elif fixed.rounding is Rounding.TRN_ZERO:
        code = math.trunc(scaled)
    else:
        code = below + (rest > Fraction(1, 2) or (rest == Fraction(1, 2) and tie[fixed.rounding]))
    if fixed.overflow is not Overflow.WRAP:
        return min(max(code, fixed.min_code), fixed.max_code)
    code %= 1 << fixed.width
    return code - (1 << fixed.width) if code > fixed.max_code else code


@given(st.data(), types, types)
def test_cast_is_exact(data, source, target):
    code = data.draw(codes_of(source))
    expected = code if source == target else exactly(code * Fraction(2) ** -source.fraction, target)
    assert target.cast(code, source) == expected


@given(st.data(), types)
def test_cast_near_the_binary_point_of_the_source(data, target):
    """Small shifts, where ties and carries are."""
    source = FixedType(data.draw(st.integers(1, 63)), 0, data.draw(st.booleans()))
    source = source.shifted(source.width - target.fraction - data.draw(st.integers(-3, 6)))
    code = data.draw(codes_of(source))
    assert target.cast(code, source) == exactly(code * Fraction(2) ** -source.fraction, target)


@given(reals, types)
def test_encode_is_exact(value, fixed):
    assert fixed.encode(value) == exactly(Fraction(value), fixed)


@given(st.integers(-(1 << 12), 1 << 12), types)
def test_encode_is_exact_near_ties(eighths, fixed):
    value = math.ldexp(eighths, -3 - fixed.fraction)
    for near in (value, math.nextafter(value, math.inf), math.nextafter(value, -math.inf)):
        assert fixed.encode(near) == exactly(Fraction(near), fixed)


@given(st.data(), types.filter(lambda fixed: fixed.width <= 53))
def test_decode_then_encode_is_the_identity(data, fixed):
    code = data.draw(st.integers(fixed.min_code, fixed.max_code))
    assert Fraction(float(fixed.decode(code))) == code * Fraction(2) ** -fixed.fraction
    assert fixed.encode(fixed.decode(code)) == code


@given(types, reals)
def test_codes_stay_in_range(fixed, value):
    assert fixed.min_code <= fixed.encode(value) <= fixed.max_code


@given(types)
def test_text_round_trip(fixed):
    assert FixedType.parse(str(fixed)) == fixed


@pytest.mark.parametrize(
    ("text", "fixed", "canonical"),
    [
        ("ap_fixed<8,3>", FixedType(8, 3), "ap_fixed<8,3>"),
        ("ap_ufixed<8,-3>", FixedType(8, -3, False), "ap_ufixed<8,-3>"),
        (
            " ap_fixed < 8 , 3 , AP_RND_CONV , AP_SAT > ",
            FixedType(8, 3, True, Rounding.RND_CONV, Overflow.SAT),
            "ap_fixed<8,3,AP_RND_CONV,AP_SAT>",
        ),
        ("ap_fixed<8,3,AP_RND>", FixedType(8, 3, True, Rounding.RND), "ap_fixed<8,3,AP_RND>"),
        (
            "ap_fixed<8,3,AP_TRN,AP_SAT_SYM>",
            FixedType(8, 3, overflow=Overflow.SAT_SYM),
            "ap_fixed<8,3,AP_TRN,AP_SAT_SYM>",
        ),
        ("fixed<16,6,TRN,WRAP,0>", FixedType(16, 6), "ap_fixed<16,6>"),
        ("ufixed<8,0,RND,SAT>", FixedType(8, 0, False, Rounding.RND, Overflow.SAT), "ap_ufixed<8,0,AP_RND,AP_SAT>"),
        ("ap_int<5>", FixedType(5, 5), "ap_fixed<5,5>"),
        ("ap_uint<1>", FixedType(1, 1, False), "ap_ufixed<1,1>"),
        ("int<5>", FixedType(5, 5), "ap_fixed<5,5>"),
    ],
)
def test_parse(text, fixed, canonical):
    assert FixedType.parse(text) == fixed
    assert str(fixed) == canonical


@pytest.mark.parametrize(
    "text",
    [
        "",
        "float",
        "ap_fixed<8>",
        "ap_fixed<8,x>",
        "ap_fixed<8,3",
        "ap_int<8,3>",
        "ap_fixed<8,3,AP_ROUND>",
        "ap_fixed<8,3,AP_RND,AP_SAT_ZERO>",
        "ap_fixed<8,3,,>",
        "ap_fixed<8,3,AP_TRN,AP_WRAP,2>",
        "ap_fixed<8,3,AP_TRN,AP_WRAP,0,0>",
        "ap_fixed<0,0>",
        "ap_fixed<64,8>",
        "ap_fixed<8,9999>",
    ],
)
def test_parse_refuses(text):
    with pytest.raises(HwflowError, match=rf"^'?{re.escape(text)}'?(:| is)") as error:
        FixedType.parse(text)
    assert "\n" not in str(error.value)


def test_range():
    fixed = FixedType(8, 3)
    assert (fixed.fraction, fixed.lsb) == (5, 1 / 32)
    assert (fixed.min_code, fixed.max_code, fixed.min, fixed.max) == (-128, 127, -4.0, 3.96875)
    symmetric = fixed.with_(overflow=Overflow.SAT_SYM)
    assert (symmetric.min_code, symmetric.min) == (-127, -3.96875)
    unsigned = FixedType(8, 3, signed=False)
    assert (unsigned.min_code, unsigned.max_code, unsigned.max) == (0, 255, 7.96875)


def test_shifted_moves_the_binary_point():
    fixed = FixedType(16, 6)
    codes = np.array([-32768, -1, 0, 1, 32767])
    np.testing.assert_array_equal(fixed.shifted(3).decode(codes), 8 * fixed.decode(codes))


def test_numpy_integers_as_parameters():
    assert FixedType(np.int64(63), np.int64(63), False).max_code == 2**63 - 1


def test_shapes_and_large_arrays():
    fixed, wide = FixedType(8, 3, True, Rounding.RND_CONV, Overflow.SAT), FixedType(20, 8)
    codes = np.random.default_rng(0).integers(-(1 << 19), 1 << 19, (7, 300, 53))
    cast = fixed.cast(codes, wide)
    assert cast.shape == codes.shape
    assert cast.dtype == np.int64
    np.testing.assert_array_equal(cast, fixed.encode(wide.decode(codes)))
    np.testing.assert_array_equal(fixed.cast(codes.transpose(2, 0, 1), wide), cast.transpose(2, 0, 1))
    assert fixed.encode(0.5).shape == ()
    assert fixed.encode([]).shape == fixed.cast([], wide).shape == fixed.decode([]).shape == (0,)


def test_input_arrays_are_left_alone():
    fixed, wide = FixedType(4, 2, True, Rounding.RND, Overflow.SAT), FixedType(8, 3)
    codes, values = np.array([-128, 5, 127]), np.array([-9.0, 0.3, 9.0])
    same = wide.cast(codes, wide)
    same[:] = 0
    fixed.cast(codes, wide)
    fixed.encode(values)
    np.testing.assert_array_equal(codes, [-128, 5, 127])
    np.testing.assert_array_equal(values, [-9.0, 0.3, 9.0])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_encode_refuses_what_is_no_number(value):
    with pytest.raises(HwflowError, match="NaN or an infinite value"):
        FixedType(8, 3).encode([0.0, value])


@pytest.mark.parametrize("codes", [[128], [-129], np.array([2**63], dtype=np.uint64)])
def test_codes_outside_the_type_are_refused(codes):
    for use in (FixedType(8, 3).decode, lambda given: FixedType(4, 2).cast(given, FixedType(8, 3))):
        with pytest.raises(HwflowError, match=r"is not a code of ap_fixed<8,3>: its codes are -128 to 127"):
            use(codes)


def test_codes_must_be_integers():
    with pytest.raises(HwflowError, match="must be integers"):
        FixedType(8, 3).decode([0.5])
