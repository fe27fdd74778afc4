// From exact sums to stored codes: rounding, clamping, storing.
#pragma once

#include <cmath>
#include <type_traits>

#include "interface.h"
#include "vectors.h"

namespace {

// value * 2^-right for right > 0. No overflow: |value| < 2^(bits - 1) - 2^right, checked by the caller.
template <int R, typename Int>
inline Int rounded_shift(Int value, int right) {
    constexpr int sign_shift = sizeof(Int) * 8 - 1;
    const Int half = Int(1) << (right - 1);
    const Int sign = value >> sign_shift;
    if (R == kTrn) return value >> right;
    if (R == kTrnZero) return (value + (sign & (2 * half - 1))) >> right;
    if (R == kRnd) return (value + half) >> right;
    if (R == kRndMinInf) return (value + (half - 1)) >> right;
    if (R == kRndZero) return (value + (half - 1 - sign)) >> right;
    if (R == kRndInf) return (value + (half + sign)) >> right;
    return (value + (half - 1 + ((value >> right) & 1))) >> right;
}

// A float64 rounded to an integer; exact below 2^52, where halves are representable.
template <int R>
inline double rounded(double value) {
    if (R == kTrn) return std::floor(value);
    if (R == kTrnZero) return std::trunc(value);
    if (R == kRnd) return std::floor(value + 0.5);
    if (R == kRndMinInf) return std::ceil(value - 0.5);
    if (R == kRndZero) return value < 0 ? std::floor(value + 0.5) : std::ceil(value - 0.5);
    if (R == kRndInf) return value < 0 ? std::ceil(value - 0.5) : std::floor(value + 0.5);
    return std::rint(value);
}

template <typename Function>
inline void with_rounding(int rounding, const Function& function) {
    switch (rounding) {
        case kTrn: return function(std::integral_constant<int, kTrn>());
        case kTrnZero: return function(std::integral_constant<int, kTrnZero>());
        case kRnd: return function(std::integral_constant<int, kRnd>());
        case kRndZero: return function(std::integral_constant<int, kRndZero>());
        case kRndInf: return function(std::integral_constant<int, kRndInf>());
        case kRndMinInf: return function(std::integral_constant<int, kRndMinInf>());
        default: return function(std::integral_constant<int, kRndConv>());
    }
}

// Codes of consecutive channels, in range, to `out + place`.
template <typename Value>
void put_codes(const Epilogue& end, const Value* __restrict values, int64_t count, void* out, int64_t place) {
    const Value offset = Value(end.out_offset);
    if (end.out_kind == kInt16) {
        int16_t* __restrict to = static_cast<int16_t*>(out) + place;
        for (int64_t i = 0; i < count; ++i) to[i] = int16_t(values[i] - offset);
    } else if (end.out_kind == kByte) {
        uint8_t* __restrict to = static_cast<uint8_t*>(out) + place;
        for (int64_t i = 0; i < count; ++i) to[i] = uint8_t(values[i] - offset);
    } else {
        std::copy_n(values, count, static_cast<int64_t*>(out) + place);
    }
}

void cast_stage(const Stage& stage, int64_t* values, int64_t count) {
    const int right = stage.right;
    if (right > 0) {
        with_rounding(stage.rounding, [&](auto r) {
            for (int64_t i = 0; i < count; ++i) values[i] = rounded_shift<decltype(r)::value>(values[i], right);
        });
    } else if (right < 0) {
        for (int64_t i = 0; i < count; ++i) values[i] = int64_t(uint64_t(values[i]) << -right);
    }
    if (stage.overflow == kSaturate) {
        const int64_t low = stage.low, high = stage.high;
        for (int64_t i = 0; i < count; ++i) values[i] = std::min(std::max(values[i], low), high);
    } else if (stage.overflow == kWrap) {
        const int spare = 64 - stage.width;
        if (stage.is_signed) {
            for (int64_t i = 0; i < count; ++i) values[i] = int64_t(uint64_t(values[i]) << spare) >> spare;
        } else {
            for (int64_t i = 0; i < count; ++i) values[i] = int64_t((uint64_t(values[i]) << spare) >> spare);
        }
    }
}

// Exact sums of consecutive channels, from `channel` on, to stored codes at `out + place`.
void finish_stages(const Epilogue& end, int64_t* values, int64_t count, int64_t channel, void* out, int64_t place) {
    for (int s = 0; s < end.stage_count; ++s) {
        const Stage& stage = end.stages[s];
        if (stage.kind == kCast) {
            cast_stage(stage, values, count);
        } else if (stage.kind == kClip) {
            for (int64_t i = 0; i < count; ++i) values[i] = std::min(values[i], stage.high);
        } else if (stage.kind == kRelu) {
            for (int64_t i = 0; i < count; ++i) values[i] = std::max<int64_t>(values[i], 0);
        } else if (stage.factor_count == 1) {
            const int64_t factor = stage.factors[0];
            for (int64_t i = 0; i < count; ++i) values[i] *= factor;
        } else {
            for (int64_t i = 0; i < count; ++i) values[i] *= stage.factors[channel + i];
        }
    }
    put_codes(end, values, count, out, place);
}

template <int R>
void finish_int32(const Epilogue& end, int32_t* values, int64_t count) {
    const int32_t low = int32_t(end.low), high = int32_t(end.high);
    const int right = end.right;
    if (right == 0) {
        for (int64_t i = 0; i < count; ++i) values[i] = std::min(std::max(values[i], low), high);
        return;
    }
    for (int64_t i = 0; i < count; ++i) {
        values[i] = std::min(std::max(rounded_shift<R>(values[i], right), low), high);
    }
}

// `factors`: null, or those of the values' channels.
template <int R>
void finish_double(const Epilogue& end, double scale, const double* __restrict factors, double* __restrict values,
                   int64_t count, int32_t* __restrict codes) {
    const double low = double(end.low), high = double(end.high);
    if (factors != nullptr) {
        for (int64_t i = 0; i < count; ++i) values[i] *= factors[i];
    }
    for (int64_t i = 0; i < count; ++i) {
        codes[i] = int32_t(std::min(std::max(rounded<R>(values[i] * scale), low), high));
    }
}

// Integer sums of consecutive channels (any length) through an epilogue.
template <typename Sum>
void finish(const Epilogue& end, const Sum* sums, int64_t count, int64_t channel, void* out, int64_t place) {
    constexpr int64_t chunk = 256;
    for (int64_t start = 0; start < count; start += chunk) {
        const int64_t part = std::min(chunk, count - start);
        if (end.path == kStages) {
            int64_t values[chunk];
            for (int64_t i = 0; i < part; ++i) values[i] = int64_t(sums[start + i]);
            finish_stages(end, values, part, channel + start, out, place + start);
            continue;
        }
        int32_t codes[chunk];
        if (end.path == kInt32) {
            for (int64_t i = 0; i < part; ++i) codes[i] = int32_t(sums[start + i]);
            with_rounding(end.rounding, [&](auto r) { finish_int32<decltype(r)::value>(end, codes, part); });
        } else {
            const double* factors = end.factors == nullptr ? nullptr : end.factors + channel + start;
            double values[chunk];
            for (int64_t i = 0; i < part; ++i) values[i] = double(sums[start + i]);
            with_rounding(end.rounding, [&](auto r) {
                finish_double<decltype(r)::value>(end, std::ldexp(1.0, -end.right), factors, values, part, codes);
            });
        }
        put_codes(end, codes, part, out, place + start);
    }
}

// What rounding adds to a sum before the shift, if that does not depend on the sum; else -1.
inline int32_t rounding_constant(const Epilogue& end) {
    if (end.right == 0 || end.rounding == kTrn) return 0;
    const int32_t half = int32_t(1) << (end.right - 1);
    return end.rounding == kRnd ? half : end.rounding == kRndMinInf ? half - 1 : -1;
}

// Sums sum(0) to sum(count - 1) of consecutive channels, with what rounding adds to them, to codes in one pass, on the int32
// path with a rounding constant.
template <typename Code, typename Sum>
inline void put_sums(const Epilogue& end, int64_t count, Code* __restrict to, const Sum& sum) {
    const int32_t low = int32_t(end.low), high = int32_t(end.high), offset = int32_t(end.out_offset);
    const int right = end.right;
    for (int64_t i = 0; i < count; ++i) to[i] = Code(std::min(std::max(int32_t(sum(i)) >> right, low), high) - offset);
}

// The same at `out + place`, if this is the path of the epilogue and int64 not the kind of the output; else false.
template <typename Sum>
inline bool put_if_constant(const Epilogue& end, int64_t count, void* out, int64_t place, const Sum& sum) {
    if (end.path != kInt32 || end.out_kind == kInt64) return false;
    const int32_t added = rounding_constant(end);
    if (added < 0) return false;
    const auto all = [&](int64_t i) { return uint32_t(sum(i)) + uint32_t(added); };
    if (end.out_kind == kByte) put_sums(end, count, static_cast<uint8_t*>(out) + place, all);
    else put_sums(end, count, static_cast<int16_t*>(out) + place, all);
    return true;
}

// ---------------------------------------------------------------------------------------------------------
// Register tiles of weight layers

// A weight layer, and what all its tiles share.
struct Layer {
    const Geometry& g;
    const void* weights;
    const int64_t* bias;  // padded to whole panels
    const Epilogue& end;
    void* out;
    bool constant;               // the int32 path with a rounding constant
    std::vector<int32_t> start;  // what an int32 sum of each output starts with: bias and rounding constant
    std::vector<int32_t> restart;  // what later blocks of products start with
    std::vector<int32_t> start_high, start_low;  // with Geometry::split, bias and rounding constant in two parts
    std::vector<double> bias_real;

