"""Model files as an attacker writes them: JSON put into an ``.h5``, a ``.keras`` or a ``.json``, without Keras."""

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hwflow.frontends.keras_versions import is_keras3

SUFFIXES = (".h5", ".keras", ".json")
Config = dict[str, Any]


def layer(kind: str, name: str, **config: Any) -> Config:
    return {"module": "keras.layers", "class_name": kind, "config": {"name": name, **config}, "registered_name": None}


def chain(*layers: Config) -> Config:
    """A Sequential network of 3 features, and these layers."""
    first = layer("InputLayer", "input", batch_input_shape=[None, 3], dtype="float32")
    return {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"name": "net", "layers": [first, *layers]},
        "registered_name": None,
    }


def dense(name: str = "dense", **config: Any) -> Config:
    return layer("Dense", name, units=2, **config)


def write_weights(file: h5py.Group, weights: Mapping[str, list[Any]]) -> None:
    """Weights in Keras' older layout."""
    file.attrs["layer_names"] = [name.encode() for name in weights] or np.zeros(0, "S1")
    for name, arrays in weights.items():
        group = file.create_group(name)
        group.attrs["weight_names"] = [f"w{index}".encode() for index in range(len(arrays))]
        for index, array in enumerate(arrays):
            group[f"w{index}"] = array


DENSE = {"dense": [np.ones((3, 2), np.float32), np.ones(2, np.float32)]}


def write(path: Path, config: Any, weights: Mapping[str, list[Any]] | None = None) -> Path:
    """A model file of the kind that the path's suffix says."""
    text = config if isinstance(config, str) else json.dumps(config)
    fill = weights if weights is not None else DENSE
    if path.suffix == ".h5":
        with h5py.File(path, "w") as file:
            file.attrs["model_config"] = np.void(text.encode()) if len(text) > 60_000 else text
            file.attrs["keras_version"] = "2.15.0"
            write_weights(file.create_group("model_weights"), fill)
    elif path.suffix == ".json":
        path.write_text(text)
        with h5py.File(path.with_name(f"{path.stem}_weights.h5"), "w") as file:
            write_weights(file, fill)
    else:
        buffer = io.BytesIO()
        with h5py.File(buffer, "w") as file:
            write_weights(file, fill)
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("metadata.json", json.dumps({"keras_version": "2.15.0"}))
            archive.writestr("config.json", text)
            archive.writestr("model.weights.h5", buffer.getvalue())
    return path


def _shell(marker: Path) -> Config:
    return {
        "module": "subprocess",
        "class_name": "getoutput",
        "config": {"cmd": f"touch {marker}"},
        "registered_name": None,
        "name": "evil",
        "inbound_nodes": [],
    }


def _op(function: str, **keywords: Any) -> Callable[[Path], Config]:
    def make(marker: Path) -> Config:
        operation = {
            "class_name": "TFOpLambda",
            "config": {"name": "evil", "function": function},
            "name": "evil",
            # A constant of the file as the first argument.
            "inbound_nodes": [["_CONSTANT_VALUE", -1, str(marker), keywords]],
        }
        return {
            "class_name": "Functional",
            "config": {
                "name": "net",
                "layers": [
                    {
                        "class_name": "InputLayer",
                        "config": {"batch_input_shape": [None, 3], "dtype": "float32", "name": "input"},
                        "name": "input",
                        "inbound_nodes": [],
                    },
                    operation,
                ],
                "input_layers": [["input", 0, 0]],
                "output_layers": [["evil", 0, 0]],
            },
        }

    return make


def _quantised(**config: Any) -> Config:
    return layer("QDense", "dense", units=2, **config) | {"module": "qkeras.qlayers", "registered_name": "QDense"}


def _functional(*layers: Config) -> Config:
    listed = [entry | {"inbound_nodes": entry.get("inbound_nodes", [])} for entry in layers]
    listed = [entry | {"name": entry["config"].get("name", "evil")} for entry in listed]
    last = listed[-1]["name"]
    return {
        "module": "keras.src.engine.functional",
        "class_name": "Functional",
        "config": {
            "name": "net",
            "layers": listed,
            "input_layers": [["input", 0, 0]],
            "output_layers": [[last, 0, 0]],
        },
    }


_INPUT = layer("InputLayer", "input", batch_input_shape=[None, 3], dtype="float32")


