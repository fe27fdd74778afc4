"""Depthwise convolutions, whose products and windows are hwflow's own in both IO types."""

from __future__ import annotations

import math
from typing import Any

from hls4ml.backends.template import FunctionCallTemplate, LayerConfigTemplate
from hls4ml.model.attributes import Attribute, TypeAttribute, WeightAttribute
from hls4ml.model.layers import Layer

from hwflow.firmware import outliers, storage
from hwflow.graph import DepthwiseConv2D

KERNEL = """    template<class data_T, class res_T, class CONFIG_T>
    using kernel = nnet::{name}<data_T, res_T, CONFIG_T>;
"""

CONFIG = """struct config{{index}} : nnet::depthwise_config {{{{
{sizes}    static const unsigned n_in = {{kernel_size}} * {{n_chan}};
    static const unsigned n_out = {{n_filt}};
    static const unsigned reuse_factor = {{reuse_factor}};
    typedef {{accum_t.name}} accum_t;
    typedef {{weight_t.name}} weight_t;
    typedef {{bias_t.name}} bias_t;
{kernel}}}}};
"""

SIZES = (
    *("in_height", "in_width", "n_chan", "n_filt", "out_height", "out_width", "multiplier", "kernel_size"),
    *("filt_height", "filt_width", "stride_height", "stride_width", "pad_top", "pad_bottom", "pad_left", "pad_right"),
)
"""Of the layer, by the names that hls4ml has for them."""


class HwflowDepthwiseConv2D(Layer):
    """y[o] = cast(bias[o] + sum of weight[k, o] x[k, o // multiplier]), k a position of the window."""

    _expected_attributes = [  # noqa: RUF012 - hls4ml's own idiom, its metaclass-free attribute declaration
        *(Attribute(name) for name in SIZES),
        WeightAttribute("weight"),
        WeightAttribute("bias"),
        TypeAttribute("weight"),
        TypeAttribute("bias"),
        TypeAttribute("accum"),
    ]

    def initialize(self) -> None:
        """Called by hls4ml when the node is made."""
        self.add_output_variable([self.get_attr(name) for name in ("out_height", "out_width", "n_filt")])
        for name, variable in (("weight", "w{index}"), ("bias", "b{index}")):
            precision = self.get_attr(f"{name}_precision")
            self.add_weights_variable(name=name, var_name=variable, type_name=f"{name}{{index}}_t", precision=precision)


def sizes(node: DepthwiseConv2D, shape: tuple[int, ...]) -> dict[str, int]:
    """What :data:`SIZES` are of a node that reads an image of ``shape``."""
    window = node.window
    values = (*shape, node.n_out, *node.shape[:2], node.multiplier, math.prod(window.kernel))
    return dict(zip(SIZES, (*values, *window.kernel, *window.strides, *window.padding), strict=True))


class DepthwiseConfigTemplate(LayerConfigTemplate):
    """The configuration struct of a :class:`HwflowDepthwiseConv2D`."""

    def __init__(self) -> None:
        super().__init__(HwflowDepthwiseConv2D)
        lines = "".join(f"    static const unsigned {name} = {{{name}}};\n" for name in SIZES)
        self.template = CONFIG.format(sizes=lines, kernel=_kernel("DepthwiseKernel"))

    def format(self, node: Any) -> str:
        """The C++ text."""
        params = self._default_config_params(node)
        params["reuse_factor"] = node.model.config.get_reuse_factor(node)
        text = str(self.template.format(**params))
        suffix, base = f"{node.index}", f"config{node.index}"
        if storage.is_stored(node):
            kernel, base = _kernel("StoredDepthwiseKernel"), f"stored{suffix}"
            text += "\n" + storage.stored_config(node, suffix, kernel, turns=node.get_attr("kernel_size"))
        if outliers.has_tables(node):
            text += "\n" + outliers.outlier_config(node, suffix, base, "OutlierDepthwiseKernel")
        return text


class DepthwiseFunctionTemplate(FunctionCallTemplate):
    """The call of a :class:`HwflowDepthwiseConv2D`."""

    def __init__(self) -> None:
        super().__init__(HwflowDepthwiseConv2D, include_header=["nnet_utils/nnet_depthwise.h"])
        self.template = "nnet::depthwise_conv2d<{input_t}, {output_t}, {config}>({input}, {output}, {w}, {b});"

    def transform(self, model: Any, node: Any) -> bool:
        """Called by hls4ml to set the C++ text and the headers that it needs."""
        changed = bool(super().transform(model, node))
        headers = [*storage.stored_headers(node), *([outliers.HEADER] if outliers.has_tables(node) else [])]
        node.set_attr("include_header", [*self.include_header, *headers])
        return changed

    def format(self, node: Any) -> str:
        """The C++ text."""
        params = self._default_function_params(node)
        if outliers.has_tables(node):
            params["config"] = f"outliers{node.index}"
        elif storage.is_stored(node):
            params["config"] = f"stored{node.index}"
        params["w"], params["b"] = node.get_weights("weight").name, node.get_weights("bias").name
        return str(self.template.format(**params))


DEPTHWISE_TEMPLATES = (DepthwiseConfigTemplate, DepthwiseFunctionTemplate)


def _kernel(name: str) -> str:
    return KERNEL.format(name=name)
