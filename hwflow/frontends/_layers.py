"""One layer from its configuration: a class of the table, with attributes of the table."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from hwflow.errors import HwflowError
from hwflow.files.arrays import first_line
from hwflow.frontends._keras3 import bidirectional, is_operation
from hwflow.frontends._quantizers import canonical_text
from hwflow.frontends._table import LAYERS, MODELS, PYTHON_LAYERS, arguments_of
from hwflow.frontends._tf import tensorflow
from hwflow.frontends._values import Dialect, Refused, class_and_config, class_name, named, short
from hwflow.frontends.keras_attributes import constructor_arguments, layer_class
from hwflow.frontends.keras_versions import is_keras3, zero_variables
from hwflow.graph.naming import identifier

MOST_LAYERS = 10_000
DEEPEST = 20
"""Models within models, and wrappers within wrappers."""
LARGEST_TENSOR = 2**30
"""Numbers that a layer may produce for one input."""
LONGEST = 2**17
"""Steps, rows or columns that it may have."""

# Modules of layers and networks; operations on tensors share names with layers and are none.
_HOME = re.compile(r"(tf_keras|keras|tensorflow\.keras|tensorflow\.python\.keras)(\.src)?(\.(layers|models|engine).*)?")
# What Keras raises for attributes that do not fit together depends on where it stumbles.
BUILD_ERRORS = (
    ValueError, TypeError, KeyError, AttributeError, IndexError, ArithmeticError, AssertionError, RuntimeError,
    NotImplementedError, MemoryError,
)  # fmt: skip


@dataclass
class Build:
    """A network that is being built from a file.

    Attributes:
        file: what messages call the file.
        keras3: saved by Keras 3.
        variables_left: numbers that variables may still take; the file holds no more.
        count: layers so far.
        shared: layers that the file marks as used at several places, with their configurations.
        order: the layers of every network, by the network's id, in the order of the file.
    """

    file: str
    keras3: bool
    variables_left: int = 0
    count: int = 0
    shared: dict[Any, tuple[Any, Any]] = field(default_factory=dict)
    order: dict[int, list[Any]] = field(default_factory=dict)

    def refusal(self, name: str, kind: str, reason: str) -> HwflowError:
        """The error about one layer."""
        by = ", saved by Keras 3," if self.keras3 else ""
        return HwflowError(f"{self.file}: layer {short(name)} ({printable(kind)}){by} {reason}")

    @contextmanager
    def doing(self, name: str, kind: str) -> Iterator[None]:
        """Let whatever goes wrong inside name the layer.

        Raises:
            HwflowError: it went wrong.
        """
        try:
            yield
        except HwflowError:
            raise
        except Refused as reason:
            raise self.refusal(name, kind, str(reason)) from reason
        except BUILD_ERRORS as error:
            raise self.refusal(name, kind, f"cannot be built ({_reason(error)})") from error
        except tensorflow().errors.OpError as error:
            raise self.refusal(name, kind, f"cannot be built ({_reason(error)})") from error


def _reason(error: BaseException) -> str:
    """The line of a Keras error that says why; the lines before it may say where."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    lines = [line for line in lines if not re.match(r"(\w+: )?Exception encountered|in user code:|File ", line)]
    return next((line for line in lines if re.match(r"\w+Error: ", line)), lines[0] if lines else first_line(error))


_SCOPE = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*")

NetworkMaker = Callable[[Build, Mapping[str, Any], int], Any]


def make_layer(build: Build, data: Any, depth: int, make_network: NetworkMaker) -> Any:
    """A layer or a network that stands for one, unconnected.

    Args:
        build: the network that it belongs to.
        data: its JSON object, with ``class_name`` and ``config``.
        depth: how deep it is nested.
        make_network: builds a network.

    Raises:
        HwflowError: its class or an attribute is not in the table, or they do not fit together.
    """
    kind, config, name = head(build, data)
    build.count += 1
    if build.count > MOST_LAYERS or depth > DEEPEST:
        raise build.refusal(name, kind, f"is one too many: more than {MOST_LAYERS} layers, or nested too deep")
    shared = data.get("shared_object_id")
    if isinstance(shared, int) and shared in build.shared:
        same, layer = build.shared[shared]
        if same != data.get("config"):
            raise build.refusal(name, kind, "is shared with another layer, but has other attributes")
        return layer
    if kind in MODELS:
        layer = make_network(build, data, depth)
    else:
        with build.doing(name, kind):
            layer = _construct(build, kind, config, depth, make_network)
    if not _SCOPE.fullmatch(layer.name):
        # Keras 3 takes any name for a layer, TensorFlow not any for the scope that Keras 2 calls the layer in.
        scope = f"{identifier(layer.name)}/"
        layer._name_scope = lambda: scope
    if isinstance(shared, int):
        build.shared[shared] = (data.get("config"), layer)
    return layer


