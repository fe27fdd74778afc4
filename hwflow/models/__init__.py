"""Networks: embedded ones with trained weights, ports of torchvision's, and a user's own Keras or QKeras files.

Nothing here imports TensorFlow before a model is built.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from hwflow.errors import HwflowError
from hwflow.files.outputs import as_path
from hwflow.frontends.keras_file import read_keras_file
from hwflow.frontends.onnx_file import SUFFIX as ONNX
from hwflow.frontends.torch_archive import SUFFIX as PT2
from hwflow.frontends.torch_network import from_file, from_onnx
from hwflow.models._state_dict import StateDict, read_state_dict
from hwflow.models._weights import check_finite, load_weights
from hwflow.models.alexnet import alexnet
from hwflow.models.densenet import densenet121, densenet169
from hwflow.models.digits import KerasModel, digits_cnn, digits_qcnn
from hwflow.models.resnet import cifar_resnet, resnet18, resnet34, resnet50
from hwflow.models.squeezenet import CAFFE_NAMES, squeezenet1_1
from hwflow.models.torch_weights import load_torchvision

__all__ = [
    "CAFFE_NAMES",
    "EMBEDDED",
    "NETWORKS",
    "WEIGHTS",
    "KerasModel",
    "alexnet",
    "check_model",
    "cifar_resnet",
    "densenet121",
    "densenet169",
    "digits_cnn",
    "digits_qcnn",
    "embedded",
    "load_model",
    "load_torchvision",
    "model_paths",
    "port",
    "resnet18",
    "resnet20",
    "resnet32",
    "resnet34",
    "resnet44",
    "resnet50",
    "resnet56",
    "squeezenet1_1",
]

COLOURS = 3
WEIGHTS = Path(__file__).parent / "weights"

_BUILDERS: dict[str, Callable[[], KerasModel]] = {"digits_cnn": digits_cnn, "digits_qcnn": digits_qcnn}
EMBEDDED = tuple(_BUILDERS)

_CIFAR_FAMILY = ("resnet20", "resnet32", "resnet44", "resnet56")
resnet20, resnet32, resnet44, resnet56 = (partial(cifar_resnet, depth) for depth in (20, 32, 44, 56))

NETWORKS: dict[str, Callable[..., KerasModel]] = {
    "alexnet": alexnet,
    "densenet121": densenet121,
    "densenet169": densenet169,
    "resnet18": resnet18,
    "resnet34": resnet34,
    "resnet50": resnet50,
    "squeezenet1_1": squeezenet1_1,
    "resnet20": resnet20,
    "resnet32": resnet32,
    "resnet44": resnet44,
    "resnet56": resnet56,
}
"""The ports' builders by name, untrained: `load_torchvision` fills them."""


def embedded(name: str) -> KerasModel:
    """Return the embedded network `name`, one of `EMBEDDED`, with the weights that ship with hwflow.

    Raises:
        HwflowError: there is no such network, or the installation lacks its weights.
    """
    if name not in _BUILDERS:
        raise HwflowError(f"no embedded network {name!r}: choose one of {', '.join(EMBEDDED)}")
    model = _BUILDERS[name]()
    load_weights(model, WEIGHTS / f"{name}.npz")
    return model


def port(name: str, weights: str | Path, classes: int | None = None, image_size: int | None = None) -> KerasModel:
    """Return the port `name`, one of `NETWORKS`, with the weights of a state dict, as narrow as they are.

    A SqueezeNet's file may use the original Caffe model's names.

    Args:
        name: the port.
        weights: a file for `load_torchvision`.
        classes: logits, by default as in the original.
        image_size: height and width of an image in pixels, by default as in the original.

    Raises:
        HwflowError: there is no such port, an argument is out of range, or as in `load_torchvision`.
    """
    if name not in NETWORKS:
        raise HwflowError(f"no port {name!r}: choose one of {', '.join(NETWORKS)}")
    path = Path(weights)
    # Read first: building takes seconds, and most mistakes are in the file.
    tensors = read_state_dict(path)
    modules = {key.rpartition(".")[0] for key in tensors}
    options = {} if classes is None else {"classes": classes}
    shape = {} if image_size is None else {"input_shape": (image_size, image_size, 3)}
    model = NETWORKS[name](**options, **shape, width=_width(name, tensors))
    caffe = model.name == "squeezenet1_1" and not modules.isdisjoint(CAFFE_NAMES)
    load_torchvision(model, path, CAFFE_NAMES if caffe else None)
    return model


