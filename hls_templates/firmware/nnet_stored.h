// Products with weights that a memory stores in words of a code: read a word, decode it, multiply.
//
// A weight memory is divided by outputs: word (o, j), at index o * row_words + j, holds the weights of output o
// and inputs j * weights_per_word onward, in the order of its code (hwflow_stored.h); what is left of an output's
// last word takes part in nothing. A layer's configuration extends hls4ml's own by the code and by how the words are
// shared between lanes, which each read a word a cycle: see hwflow/firmware/storage.py.
//
//   row_words     words of an output
//   lane_rows     outputs that a lane reads, one after the other
//   lane_words    words of an output that a lane reads
//   word_parts    cycles that a word takes, each with its part of the word's weights
//
// lane_rows * lane_words * word_parts cycles are at most reuse_factor.
//
//   keep(n, w)    puts the weights that a side memory keeps in the place of those that word n gives. It is logic: their
//                 places and values are constants, and only those of a lane's own words are left of it in each lane

#ifndef NNET_STORED_H_
#define NNET_STORED_H_

#include "hls_stream.h"
#include "hwflow_stored.h"
#include "nnet_common.h"
#include "nnet_function_stubs.h"
#include "nnet_kernel.h"
#include "nnet_mult.h"

namespace nnet {

template <class data_T, class res_T, typename CONFIG_T>
void stored_product(data_T data[CONFIG_T::n_in], res_T res[CONFIG_T::n_out],
                    typename CONFIG_T::weight_t words[CONFIG_T::n_out * CONFIG_T::row_words],
                    typename CONFIG_T::bias_t biases[CONFIG_T::n_out]) {
    typedef typename CONFIG_T::code_t code_t;
    typedef typename CONFIG_T::accum_t accum_t;
    constexpr unsigned row_lanes = CONFIG_T::row_words / CONFIG_T::lane_words;
    constexpr unsigned lanes = CONFIG_T::n_out / CONFIG_T::lane_rows * row_lanes;
    constexpr unsigned part_weights = code_t::weights_per_word / CONFIG_T::word_parts;

    #pragma HLS function_instantiate variable=words,biases
    #pragma HLS ARRAY_RESHAPE variable=words block factor=lanes
    #pragma HLS ARRAY_PARTITION variable=biases complete
    if (CONFIG_T::reuse_factor > 1) {
        #pragma HLS BIND_STORAGE variable=words type=rom_np impl=bram
    }

    accum_t acc[CONFIG_T::n_out];
    #pragma HLS ARRAY_PARTITION variable=acc complete
    typename code_t::weight_t weights[lanes][code_t::weights_per_word];
    #pragma HLS ARRAY_PARTITION variable=weights complete dim=0

InitAccum:
    for (unsigned out = 0; out < CONFIG_T::n_out; out++) {
        #pragma HLS UNROLL
        acc[out] = static_cast<accum_t>(biases[out]);
    }

RowLoop:
    for (unsigned row = 0; row < CONFIG_T::lane_rows; row++) {
    WordLoop:
        for (unsigned word = 0; word < CONFIG_T::lane_words; word++) {
        PartLoop:
            for (unsigned part = 0; part < CONFIG_T::word_parts; part++) {
                #pragma HLS LOOP_FLATTEN
                #pragma HLS PIPELINE II=1 rewind

            Lanes:
                for (unsigned lane = 0; lane < lanes; lane++) {
                    #pragma HLS UNROLL
                    const unsigned first = lane * CONFIG_T::lane_rows * CONFIG_T::lane_words;
                    const unsigned out = lane / row_lanes * CONFIG_T::lane_rows + row;
                    const unsigned column = lane % row_lanes * CONFIG_T::lane_words + word;
                    if (part == 0) {
                        const unsigned index = first + row * CONFIG_T::row_words + word;
                        code_t::decode(words[index], weights[lane]);
                        CONFIG_T::keep(index, weights[lane]);
                    }

                Weights:
                    for (unsigned i = 0; i < part_weights; i++) {
                        #pragma HLS UNROLL
                        const unsigned place = part * part_weights + i;
                        const unsigned in = column * code_t::weights_per_word + place;
                        if (in < CONFIG_T::n_in) {
                            acc[out] += static_cast<accum_t>(data[in] * weights[lane][place]);
                        }
                    }
                }
            }
        }
    }

Result:
    for (unsigned out = 0; out < CONFIG_T::n_out; out++) {
        #pragma HLS UNROLL
        res[out] = cast<data_T, res_T, CONFIG_T>(acc[out]);
    }
}

template <class data_T, class res_T, typename CONFIG_T> class StoredKernel : public DenseKernel<data_T, res_T, CONFIG_T> {
  public:
    static void dense(data_T data[CONFIG_T::n_in], res_T res[CONFIG_T::n_out],
                      typename CONFIG_T::weight_t words[CONFIG_T::n_out * CONFIG_T::row_words],
                      typename CONFIG_T::bias_t biases[CONFIG_T::n_out]) {
        #pragma HLS INLINE
        stored_product<data_T, res_T, CONFIG_T>(data, res, words, biases);
    }
};

// A pixel of an affine layer, whose weights are a single row: y[c] = cast(x[c] * weight[c] + bias[c]), with the
// pixel's channels at first and onward of x and y.
template <class data_T, class res_T, typename CONFIG_T>
void stored_affine_pixel(const data_T &x, res_T &y, unsigned first, typename CONFIG_T::weight_t words[CONFIG_T::row_words],
                         typename CONFIG_T::bias_t biases[CONFIG_T::n_filt]) {
    #pragma HLS INLINE
    typedef typename CONFIG_T::code_t code_t;
    constexpr unsigned lanes = CONFIG_T::row_words / CONFIG_T::lane_words;
    constexpr unsigned part_weights = code_t::weights_per_word / CONFIG_T::word_parts;

    typename code_t::weight_t weights[lanes][code_t::weights_per_word];
    #pragma HLS ARRAY_PARTITION variable=weights complete dim=0

WordLoop:
    for (unsigned word = 0; word < CONFIG_T::lane_words; word++) {
    PartLoop:
        for (unsigned part = 0; part < CONFIG_T::word_parts; part++) {
            #pragma HLS LOOP_FLATTEN
            #pragma HLS PIPELINE II=1

        Lanes:
            for (unsigned lane = 0; lane < lanes; lane++) {
                #pragma HLS UNROLL
                const unsigned index = lane * CONFIG_T::lane_words + word;
                if (part == 0) {
                    code_t::decode(words[index], weights[lane]);
                    CONFIG_T::keep(index, weights[lane]);
                }

            Weights:
                for (unsigned i = 0; i < part_weights; i++) {
                    #pragma HLS UNROLL
                    const unsigned place = part * part_weights + i;
                    const unsigned c = index * code_t::weights_per_word + place;
                    if (c < CONFIG_T::n_filt) {
                        y[first + c] = x[first + c] * weights[lane][place] + biases[c];
                    }
                }
            }
        }
    }
}

template <class data_T, class res_T, typename CONFIG_T>
void stored_affine(data_T data[CONFIG_T::n_in], res_T res[CONFIG_T::n_in],
                   typename CONFIG_T::weight_t words[CONFIG_T::row_words],
                   typename CONFIG_T::bias_t biases[CONFIG_T::n_filt]) {
    constexpr unsigned lanes = CONFIG_T::row_words / CONFIG_T::lane_words;
    #pragma HLS ARRAY_RESHAPE variable=words block factor=lanes
    #pragma HLS ARRAY_PARTITION variable=biases complete

PixelLoop:
    for (unsigned pixel = 0; pixel < CONFIG_T::n_in / CONFIG_T::n_filt; pixel++) {
        stored_affine_pixel<data_T *, res_T *, CONFIG_T>(data, res, pixel * CONFIG_T::n_filt, words, biases);
    }
}

template <class data_T, class res_T, typename CONFIG_T>
void stored_affine(hls::stream<data_T> &data, hls::stream<res_T> &res,
                   typename CONFIG_T::weight_t words[CONFIG_T::row_words],
                   typename CONFIG_T::bias_t biases[CONFIG_T::n_filt]) {
    constexpr unsigned lanes = CONFIG_T::row_words / CONFIG_T::lane_words;
    #pragma HLS ARRAY_RESHAPE variable=words block factor=lanes
    #pragma HLS ARRAY_PARTITION variable=biases complete

PackLoop:
    for (unsigned i = 0; i < CONFIG_T::n_in / data_T::size; i++) {
        data_T in_pack = data.read();
        res_T out_pack;
        PRAGMA_DATA_PACK(out_pack)

    PixelLoop:
        for (unsigned first = 0; first < data_T::size; first += CONFIG_T::n_filt) {
            stored_affine_pixel<data_T, res_T, CONFIG_T>(in_pack, out_pack, first, words, biases);
        }
        res.write(out_pack);
    }
}

// An output pixel of a depthwise convolution (nnet_depthwise.h): word (k, j), at index k * row_words + j, holds the weights
// of position k and outputs j * weights_per_word onward. Lanes share the words of a position.
template <class data_T, class res_T, typename CONFIG_T> class StoredDepthwiseKernel {
  public:
    static void pixel(data_T window[CONFIG_T::kernel_size * CONFIG_T::n_chan], res_T res[CONFIG_T::n_filt],
                      typename CONFIG_T::weight_t words[CONFIG_T::kernel_size * CONFIG_T::row_words],
                      typename CONFIG_T::bias_t biases[CONFIG_T::n_filt]) {
        typedef typename CONFIG_T::code_t code_t;
        typedef typename CONFIG_T::accum_t accum_t;
        constexpr unsigned lanes = CONFIG_T::row_words / CONFIG_T::lane_words;
        constexpr unsigned part_weights = code_t::weights_per_word / CONFIG_T::word_parts;
        #pragma HLS function_instantiate variable=words,biases
        #pragma HLS ARRAY_RESHAPE variable=words cyclic factor=lanes
        #pragma HLS ARRAY_PARTITION variable=biases complete
        #pragma HLS BIND_STORAGE variable=words type=rom_np impl=bram

        accum_t acc[CONFIG_T::n_filt];
        #pragma HLS ARRAY_PARTITION variable=acc complete
        typename code_t::weight_t weights[lanes][code_t::weights_per_word];
        #pragma HLS ARRAY_PARTITION variable=weights complete dim=0

    InitAccum:
        for (unsigned out = 0; out < CONFIG_T::n_filt; out++) {
            #pragma HLS UNROLL
            acc[out] = static_cast<accum_t>(biases[out]);
        }

    Positions:
        for (unsigned at = 0; at < CONFIG_T::kernel_size; at++) {
        WordLoop:
            for (unsigned word = 0; word < CONFIG_T::lane_words; word++) {
            PartLoop:
                for (unsigned part = 0; part < CONFIG_T::word_parts; part++) {
                    #pragma HLS LOOP_FLATTEN
                    #pragma HLS PIPELINE II=1 rewind

                Lanes:
                    for (unsigned lane = 0; lane < lanes; lane++) {
                        #pragma HLS UNROLL
                        const unsigned column = word * lanes + lane;
                        if (part == 0) {
                            code_t::decode(words[at * CONFIG_T::row_words + column], weights[lane]);
                            CONFIG_T::keep(at * CONFIG_T::row_words + column, weights[lane]);
                        }

                    Weights:
                        for (unsigned i = 0; i < part_weights; i++) {
                            #pragma HLS UNROLL
                            const unsigned place = part * part_weights + i;
                            const unsigned out = column * code_t::weights_per_word + place;
                            if (out < CONFIG_T::n_filt) {
                                const data_T x = window[at * CONFIG_T::n_chan + out / CONFIG_T::multiplier];
                                acc[out] += static_cast<accum_t>(x * weights[lane][place]);
                            }
                        }
                    }
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

} // namespace nnet

#endif
