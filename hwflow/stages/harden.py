"""Hardening a network: from a model to a design folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwflow.data import data_path
from hwflow.errors import HwflowError
from hwflow.files.folders import DESIGN, check_output, new_folder, sha256_file
from hwflow.files.outputs import check_outputs
from hwflow.files.rows import Rows, StoredRows
from hwflow.folders.design import Design, load_design, open_design, write_graph, write_manifest
from hwflow.freeing import give_back
from hwflow.hardening import HardenOptions, Like, summary
from hwflow.hardening.hardened import harden_scaled
from hwflow.hardening.plan import scale_graph
from hwflow.models import check_model, model_paths
from hwflow.progress import Step, silent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hwflow.data import Data, DataLike, Float32, ImageSet, Preprocessing, Unreadable
    from hwflow.models import KerasModel

TorchModule = Any
"""A ``torch.nn.Module``; PyTorch need not be installed."""

CALIBRATION_IMAGES = 256
DECODED = 32
"""Images of a folder that are in memory at once."""
ADDED = {"table_bits": HardenOptions.table_bits}
"""Options that designs of earlier versions do not tell of, and what they come to there."""


def harden(
    model: str | Path | KerasModel | TorchModule,
    output: str | Path,
    options: HardenOptions | None = None,
    *,
    example: Any = None,
    torch_weights: str | Path | None = None,
    classes: int | None = None,
    image_size: int | None = None,
    calibration: DataLike | None = None,
    preprocessing: str | Preprocessing | None = None,
    calibration_images: int | None = None,
    like: str | Path | Design | None = None,
    seed: int = 0,
    force: bool = False,
    step: Step = silent,
) -> Design:
    """Scale, quantise and calibrate a network, and write a design folder.

    Args:
        model: an embedded network's or a port's name, a model file, a Keras model, or a ``torch.nn.Module``. A model
            of several inputs or outputs becomes one of a vector each, see :mod:`hwflow.frontends.packed`.
        output: the design folder to write.
        options: see :class:`~hwflow.hardening.HardenOptions`.
        example: of a ``torch.nn.Module``, a batch of inputs as it takes them.
        torch_weights: state dict of a port, see :func:`hwflow.models.load_torchvision`.
        classes: of a port, by default as in the original.
        image_size: pixels a side of a port's image, by default as in the original.
        calibration: images that the activation types come from: ``digits``, an ``.npz``, a folder of images,
            or anything of :data:`hwflow.data.DataLike`; embedded networks have the training split of the digits as
            default.
        preprocessing: of a folder's images, see :data:`hwflow.data.PRESETS`; by default ``cifar`` for
            images of up to 64 pixels, else ``imagenet``.
        calibration_images: how many of them, drawn at random; by default 256, or all of fewer.
        like: a design of the same layers and options, whose types this one takes, so that hardware of it that was
            generated as loadable loads this one.
        seed: seed of that draw.
        force: replace an existing design folder.
        step: called with the name of each step.

    Raises:
        HwflowError: the model, the images or the options cannot be hardened, or the folder exists.
    """
    output = Path(output)
    options = options or HardenOptions()
    reads = {**model_paths(model), "state dict": torch_weights, "calibration data": data_path(calibration)}
    if isinstance(like, str | Path):
        reads["other design"] = like
    check_outputs(reads, folders={"output": output})
    check_output(output, DESIGN, force)
    source = str(model) if isinstance(model, str | Path) else str(getattr(model, "name", "model"))
    if calibration_images is not None and calibration_images < 1:
        raise HwflowError(f"calibration needs at least one image, not {calibration_images}")
    step("loading the model")
    if isinstance(model, str | Path):
        check_model(model, torch_weights, classes, image_size)
    other = None if like is None else open_design(like)
    types = None if other is None else _types_of(other, options)
    name, drawn = _drawn(_calibration_data(source, calibration, preprocessing), calibration_images, seed)

    from hwflow.frontends.packed import rewritten

    keras_model = rewritten(_load(model, example, torch_weights, classes, image_size))
    step = _freeing(step)
    step("reading it with hls4ml")
    from hwflow.frontends.keras_agreement import measure
    from hwflow.frontends.keras_check import check, check_images
    from hwflow.frontends.keras_graph import network_graph
    from hwflow.frontends.keras_network import read_network
    from hwflow.hardening.remedies import remedies

    network = read_network(keras_model)
    graph = network_graph(network)
    network = replace(network, layers=())  # they hold all weights once more
    step("reading the calibration images")
    suit = isinstance(calibration, str | Path) and preprocessing is None
    images, read = _images(name, drawn, graph.input.shape, suit)
    step("comparing it with the Keras model")
    checked = images.first(check_images(len(images)))
    unscaled_error = check(graph, network, checked, keras_model)
    step("scaling and calibrating")
    scaled, plan = scale_graph(graph, options.scaling)
    del graph  # as large as the scaled one
    give_back()
    hardened = harden_scaled(scaled, plan, images, options, types)
    del scaled
    step("comparing the hardened network with the Keras model")
    agreement = measure(hardened.graph, network, checked, unscaled_error, remedies(options))
    step("writing the design")
    content = summary(hardened)
    content["calibration"].update({"data": name, "seed": seed, **read})
    with new_folder(output, DESIGN, force) as folder:
        write_graph(folder, hardened.graph)
        _save_keras(keras_model, folder / "model.h5")
        origin = {"source": source, "torch_weights": None if torch_weights is None else _named(Path(torch_weights))}
        taken = None if other is None else other.sha256
        about = {**origin, "like": taken, "options": describe(options), **content, "check": agreement.to_json()}
        write_manifest(folder, about, hardened.graph)
    del hardened, keras_model, network, agreement
    give_back()
    return load_design(output)


def _freeing(step: Step) -> Step:
    """The same, which gives back first what the step before has freed."""

    def freed(name: str) -> None:
        give_back()
        step(name)

    return freed


def describe(options: HardenOptions) -> dict[str, Any]:
    """Hardening options as JSON data."""
    scaling = options.scaling
    return {
        "weights": str(scaling.weight_type),
        "t": scaling.target,
        "scale": scaling.scale,
        "align": scaling.align,
        "compensation": scaling.compensation,
        "saturate": scaling.saturate,
        "granularity": scaling.granularity,
        "absorb": scaling.absorb,
        "renormalise": scaling.renormalise,
        "outliers": scaling.outliers,
        "activation_bits": options.activation_bits,
        "guard_bits": options.guard_bits,
        "headroom": options.headroom,
        "table_bits": options.table_bits,
        "rounding": options.rounding.value,
        "storage": options.storage,
        "calibrated_rounding": options.calibrated_rounding,
    }


def _types_of(like: Design, options: HardenOptions) -> Like:
    """What a network that is hardened like a design takes from it."""
    theirs: dict[str, Any] = like.manifest["options"]
    for name, value in describe(options).items():
        if theirs.get(name, ADDED.get(name)) != value:
            raise HwflowError(
                f"{like.path}: was hardened with {name} {theirs.get(name)}, not {value}; "
                "give the same options to harden a network like it"
            )
    ranges = {name: (low, high) for name, (low, high) in like.manifest["calibration"]["ranges"].items()}
    return Like(str(like.path), like.graph, ranges)


def _load(
    model: str | Path | KerasModel | TorchModule,
    example: Any,
    torch_weights: str | Path | None,
    classes: int | None,
    image_size: int | None,
) -> KerasModel:
    from hwflow.frontends.torch_network import from_module, is_module
    from hwflow.models import load_model

    if is_module(model):
        return from_module(model, example)
    if example is not None:
        raise HwflowError("an example is for a torch.nn.Module; leave it out")
    if isinstance(model, str | Path):
        return load_model(model, torch_weights, classes, image_size)
    if (torch_weights, classes, image_size) != (None, None, None):
        raise HwflowError("a Keras model brings its weights and shape; leave out torch_weights, classes and image_size")
    return model


def _named(path: Path) -> dict[str, str]:
    """A file as the manifest tells of it."""
    return {"file": path.name, "sha256": sha256_file(path)}


def _calibration_data(source: str, calibration: DataLike | None, preprocessing: str | Preprocessing | None) -> Data:
    from hwflow.data import DIGITS, as_data, open_images
    from hwflow.models import EMBEDDED

    if calibration is None:
        if source not in EMBEDDED:
            raise HwflowError(
                f"{source}: activation types need images; give --calibration {DIGITS}, an .npz or a folder of images"
            )
        calibration = DIGITS
    if isinstance(calibration, str | Path):
        return open_images(calibration, "train", preprocessing)
    if preprocessing is not None:
        raise HwflowError("preprocessing is for a folder of images that is opened here, not for data in memory")
    data = as_data(calibration, name="calibration images")
    assert not isinstance(data, str | Path)
    return data


def _drawn(data: Data, count: int | None, seed: int) -> tuple[str, ImageSet | StoredRows]:
    """What the images are called that a network is calibrated with, and these: files, or on disk, not in memory."""
    from hwflow.data import ImageSet, drawn

    if count is not None and count > len(data):
        raise HwflowError(f"{data.name} has {len(data)} images: cannot draw {count} of them to calibrate with")
    chosen = drawn(data, count or CALIBRATION_IMAGES, seed)
    return data.name, chosen if isinstance(chosen, ImageSet) else StoredRows([chosen.images])


def _images(
    name: str, drawn: ImageSet | StoredRows, shape: tuple[int, ...], suit: bool
) -> tuple[StoredRows, dict[str, Any]]:
    """The calibration images, files as the network takes them, and what the manifest tells about them."""
    from hwflow.data import ImageSet, preset_name, suited, unreadable_text

    preprocessing: str | None = None
    unreadable: list[Unreadable] = []
    if isinstance(drawn, ImageSet):
        chosen = suited(drawn, shape) if suit else drawn
        assert isinstance(chosen, ImageSet)
        preprocessing = preset_name(chosen.preprocessing)
        images = StoredRows(_decoded(chosen, shape, unreadable))
        if not len(images):
            raise HwflowError(f"{name}: {unreadable_text(unreadable, len(chosen))}")
    else:
        images = drawn
    _check_shape(name, images, shape)
    return images, {
        "preprocessing": preprocessing,
        "unreadable": [{"path": str(each.path), "reason": each.reason} for each in unreadable],
    }


def _decoded(files: ImageSet, shape: tuple[int, ...], unreadable: list[Unreadable]) -> Iterator[Float32]:
    """Some images after the other; those that cannot be decoded are added to ``unreadable``."""
    for batch in files.batches(DECODED):
        unreadable += batch.unreadable
        if len(batch):
            _check_shape(files.name, batch.images, shape)
            yield batch.images


def _check_shape(name: str, images: Rows, shape: tuple[int, ...]) -> None:
    from hwflow.data import check_shape

    try:
        check_shape(images, shape)
    except HwflowError as error:
        raise HwflowError(f"{name}: {error}") from error


def _save_keras(model: KerasModel, path: Path) -> None:
    import warnings

    import h5py

    from hwflow.files.late import Late
    from hwflow.frontends.keras_versions import save_h5

    with path.open("w+b") as target, warnings.catch_warnings():
        # Keras calls HDF5 legacy; QKeras reads nothing else back reliably.
        warnings.simplefilter("ignore", UserWarning)
        written = Late(target)
        with h5py.File(written, "w") as file:
            save_h5(model, file)
        written.check()
