// Rectifier with a slope: leaky ReLU, PReLU and ReLU with a threshold.
//
// y[i] = x[i] > threshold ? cast(x[i]) : cast(x[i] * slope[i mod n_slopes]): the product is exact, the one cast is the
// assignment to res_T. The threshold is an integer multiple of the LSB of data_T. n_slopes is 1 or the number of
// channels.

#ifndef NNET_LEAKY_RELU_H_
#define NNET_LEAKY_RELU_H_

#include "hls_stream.h"
#include "nnet_common.h"

namespace nnet {

struct leaky_relu_config {
    static const unsigned n_in = 10;
    static const unsigned n_slopes = 1;
    static const unsigned threshold = 0;
    typedef float slope_t;
};

template <class data_T, class res_T, class slope_T, unsigned THRESHOLD> res_T leaky_element(data_T x, slope_T slope) {
    #pragma HLS INLINE
    data_T threshold = 0;
    threshold.range(data_T::width - 1, 0) = THRESHOLD;
    res_T result;
    if (x > threshold)
        result = x;
    else
        result = x * slope;
    return result;
}

template <class data_T, class res_T, typename CONFIG_T>
void hwflow_leaky_relu(data_T data[CONFIG_T::n_in], res_T res[CONFIG_T::n_in],
                       typename CONFIG_T::slope_t slope[CONFIG_T::n_slopes]) {
    #pragma HLS PIPELINE

    for (unsigned i = 0; i < CONFIG_T::n_in; i++) {
        #pragma HLS UNROLL
        res[i] = leaky_element<data_T, res_T, typename CONFIG_T::slope_t, CONFIG_T::threshold>(data[i],
                                                                                              slope[i % CONFIG_T::n_slopes]);
    }
}

template <class data_T, class res_T, typename CONFIG_T>
void hwflow_leaky_relu(hls::stream<data_T> &data, hls::stream<res_T> &res,
                       typename CONFIG_T::slope_t slope[CONFIG_T::n_slopes]) {
    #pragma HLS ARRAY_PARTITION variable=slope complete

LeakyReLULoop:
    for (unsigned i = 0; i < CONFIG_T::n_in / data_T::size; i++) {
        #pragma HLS PIPELINE
        data_T in_pack = data.read();
        res_T out_pack;
        PRAGMA_DATA_PACK(out_pack)

    LeakyReLUPack:
        for (unsigned j = 0; j < data_T::size; j++) {
            #pragma HLS UNROLL
            out_pack[j] = leaky_element<typename data_T::value_type, typename res_T::value_type, typename CONFIG_T::slope_t,
                                        CONFIG_T::threshold>(in_pack[j], slope[j % CONFIG_T::n_slopes]);
        }
        res.write(out_pack);
    }
}

} // namespace nnet

#endif
