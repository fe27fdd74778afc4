"""What hardening holds: a network's weights where Keras has them, and not in float64 beside it."""

from __future__ import annotations

import io
import pickle
import resource
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import PIL.Image
import pytest

import hwflow
from hwflow import optional
from hwflow.data import UNCHANGED, Dataset, ImageSet
from hwflow.errors import HwflowError
from hwflow.files.late import Late
from hwflow.frontends import keras_network
from hwflow.frontends.handed import Handed
from hwflow.frontends.keras_graph import read_keras
from hwflow.frontends.keras_versions import assign
from hwflow.graph import Constant, Conv2D, Derived, Graph, Window
from hwflow.graph.windows import patches
from hwflow.hardening import ScalingOptions
from hwflow.hardening.plan import scale_graph
from hwflow.models._tf import keras, qkeras
from hwflow.optional import leave_out, without
from hwflow.reference import real
from hwflow.reference.real import evaluate
from hwflow.stages.harden import DECODED, _images, _save_keras

CHANNELS, LAYERS = 512, 10


def as_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hand hls4ml arrays of float64, as if there were no other way."""
    monkeypatch.setattr(keras_network, "Handed", lambda constant: constant.values)


def mixed() -> Any:
    """Convolutions with batch normalisation, which hls4ml multiplies into weights, or cannot, and dense layers."""
    layers = keras().layers
    x = layers.Input((8, 8, 3))
    y = layers.Conv2D(6, 3, use_bias=False)(x)
    y = layers.ReLU()(layers.BatchNormalization()(y))
    z = layers.BatchNormalization()(layers.Conv2D(6, 1)(y))
    y = layers.Add()([z, layers.BatchNormalization()(y)])
    y = layers.BatchNormalization()(layers.DepthwiseConv2D(3)(y))
    y = layers.BatchNormalization()(layers.Dense(5)(layers.Flatten()(y)))
    model = keras().Model(x, layers.Dense(3)(y))
    return random_weights(model)


def quantised() -> Any:
    """A network of QKeras, whose weights are what its quantisers make of them."""
    layers, q = keras().layers, qkeras()
    x = layers.Input((8, 8, 3))
    y = q.QConv2D(4, 3, kernel_quantizer=q.quantized_bits(6, 0, alpha=1), name="conv")(x)
    y = layers.BatchNormalization(name="norm")(y)
    y = q.QDense(3, kernel_quantizer=q.quantized_bits(4, 0, alpha=1), name="dense")(layers.Flatten()(y))
    return random_weights(keras().Model(x, y))


def random_weights(model: Any) -> Any:
    rng = np.random.default_rng(3)
    model.set_weights([rng.uniform(0.1, 1, each.shape) for each in model.get_weights()])
    return model


def test_a_derived_constant_has_the_values_of_one_that_is_kept() -> None:
    rng = np.random.default_rng(0)
    array = rng.normal(size=(3, 3, 5, 7)).astype(np.float32)
    kept: Constant = Constant(array.astype(np.float64))
    derived: Constant = Derived(array)
    for factors in (rng.normal(size=7), rng.normal(size=()), rng.normal(size=(5, 1))):
        kept, derived = kept.times(factors), derived.times(factors)
        kept, derived = kept.over(factors / 3), derived.over(factors / 3)
        np.testing.assert_array_equal(derived.values, kept.values)
    assert isinstance(derived, Derived)
    assert derived.array is array
    assert derived.values.dtype == np.float64
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(derived)).values, kept.values)


def test_handed_weights_are_an_array_to_whoever_asks() -> None:
    array = np.arange(-6, 6, dtype=np.float32).reshape(3, 4)
    handed: Any = Handed(Derived(array))
    scale = np.array([1.0, 2.0, 0.1, 3.0])
    product: Any = scale * handed
    assert isinstance(product, Handed)
    np.testing.assert_array_equal(product, scale * array.astype(np.float64))
    assert (handed == array).all()
    assert (np.count_nonzero(handed), np.min(handed), (handed + 1).max()) == (11, -6, 6)
    assert (handed.reshape(-1)[:2] == [-6, -5]).all()
    assert (np.ones((2, 3, 4)) * handed).shape == (2, 3, 4)  # of another shape: an array


@pytest.mark.parametrize("build", [mixed, quantised])
def test_graphs_are_those_of_arrays(build: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = build()
    graph = read_keras(model)
    assert sum(isinstance(layer.weight, Derived) for layer in graph.weight_layers) >= 2
    options = [ScalingOptions(), ScalingOptions(granularity="channel", absorb=True, scale="pow2")]
    scaled = [scale_graph(graph, each)[0].digest for each in options]
    as_arrays(monkeypatch)
    other = read_keras(model)
    assert not any(isinstance(layer.weight, Derived) for layer in other.weight_layers)
    assert graph.digest == other.digest
    assert scaled == [scale_graph(other, each)[0].digest for each in options]


def test_a_graph_stays_as_it_was_when_the_model_changes() -> None:
    model = mixed()
    graph = read_keras(model)
    before = graph.digest
    model.set_weights([each + 1 for each in model.get_weights()])
    for variable in model.weights:
        variable.assign(variable * 2)
    middle = read_keras(model)
    kept = [layer.weight.values for layer in middle.weight_layers]
    for variable in model.weights:
        assign(variable, np.zeros(variable.shape))
    for layer, values in zip(middle.weight_layers, kept, strict=True):
        np.testing.assert_array_equal(layer.weight.values, values)
    data, arrays = graph.to_dict()
    assert Graph.from_dict(data, arrays).digest == before
    assert read_keras(model).digest != before


def traced(model: Any, output: Path, calibration: Dataset) -> dict[str, int]:
    """The most bytes that hardening holds in every stage, by name; what TensorFlow itself holds does not count."""
    peaks: dict[str, int] = {}
    stage = "start"

    def step(name: str) -> None:
        nonlocal stage
        peaks[stage] = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        stage = name

    tracemalloc.start()
    try:
        hwflow.harden(model, output, calibration=calibration, calibration_images=len(calibration) - 1, step=step)
        step("end")
    finally:
        tracemalloc.stop()
    return peaks


def test_hardening_holds_no_copy_of_the_weights(tmp_path: Path) -> None:
    """Some arrays of one layer at a time, and in the end the codes."""
    layers = keras().layers
    x = y = layers.Input((2, 2, CHANNELS))
    for _ in range(LAYERS):
        y = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(CHANNELS, 1, use_bias=False)(y)))
    model = random_weights(keras().Model(x, layers.Dense(2)(layers.Flatten()(y))))
    images = np.random.default_rng(0).normal(size=(4, 2, 2, CHANNELS)).astype(np.float32)
    peaks = traced(model, tmp_path / "design", Dataset("noise", images, None))
    layer, whole = 8 * CHANNELS**2, 8 * CHANNELS**2 * LAYERS  # in float64
    assert max(peaks.values()) < whole
    assert peaks["reading it with hls4ml"] < 3 * layer
    assert peaks["comparing it with the Keras model"] < 4 * layer
    assert peaks["scaling and calibrating"] < whole / 8 + 6 * layer
    assert peaks["writing the design"] < 3 * whole / 8 + 3 * layer


def test_hardening_holds_a_batch_of_the_images(tmp_path: Path) -> None:
    layers = keras().layers
    x = layers.Input((64, 64, 3))
    model = random_weights(keras().Model(x, layers.Flatten()(layers.Conv2D(2, 16, strides=16)(x))))
    images = np.random.default_rng(0).normal(size=(801, 64, 64, 3)).astype(np.float32)
    peaks = traced(model, tmp_path / "design", Dataset("noise", images, None))
    del peaks["start"], peaks["loading the model"]  # there they are drawn, and put on disk
    assert len(peaks) == 6
    assert max(peaks.values()) < images.nbytes


def test_images_of_a_folder_are_decoded_some_at_a_time(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    files = [tmp_path / f"{number:03}.png" for number in range(2 * DECODED + 3)]
    for file in files:
        PIL.Image.fromarray(rng.integers(0, 256, (6, 5, 3), dtype=np.uint8)).save(file)
    whole = ImageSet("folder", tuple(files), None, preprocessing=UNCHANGED).load().images
    broken = DECODED + 1
    files[broken].write_bytes(b"no image")
    some = ImageSet("folder", tuple(files), None, preprocessing=UNCHANGED)
    found, about = _images("folder", some, (6, 5, 3), suit=False)
    np.testing.assert_array_equal(found[:], np.delete(whole, broken, axis=0))
    assert [each["path"] for each in about["unreadable"]] == [str(files[broken])]
    with pytest.raises(HwflowError, match=r"folder: the data has shape \(32, 6, 5, 3\)"):
        _images("folder", some, (5, 5, 3), suit=False)
    for file in files:
        file.write_bytes(b"no image")
    with pytest.raises(HwflowError, match=f"folder: {len(files)} of {len(files)} images cannot be decoded"):
        _images("folder", some, (6, 5, 3), suit=False)


def test_patches_are_made_of_some_images_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as fit, at the least one, with the same sums."""
    rng = np.random.default_rng(0)
    window = Window(kernel=(3, 3), strides=(2, 1), padding=(1, 0, 1, 2))
    weight, bias = (Constant(rng.integers(-9, 9, shape).astype(float)) for shape in ((3, 3, 4, 5), (5,)))
    node = Conv2D(name="conv", inputs=("input",), shape=(4, 9, 5), weight=weight, bias=bias, window=window)
    x = rng.integers(-9, 9, (7, 8, 8, 4)).astype(float)
    whole = evaluate(node, [x])
    sizes: list[int] = []
    monkeypatch.setattr(real, "patches", lambda images, of: sizes.append(len(images)) or patches(images, of))
    for elements in (1, 3 * node.vectors * node.n_in + 1):
        monkeypatch.setattr(real, "PATCH_ELEMENTS", elements)
        np.testing.assert_array_equal(evaluate(node, [x]), whole)
    assert sizes == [1] * 7 + [3, 3, 1]


