// Depthwise convolution: every output is a sum over the window of one channel, output o of channel o / multiplier.
//
// Weights lie position by position, those of all outputs side by side: weight (k, o) at index k * n_filt + o. The bias is
// the first term of the exact sum in accum_t, the one cast is the assignment to the result. A pixel takes reuse_factor
// cycles, in each of which one position meets some outputs.
//
// hls4ml's own has no Resource strategy in io_parallel, no multiplier, and pads through a layer of its own.

#ifndef NNET_DEPTHWISE_H_
#define NNET_DEPTHWISE_H_

#include "ap_shift_reg.h"
#include "hls_stream.h"
#include "nnet_common.h"
#include "nnet_conv_stream.h"
#include "nnet_window_pooling.h"

namespace nnet {

struct depthwise_config {
    static const unsigned n_chan = 1;
    static const unsigned n_filt = 1;
    static const unsigned multiplier = 1;
    static const unsigned reuse_factor = 1;
    typedef float weight_t;
    typedef float bias_t;
    typedef float accum_t;
};

// One output pixel, from plain weights.
template <class data_T, class res_T, typename CONFIG_T> class DepthwiseKernel {
  public:
    static void pixel(data_T window[CONFIG_T::kernel_size * CONFIG_T::n_chan], res_T res[CONFIG_T::n_filt],
                      typename CONFIG_T::weight_t weights[CONFIG_T::kernel_size * CONFIG_T::n_filt],
                      typename CONFIG_T::bias_t biases[CONFIG_T::n_filt]) {
        typedef typename CONFIG_T::accum_t accum_t;
        constexpr unsigned lanes = CONFIG_T::kernel_size * CONFIG_T::n_filt / CONFIG_T::reuse_factor;
        #pragma HLS function_instantiate variable=weights,biases
        #pragma HLS ARRAY_RESHAPE variable=weights cyclic factor=lanes
        #pragma HLS ARRAY_PARTITION variable=biases complete
        #pragma HLS BIND_STORAGE variable=weights type=rom_np impl=bram

        accum_t acc[CONFIG_T::n_filt];
        #pragma HLS ARRAY_PARTITION variable=acc complete

    InitAccum:
        for (unsigned out = 0; out < CONFIG_T::n_filt; out++) {
            #pragma HLS UNROLL
            acc[out] = static_cast<accum_t>(biases[out]);
        }

    Positions:
        for (unsigned at = 0; at < CONFIG_T::kernel_size; at++) {
        Groups:
            for (unsigned first = 0; first < CONFIG_T::n_filt; first += lanes) {
                #pragma HLS LOOP_FLATTEN
                #pragma HLS PIPELINE II=1 rewind

            Lanes:
                for (unsigned lane = 0; lane < lanes; lane++) {
                    #pragma HLS UNROLL
                    const unsigned out = first + lane;
                    const data_T x = window[at * CONFIG_T::n_chan + out / CONFIG_T::multiplier];
                    acc[out] += static_cast<accum_t>(x * weights[at * CONFIG_T::n_filt + out]);
                }
            }
        }

    Result:
        for (unsigned out = 0; out < CONFIG_T::n_filt; out++) {
            #pragma HLS UNROLL
            res[out] = static_cast<res_T>(acc[out]);
        }
    }
};

template <class data_T, class res_T, typename CONFIG_T>
void depthwise_conv2d(data_T data[CONFIG_T::in_height * CONFIG_T::in_width * CONFIG_T::n_chan],
                      res_T res[CONFIG_T::out_height * CONFIG_T::out_width * CONFIG_T::n_filt],
                      typename CONFIG_T::weight_t weights[], typename CONFIG_T::bias_t biases[CONFIG_T::n_filt]) {
    data_T window[CONFIG_T::kernel_size * CONFIG_T::n_chan];
    #pragma HLS ARRAY_PARTITION variable=window complete

PixelLoop:
    for (unsigned pixel = 0; pixel < CONFIG_T::out_height * CONFIG_T::out_width; pixel++) {
        const unsigned top = pixel / CONFIG_T::out_width * CONFIG_T::stride_height;
        const unsigned left = pixel % CONFIG_T::out_width * CONFIG_T::stride_width;

    WindowLoop:
        for (unsigned k = 0; k < CONFIG_T::kernel_size; k++) {
            #pragma HLS UNROLL
            const unsigned row = top + k / CONFIG_T::filt_width;
            const unsigned column = left + k % CONFIG_T::filt_width;
            const unsigned at = (row - CONFIG_T::pad_top) * CONFIG_T::in_width + column - CONFIG_T::pad_left;
            for (unsigned c = 0; c < CONFIG_T::n_chan; c++) {
                #pragma HLS UNROLL
                window[k * CONFIG_T::n_chan + c] =
                    in_image<CONFIG_T>(row, column) ? data[at * CONFIG_T::n_chan + c] : data_T(0);
            }
        }
        CONFIG_T::template kernel<data_T, res_T, CONFIG_T>::pixel(window, res + pixel * CONFIG_T::n_filt, weights, biases);
    }
}

template <class data_T, class res_T, typename CONFIG_T>
void depthwise_conv2d(hls::stream<data_T> &data, hls::stream<res_T> &res, typename CONFIG_T::weight_t weights[],
                      typename CONFIG_T::bias_t biases[CONFIG_T::n_filt]) {
    #pragma HLS INLINE recursive
    typedef padded_config<CONFIG_T> padded;
    typedef typename data_T::value_type value_T;
    typedef typename res_T::value_type result_T;

    static ap_shift_reg<value_T, padded::in_width> line_buffer[MAX(CONFIG_T::filt_height - 1, 1)][CONFIG_T::n_chan];
    #pragma HLS ARRAY_PARTITION variable=line_buffer complete dim=2
    static value_T window[CONFIG_T::kernel_size * CONFIG_T::n_chan];
    #pragma HLS ARRAY_PARTITION variable=window complete

    data_T padding;
    for (unsigned c = 0; c < CONFIG_T::n_chan; c++) {
        #pragma HLS UNROLL
        padding[c] = 0;
    }

ReadInputHeight:
    for (unsigned row = 0; row < padded::in_height; row++) {
    ReadInputWidth:
        for (unsigned column = 0; column < padded::in_width; column++) {
            #pragma HLS LOOP_FLATTEN
            data_T pixel = padding;
            if (in_image<CONFIG_T>(row, column)) {
                pixel = data.read();
            }
            shift_line_buffer<data_T, padded>(pixel, line_buffer, window);

            // A window is complete with its last pixel, where one begins.
            const unsigned top = row + 1 - CONFIG_T::filt_height, left = column + 1 - CONFIG_T::filt_width;
            if (row + 1 >= CONFIG_T::filt_height && column + 1 >= CONFIG_T::filt_width &&
                top % CONFIG_T::stride_height == 0 && left % CONFIG_T::stride_width == 0) {
                result_T sums[CONFIG_T::n_filt];
                #pragma HLS ARRAY_PARTITION variable=sums complete
                CONFIG_T::template kernel<value_T, result_T, CONFIG_T>::pixel(window, sums, weights, biases);

                res_T out_pack;
                PRAGMA_DATA_PACK(out_pack)
                for (unsigned out = 0; out < CONFIG_T::n_filt; out++) {
                    #pragma HLS UNROLL
                    out_pack[out] = sums[out];
                }
                res.write(out_pack);
            }
        }
    }
}

} // namespace nnet

#endif
