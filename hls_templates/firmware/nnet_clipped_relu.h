// Rectifier with an upper limit: ReLU6, or a quantised ReLU whose limit is no power of two after scaling.
//
// y[i] = min(cast(max(x[i], 0)), limit): one cast, the assignment to res_T. The limit is a code of res_T, so
// that what is compared are the bits of the result.

#ifndef NNET_CLIPPED_RELU_H_
#define NNET_CLIPPED_RELU_H_

#include "hls_stream.h"
#include "nnet_common.h"

namespace nnet {

struct clipped_relu_config {
    static const unsigned n_in = 10;
    static const unsigned limit = 1;
};

template <class data_T, class res_T, unsigned LIMIT> res_T clip_element(data_T x) {
    #pragma HLS INLINE
    res_T result = 0;
    if (x > 0) result = x;
    ap_uint<res_T::width> code = result.range(res_T::width - 1, 0);
    if (code > LIMIT) code = LIMIT;
    result.range(res_T::width - 1, 0) = code;
    return result;
}

template <class data_T, class res_T, typename CONFIG_T>
void clipped_relu(data_T data[CONFIG_T::n_in], res_T res[CONFIG_T::n_in]) {
    #pragma HLS PIPELINE

    for (unsigned i = 0; i < CONFIG_T::n_in; i++) {
        #pragma HLS UNROLL
        res[i] = clip_element<data_T, res_T, CONFIG_T::limit>(data[i]);
    }
}

template <class data_T, class res_T, typename CONFIG_T>
void clipped_relu(hls::stream<data_T> &data, hls::stream<res_T> &res) {
ClippedReLULoop:
    for (unsigned i = 0; i < CONFIG_T::n_in / data_T::size; i++) {
        #pragma HLS PIPELINE
        data_T in_pack = data.read();
        res_T out_pack;
        PRAGMA_DATA_PACK(out_pack)

    ClippedReLUPack:
        for (unsigned j = 0; j < data_T::size; j++) {
            #pragma HLS UNROLL
            out_pack[j] = clip_element<typename data_T::value_type, typename res_T::value_type, CONFIG_T::limit>(in_pack[j]);
        }
        res.write(out_pack);
    }
}

} // namespace nnet

#endif
