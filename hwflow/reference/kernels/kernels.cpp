// Exact integer kernels of the reference executor, one image batch a call.
//
// Activations are int16, channels last: code - offset, the offset being 32768 for unsigned 16-bit types and
// 0 for all others. Weights are int16. Products of pairs are summed in int32 (vpmaddwd where there is AVX2).
// The caller proves every bound; see engine.py for the proofs and for the meaning of the arguments.
//
// Compiled with the flags of one machine class; nothing here depends on the number of threads, because
// each output element is computed by one thread in one order.

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <system_error>
#include <thread>
#include <type_traits>
#include <vector>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace {

constexpr int kRows = 6;    // output pixels of a register tile: 6 x 16 int32 fill 12 of 16 vector registers
constexpr int kLanes = 16;  // output channels of a register tile
constexpr int64_t kAlone = 1 << 20;  // products that one thread does sooner than others start

enum Rounding { kTrn, kTrnZero, kRnd, kRndZero, kRndInf, kRndMinInf, kRndConv };
enum StageKind { kCast, kRelu, kMultiply };
enum Overflow { kFits, kWrap, kSaturate };
enum Path { kStages, kInt32, kDouble };
enum OutKind { kOutInt16, kOutInt64 };

}  // namespace

extern "C" {

// One step of what happens to an exact sum.
struct Stage {
    int32_t kind;
    int32_t right;     // bits dropped; negative: bits added
    int32_t rounding;
    int32_t overflow;
    int32_t width;     // of the target, for kWrap
    int32_t is_signed;
    int64_t low;
    int64_t high;
    const int64_t* factors;
    int64_t factor_count;  // 1 or one a channel
};

// From exact sums to the next tensor. path kStages applies the stages; the others stand for
// clamp(round(value * factor * 2^-right), low, high), in int32 (no factor) or in float64.
struct Epilogue {
    int32_t path;
    int32_t right;
    int32_t rounding;
    int32_t out_kind;
    int64_t low;
    int64_t high;
    int64_t out_offset;
    const double* factors;  // null, or one a channel
    int32_t stage_count;
    int32_t reserved;
    const Stage* stages;
};

struct Geometry {
    int64_t images, height, width, channels;
    int64_t rows, columns, outputs;
    int64_t kernel_h, kernel_w, stride_h, stride_w, pad_top, pad_left;
    int64_t pad_value;   // the stored form of code 0
    int64_t k_block;     // products whose sum fits int32 after block_start is added
    int64_t block_start; // initial value of an int32 sum, taken off again through the bias
    int64_t wide;        // several blocks are summed in float64
};

}  // extern "C"

namespace {

template <typename Body>
void parallel(int64_t tasks, int threads, const Body& body) {
    threads = static_cast<int>(std::min<int64_t>(threads, tasks));
    if (threads <= 1) {
        for (int64_t task = 0; task < tasks; ++task) body(task);
        return;
    }
    std::atomic<int64_t> next{0};
    auto work = [&] {
        for (int64_t task; (task = next.fetch_add(1)) < tasks;) body(task);
    };
    std::vector<std::thread> helpers;
    helpers.reserve(threads - 1);
    try {
        for (int i = 1; i < threads; ++i) helpers.emplace_back(work);
    } catch (const std::system_error&) {
        // no more threads to be had: those that run do all the work
    }
    work();
    for (auto& helper : helpers) helper.join();
}

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

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
        } else if (stage.kind == kRelu) {
            for (int64_t i = 0; i < count; ++i) values[i] = std::max<int64_t>(values[i], 0);
        } else if (stage.factor_count == 1) {
            const int64_t factor = stage.factors[0];
            for (int64_t i = 0; i < count; ++i) values[i] *= factor;
        } else {
            for (int64_t i = 0; i < count; ++i) values[i] *= stage.factors[channel + i];
        }
    }
    if (end.out_kind == kOutInt16) {
        int16_t* to = static_cast<int16_t*>(out) + place;
        for (int64_t i = 0; i < count; ++i) to[i] = int16_t(values[i] - end.out_offset);
    } else {
        int64_t* to = static_cast<int64_t*>(out) + place;
        for (int64_t i = 0; i < count; ++i) to[i] = values[i];
    }
}

template <int R>
void finish_int32(const Epilogue& end, const int32_t* __restrict values, int count, int16_t* __restrict out) {
    const int32_t low = int32_t(end.low), high = int32_t(end.high), offset = int32_t(end.out_offset);
    const int right = end.right;
    if (right == 0) {
        for (int i = 0; i < count; ++i) out[i] = int16_t(std::min(std::max(values[i], low), high) - offset);
        return;
    }
    for (int i = 0; i < count; ++i) {
        const int32_t code = rounded_shift<R>(values[i], right);
        out[i] = int16_t(std::min(std::max(code, low), high) - offset);
    }
}

