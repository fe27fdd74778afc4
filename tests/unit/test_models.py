import gc
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwflow.data import load_digits
from hwflow.errors import HwflowError
from hwflow.frontends.keras_versions import is_keras3
from hwflow.models import EMBEDDED, WEIGHTS, digits_qcnn, embedded, load_model
from hwflow.models._tf import tensorflow
from hwflow.models._weights import load_weights, save_weights
from tests.unit.crafted import save_weights_file

KERNELS = {
    "conv1": (3, 3, 1, 8),
    "block1_conv1": (3, 3, 8, 16),
    "block1_conv2": (3, 3, 16, 16),
    "block1_shortcut": (1, 1, 8, 16),
    "block2_conv1": (3, 3, 16, 16),
    "block2_conv2": (3, 3, 16, 16),
    "logits": (16, 10),
}


@pytest.fixture(scope="module")
def networks() -> dict[str, Any]:
    return {name: embedded(name) for name in EMBEDDED}


@pytest.fixture(params=EMBEDDED)
def network(request: pytest.FixtureRequest, networks: dict[str, Any]) -> Any:
    return networks[request.param]


def logits(model: Any, count: int = 500, batch: int = 500) -> Any:
    return model.predict(load_digits().images[:count], batch_size=batch, verbose=0)


def test_importing_models_is_quick() -> None:
    code = "import sys, hwflow.models, hwflow.data; print(*{'tensorflow', 'sklearn'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not done.stdout.split()


def test_accuracy(network: Any) -> None:
    labels = load_digits().labels
    assert (logits(network).argmax(-1) == labels).sum() > 0.97 * 500


def test_topology(network: Any) -> None:
    kernels = {layer.name: layer.kernel.shape for layer in network.layers if hasattr(layer, "kernel")}
    assert kernels == KERNELS
    assert network.input_shape == (None, 8, 8, 1)
    assert network.output_shape == (None, 10)
    assert tuple(network.get_layer("block1_add").output.shape) == (None, 2, 2, 16)
    kinds = [layer.__class__.__name__ for layer in network.layers]
    assert kinds.count("BatchNormalization") == (6 if network.name == "digits_cnn" else 0)


def test_weights_are_small() -> None:
    assert sum(file.stat().st_size for file in WEIGHTS.iterdir()) < 300_000


def test_twin_weights_are_on_their_grid(networks: dict[str, Any]) -> None:
    for name in KERNELS:
        kernel, bias = networks["digits_qcnn"].get_layer(name).get_weights()
        codes, bias_codes = kernel * 2**5, bias * 2**9
        np.testing.assert_array_equal(codes, np.rint(codes))
        np.testing.assert_array_equal(bias_codes, np.rint(bias_codes))
        assert 0 < abs(codes).max() <= 127
        assert abs(bias_codes).max() < 2**15


def test_twin_is_computed_exactly(networks: dict[str, Any]) -> None:
    # 5 fraction bits of the last ReLU, 2 of the mean of 4, 5 of the weights: anything rounded would show.
    twin = networks["digits_qcnn"]
    codes = logits(twin, 100) * 2**12
    np.testing.assert_array_equal(codes, np.rint(codes))
    np.testing.assert_array_equal(codes, logits(twin, 100, batch=7) * 2**12)


def test_hls4ml_takes_it(network: Any, tmp_path: Path) -> None:
    import hls4ml

    if is_keras3() and network.name == "digits_qcnn":
        pytest.skip("hls4ml's converter for Keras 3 knows no QKeras")
    config = hls4ml.utils.config_from_keras_model(network, granularity="name", backend="Vitis")
    graph = hls4ml.converters.convert_from_keras_model(
        network, backend="Vitis", io_type="io_stream", hls_config=config, output_dir=str(tmp_path)
    )
    kinds = [node.class_name for node in graph.get_layers()]
    assert kinds.count("Conv2D") == 5
    assert kinds.count("PointwiseConv2D") == 1
    assert kinds.count("Merge") == 2
    assert not {"BatchNormalization", "ApplyAlpha"} & set(kinds)