def test_a_library_imports_nothing_that_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "taken_along.py").write_text("")
    (tmp_path / "there_already.py").write_text("")
    (tmp_path / "a_library.py").write_text(
        "import there_already\ntry:\n    import taken_along\nexcept ImportError:\n    taken_along = None\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(optional, "_left_out", set())
    import there_already  # type: ignore[import-not-found]

    leave_out("taken_along", "there_already")
    with without():
        import a_library  # type: ignore[import-not-found]
    assert a_library.taken_along is None
    assert a_library.there_already is there_already
    import taken_along  # type: ignore[import-not-found]

    assert taken_along.__name__ == "taken_along"


def test_the_command_leaves_out_pandas_and_a_function_does_not() -> None:
    script = (
        "import sys; sys.argv = ['hwflow', '--version']; from hwflow.cli import main; import hwflow.optional as o\n"
        "main(['--version']); print(o._left_out); main(); print(o._left_out)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[1::2] == ["set()", "{'pandas'}"]


def test_a_model_is_written_where_there_is_room(tmp_path: Path) -> None:
    """Where there is not, it is an error as any other; HDF5 by itself would end the process."""
    model = mixed()
    _save_keras(model, tmp_path / "model.h5")
    size = (tmp_path / "model.h5").stat().st_size
    with h5py.File(tmp_path / "model.h5") as file:
        assert "model_weights" in file
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            _save_keras(model, tmp_path / "large.h5")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_late_file_tells_its_first_error() -> None:
    class Full(io.BytesIO):
        def write(self, data: Any) -> int:
            raise OSError(28, f"no space for {bytes(data)!r}")

    late = Late(Full())
    assert (late.write(b"one"), late.write(b"second"), late.seek(5), late.truncate(9)) == (3, 6, 5, 9)
    with pytest.raises(OSError, match="no space for b'one'"):
        late.check()