template <int R>
void finish_double(const Epilogue& end, const double* __restrict values, int count, int64_t channel,
                   int16_t* __restrict out) {
    const double scale = std::ldexp(1.0, -end.right);
    const double low = double(end.low), high = double(end.high), offset = double(end.out_offset);
    if (end.factors != nullptr) {
        const double* __restrict factors = end.factors + channel;
        for (int i = 0; i < count; ++i) {
            const double code = rounded<R>(values[i] * factors[i] * scale);
            out[i] = int16_t(int32_t(std::min(std::max(code, low), high) - offset));
        }
        return;
    }
    for (int i = 0; i < count; ++i) {
        const double code = rounded<R>(values[i] * scale);
        out[i] = int16_t(int32_t(std::min(std::max(code, low), high) - offset));
    }
}

// Integer sums of consecutive channels (any length) through an epilogue.
template <typename Sum>
void finish(const Epilogue& end, const Sum* sums, int64_t count, int64_t channel, void* out, int64_t place) {
    constexpr int64_t chunk = 256;
    for (int64_t start = 0; start < count; start += chunk) {
        const int64_t part = std::min(chunk, count - start);
        int16_t* to = static_cast<int16_t*>(out) + place + start;
        if (end.path == kInt32) {
            int32_t values[chunk];
            for (int64_t i = 0; i < part; ++i) values[i] = int32_t(sums[start + i]);
            with_rounding(end.rounding, [&](auto r) { finish_int32<decltype(r)::value>(end, values, part, to); });
        } else if (end.path == kDouble) {
            double values[chunk];
            for (int64_t i = 0; i < part; ++i) values[i] = double(sums[start + i]);
            with_rounding(end.rounding, [&](auto r) {
                finish_double<decltype(r)::value>(end, values, part, channel + start, to);
            });
        } else {
            int64_t values[chunk];
            for (int64_t i = 0; i < part; ++i) values[i] = int64_t(sums[start + i]);
            finish_stages(end, values, part, channel + start, out, place + start);
        }
    }
}

// ---------------------------------------------------------------------------------------------------------
// Matrix products

struct Segment {
    int64_t tap, channel, pairs;
};

// sums[row][lane] = start + sum over segments of x[row] . w[lane]; rows point at contiguous int16 channels.
// `rows` holds, for each tap, the first of kRows consecutive pointers; `stride` separates taps.
void multiply_tile(const int16_t* const* rows, int64_t stride, const Segment* segments, int64_t segment_count,
                   const int16_t* weights, int32_t start, int32_t* sums) {
#if defined(__AVX2__)
    __m256i acc[kRows][2];
    const __m256i first = _mm256_set1_epi32(start);
    for (int r = 0; r < kRows; ++r) acc[r][0] = acc[r][1] = first;
    const __m256i* w = reinterpret_cast<const __m256i*>(weights);
    for (int64_t s = 0; s < segment_count; ++s) {
        const int16_t* const* at = rows + segments[s].tap * stride;
        const int64_t channel = segments[s].channel, pairs = segments[s].pairs;
        const int16_t *x0 = at[0] + channel, *x1 = at[1] + channel, *x2 = at[2] + channel;
        const int16_t *x3 = at[3] + channel, *x4 = at[4] + channel, *x5 = at[5] + channel;
        for (int64_t j = 0; j < pairs; ++j, w += 2) {
            const __m256i w0 = _mm256_load_si256(w), w1 = _mm256_load_si256(w + 1);
#define HWFLOW_ROW(r, x)                                                                  \
    {                                                                                     \
        int32_t pair;                                                                     \
        std::memcpy(&pair, (x) + 2 * j, 4);                                               \
        const __m256i both = _mm256_set1_epi32(pair);                                     \
        acc[r][0] = _mm256_add_epi32(acc[r][0], _mm256_madd_epi16(both, w0));             \
        acc[r][1] = _mm256_add_epi32(acc[r][1], _mm256_madd_epi16(both, w1));             \
    }
            HWFLOW_ROW(0, x0)
            HWFLOW_ROW(1, x1)
            HWFLOW_ROW(2, x2)
            HWFLOW_ROW(3, x3)
            HWFLOW_ROW(4, x4)
            HWFLOW_ROW(5, x5)
#undef HWFLOW_ROW
        }
    }
    for (int r = 0; r < kRows; ++r) {
        _mm256_store_si256(reinterpret_cast<__m256i*>(sums + r * kLanes), acc[r][0]);
        _mm256_store_si256(reinterpret_cast<__m256i*>(sums + r * kLanes + 8), acc[r][1]);
    }
#else
    uint32_t acc[kRows * kLanes];
    std::fill(acc, acc + kRows * kLanes, uint32_t(start));
    for (int64_t s = 0; s < segment_count; ++s) {
        const int16_t* const* at = rows + segments[s].tap * stride;
        for (int64_t j = 0; j < segments[s].pairs; ++j, weights += 2 * kLanes) {
            for (int r = 0; r < kRows; ++r) {
                const int16_t* x = at[r] + segments[s].channel + 2 * j;
                const int32_t a = x[0], b = x[1];
                for (int lane = 0; lane < kLanes; ++lane) {
                    acc[r * kLanes + lane] += uint32_t(a * weights[2 * lane]) + uint32_t(b * weights[2 * lane + 1]);
                }
            }
        }
    }
    std::memcpy(sums, acc, sizeof acc);
#endif
}

