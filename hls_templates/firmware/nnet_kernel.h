// Layers that take the kernel of their products from the configuration, where hls4ml's own do not.

#ifndef NNET_KERNEL_H_
#define NNET_KERNEL_H_

#include "hls_stream.h"
#include "nnet_common.h"
#include "nnet_dense.h"
#include "nnet_dense_stream.h"

namespace nnet {

// A dense layer in io_stream.
template <class data_T, class res_T, typename CONFIG_T>
void kernel_dense(hls::stream<data_T> &data_stream, hls::stream<res_T> &res_stream, typename CONFIG_T::weight_t weights[],
                  typename CONFIG_T::bias_t biases[CONFIG_T::n_out]) {
    #pragma HLS INLINE recursive
    typedef typename data_T::value_type value_T;
    typedef typename res_T::value_type result_T;

    value_T data[CONFIG_T::n_in];
    #pragma HLS ARRAY_PARTITION variable=data complete
    result_T res[CONFIG_T::n_out];
    #pragma HLS ARRAY_PARTITION variable=res complete

    data_prepare<data_T, CONFIG_T>(data_stream, data);
    CONFIG_T::template kernel<value_T, result_T, CONFIG_T>::dense(data, res, weights, biases);
    res_write<res_T, CONFIG_T>(res, res_stream);
}

// A convolution in io_parallel, position by position.
template <class data_T, class res_T, typename CONFIG_T>
void kernel_conv_2d_cl(data_T data[CONFIG_T::in_height * CONFIG_T::in_width * CONFIG_T::n_chan],
                       res_T res[CONFIG_T::out_height * CONFIG_T::out_width * CONFIG_T::n_filt],
                       typename CONFIG_T::weight_t weights[], typename CONFIG_T::bias_t biases[CONFIG_T::n_filt]) {
    typedef typename CONFIG_T::mult_config mult_config;

    data_T windows[CONFIG_T::n_pixels][mult_config::n_in];
    #pragma HLS ARRAY_PARTITION variable=windows complete dim=0
    res_T sums[CONFIG_T::n_filt];
    #pragma HLS ARRAY_PARTITION variable=sums complete

PartitionLoop:
    for (unsigned part = 0; part < CONFIG_T::n_partitions; part++) {
        CONFIG_T::template fill_buffer<data_T, CONFIG_T>::fill_buffer(data, windows, part);

    PixelLoop:
        for (unsigned pixel = 0; pixel < CONFIG_T::n_pixels; pixel++) {
            mult_config::template kernel<data_T, res_T, mult_config>::dense(windows[pixel], sums, weights, biases);

        FilterLoop:
            for (unsigned filter = 0; filter < CONFIG_T::n_filt; filter++) {
                #pragma HLS UNROLL
                res[(part * CONFIG_T::n_pixels + pixel) * CONFIG_T::n_filt + filter] = sums[filter];
            }
        }
    }
}

} // namespace nnet

#endif
