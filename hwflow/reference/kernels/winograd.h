// 3x3 convolutions of stride 1 by Winograd's F(2x2, 3x3): 16 products where 36 are needed, for 2x2 outputs.
// In integers: the filters come transformed with factors 2, so the sums are 4 times the result. They are
// computed modulo 2^32 throughout; only 4 times the result must fit int32, and transformed operands int16.
#pragma once

#include "products.h"

namespace {

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

// result[2][2][panel][lane] = start + A^T m A / 4 of 4x4 sums m[position][panel][lane], `stride` elements
// between positions, one panel's `width` between its pixels.
void winograd_output(const int32_t* __restrict m, int64_t stride, const int32_t* __restrict start, int64_t width,
                     int32_t* __restrict result) {
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
        int32_t *left = result + 2 * h * width, *right = left + width;
        for (int i = 0; i < kLanes; ++i) {
            const int32_t a = int32_t(rows[h][0][i] + rows[h][1][i] + rows[h][2][i]) >> 2;
            const int32_t b = int32_t(rows[h][1][i] - rows[h][2][i] - rows[h][3][i]) >> 2;
            left[i] = int32_t(uint32_t(a) + uint32_t(start[i]));
            right[i] = int32_t(uint32_t(b) + uint32_t(start[i]));
        }
    }
}

// Tiles [first, first + count) of all panels.
void winograd_block(const Layer& layer, const int16_t* x, int64_t first, int64_t count) {
    thread_local Scratch<int16_t> scratch;
    const Geometry& g = layer.g;
    const Pixels<int16_t> pixels{g, x};
    const int64_t panel_count = ceil_div(g.outputs, kLanes), padded = ceil_div(count, kTail) * kTail;
    const int64_t tile_rows = ceil_div(g.rows, 2), tile_columns = ceil_div(g.columns, 2);
    const int64_t stride = padded * g.channels, panel_bytes = g.channels / 2 * kUnitBytes;
    const std::vector<int32_t> zero(kPanels * kLanes);
    scratch.padding.assign(g.channels, int16_t(g.pad_value));
    scratch.patches.resize(16 * stride);
    scratch.sums32.resize(16 * padded * kPanels * kLanes);
    int32_t* sums = scratch.sums32.data();
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
            d[j] = inside ? pixels.pixel(image, h, w) : scratch.padding.data();
        }
        winograd_input(d, g.channels, stride, scratch.patches.data() + i * g.channels);
    }
    const Block all{{0, 0, g.channels / 2}};
    for (int64_t panel = 0; panel < panel_count; panel += kPanels) {
        const int panels = int(std::min<int64_t>(kPanels, panel_count - panel));
        const int64_t width = panels * kLanes;
        for (int position = 0; position < 16; ++position) {
            const char* w = static_cast<const char*>(layer.weights) + (position * panel_count + panel) * panel_bytes;
            for (int64_t i = 0, step; i < padded; i += step) {
                step = padded - i < kRows ? kTail : kRows;
                const int16_t* rows[kRows];
                for (int r = 0; r < step; ++r) {
                    rows[r] = scratch.patches.data() + position * stride + std::min(i + r, count - 1) * g.channels;
                }
                multiply(int(step), panels, rows, kRows, all, w, panel_bytes, zero.data(),
                         PutSums{sums + (position * padded + i) * width});
            }
        }
        for (int64_t i = 0; i < count; ++i) {
            place(first + i, image, row, column);
            alignas(64) int32_t result[4 * kPanels * kLanes];
            for (int64_t lane = 0; lane < width; lane += kLanes) {
                const int32_t* start = layer.start.data() + panel * kLanes + lane;
                winograd_output(sums + i * width + lane, padded * width, start, width, result + lane);
            }
            int64_t places[4];
            for (int j = 0; j < 4; ++j) {
                const int64_t h = row + j / 2, w = column + j % 2;
                places[j] = h < g.rows && w < g.columns ? (image * g.rows + h) * g.columns + w : -1;
            }
            finish_tile(layer, result, nullptr, places, 4, panels, panel * kLanes);
        }
    }
}

}  // namespace
