// Matrix products: dense layers and convolutions, tile by tile.
#pragma once

#include "epilogue.h"

namespace {

// Consecutive channels of one tap of the window.
struct Segment {
    int64_t tap;
    int64_t offset;  // bytes
    int64_t units;   // of four bytes
};

using Block = std::vector<Segment>;

constexpr int kUnitBytes = kLanes * 4;  // weights of one unit, for a panel

template <typename In>
inline Vector dot(Vector sum, Unit x, Vector w) {
    if constexpr (sizeof(In) == 2) {
        return dot_words(sum, x, w);
    } else {
#if defined(HWFLOW_BYTES)
        return dot_bytes(sum, x, w);
#else
        static_assert(sizeof(In) == 2, "this class of machines has no exact products of bytes");
#endif
    }
}

// sums[row][panel][lane] = start[panel][lane] + sum over segments of x[row] . w[panel][lane], modulo 2^32.
// `rows` holds, for each tap, the first of Rows consecutive pointers to channels; `stride` separates taps.
// The weights of a panel lie `panel_bytes` apart from those of the one before.
template <typename In, int Rows, int Panels>
void multiply_tile(const In* const* rows, int64_t stride, const Block& block, const char* weights,
                   int64_t panel_bytes, const int32_t* start, int32_t* sums) {
    constexpr int parts = Panels * kParts;
    Vector acc[Rows][parts];
#pragma GCC unroll 16
    for (int p = 0; p < parts; ++p) {
        const Vector first = load(start + p * kVector);
#pragma GCC unroll 16
        for (int r = 0; r < Rows; ++r) acc[r][p] = first;
    }
    for (const Segment& segment : block) {
        const In* const* at = rows + segment.tap * stride;
        // Pointers beyond the registers' number stay in memory. Each is loaded by itself: a vector of them would have to be
        // taken apart again, by instructions that compete with the products.
        constexpr int near = Rows < 9 ? Rows : 9;
        const char *x[near], *far[Rows - near + 1];
#pragma GCC unroll 16
        for (int r = 0; r < near; ++r) {
            x[r] = reinterpret_cast<const char*>(at[r]) + segment.offset;
            asm("" : "+r"(x[r]));
        }
#pragma GCC unroll 16
        for (int r = near; r < Rows; ++r) far[r - near] = reinterpret_cast<const char*>(at[r]) + segment.offset;
        const int64_t units = segment.units;
        for (int64_t j = 0; j < units; ++j) {
            Vector w[parts];
#pragma GCC unroll 16
            for (int p = 0; p < parts; ++p) {
                w[p] = load(weights + p / kParts * panel_bytes + p % kParts * (kVector * 4));
            }
#pragma GCC unroll 16
            for (int r = 0; r < Rows; ++r) {
                if (r >= near) asm("" : "+m"(far[r - near]));
                const Unit input = unit((r < near ? x[r] : far[r - near]) + 4 * j);
#pragma GCC unroll 16
                for (int p = 0; p < parts; ++p) acc[r][p] = dot<In>(acc[r][p], input, w[p]);
            }
            weights += kUnitBytes;
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 16
        for (int p = 0; p < parts; ++p) store(sums + (r * parts + p) * kVector, acc[r][p]);
    }
}

// The same for kRows or kTail rows and one or kPanels panels.
template <typename In>
void multiply(int rows, int panels, const In* const* x, int64_t stride, const Block& block, const char* weights,
              int64_t panel_bytes, const int32_t* start, int32_t* sums) {
    const auto run = [&](auto tile) { tile(x, stride, block, weights, panel_bytes, start, sums); };
    if (rows == kRows) run(panels == kPanels ? multiply_tile<In, kRows, kPanels> : multiply_tile<In, kRows, 1>);
    else run(panels == kPanels ? multiply_tile<In, kTail, kPanels> : multiply_tile<In, kTail, 1>);
}

// How the products of one output are laid out: the taps of the window as they lie in memory, or, where their
// channels do not fill whole units, or hardly one, as one gathered patch.
template <typename In>
struct Depth {
    static constexpr int64_t kUnit = 4 / sizeof(In);
    bool gather;
    int64_t taps, channels;

    explicit Depth(const Geometry& g) {
        const int64_t kernel = g.kernel_h * g.kernel_w;
        gather = g.channels % kUnit != 0 || (g.channels < 4 * kUnit && kernel > 1);
        taps = gather ? 1 : kernel;
        channels = gather ? ceil_div(kernel * g.channels, kUnit) * kUnit : g.channels;
    }

    int64_t units() const { return taps * channels / kUnit; }

    // Blocks of at most `limit` products, of about the same size.
    std::vector<Block> blocks(int64_t limit) const {
        const int64_t total = taps * channels, count = ceil_div(total, limit);
        const int64_t size = std::min(limit, ceil_div(ceil_div(total, count), kUnit) * kUnit);
        std::vector<Block> blocks;
        int64_t room = 0;
        for (int64_t tap = 0; tap < taps; ++tap) {
            for (int64_t channel = 0; channel < channels;) {
                if (room == 0) {
                    blocks.emplace_back();
                    room = size;
                }
                const int64_t part = std::min(room, channels - channel);
                blocks.back().push_back({tap, channel * int64_t(sizeof(In)), part / kUnit});
                channel += part;
                room -= part;
            }
        }
        return blocks;
    }
};

// Where the input pixels of output pixels lie.
template <typename In>
struct Pixels {
    const Geometry& g;
    const In* x;

    template <typename Put>
    void each(int64_t first, int64_t count, const Put& put) const {
        int64_t image = first / (g.rows * g.columns), at = first % (g.rows * g.columns);
        int64_t row = at / g.columns, column = at % g.columns;
        for (int64_t i = 0; i < count; ++i) {
            put(i, image, row * g.stride_h - g.pad_top, column * g.stride_w - g.pad_left);
            if (++column < g.columns) continue;
            column = 0;
            if (++row < g.rows) continue;
            row = 0;
            ++image;
        }
    }

    bool inside(int64_t top, int64_t left) const {
        return top >= 0 && left >= 0 && top + g.kernel_h <= g.height && left + g.kernel_w <= g.width;
    }

    const In* pixel(int64_t image, int64_t h, int64_t w) const {
        return x + ((image * g.height + h) * g.width + w) * g.channels;
    }

    // A pixel in the padding points at `padding`.
    void pointers(int64_t first, int64_t count, int64_t stride, const In* padding, const In** out) const {
        each(first, count, [&](int64_t i, int64_t image, int64_t top, int64_t left) {
            const In** to = out + i;
            const In* from = pixel(image, top, left);
            const bool whole = inside(top, left);
            for (int64_t kh = 0; kh < g.kernel_h; ++kh, from += g.width * g.channels) {
                for (int64_t kw = 0; kw < g.kernel_w; ++kw, to += stride) {
                    const int64_t h = top + kh, w = left + kw;
                    const bool real = whole || (h >= 0 && h < g.height && w >= 0 && w < g.width);
                    *to = real ? from + kw * g.channels : padding;
                }
            }
        });
    }

    // Rows of all taps, `stride` elements apart, in a buffer with kSlack bytes to spare. What lies beyond the
    // taps of a row is of no account: it meets weights 0.
    static constexpr int64_t kSlack = 16;
    void patches(int64_t first, int64_t count, int64_t stride, In* out) const {
        const In pad = In(g.pad_value), *last = x + g.images * g.height * g.width * g.channels;
        const int64_t row = g.kernel_w * g.channels, pitch = g.width * g.channels;
        const int64_t bytes = row * int64_t(sizeof(In)), read = ceil_div(bytes, kSlack) * kSlack / int64_t(sizeof(In));
        each(first, count, [&](int64_t i, int64_t image, int64_t top, int64_t left) {
            In* to = out + i * stride;
            const In* from = pixel(image, top, left);
            if (inside(top, left) && last - from >= (g.kernel_h - 1) * pitch + read) {
                // whole vectors: what they write beyond a row, the next row or patch writes again
                for (int64_t kh = 0; kh < g.kernel_h; ++kh, to += row, from += pitch) {
                    for (int64_t at = 0; at < bytes; at += kSlack) {
                        std::memcpy(reinterpret_cast<char*>(to) + at, reinterpret_cast<const char*>(from) + at, kSlack);
                    }
                }
                return;
            }
            const int64_t begin = std::min(std::max<int64_t>(-left, 0), g.kernel_w);
            const int64_t end = std::max(std::min(g.width - left, g.kernel_w), begin);
            for (int64_t kh = 0; kh < g.kernel_h; ++kh, to += row) {
                const int64_t h = top + kh;
                if (h < 0 || h >= g.height) {
                    std::fill(to, to + row, pad);
                    continue;
                }
                std::fill(to, to + begin * g.channels, pad);
                std::fill(to + end * g.channels, to + row, pad);
                const In* line = pixel(image, h, left + begin);
                std::copy(line, line + (end - begin) * g.channels, to + begin * g.channels);
            }
        });
    }
};

template <typename In>
struct Scratch {
    std::vector<In> patches, padding;
    std::vector<const In*> pointers;
    std::vector<double> sums;
    std::vector<int32_t> sums32;
};

// Output pixels [first, first + count) of output panels [panel_first, panel_last).
template <typename In>
void weight_layer_block(const Layer& layer, const Depth<In>& depth, const std::vector<Block>& blocks, const In* x,
                        int64_t first, int64_t count, int64_t panel_first, int64_t panel_last) {
    thread_local Scratch<In> scratch;
    const Geometry& g = layer.g;
    const int64_t padded = ceil_div(count, kTail) * kTail;
    const Pixels<In> pixels{g, x};
    scratch.pointers.resize(depth.taps * padded);
    const In** rows = scratch.pointers.data();
    if (depth.gather) {
        scratch.patches.resize(count * depth.channels + Pixels<In>::kSlack);
        pixels.patches(first, count, depth.channels, scratch.patches.data());
        for (int64_t i = 0; i < count; ++i) rows[i] = scratch.patches.data() + i * depth.channels;
    } else {
        scratch.padding.assign(depth.channels, In(g.pad_value));
        pixels.pointers(first, count, padded, scratch.padding.data(), rows);
    }
    for (int64_t tap = 0; tap < depth.taps; ++tap) {
        std::fill(rows + tap * padded + count, rows + (tap + 1) * padded, rows[tap * padded + count - 1]);
    }
    const bool wide = g.wide != 0 && blocks.size() > 1;
    if (blocks.size() > 1) {
        const int64_t all = (panel_last - panel_first) * padded * kLanes;
        if (wide) scratch.sums.resize(all);
        else scratch.sums32.resize(all);
    }
    const int64_t panel_bytes = depth.units() * kUnitBytes;
    const char* weights = static_cast<const char*>(layer.weights);
    for (size_t b = 0; b < blocks.size(); ++b) {
        const bool last = b + 1 == blocks.size();
        for (int64_t panel = panel_first; panel < panel_last; panel += kPanels) {
            const int panels = int(std::min<int64_t>(kPanels, panel_last - panel));
            const int32_t* start = b == 0 ? layer.start.data() + panel * kLanes : layer.restart.data();
            for (int64_t row = 0, step; row < padded; row += step) {
                step = padded - row < kRows ? kTail : kRows;
                const int64_t size = step * panels * kLanes;
                const int64_t at = ((panel - panel_first) * padded + row * panels) * kLanes;
                alignas(64) int32_t sums[kRows * kPanels * kLanes];
                multiply(int(step), panels, rows + row, padded, blocks[b], weights + panel * panel_bytes, panel_bytes,
                         start, sums);
                double* total = wide ? scratch.sums.data() + at : nullptr;
                if (wide) {
                    if (b == 0) for (int64_t i = 0; i < size; ++i) total[i] = sums[i];
                    else for (int64_t i = 0; i < size; ++i) total[i] += sums[i];
                } else if (blocks.size() > 1) {
                    int32_t* total32 = scratch.sums32.data() + at;
                    if (b > 0) for (int64_t i = 0; i < size; ++i) sums[i] = int32_t(uint32_t(sums[i]) + uint32_t(total32[i]));
                    if (!last) std::copy(sums, sums + size, total32);
                }
                if (last) {
                    int64_t places[kRows];
                    for (int r = 0; r < step; ++r) places[r] = row + r < count ? first + row + r : -1;
                    finish_tile(layer, sums, total, places, int(step), panels, panel * kLanes);
                }
            }
        }
        for (const Segment& segment : blocks[b]) weights += segment.units * kUnitBytes;
    }
}

template <typename In>
void weight_layer(const Layer& layer, const In* x, int threads) {
    const Geometry& g = layer.g;
    const int64_t pixels = g.images * g.rows * g.columns, panels = ceil_div(g.outputs, kLanes);
    const Depth<In> depth(g);
    const auto blocks = depth.blocks(g.k_block);
    const int64_t block = std::min<int64_t>(192, ceil_div(ceil_div(pixels, threads), kRows) * kRows);
    const int64_t pixel_tasks = ceil_div(pixels, block);
    // few pixels (a dense layer): divide the outputs too
    const int64_t chunks = pixel_tasks >= 4 * threads ? 1 : std::min(panels, ceil_div(4 * threads, pixel_tasks));
    const int64_t chunk = ceil_div(ceil_div(panels, chunks), kPanels) * kPanels;
    const int64_t panel_tasks = ceil_div(panels, chunk);
    parallel(pixel_tasks * panel_tasks, threads, [&](int64_t task) {
        const int64_t first = task / panel_tasks * block, panel = task % panel_tasks * chunk;
        weight_layer_block(layer, depth, blocks, x, first, std::min(block, pixels - first), panel,
                           std::min(panels, panel + chunk));
    });
}

}  // namespace
