"""The ports against plain PyTorch: logits, parameters, and what is said of weights that do not fit."""

import json
import os
import pickle
import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwflow.errors import HwflowError
from hwflow.frontends.keras_versions import is_keras3
from hwflow.models import CAFFE_NAMES, NETWORKS, cifar_resnet, load_torchvision, resnet18, squeezenet1_1

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from tests.unit import torch_networks  # noqa: E402  (needs torch)

# Of torchvision's own networks; of the CIFAR family as its paper counts, plus the fixed shortcuts' 2,560.
PARAMETERS = {
    "alexnet": 61_100_840,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "densenet121": 7_978_856,
    "densenet169": 14_149_480,
    "squeezenet1_1": 1_235_496,
    "resnet20": 269_722 + 2_560,
    "resnet56": 853_018 + 2_560,
}
TOLERANCE = 1e-4


def images(shape: tuple[int, ...], seed: int = 1) -> Any:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def parameters(model: Any) -> int:
    statistics = ("moving_mean", "moving_variance")
    weights = (weight for layer in model.layers for weight in layer.weights)
    return sum(int(np.prod(w.shape)) for w in weights if not w.name.split(":")[0].endswith(statistics))


def check_equal(model: Any, network: Any, x: Any) -> None:
    with torch.no_grad():
        expected = network(torch.from_numpy(x.transpose(0, 3, 1, 2).copy())).numpy()
    logits = model(x, training=False).numpy()
    assert logits.shape == expected.shape
    # Logits that hardly depend on the class would agree whatever the network computes.
    assert np.ptp(expected) > 0.5 * abs(expected).max()
    assert abs(logits - expected).max() < TOLERANCE * np.ptp(expected)


def save(network: Any, path: Path) -> Path:
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def small_torch() -> Any:
    return torch_networks.randomise(torch_networks.CifarResNet(8))


@pytest.fixture(scope="module")
def state(small_torch: Any) -> dict[str, Any]:
    return {key: tensor.numpy() for key, tensor in small_torch.state_dict().items()}


@pytest.fixture
def small() -> Any:
    return cifar_resnet(8)


# Full ImageNet size, one of each kind; the two others differ in their depth alone.
@pytest.mark.parametrize(
    "name",
    [
        name
        if name not in ("resnet34", "resnet50", "densenet121", "densenet169")
        else pytest.param(name, marks=pytest.mark.slow)
        for name in PARAMETERS
    ],
)
def test_equals_pytorch_at_full_size(name: str, tmp_path: Path) -> None:
    network = torch_networks.randomise(torch_networks.NETWORKS[name]())
    model = NETWORKS[name]()
    path = save(network, tmp_path / "weights.pth")
    load_torchvision(model, path)
    path.unlink()
    assert parameters(model) == PARAMETERS[name]
    check_equal(model, network, images((1, *model.input_shape[1:])))


@pytest.mark.parametrize(
    ("name", "size"), [("resnet18", (97, 130)), ("squeezenet1_1", (63, 76)), ("squeezenet1_1", (70, 65))]
)
def test_equals_pytorch_at_odd_sizes(name: str, size: tuple[int, int], tmp_path: Path) -> None:
    network = torch_networks.randomise(torch_networks.NETWORKS[name]())
    model = NETWORKS[name](input_shape=(*size, 3), stem="imagenet")
    load_torchvision(model, save(network, tmp_path / "weights.pth"))
    check_equal(model, network, images((2, *size, 3)))


@pytest.mark.parametrize(("size", "pooled"), [(256, 7), (415, 12)])
def test_alexnet_pools_adaptively(size: int, pooled: int, tmp_path: Path) -> None:
    network = torch_networks.randomise(torch_networks.AlexNet())
    assert network.features(torch.zeros(1, 3, size, size)).shape[2] == pooled
    model = NETWORKS["alexnet"](input_shape=(size, size, 3), width=0.0625)
    inputs = model.get_layer("avgpool").input
    pooling = type(model)(inputs, model.get_layer("avgpool").output)
    x = images((1, *inputs.shape[1:]))
    expected = network.avgpool(torch.from_numpy(x.transpose(0, 3, 1, 2))).numpy().transpose(0, 2, 3, 1)
    np.testing.assert_allclose(pooling(x), expected, atol=1e-6)


