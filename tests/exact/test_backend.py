"""hls4ml's backend ``hwflow``: its RTL gives what hls4ml's own types say, bit for bit, or the layer is refused."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import hls4ml
import keras
import numpy as np
import pytest
from hls4ml.backends.backend import get_available_backends, register_backend
from hls4ml.writer.writers import register_writer
from keras import layers

import hwflow
from hwflow.backend import NAME, register
from hwflow.backend.report import resources
from hwflow.data import load_digits
from hwflow.errors import HwflowError
from hwflow.models import load_model
from hwflow.reference import IntegerExecutor
from tests.unit.test_rtl_lint import ROOT


@pytest.fixture(scope="module", autouse=True)
def registered() -> None:
    """The backend, also where hwflow is on the path without being installed."""
    if NAME not in get_available_backends():
        register(register_backend, register_writer)


def configured(model: Any, reuse: int = 1, **precision: dict[str, str]) -> dict[str, Any]:
    config = hls4ml.utils.config_from_keras_model(model, granularity="name", backend=NAME)
    for name, settings in config["LayerName"].items():
        settings["ReuseFactor"] = reuse
        settings["Precision"] |= precision.get(name, {})
    return dict(config)


@pytest.mark.filterwarnings("ignore:the nearest valid ReuseFactor")
def convert(model: Any, config: dict[str, Any], output: Path, backend: str = NAME, **options: Any) -> Any:
    return hls4ml.converters.convert_from_keras_model(
        model, hls_config=config, output_dir=str(output), backend=backend, **options
    )


def reference(hls_model: Any, x: np.ndarray) -> np.ndarray:
    graph = hls_model.hwflow_rtl.graph
    codes = IntegerExecutor(graph).run(graph.input.resolved.encode(x.astype(np.float64)))
    return np.asarray(graph.output.resolved.decode(codes).reshape(len(x), -1))


def seeded(model: Any) -> Any:
    """A model with weights of size one and batch norms that do something."""
    rng = np.random.default_rng(1)
    for layer in model.layers:
        layer.set_weights([rng.uniform(0.3, 1.0, each.shape) * rng.choice([-1, 1], each.shape) if each.ndim > 1
                           else rng.uniform(0.3, 1.0, each.shape) for each in layer.get_weights()])  # fmt: skip
    return model


def small() -> Any:
    image = keras.Input((6, 6, 2), name="image")
    x = layers.Conv2D(3, 3, padding="same", name="first")(image)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.Activation("relu", name="relu")(x)
    y = layers.Conv2D(3, 1, name="second")(x)
    x = layers.Add(name="add")([x, y])
    x = layers.Concatenate(name="both")([x, y])
    x = layers.MaxPooling2D(2, name="pool")(x)
    x = layers.AveragePooling2D(3, name="average")(x)
    x = layers.Flatten(name="flat")(x)
    return seeded(keras.Model(image, layers.Dense(4, name="logits")(x), name="small"))


def tiny() -> Any:
    image = keras.Input((4, 4, 1), name="image")
    x = layers.Flatten(name="flat")(layers.Conv2D(2, 3, activation="relu", name="first")(image))
    return seeded(keras.Model(image, layers.Dense(3, name="logits")(x), name="tiny"))


RUN = [
    pytest.param(tiny, lambda: np.random.default_rng(2).random((64, 4, 4, 1), np.float32), 18, id="tiny"),
    pytest.param(
        lambda: load_model("digits_cnn"),
        lambda: load_digits("test").images[:64],
        288,
        id="digits",
        marks=pytest.mark.slow,
    ),
]


@pytest.mark.filterwarnings("ignore:the nearest valid ReuseFactor")
@pytest.mark.parametrize(("make", "images", "reuse"), RUN)
def test_the_rtl_gives_the_reference_and_nearly_keras(make: Any, images: Any, reuse: int, tmp_path: Path) -> None:
    keras_model, x = make(), images()
    config = configured(keras_model, reuse)
    config["Model"]["Hardening"] = {"Calibration": x}
    hls_model = convert(keras_model, config, tmp_path / "out")
    x = x[:3]
    with pytest.raises(HwflowError, match=r"not compiled; call compile"):
        hls_model.predict(x)
    hls_model.compile()
    outputs = hls_model.predict(x)
    assert outputs.dtype == x.dtype
    np.testing.assert_array_equal(outputs, reference(hls_model, x).astype(np.float32))
    expected = np.asarray(keras_model.predict(x, verbose=0))
    assert np.abs(outputs - expected).max() < 0.02 * np.ptp(expected)
    np.testing.assert_array_equal(hls_model.predict(x[0].astype(np.float64)), outputs[0])
    with pytest.raises(HwflowError, match="float32 or float64"):
        hls_model.predict(x.astype(int))
    with pytest.raises(HwflowError, match=r"images of shape \(\d, \d, 1\)"):
        hls_model.predict(x[:, :3, :3])
    assert (tmp_path / "out" / "rtl" / f"{keras_model.name}.sv").is_file()
    assert f"ReuseFactor: {reuse}" in (tmp_path / "out" / "hls4ml_config.yml").read_text()


@pytest.mark.filterwarnings("ignore:the nearest valid ReuseFactor")
@pytest.mark.parametrize("multiplier", [1, 2])
@pytest.mark.parametrize("rows", [False, True])
def test_batch_norms_are_fused_into_depthwise_layers(multiplier: int, rows: bool, tmp_path: Path) -> None:
    """In hls4ml's own shape of the weights a scale would multiply those of other channels, or none."""
    image = keras.Input((6, 2) if rows else (6, 5, 2), name="image")
    kind = layers.DepthwiseConv1D if rows else layers.DepthwiseConv2D
    x = kind(3, depth_multiplier=multiplier, name="own")(image)
    x = layers.BatchNormalization(name="norm")(x)
    model = seeded(keras.Model(image, x, name="depthwise"))
    converted = convert(model, configured(model), tmp_path / "out")
    assert "norm" not in converted.graph
    x = np.random.default_rng(2).uniform(-1, 1, (20, *model.input_shape[1:])).astype(np.float32)
    expected = np.asarray(model.predict(x, verbose=0)).reshape(20, -1)
    assert np.abs(reference(converted, x) - expected).max() < 0.02 * np.ptp(expected)


