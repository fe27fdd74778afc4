// An activation from a table: sigmoid, tanh, ELU and every other function of one element.
//
// y[i] = table[cast(x[i])]: the one cast is the assignment to index_t, whose bits are the address. The entries are
// values of res_T, so that nothing is rounded after the table.

#ifndef NNET_LOOKUP_H_
#define NNET_LOOKUP_H_

#include "hls_stream.h"
#include "nnet_common.h"

namespace nnet {

struct lookup_config {
    static const unsigned n_in = 10;
    static const unsigned table_size = 1024;
    typedef ap_fixed<10, 4> index_t;
    typedef float table_t;
};

template <class data_T, class res_T, typename CONFIG_T>
res_T lookup_element(data_T x, typename CONFIG_T::table_t table[CONFIG_T::table_size]) {
    #pragma HLS INLINE
    typename CONFIG_T::index_t index = x;
    ap_uint<CONFIG_T::index_t::width> address = index.range(CONFIG_T::index_t::width - 1, 0);
    return table[address];
}

template <class data_T, class res_T, typename CONFIG_T>
void lookup(data_T data[CONFIG_T::n_in], res_T res[CONFIG_T::n_in],
            typename CONFIG_T::table_t table[CONFIG_T::table_size]) {
    #pragma HLS PIPELINE

    for (unsigned i = 0; i < CONFIG_T::n_in; i++) {
        #pragma HLS UNROLL
        res[i] = lookup_element<data_T, res_T, CONFIG_T>(data[i], table);
    }
}

template <class data_T, class res_T, typename CONFIG_T>
void lookup(hls::stream<data_T> &data, hls::stream<res_T> &res, typename CONFIG_T::table_t table[CONFIG_T::table_size]) {
LookupLoop:
    for (unsigned i = 0; i < CONFIG_T::n_in / data_T::size; i++) {
        #pragma HLS PIPELINE
        data_T in_pack = data.read();
        res_T out_pack;
        PRAGMA_DATA_PACK(out_pack)

    LookupPack:
        for (unsigned j = 0; j < data_T::size; j++) {
            #pragma HLS UNROLL
            out_pack[j] = lookup_element<typename data_T::value_type, typename res_T::value_type, CONFIG_T>(in_pack[j], table);
        }
        res.write(out_pack);
    }
}

} // namespace nnet

#endif