def test_cifar_form_of_resnet(tmp_path: Path) -> None:
    network = torch_networks.randomise(torch_networks.ResNet(torch_networks.Basic, (2, 2, 2, 2), 10, small=True))
    model = resnet18(input_shape=(32, 32, 3), classes=10)
    load_torchvision(model, save(network, tmp_path / "weights.pth"))
    check_equal(model, network, images((2, 32, 32, 3)))


@pytest.mark.parametrize(
    "name",
    [
        *("alexnet", "resnet18", "squeezenet1_1", "resnet20"),
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("resnet50", "densenet169")),
    ],
)
def test_forms(name: str) -> None:
    """The CIFAR form, float and quantised, is one network with one set of variables, and hls4ml parses both."""
    options = {"input_shape": (32, 32, 3), "classes": 10, "width": 0.0625}
    model, twin = (NETWORKS[name](**options, layers=layers) for layers in ("keras", "qkeras"))
    assert twin.output_shape == model.output_shape == (None, 10)
    assert [layer.name for layer in twin.layers] == [layer.name for layer in model.layers]
    assert [(w.name, w.shape) for w in twin.weights] == [(w.name, w.shape) for w in model.weights]
    kinds = {type(layer).__name__ for layer in twin.layers}
    assert {"QConv2D", "QActivation"} <= kinds
    assert not {"Conv2D", "Dense", "Activation"} & kinds
    check_hls4ml(model)
    check_hls4ml(twin)


def test_hls4ml_parses_the_imagenet_stem() -> None:
    check_hls4ml(resnet18(input_shape=(64, 64, 3), width=0.0625, stem="imagenet"))


def check_hls4ml(model: Any) -> None:
    """hls4ml's converter for Keras 2 parses the model; the one for Keras 3 is not the way that networks take."""
    if is_keras3():
        return
    from hls4ml.converters.keras_v2_to_hls import get_model_arch, parse_keras_model

    parsed, _, _, shapes = parse_keras_model(*get_model_arch({"KerasModel": model}))
    skipped = sum(type(layer).__name__ == "Dropout" for layer in model.layers)
    assert len(parsed) >= len(model.layers) - skipped
    for layer in model.layers[1:]:
        assert tuple(shapes[layer.name][1:]) == layer.output_shape[1:], layer.name


def test_quantised_form_is_on_its_grid() -> None:
    twin = cifar_resnet(8, width=0.25, layers="qkeras")
    convolution, bias = twin.get_layer("layer1_0_conv1"), twin.get_layer("linear").bias_quantizer_internal
    kernel = convolution.kernel_quantizer_internal(10 * convolution.kernel).numpy()
    np.testing.assert_array_equal(kernel * 2**5, np.rint(kernel * 2**5))
    assert 2 < abs(kernel).max() < 4
    assert (bias.bits, bias.integer) == (16, 6)
    activations = type(twin)(twin.input, twin.get_layer("relu").output)(images((1, 32, 32, 3))).numpy()
    np.testing.assert_array_equal(activations * 2**5, np.rint(activations * 2**5))
    # The zeros and ones of the fixed shortcut are on the grid, so that it stays exact.
    shortcut = twin.get_layer("layer2_0_subsample")
    np.testing.assert_array_equal(shortcut.kernel_quantizer_internal(shortcut.kernel), shortcut.kernel)