TYPES = {
    "plain": {"both": {"result": "ap_fixed<24,10>"}},
    "odd": {
        "image": {"result": "ap_fixed<9,2,AP_RND,AP_SAT>"},
        "first": {"weight": "ap_fixed<6,2>", "bias": "ap_ufixed<5,1>", "result": "ap_fixed<11,5,AP_RND_CONV>"},
        "norm": {"scale": "ap_ufixed<7,2>", "result": "ap_fixed<10,5,AP_RND,AP_SAT_SYM>"},
        "relu": {"result": "ap_ufixed<7,3,AP_TRN,AP_SAT>"},
        "second": {"weight": "ap_ufixed<5,1>", "bias": "ap_fixed<9,2>", "result": "ap_fixed<8,4,AP_TRN_ZERO,AP_WRAP>"},
        "add": {"result": "ap_fixed<9,5,AP_RND_INF,AP_SAT>"},
        "both": {"result": "ap_fixed<10,6>"},
        "average": {"accum": "ap_fixed<16,10>", "result": "ap_fixed<12,6>"},
        "logits": {"result": "ap_fixed<16,8>"},
    },
}


@pytest.mark.filterwarnings("ignore:the nearest valid ReuseFactor")
@pytest.mark.parametrize("types", TYPES.values(), ids=TYPES)
def test_types_of_the_configuration_are_those_of_hls4mls_c_simulation(types: dict[str, Any], tmp_path: Path) -> None:
    model = small()
    average = {"average": {"accum": "ap_fixed<48,24>"}} | types
    config = configured(model, **average)
    ours = convert(model, config, tmp_path / "ours")
    theirs = convert(model, config, tmp_path / "theirs", backend="Vitis", io_type="io_stream")
    rng = np.random.default_rng(0)
    x = rng.uniform(-4, 4, (20, 6, 6, 2)).astype(np.float32)
    expected = np.asarray(hwflow.emulate(theirs).predict(x)).reshape(20, -1)
    assert len(np.unique(expected)) > 20
    np.testing.assert_array_equal(reference(ours, x).astype(np.float32), expected)


def test_a_reuse_factor_that_is_not_valid_is_replaced_and_said(tmp_path: Path) -> None:
    model = small()
    config = configured(model, 5, average={"accum": "ap_fixed<48,24>"})
    with pytest.warns(UserWarning, match="nearest valid ReuseFactor is used: first 3 instead of 5"):
        hls_model = convert(model, config, tmp_path)
    assert hls_model.hwflow_rtl.reuse["first"] == 3


def test_a_network_that_ends_in_a_softmax_ends_at_its_logits(tmp_path: Path) -> None:
    x = keras.Input((4,), name="x")
    model = keras.Model(x, layers.Activation("softmax", name="soft")(layers.Dense(3, name="logits")(x)), name="net")
    with pytest.warns(UserWarning, match="no softmax: it ends at the logits"):
        hls_model = convert(model, configured(model), tmp_path)
    assert hls_model.hwflow_rtl.graph.output.name == "logits"


def one(*between: Any, shape: tuple[int, ...] = (6, 6, 2)) -> Any:
    x = image = keras.Input(shape, name="image")
    for layer in between:
        x = layer(x)
    return seeded(keras.Model(image, x, name="one"))


