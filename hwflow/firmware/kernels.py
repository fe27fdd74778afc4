"""Convolutions and dense layers whose products hwflow computes: of stored words, or with outliers.

A layer's configuration is hls4ml's own, extended by a struct ``stored<index>``, ``outliers<index>`` or both, one
upon the other; hls4ml's functions take the last in place of the original and reach hwflow's kernel through it.
"""

from __future__ import annotations

from typing import Any

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

from hwflow.firmware import outliers, storage

CONV_CONFIG = """struct {kind}{index} : config{index} {{
    typedef {kind}{index}_mult mult_config;
}};
"""


class HwflowKernelConv2D(Conv2D):
    """A convolution with a kernel of hwflow's."""

    def initialize(self) -> None:
        """Nothing: the attributes are copied from the layer that it replaces."""


class HwflowKernelDense(Dense):
    """A dense layer with a kernel of hwflow's."""

    def initialize(self) -> None:
        """Nothing: the attributes are copied from the layer that it replaces."""


class KernelConv2DConfigTemplate(Conv2DConfigTemplate):
    """The configuration structs of a :class:`HwflowKernelConv2D`."""

    def __init__(self) -> None:
        super(Conv2DConfigTemplate, self).__init__(HwflowKernelConv2D)
        self.template = conv2d_config_template
        self.mult_template = conv_mult_config_template

    def format(self, node: Any) -> str:
        """The C++ text."""
        conv = CONV_CONFIG.format(kind=_kind(node), index=node.index)
        return "\n".join([str(super().format(node)), *_configs(node, f"{node.index}_mult"), conv])


class KernelConv2DFunctionTemplate(Conv2DFunctionTemplate):
    """The call of a :class:`HwflowKernelConv2D`."""

    def __init__(self) -> None:
        headers = [*conv2d_include_list, "nnet_utils/nnet_row_conv2d.h"]
        super(Conv2DFunctionTemplate, self).__init__(HwflowKernelConv2D, include_header=headers)

    def transform(self, model: Any, node: Any) -> bool:
        """Called by hls4ml to set the C++ text and the headers that it needs."""
        return _transform(self, super().transform, model, node)

    def format(self, node: Any) -> str:
        """The C++ text."""
        name = f"{_prefix(node)}_conv_2d_cl"
        if _streams(node):
            name = "row_conv_2d_cl" if node.get_attr("filt_height") == 1 else "conv_2d_cl"
        return _call(name, self._default_function_params(node), node)


class KernelDenseConfigTemplate(DenseConfigTemplate):
    """The configuration structs of a :class:`HwflowKernelDense`."""

    def __init__(self) -> None:
        super(DenseConfigTemplate, self).__init__(HwflowKernelDense)
        self.template = dense_config_template

    def format(self, node: Any) -> str:
        """The C++ text."""
        return "\n".join([str(super().format(node)), *_configs(node, f"{node.index}")])


class KernelDenseFunctionTemplate(DenseFunctionTemplate):
    """The call of a :class:`HwflowKernelDense`."""

    def __init__(self) -> None:
        super(DenseFunctionTemplate, self).__init__(HwflowKernelDense, include_header=dense_include_list)

    def transform(self, model: Any, node: Any) -> bool:
        """Called by hls4ml to set the C++ text and the headers that it needs."""
        return _transform(self, super().transform, model, node)

    def format(self, node: Any) -> str:
        """The C++ text."""
        name = f"{_prefix(node)}_dense" if _streams(node) else "dense"
        return _call(name, self._default_function_params(node), node)


KERNEL_LAYERS = (HwflowKernelConv2D, HwflowKernelDense)
KERNEL_TEMPLATES = (
    KernelConv2DConfigTemplate,
    KernelConv2DFunctionTemplate,
    KernelDenseConfigTemplate,
    KernelDenseFunctionTemplate,
)


def _configs(node: Any, suffix: str) -> list[str]:
    """What extends ``config<suffix>``, each struct the one before it."""
    configs = []
    base = f"config{suffix}"
    if storage.is_stored(node):
        configs.append(storage.stored_config(node, suffix, storage.KERNEL))
        base = f"stored{suffix}"
    if outliers.has_tables(node):
        configs.append(outliers.outlier_config(node, suffix, base))
    return configs


def _kind(node: Any) -> str:
    """What the layer's last configuration struct is called, before its index."""
    return "outliers" if outliers.has_tables(node) else "stored"


def _prefix(node: Any) -> str:
    """Of the functions that take any kernel."""
    return "kernel" if storage.is_stored(node) else "outlier"


def _transform(template: Any, transform: Any, model: Any, node: Any) -> bool:
    changed = transform(model, node)
    headers = storage.stored_headers(node) + [outliers.HEADER] * outliers.has_tables(node)
    node.set_attr("include_header", [*template.include_header, *headers])
    return bool(changed)


def _call(function: str, params: dict[str, Any], node: Any) -> str:
    weights, biases = (node.get_weights(kind).name for kind in ("weight", "bias"))
    types = f"{params['input_t']}, {params['output_t']}, {_kind(node)}{node.index}"
    return f"nnet::{function}<{types}>({params['input']}, {params['output']}, {weights}, {biases});"


def _streams(node: Any) -> bool:
    return bool(node.model.config.get_config_value("IOType") == "io_stream")