@pytest.mark.parametrize("suffix", [".h5", ".keras", "_weights.h5", ".weights.h5"])
def test_load_model_round_trip(network: Any, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"mine{suffix}"
    if "weights" in suffix:
        save_weights_file(network, path)
        path = tmp_path / "mine.json"
        path.write_text(network.to_json())
    else:
        network.save(path)
    loaded = load_model(path)
    assert [layer.name for layer in loaded.layers] == [layer.name for layer in network.layers]
    np.testing.assert_array_equal(logits(loaded, 20), logits(network, 20))


def test_load_model_by_name(network: Any) -> None:
    np.testing.assert_array_equal(logits(load_model(network.name), 20), logits(network, 20))


def test_unknown_names() -> None:
    with pytest.raises(HwflowError, match="choose one of digits_cnn, digits_qcnn"):
        embedded("digits_rnn")
    with pytest.raises(HwflowError, match="neither a file nor an embedded network"):
        load_model("digits_rnn")


def test_unusable_files(tmp_path: Path) -> None:
    _refuses(tmp_path / "absent.h5", "no such model file")
    _refuses(tmp_path, "not a model file")
    (tmp_path / "model.pb").write_bytes(b"")
    _refuses(tmp_path / "model.pb", "not a model file; give one of .h5")
    for suffix in (".h5", ".keras", ".json"):
        (tmp_path / "bad_weights.h5").write_bytes(b"hello")
        path = tmp_path / f"bad{suffix}"
        for content in (b"", b"hello", b"\x80\xff", b'{"class_name": "Nothing"}', b"[]", b"{}", b"3"):
            path.write_bytes(content)
            _refuses(path, "cannot load the model")


def test_truncated_h5(networks: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    networks["digits_cnn"].save(path)
    content = path.read_bytes()
    for part in (3, 10, 100):
        path.write_bytes(content[: -len(content) // part])
        _refuses(path, "cannot load the model")


def test_weights_without_architecture(networks: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    save_weights_file(networks["digits_cnn"], path)
    _refuses(path, "holds weights only")


def test_json_and_its_weights(networks: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_text(networks["digits_cnn"].to_json())
    _refuses(path, "put model_weights.h5 beside it")
    (tmp_path / "model_weights.h5").write_bytes(b"hello")
    with pytest.raises(HwflowError, match=r"model_weights\.h5: not the weights of model\.json"):
        load_model(path)
    save_weights_file(networks["digits_qcnn"], tmp_path / "model_weights.h5")
    with pytest.raises(HwflowError, match=r"not the weights of|weights are missing from"):
        load_model(path)


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_lambda_is_not_run(tmp_path: Path, suffix: str) -> None:
    keras = tensorflow().keras
    path = tmp_path / f"model{suffix}"
    keras.Sequential([keras.Input((2,)), keras.layers.Lambda(lambda x: x + 1)]).save(path)
    _refuses(path, "a Lambda layer is Python code")


def test_unknown_layer(tmp_path: Path) -> None:
    keras = tensorflow().keras

    class Mystery(keras.layers.Layer):  # type: ignore[misc,name-defined]  # Keras has no type stubs
        pass

    path = tmp_path / "model.h5"
    keras.Sequential([keras.Input((2,)), Mystery()]).save(path)
    _refuses(path, "Mystery")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers(tmp_path: Path, value: float) -> None:
    keras = tensorflow().keras
    good, bad = keras.layers.Dense(3, name="good"), keras.layers.Dense(1, name="bad")
    model = keras.Sequential([keras.Input((2,)), good, bad])
    bad.kernel.assign(np.full((3, 1), value))
    model.save(tmp_path / "model.h5")
    _refuses(tmp_path / "model.h5", "layer 'bad' has NaN or infinite weights")


def test_weight_file(tmp_path: Path) -> None:
    path = tmp_path / "twin.npz"
    model = digits_qcnn()
    with pytest.raises(HwflowError, match=r"twin\.npz: not a readable \.npz"):
        load_weights(model, path)
    save_weights(model, path)
    first = path.read_bytes()
    save_weights(model, path)
    assert path.read_bytes() == first
    load_weights(model, path)
    arrays = dict(np.load(path))
    np.savez(path, **{key: value for key, value in arrays.items() if key != "conv1/bias"})
    with pytest.raises(HwflowError, match="'conv1/bias' is only in one of them"):
        load_weights(model, path)
    np.savez(path, **{**arrays, "conv1/bias": np.zeros(3, np.float32)})
    with pytest.raises(HwflowError, match=r"'conv1/bias' has shape \(3,\), not \(8,\)"):
        load_weights(model, path)


def test_damaged_weight_file_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "twin.npz"
    np.savez(path, x=np.zeros(100))
    content = path.read_bytes()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        for damaged in (content[:-40], b"PK\x03\x04", b"hello", b""):
            path.write_bytes(damaged)
            with pytest.raises(HwflowError, match=r"twin\.npz: not a readable \.npz"):
                load_weights(digits_qcnn(), path)
        gc.collect()
    assert not [warning for warning in caught if issubclass(warning.category, ResourceWarning)]
    np.save(tmp_path / "array.npy", np.zeros(3))
    with pytest.raises(HwflowError, match="a single array"):
        load_weights(digits_qcnn(), tmp_path / "array.npy")


def _refuses(path: Path, message: str) -> None:
    with pytest.raises(HwflowError) as caught:
        load_model(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