def _width(name: str, tensors: StateDict) -> float:
    """Return the `width` at which a port's first convolution has as many channels as the file's; at most 1."""
    full = 16 if name in _CIFAR_FAMILY else 64
    found = [len(tensor) for tensor in tensors.values() if tensor.ndim == 4 and tensor.shape[1] == COLOURS]
    return found[0] / full if len(found) == 1 and 0 < found[0] < full else 1.0


def check_model(
    spec: str | Path,
    torch_weights: str | Path | None = None,
    classes: int | None = None,
    image_size: int | None = None,
) -> None:
    """Refuse what is seen of a network, as :func:`load_model` takes it, without TensorFlow or its weights.

    Raises:
        HwflowError: nothing there, a port without weights, or a port's options for another network.
    """
    if str(spec) in NETWORKS:
        if torch_weights is None:
            raise HwflowError(f"{spec}: is untrained; give its state dict as torch_weights (--torch-weights FILE)")
        if not Path(torch_weights).exists():
            raise HwflowError(f"{torch_weights}: no such weight file")
        return
    if (torch_weights, classes, image_size) != (None, None, None):
        raise HwflowError(
            f"{spec}: a state dict, a number of classes and an image size are for {', '.join(NETWORKS)} only"
        )
    if str(spec) in _BUILDERS or Path(spec).exists():
        return
    if not Path(spec).suffix:
        raise HwflowError(
            f"{spec}: neither a file nor an embedded network ({', '.join(EMBEDDED)}) nor a port ({', '.join(NETWORKS)})"
        )
    raise HwflowError(f"{spec}: no such model file")


def load_model(
    spec: str | Path,
    torch_weights: str | Path | None = None,
    classes: int | None = None,
    image_size: int | None = None,
) -> KerasModel:
    """Return a trained network: an embedded one or a port by name, or a Keras, QKeras or PyTorch model from a file.

    Args:
        spec: a name in `EMBEDDED` or in `NETWORKS`; or an ``.h5``, ``.hdf5`` or ``.keras`` file; or
            ``X.json`` with ``X_weights.h5`` beside it; a PyTorch network, a ``.pt2`` of
            ``torch.export.save``; or an ``.onnx``.
        torch_weights: state dict of a port, which needs one; see `load_torchvision`.
        classes: of a port, see `port`.
        image_size: of a port, see `port`.

    Raises:
        HwflowError: nothing there, a corrupt file, NaN or infinite weights (the layer is named), a port
            without weights, or a port's options for another network.
    """
    check_model(spec, torch_weights, classes, image_size)
    if torch_weights is not None:
        return port(str(spec), torch_weights, classes, image_size)
    if str(spec) in _BUILDERS:
        return embedded(str(spec))
    path = Path(spec)
    readers = {PT2: from_file, ONNX: from_onnx}
    model = readers.get(path.suffix, read_keras_file)(path)
    check_finite(model, str(path))
    return model


def model_paths(model: object) -> dict[str, object]:
    """The files that a model is read from; none for a network known by name or in memory."""
    path = as_path(model)
    if path is None or not path.exists():
        return {}
    if str(model) in (*EMBEDDED, *NETWORKS):
        return {}
    found: dict[str, object] = {"model": path}
    if path.suffix == ".json":
        found |= {f"model's {ending}": path.with_name(path.stem + ending) for ending in ("_weights.h5", ".weights.h5")}
    return found
