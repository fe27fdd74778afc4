// Multiplication by constants: alignment of a tensor's scale at an Add, or compensation of the logits.
//
// y[i] = cast(x[i] * factor[i mod n_factors]): the product is exact, the one cast is the assignment to
// res_T. n_factors is 1 (uniform) or the number of channels. A factor of one bit is a power of two:
// its product only moves the binary point.

#ifndef NNET_RESCALE_H_
#define NNET_RESCALE_H_

#include "hls_stream.h"
#include "nnet_common.h"

namespace nnet {

struct rescale_config {
    static const unsigned n_in = 10;
    static const unsigned n_factors = 1;
    typedef float factor_t;
};

template <class data_T, class res_T, typename CONFIG_T>
void rescale(data_T data[CONFIG_T::n_in], res_T res[CONFIG_T::n_in],
             typename CONFIG_T::factor_t factor[CONFIG_T::n_factors]) {
    #pragma HLS PIPELINE

    for (unsigned i = 0; i < CONFIG_T::n_in; i++) {
        #pragma HLS UNROLL
        res[i] = data[i] * factor[i % CONFIG_T::n_factors];
    }
}

template <class data_T, class res_T, typename CONFIG_T>
void rescale(hls::stream<data_T> &data, hls::stream<res_T> &res, typename CONFIG_T::factor_t factor[CONFIG_T::n_factors]) {
    #pragma HLS ARRAY_PARTITION variable=factor complete

RescaleLoop:
    for (unsigned i = 0; i < CONFIG_T::n_in / data_T::size; i++) {
        #pragma HLS PIPELINE
        data_T in_pack = data.read();
        res_T out_pack;
        PRAGMA_DATA_PACK(out_pack)

    RescalePack:
        for (unsigned j = 0; j < data_T::size; j++) {
            #pragma HLS UNROLL
            out_pack[j] = in_pack[j] * factor[j % CONFIG_T::n_factors];
        }
        res.write(out_pack);
    }
}

} // namespace nnet

#endif
