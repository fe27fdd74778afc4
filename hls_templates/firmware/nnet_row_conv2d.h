// Convolution with a kernel one row high (1x1 and 1xN), io_stream.
//
// hls4ml's pointwise convolution partitions the weights into registers, which takes them out of block
// RAM, and its 1xN convolution does not skip rows when the vertical stride exceeds one.

#ifndef NNET_ROW_CONV2D_H_
#define NNET_ROW_CONV2D_H_

#include "hls_stream.h"
#include "nnet_common.h"
#include "nnet_conv2d_stream.h"

namespace nnet {

template <class data_T, class res_T, typename CONFIG_T>
void row_conv_2d_cl(hls::stream<data_T> &data, hls::stream<res_T> &res,
                    typename CONFIG_T::weight_t weights[CONFIG_T::filt_width * CONFIG_T::n_chan * CONFIG_T::n_filt],
                    typename CONFIG_T::bias_t biases[CONFIG_T::n_filt]) {
    assert(CONFIG_T::filt_height == 1);
    assert(CONFIG_T::pad_top == 0 && CONFIG_T::pad_bottom == 0 && CONFIG_T::pad_left == 0 && CONFIG_T::pad_right == 0);

ReadInputHeight:
    for (unsigned row = 0; row < CONFIG_T::in_height; row++) {
    ReadInputWidth:
        for (unsigned column = 0; column < CONFIG_T::in_width; column++) {
            #pragma HLS LOOP_FLATTEN
            data_T pixel = data.read();
            if (row % CONFIG_T::stride_height == 0) {
                compute_output_buffer_1d<data_T, res_T, CONFIG_T>(pixel, res, weights, biases);
            }
        }
    }
}

} // namespace nnet

#endif
