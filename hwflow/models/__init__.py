"""Networks: the embedded ones, with their trained weights, and a user's own Keras or QKeras files.

Nothing here imports TensorFlow before a model is built.
"""

from collections.abc import Callable
from pathlib import Path

from hwflow.errors import HwflowError
from hwflow.models._load import load_file
from hwflow.models._weights import check_finite, load_weights
from hwflow.models.digits import KerasModel, digits_cnn, digits_qcnn

__all__ = ["EMBEDDED", "WEIGHTS", "KerasModel", "digits_cnn", "digits_qcnn", "embedded", "load_model"]

WEIGHTS = Path(__file__).parent / "weights"

_BUILDERS: dict[str, Callable[[], KerasModel]] = {"digits_cnn": digits_cnn, "digits_qcnn": digits_qcnn}
EMBEDDED = tuple(_BUILDERS)


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