REFUSED = {
    "activation": (lambda: one(layers.Activation("tanh", name="odd")), {}, "odd: the activation 'tanh' is not supp"),
    "upsampling": (lambda: one(layers.UpSampling2D(interpolation="bilinear", name="odd")), {}, "odd: "),
    "recurrent": (lambda: one(layers.LSTM(3, name="odd"), shape=(4, 3)), {}, "odd: "),
    "softmax": (
        lambda: one(layers.Flatten(), layers.Dense(3), layers.Softmax(name="odd"), layers.Dense(2)),
        {},
        "odd: the RTL has no Softmax",
    ),
    "limit": (
        lambda: one(layers.Conv2D(2, 1), layers.ReLU(6.0, name="odd")),
        {},
        "odd: |Only ReLU with max_value=None",  # hls4ml itself refuses it with Keras 3
    ),
    "accum": (
        lambda: one(layers.Conv2D(2, 3, name="odd")),
        {"odd": {"accum": "ap_fixed<16,6>"}},
        "odd: accum_t ap_fixed<16,6> may",
    ),
    "global average": (
        lambda: one(layers.GlobalAveragePooling2D(name="odd")),
        {},
        r"odd: accum_t .* set it to ap_fixed<22,12>",
    ),
    "maximum": (
        lambda: one(layers.MaxPooling2D(name="odd")),
        {"odd": {"result": "ap_fixed<8,6>"}},
        "odd: result_t ap_fixed<8,6> is not",
    ),
    "bias": (
        lambda: one(layers.Conv2D(2, 1, name="odd")),
        {"image": {"result": "ap_fixed<8,6>"}, "odd": {"weight": "ap_fixed<8,6>", "bias": "ap_fixed<16,4>"}},
        "odd: its bias has 12 fraction bits, but a product of input and weight only 4",
    ),
}


@pytest.mark.filterwarnings("ignore:the nearest valid ReuseFactor")
@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_what_the_rtl_lacks_is_refused_by_layer(case: tuple[Any, Any, str], tmp_path: Path) -> None:
    make, types, message = case
    model = make()
    with pytest.raises(Exception, match=message) as refusal:
        convert(model, configured(model, **types), tmp_path / "out")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"io_type": "io_parallel"}, "io_type='io_parallel'"), ({"clock_uncertainty": "20%"}, "clock_uncertainty='20%'")],
)
def test_options_without_effect_are_refused(options: dict[str, str], message: str, tmp_path: Path) -> None:
    model = small()
    with pytest.raises(HwflowError, match=message):
        convert(model, configured(model), tmp_path, **options)


def test_types_that_hardening_chooses_otherwise_are_refused(tmp_path: Path) -> None:
    model = one(layers.Conv2D(2, 1, name="odd"))
    config = configured(model, odd={"result": "ap_fixed<9,2>"})
    config["Model"]["Hardening"] = {"Calibration": np.random.default_rng(0).random((4, 6, 6, 2), np.float32)}
    with pytest.raises(HwflowError, match=r"odd: result ap_fixed<9,2> is not the ap_fixed.* that Hardening chooses"):
        convert(model, config, tmp_path)


def test_files_of_others_are_not_written_over(tmp_path: Path) -> None:
    x = keras.Input((4,), name="x")
    model = keras.Model(x, layers.Dense(3, name="logits")(x), name="net")
    hls_model = convert(model, configured(model), tmp_path / "out")
    hls_model.write()
    hls_model.write()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(HwflowError, match=r"mine\.txt"):
        hls_model.write()


def test_yosys_reports_in_hls4mls_form(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    x = keras.Input((4,), name="x")
    model = seeded(keras.Model(x, layers.Dense(3, name="logits")(x), name="net"))
    hls_model = convert(model, configured(model, 12), tmp_path / "out")
    report = hls_model.build(timing=False)
    counts = {name: int(count) for name, count in report["VivadoSynthReport"].items()}
    assert counts.keys() == {"LUT", "FF", "BRAM_18K", "URAM", "DSP48E"}
    assert counts["LUT"] > 50
    assert counts["FF"] > 50
    assert counts["DSP48E"] >= 1
    assert report["HwflowReport"]["CyclesPerImage"] == 12
    hls4ml.report.vivado_report._print_str_report(report)  # what print_vivado_report does outside a notebook
    assert report["VivadoSynthReport"]["LUT"] in capsys.readouterr().out


def test_cells_are_counted_once() -> None:
    cells = {"LUT6": 5, "LUT1": 2, "INV": 1, "SRL16E": 4, "RAM64M8": 3, "FDRE": 7, "FDSE": 1, "CARRY4": 9, "MUXF7": 2}
    blocks = {"RAMB36E2": 2, "RAMB18E2": 1, "DSP48E2": 6, "URAM288": 3, "BUFG": 1}
    assert resources(cells | blocks) == {"LUT": 36, "FF": 8, "BRAM_18K": 5, "URAM": 3, "DSP48E": 6}


def test_installing_registers_the_writer_before_the_backend() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["hls4ml.backends"] == {NAME: "hwflow.backend:register"}
    order: list[str] = []
    register(lambda name, _: order.append(f"backend {name}"), lambda name, _: order.append(f"writer {name}"))
    assert order == ["writer hwflow", "backend hwflow"]
