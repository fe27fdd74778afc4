// C simulation on integer codes: tensors and stored weights as the bits that they are, whatever the width.

#ifndef HWFLOW_CSIM_H_
#define HWFLOW_CSIM_H_

#include "hls_stream.h"

namespace hwflow {

template <class T> void set_code(T &x, long long code) { x.V = code; }
template <class T> long long get_code(const T &x) { return x.V.to_int64(); }

template <class T, unsigned SIZE> void load(const long long *codes, T *tensor) {
    for (unsigned i = 0; i < SIZE; i++) {
        set_code(tensor[i], codes[i]);
    }
}

template <class T, unsigned SIZE> void load(const long long *codes, hls::stream<T> &tensor) {
    for (unsigned i = 0; i < SIZE; i += T::size) {
        T pack;
        for (unsigned j = 0; j < T::size; j++) {
            set_code(pack[j], codes[i + j]);
        }
        tensor.write(pack);
    }
}

template <class T, unsigned SIZE> void store(T *tensor, long long *codes) {
    for (unsigned i = 0; i < SIZE; i++) {
        codes[i] = get_code(tensor[i]);
    }
}

template <class T, unsigned SIZE> void store(hls::stream<T> &tensor, long long *codes) {
    for (unsigned i = 0; i < SIZE; i += T::size) {
        T pack = tensor.read();
        for (unsigned j = 0; j < T::size; j++) {
            codes[i + j] = get_code(pack[j]);
        }
    }
}

// Flips bits of stored words: masks are whole bytes of a word, the least significant first.
template <class T> void flip(T *memory, long count, const long long *index, const unsigned char *masks) {
    const long bytes = (T::width + 7) / 8;
    for (long i = 0; i < count; i++) {
        T &word = memory[index[i]];
        for (int bit = 0; bit < T::width; bit++) {
            if (masks[i * bytes + bit / 8] >> bit % 8 & 1) {
                word[bit] = !word[bit];
            }
        }
    }
}

// Puts stored words in place of those that a memory holds: 32-bit parts of them, the least significant of a word first.
template <class T> void put(T *memory, long parts, const unsigned *values) {
    const long size = (T::width + 31) / 32;
    for (long i = 0; i < parts / size; i++) {
        T &word = memory[i];
        for (int bit = 0; bit < T::width; bit++) {
            word[bit] = values[i * size + bit / 32] >> bit % 32 & 1;
        }
    }
}

} // namespace hwflow

#endif
