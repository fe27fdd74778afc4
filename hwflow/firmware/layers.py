"""Layers that hls4ml lacks or gets wrong, with their C++ templates, registered through its extension API."""

from __future__ import annotations

from typing import Any

from hls4ml.backends import get_backend
from hls4ml.backends.template import FunctionCallTemplate, LayerConfigTemplate
from hls4ml.backends.vivado.passes.convolution_templates import (
    Conv2DConfigTemplate,
    Conv2DFunctionTemplate,
    conv2d_config_template,
    conv2d_include_list,
    conv_mult_config_template,
)
from hls4ml.backends.vivado.passes.pooling_templates import pooling2d_config_template, pooling_include_list
from hls4ml.model.attributes import Attribute, TypeAttribute, WeightAttribute
from hls4ml.model.layers import Conv2D, Layer, Pooling2D, layer_map, register_layer

from hwflow.firmware import storage
from hwflow.firmware.activations import ACTIVATION_LAYERS, ACTIVATION_TEMPLATES
from hwflow.firmware.depthwise import DEPTHWISE_TEMPLATES, HwflowDepthwiseConv2D
from hwflow.firmware.kernels import KERNEL_LAYERS, KERNEL_TEMPLATES
from hwflow.firmware.shapes import SHAPE_LAYERS, SHAPE_TEMPLATES
from hwflow.resources import folder

BACKEND = "vitis"
"""The hls4ml backend that hwflow's templates are written for."""


class HwflowRescale(Layer):
    """y = cast(x * factor), one factor or one a channel."""

    _expected_attributes = [  # noqa: RUF012 - hls4ml's own idiom, its metaclass-free attribute declaration
        Attribute("n_in"),
        WeightAttribute("factor"),
        TypeAttribute("factor"),
    ]

    def initialize(self) -> None:
        """Called by hls4ml when the node is made."""
        self.add_output_variable(self.get_input_variable().shape)
        self.add_weights_variable(
            name="factor", var_name="s{index}", type_name="factor{index}_t", precision=self.get_attr("factor_precision")
        )


class HwflowAffine(Layer):
    """y = cast(weight * x + bias) with one weight and one bias a channel, held in memory."""

    _expected_attributes = [  # noqa: RUF012 - hls4ml's own idiom, its metaclass-free attribute declaration
        Attribute("n_in"),
        Attribute("n_filt"),
        WeightAttribute("weight"),
        WeightAttribute("bias"),
        TypeAttribute("weight"),
        TypeAttribute("bias"),
    ]

    def initialize(self) -> None:
        """Called by hls4ml when the node is made."""
        self.add_output_variable(self.get_input_variable().shape)
        for name, variable in (("weight", "w{index}"), ("bias", "b{index}")):
            precision = self.get_attr(f"{name}_precision")
            type_name = f"{name}{{index}}_t"
            self.add_weights_variable(name=name, var_name=variable, type_name=type_name, precision=precision)


class HwflowClippedReLU(Layer):
    """y = min(cast(max(x, 0)), limit), the limit as a code of the output type."""

    _expected_attributes = [Attribute("n_in"), Attribute("limit")]  # noqa: RUF012 - hls4ml's own idiom

    def initialize(self) -> None:
        """Called by hls4ml when the node is made."""
        self.add_output_variable(self.get_input_variable().shape)


class HwflowWindowPooling2D(Pooling2D):
    """Pooling whose windows overlap or reach into padding."""

    def initialize(self) -> None:
        """Nothing: the attributes are copied from the layer that it replaces."""


class HwflowRowConv2D(Conv2D):
    """Convolution with a kernel one row high, for io_stream."""

    def initialize(self) -> None:
        """Nothing: the attributes are copied from the layer that it replaces."""


class RescaleConfigTemplate(LayerConfigTemplate):
    """The configuration struct of a :class:`HwflowRescale`."""

    def __init__(self) -> None:
        super().__init__(HwflowRescale)
        self.template = (
            "struct config{index} : nnet::rescale_config {{\n"
            "    static const unsigned n_in = {n_in};\n"
            "    static const unsigned n_factors = {n_factors};\n"
            "    typedef {factor_t.name} factor_t;\n"
            "}};\n"
        )

    def format(self, node: Any) -> str:
        """The C++ text."""
        params = self._default_config_params(node)
        params["n_factors"] = node.get_weights("factor").data_length
        return str(self.template.format(**params))


class RescaleFunctionTemplate(FunctionCallTemplate):
    """The call of a :class:`HwflowRescale`."""

    def __init__(self) -> None:
        super().__init__(HwflowRescale, include_header=["nnet_utils/nnet_rescale.h"])
        self.template = "nnet::rescale<{input_t}, {output_t}, {config}>({input}, {output}, {factor_name});"

    def format(self, node: Any) -> str:
        """The C++ text."""
        params = self._default_function_params(node)
        params["factor_name"] = node.get_weights("factor").name
        return str(self.template.format(**params))


class AffineConfigTemplate(LayerConfigTemplate):
    """The configuration struct of a :class:`HwflowAffine`."""

    def __init__(self) -> None:
        super().__init__(HwflowAffine)
        self.template = (
            "struct config{index} : nnet::affine_config {{\n"
            "    static const unsigned n_in = {n_in};\n"
            "    static const unsigned n_filt = {n_filt};\n"
            "    static const unsigned reuse_factor = {reuse_factor};\n"
            "    static const unsigned strategy = nnet::resource;\n"
            "    typedef {weight_t.name} weight_t;\n"
            "    typedef {bias_t.name} bias_t;\n"
            "}};\n"
        )

    def format(self, node: Any) -> str:
        """The C++ text."""
        params = self._default_config_params(node)
        params["reuse_factor"] = node.model.config.get_reuse_factor(node)
        text = str(self.template.format(**params))
        if storage.is_stored(node):
            text += "\n" + storage.stored_config(node, f"{node.index}")
        return text