@pytest.mark.parametrize("name", ["resnet20", "densenet", "squeezenet1_1"])
def test_quantised_form_can_be_fine_tuned(name: str) -> None:
    from hwflow.models._tf import tensorflow

    tf = tensorflow()
    tf.keras.utils.set_random_seed(1)
    if name == "densenet":
        from hwflow.models._kit import Kit
        from hwflow.models.densenet import _densenet

        twin = _densenet(Kit("densenet", (16, 16, 3), 4, 0.25, "qkeras"), (2, 2), 0.25, "cifar")
    else:
        twin = NETWORKS[name](input_shape=(32, 32, 3), classes=4, width=0.25, layers="qkeras")
    x, y = images((8, *twin.input_shape[1:])), np.arange(8) % 4
    with tf.GradientTape() as tape:
        logits = twin(x, training=True)
        loss = tf.keras.losses.sparse_categorical_crossentropy(y, logits, from_logits=True)
    variables = twin.trainable_variables
    gradients = dict(zip([v.name for v in variables], tape.gradient(loss, variables), strict=True))
    assert all(gradient is not None and np.isfinite(gradient).all() for gradient in gradients.values())
    assert np.mean([abs(gradient.numpy()).max() > 0 for gradient in gradients.values()]) > 0.9
    assert not any("subsample" in variable for variable in gradients)


def test_width_scales_every_layer() -> None:
    model = resnet18(input_shape=(64, 64, 3), width=0.25, classes=7, stem="imagenet")
    channels = [layer.filters for layer in model.layers if type(layer).__name__ == "Conv2D"]
    assert sorted(set(channels)) == [16, 32, 64, 128]
    assert model.output_shape == (None, 7)


