// Matrix products: dense layers and convolutions, tile by tile.
#pragma once

#include "epilogue.h"
#include "windows.h"

namespace {

template <typename In>
struct Scratch {
    std::vector<In> patches, padding, borders;
    std::vector<const In*> pointers;
    std::vector<double> sums;
    std::vector<int32_t> sums32;
};

// Pointers to the rows of the windows of output pixels [first, first + count); those of a window are `padded` apart, and the
// last pixel's stand for those up to `padded`.
template <typename In>
const In* const* window_rows(const Geometry& g, const Depth<In>& depth, const In* x, int64_t first, int64_t count,
                             int64_t padded, Scratch<In>& scratch) {
    const Pixels<In> pixels{g, x};
    scratch.pointers.resize(depth.taps * padded);
    const In** rows = scratch.pointers.data();
    if (depth.gather) {
        scratch.patches.resize(count * depth.channels + Pixels<In>::kSlack);
        pixels.patches(first, count, depth.channels, scratch.patches.data());
        for (int64_t i = 0; i < count; ++i) rows[i] = scratch.patches.data() + i * depth.channels;
    } else {
        scratch.padding.assign(depth.channels, In(g.pad_value));
        const int64_t borders = pixels.border_elements(count);
        if (borders > int64_t(scratch.borders.size())) scratch.borders.resize(borders);
        pixels.pointers(first, count, padded, scratch.padding.data(), scratch.borders.data(), rows);
    }
    for (int64_t tap = 0; tap < depth.taps; ++tap) {
        std::fill(rows + tap * padded + count, rows + (tap + 1) * padded, rows[tap * padded + count - 1]);
    }
    return rows;
}

// Output pixels [first, first + count) of output panels [panel_first, panel_last).
template <typename In>
void weight_layer_block(const Layer& layer, const Depth<In>& depth, const std::vector<Block>& blocks, const In* x,
                        int64_t first, int64_t count, int64_t panel_first, int64_t panel_last) {
    thread_local Scratch<In> scratch;
    const Geometry& g = layer.g;
    const int64_t padded = ceil_div(count, kTail) * kTail;
    const In* const* rows = window_rows(g, depth, x, first, count, padded, scratch);
    const int64_t all = (panel_last - panel_first) * padded * kLanes;
    const bool split = g.split != 0, wide = blocks.size() > 1 && !split, direct = kIntrinsics && blocks.size() == 1 && layer.constant;
    if (split) scratch.sums32.resize(2 * all);
    if (wide) scratch.sums.resize(all);
    const int64_t panel_bytes = depth.units() * kUnitBytes;
    const char* weights = static_cast<const char*>(layer.weights);
    for (size_t b = 0; b < blocks.size(); ++b) {
        const bool last = b + 1 == blocks.size();
        for (int64_t panel = panel_first; panel < panel_last; panel += kPanels) {
            const int panels = int(std::min<int64_t>(kPanels, panel_last - panel));
            const int32_t* start = b == 0 ? layer.start.data() + panel * kLanes : layer.restart.data();
            for (int64_t row = 0, step; row < padded; row += step) {
                step = padded - row < kRows ? kTail : kRows;
                const int64_t at = ((panel - panel_first) * padded + row * panels) * kLanes;
                int64_t places[kRows];
                for (int r = 0; r < step; ++r) places[r] = row + r < count ? first + row + r : -1;
                const auto run = [&](const auto& put) {
                    multiply(int(step), panels, rows + row, padded, blocks[b], weights + panel * panel_bytes, panel_bytes,
                             start, put);
                };
                if constexpr (kIntrinsics) {  // in plain C++ it is no faster, and long to compile
                    if (direct) {
                        with_codes(layer, places, panel * kLanes, panels, layer.end.right, run);
                        continue;
                    }
                }
                const int64_t size = step * panels * kLanes;
                alignas(64) int32_t sums[kRows * kPanels * kLanes];
                run(PutSums{sums});
                if (split) {
                    finish_parts(layer, sums, scratch.sums32.data() + 2 * at, places, int(step), panels, panel * kLanes,
                                 b == 0, last);
                    continue;
                }
                double* total = wide ? scratch.sums.data() + at : nullptr;
                if (wide) {
                    if (b == 0) for (int64_t i = 0; i < size; ++i) total[i] = sums[i];
                    else for (int64_t i = 0; i < size; ++i) total[i] += sums[i];
                }
                if (last) finish_tile(layer, sums, total, places, int(step), panels, panel * kLanes);
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
    // few pixels and many outputs (a dense layer): each weight is read once, by the task of its panels
    const bool few = pixels <= 96 && panels >= 4 * threads * kPanels;
    const int64_t block = few ? pixels : std::min<int64_t>(144, ceil_div(ceil_div(pixels, threads), kRows) * kRows);
    const int64_t pixel_tasks = ceil_div(pixels, block);
    // not enough blocks of pixels: divide the outputs too
    const int64_t chunks = pixel_tasks >= 4 * threads ? 1 : std::min(panels, ceil_div(4 * threads, pixel_tasks));
    const int64_t chunk = few ? kPanels : ceil_div(ceil_div(panels, chunks), kPanels) * kPanels;
    const int64_t panel_tasks = ceil_div(panels, chunk);
    parallel(pixel_tasks * panel_tasks, threads, [&](int64_t task) {
        const int64_t first = task / panel_tasks * block, panel = task % panel_tasks * chunk;
        weight_layer_block(layer, depth, blocks, x, first, std::min(block, pixels - first), panel,
                           std::min(panels, panel + chunk));
    });
}

}  // namespace