class AffineFunctionTemplate(FunctionCallTemplate):
    """The call of a :class:`HwflowAffine`."""

    def __init__(self) -> None:
        super().__init__(HwflowAffine, include_header=["nnet_utils/nnet_affine.h"])
        self.template = "nnet::{function}<{input_t}, {output_t}, {config}>({input}, {output}, {w}, {b});"

    def transform(self, model: Any, node: Any) -> bool:
        """Called by hls4ml to set the C++ text and the headers that it needs."""
        changed = bool(super().transform(model, node))
        node.set_attr("include_header", [*self.include_header, *storage.stored_headers(node)])
        return changed

    def format(self, node: Any) -> str:
        """The C++ text."""
        params = self._default_function_params(node)
        params["function"] = "affine"
        if storage.is_stored(node):
            params |= {"function": "stored_affine", "config": f"stored{node.index}"}
        params["w"], params["b"] = node.get_weights("weight").name, node.get_weights("bias").name
        return str(self.template.format(**params))


class ClippedReLUConfigTemplate(LayerConfigTemplate):
    """The configuration struct of a :class:`HwflowClippedReLU`."""

    def __init__(self) -> None:
        super().__init__(HwflowClippedReLU)
        self.template = (
            "struct config{index} : nnet::clipped_relu_config {{\n"
            "    static const unsigned n_in = {n_in};\n"
            "    static const unsigned limit = {limit};\n"
            "}};\n"
        )

    def format(self, node: Any) -> str:
        """The C++ text."""
        return str(self.template.format(**self._default_config_params(node)))


class ClippedReLUFunctionTemplate(FunctionCallTemplate):
    """The call of a :class:`HwflowClippedReLU`."""

    def __init__(self) -> None:
        super().__init__(HwflowClippedReLU, include_header=["nnet_utils/nnet_clipped_relu.h"])
        self.template = "nnet::clipped_relu<{input_t}, {output_t}, {config}>({input}, {output});"

    def format(self, node: Any) -> str:
        """The C++ text."""
        return str(self.template.format(**self._default_function_params(node)))


class WindowPoolingConfigTemplate(LayerConfigTemplate):
    """The configuration struct of a :class:`HwflowWindowPooling2D`: hls4ml's own."""

    def __init__(self) -> None:
        super().__init__(HwflowWindowPooling2D)

    def format(self, node: Any) -> str:
        """The C++ text."""
        return str(pooling2d_config_template.format(**self._default_config_params(node)))


class WindowPoolingFunctionTemplate(FunctionCallTemplate):
    """The call of a :class:`HwflowWindowPooling2D`."""

    def __init__(self) -> None:
        headers = [*pooling_include_list, "nnet_utils/nnet_window_pooling.h"]
        super().__init__(HwflowWindowPooling2D, include_header=headers)
        self.template = "nnet::window_pooling2d_cl<{input_t}, {output_t}, {config}>({input}, {output});"

    def format(self, node: Any) -> str:
        """The C++ text."""
        return str(self.template.format(**self._default_function_params(node)))


class RowConv2DConfigTemplate(Conv2DConfigTemplate):
    """The configuration struct of a :class:`HwflowRowConv2D`: hls4ml's own."""

    def __init__(self) -> None:
        super(Conv2DConfigTemplate, self).__init__(HwflowRowConv2D)
        self.template = conv2d_config_template
        self.mult_template = conv_mult_config_template


class RowConv2DFunctionTemplate(Conv2DFunctionTemplate):
    """The call of a :class:`HwflowRowConv2D`."""

    def __init__(self) -> None:
        headers = [*conv2d_include_list, "nnet_utils/nnet_row_conv2d.h"]
        super(Conv2DFunctionTemplate, self).__init__(HwflowRowConv2D, include_header=headers)
        self.template = "nnet::row_conv_2d_{data_format}<{input_t}, {output_t}, {config}>({input}, {output}, {w}, {b});"


LAYERS = (
    HwflowRescale,
    HwflowAffine,
    HwflowClippedReLU,
    HwflowWindowPooling2D,
    HwflowRowConv2D,
    HwflowDepthwiseConv2D,
    *KERNEL_LAYERS,
    *SHAPE_LAYERS,
    *ACTIVATION_LAYERS,
)
TEMPLATES = (
    AffineConfigTemplate,
    AffineFunctionTemplate,
    ClippedReLUConfigTemplate,
    ClippedReLUFunctionTemplate,
    RescaleConfigTemplate,
    RescaleFunctionTemplate,
    WindowPoolingConfigTemplate,
    WindowPoolingFunctionTemplate,
    RowConv2DConfigTemplate,
    RowConv2DFunctionTemplate,
    *DEPTHWISE_TEMPLATES,
    *KERNEL_TEMPLATES,
    *SHAPE_TEMPLATES,
    *ACTIVATION_TEMPLATES,
)


def register_layers() -> None:
    """Make the layers known to hls4ml's Vitis backend; a second call does nothing."""
    if HwflowRescale.__name__ in layer_map:
        return
    backend = get_backend(BACKEND)
    for layer in LAYERS:
        register_layer(layer.__name__, layer)
    for template in TEMPLATES:
        backend.register_template(template)
    headers = folder("hls_templates") / "firmware"
    for header in [*sorted(headers.glob("nnet_*.h")), *(headers / name for name in storage.CODES_HEADERS)]:
        backend.register_source(header)
