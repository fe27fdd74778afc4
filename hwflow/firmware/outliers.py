"""Outliers of convolutions and dense layers: tables of rests beside the weights, and the kernel that adds them."""

from __future__ import annotations

from typing import Any

import numpy as np
from hls4ml.model.types import FixedPrecisionType, IntegerPrecisionType

from hwflow.graph import DepthwiseConv2D, WeightLayer

HEADER = "nnet_utils/nnet_outliers.h"

CONFIG = """struct outliers{suffix} : {base} {{
    typedef {base} stored_config;
    static const unsigned n_outliers = {n_outliers};
    typedef {out.type.name} outlier_out_t;
    typedef {in_.type.name} outlier_in_t;
    typedef {rest.type.name} outlier_rest_t;
    template<class data_T, class res_T, class CONFIG_T>
    using kernel = nnet::{kernel}<data_T, res_T, CONFIG_T>;
    template<class data_T>
    static void add_outliers(data_T data[n_in], accum_t acc[n_out]) {{
        #pragma HLS INLINE
        nnet::add_outliers<data_T, outliers{suffix}>(data, acc, {out.name}, {in_.name}, {rest.name});
    }}
}};
"""


def add_tables(layer: Any, node: WeightLayer) -> None:
    """Give an hls4ml layer the tables of a node's outliers, as arrays that are written as weights are.

    They are ``outlier_out<index>`` and ``outlier_in<index>``, which say which weight, by its output and the input of
    the product that it takes part in, and ``outlier_rest<index>``, what is added to that weight. The inputs are those
    of a window, with all its channels.
    """
    assert node.outliers is not None
    rest = node.outliers.rest
    assert rest.type is not None
    outputs, inputs = node.position(node.outliers.index)
    n_in = node.n_in
    if isinstance(node, DepthwiseConv2D):
        channels = node.n_out // node.multiplier
        inputs, n_in = inputs * channels + outputs // node.multiplier, n_in * channels
    tables = {
        "out": (_index_type(node.n_out), outputs.astype(np.float64)),
        "in": (_index_type(n_in), inputs.astype(np.float64)),
        "rest": (FixedPrecisionType(rest.type.width, rest.type.integer, rest.type.signed), rest.values),
    }
    for name, (type_, values) in tables.items():
        layer.add_weights_variable(
            name=f"outlier_{name}",
            var_name=f"outlier_{name}{{index}}",
            type_name=f"outlier_{name}{{index}}_t",
            precision=type_,
            data=values,
        )


def has_tables(layer: Any) -> bool:
    """Whether an hls4ml layer has outliers."""
    return "outlier_rest" in layer.weights


def outlier_config(layer: Any, suffix: str, base: str, kernel: str = "OutlierKernel") -> str:
    """The C++ configuration of a layer's outliers, which extends the struct ``base``; ``kernel`` adds them."""
    out, in_, rest = (layer.get_weights(f"outlier_{name}") for name in ("out", "in", "rest"))
    tables = {"n_outliers": rest.data_length, "out": out, "in_": in_, "rest": rest}
    return CONFIG.format(suffix=suffix, base=base, kernel=kernel, **tables)


def _index_type(count: int) -> IntegerPrecisionType:
    return IntegerPrecisionType(max(1, (count - 1).bit_length()), signed=False)
