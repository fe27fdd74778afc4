// Multiplication and addition channel by channel: a batch normalisation that no layer before it took in.
//
// y[i] = cast(x[i] * weight[c] + bias[c]), c = i mod n_filt, with weights and biases in memories. The sum is
// exact, the one cast is the assignment to res_T. A pixel takes reuse_factor cycles.

#ifndef NNET_AFFINE_H_
#define NNET_AFFINE_H_

#include "hls_stream.h"
#include "nnet_common.h"

namespace nnet {

struct affine_config {
    static const unsigned n_in = 10;
    static const unsigned n_filt = 10;
    static const unsigned reuse_factor = 1;
    typedef float weight_t;
    typedef float bias_t;
};

template <class data_T, class res_T, typename CONFIG_T>
void affine(data_T data[CONFIG_T::n_in], res_T res[CONFIG_T::n_in], typename CONFIG_T::weight_t weight[CONFIG_T::n_filt],
            typename CONFIG_T::bias_t bias[CONFIG_T::n_filt]) {
    constexpr unsigned lanes = CONFIG_T::n_filt / CONFIG_T::reuse_factor;
    #pragma HLS ARRAY_RESHAPE variable=weight cyclic factor=lanes

AffineLoop:
    for (unsigned i = 0; i < CONFIG_T::n_in; i++) {
        #pragma HLS PIPELINE
        #pragma HLS UNROLL factor=lanes
        res[i] = data[i] * weight[i % CONFIG_T::n_filt] + bias[i % CONFIG_T::n_filt];
    }
}

template <class data_T, class res_T, typename CONFIG_T>
void affine(hls::stream<data_T> &data, hls::stream<res_T> &res, typename CONFIG_T::weight_t weight[CONFIG_T::n_filt],
            typename CONFIG_T::bias_t bias[CONFIG_T::n_filt]) {
    constexpr unsigned lanes = CONFIG_T::n_filt / CONFIG_T::reuse_factor;
    #pragma HLS ARRAY_RESHAPE variable=weight cyclic factor=lanes
    #pragma HLS ARRAY_RESHAPE variable=bias cyclic factor=lanes

AffineLoop:
    for (unsigned i = 0; i < CONFIG_T::n_in / data_T::size; i++) {
        data_T in_pack = data.read();
        res_T out_pack;
        PRAGMA_DATA_PACK(out_pack)

    AffineFold:
        for (unsigned j = 0; j < data_T::size; j += lanes) {
            #pragma HLS PIPELINE

        AffineLanes:
            for (unsigned k = 0; k < lanes; k++) {
                #pragma HLS UNROLL
                const unsigned c = (j + k) % CONFIG_T::n_filt;
                out_pack[j + k] = in_pack[j + k] * weight[c] + bias[c];
            }
        }
        res.write(out_pack);
    }
}

} // namespace nnet

#endif
