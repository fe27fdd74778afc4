// Depthwise convolutions: sums of products of every channel by itself.
#pragma once

#include "epilogue.h"

namespace {

// A layer whose sums fit int32. An output row is one run of `columns * outputs` elements after the other; the taps of
// the window are summed two at a time, kRun outputs at a time. Sums are taken modulo 2^32, so that the stored codes can be
// multiplied as they are and their offset goes into the start of the sums.
struct Depthwise {
    const Geometry& g;
    const Epilogue& end;
    int64_t taps, pairs, width;  // width: elements of an output row
    int64_t step;                // outputs of a full run: whole pixels, or kRun channels of one
    std::vector<int64_t> firsts;   // channels at which the runs of a pixel start; the last may overlap the one before
    std::vector<int16_t> weights;  // [run][pair][2 kRun], see vectors.h
    std::vector<int32_t> start;    // [run][lane]
    bool constant;                 // the int32 path with a rounding constant, which `start` has

    Depthwise(const Geometry& g, int64_t x_offset, const int64_t* codes, const int64_t* bias, const Epilogue& end)
        : g(g), end(end), taps(g.kernel_h * g.kernel_w), pairs(ceil_div(taps, 2)), width(g.columns * g.outputs) {
        const int32_t added = end.path == kInt32 ? rounding_constant(end) : -1;
        constant = added >= 0;
        step = g.outputs <= kRun ? kRun / g.outputs * g.outputs : kRun;
        for (int64_t first = 0; first < g.outputs; first += kRun) {
            firsts.push_back(g.outputs < kRun ? 0 : std::min(first, g.outputs - kRun));
        }
        for (const int64_t first : firsts) {
            for (int64_t tap = 0; tap < 2 * pairs; ++tap) {
                if (tap % 2 == 0) weights.resize(weights.size() + 2 * kRun);
                int16_t* pair = weights.data() + weights.size() - 2 * kRun;
                for (int lane = 0; tap < taps && lane < kRun; ++lane) {
                    const int64_t output = (first + element_of(lane)) % g.outputs;
                    pair[weight_place(lane, int(tap % 2))] = int16_t(codes[tap * g.outputs + output]);
                }
            }
            for (int lane = 0; lane < kRun; ++lane) {
                const int64_t output = (first + element_of(lane)) % g.outputs;
                int64_t sum = bias[output] + (constant ? added : 0);
                for (int64_t tap = 0; tap < taps; ++tap) sum += x_offset * codes[tap * g.outputs + output];
                start.push_back(int32_t(uint32_t(uint64_t(sum))));
            }
        }
    }

    // Calls put(at, low, high) with the sums of every run of an output row. `Pairs` is `pairs`, or 0 for any number: known
    // when compiled, weights stay in registers.
    template <int Pairs, typename Put>
    void each_run(const int16_t* const* rows, const Put& put) const {
        const int64_t between = firsts.size() == 1 ? step : g.outputs;
        for (size_t run = 0; run < firsts.size(); ++run) {
            const Vector start_low = load(start.data() + run * kRun), start_high = load(start.data() + run * kRun + kVector);
            const int16_t* const first = weights.data() + run * pairs * 2 * kRun;
            for (int64_t at = firsts[run]; at < width; at += between) {
                Vector low = start_low, high = start_high;
                const int16_t* w = first;
                const int64_t count = Pairs > 0 ? Pairs : pairs;
#pragma GCC unroll 16
                for (int64_t pair = 0; pair < count; ++pair, w += 2 * kRun) {
                    dot_runs(low, high, rows[2 * pair] + at, rows[2 * pair + 1] + at, w);
                }
                put(at, low, high);
            }
        }
    }

    template <typename Put>
    void each_run(const int16_t* const* rows, const Put& put) const {
        if (pairs == 5) each_run<5>(rows, put);  // 3 x 3
        else if (pairs == 2) each_run<2>(rows, put);  // 3
        else each_run<0>(rows, put);
    }

    // An output row on the int32 path with a rounding constant. What a run writes beyond its outputs, the next one
    // writes again.
    template <typename Code>
    void put_row(const int16_t* const* rows, Code* to) const {
        const Vector least = same(int32_t(end.low)), most = same(int32_t(end.high)), offset = same(int32_t(end.out_offset));
        const int right = end.right;
        each_run(rows, [&](int64_t at, Vector low, Vector high) {
            low = subtract(clamp(shift_right(low, right), least, most), offset);
            high = subtract(clamp(shift_right(high, right), least, most), offset);
            if (at + kRun <= width) return store_run(to + at, low, high);
            Code part[kRun];
            store_run(part, low, high);
            std::copy_n(part, width - at, to + at);
        });
    }

    // The sums of an output row, into room for kRun more.
    void sum_row(const int16_t* const* rows, int32_t* to) const {
        each_run(rows, [&](int64_t at, const Vector& low, const Vector& high) {
            int32_t lanes[kRun];
            store(lanes, low);
            store(lanes + kVector, high);
            for (int lane = 0; lane < kRun; ++lane) to[at + element_of(lane)] = lanes[lane];
        });
    }
};

// A few codes as words: eight at a time, as few are not worth the run-up of a long loop.
template <typename In>
inline void widen(const In* __restrict from, int64_t count, int16_t* __restrict to) {
    for (; count >= 8; count -= 8, from += 8, to += 8) {
        for (int i = 0; i < 8; ++i) to[i] = int16_t(from[i]);
    }
    for (int64_t i = 0; i < count; ++i) to[i] = int16_t(from[i]);
}

// Rows of an input image with their padding, as words, the channel of every output in its place. Columns that are a stride
// apart lie next to each other, so that a tap of an output row is one run. Rows are kept as long as windows reach them.
template <typename In>
struct Lines {
    const Geometry& g;
    const In* x;
    int64_t phase, pitch;  // elements of the columns that are a stride apart, and of a line
    std::vector<int16_t> lines;
    std::vector<int64_t> held;  // the row of the batch that each line is of

    Lines(const Geometry& g, const In* x) : g(g), x(x) {
        phase = (ceil_div(g.kernel_w, g.stride_w) + g.columns) * g.outputs;
        pitch = phase * g.stride_w;
        lines.assign((g.kernel_h + 1) * pitch + kRun, int16_t(g.pad_value));  // the last one is padding
        held.assign(g.kernel_h, -1);
    }

    // Where the taps of an output row begin; of an odd number, the last one twice.
    void taps(int64_t image, int64_t row, const int16_t** out) {
        for (int64_t kh = 0; kh < g.kernel_h; ++kh) {
            const int16_t* from = line(image, row * g.stride_h - g.pad_top + kh);
            for (int64_t kw = 0; kw < g.kernel_w; ++kw) {
                *out++ = from + kw % g.stride_w * phase + kw / g.stride_w * g.outputs;
            }
        }
        *out = out[-1];
    }

private:
    const int16_t* line(int64_t image, int64_t h) {
        if (h < 0 || h >= g.height) return lines.data() + g.kernel_h * pitch;
        const int64_t place = h % g.kernel_h, row = image * g.height + h;
        int16_t* to = lines.data() + place * pitch;
        if (held[place] != row) fill(x + row * g.width * g.channels, to);
        held[place] = row;
        return to;
    }

    // Padding stays as it is.
    void fill(const In* from, int16_t* to) const {
        const int64_t last = std::max<int64_t>(0, std::min(g.width, pitch / g.outputs - g.pad_left));
        if (g.stride_w == 1 && g.outputs == g.channels) {
            std::copy(from, from + last * g.channels, to + g.pad_left * g.channels);
            return;
        }
        const int64_t each = g.outputs / g.channels;
        for (int64_t w = 0; w < last; ++w, from += g.channels) {
            const int64_t column = w + g.pad_left;
            int16_t* pixel = to + column % g.stride_w * phase + column / g.stride_w * g.outputs;
            if (each > 1) for (int64_t o = 0; o < g.outputs; ++o) pixel[o] = int16_t(from[o / each]);
            else if (sizeof(In) == 2) std::copy(from, from + g.channels, pixel);
            else widen(from, g.channels, pixel);
        }
    }
};

template <typename In>
void depthwise(const Geometry& g, const In* x, int64_t x_offset, const int64_t* weights, const int64_t* bias,
               const Epilogue& end, void* out, int threads) {
    const Depthwise layer(g, x_offset, weights, bias, end);
    // bands of rows of an image, enough for all threads
    const int64_t bands = std::min(g.rows, ceil_div(4 * threads, g.images)), band = ceil_div(g.rows, bands);
    const bool whole = end.path == kInt32 || (end.path == kDouble && end.factors == nullptr);
    parallel(g.images * bands, threads, [&](int64_t task) {
        const int64_t image = task / bands, first = task % bands * band;
        Lines<In> lines(g, x);
        std::vector<const int16_t*> taps(layer.taps + 1);
        std::vector<int32_t> sums(layer.constant ? 0 : layer.width + kRun);
        for (int64_t row = first; row < std::min(g.rows, first + band); ++row) {
            lines.taps(image, row, taps.data());
            const int64_t place = (image * g.rows + row) * layer.width;
            if (layer.constant && end.out_kind == kByte) {
                layer.put_row(taps.data(), static_cast<uint8_t*>(out) + place);
            } else if (layer.constant && end.out_kind == kInt16) {
                layer.put_row(taps.data(), static_cast<int16_t*>(out) + place);
            } else {
                layer.sum_row(taps.data(), sums.data());
                const int64_t step = whole ? layer.width : g.outputs;
                for (int64_t i = 0; i < layer.width; i += step) finish(end, sums.data() + i, step, 0, out, place + i);
            }
        }
    });
}

// The same with sums in int64, row by row and tap by tap.
template <typename In>
void depthwise_wide(const Geometry& g, const In* x, int64_t x_offset, const int64_t* weights, const int64_t* bias,
                    const Epilogue& end, void* out, int threads) {
    const int64_t width = g.columns * g.outputs, each = g.outputs / g.channels;
    parallel(g.images * g.rows, threads, [&](int64_t task) {
        const int64_t image = task / g.rows, top = task % g.rows * g.stride_h - g.pad_top;
        std::vector<int64_t> sums(width);
        for (int64_t i = 0; i < width; ++i) sums[i] = bias[i % g.outputs];
        for (int64_t kh = std::max<int64_t>(0, -top); kh < std::min(g.kernel_h, g.height - top); ++kh) {
            const In* line = x + (image * g.height + top + kh) * g.width * g.channels;
            for (int64_t column = 0; column < g.columns; ++column) {
                int64_t* __restrict to = sums.data() + column * g.outputs;
                for (int64_t kw = 0; kw < g.kernel_w; ++kw) {
                    const int64_t w = column * g.stride_w - g.pad_left + kw;
                    if (w < 0 || w >= g.width) continue;
                    const In* from = line + w * g.channels;
                    const int64_t* times = weights + (kh * g.kernel_w + kw) * g.outputs;
                    for (int64_t o = 0; o < g.outputs; ++o) to[o] += (from[o / each] + x_offset) * times[o];
                }
            }
        }
        for (int64_t i = 0; i < width; i += g.outputs) finish(end, sums.data() + i, g.outputs, 0, out, task * width + i);
    });
}

}  // namespace