    Layer(const Geometry& g, const void* weights, const int64_t* bias, const Epilogue& end, void* out)
        : g(g), weights(weights), bias(bias), end(end), out(out) {
        const int64_t padded = ceil_div(g.outputs, kLanes) * kLanes;
        const int32_t added = end.path == kInt32 ? rounding_constant(end) : -1;
        constant = added >= 0;
        restart.assign(kPanels * kLanes, int32_t(g.block_start));
        start.assign(padded, int32_t(g.block_start));
        if (end.path == kInt32) {  // block_start is 0
            for (int64_t i = 0; i < padded; ++i) start[i] = int32_t(uint32_t(bias[i]) + uint32_t(constant ? added : 0));
        }
        if (g.split != 0) {
            for (int64_t i = 0; i < padded; ++i) {
                const int64_t value = bias[i] + rounding_constant(end);
                start_high.push_back(int32_t(value >> g.split));
                start_low.push_back(int32_t(value & ((int64_t(1) << g.split) - 1)));
            }
        }
        bias_real.assign(bias, bias + padded);
    }
};

// What tiles do with the sums of a row, sums[panel][lane]: keep them. All of it becomes part of the tile's
// function, unrolled: sums whose address is taken, or that are indexed, would be kept in memory all the time.
#define HWFLOW_INLINE __attribute__((always_inline))
struct PutSums {
    int32_t* to;

