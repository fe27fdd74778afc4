// Register tiles of products: some output pixels by some panels of output channels.
#pragma once

#include <vector>

#include "vectors.h"

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

// put.row<Panels>(row, sums) for each row, with sums[panel][lane] = start[panel][lane] + sum over segments of x[row] .
// w[panel][lane], modulo 2^32. `rows` holds, for each tap, the first of Rows consecutive pointers to channels; `stride`
// separates taps. The weights of a panel lie `panel_bytes` apart from those of the one before.
template <typename In, int Rows, int Panels, typename Put>
void multiply_tile(const In* const* rows, int64_t stride, const Block& block, const char* weights,
                   int64_t panel_bytes, const int32_t* start, const Put& put) {
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
    for (int r = 0; r < Rows; ++r) put.template row<Panels>(r, acc[r]);
}

// The same for kRows or kTail rows and one or kPanels panels.
template <typename In, typename Put>
void multiply(int rows, int panels, const In* const* x, int64_t stride, const Block& block, const char* weights,
              int64_t panel_bytes, const int32_t* start, const Put& put) {
    const auto run = [&](auto tile) { tile(x, stride, block, weights, panel_bytes, start, put); };
    if (rows == kRows) run(panels == kPanels ? multiply_tile<In, kRows, kPanels, Put> : multiply_tile<In, kRows, 1, Put>);
    else run(panels == kPanels ? multiply_tile<In, kTail, kPanels, Put> : multiply_tile<In, kTail, 1, Put>);
}

}  // namespace
