"""Activations of hwflow's own in the firmware: tables, and rectifiers with a slope."""

from __future__ import annotations

from typing import Any

import numpy as np
from hls4ml.backends.template import FunctionCallTemplate, LayerConfigTemplate
from hls4ml.model.attributes import Attribute, TypeAttribute, WeightAttribute
from hls4ml.model.layers import Layer
from hls4ml.model.types import FixedPrecisionType

from hwflow.fixed import FixedType
from hwflow.graph import Constant, LeakyReLU, Lookup


class _OfConstants(Layer):
    """A layer with one array of constants."""

    constants = ""

    def initialize(self) -> None:
        """Called by hls4ml when the node is made."""
        self.add_output_variable(self.get_input_variable().shape)
        name = self.constants
        self.add_weights_variable(
            name=name,
            var_name=f"{name}{{index}}",
            type_name=f"{name}{{index}}_t",
            precision=self.get_attr(f"{name}_precision"),
        )


class HwflowLookup(_OfConstants):
    """y = table[cast(x)]."""

    constants = "table"
    _expected_attributes = [  # noqa: RUF012 - hls4ml's own idiom, its metaclass-free attribute declaration
        Attribute("n_in"),
        Attribute("index_cpp", value_type=str),
        WeightAttribute("table"),
        TypeAttribute("table"),
    ]


class HwflowLeakyReLU(_OfConstants):
    """y = cast(x > threshold ? x : x * slope), one slope or one a channel, the threshold as a code of x."""

    constants = "slope"
    _expected_attributes = [  # noqa: RUF012 - hls4ml's own idiom
        Attribute("n_in"),
        Attribute("threshold"),
        WeightAttribute("slope"),
        TypeAttribute("slope"),
    ]


class LookupConfigTemplate(LayerConfigTemplate):
    """The configuration struct of a :class:`HwflowLookup`."""

    def __init__(self) -> None:
        super().__init__(HwflowLookup)
        self.template = (
            "struct config{index} : nnet::lookup_config {{\n"
            "    static const unsigned n_in = {n_in};\n"
            "    static const unsigned table_size = {size};\n"
            "    typedef {index_cpp} index_t;\n"
            "    typedef {table_t.name} table_t;\n"
            "}};\n"
        )

    def format(self, node: Any) -> str:
        """The C++ text."""
        params = self._default_config_params(node)
        params["size"] = node.get_weights("table").data_length
        return str(self.template.format(**params))


class LeakyReLUConfigTemplate(LayerConfigTemplate):
    """The configuration struct of a :class:`HwflowLeakyReLU`."""

    def __init__(self) -> None:
        super().__init__(HwflowLeakyReLU)
        self.template = (
            "struct config{index} : nnet::leaky_relu_config {{\n"
            "    static const unsigned n_in = {n_in};\n"
            "    static const unsigned n_slopes = {size};\n"
            "    static const unsigned threshold = {threshold};\n"
            "    typedef {slope_t.name} slope_t;\n"
            "}};\n"
        )

    def format(self, node: Any) -> str:
        """The C++ text."""
        params = self._default_config_params(node)
        params["size"] = node.get_weights("slope").data_length
        return str(self.template.format(**params))


class _FunctionTemplate(FunctionCallTemplate):
    """The call of a layer with one array of constants."""

    def __init__(self, layer: type[_OfConstants], function: str, header: str) -> None:
        super().__init__(layer, include_header=[f"nnet_utils/{header}"])
        self.constants = layer.constants
        types, arguments = "{input_t}, {output_t}, {config}", "{input}, {output}, {constants}"
        self.template = f"nnet::{function}<{types}>({arguments});"

    def format(self, node: Any) -> str:
        """The C++ text."""
        params = self._default_function_params(node)
        params["constants"] = node.get_weights(self.constants).name
        return str(self.template.format(**params))


class LookupFunctionTemplate(_FunctionTemplate):
    """The call of a :class:`HwflowLookup`."""

    def __init__(self) -> None:
        super().__init__(HwflowLookup, "lookup", "nnet_lookup.h")


class LeakyReLUFunctionTemplate(_FunctionTemplate):
    """The call of a :class:`HwflowLeakyReLU`."""

    def __init__(self) -> None:
        super().__init__(HwflowLeakyReLU, "hwflow_leaky_relu", "nnet_leaky_relu.h")


ACTIVATION_LAYERS = (HwflowLookup, HwflowLeakyReLU)
ACTIVATION_TEMPLATES = (
    LookupConfigTemplate,
    LookupFunctionTemplate,
    LeakyReLUConfigTemplate,
    LeakyReLUFunctionTemplate,
)


def activation_attributes(node: Lookup | LeakyReLU) -> tuple[str, dict[str, Any]]:
    """The class of the layer of a typed activation, and its attributes."""
    n_in = int(np.prod(node.shape))
    if isinstance(node, Lookup):
        assert node.table is not None
        return "HwflowLookup", {"n_in": n_in, "index_cpp": str(node.index), **_constants("table", node.table)}
    threshold = 0 if node.threshold is None else int(node.threshold.codes[0])
    return "HwflowLeakyReLU", {"n_in": n_in, "threshold": threshold, **_constants("slope", node.slope)}


def _constants(name: str, constant: Constant) -> dict[str, Any]:
    assert constant.type is not None
    return {f"{name}_data": constant.values, f"{name}_precision": _precision(constant.type)}


def _precision(type_: FixedType) -> FixedPrecisionType:
    """Of constants on the grid, which are never rounded."""
    return FixedPrecisionType(type_.width, type_.integer, type_.signed)