    template <int Panels>
    HWFLOW_INLINE void row(int r, const Vector* sums) const {
        constexpr int parts = Panels * kParts;
#pragma GCC unroll 16
        for (int p = 0; p < parts; ++p) store(to + (r * parts + p) * kVector, sums[p]);
    }
};

// Or clamp(sum >> right, low, high) - offset, to the row's pixel: the channels from `channel` on that there are.
template <typename Code>
struct PutCodes {
    const Vector low, high, offset;
    const int64_t* pixels;  // places of the rows; negative outside
    Code* out;
    int64_t outputs, count;
    int right;

    PutCodes(const Layer& layer, const int64_t* pixels, int64_t channel, int panels, int right)
        : low(same(int32_t(layer.end.low))), high(same(int32_t(layer.end.high))), offset(same(int32_t(layer.end.out_offset))),
          pixels(pixels), out(static_cast<Code*>(layer.out) + channel), outputs(layer.g.outputs),
          count(std::min<int64_t>(panels * kLanes, outputs - channel)), right(right) {}

    template <int Panels>
    HWFLOW_INLINE void row(int r, const Vector* sums) const {
        if (pixels[r] < 0) return;
        constexpr int width = Panels * kLanes;
        Code* to = out + pixels[r] * outputs;
        if (count == width) return codes<Panels>(sums, to);
        Code part[width];
        codes<Panels>(sums, part);
        std::copy_n(part, count, to);
    }

private:
    template <int Panels>
    HWFLOW_INLINE void codes(const Vector* sums, Code* to) const {
#pragma GCC unroll 16
        for (int panel = 0; panel < Panels; ++panel) {
            Vector panel_codes[kParts];
#pragma GCC unroll 16
            for (int p = 0; p < kParts; ++p) {
                panel_codes[p] = subtract(clamp(shift_right(sums[panel * kParts + p], right), low, high), offset);
            }
            store_codes(to + panel * kLanes, panel_codes);
        }
    }
};

// Calls function(put) with the codes of adjacent panels from `channel` on as what they are.
template <typename Function>
void with_codes(const Layer& layer, const int64_t* pixels, int64_t channel, int panels, int right,
                const Function& function) {
    if (layer.end.out_kind == kByte) function(PutCodes<uint8_t>(layer, pixels, channel, panels, right));
    else function(PutCodes<int16_t>(layer, pixels, channel, panels, right));
}

template <int Panels, typename Put>
void put_rows(const Put& put, const int32_t* sums, int rows) {
    constexpr int parts = Panels * kParts;
    for (int r = 0; r < rows; ++r) {
        Vector row[parts];
#pragma GCC unroll 16
        for (int p = 0; p < parts; ++p) row[p] = load(sums + (r * parts + p) * kVector);
        put.template row<Panels>(r, row);
    }
}

// The sums of a tile, sums[row][panel][lane], to codes.
void put_tile(const Layer& layer, const int32_t* sums, const int64_t* pixels, int rows, int panels, int64_t channel,
              int right) {
    with_codes(layer, pixels, channel, panels, right, [&](const auto& put) {
        if (panels == kPanels) put_rows<kPanels>(put, sums, rows);
        else put_rows<1>(put, sums, rows);
    });
}

// Sums that int32 does not hold, of a tile as above, are kept in two parts, parts[row][panel][high or low][lane], and stand
// for high * 2^split + low. Each addend adds its last `split` bits to the low part and what is before them to the high one; the
// first addends are the bias with the rounding constant, and the sums of the first block. When all have been added,
// (high * 2^split + low) >> right is (high + (low >> split)) >> (right - split).
void finish_parts(const Layer& layer, int32_t* sums, int32_t* parts, const int64_t* pixels, int rows, int panels,
                  int64_t channel, bool first, bool last) {
    const int split = int(layer.g.split), width = panels * kLanes;
    const Vector mask = same((1 << split) - 1);
    for (int i = 0; i < rows * width; i += kVector) {
        int32_t* part = parts + 2 * i;
        const int64_t output = channel + i % width;
        const Vector sum = load(sums + i);
        const Vector high = load(first ? layer.start_high.data() + output : part);
        const Vector low = load(first ? layer.start_low.data() + output : part + kVector);
        const Vector more_high = add(high, shift_right(sum, split)), more_low = add(low, both(sum, mask));
        if (last) {
            store(sums + i, add(more_high, shift_right(more_low, split)));
        } else {
            store(part, more_high);
            store(part + kVector, more_low);
        }
    }
    if (last) put_tile(layer, sums, pixels, rows, panels, channel, layer.end.right - split);
}

// Sums of adjacent panels for some rows (output pixels): sums[row][panel][lane], on the int32 path with the
// bias (Layer::start), or `wide` instead; pixels[row] is the place of the row, negative where it lies outside.
void finish_tile(const Layer& layer, int32_t* sums, const double* wide, const int64_t* pixels, int rows, int panels,
                 int64_t channel) {
    const Epilogue& end = layer.end;
    const int width = panels * kLanes;
    if (end.path == kStages) {
        const int64_t outputs = layer.g.outputs, count = std::min<int64_t>(width, outputs - channel);
        for (int r = 0; r < rows; ++r) {
            if (pixels[r] < 0) continue;
            int64_t values[kPanels * kLanes];
            for (int64_t i = 0; i < count; ++i) {
                values[i] = (wide != nullptr ? int64_t(wide[r * width + i]) : sums[r * width + i]) + layer.bias[channel + i];
            }
            finish_stages(end, values, count, channel, layer.out, pixels[r] * outputs + channel);
        }
        return;
    }
    int right = 0;
    if (layer.constant) {
        right = end.right;
    } else if (end.path == kInt32) {
        with_rounding(end.rounding, [&](auto r) { finish_int32<decltype(r)::value>(end, sums, rows * width); });
    } else {
        const double scale = std::ldexp(1.0, -end.right);
        const double* bias = layer.bias_real.data() + channel;
        const double* factors = end.factors == nullptr ? nullptr : end.factors + channel;
        with_rounding(end.rounding, [&](auto r) {
            for (int at = 0; at < rows * width; at += kLanes) {
                double values[kLanes];
                const int panel = at % width;
                if (wide != nullptr) for (int i = 0; i < kLanes; ++i) values[i] = wide[at + i] + bias[panel + i];
                else for (int i = 0; i < kLanes; ++i) values[i] = sums[at + i] + bias[panel + i];
                finish_double<decltype(r)::value>(end, scale, factors == nullptr ? nullptr : factors + panel, values,
                                                  kLanes, sums + at);
            }
        });
    }
    put_tile(layer, sums, pixels, rows, panels, channel, right);
}

}  // namespace