def _called(*node: Any) -> Config:
    return _functional(_INPUT, dense() | {"inbound_nodes": [list(node)]})


def _function_called(marker: Path) -> Config:
    """A function in the place of a layer, with arguments."""
    return _functional(_INPUT, _shell(marker))


Attack = Callable[[Path], Any]
ATTACKS: dict[str, Attack] = {
    "function that is called": _function_called,
    "function as a layer": lambda marker: chain(_shell(marker)),
    "builtin as a layer": lambda marker: chain(
        {"module": "builtins", "class_name": "open", "config": {"file": str(marker), "mode": "w"}}
    ),
    "function as the network": lambda marker: _shell(marker),
    "function of os": lambda marker: chain(
        {"module": "os", "class_name": "system", "config": {"command": f"touch {marker}"}}
    ),
    "Keras' own helper": lambda marker: chain(
        {"module": "keras.utils", "class_name": "get_file", "config": {"fname": str(marker), "origin": "file:///"}}
    ),
    "dotted class name": lambda marker: chain({"class_name": "subprocess.getoutput", "config": {"cmd": str(marker)}}),
    "somebody's Dense": lambda marker: chain(dense() | {"module": "evil.layers"}),
    "somebody's registered Dense": lambda marker: chain(dense() | {"registered_name": "evil>Dense"}),
    "module is no text": lambda marker: chain(dense() | {"module": ["os"]}),
    "Lambda": lambda marker: chain(
        layer("Lambda", "evil", function={"class_name": "__lambda__", "config": {"code": "4wEAAAA"}})
    ),
    "Lambda of older files": lambda marker: chain(
        layer("Lambda", "evil", function=["4wEAAAA", None, None], function_type="lambda")
    ),
    "rmtree": _op("io.gfile.rmtree"),
    "load_op_library": _op("load_op_library"),
    "write_file": _op("io.write_file", contents="x"),
    "SlicingOpLambda": lambda marker: chain(layer("SlicingOpLambda", "evil", function="__operators__.getitem")),
    "ClassMethod": lambda marker: chain(layer("ClassMethod", "evil", cls_symbol="io.gfile", method_name="rmtree")),
    "activation as an object": lambda marker: chain(dense(activation=_shell(marker))),
    "activation of another module": lambda marker: chain(
        dense(activation={"module": "os", "class_name": "function", "config": "system", "registered_name": "function"})
    ),
    "activation as a lambda": lambda marker: chain(
        dense(activation={"class_name": "__lambda__", "config": {"code": "4wEAAAA"}})
    ),
    "activation as code": lambda marker: chain(dense(activation=f"__import__('os').system('touch {marker}')")),
    "activation of Keras' module": lambda marker: chain(dense(activation="deserialize")),
    "Activation layer": lambda marker: chain(layer("Activation", "evil", activation=_shell(marker))),
    "initializer": lambda marker: chain(dense(kernel_initializer=_shell(marker))),
    "initializer as a text": lambda marker: chain(dense(kernel_initializer="os.system")),
    "initializer's argument": lambda marker: chain(
        dense(kernel_initializer={"class_name": "Constant", "config": {"value": _shell(marker)}})
    ),
    "regularizer": lambda marker: chain(dense(kernel_regularizer=_shell(marker))),
    "activity regularizer": lambda marker: chain(dense(activity_regularizer=_shell(marker))),
    "constraint": lambda marker: chain(dense(bias_constraint=_shell(marker))),
    "type policy": lambda marker: chain(dense(dtype=_shell(marker))),
    "type policy's name": lambda marker: chain(
        dense(dtype={"class_name": "Policy", "config": {"name": _shell(marker)}})
    ),
    "type specification": lambda marker: chain(
        layer("InputLayer", "evil", type_spec={"class_name": "TypeSpec", "type_spec": "evil", "serialized": []})
    ),
    "name": lambda marker: chain(dense(name=_shell(marker))),
    "tuple of an object": lambda marker: chain(
        layer("Reshape", "evil", target_shape={"class_name": "__tuple__", "items": [_shell(marker)]})
    ),
    "TimeDistributed": lambda marker: chain(layer("TimeDistributed", "outer", layer=_shell(marker))),
    "Bidirectional": lambda marker: chain(layer("Bidirectional", "outer", layer=_shell(marker))),
    "Bidirectional, backwards": lambda marker: chain(
        layer("Bidirectional", "outer", layer=layer("LSTM", "lstm", units=2), backward_layer=_shell(marker))
    ),
    "wrapper in a wrapper": lambda marker: chain(
        layer("TimeDistributed", "outer", layer=layer("TimeDistributed", "inner", layer=_shell(marker)))
    ),
    "nested network": lambda marker: chain(chain(_shell(marker))),
    "wrapped network": lambda marker: chain(layer("TimeDistributed", "outer", layer=chain(_shell(marker)))),
    "pruning wrapper": lambda marker: chain(layer("PruneLowMagnitude", "outer", layer=_shell(marker))),
    "quantiser as an object": lambda marker: chain(_quantised(kernel_quantizer=_shell(marker))),
    "quantiser as code": lambda marker: chain(
        _quantised(kernel_quantizer=f"__import__('os').system('touch {marker}')")
    ),
    "quantiser's argument as code": lambda marker: chain(
        _quantised(kernel_quantizer=f"quantized_bits(4,__import__('os').system('touch {marker}'))")
    ),
    "quantiser's keyword as code": lambda marker: chain(
        _quantised(kernel_quantizer=f"quantized_bits(4,alpha=open('{marker}','w'))")
    ),
    "quantiser by an attribute": lambda marker: chain(_quantised(kernel_quantizer="quantized_bits.__class__(4)")),
    "quantiser by a subscript": lambda marker: chain(_quantised(bias_quantizer="[quantized_bits][0](4)")),
    "two quantisers": lambda marker: chain(_quantised(kernel_quantizer="quantized_bits(4) or quantized_bits(5)")),
    "QKeras' helper": lambda marker: chain(
        _quantised(kernel_quantizer={"class_name": "safe_eval", "config": {"eval_str": "x", "op_dict": {}}})
    ),
    "QKeras' imports": lambda marker: chain(_quantised(kernel_quantizer="deserialize_keras_object('Lambda')")),
    "quantised activation": lambda marker: chain(_quantised(activation=f"open('{marker}','w')")),
    "QActivation": lambda marker: chain(
        layer("QActivation", "evil", activation=f"quantized_relu(open('{marker}','w'))") | {"module": "qkeras"}
    ),
    "QInitializer's initializer": lambda marker: chain(
        _quantised(
            kernel_initializer={
                "class_name": "QInitializer",
                "config": {"initializer": _shell(marker), "use_scale": True, "quantizer": None},
            }
        )
    ),
    "QInitializer's quantiser": lambda marker: chain(
        _quantised(
            kernel_initializer={
                "class_name": "QInitializer",
                "config": {"initializer": "zeros", "use_scale": True, "quantizer": f"open('{marker}','w')"},
            }
        )
    ),
    "Clip's constraint": lambda marker: chain(
        _quantised(kernel_constraint={"class_name": "Clip", "config": {"constraint": _shell(marker)}})
    ),
    "Clip's quantiser": lambda marker: chain(
        _quantised(kernel_constraint={"class_name": "Clip", "config": {"quantizer": f"open('{marker}','w')"}})
    ),
    "keyword of a call": lambda marker: _called(["input", 0, 0, {"training": _shell(marker)}]),
    "unknown keyword of a call": lambda marker: _called(["input", 0, 0, {"path": str(marker)}]),
    "constant of a call": lambda marker: _called(["_CONSTANT_VALUE", -1, ["_COMPOSITE_TYPE", str(marker)], {}]),
    "argument of a call": lambda marker: _functional(
        _INPUT, dense() | {"inbound_nodes": [{"args": [_shell(marker)], "kwargs": {}}]}
    ),
    "outputs as an object": lambda marker: {
        "class_name": "Functional",
        "config": {
            "name": "net",
            "layers": [_INPUT | {"name": "input"}],
            "input_layers": [["input", 0, 0]],
            "output_layers": _shell(marker),
        },
    },
}
"""JSON of networks that would run, write or delete something, by what they abuse."""


def save_weights_file(model: Any, path: Path) -> None:
    """A file of weights with any ending, of which Keras 3 takes one only, and writes the newer layout in it."""
    if is_keras3():
        written = path.with_name("any.weights.h5")
        model.save_weights(written)
        written.rename(path)
    else:
        model.save_weights(path)
