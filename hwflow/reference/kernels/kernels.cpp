// Exact integer kernels of the reference executor, one image batch a call.
//
// Activations are channels last, stored as code - offset: int16, the offset being 32768 for unsigned 16-bit types
// and 0 for others; or, on machines that multiply bytes (vectors.h), uint8 for types of up to 8 bits, the offset
// being -128 for signed ones. Weights are int16, or int8 for uint8 inputs. Sums are taken in int32.
// The caller proves every bound; see engine_layers.py for the proofs and for the meaning of the arguments.
//
// Compiled with the flags of one machine class; nothing here depends on the number of threads, because
// each output element is computed by one thread in one order.

#include "depthwise.h"
#include "winograd.h"

namespace {

constexpr int64_t kAlone = 1 << 20;  // products that one thread does sooner than others start

// Calls `function` with a tensor as what it is: int16 or uint8 elements.
template <typename Function>
void with_narrow(int32_t kind, const void* x, const Function& function) {
    if (kind == kByte) function(static_cast<const uint8_t*>(x));
    else function(static_cast<const int16_t*>(x));
}

// The same, int64 elements too.
template <typename Function>
void with_kind(int32_t kind, const void* x, const Function& function) {
    if (kind == kInt64) function(static_cast<const int64_t*>(x));
    else with_narrow(kind, x, function);
}

// Elementwise maxima. A function of its own: in a larger one the compiler takes bytes to alias everything, and goes one by one.
template <typename In>
void raise_to(In* __restrict to, const In* __restrict from, int64_t count) {
    for (int64_t i = 0; i < count; ++i) to[i] = std::max(to[i], from[i]);
}

// sums[i] += from[i] + offset.
template <typename Sum, typename In>
void add_to(Sum* __restrict sums, const In* __restrict from, int64_t count, Sum offset) {
    for (int64_t i = 0; i < count; ++i) sums[i] += from[i] + offset;
}

// sums[i] << left divided toward zero.
void divide(int64_t* sums, int64_t count, int left, int64_t divisor) {
    for (int64_t i = 0; i < count; ++i) sums[i] = sums[i] * (int64_t(1) << left) / divisor;
}

// The same of int32, which float64 divides exactly: a quotient below 2^31 that is no integer is further from the next one than
// the rounding error.
void divide(int32_t* sums, int64_t count, int left, int64_t divisor) {
    const double by = double(divisor);
    for (int64_t i = 0; i < count; ++i) sums[i] = int32_t(double(sums[i] * (int32_t(1) << left)) / by);
}

}  // namespace