def head(build: Build, data: Any) -> tuple[str, dict[str, Any], str]:
    """Class, configuration and name of a layer's JSON object; the class is one of the table's or a network.

    Raises:
        HwflowError: it is none.
    """
    kind = class_name(data)
    if kind is None:
        raise HwflowError(f"{build.file}: cannot load the model (a layer without a class name)")
    config = data.get("config")
    listed = isinstance(config, list) and kind == "Sequential"
    if not isinstance(config, dict) and not listed:
        raise HwflowError(f"{build.file}: cannot load the model (a {printable(kind)} without a configuration)")
    inside = config.get("name") if isinstance(config, dict) else None
    name = data.get("name", inside) or kind
    if not isinstance(name, str):
        raise HwflowError(f"{build.file}: cannot load the model (a layer's name is {short(name)})")
    if kind in PYTHON_LAYERS:
        article = "an" if kind[0] in "AEIO" else "a"
        raise HwflowError(f"{build.file}: layer {short(name)}: {article} {kind} layer {PYTHON_LAYERS[kind]}")
    with build.doing(name, kind):
        package = LAYERS[kind].package if kind in LAYERS else "keras"
        class_and_config(data if package == "qkeras" else data | {"module": None}, package)
        module = data.get("module")
        known = kind in LAYERS or kind in MODELS
        operation = build.keras3 and is_operation(kind, module)
        if not known or (package == "keras" and module is not None and not operation and not _is_home(module)):
            of = "" if module is None else f" of the module {short(module)}"
            raise Refused(f"is of the class {short(kind)}{of}, which hwflow does not know; replace it by a known layer")
    return kind, config if isinstance(config, dict) else {}, name


def _is_home(module: Any) -> bool:
    return isinstance(module, str) and _HOME.fullmatch(module) is not None


def printable(kind: str) -> str:
    """A class name as a message shows it."""
    return kind if kind.isidentifier() and kind.isascii() and len(kind) <= 60 else short(kind)


def _construct(build: Build, kind: str, config: dict[str, Any], depth: int, make_network: NetworkMaker) -> Any:
    entry = LAYERS[kind]
    if build.keras3 and kind == "Bidirectional":
        config = bidirectional(config)
    inner = {
        key: make_layer(build, config[key], depth + 1, make_network)
        for key in entry.wrapped
        if config.get(key) is not None
    }
    own = arguments_of(entry, {key: value for key, value in config.items() if key not in entry.wrapped})
    arguments = named(entry.attributes, own, Dialect(build.keras3, entry.package == "qkeras"))
    if kind == "InputLayer":
        arguments.pop("trainable", None)
    if entry.wrapped and "layer" not in inner:
        raise Refused("wraps no layer")
    cls = layer_class(entry.package, kind)
    layer = cls(**constructor_arguments(kind, cls, arguments), **inner)
    if kind == "QActivation" and isinstance(config.get("activation"), str) and not is_keras3():
        # The text says more than the configuration that QKeras makes of the object, and is what is saved again.
        layer.activation = canonical_text(config["activation"])
    return layer


@contextmanager
def counted_variables(build: Build, names: list[str]) -> Iterator[None]:
    """Start every variable at zero, and refuse more of them than the file holds numbers for, before memory is taken.

    Args:
        build: the network; its ``variables_left`` is counted down.
        names: the layers being called, the innermost last, for the message.

    Raises:
        HwflowError: a layer wants more.
    """

    def count(shape: tuple[int, ...]) -> None:
        build.variables_left -= math.prod(shape)
        if build.variables_left < 0:
            raise HwflowError(
                f"{build.file}: layer {short(names[-1])}: the file lacks weights for it, or they have "
                f"another shape than {shape}"
            )

    with zero_variables(count):
        yield


def check_outputs(build: Build, name: str, kind: str, outputs: Any) -> None:
    """Refuse a layer whose output for one input would not fit in memory, or is a sequence longer than any real one.

    Raises:
        HwflowError: it is too large.
    """
    for tensor in tensorflow().nest.flatten(outputs):
        count = math.prod(size or 1 for size in tensor.shape[1:])
        if count > LARGEST_TENSOR:
            raise build.refusal(name, kind, f"makes {count} numbers an input, more than {LARGEST_TENSOR}")
        if any(size > LONGEST for size in tensor.shape[1:-1] if size):
            raise build.refusal(name, kind, f"makes {tuple(tensor.shape)}, longer than {LONGEST} along an axis")


def check_inputs(build: Build, name: str, kind: str, layer: Any, inputs: Any) -> None:
    """Refuse what Keras would do step by step for ever: it repeats the steps of a sequence one at a time.

    Raises:
        HwflowError: the layer would make too many steps.
    """
    repeats = getattr(layer, "size", 1)
    for tensor in tensorflow().nest.flatten(inputs):
        if kind == "UpSampling1D" and len(tensor.shape) > 2 and (tensor.shape[1] or 1) * repeats > LONGEST:
            raise build.refusal(name, kind, f"with size={repeats} makes more than {LONGEST} steps")
