// Where the inputs of output pixels lie: the rows of their windows.
#pragma once

#include "interface.h"
#include "tiles.h"

namespace {

// How the products of one output are laid out: the rows of the window as they lie in memory, or, where they do not fill
// whole units, or hardly one, as one gathered patch.
template <typename In>
struct Depth {
    static constexpr int64_t kUnit = 4 / sizeof(In);
    bool gather;
    int64_t taps, channels;  // rows of the window, and elements of one

    explicit Depth(const Geometry& g) {
        const int64_t row = g.kernel_w * g.channels;
        gather = row % kUnit != 0 || (row < 4 * kUnit && g.kernel_h > 1);
        taps = gather ? 1 : g.kernel_h;
        channels = gather ? ceil_div(g.kernel_h * row, kUnit) * kUnit : row;
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

    const In* pixel(int64_t image, int64_t h, int64_t w) const {
        return x + ((image * g.height + h) * g.width + w) * g.channels;
    }

    // Elements of a row of a window.
    int64_t row() const { return g.kernel_w * g.channels; }

    // A row of a window that reaches into the padding, or beyond, with what lies there.
    void copy_row(int64_t image, int64_t h, int64_t left, In* to) const {
        const In pad = In(g.pad_value);
        if (h < 0 || h >= g.height) {
            std::fill(to, to + row(), pad);
            return;
        }
        const int64_t begin = std::min(std::max<int64_t>(-left, 0), g.kernel_w);
        const int64_t end = std::max(std::min(g.width - left, g.kernel_w), begin);
        std::fill(to, to + begin * g.channels, pad);
        std::fill(to + end * g.channels, to + row(), pad);
        const In* line = pixel(image, h, left + begin);
        std::copy(line, line + (end - begin) * g.channels, to + begin * g.channels);
    }

    // The most elements of rows that reach into the padding beside the image, of `count` consecutive windows.
    int64_t border_elements(int64_t count) const {
        const int64_t first = std::min(ceil_div(g.pad_left, g.stride_w), g.columns);
        const int64_t room = g.width + g.pad_left - g.kernel_w;
        const int64_t last = room < 0 ? 0 : std::min(room / g.stride_w + 1, g.columns);
        const int64_t columns = g.columns - std::max<int64_t>(last - first, 0);
        return std::min(count, columns * (ceil_div(count, g.columns) + 1)) * g.kernel_h * row();
    }

    // Pointers to the rows of the windows; `stride` separates those of a window. A row in the padding is `padding`; one that
    // reaches into it is copied to `borders`.
    void pointers(int64_t first, int64_t count, int64_t stride, const In* padding, In* borders, const In** out) const {
        each(first, count, [&](int64_t i, int64_t image, int64_t top, int64_t left) {
            const In** to = out + i;
            const bool whole = left >= 0 && left + g.kernel_w <= g.width;
            for (int64_t h = top; h < top + g.kernel_h; ++h, to += stride) {
                if (h < 0 || h >= g.height) {
                    *to = padding;
                } else if (whole) {
                    *to = pixel(image, h, left);
                } else {
                    copy_row(image, h, left, borders);
                    *to = borders;
                    borders += row();
                }
            }
        });
    }

    // Rows of all taps, `stride` elements apart, in a buffer with kSlack bytes to spare. What lies beyond the
    // taps of a row is of no account: it meets weights 0.
    static constexpr int64_t kSlack = 32;
    void patches(int64_t first, int64_t count, int64_t stride, In* out) const {
        const In* last = x + g.images * g.height * g.width * g.channels;
        const int64_t pitch = g.width * g.channels, bytes = row() * int64_t(sizeof(In));
        const int64_t read = ceil_div(bytes, kSlack) * kSlack / int64_t(sizeof(In));
        each(first, count, [&](int64_t i, int64_t image, int64_t top, int64_t left) {
            In* to = out + i * stride;
            const bool inside = top >= 0 && left >= 0 && top + g.kernel_h <= g.height && left + g.kernel_w <= g.width;
            const In* from = pixel(image, top, left);
            if (!inside || last - from < (g.kernel_h - 1) * pitch + read) {
                for (int64_t kh = 0; kh < g.kernel_h; ++kh, to += row()) copy_row(image, top + kh, left, to);
                return;
            }
            // whole vectors: what they write beyond a row, the next row or patch writes again
            for (int64_t kh = 0; kh < g.kernel_h; ++kh, to += row(), from += pitch) {
                for (int64_t at = 0; at < bytes; at += kSlack) {
                    std::memcpy(reinterpret_cast<char*>(to) + at, reinterpret_cast<const char*>(from) + at, kSlack);
                }
            }
        });
    }
};

}  // namespace
