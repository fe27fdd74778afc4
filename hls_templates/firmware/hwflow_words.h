// Words of labels, and the block codes that protect them: hwflow/codes/word.py, bch.py, flips.py in hardware.
//
// A word is an array of 64-bit parts here, bit 0 the least significant of part 0: C simulation is ten times faster with
// them than with a wide ap_uint, and to hardware they are the same bits. A block code is a type:
//
//   bits                     of a codeword, the lowest of the word: data first, then checks
//   parts                    that hold them
//   decode(word, doubtful)   corrects the data bits of any word; sets doubtful for the data bits that may be wrong
//
// Its constants are a struct that is generated beside the configuration of the first layer that needs it, and so are the
// labels and tables of a layer, see hwflow/firmware/words.py.

#ifndef HWFLOW_WORDS_H_
#define HWFLOW_WORDS_H_

#include "hwflow_stored.h"

namespace hwflow {

typedef unsigned long long part_t;

// 1s in all places, or 0s.
inline part_t all_if(bool set) {
    #pragma HLS INLINE
    return set ? ~0ULL : 0ULL;
}

inline unsigned ones(part_t x) {
    #pragma HLS INLINE
    x -= x >> 1 & 0x5555555555555555ULL;
    x = (x & 0x3333333333333333ULL) + (x >> 2 & 0x3333333333333333ULL);
    x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fULL;
    x += x >> 8;
    x += x >> 16;
    x += x >> 32;
    return x & 0x7f;
}

// Bits of a word from first on, at most 32 of them.
template <unsigned PARTS> unsigned field(const part_t (&word)[PARTS], unsigned first, unsigned count) {
    #pragma HLS INLINE
    if (count == 0) {
        return 0;
    }
    const unsigned part = first / 64, place = first % 64;
    part_t bits = word[part] >> place;
    if (place + count > 64) {
        bits |= word[part + 1] << (64 - place);
    }
    return bits & ((1ULL << count) - 1);
}

// BCH codes, see hwflow/codes/bch.py: up to t flips are corrected, or miscorrected; all data of words that lie further
// from every codeword are in doubt, and given as they are stored. CODE has
//
//   bits, data_bits          of a codeword
//   m, polynomial            the field GF(2^m): elements are integers, bit i the coefficient of alpha^i
//   t                        flips that are corrected
//   extended                 whether the last bit is an overall parity
//   syndrome(j, b, part)     the bits of a word that bit b of the syndrome S(2j + 1) is the sum of
//   locator(i, b, part)      for all bits at once, bit b of alpha^(-(i + 1) p): p is the power of x that a bit stands for
template <class CODE> struct bch {
    static const unsigned bits = CODE::bits;
    static const unsigned parts = (bits + 63) / 64;
    static const unsigned m = CODE::m;
    static const unsigned t = CODE::t;

    static unsigned multiply(unsigned a, unsigned b) {
        #pragma HLS INLINE
        unsigned product = 0;
        if (a != 0 && b != 0) { // most coefficients of a short locator are 0, which C simulation need not multiply
            for (unsigned k = 0; k < m; k++) {
                #pragma HLS UNROLL
                product <<= 1;
                product ^= product >> m & 1 ? CODE::polynomial : 0;
                product ^= b >> (m - 1 - k) & 1 ? a : 0;
            }
        }
        return product;
    }

    // S1 to S2t; whether any of them is not 0.
    static bool find_syndromes(const part_t word[parts], unsigned syndromes[2 * t]) {
        #pragma HLS INLINE
        unsigned any = 0;
        for (unsigned j = 0; j < t; j++) {
            #pragma HLS UNROLL
            unsigned odd = 0;
            for (unsigned b = 0; b < m; b++) {
                #pragma HLS UNROLL
                part_t sum = 0;
                for (unsigned part = 0; part < parts; part++) {
                    #pragma HLS UNROLL
                    sum ^= word[part] & CODE::syndrome(j, b, part);
                }
                odd |= parity(sum) << b;
            }
            syndromes[2 * j] = odd;
            any |= odd;
        }
        if (any != 0) {
            for (unsigned j = 1; j < 2 * t; j += 2) {
                #pragma HLS UNROLL
                syndromes[j] = multiply(syndromes[j / 2], syndromes[j / 2]);
            }
        }
        return any != 0;
    }

    // The error locator up to a factor, and its order, which is above t where there is none: Berlekamp and Massey's
    // algorithm without inversion, as in hwflow/codes/bch.py.
    static unsigned find_locator(const unsigned syndromes[2 * t], unsigned locator[t + 1]) {
        #pragma HLS INLINE
        unsigned correction[t + 1]; // what a discrepancy adds to the locator
        #pragma HLS ARRAY_PARTITION variable=correction complete
        for (unsigned i = 0; i <= t; i++) {
            #pragma HLS UNROLL
            locator[i] = i == 0;
            correction[i] = i == 1;
        }
        unsigned order = 0, scale = 1;
        for (unsigned step = 0; step < t; step++) {
            #pragma HLS UNROLL
            unsigned discrepancy = 0;
            for (unsigned i = 0; i <= t; i++) {
                #pragma HLS UNROLL
                if (i <= 2 * step) {
                    discrepancy ^= multiply(locator[i], syndromes[2 * step - i]);
                }
            }
            unsigned next[t + 1];
            #pragma HLS ARRAY_PARTITION variable=next complete
            const bool longer = discrepancy != 0 && order <= step;
            for (unsigned i = 0; i <= t; i++) {
                #pragma HLS UNROLL
                next[i] = i < 2 ? 0 : longer ? locator[i - 2] : correction[i - 2];
            }
            if (discrepancy != 0) { // else it would only take on a factor
                for (unsigned i = 0; i <= t; i++) {
                    #pragma HLS UNROLL
                    locator[i] = multiply(scale, locator[i]) ^ multiply(discrepancy, correction[i]);
                }
            }
            for (unsigned i = 0; i <= t; i++) {
                #pragma HLS UNROLL
                correction[i] = next[i];
            }
            order = longer ? 2 * step + 1 - order : order;
            scale = longer ? discrepancy : scale;
        }
        return order;
    }

    // The bits that a locator names, and how many. Its values at all bits are found side by side, bit b of them in
    // value[b], by the digits of its coefficients from the highest on. Where a part has no bit of the cyclic code, only
    // the lowest coefficient counts, which is not 0: no root.
    static unsigned find_roots(const unsigned locator[t + 1], part_t roots[parts]) {
        #pragma HLS INLINE
        unsigned count = 0;
        for (unsigned part = 0; part < parts; part++) {
            #pragma HLS UNROLL
            part_t value[m];
            #pragma HLS ARRAY_PARTITION variable=value complete
            for (unsigned b = 0; b < m; b++) {
                #pragma HLS UNROLL
                value[b] = 0;
            }
            for (unsigned k = m; k-- > 0;) {
                #pragma HLS UNROLL
                const part_t top = value[m - 1];
                for (unsigned b = m - 1; b > 0; b--) {
                    #pragma HLS UNROLL
                    value[b] = value[b - 1] ^ (CODE::polynomial >> b & 1 ? top : 0);
                }
                value[0] = top ^ all_if(locator[0] >> k & 1);
                for (unsigned i = 1; i <= t; i++) {
                    #pragma HLS UNROLL
                    if (locator[i] >> k & 1) {
                        for (unsigned b = 0; b < m; b++) {
                            #pragma HLS UNROLL
                            value[b] ^= CODE::locator(i - 1, b, part);
                        }
                    }
                }
            }
            part_t any = 0;
            for (unsigned b = 0; b < m; b++) {
                #pragma HLS UNROLL
                any |= value[b];
            }
            roots[part] = ~any;
            count += ones(~any);
        }
        return count;
    }

    template <unsigned PARTS> static void decode(part_t (&word)[PARTS], part_t (&doubtful)[PARTS]) {
        #pragma HLS INLINE
        unsigned syndromes[2 * t];
        #pragma HLS ARRAY_PARTITION variable=syndromes complete
        bool good = true;
        if (find_syndromes(word, syndromes)) { // else at most the overall parity is wrong, which is no data
            unsigned locator[t + 1];
            #pragma HLS ARRAY_PARTITION variable=locator complete
            part_t roots[parts];
            #pragma HLS ARRAY_PARTITION variable=roots complete
            const unsigned order = find_locator(syndromes, locator);
            const unsigned count = find_roots(locator, roots);
            unsigned more = 0;
            if (CODE::extended) {
                // A parity that does not fit the flips found is one flip more.
                part_t sum = 0;
                for (unsigned part = 0; part < parts; part++) {
                    #pragma HLS UNROLL
                    sum ^= word[part] & all_if(true) >> (part == parts - 1 ? 64 * parts - bits : 0);
                }
                more = (parity(sum) + count) & 1;
            }
            good = order <= t && count == order && count + more <= t;
            for (unsigned part = 0; part < parts; part++) {
                #pragma HLS UNROLL
                word[part] ^= good ? roots[part] : 0;
            }
        }
        for (unsigned part = 0; part < PARTS; part++) {
            #pragma HLS UNROLL
            doubtful[part] = all_if(!good);
        }
    }
};

// Codes of sparse parities, see hwflow/codes/flips.py: in every pass all data bits flip at once of which enough checks
// are violated; those of which half are after the last pass are in doubt. Check bits never flip. CODE has
//
//   bits, data_bits          of a codeword
//   passes                   that flip bits
//   covered(j, part)         the bits of a word that check j is the sum of, its own bit among them
//   members                  most data bits of a check
//   member(j, k)             data bit k of check j; data_bits where it has fewer
//   threshold(pass, i)       violated checks that flip data bit i, and after the last pass those that make it doubtful
template <class CODE> struct flips {
    static const unsigned bits = CODE::bits;
    static const unsigned data_bits = CODE::data_bits;
    static const unsigned check_bits = bits - data_bits;
    static const unsigned parts = (bits + 63) / 64;
    static const unsigned data_parts = (data_bits + 63) / 64;

    // Which checks are; whether any is.
    static bool find_violated(const part_t word[parts], bool violated[check_bits]) {
        #pragma HLS INLINE
        bool any = false;
        for (unsigned j = 0; j < check_bits; j++) {
            #pragma HLS UNROLL
            part_t sum = 0;
            for (unsigned part = 0; part < parts; part++) {
                #pragma HLS UNROLL
                sum ^= word[part] & CODE::covered(j, part);
            }
            violated[j] = parity(sum);
            any |= violated[j];
        }
        return any;
    }

    // Which data bits have as many violated checks as a pass asks for.
    static void find_over(const bool violated[check_bits], unsigned pass, part_t over[data_parts]) {
        #pragma HLS INLINE
        unsigned counts[data_bits + 1]; // the last for what checks of fewer bits count
        #pragma HLS ARRAY_PARTITION variable=counts complete
        for (unsigned i = 0; i <= data_bits; i++) {
            #pragma HLS UNROLL
            counts[i] = 0;
        }
        for (unsigned j = 0; j < check_bits; j++) {
            #pragma HLS UNROLL
            if (violated[j]) { // mostly few are, and C simulation need not add the others
                for (unsigned k = 0; k < CODE::members; k++) {
                    #pragma HLS UNROLL
                    counts[CODE::member(j, k)]++;
                }
            }
        }
        for (unsigned part = 0; part < data_parts; part++) {
            #pragma HLS UNROLL
            over[part] = 0;
        }
        for (unsigned i = 0; i < data_bits; i++) {
            #pragma HLS UNROLL
            over[i / 64] |= part_t(counts[i] >= CODE::threshold(pass, i)) << i % 64;
        }
    }

    template <unsigned PARTS> static void decode(part_t (&word)[PARTS], part_t (&doubtful)[PARTS]) {
        #pragma HLS INLINE
        bool violated[check_bits];
        #pragma HLS ARRAY_PARTITION variable=violated complete
        part_t over[data_parts];
        #pragma HLS ARRAY_PARTITION variable=over complete
        for (unsigned part = 0; part < PARTS; part++) {
            #pragma HLS UNROLL
            doubtful[part] = 0;
        }
        if (find_violated(word, violated)) {
            for (unsigned pass = 0; pass < CODE::passes; pass++) {
                #pragma HLS UNROLL
                find_over(violated, pass, over);
                for (unsigned part = 0; part < data_parts; part++) {
                    #pragma HLS UNROLL
                    word[part] ^= over[part];
                }
                find_violated(word, violated);
            }
            find_over(violated, CODE::passes, over);
            for (unsigned part = 0; part < data_parts; part++) {
                #pragma HLS UNROLL
                doubtful[part] = over[part];
            }
        }
    }
};

// Where the label of a weight stands in a word: its high bits among the data of the block code, its low bits unprotected.
struct label {
    unsigned kind;
    unsigned first, bits;
    unsigned raw_first, raw_bits;
};

// Weights of which each is a label, see hwflow/codes/word.py. LABELS has
//
//   bits, count           of a word, and its weights
//   at(i)                 the label of weight i
//   code(kind, label)     the bits of the weight of a label; labels in doubt follow those that are not
template <class T, class BLOCK, class LABELS> struct word {
    typedef T weight_t;
    static const unsigned weights_per_word = LABELS::count;
    static const unsigned parts = (LABELS::bits + 63) / 64;
    typedef ap_uint<LABELS::bits> word_t;

    static void decode(const word_t &word, T weights[weights_per_word]) {
        #pragma HLS INLINE
        part_t stored[parts], doubtful[parts];
        #pragma HLS ARRAY_PARTITION variable=stored complete
        #pragma HLS ARRAY_PARTITION variable=doubtful complete
        for (unsigned part = 0; part < parts; part++) {
            #pragma HLS UNROLL
            stored[part] = ap_uint<64>(word >> (64 * part)).to_uint64();
        }
        BLOCK::decode(stored, doubtful);
        for (unsigned i = 0; i < weights_per_word; i++) {
            #pragma HLS UNROLL
            const label at = LABELS::at(i);
            const unsigned doubt = field(doubtful, at.first, at.bits) != 0;
            const unsigned high = doubt << at.bits | field(stored, at.first, at.bits);
            const unsigned low = field(stored, at.raw_first, at.raw_bits);
            weights[i].range(T::width - 1, 0) = LABELS::code(at.kind, high << at.raw_bits | low);
        }
    }
};

} // namespace hwflow

#endif
