// Layers that move elements and compute nothing. The types of data and result are the same.

#ifndef NNET_SHAPES_H_
#define NNET_SHAPES_H_

#include "hls_stream.h"
#include "nnet_common.h"

namespace nnet {

// --- The same n_in elements in the same order, as many a beat as res_T has.

template <class data_T, class res_T, typename CONFIG_T>
void regroup(data_T data[CONFIG_T::n_in], res_T res[CONFIG_T::n_in]) {
    #pragma HLS PIPELINE

    for (unsigned i = 0; i < CONFIG_T::n_in; i++) {
        #pragma HLS UNROLL
        res[i] = data[i];
    }
}

template <class data_T, class res_T, typename CONFIG_T>
void regroup(hls::stream<data_T> &data, hls::stream<res_T> &res) {
    data_T in_pack;
    res_T out_pack;

RegroupLoop:
    for (unsigned i = 0; i < CONFIG_T::n_in; i++) {
        #pragma HLS PIPELINE
        if (i % data_T::size == 0) {
            in_pack = data.read();
        }
        out_pack[i % res_T::size] = in_pack[i % data_T::size];
        if (i % res_T::size == res_T::size - 1) {
            res.write(out_pack);
        }
    }
}

// --- An image of in_height x in_width pixels without crop_<side> pixels at its edges, then with pad_<side> pixels of
// --- zeros around it.

template <typename CONFIG_T> bool border_has_input(unsigned row, unsigned column) {
    #pragma HLS INLINE
    return row >= CONFIG_T::pad_top && row < CONFIG_T::pad_top + CONFIG_T::in_height && column >= CONFIG_T::pad_left &&
           column < CONFIG_T::pad_left + CONFIG_T::in_width;
}

template <typename CONFIG_T> bool border_is_kept(unsigned row, unsigned column) {
    #pragma HLS INLINE
    // What is cropped lies between the padding and the rest of the image.
    const bool top = row >= CONFIG_T::pad_top && row < CONFIG_T::pad_top + CONFIG_T::crop_top;
    const bool bottom = row < CONFIG_T::pad_top + CONFIG_T::in_height &&
                        row + CONFIG_T::crop_bottom >= CONFIG_T::pad_top + CONFIG_T::in_height;
    const bool left = column >= CONFIG_T::pad_left && column < CONFIG_T::pad_left + CONFIG_T::crop_left;
    const bool right = column < CONFIG_T::pad_left + CONFIG_T::in_width &&
                       column + CONFIG_T::crop_right >= CONFIG_T::pad_left + CONFIG_T::in_width;
    return !top && !bottom && !left && !right;
}

template <class data_T, class res_T, typename CONFIG_T> void border(data_T data[], res_T res[]) {
    #pragma HLS PIPELINE

    unsigned to = 0;
    for (unsigned row = 0; row < CONFIG_T::pad_top + CONFIG_T::in_height + CONFIG_T::pad_bottom; row++) {
        for (unsigned column = 0; column < CONFIG_T::pad_left + CONFIG_T::in_width + CONFIG_T::pad_right; column++) {
            if (!border_is_kept<CONFIG_T>(row, column)) {
                continue;
            }
            const bool has_input = border_has_input<CONFIG_T>(row, column);
            const unsigned pixel = (row - CONFIG_T::pad_top) * CONFIG_T::in_width + column - CONFIG_T::pad_left;
            for (unsigned c = 0; c < CONFIG_T::n_chan; c++) {
                res[to++] = has_input ? data[pixel * CONFIG_T::n_chan + c] : data_T(0);
            }
        }
    }
}

template <class data_T, class res_T, typename CONFIG_T>
void border(hls::stream<data_T> &data, hls::stream<res_T> &res) {
BorderRow:
    for (unsigned row = 0; row < CONFIG_T::pad_top + CONFIG_T::in_height + CONFIG_T::pad_bottom; row++) {
    BorderColumn:
        for (unsigned column = 0; column < CONFIG_T::pad_left + CONFIG_T::in_width + CONFIG_T::pad_right; column++) {
            #pragma HLS LOOP_FLATTEN
            #pragma HLS PIPELINE
            data_T in_pack;
            res_T out_pack;
            for (unsigned c = 0; c < CONFIG_T::n_chan; c++) {
                #pragma HLS UNROLL
                in_pack[c] = 0;
            }
            if (border_has_input<CONFIG_T>(row, column)) {
                in_pack = data.read();
            }
            for (unsigned c = 0; c < CONFIG_T::n_chan; c++) {
                #pragma HLS UNROLL
                out_pack[c] = in_pack[c];
            }
            if (border_is_kept<CONFIG_T>(row, column)) {
                res.write(out_pack);
            }
        }
    }
}

// --- Every pixel of an image of in_height x in_width pixels rows x columns times.

template <class data_T, class res_T, typename CONFIG_T> void repeat(data_T data[], res_T res[]) {
    #pragma HLS PIPELINE

    unsigned to = 0;
    for (unsigned row = 0; row < CONFIG_T::in_height * CONFIG_T::rows; row++) {
        for (unsigned column = 0; column < CONFIG_T::in_width * CONFIG_T::columns; column++) {
            const unsigned pixel = row / CONFIG_T::rows * CONFIG_T::in_width + column / CONFIG_T::columns;
            for (unsigned c = 0; c < CONFIG_T::n_chan; c++) {
                res[to++] = data[pixel * CONFIG_T::n_chan + c];
            }
        }
    }
}

template <class data_T, class res_T, typename CONFIG_T>
void repeat(hls::stream<data_T> &data, hls::stream<res_T> &res) {
    res_T line[CONFIG_T::in_width];

RepeatRow:
    for (unsigned row = 0; row < CONFIG_T::in_height * CONFIG_T::rows; row++) {
    RepeatColumn:
        for (unsigned column = 0; column < CONFIG_T::in_width * CONFIG_T::columns; column++) {
            #pragma HLS LOOP_FLATTEN
            #pragma HLS PIPELINE
            const unsigned place = column / CONFIG_T::columns;
            if (row % CONFIG_T::rows == 0 && column % CONFIG_T::columns == 0) {
                data_T in_pack = data.read();
                for (unsigned c = 0; c < CONFIG_T::n_chan; c++) {
                    #pragma HLS UNROLL
                    line[place][c] = in_pack[c];
                }
            }
            res.write(line[place]);
        }
    }
}

// --- An image of size_0 x size_1 x size_2 elements, of which (i, j, k) is element i stride_0 + j stride_1 + k stride_2 of
// --- the input.

template <typename CONFIG_T> unsigned permuted(unsigned to) {
    #pragma HLS INLINE
    return to / (CONFIG_T::size_1 * CONFIG_T::size_2) * CONFIG_T::stride_0 +
           to / CONFIG_T::size_2 % CONFIG_T::size_1 * CONFIG_T::stride_1 + to % CONFIG_T::size_2 * CONFIG_T::stride_2;
}

template <class data_T, class res_T, typename CONFIG_T> void permute(data_T data[], res_T res[]) {
    #pragma HLS PIPELINE

    for (unsigned i = 0; i < CONFIG_T::size_0 * CONFIG_T::size_1 * CONFIG_T::size_2; i++) {
        #pragma HLS UNROLL
        res[i] = data[permuted<CONFIG_T>(i)];
    }
}

template <class data_T, class res_T, typename CONFIG_T>
void permute(hls::stream<data_T> &data, hls::stream<res_T> &res) {
    const unsigned elements = CONFIG_T::size_0 * CONFIG_T::size_1 * CONFIG_T::size_2;
    typename data_T::value_type frame[elements];

PermuteIn:
    for (unsigned i = 0; i < elements / data_T::size; i++) {
        #pragma HLS PIPELINE
        data_T in_pack = data.read();
        for (unsigned c = 0; c < data_T::size; c++) {
            #pragma HLS UNROLL
            frame[i * data_T::size + c] = in_pack[c];
        }
    }

PermuteOut:
    for (unsigned i = 0; i < elements / res_T::size; i++) {
        #pragma HLS PIPELINE
        res_T out_pack;
        for (unsigned c = 0; c < res_T::size; c++) {
            #pragma HLS UNROLL
            out_pack[c] = frame[permuted<CONFIG_T>(i * res_T::size + c)];
        }
        res.write(out_pack);
    }
}

} // namespace nnet

#endif