extern "C" {

// Whether tensors of up to 8 bits are stored as uint8.
int32_t hwflow_bytes() {
#if defined(HWFLOW_BYTES)
    return 1;
#else
    return 0;
#endif
}

// Panels of weights that a tile reads together.
int32_t hwflow_panels() { return kPanels; }

// Blocks of products that a layer of this geometry is summed in: each adds block_start once.
int64_t hwflow_k_blocks(const Geometry* g) {
    return int64_t((g->kind == kByte ? Depth<uint8_t>(*g).blocks(g->k_block) : Depth<int16_t>(*g).blocks(g->k_block)).size());
}

void hwflow_weight_layer(const Geometry* g, const void* x, const void* weights, const int64_t* bias,
                         const Epilogue* end, void* out, int32_t threads) {
    const int64_t pixels = g->images * g->rows * g->columns;
    if (pixels == 0) return;
    if (pixels * g->outputs * g->kernel_h * g->kernel_w * g->channels < kAlone) threads = 1;
    const Layer layer(*g, weights, bias, *end, out);
#if defined(HWFLOW_BYTES)
    if (g->kind == kByte) return weight_layer(layer, static_cast<const uint8_t*>(x), threads);
#endif
    weight_layer(layer, static_cast<const int16_t*>(x), threads);
}

void hwflow_winograd(const Geometry* g, const int16_t* x, const int16_t* weights, const int64_t* bias,
                     const Epilogue* end, void* out, int32_t threads) {
    const int64_t tiles = g->images * ceil_div(g->rows, 2) * ceil_div(g->columns, 2);
    if (tiles == 0) return;
    if (tiles * g->outputs * g->channels * 16 < kAlone) threads = 1;
    const Layer layer(*g, weights, bias, *end, out);
    // transformed patches of a block within about 256 KiB, and enough blocks for all threads
    int64_t block = ceil_div(std::max<int64_t>(18, 8192 / g->channels), kRows) * kRows;
    block = std::min(block, ceil_div(ceil_div(tiles, threads), kRows) * kRows);
    parallel(ceil_div(tiles, block), threads, [&](int64_t task) {
        winograd_block(layer, x, task * block, std::min(block, tiles - task * block));
    });
}

// Codes as a tensor: code - offset as `kind`. 0 if one lies outside [low, high].
int32_t hwflow_store(const int64_t* codes, int64_t count, int64_t low, int64_t high, int64_t offset, int32_t kind,
                     void* out, int32_t threads) {
    constexpr int64_t block = 1 << 16;
    std::atomic<int32_t> good{1};
    parallel(ceil_div(count, block), threads, [&](int64_t task) {
        const int64_t start = task * block, part = std::min(block, count - start);
        const int64_t* from = codes + start;
        bool outside = false;
        for (int64_t i = 0; i < part; ++i) outside |= (from[i] < low) | (from[i] > high);
        if (outside) good = 0;
        if (kind == kByte) {
            uint8_t* to = static_cast<uint8_t*>(out) + start;
            for (int64_t i = 0; i < part; ++i) to[i] = uint8_t(from[i] - offset);
        } else {
            int16_t* to = static_cast<int16_t*>(out) + start;
            for (int64_t i = 0; i < part; ++i) to[i] = int16_t(from[i] - offset);
        }
    });
    return good;
}

// Sum of two tensors (int16 or uint8); each is shifted left to the common fraction.
void hwflow_add(const void* a, int32_t a_kind, int64_t a_offset, int32_t a_left, const void* b, int32_t b_kind,
                int64_t b_offset, int32_t b_left, int64_t count, const Epilogue* end, void* out, int32_t threads) {
    constexpr int64_t block = 1 << 14;
    const auto run = [&](auto from_a, auto from_b, auto zero) {
        using Sum = decltype(zero);
        const Sum a_off = Sum(a_offset), b_off = Sum(b_offset), a_times = Sum(1) << a_left, b_times = Sum(1) << b_left;
        parallel(ceil_div(count, block), count > (1 << 17) ? threads : 1, [&](int64_t task) {
            const int64_t begin = task * block, stop = std::min(count, begin + block);
            const auto *a_at = from_a + begin, *b_at = from_b + begin;
            const auto sum = [=](int64_t i) { return (a_at[i] + a_off) * a_times + (b_at[i] + b_off) * b_times; };
            if (put_if_constant(*end, stop - begin, out, begin, sum)) return;
            for (int64_t start = begin; start < stop; start += 256) {
                const int64_t part = std::min<int64_t>(256, stop - start);
                Sum sums[256];
                for (int64_t i = 0; i < part; ++i) sums[i] = sum(start - begin + i);
                finish(*end, sums, part, 0, out, start);
            }
        });
    };
    with_narrow(a_kind, a, [&](auto from_a) {
        with_narrow(b_kind, b, [&](auto from_b) {
            if (end->path == kInt32) run(from_a, from_b, int32_t(0));
            else run(from_a, from_b, int64_t(0));
        });
    });
}

// An epilogue alone, over any kind of elements. `vectors` of `channels` each.
void hwflow_map(const void* x, int32_t kind, int64_t x_offset, int64_t vectors, int64_t channels,
                const Epilogue* end, void* out, int32_t threads) {
    const int64_t block = std::max<int64_t>(1, (1 << 14) / channels);
    with_kind(kind, x, [&](auto from) {
        parallel(ceil_div(vectors, block), vectors * channels > (1 << 17) ? threads : 1, [&](int64_t task) {
            const int64_t stop = std::min(vectors, (task + 1) * block), first = task * block * channels;
            const auto* at = from + first;
            const auto value = [=](int64_t i) { return int32_t(at[i] + x_offset); };
            if (put_if_constant(*end, stop * channels - first, out, first, value)) return;
            for (int64_t vector = task * block; vector < stop; ++vector) {
                for (int64_t channel = 0; channel < channels; channel += 256) {
                    const int64_t part = std::min<int64_t>(256, channels - channel);
                    const int64_t start = vector * channels + channel;
                    int64_t values[256];
                    for (int64_t i = 0; i < part; ++i) values[i] = from[start + i] + x_offset;
                    finish(*end, values, part, channel, out, start);
                }
            }
        });
    });
}

// Channels of two tensors one after the other, as they are stored: so many bytes of each for a vector.
void hwflow_concatenate(const char* a, int64_t a_bytes, const char* b, int64_t b_bytes, int64_t vectors, char* out,
                        int32_t threads) {
    const int64_t width = a_bytes + b_bytes, block = std::max<int64_t>(1, (1 << 16) / width);
    parallel(ceil_div(vectors, block), vectors * width > (1 << 18) ? threads : 1, [&](int64_t task) {
        for (int64_t i = task * block; i < std::min(vectors, (task + 1) * block); ++i) {
            std::memcpy(out + i * width, a + i * a_bytes, a_bytes);
            std::memcpy(out + i * width + a_bytes, b + i * b_bytes, b_bytes);
        }
    });
}

// Maxima of stored codes: the offset does not change their order. Padding never wins.
void hwflow_max_pool(const Geometry* g, const void* x, void* out, int32_t threads) {
    const int64_t channels = g->channels;
    with_narrow(int32_t(g->kind), x, [&](auto codes) {
        using In = std::remove_const_t<std::remove_pointer_t<decltype(codes)>>;
        const bool alone = g->images * g->rows * g->columns * channels <= (1 << 15);
        parallel(g->images * g->rows, alone ? 1 : threads, [&](int64_t task) {
            const int64_t image = task / g->rows, top = task % g->rows * g->stride_h - g->pad_top;
            for (int64_t column = 0; column < g->columns; ++column) {
                In* to = static_cast<In*>(out) + (task * g->columns + column) * channels;
                const int64_t left = column * g->stride_w - g->pad_left;
                bool first = true;
                for (int64_t h = std::max<int64_t>(top, 0); h < std::min(g->height, top + g->kernel_h); ++h) {
                    for (int64_t w = std::max<int64_t>(left, 0); w < std::min(g->width, left + g->kernel_w); ++w) {
                        const In* from = codes + ((image * g->height + h) * g->width + w) * channels;
                        if (first) std::copy_n(from, channels, to);
                        else raise_to(to, from, channels);
                        first = false;
                    }
                }
            }
        });
    });
}

// Means over windows: sum << left, divided toward zero, then the epilogue. Padding counts as code 0, or with `inside` not.
void hwflow_average_pool(const Geometry* g, const void* x, int64_t x_offset, int32_t left, int32_t inside,
                         const Epilogue* end, void* out, int32_t threads) {
    const int64_t channels = g->channels, positions = g->kernel_h * g->kernel_w;
    const int64_t work = g->images * g->rows * g->columns * positions * channels;
    const auto run = [&](auto codes, auto zero) {
        using Sum = decltype(zero);
        parallel(g->images * g->rows, work > (1 << 17) ? threads : 1, [&](int64_t task) {
            const int64_t image = task / g->rows, top = task % g->rows * g->stride_h - g->pad_top;
            std::vector<Sum> sums(channels);
            for (int64_t column = 0; column < g->columns; ++column) {
                const int64_t begin = column * g->stride_w - g->pad_left;
                std::fill(sums.begin(), sums.end(), Sum(0));
                const int64_t first_h = std::max<int64_t>(top, 0), end_h = std::min(g->height, top + g->kernel_h);
                const int64_t first_w = std::max<int64_t>(begin, 0), end_w = std::min(g->width, begin + g->kernel_w);
                const int64_t count = inside ? (end_h - first_h) * (end_w - first_w) : positions;
                for (int64_t h = first_h; h < end_h; ++h) {
                    for (int64_t w = first_w; w < end_w; ++w) {
                        add_to(sums.data(), codes + ((image * g->height + h) * g->width + w) * channels, channels, Sum(x_offset));
                    }
                }
                divide(sums.data(), channels, left, count);
                finish(*end, sums.data(), channels, 0, out, (task * g->columns + column) * channels);
            }
        });
    };
    // codes with their offset have at most 16 bits
    const bool small = left < 15 && (positions << (16 + left)) < int64_t(1) << 31;
    with_narrow(int32_t(g->kind), x, [&](auto codes) {
        if (small) run(codes, int32_t(0));
        else run(codes, int64_t(0));
    });
}

// Sums of products of every channel by itself, plus bias[output], through the epilogue. weights are [kernel_h * kernel_w]
// [outputs]; output o reads channel o / (outputs / channels). What padding adds is 0, whatever the weights are.
void hwflow_depthwise(const Geometry* g, const void* x, int64_t x_offset, const int64_t* weights, const int64_t* bias,
                      const Epilogue* end, void* out, int32_t threads) {
    if (g->images * g->rows * g->kernel_h * g->kernel_w * g->columns * g->outputs <= (1 << 17)) threads = 1;
    with_narrow(int32_t(g->kind), x, [&](auto codes) {
        if (g->wide != 0) depthwise_wide(*g, codes, x_offset, weights, bias, *end, out, threads);
        else depthwise(*g, codes, x_offset, weights, bias, *end, out, threads);
    });
}

// weight[channel] * x + bias[channel], through the epilogue. On the int32 path whole pixels are taken together.
void hwflow_affine(const void* x, int32_t kind, int64_t x_offset, const int64_t* weights, const int64_t* bias,
                   int64_t vectors, int64_t channels, const Epilogue* end, void* out, int32_t threads) {
    const int64_t block = std::max<int64_t>(1, (1 << 14) / channels);
    const auto run = [&](auto from, auto zero, int64_t together) {
        using Sum = decltype(zero);
        std::vector<Sum> w, b;
        for (int64_t i = 0; i < together * channels; ++i) {
            w.push_back(Sum(weights[i % channels]));
            b.push_back(Sum(bias[i % channels]));
        }
        const Sum offset = Sum(x_offset);
        parallel(ceil_div(vectors, block), vectors * channels > (1 << 17) ? threads : 1, [&](int64_t task) {
            const int64_t stop = std::min(vectors, (task + 1) * block) * channels, width = together * channels;
            for (int64_t start = task * block * channels; start < stop; start += width) {
                const int64_t count = std::min(width, stop - start);
                const auto* at = from + start;
                const Sum *w_at = w.data(), *b_at = b.data();
                const auto sum = [=](int64_t i) { return (at[i] + offset) * w_at[i] + b_at[i]; };
                if (put_if_constant(*end, count, out, start, sum)) continue;
                for (int64_t channel = 0; channel < count; channel += 256) {
                    const int64_t part = std::min<int64_t>(256, count - channel);
                    Sum sums[256];
                    for (int64_t i = 0; i < part; ++i) sums[i] = sum(channel + i);
                    finish(*end, sums, part, channel, out, start + channel);
                }
            }
        });
    };
    with_narrow(kind, x, [&](auto from) {
        if (end->path == kInt32) run(from, int32_t(0), ceil_div(256, channels));
        else run(from, int64_t(0), 1);
    });
}

}  // extern "C"