def test_option_a_is_a_fixed_convolution(small: Any) -> None:
    layer = small.get_layer("layer2_0_subsample")
    assert not layer.trainable
    x = images((1, 8, 8, 16))
    y = layer(x).numpy()
    np.testing.assert_array_equal(y[..., 8:24], x[:, ::2, ::2])
    assert not y[..., :8].any()
    assert not y[..., 24:].any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": "torch"}, "choose one of keras, qkeras"),
        ({"stem": "mnist"}, "choose one of imagenet, cifar"),
        ({"classes": 0}, "0 classes"),
        ({"width": 0}, "width of 0"),
        ({"width": float("inf")}, "width of inf"),
        ({"width": float("nan")}, "width of nan"),
        ({"input_shape": (32, 32)}, r"\(height, width, channels\), not \(32, 32\)"),
        ({"input_shape": (16, 16, 3), "stem": "imagenet"}, "16x16 pixels is too small"),
    ],
)
@pytest.mark.parametrize("name", ["alexnet", "squeezenet1_1"])
def test_bad_arguments(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(HwflowError, match=message):
        NETWORKS[name](**{"width": 0.0625, **options})


def test_bad_sizes() -> None:
    with pytest.raises(HwflowError, match=r"300x300 pixels reaches avgpool as 8x8, which does not pool to 6x6"):
        NETWORKS["alexnet"](input_shape=(300, 300, 3), width=0.0625)
    with pytest.raises(HwflowError, match="no CIFAR ResNet has 21 layers"):
        cifar_resnet(21)


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".th", ".npz", ".safetensors"])
def test_formats(suffix: str, small: Any, small_torch: Any, state: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / f"weights{suffix}"
    if suffix == ".npz":
        np.savez(path, **state)
    elif suffix == ".safetensors":
        write_safetensors(path, state)
    else:
        tensors = {f"module.{key}": value for key, value in small_torch.state_dict().items()}
        content = {"state_dict": tensors, "epoch": 3} if suffix == ".th" else tensors
        torch.save(content, path, _use_new_zipfile_serialization=suffix != ".th")
    load_torchvision(small, path)
    check_equal(small, small_torch, images((2, 32, 32, 3)))


def test_formats_of_16_bits(small: Any, state: dict[str, Any], tmp_path: Path) -> None:
    half = {key: value.astype(np.float16) for key, value in state.items()}
    np.savez(tmp_path / "half.npz", **half)
    load_torchvision(small, tmp_path / "half.npz")
    np.testing.assert_array_equal(small.get_layer("linear").kernel.numpy(), half["linear.weight"].T)
    brain = {key: torch.from_numpy(value).bfloat16() for key, value in state.items()}
    torch.save(brain, tmp_path / "brain.pth")
    upper = {key: value.view(torch.int16).numpy() for key, value in brain.items()}
    write_safetensors(tmp_path / "brain.safetensors", upper, "BF16")
    for suffix in (".pth", ".safetensors"):
        load_torchvision(small, tmp_path / f"brain{suffix}")
        expected = brain["linear.weight"].float().numpy().T
        np.testing.assert_array_equal(small.get_layer("linear").kernel.numpy(), expected)


def test_safetensors_of_its_own_library(small: Any, small_torch: Any, state: dict[str, Any], tmp_path: Path) -> None:
    library = pytest.importorskip("safetensors.numpy", reason="safetensors is not installed")
    library.save_file(state, tmp_path / "weights.safetensors", metadata={"format": "pt"})
    load_torchvision(small, tmp_path / "weights.safetensors")
    check_equal(small, small_torch, images((1, 32, 32, 3)))


def write_safetensors(path: Path, tensors: dict[str, Any], kind: str | None = None) -> None:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    data = b""
    for key, value in tensors.items():
        dtype = kind or {"f": "F", "i": "I"}[value.dtype.kind] + str(8 * value.itemsize)
        offsets = [len(data), len(data) + value.nbytes]
        header[key] = {"dtype": dtype, "shape": list(value.shape), "data_offsets": offsets}
        data += value.tobytes()
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def test_old_densenet_names(tmp_path: Path) -> None:
    from hwflow.models._kit import Kit
    from hwflow.models.densenet import _densenet

    network = torch_networks.randomise(torch_networks.DenseNet((2, 1), growth=8, classes=5))
    model = _densenet(Kit("densenet", (32, 32, 3), 5, 0.25, "keras"), (2, 1), 0.25, "imagenet")
    tensors = network.state_dict()
    for part in ("norm", "conv"):
        for number in "12":
            tensors = {key.replace(f".{part}{number}.", f".{part}.{number}."): value for key, value in tensors.items()}
    assert "features.denseblock1.denselayer1.norm.1.weight" in tensors
    torch.save(tensors, tmp_path / "weights.pth")
    load_torchvision(model, tmp_path / "weights.pth")
    check_equal(model, network, images((1, 32, 32, 3)))


def test_caffe_names(tmp_path: Path) -> None:
    model = squeezenet1_1(input_shape=(32, 32, 3), classes=5, width=0.25)
    names = {ours: caffe for caffe, ours in CAFFE_NAMES.items()}
    tensors = {}
    for layer in model.layers:
        for variable in layer.weights:
            kernel = variable.shape.rank == 4
            shape = tuple(variable.shape)
            key = f"{names[layer.name.replace('_', '.')]}.{'weight' if kernel else 'bias'}"
            tensors[key] = images((shape[3], shape[2], *shape[:2]) if kernel else shape)
    assert len(tensors) == 52
    np.savez(tmp_path / "weights.npz", **tensors)
    load_torchvision(model, tmp_path / "weights.npz", CAFFE_NAMES)
    kernel = model.get_layer("features_12_expand3x3").kernel.numpy()
    np.testing.assert_array_equal(kernel, tensors["fire9_expand3x3.weight"].transpose(2, 3, 1, 0))


def refused(model: Any, path: Path, message: str) -> None:
    before = model.get_weights()
    with pytest.raises(HwflowError) as caught:
        load_torchvision(model, path)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(new, old)


def test_other_networks(small: Any, state: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "weights.npz"
    deeper = torch_networks.CifarResNet(14).state_dict()
    np.savez(path, **deeper)
    refused(small, path, "not the weights of resnet8: it also has 'layer1.1.conv1.weight', of shape (16, 16, 3, 3)")
    np.savez(path, **torch_networks.CifarResNet(8, classes=100).state_dict())
    refused(small, path, "'linear.weight' has shape (100, 64), not (10, 64); build it with the file's classes")
    np.savez(path, **{key: value for key, value in state.items() if key != "layer2.0.bn1.running_var"})
    refused(small, path, "it lacks 'layer2.0.bn1.running_var', of shape (32,)")
    np.savez(path, **torch_networks.SqueezeNet().state_dict())
    refused(small, path, "it lacks 'conv1.weight', of shape (16, 3, 3, 3)")
    for value, message in ((np.nan, "has NaN"), (1e300, "has NaN or infinite"), (1j, "does not hold real numbers")):
        np.savez(path, **{**state, "linear.bias": np.full(10, value)})
        refused(small, path, f"'linear.bias' {message}")


def test_unusable_files(small: Any, small_torch: Any, state: dict[str, Any], tmp_path: Path) -> None:
    refused(small, tmp_path / "absent.pth", "no such weight file")
    (tmp_path / "model.onnx").write_bytes(b"")
    refused(small, tmp_path / "model.onnx", "give one of .pth")
    for suffix, message in ((".pth", "not a PyTorch"), (".npz", "not a readable"), (".safetensors", "not a readable")):
        path = tmp_path / f"bad{suffix}"
        for content in (b"", b"hello", b"\x80\x02hello", b"PK\x03\x04", b"\x02\0\0\0\0\0\0\0[]", b"\xff" * 99):
            path.write_bytes(content)
            refused(small, path, message)


@pytest.mark.parametrize("suffix", [".pth", ".th", ".npz", ".safetensors"])
def test_truncated(suffix: str, small: Any, small_torch: Any, state: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / f"weights{suffix}"
    if suffix == ".npz":
        np.savez(path, **state)
    elif suffix == ".safetensors":
        write_safetensors(path, state)
    else:
        torch.save(small_torch.state_dict(), path, _use_new_zipfile_serialization=suffix == ".pth")
    content = path.read_bytes()
    for size in (10, 100, len(content) // 2, len(content) - 100):
        path.write_bytes(content[:size])
        refused(small, path, "not a ")


class _Malice:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def test_pickle_that_wants_to_run_code(small: Any, tmp_path: Path) -> None:
    path, made = tmp_path / "weights.pth", tmp_path / "made"
    torch.save({"conv1.weight": _Malice(made)}, path)
    refused(small, path, "holds Python objects, which loading would run")
    path.write_bytes(pickle.dumps(_Malice(made), protocol=2))
    refused(small, path, "holds Python objects, which loading would run")
    path.write_bytes(pickle.dumps(_Malice(made)))
    refused(small, path, "not a PyTorch state dict")
    np.savez(tmp_path / "weights.npz", **{"conv1.weight": np.array([_Malice(made)], object)})
    refused(small, tmp_path / "weights.npz", "not a readable .npz")
    assert not made.exists()


def test_no_state_dict(small: Any, small_torch: Any, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    for content, message in (
        (torch.zeros(3), "holds a Tensor, not a state dict"),
        ({"optimizer": {}}, "'optimizer' is not a dense tensor"),
        ({1: torch.zeros(3)}, "not a state dict"),
        ({}, "it lacks 'conv1.weight'"),
    ):
        torch.save(content, path)
        refused(small, path, message)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save(small_torch, path)
    refused(small, path, "holds Python objects")


def test_network_that_torchvision_lacks(state: dict[str, Any], tmp_path: Path) -> None:
    from hwflow.models._tf import tensorflow

    keras = tensorflow().keras
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.DepthwiseConv2D(3, name="depthwise")])
    np.savez(tmp_path / "weights.npz", **state)
    with pytest.raises(HwflowError, match="layer 'depthwise' with a 'depthwise_kernel' is none of torchvision's"):
        load_torchvision(model, tmp_path / "weights.npz")
