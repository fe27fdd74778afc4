"""Networks: embedded ones with trained weights, ports of torchvision's, and a user's own Keras or QKeras files.

Nothing here imports TensorFlow before a model is built.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from hwflow.errors import HwflowError
from hwflow.models._load import load_file
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
    "cifar_resnet",
    "densenet121",
    "densenet169",
    "digits_cnn",
    "digits_qcnn",
    "embedded",
    "load_model",
    "load_torchvision",
    "resnet18",
    "resnet20",
    "resnet32",
    "resnet34",
    "resnet44",
    "resnet50",
    "resnet56",
    "squeezenet1_1",
]

WEIGHTS = Path(__file__).parent / "weights"

_BUILDERS: dict[str, Callable[[], KerasModel]] = {"digits_cnn": digits_cnn, "digits_qcnn": digits_qcnn}
EMBEDDED = tuple(_BUILDERS)

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


def load_model(spec: str | Path) -> KerasModel:
    """Return a trained network: an embedded one by name, or a Keras or QKeras model from a file.

    Args:
        spec: a name in `EMBEDDED`; or an ``.h5``, ``.hdf5`` or ``.keras`` file; or ``X.json`` with
            ``X_weights.h5`` beside it.

    Raises:
        HwflowError: nothing there, a corrupt file, or NaN or infinite weights (the layer is named).
    """
    if str(spec) in _BUILDERS:
        return embedded(str(spec))
    path = Path(spec)
    if not path.suffix and not path.exists():
        raise HwflowError(f"{spec}: neither a file nor an embedded network ({', '.join(EMBEDDED)})")
    model = load_file(path)
    check_finite(model, str(path))
    return model