std::vector<std::vector<Segment>> k_blocks(int64_t taps, int64_t channels, int64_t limit) {
    const int64_t total = taps * channels;
    const int64_t count = ceil_div(total, limit);
    const int64_t size = std::min(limit, ceil_div(ceil_div(total, count), 2) * 2);
    std::vector<std::vector<Segment>> blocks;
    int64_t room = 0;
    for (int64_t tap = 0; tap < taps; ++tap) {
        for (int64_t channel = 0; channel < channels;) {
            if (room == 0) {
                blocks.emplace_back();
                room = size;
            }
            const int64_t part = std::min(room, channels - channel);
            blocks.back().push_back({tap, channel, part / 2});
            channel += part;
            room -= part;
        }
    }
    return blocks;
}

// Where the input pixels of output pixels lie; a pixel in the padding points at `padding`.
struct Pixels {
    const Geometry& g;
    const int16_t* x;

    template <typename Put>
    void each(int64_t first, int64_t count, const Put& put) const {
        for (int64_t i = 0; i < count; ++i) {
            const int64_t pixel = first + i;
            const int64_t image = pixel / (g.rows * g.columns), at = pixel % (g.rows * g.columns);
            put(i, image, at / g.columns * g.stride_h - g.pad_top, at % g.columns * g.stride_w - g.pad_left);
        }
    }

    void pointers(int64_t first, int64_t count, int64_t stride, const int16_t* padding, const int16_t** out) const {
        each(first, count, [&](int64_t i, int64_t image, int64_t top, int64_t left) {
            for (int64_t kh = 0; kh < g.kernel_h; ++kh) {
                for (int64_t kw = 0; kw < g.kernel_w; ++kw) {
                    const int64_t h = top + kh, w = left + kw;
                    const bool inside = h >= 0 && h < g.height && w >= 0 && w < g.width;
                    out[(kh * g.kernel_w + kw) * stride + i] =
                        inside ? x + ((image * g.height + h) * g.width + w) * g.channels : padding;
                }
            }
        });
    }

    // Rows of all taps, `stride` elements apart; what lies beyond the taps is left alone.
    void patches(int64_t first, int64_t count, int64_t stride, int16_t* out) const {
        const int16_t pad = int16_t(g.pad_value);
        each(first, count, [&](int64_t i, int64_t image, int64_t top, int64_t left) {
            int16_t* to = out + i * stride;
            const int64_t begin = std::min(std::max<int64_t>(-left, 0), g.kernel_w);
            const int64_t end = std::max(std::min(g.width - left, g.kernel_w), begin);
            for (int64_t kh = 0; kh < g.kernel_h; ++kh, to += g.kernel_w * g.channels) {
                const int64_t h = top + kh;
                if (h < 0 || h >= g.height) {
                    std::fill(to, to + g.kernel_w * g.channels, pad);
                    continue;
                }
                std::fill(to, to + begin * g.channels, pad);
                std::fill(to + end * g.channels, to + g.kernel_w * g.channels, pad);
                const int16_t* from = x + ((image * g.height + h) * g.width + left + begin) * g.channels;
                std::copy(from, from + (end - begin) * g.channels, to + begin * g.channels);
            }
        });
    }
};

struct Scratch {
    std::vector<int16_t> patches, padding;
    std::vector<int32_t> bias32;
    std::vector<double> bias_real;
    std::vector<const int16_t*> pointers;
    std::vector<double> sums;
    std::vector<int32_t> sums32;
};

// One panel of channels of one pixel; the fixed length lets the compiler keep it all in registers.
template <int R>
inline void finish_panel_int32(const Epilogue& end, const int32_t* __restrict sums, const int32_t* __restrict bias,
                               int16_t* __restrict codes) {
    const int32_t low = int32_t(end.low), high = int32_t(end.high), offset = int32_t(end.out_offset);
    const int right = end.right;
    int32_t values[kLanes];
    for (int i = 0; i < kLanes; ++i) values[i] = int32_t(uint32_t(sums[i]) + uint32_t(bias[i]));
    if (right != 0) {
        for (int i = 0; i < kLanes; ++i) values[i] = rounded_shift<R>(values[i], right);
    }
    for (int i = 0; i < kLanes; ++i) codes[i] = int16_t(std::min(std::max(values[i], low), high) - offset);
}

