"""Convolutions and dense layers with outliers: tables of rests beside the weights, and kernels that add them.

A layer's configuration is hls4ml's own, extended by a struct ``outliers<index>``; hls4ml's functions take it in
place of the original and reach the rests through the kernel that it names.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from hls4ml.backends.vivado.passes.convolution_templates import (
    Conv2DConfigTemplate,
    Conv2DFunctionTemplate,
    conv2d_config_template,
    conv2d_include_list,
    conv_mult_config_template,
)
from hls4ml.backends.vivado.passes.core_templates import (
    DenseConfigTemplate,
    DenseFunctionTemplate,
    dense_config_template,
    dense_include_list,
)
from hls4ml.model.layers import Conv2D, Dense
from hls4ml.model.types import FixedPrecisionType, IntegerPrecisionType

from hwflow.codes.layout import position
from hwflow.graph import WeightLayer

HEADER = "nnet_utils/nnet_outliers.h"

CONFIG = """struct outliers{suffix} : config{suffix} {{
    typedef config{suffix} stored_config;
    static const unsigned n_outliers = {n_outliers};
    typedef {out.type.name} outlier_out_t;
    typedef {in_.type.name} outlier_in_t;
    typedef {rest.type.name} outlier_rest_t;
    template<class data_T, class res_T, class CONFIG_T>
    using kernel = nnet::OutlierKernel<data_T, res_T, CONFIG_T>;
    template<class data_T>
    static void add_outliers(data_T data[n_in], accum_t acc[n_out]) {{
        #pragma HLS INLINE
        nnet::add_outliers<data_T, outliers{suffix}>(data, acc, {out.name}, {in_.name}, {rest.name});
    }}
}};
"""

CONV_CONFIG = """struct outliers{index} : config{index} {{
    typedef outliers{index}_mult mult_config;
}};
"""


class HwflowOutlierConv2D(Conv2D):
    """A convolution with outliers."""

    def initialize(self) -> None:
        """Nothing: the attributes are copied from the layer that it replaces."""


class HwflowOutlierDense(Dense):
    """A dense layer with outliers."""

    def initialize(self) -> None:
        """Nothing: the attributes are copied from the layer that it replaces."""


class OutlierConv2DConfigTemplate(Conv2DConfigTemplate):
    """The configuration structs of a :class:`HwflowOutlierConv2D`."""

    def __init__(self) -> None:
        super(Conv2DConfigTemplate, self).__init__(HwflowOutlierConv2D)
        self.template = conv2d_config_template
        self.mult_template = conv_mult_config_template

    def format(self, node: Any) -> str:
        """The C++ text."""
        mult = _config(node, f"{node.index}_mult")
        return "\n".join([str(super().format(node)), mult, CONV_CONFIG.format(index=node.index)])


class OutlierConv2DFunctionTemplate(Conv2DFunctionTemplate):
    """The call of a :class:`HwflowOutlierConv2D`."""

    def __init__(self) -> None:
        headers = [*conv2d_include_list, "nnet_utils/nnet_row_conv2d.h", HEADER]
        super(Conv2DFunctionTemplate, self).__init__(HwflowOutlierConv2D, include_header=headers)

    def format(self, node: Any) -> str:
        """The C++ text."""
        name = "outlier_conv_2d_cl"
        if _streams(node):
            name = "row_conv_2d_cl" if node.get_attr("filt_height") == 1 else "conv_2d_cl"
        return _call(name, self._default_function_params(node), node)


class OutlierDenseConfigTemplate(DenseConfigTemplate):
    """The configuration structs of a :class:`HwflowOutlierDense`."""

    def __init__(self) -> None:
        super(DenseConfigTemplate, self).__init__(HwflowOutlierDense)
        self.template = dense_config_template

    def format(self, node: Any) -> str:
        """The C++ text."""
        return "\n".join([str(super().format(node)), _config(node, f"{node.index}")])


class OutlierDenseFunctionTemplate(DenseFunctionTemplate):
    """The call of a :class:`HwflowOutlierDense`."""

    def __init__(self) -> None:
        super(DenseFunctionTemplate, self).__init__(HwflowOutlierDense, include_header=[*dense_include_list, HEADER])

    def format(self, node: Any) -> str:
        """The C++ text."""
        return _call("outlier_dense" if _streams(node) else "dense", self._default_function_params(node), node)


OUTLIER_LAYERS = (HwflowOutlierConv2D, HwflowOutlierDense)
OUTLIER_TEMPLATES = (
    OutlierConv2DConfigTemplate,
    OutlierConv2DFunctionTemplate,
    OutlierDenseConfigTemplate,
    OutlierDenseFunctionTemplate,
)


def add_tables(layer: Any, node: WeightLayer) -> None:
    """Give an hls4ml layer the tables of a node's outliers, as arrays that are written as weights are.

    They are ``outlier_out<index>`` and ``outlier_in<index>``, which say which weight, by its output and the input of
    the product that it takes part in, and ``outlier_rest<index>``, what is added to that weight.
    """
    assert node.outliers is not None
    rest = node.outliers.rest
    assert rest.type is not None
    outputs, inputs = position(node.outliers.index, node.n_in)
    tables = {
        "out": (_index_type(node.n_out), outputs.astype(np.float64)),
        "in": (_index_type(node.n_in), inputs.astype(np.float64)),
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


def _index_type(count: int) -> IntegerPrecisionType:
    return IntegerPrecisionType(max(1, (count - 1).bit_length()), signed=False)


def _config(node: Any, suffix: str) -> str:
    out, in_, rest = (node.get_weights(f"outlier_{name}") for name in ("out", "in", "rest"))
    return CONFIG.format(suffix=suffix, n_outliers=rest.data_length, out=out, in_=in_, rest=rest)


def _call(function: str, params: dict[str, Any], node: Any) -> str:
    weights, biases = (node.get_weights(kind).name for kind in ("weight", "bias"))
    types = f"{params['input_t']}, {params['output_t']}, outliers{node.index}"
    return f"nnet::{function}<{types}>({params['input']}, {params['output']}, {weights}, {biases});"


def _streams(node: Any) -> bool:
    return bool(node.model.config.get_config_value("IOType") == "io_stream")
