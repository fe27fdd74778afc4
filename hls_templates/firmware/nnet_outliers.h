// Weights that exceed what the weight memory's word holds: the memory keeps them saturated, and what they
// exceed it by, their rest, comes from tables beside it.
//
// out[k], in[k] and rest[k] say: add data[in[k]] * rest[k] to the sum of output out[k]. The tables are ROMs in
// LUTs, outside the block RAM that holds the weights, and take as many cycles as the weights do. A layer's
// configuration extends hls4ml's own, which is its stored_config, by them: see hwflow/firmware/outliers.py.

#ifndef NNET_OUTLIERS_H_
#define NNET_OUTLIERS_H_

#include "hls_stream.h"
#include "nnet_common.h"
#include "nnet_function_stubs.h"
#include "nnet_kernel.h"
#include "nnet_mult.h"

namespace nnet {

template <class data_T, typename CONFIG_T>
void add_outliers(data_T data[CONFIG_T::n_in], typename CONFIG_T::accum_t acc[CONFIG_T::n_out],
                  typename CONFIG_T::outlier_out_t out[CONFIG_T::n_outliers],
                  typename CONFIG_T::outlier_in_t in[CONFIG_T::n_outliers],
                  typename CONFIG_T::outlier_rest_t rest[CONFIG_T::n_outliers]) {
    constexpr unsigned lanes = DIV_ROUNDUP(CONFIG_T::n_outliers, CONFIG_T::reuse_factor);
    constexpr unsigned steps = DIV_ROUNDUP(CONFIG_T::n_outliers, lanes);
    #pragma HLS ARRAY_RESHAPE variable=out cyclic factor=lanes
    #pragma HLS ARRAY_RESHAPE variable=in cyclic factor=lanes
    #pragma HLS ARRAY_RESHAPE variable=rest cyclic factor=lanes
    #pragma HLS BIND_STORAGE variable=out type=rom_1p impl=lutram
    #pragma HLS BIND_STORAGE variable=in type=rom_1p impl=lutram
    #pragma HLS BIND_STORAGE variable=rest type=rom_1p impl=lutram

OutlierLoop:
    for (unsigned step = 0; step < steps; step++) {
        #pragma HLS PIPELINE II=1

    OutlierLanes:
        for (unsigned lane = 0; lane < lanes; lane++) {
            #pragma HLS UNROLL
            const unsigned k = step * lanes + lane;
            if (k < CONFIG_T::n_outliers) {
                acc[out[k]] += static_cast<typename CONFIG_T::accum_t>(data[in[k]] * rest[k]);
            }
        }
    }
}

// The product with the stored weights by hls4ml's kernel, kept in the accumulator's type, then the rests, then
// the one cast to the result's type.
template <class data_T, class res_T, typename CONFIG_T> class OutlierKernel : public DenseKernel<data_T, res_T, CONFIG_T> {
  public:
    static void dense(data_T data[CONFIG_T::n_in], res_T res[CONFIG_T::n_out],
                      typename CONFIG_T::weight_t weights[CONFIG_T::n_in * CONFIG_T::n_out],
                      typename CONFIG_T::bias_t biases[CONFIG_T::n_out]) {
        #pragma HLS INLINE
        typedef typename CONFIG_T::accum_t accum_t;
        typedef typename CONFIG_T::stored_config stored_config;

        accum_t acc[CONFIG_T::n_out];
        #pragma HLS ARRAY_PARTITION variable=acc complete

        stored_config::template kernel<data_T, accum_t, stored_config>::dense(data, acc, weights, biases);
        CONFIG_T::add_outliers(data, acc);

    Result:
        for (unsigned i = 0; i < CONFIG_T::n_out; i++) {
            #pragma HLS UNROLL
            res[i] = cast<data_T, res_T, CONFIG_T>(acc[i]);
        }
    }
};

// The same of an output pixel of a depthwise convolution (nnet_depthwise.h).
template <class data_T, class res_T, typename CONFIG_T> class OutlierDepthwiseKernel {
  public:
    static void pixel(data_T window[CONFIG_T::n_in], res_T res[CONFIG_T::n_out], typename CONFIG_T::weight_t weights[],
                      typename CONFIG_T::bias_t biases[CONFIG_T::n_out]) {
        #pragma HLS INLINE
        typedef typename CONFIG_T::accum_t accum_t;
        typedef typename CONFIG_T::stored_config stored_config;

        accum_t acc[CONFIG_T::n_out];
        #pragma HLS ARRAY_PARTITION variable=acc complete

        stored_config::template kernel<data_T, accum_t, stored_config>::pixel(window, acc, weights, biases);
        CONFIG_T::add_outliers(window, acc);

    Result:
        for (unsigned i = 0; i < CONFIG_T::n_out; i++) {
            #pragma HLS UNROLL
            res[i] = static_cast<res_T>(acc[i]);
        }
    }
};

template <class data_T, class res_T, typename CONFIG_T>
void outlier_dense(hls::stream<data_T> &data, hls::stream<res_T> &res,
                   typename CONFIG_T::weight_t weights[CONFIG_T::n_in * CONFIG_T::n_out],
                   typename CONFIG_T::bias_t biases[CONFIG_T::n_out]) {
    #pragma HLS INLINE
    kernel_dense<data_T, res_T, CONFIG_T>(data, res, weights, biases);
}

template <class data_T, class res_T, typename CONFIG_T>
void outlier_conv_2d_cl(
    data_T data[CONFIG_T::in_height * CONFIG_T::in_width * CONFIG_T::n_chan],
    res_T res[CONFIG_T::out_height * CONFIG_T::out_width * CONFIG_T::n_filt],
    typename CONFIG_T::weight_t weights[CONFIG_T::filt_height * CONFIG_T::filt_width * CONFIG_T::n_chan * CONFIG_T::n_filt],
    typename CONFIG_T::bias_t biases[CONFIG_T::n_filt]) {
    #pragma HLS INLINE
    kernel_conv_2d_cl<data_T, res_T, CONFIG_T>(data, res, weights, biases);
}

} // namespace nnet

#endif