template <int R, typename Sum>
inline void finish_panel_double(const Epilogue& end, double scale, const Sum* __restrict sums,
                                const double* __restrict bias, const double* __restrict factors,
                                int16_t* __restrict codes) {
    const double low = double(end.low), high = double(end.high), offset = double(end.out_offset);
    double values[kLanes];
    int32_t whole[kLanes];
    for (int i = 0; i < kLanes; ++i) values[i] = double(sums[i]) + bias[i];
    if (factors != nullptr) {
        for (int i = 0; i < kLanes; ++i) values[i] *= factors[i];
    }
    for (int i = 0; i < kLanes; ++i) values[i] = rounded<R>(values[i] * scale);
    for (int i = 0; i < kLanes; ++i) whole[i] = int32_t(std::min(std::max(values[i], low), high) - offset);
    for (int i = 0; i < kLanes; ++i) codes[i] = int16_t(whole[i]);
}

// Sums of one panel of channels of some pixels, plus the bias, to the output. sums[row * kLanes + lane], or
// `wide` instead; pixels[row] is the place of the row, negative where it lies outside the image.
void finish_tile(const Epilogue& end, const Geometry& g, const int32_t* sums, const double* wide, const int64_t* bias,
                 const Scratch& scratch, const int64_t* pixels, int rows, int64_t channel, void* out) {
    const int64_t count = std::min<int64_t>(kLanes, g.outputs - channel);
    if (end.path == kStages) {
        for (int r = 0; r < rows; ++r) {
            if (pixels[r] < 0) continue;
            int64_t values[kLanes];
            for (int i = 0; i < kLanes; ++i) {
                const int at = r * kLanes + i;
                values[i] = (wide != nullptr ? int64_t(wide[at]) : sums[at]) + bias[channel + i];
            }
            finish_stages(end, values, count, channel, out, pixels[r] * g.outputs + channel);
        }
        return;
    }
    const double scale = std::ldexp(1.0, -end.right);
    const double* real = scratch.bias_real.data() + channel;
    const double* factors = end.factors != nullptr ? end.factors + channel : nullptr;
    with_rounding(end.rounding, [&](auto rounding) {
        constexpr int R = decltype(rounding)::value;
        for (int r = 0; r < rows; ++r) {
            if (pixels[r] < 0) continue;
            alignas(32) int16_t codes[kLanes];
            if (end.path == kInt32) {
                finish_panel_int32<R>(end, sums + r * kLanes, scratch.bias32.data() + channel, codes);
            } else if (wide != nullptr) {
                finish_panel_double<R>(end, scale, wide + r * kLanes, real, factors, codes);
            } else {
                finish_panel_double<R>(end, scale, sums + r * kLanes, real, factors, codes);
            }
            int16_t* to = static_cast<int16_t*>(out) + pixels[r] * g.outputs + channel;
            if (count == kLanes) std::memcpy(to, codes, sizeof codes);
            else std::copy(codes, codes + count, to);
        }
    });
}

