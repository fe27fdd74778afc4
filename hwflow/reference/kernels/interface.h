// What Python passes to the kernels; binding.py and epilogue.py hold the same structures.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "threads.h"

namespace {

enum Rounding { kTrn, kTrnZero, kRnd, kRndZero, kRndInf, kRndMinInf, kRndConv };
enum StageKind { kCast, kRelu, kMultiply, kClip };
enum Overflow { kFits, kWrap, kSaturate };
enum Path { kStages, kInt32, kDouble };
enum Kind { kInt16, kInt64, kByte };  // elements of a tensor: int16, int64, uint8

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
    int64_t kind;        // of the input; the weights of kByte are int8, else int16
    int64_t pad_value;   // the stored form of code 0
    int64_t k_block;     // products whose sum fits int32 after block_start is added
    int64_t block_start; // initial value of an int32 sum, taken off again through the bias
    int64_t wide;        // the sums of blocks together may exceed int32
    int64_t split;       // then they are kept in two int32, the last so many bits and the rest; 0: in float64
};

}  // extern "C"

namespace {

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace
