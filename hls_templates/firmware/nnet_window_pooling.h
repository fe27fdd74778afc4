// Pooling whose windows overlap, or reach into padding.
//
// hls4ml's io_stream pooling asserts that the stride equals the window and that nothing is padded; its
// io_parallel pooling pads an unsigned tensor with half of its range, which then wins every maximum.
// Here padding never wins a maximum: it holds the lowest value of the tensor's type. In an average it counts as
// zeros with count_pad, and without not at all.
//
// CONFIG_T is hls4ml's pooling2d_config. in_height and in_width are those of the tensor; padded_config
// says the same with the padding included, which is what hls4ml's line buffer counts in.

#ifndef NNET_WINDOW_POOLING_H_
#define NNET_WINDOW_POOLING_H_

#include "ap_shift_reg.h"
#include "hls_stream.h"
#include "nnet_common.h"
#include "nnet_pooling.h"
#include "nnet_pooling_stream.h"

namespace nnet {

template <int W, int I, ap_q_mode Q, ap_o_mode O, int N> bool is_signed(const ap_fixed_base<W, I, true, Q, O, N> &) {
    return true;
}
template <int W, int I, ap_q_mode Q, ap_o_mode O, int N> bool is_signed(const ap_fixed_base<W, I, false, Q, O, N> &) {
    return false;
}

// The lowest value that the type's wires can carry.
template <class T> T lowest_value() {
    T x = 0;
    if (is_signed(x)) {
        x[T::width - 1] = 1;
    }
    return x;
}

template <class T, typename CONFIG_T> T padding_value() {
    return CONFIG_T::pool_op == Max ? lowest_value<T>() : T(0);
}

template <typename CONFIG_T> struct padded_config : CONFIG_T {
    static const unsigned in_height = CONFIG_T::in_height + CONFIG_T::pad_top + CONFIG_T::pad_bottom;
    static const unsigned in_width = CONFIG_T::in_width + CONFIG_T::pad_left + CONFIG_T::pad_right;
};

template <typename CONFIG_T> bool in_image(unsigned row, unsigned column) {
    #pragma HLS INLINE
    return row >= CONFIG_T::pad_top && row < CONFIG_T::in_height + CONFIG_T::pad_top && column >= CONFIG_T::pad_left &&
           column < CONFIG_T::in_width + CONFIG_T::pad_left;
}

// Pixels of the image in the window whose first pixel, with the padding included, is at a row and a column.
template <typename CONFIG_T> int pixels_inside(int row, int column) {
    #pragma HLS INLINE
    const int top = CONFIG_T::pad_top, left = CONFIG_T::pad_left;
    const int bottom = top + int(CONFIG_T::in_height), right = left + int(CONFIG_T::in_width);
    const int last_row = row + int(CONFIG_T::pool_height), last_column = column + int(CONFIG_T::pool_width);
    const int rows = (last_row < bottom ? last_row : bottom) - (row > top ? row : top);
    const int columns = (last_column < right ? last_column : right) - (column > left ? column : left);
    return rows * columns;
}

template <class T, unsigned N> T mean_of(T window[N], int count) {
    #pragma HLS INLINE
    Op_add<T> op_add;
    T sum = reduce<T, N, Op_add<T>>(window, op_add);
    return sum / count;
}

// The means of the windows that end at a pixel, if any; row and column count the padding in.
template <class data_T, class res_T, typename CONFIG_T>
void compute_inside_buffer_2d(unsigned row, unsigned column, const data_T &pixel,
                              ap_shift_reg<typename data_T::value_type, CONFIG_T::in_width>
                                  line_buffer[MAX(CONFIG_T::pool_height - 1, 1)][CONFIG_T::n_filt],
                              int count, hls::stream<res_T> &res) {
    #pragma HLS INLINE
    const unsigned positions = CONFIG_T::pool_height * CONFIG_T::pool_width;
    static typename data_T::value_type kernel_data[positions * CONFIG_T::n_filt];
    #pragma HLS ARRAY_PARTITION variable = kernel_data complete dim = 0

    nnet::shift_line_buffer<data_T, CONFIG_T>(pixel, line_buffer, kernel_data);
    if (row + 1 < CONFIG_T::pool_height || column + 1 < CONFIG_T::pool_width ||
        (row + 1 - CONFIG_T::pool_height) % CONFIG_T::stride_height != 0 ||
        (column + 1 - CONFIG_T::pool_width) % CONFIG_T::stride_width != 0) {
        return;
    }
    res_T means;
    PRAGMA_DATA_PACK(means)
    for (unsigned c = 0; c < CONFIG_T::n_filt; c++) {
        #pragma HLS UNROLL
        typename CONFIG_T::accum_t window[positions];
        #pragma HLS ARRAY_PARTITION variable=window complete
        for (unsigned k = 0; k < positions; k++) {
            window[k] = kernel_data[k * CONFIG_T::n_filt + c];
        }
        means[c] = mean_of<typename CONFIG_T::accum_t, positions>(window, count);
    }
    res.write(means);
}

template <class data_T, class res_T, typename CONFIG_T>
void window_pooling2d_cl(hls::stream<data_T> &data, hls::stream<res_T> &res) {
    #pragma HLS INLINE recursive
    typedef padded_config<CONFIG_T> padded;

    static ap_shift_reg<typename data_T::value_type, padded::in_width> line_buffer[MAX(CONFIG_T::pool_height - 1, 1)]
                                                                                  [CONFIG_T::n_filt];
    #pragma HLS ARRAY_PARTITION variable = line_buffer complete dim = 2

    data_T padding;
    for (unsigned c = 0; c < CONFIG_T::n_filt; c++) {
        #pragma HLS UNROLL
        padding[c] = padding_value<typename data_T::value_type, CONFIG_T>();
    }

ReadInputHeight:
    for (unsigned row = 0; row < padded::in_height; row++) {
    ReadInputWidth:
        for (unsigned column = 0; column < padded::in_width; column++) {
            #pragma HLS LOOP_FLATTEN
            #pragma HLS PIPELINE
            data_T pixel = padding;
            if (in_image<CONFIG_T>(row, column)) {
                pixel = data.read();
            }
            if (CONFIG_T::pool_op == Max || CONFIG_T::count_pad) {
                compute_pool_buffer_2d<data_T, res_T, padded>(pixel, line_buffer, res);
            } else {
                const int count = pixels_inside<CONFIG_T>(int(row + 1) - int(CONFIG_T::pool_height),
                                                          int(column + 1) - int(CONFIG_T::pool_width));
                compute_inside_buffer_2d<data_T, res_T, padded>(row, column, pixel, line_buffer, count, res);
            }
        }
    }
}

template <class data_T, class res_T, typename CONFIG_T>
void window_pooling2d_cl(data_T data[CONFIG_T::in_height * CONFIG_T::in_width * CONFIG_T::n_filt],
                         res_T res[CONFIG_T::out_height * CONFIG_T::out_width * CONFIG_T::n_filt]) {
    #pragma HLS PIPELINE II=CONFIG_T::reuse_factor
    const unsigned positions = CONFIG_T::pool_height * CONFIG_T::pool_width;

    for (unsigned out = 0; out < CONFIG_T::out_height * CONFIG_T::out_width; out++) {
        const unsigned top = out / CONFIG_T::out_width * CONFIG_T::stride_height;
        const unsigned left = out % CONFIG_T::out_width * CONFIG_T::stride_width;
        for (unsigned c = 0; c < CONFIG_T::n_filt; c++) {
            data_T window[positions];
            #pragma HLS ARRAY_PARTITION variable=window complete dim=0
            for (unsigned k = 0; k < positions; k++) {
                const unsigned row = top + k / CONFIG_T::pool_width;
                const unsigned column = left + k % CONFIG_T::pool_width;
                if (in_image<CONFIG_T>(row, column)) {
                    window[k] = data[((row - CONFIG_T::pad_top) * CONFIG_T::in_width + column - CONFIG_T::pad_left) *
                                         CONFIG_T::n_filt +
                                     c];
                } else {
                    window[k] = padding_value<data_T, CONFIG_T>();
                }
            }
            if (CONFIG_T::pool_op == Max || CONFIG_T::count_pad) {
                res[out * CONFIG_T::n_filt + c] =
                    pool_op<data_T, positions, CONFIG_T::pool_op, typename CONFIG_T::accum_t>(window);
            } else {
                typename CONFIG_T::accum_t wide[positions];
                #pragma HLS ARRAY_PARTITION variable=wide complete dim=0
                for (unsigned k = 0; k < positions; k++) {
                    wide[k] = window[k];
                }
                res[out * CONFIG_T::n_filt + c] =
                    mean_of<typename CONFIG_T::accum_t, positions>(wide, pixels_inside<CONFIG_T>(top, left));
            }
        }
    }
}

} // namespace nnet

#endif