// Output pixels [first, first + count) of output panels [panel_first, panel_last).
void weight_layer_block(const Geometry& g, const int16_t* x, const int16_t* weights, const int64_t* bias,
                        const Epilogue& end, void* out, int64_t first, int64_t count, int64_t panel_first,
                        int64_t panel_last) {
    thread_local Scratch scratch;
    const int64_t padded = ceil_div(count, kRows) * kRows;
    const int64_t kernel = g.kernel_h * g.kernel_w;
    const bool gather = g.channels % 2 != 0 || (g.channels < 8 && kernel > 1);
    const int64_t taps = gather ? 1 : kernel;
    const int64_t channels = gather ? ceil_div(kernel * g.channels, 2) * 2 : g.channels;
    const int64_t depth = taps * channels;
    const Pixels pixels{g, x};
    scratch.pointers.resize(taps * padded);
    const int16_t** rows = scratch.pointers.data();
    if (gather) {
        scratch.patches.resize(count * channels);
        if (channels != kernel * g.channels) {
            for (int64_t i = 0; i < count; ++i) scratch.patches[(i + 1) * channels - 1] = 0;
        }
        pixels.patches(first, count, channels, scratch.patches.data());
        for (int64_t i = 0; i < count; ++i) rows[i] = scratch.patches.data() + i * channels;
    } else {
        scratch.padding.assign(channels, int16_t(g.pad_value));
        pixels.pointers(first, count, padded, scratch.padding.data(), rows);
    }
    for (int64_t tap = 0; tap < taps; ++tap) {
        std::fill(rows + tap * padded + count, rows + (tap + 1) * padded, rows[tap * padded + count - 1]);
    }
    const auto blocks = k_blocks(taps, channels, g.k_block);
    scratch.bias32.assign(bias, bias + ceil_div(g.outputs, kLanes) * kLanes);
    scratch.bias_real.assign(bias, bias + ceil_div(g.outputs, kLanes) * kLanes);
    const int64_t panels = panel_last - panel_first;
    const bool wide = g.wide != 0 && blocks.size() > 1;
    constexpr int64_t tile = kRows * kLanes;
    if (blocks.size() > 1) {
        if (wide) scratch.sums.resize(panels * padded * kLanes);
        else scratch.sums32.resize(panels * padded * kLanes);
    }
    int64_t k = 0;
    for (size_t b = 0; b < blocks.size(); ++b) {
        const bool last = b + 1 == blocks.size();
        for (int64_t panel = panel_first; panel < panel_last; ++panel) {
            const int16_t* w = weights + (panel * depth + k) * kLanes;
            for (int64_t row = 0; row < padded; row += kRows) {
                alignas(32) int32_t sums[tile];
                multiply_tile(rows + row, padded, blocks[b].data(), int64_t(blocks[b].size()), w,
                              int32_t(g.block_start), sums);
                const int64_t at = ((panel - panel_first) * padded + row) * kLanes;
                double* total = wide ? scratch.sums.data() + at : nullptr;
                if (wide) {
                    if (b == 0) for (int64_t i = 0; i < tile; ++i) total[i] = sums[i];
                    else for (int64_t i = 0; i < tile; ++i) total[i] += sums[i];
                } else if (blocks.size() > 1) {
                    int32_t* total32 = scratch.sums32.data() + at;
                    if (b > 0) for (int64_t i = 0; i < tile; ++i) sums[i] = int32_t(uint32_t(sums[i]) + uint32_t(total32[i]));
                    if (!last) std::copy(sums, sums + tile, total32);
                }
                if (last) {
                    int64_t places[kRows];
                    for (int r = 0; r < kRows; ++r) places[r] = row + r < count ? first + row + r : -1;
                    finish_tile(end, g, sums, total, bias, scratch, places, kRows, panel * kLanes, out);
                }
            }
        }
        for (const Segment& segment : blocks[b]) k += 2 * segment.pairs;
    }
}

// ---------------------------------------------------------------------------------------------------------
// 3x3 convolutions of stride 1 by Winograd's F(2x2, 3x3): 16 products where 36 are needed, for 2x2 outputs.
// In integers: the filters come transformed with factors 2, so the sums are 4 times the result. They are
// computed modulo 2^32 throughout; only 4 times the result must fit int32, and transformed operands int16.

constexpr int kTile = 4;

// to[position][channel] = B^T d B of a 4x4 patch d, `stride` elements between positions.
void winograd_input(const int16_t* const* d, int64_t channels, int64_t stride, int16_t* __restrict to) {
    constexpr int64_t chunk = 64;
    int16_t rows[kTile * kTile][chunk];
    for (int64_t start = 0; start < channels; start += chunk) {
        const int64_t part = std::min(chunk, channels - start);
        for (int w = 0; w < kTile; ++w) {
            const int16_t *d0 = d[w] + start, *d1 = d[4 + w] + start, *d2 = d[8 + w] + start, *d3 = d[12 + w] + start;
            for (int64_t c = 0; c < part; ++c) {
                rows[w][c] = int16_t(d0[c] - d2[c]);
                rows[4 + w][c] = int16_t(d1[c] + d2[c]);
                rows[8 + w][c] = int16_t(d2[c] - d1[c]);
                rows[12 + w][c] = int16_t(d1[c] - d3[c]);
            }
        }
        for (int h = 0; h < kTile; ++h) {
            int16_t* __restrict to0 = to + (4 * h) * stride + start;
            int16_t* __restrict to1 = to0 + stride;
            int16_t* __restrict to2 = to1 + stride;
            int16_t* __restrict to3 = to2 + stride;
            const int16_t *r0 = rows[4 * h], *r1 = rows[4 * h + 1], *r2 = rows[4 * h + 2], *r3 = rows[4 * h + 3];
            for (int64_t c = 0; c < part; ++c) {
                to0[c] = int16_t(r0[c] - r2[c]);
                to1[c] = int16_t(r1[c] + r2[c]);
                to2[c] = int16_t(r2[c] - r1[c]);
                to3[c] = int16_t(r1[c] - r3[c]);
            }
        }
    }
}

