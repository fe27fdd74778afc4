// The words that weight memories store, and their decoders: hwflow/codes in hardware.
//
// A code is a type that says how weights stand in a word:
//
//   weight_t            a weight
//   weights_per_word    weights of a word
//   word_t              a word, an ap_uint
//   decode(word, w)     the weights w[weights_per_word] of any word, whatever bits of it flipped

#ifndef HWFLOW_STORED_H_
#define HWFLOW_STORED_H_

#include "ap_fixed.h"
#include "ap_int.h"

namespace hwflow {

// What a word reads as whose error was detected but cannot be corrected: zeros, or the weights as they are stored.
enum class on_double { null, pass };

inline unsigned parity(unsigned long long x) {
    #pragma HLS INLINE
    x ^= x >> 32;
    x ^= x >> 16;
    x ^= x >> 8;
    x ^= x >> 4;
    x ^= x >> 2;
    x ^= x >> 1;
    return x & 1;
}

// The weights in the low bits of a word, the first in the lowest.
template <class T, unsigned COUNT> void split(unsigned long long data, T weights[COUNT]) {
    #pragma HLS INLINE
    for (unsigned i = 0; i < COUNT; i++) {
        #pragma HLS UNROLL
        weights[i].range(T::width - 1, 0) = ap_uint<T::width>(data >> (i * T::width));
    }
}

// A weight a word, as it is: for layers whose words something else is to be put in the place of.
template <class T> struct plain {
    typedef T weight_t;
    static const unsigned weights_per_word = 1;
    typedef ap_uint<T::width> word_t;

    static void decode(const word_t &word, T weights[weights_per_word]) {
        #pragma HLS INLINE
        weights[0].range(T::width - 1, 0) = word;
    }
};

// SECDED (72,64), see hwflow/codes/secded.py: weights in the low bits of the word, 8 check bits above them.
template <class T, on_double ON_DOUBLE> struct secded {
    typedef T weight_t;
    static const unsigned weights_per_word = 64 / T::width;
    static const unsigned data_bits = weights_per_word * T::width;
    static const unsigned check_bits = 8;
    typedef ap_uint<data_bits + check_bits> word_t;

    static void decode(const word_t &word, T weights[weights_per_word]) {
        #pragma HLS INLINE
        // The data bits that each check covers.
        static const unsigned long long covered[check_bits] = {
            0xf104225844b12cb7ULL, 0xe30844a88952555bULL, 0xc710893112649a6dULL, 0x8f2111c22388e38eULL,
            0x1f421e043c0f03f0ULL, 0x3e83e007c00ffc00ULL, 0x7cfc0007fff00000ULL, 0xf8fffff800000000ULL,
        };
        const unsigned long long all = ~0ULL >> (64 - data_bits);
        unsigned long long data = ap_uint<data_bits>(word).to_uint64();
        const unsigned checks = ap_uint<check_bits>(word >> data_bits).to_uint();

        unsigned syndrome = checks;
        for (unsigned r = 0; r < check_bits; r++) {
            #pragma HLS UNROLL
            syndrome ^= parity(data & covered[r]) << r;
        }
        if (syndrome != 0) {
            // The data bit that exactly the failing checks cover, if there is one.
            unsigned long long wrong = all;
            for (unsigned r = 0; r < check_bits; r++) {
                #pragma HLS UNROLL
                wrong &= syndrome >> r & 1 ? covered[r] : ~covered[r];
            }
            const bool check_bit_wrong = (syndrome & (syndrome - 1)) == 0;
            data ^= wrong;
            if (ON_DOUBLE == on_double::null && wrong == 0 && !check_bit_wrong) {
                data = 0;
            }
        }
        split<T, weights_per_word>(data, weights);
    }
};

// A weight a word, through a table of 2^width codes, see hwflow/codes/cosq.py: TABLE::code(word) is the weight's bits.
// A layer's table is generated beside its configuration, see hwflow/firmware/storage.py.
template <class T, class TABLE> struct table {
    typedef T weight_t;
    static const unsigned weights_per_word = 1;
    typedef ap_uint<T::width> word_t;

    static void decode(const word_t &word, T weights[weights_per_word]) {
        #pragma HLS INLINE
        weights[0].range(T::width - 1, 0) = TABLE::code(word);
    }
};

} // namespace hwflow

#endif