// result[2][2][lane] = A^T m A / 4 of 4x4 sums m[position][lane], `stride` elements between positions.
void winograd_output(const int32_t* __restrict m, int64_t stride, int32_t* __restrict result) {
    uint32_t rows[2][kTile][kLanes];
    for (int w = 0; w < kTile; ++w) {
        const int32_t *m0 = m + w * stride, *m1 = m + (4 + w) * stride, *m2 = m + (8 + w) * stride;
        const int32_t* m3 = m + (12 + w) * stride;
        for (int i = 0; i < kLanes; ++i) {
            rows[0][w][i] = uint32_t(m0[i]) + uint32_t(m1[i]) + uint32_t(m2[i]);
            rows[1][w][i] = uint32_t(m1[i]) - uint32_t(m2[i]) - uint32_t(m3[i]);
        }
    }
    for (int h = 0; h < 2; ++h) {
        int32_t* to = result + h * 2 * kLanes;
        for (int i = 0; i < kLanes; ++i) {
            to[i] = int32_t(rows[h][0][i] + rows[h][1][i] + rows[h][2][i]) >> 2;
            to[kLanes + i] = int32_t(rows[h][1][i] - rows[h][2][i] - rows[h][3][i]) >> 2;
        }
    }
}

// Tiles [first, first + count) of all panels.
void winograd_block(const Geometry& g, const int16_t* x, const int16_t* weights, const int64_t* bias,
                    const Epilogue& end, void* out, int64_t first, int64_t count) {
    thread_local Scratch scratch;
    const int64_t panels = ceil_div(g.outputs, kLanes), padded = ceil_div(count, kRows) * kRows;
    const int64_t tile_rows = ceil_div(g.rows, 2), tile_columns = ceil_div(g.columns, 2);
    const int64_t stride = padded * g.channels;
    scratch.bias32.assign(bias, bias + panels * kLanes);
    scratch.bias_real.assign(bias, bias + panels * kLanes);
    scratch.padding.assign(g.channels, int16_t(g.pad_value));
    scratch.patches.resize(16 * stride);
    scratch.sums32.resize(16 * padded * kLanes + 16);
    int32_t* sums = scratch.sums32.data();
    sums += (32 - reinterpret_cast<uintptr_t>(sums) % 32) % 32 / 4;
    const auto place = [&](int64_t tile, int64_t& image, int64_t& row, int64_t& column) {
        image = tile / (tile_rows * tile_columns);
        row = tile % (tile_rows * tile_columns) / tile_columns * 2;
        column = tile % tile_columns * 2;
    };
    int64_t image, row, column;
    for (int64_t i = 0; i < count; ++i) {
        place(first + i, image, row, column);
        const int16_t* d[kTile * kTile];
        for (int j = 0; j < kTile * kTile; ++j) {
            const int64_t h = row - g.pad_top + j / kTile, w = column - g.pad_left + j % kTile;
            const bool inside = h >= 0 && h < g.height && w >= 0 && w < g.width;
            d[j] = inside ? x + ((image * g.height + h) * g.width + w) * g.channels : scratch.padding.data();
        }
        winograd_input(d, g.channels, stride, scratch.patches.data() + i * g.channels);
    }
    const Segment all{0, 0, g.channels / 2};
    for (int64_t panel = 0; panel < panels; ++panel) {
        for (int position = 0; position < 16; ++position) {
            const int16_t* w = weights + (position * panels + panel) * g.channels * kLanes;
            for (int64_t i = 0; i < padded; i += kRows) {
                const int16_t* rows[kRows];
                for (int r = 0; r < kRows; ++r) {
                    rows[r] = scratch.patches.data() + position * stride + std::min(i + r, count - 1) * g.channels;
                }
                multiply_tile(rows, kRows, &all, 1, w, 0, sums + (position * padded + i) * kLanes);
            }
        }
        for (int64_t i = 0; i < count; ++i) {
            place(first + i, image, row, column);
            alignas(32) int32_t result[4 * kLanes];
            winograd_output(sums + i * kLanes, padded * kLanes, result);
            int64_t places[4];
            for (int j = 0; j < 4; ++j) {
                const int64_t h = row + j / 2, w = column + j % 2;
                places[j] = h < g.rows && w < g.columns ? (image * g.rows + h) * g.columns + w : -1;
            }
            finish_tile(end, g, result, nullptr, bias, scratch, places, 4, panel * kLanes, out);
        }
    }
}

}  // namespace

extern "C" {

// Blocks of products that a layer of this geometry is summed in: each adds block_start once.
int64_t hwflow_k_blocks(const Geometry* g) {
    const int64_t kernel = g->kernel_h * g->kernel_w;
    const bool gather = g->channels % 2 != 0 || (g->channels < 8 && kernel > 1);
    const int64_t channels = gather ? ceil_div(kernel * g->channels, 2) * 2 : g->channels;
    return int64_t(k_blocks(gather ? 1 : kernel, channels, g->k_block).size());
}

void hwflow_weight_layer(const Geometry* g, const int16_t* x, const int16_t* weights, const int64_t* bias,
                         const Epilogue* end, void* out, int32_t threads) {
    const int64_t pixels = g->images * g->rows * g->columns;
    if (pixels == 0) return;
    if (pixels * g->outputs * g->kernel_h * g->kernel_w * g->channels < kAlone) threads = 1;
    const int64_t panels = ceil_div(g->outputs, kLanes);
    const int64_t block = std::min<int64_t>(192, ceil_div(ceil_div(pixels, threads), kRows) * kRows);
    const int64_t pixel_tasks = ceil_div(pixels, block);
    // few pixels (a dense layer): divide the outputs too
    const int64_t chunks = std::min(panels, std::max<int64_t>(1, ceil_div(4 * threads, pixel_tasks)));
    const int64_t chunk = ceil_div(panels, pixel_tasks >= 4 * threads ? 1 : chunks);
    const int64_t panel_tasks = ceil_div(panels, chunk);
    parallel(pixel_tasks * panel_tasks, threads, [&](int64_t task) {
        const int64_t first = task / panel_tasks * block, panel = task % panel_tasks * chunk;
        weight_layer_block(*g, x, weights, bias, *end, out, first, std::min(block, pixels - first), panel,
                           std::min(panels, panel + chunk));
    });
}

void hwflow_winograd(const Geometry* g, const int16_t* x, const int16_t* weights, const int64_t* bias,
                     const Epilogue* end, void* out, int32_t threads) {
    const int64_t tiles = g->images * ceil_div(g->rows, 2) * ceil_div(g->columns, 2);
    if (tiles == 0) return;
    if (tiles * g->outputs * g->channels * 16 < kAlone) threads = 1;
    // transformed patches of a block within about 256 KiB, and enough blocks for all threads
    int64_t block = std::max<int64_t>(3, 8192 / g->channels / kRows) * kRows;
    block = std::min(block, ceil_div(ceil_div(tiles, threads), kRows) * kRows);
    parallel(ceil_div(tiles, block), threads, [&](int64_t task) {
        winograd_block(*g, x, weights, bias, *end, out, task * block, std::min(block, tiles - task * block));
    });
}

// Sum of two tensors; each is shifted left to the common fraction.
void hwflow_add(const int16_t* a, int64_t a_offset, int32_t a_left, const int16_t* b, int64_t b_offset,
                int32_t b_left, int64_t count, const Epilogue* end, void* out, int32_t threads) {
    constexpr int64_t block = 1 << 14;
    parallel(ceil_div(count, block), count > (1 << 17) ? threads : 1, [&](int64_t task) {
        const int64_t stop = std::min(count, (task + 1) * block);
        for (int64_t start = task * block; start < stop; start += 256) {
            const int64_t part = std::min<int64_t>(256, stop - start);
            if (end->path == kInt32) {
                int32_t sums[256];
                const int32_t a32 = int32_t(a_offset), b32 = int32_t(b_offset);
                for (int64_t i = 0; i < part; ++i) {
                    sums[i] = (a[start + i] + a32) * (1 << a_left) + (b[start + i] + b32) * (1 << b_left);
                }
                finish(*end, sums, part, 0, out, start);
            } else {
                int64_t sums[256];
                for (int64_t i = 0; i < part; ++i) {
                    sums[i] = (a[start + i] + a_offset) * (int64_t(1) << a_left) +
                              (b[start + i] + b_offset) * (int64_t(1) << b_left);
                }
                finish(*end, sums, part, 0, out, start);
            }
        }
    });
}

// An epilogue alone; x is int16 (code - offset) or, if `x_wide`, int64 codes. `vectors` of `channels` each.
void hwflow_map(const void* x, int32_t x_wide, int64_t x_offset, int64_t vectors, int64_t channels,
                const Epilogue* end, void* out, int32_t threads) {
    const int64_t block = std::max<int64_t>(1, (1 << 14) / channels);
    parallel(ceil_div(vectors, block), vectors * channels > (1 << 17) ? threads : 1, [&](int64_t task) {
        const int64_t stop = std::min(vectors, (task + 1) * block);
        for (int64_t vector = task * block; vector < stop; ++vector) {
            for (int64_t channel = 0; channel < channels; channel += 256) {
                const int64_t part = std::min<int64_t>(256, channels - channel);
                const int64_t start = vector * channels + channel;
                int64_t values[256];
                if (x_wide) {
                    std::copy_n(static_cast<const int64_t*>(x) + start, part, values);
                } else {
                    const int16_t* from = static_cast<const int16_t*>(x) + start;
                    for (int64_t i = 0; i < part; ++i) values[i] = from[i] + x_offset;
                }
                finish(*end, values, part, channel, out, start);
            }
        }
    });
}

// Maxima of stored codes: the offset does not change their order. Padding never wins.
void hwflow_max_pool(const Geometry* g, const int16_t* x, int16_t* out, int32_t threads) {
    const int64_t channels = g->channels;
    parallel(g->images * g->rows, g->images * g->rows * g->columns * channels > (1 << 15) ? threads : 1, [&](int64_t task) {
        const int64_t image = task / g->rows, top = task % g->rows * g->stride_h - g->pad_top;
        for (int64_t column = 0; column < g->columns; ++column) {
            int16_t* __restrict to = out + (task * g->columns + column) * channels;
            const int64_t left = column * g->stride_w - g->pad_left;
            bool first = true;
            for (int64_t h = std::max<int64_t>(top, 0); h < std::min(g->height, top + g->kernel_h); ++h) {
                for (int64_t w = std::max<int64_t>(left, 0); w < std::min(g->width, left + g->kernel_w); ++w) {
                    const int16_t* __restrict from = x + ((image * g->height + h) * g->width + w) * channels;
                    if (first) std::copy_n(from, channels, to);
                    else for (int64_t c = 0; c < channels; ++c) to[c] = std::max(to[c], from[c]);
                    first = false;
                }
            }
        }
    });
}

// Means over windows, whose padding counts as code 0: sum << left, divided toward zero, then the epilogue.
void hwflow_average_pool(const Geometry* g, const int16_t* x, int64_t x_offset, int32_t left, const Epilogue* end,
                         void* out, int32_t threads) {
    const int64_t channels = g->channels, positions = g->kernel_h * g->kernel_w;
    const int64_t work = g->images * g->rows * g->columns * positions * channels;
    parallel(g->images * g->rows, work > (1 << 17) ? threads : 1, [&](int64_t task) {
        const int64_t image = task / g->rows, top = task % g->rows * g->stride_h - g->pad_top;
        std::vector<int64_t> sums(channels);
        for (int64_t column = 0; column < g->columns; ++column) {
            const int64_t begin = column * g->stride_w - g->pad_left;
            std::fill(sums.begin(), sums.end(), 0);
            for (int64_t h = std::max<int64_t>(top, 0); h < std::min(g->height, top + g->kernel_h); ++h) {
                for (int64_t w = std::max<int64_t>(begin, 0); w < std::min(g->width, begin + g->kernel_w); ++w) {
                    const int16_t* from = x + ((image * g->height + h) * g->width + w) * channels;
                    for (int64_t c = 0; c < channels; ++c) sums[c] += from[c] + x_offset;
                }
            }
            for (auto& sum : sums) sum = sum * (int64_t(1) << left) / positions;
            finish(*end, sums.data(), channels, 0, out, (task * g->columns + column) * channels);
        }
    });
}

// weight[channel] * x + bias[channel], through the epilogue.
void hwflow_affine(const int16_t* x, int64_t x_offset, const int64_t* weights, const int64_t* bias, int64_t vectors,
                   int64_t channels, const Epilogue* end, void* out, int32_t threads) {
    const int64_t block = std::max<int64_t>(1, (1 << 14) / channels);
    const std::vector<int32_t> weights32(weights, weights + channels), bias32(bias, bias + channels);
    parallel(ceil_div(vectors, block), vectors * channels > (1 << 17) ? threads : 1, [&](int64_t task) {
        const int64_t stop = std::min(vectors, (task + 1) * block);
        for (int64_t vector = task * block; vector < stop; ++vector) {
            for (int64_t channel = 0; channel < channels; channel += 256) {
                const int64_t part = std::min<int64_t>(256, channels - channel);
                const int64_t start = vector * channels + channel;
                const int16_t* from = x + start;
                if (end->path == kInt32) {
                    int32_t sums[256];
                    const int32_t *w = weights32.data() + channel, *b = bias32.data() + channel;
                    const int32_t offset = int32_t(x_offset);
                    for (int64_t i = 0; i < part; ++i) sums[i] = (from[i] + offset) * w[i] + b[i];
                    finish(*end, sums, part, channel, out, start);
                } else {
                    int64_t sums[256];
                    const int64_t *w = weights + channel, *b = bias + channel;
                    for (int64_t i = 0; i < part; ++i) sums[i] = (from[i] + x_offset) * w[i] + b[i];
                    finish(*end, sums, part, channel, out, start);
                }
            }
        }
    });
}

}  // extern "C"
