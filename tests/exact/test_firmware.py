"""C simulation of the generated firmware equals the reference bit for bit, fault-free and faulted."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwflow.cost.reuse import choose_reuse
from hwflow.errors import HwflowError
from hwflow.faults import sample_ber
from hwflow.firmware import CsimExecutor, generate, open_project
from hwflow.fixed import FixedType
from hwflow.frontends.legal import renamed
from hwflow.graph import (
    Add,
    AveragePool2D,
    Constant,
    Conv2D,
    Dense,
    Flatten,
    GlobalAveragePool2D,
    Graph,
    Input,
    MaxPool2D,
    Node,
    ReLU,
    Softmax,
    WeightLayer,
    Window,
)
from hwflow.graph.naming import identifier
from hwflow.hardening import HardenOptions, harden
from hwflow.hardening.options import ScalingOptions
from hwflow.memory import memories
from hwflow.reference import IntegerExecutor
from tests.exact.agreement import assert_agree

IMAGES = 12


@dataclass
class Network:
    """Builds an untyped graph layer by layer, with random weights."""

    shape: tuple[int, ...]
    seed: int = 0
    name: str = "image"
    nodes: list[Node] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)
        self.nodes.append(Input(name=self.name, shape=self.shape))

    def shape_of(self, name: str) -> tuple[int, ...]:
        return next(node.shape for node in self.nodes if node.name == name)

    def put(self, kind: type[Node], source: str | None = None, name: str | None = None, **fields: Any) -> str:
        source = source or self.nodes[-1].name
        fields.setdefault("inputs", (source,))
        fields.setdefault("shape", self.shape_of(source))
        name = name or f"{kind.__name__.lower()}_{len(self.nodes)}"
        self.nodes.append(kind(name=name, **fields))
        return name

    def window(self, source: str, kernel: tuple[int, int], strides: tuple[int, int], same: bool) -> Window:
        padding: list[int] = []
        for size, length, stride in zip(self.shape_of(source)[:2], kernel, strides, strict=True):
            total = max((-(-size // stride) - 1) * stride + length - size, 0) if same else 0
            padding += [total // 2, total - total // 2]
        return Window(kernel=kernel, strides=strides, padding=(padding[0], padding[1], padding[2], padding[3]))

    def conv(
        self,
        filters: int,
        kernel: tuple[int, int] = (3, 3),
        strides: tuple[int, int] = (1, 1),
        same: bool = True,
        source: str | None = None,
    ) -> str:
        source = source or self.nodes[-1].name
        shape = self.shape_of(source)
        window = self.window(source, kernel, strides, same)
        weight = self.rng.normal(size=(*kernel, shape[2], filters)) * self.rng.uniform(0.02, 0.4)
        return self.put(
            Conv2D,
            source,
            shape=(*window.output_size(shape[0], shape[1]), filters),
            window=window,
            weight=Constant(weight),
            bias=Constant(self.rng.normal(size=filters) * 0.1),
        )

    def dense(self, units: int) -> str:
        inputs = self.nodes[-1].shape[0]
        weight = self.rng.normal(size=(inputs, units)) * self.rng.uniform(0.05, 0.3)
        bias = Constant(self.rng.normal(size=units) * 0.1)
        return self.put(Dense, shape=(units,), weight=Constant(weight), bias=bias)

    def pool(self, kind: type[Node], size: int, stride: int, same: bool = False) -> str:
        source = self.nodes[-1]
        window = self.window(source.name, (size, size), (stride, stride), same)
        return self.put(kind, shape=(*window.output_size(*source.shape[:2]), source.shape[2]), window=window)

    def relu(self) -> str:
        return self.put(ReLU)

    def add(self, first: str, second: str) -> str:
        return self.put(Add, inputs=(first, second), shape=self.shape_of(first))

    def flatten(self) -> str:
        return self.put(Flatten, shape=(int(np.prod(self.nodes[-1].shape)),))

    def global_average(self) -> str:
        return self.put(GlobalAveragePool2D, shape=(self.nodes[-1].shape[2],))

    def graph(self) -> Graph:
        return Graph(tuple(self.nodes), f"net{self.seed}")


def pools_and_kernels() -> Graph:
    """Every window that a layer may have: overlapping, padded, flat, strided; signed and unsigned."""
    net = Network((11, 9, 2), seed=1)
    net.conv(4, strides=(1, 1))
    net.pool(MaxPool2D, 3, 2, same=True)  # of a signed tensor
    net.conv(6, kernel=(1, 3), strides=(2, 1))
    net.relu()
    net.pool(MaxPool2D, 2, 2, same=True)  # of an unsigned tensor, padded
    net.conv(5, kernel=(2, 2), same=False)
    net.flatten()
    net.dense(8)
    net.relu()
    net.dense(6)
    net.put(Softmax)
    return net.graph()


def averages() -> Graph:
    """Averages of negative and positive values, plain and overlapping, and a valid 3x3 maximum."""
    net = Network((12, 12, 1), seed=2)
    net.conv(4, kernel=(3, 3), strides=(1, 1), same=False)
    net.pool(AveragePool2D, 3, 2)  # of a signed tensor: the division rounds toward zero
    net.conv(4, kernel=(1, 1))
    net.pool(MaxPool2D, 2, 1)
    net.conv(6, kernel=(3, 1), same=True)
    net.pool(AveragePool2D, 2, 2)  # drops the last row and column
    net.conv(3, kernel=(1, 1))
    net.global_average()
    net.dense(4)
    return net.graph()


def residual() -> Graph:
    """A projection shortcut, an identity shortcut, and logits."""
    net = Network((8, 8, 2), seed=3)
    net.conv(4)
    stem = net.relu()
    net.conv(6, strides=(2, 2))
    net.relu()
    branch = net.conv(6)
    shortcut = net.conv(6, kernel=(1, 1), strides=(2, 2), source=stem)
    net.add(branch, shortcut)
    block = net.relu()
    branch = net.conv(6)
    net.add(block, branch)
    net.relu()
    net.global_average()
    net.dense(5)
    return net.graph()


def flattened() -> Graph:
    """A flattened tensor that others than one dense layer read, a tensor added to itself, an odd input name."""
    net = Network((5, 6, 3), seed=4, name="my-input/1")
    conv = net.conv(3, kernel=(2, 2), strides=(3, 3), same=False)
    net.add(conv, conv)
    net.flatten()
    net.relu()
    net.dense(4)
    return net.graph()


def small() -> Graph:
    net = Network((4, 4, 1), seed=5)
    net.conv(3)
    net.relu()
    net.global_average()
    net.dense(3)
    return net.graph()


def kernels() -> Graph:
    """Every kind of layer that may have outliers: windows, flat windows and single pixels, padded and strided."""
    net = Network((7, 6, 2), seed=6)
    net.conv(4)
    net.relu()
    net.conv(5, kernel=(1, 1))
    net.relu()
    net.conv(6, kernel=(1, 3), strides=(2, 1))
    net.relu()
    net.flatten()
    net.dense(4)
    return net.graph()


@dataclass(frozen=True)
class Case:
    """One hardened network and one way of writing it."""

    network: Callable[[], Graph]
    io_type: str = "io_stream"
    scaling: ScalingOptions = field(default_factory=ScalingOptions)
    activation_bits: int = 16
    reuse: int | None = None
    bram_ports: bool = False

    def harden(self) -> Graph:
        graph = self.network()
        options = HardenOptions(scaling=self.scaling, activation_bits=self.activation_bits)
        return harden(graph, images(graph, 20), options).graph


CASES = {
    "pools_stream": Case(pools_and_kernels),
    "pools_parallel": Case(pools_and_kernels, "io_parallel", activation_bits=8, reuse=4),
    "averages_stream": Case(averages, scaling=ScalingOptions(weight_type=FixedType(8, 2)), reuse=1, activation_bits=12),
    "averages_parallel": Case(averages, "io_parallel", ScalingOptions(scale="none"), bram_ports=True),
    "residual_shift": Case(residual, scaling=ScalingOptions(align="shift"), reuse=8),
    "residual_multiply": Case(
        residual,
        scaling=ScalingOptions(align="multiply", weight_type=FixedType(11, 4)),
        activation_bits=12,
        bram_ports=True,
    ),
    "residual_layer": Case(residual, scaling=ScalingOptions(compensation="layer"), activation_bits=8),
    "residual_parallel": Case(
        residual, "io_parallel", ScalingOptions(align="multiply", compensation="none", scale="pow2")
    ),
    "flattened_stream": Case(flattened, scaling=ScalingOptions(compensation="layer")),
}
QUICK = ("pools_stream", "averages_parallel", "residual_multiply", "flattened_stream")


def images(graph: Graph, count: int) -> np.ndarray:
    return np.random.default_rng(7).uniform(-1, 1, size=(count, *graph.input.shape))


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in CASES]
)
def test_equals_reference(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    graph = case.harden()
    project = generate(
        graph,
        None,
        tmp_path / "project",
        reuse=choose_reuse(graph, case.reuse),
        io_type=case.io_type,
        bram_ports=case.bram_ports,
    )
    reference, csim = IntegerExecutor(graph), CsimExecutor(project.path, graph)
    codes = reference.encode(images(graph, IMAGES) * 1.5)
    clean = reference.run(codes)
    np.testing.assert_array_equal(csim.run(codes), clean)
    for seed, faulty_biases in ((1, False), (2, True)):
        faults = sample_ber(memories(graph, faulty_biases), 1e-2, seed, graph.digest)
        faulted = reference.run(codes, faults)
        assert (faulted != clean).any()
        np.testing.assert_array_equal(csim.run(codes, faults), faulted)
    np.testing.assert_array_equal(csim.run(codes), clean)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Graph, Path]:
    """A small hardened network and its compiled project, which tests must leave as they found it."""
    graph = Case(small).harden()
    project = generate(graph, None, tmp_path_factory.mktemp("small") / "project", reuse=choose_reuse(graph))
    CsimExecutor(project.path, graph).build()
    return graph, project.path


def test_a_planted_wrong_weight_is_seen(written: tuple[Graph, Path], tmp_path: Path) -> None:
    graph, folder = written
    project = shutil.copytree(folder, tmp_path / "moved")
    reference, csim = IntegerExecutor(graph), CsimExecutor(project, graph)
    codes = reference.encode(images(graph, IMAGES))
    np.testing.assert_array_equal(csim.run(codes), reference.run(codes))
    weights = project / "firmware" / "weights" / f"{open_project(project).memories['conv2d_1.weight'].symbol}.txt"
    values = weights.read_text().split(", ")
    values[3] = "1.5" if float(values[3]) < 0 else "-1.5"
    weights.write_text(", ".join(values))
    assert (csim.run(codes) != reference.run(codes)).any()


@pytest.mark.parametrize("io_type", [pytest.param("io_stream", marks=pytest.mark.slow), "io_parallel"])
def test_outliers(io_type: Any, tmp_path: Path) -> None:
    graph = Case(kernels, scaling=ScalingOptions(outliers=0.1)).harden()
    assert all(layer.outliers is not None for layer in graph.weight_layers)
    ports = io_type == "io_parallel"
    project = generate(
        graph, None, tmp_path / "project", reuse=choose_reuse(graph, 8), io_type=io_type, bram_ports=ports
    )
    csim = CsimExecutor(project.path, graph)
    assert_agree(graph, images(graph, IMAGES), csim)
    # Without the rests it is the network of the stored weights, which is another one.
    tables = list((project.path / "firmware" / "weights").glob("outlier_rest*.txt"))
    assert len(tables) == len(graph.weight_layers)
    for table in tables:
        table.write_text(", ".join("0" for _ in table.read_text().split(",")))
    nodes = (replace(node, outliers=None) if isinstance(node, WeightLayer) else node for node in graph)
    reference, stored = IntegerExecutor(graph), IntegerExecutor(Graph(tuple(nodes), graph.name))
    codes = reference.encode(images(graph, IMAGES))
    assert (stored.run(codes) != reference.run(codes)).any()
    np.testing.assert_array_equal(csim.run(codes), stored.run(codes))


def test_a_simulation_that_stops_is_one_line(written: tuple[Graph, Path], tmp_path: Path) -> None:
    graph, folder = written
    project = shutil.copytree(folder, tmp_path / "project")
    weights = project / "firmware" / "weights" / f"{open_project(project).memories['dense_4.weight'].symbol}.txt"
    codes = IntegerExecutor(graph).encode(images(graph, 1))
    weights.write_text("0.5, 0.5")
    with pytest.raises(HwflowError, match=r"C simulation stopped.*Expected 9 values"):
        CsimExecutor(project, graph).run(codes)
    weights.unlink()
    with pytest.raises(HwflowError, match=r"C simulation stopped.*does not exist"):
        CsimExecutor(project, graph).run(codes)


def test_bad_requests_are_refused(written: tuple[Graph, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph, folder = written
    csim = CsimExecutor(folder, graph)
    other = Case(small, activation_bits=12).harden()
    with pytest.raises(HwflowError, match="another hardened graph"):
        CsimExecutor(folder, other)
    with pytest.raises(HwflowError, match="no firmware project"):
        CsimExecutor(tmp_path, graph)
    with pytest.raises(HwflowError, match=r"inputs have shape \(3,\)"):
        csim.run(np.zeros((1, 3), dtype=np.int64))
    codes = IntegerExecutor(graph).encode(images(graph, 1))
    with pytest.raises(HwflowError, match="another design"):
        csim.run(codes, sample_ber(memories(other), 1e-2, 1, other.digest))
    project = shutil.copytree(folder, tmp_path / "project", ignore=shutil.ignore_patterns("*.so"))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(HwflowError, match=r"g\+\+ is missing"):
        CsimExecutor(project, graph).run(codes)
    (project / "hwflow.json").write_text("{")
    with pytest.raises(HwflowError, match="damaged"):
        CsimExecutor(project, graph)


def test_a_compiled_project_that_lost_its_end_is_compiled_again(written: tuple[Graph, Path], tmp_path: Path) -> None:
    """And the libraries of other sources, which another process may be about to load, stay."""
    graph, folder = written
    project = Path(shutil.copytree(folder, tmp_path / "project"))
    csim = CsimExecutor(project, graph)
    codes = IntegerExecutor(graph).encode(images(graph, 2))
    before = csim.run(codes)
    library = csim.build()
    content = library.read_bytes()
    library.unlink()
    library.write_bytes(content[: len(content) // 3])
    other = library.with_name("other.so")
    other.write_bytes(content)
    np.testing.assert_array_equal(csim.run(codes), before)
    assert len(library.read_bytes()) == len(content)
    assert other.exists()


def test_projects_are_whole_or_not_there(
    written: tuple[Graph, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph, folder = written
    reuse = choose_reuse(graph)
    with pytest.raises(HwflowError, match="exists"):
        generate(graph, None, folder, reuse=reuse)
    with pytest.raises(HwflowError, match="conv2d_1: reuse factor 7 is not valid; choose from 1, 3, 9, 27"):
        generate(graph, None, tmp_path / "project", reuse=reuse | {"conv2d_1": 7})
    with pytest.raises(HwflowError, match="io_type='axi'"):
        generate(graph, None, tmp_path / "project", reuse=reuse, io_type="axi")  # type: ignore[arg-type]  # refused
    odd, names = renamed(graph, {"conv2d_1": "1st"}, graph.name), {"1st": reuse["conv2d_1"]}

    def fail(_: Any, model: Any) -> None:
        raise RuntimeError(f"not\n{model.graph[identifier('1st')].name}")

    monkeypatch.setattr("hwflow.firmware.writer.HwflowWriter.write_hls", fail)
    with pytest.raises(HwflowError, match=r"project: hls4ml cannot write the project: not 1st$"):
        generate(odd, None, tmp_path / "project", reuse=reuse | names)
    assert not list(tmp_path.iterdir())


def test_io_parallel_convolutions_get_a_reuse_factor_that_works(tmp_path: Path) -> None:
    graph = Case(small).harden()
    project = generate(graph, None, tmp_path / "project", reuse={"conv2d_1": 27, "dense_4": 9}, io_type="io_parallel")
    assert project.reuse == {"conv2d_1": 9, "dense_4": 9}
    assert project.notes == ("conv2d_1: reuse factor 27 lowered to 9, hls4ml's limit for io_parallel convolutions",)


def test_weights_stay_in_block_ram(tmp_path: Path) -> None:
    graph = Case(averages).harden()
    for io_type, ports in (("io_stream", True), ("io_parallel", True), ("io_stream", False)):
        project = generate(
            graph, None, tmp_path / "p", reuse=choose_reuse(graph), io_type=io_type, bram_ports=ports, force=True
        )
        top = (project.path / "firmware" / f"{project.name}.cpp").read_text()
        parameters = (project.path / "firmware" / "parameters.h").read_text()
        if io_type == "io_stream":
            # hls4ml's own pointwise convolution partitions the weights into registers
            assert "pointwise_conv" not in top
        assert parameters.count("strategy = nnet::resource;") >= len(graph.weight_layers)
        assert ("#pragma HLS INTERFACE bram port=" in top) == ports
        for name, memory in project.memories.items():
            assert (f"weights/{memory.symbol}.h" in parameters) == (name.endswith(".bias") or not ports)


@pytest.mark.usefixtures("unoptimised_script")
def test_hls4ml_script(tmp_path: Path) -> None:
    hls4ml = pytest.importorskip("hls4ml")
    keras = pytest.importorskip("keras")
    import hwflow.firmware

    keras.utils.set_random_seed(1)
    source = keras.Input((6,), name="features")
    x = keras.layers.Dense(4, activation="relu", name="hidden")(source)
    model = keras.Model(source, keras.layers.Dense(3, name="logits")(x), name="mlp")
    calibration = np.random.default_rng(1).uniform(-1, 1, (50, 6)).astype(np.float32)
    np.savez(tmp_path / "images.npz", x=calibration)

    hwflow.firmware.register()
    hwflow.firmware.register()
    config = hls4ml.utils.config_from_keras_model(model, granularity="name", backend="Vitis")
    config["Model"]["Hardening"] = {
        "Calibration": str(tmp_path / "images.npz"),
        "WeightType": "ap_fixed<8,3>",
        "Outliers": 0.1,
    }
    config["LayerName"]["hidden"]["ReuseFactor"] = 12

    def convert() -> Any:
        return hls4ml.converters.convert_from_keras_model(
            model, hls_config=config, backend="Vitis", io_type="io_stream", output_dir=str(tmp_path / "mlp")
        )

    hls_model = convert()
    hls_model.compile()
    graph = hwflow.firmware.hardened(hls_model).graph
    assert all(layer.outliers is not None for layer in graph.weight_layers)
    reference = IntegerExecutor(graph)
    expected = reference.decode(reference.run(reference.encode(calibration)))
    np.testing.assert_array_equal(hls_model.predict(calibration.astype(np.float64)), expected)
    assert np.abs(expected - model.predict(calibration, verbose=0)).max() < 0.1
    assert hls_model.graph["hidden"].get_attr("reuse_factor") == 12

    config["Model"]["Hardening"] = {"Calibration": calibration, "Compensate": "logits"}
    with pytest.raises(HwflowError, match="'Compensate' is not an option; did you mean 'Compensation'"):
        convert()
    for storage in ("secded", "cosq:1e-2"):
        config["Model"]["Hardening"] = {"Calibration": calibration, "Storage": storage}
        with pytest.raises(HwflowError, match=f"Storage='{storage}' cannot be written by an hls4ml script"):
            convert()
    config["Model"]["Hardening"] = {"WeightType": "ap_fixed<8,3>"}
    with pytest.raises(HwflowError, match="'Calibration' is missing"):
        convert()
    del config["Model"]["Hardening"]
    with pytest.raises(HwflowError, match="not hardened"):
        hwflow.firmware.hardened(convert())


def test_hls4ml_script_with_names_that_hls4ml_confuses() -> None:
    hls4ml = pytest.importorskip("hls4ml")
    keras = pytest.importorskip("keras")
    import hwflow.firmware

    source = keras.Input((6,), name="features")
    x = keras.layers.Dense(4, name="Dense")(source)
    model = keras.Model(source, keras.layers.Dense(3, name="dense")(x))
    hwflow.firmware.register()
    config = hls4ml.utils.config_from_keras_model(model, granularity="name", backend="Vitis")
    config["Model"]["Hardening"] = {"Calibration": np.ones((4, 6))}
    with pytest.raises(HwflowError, match="dense: hls4ml cannot tell it from Dense; rename one"):
        hls4ml.converters.convert_from_keras_model(model, hls_config=config, backend="Vitis", output_dir="unused")


def test_keras_model_and_graph_write_the_same_network(tmp_path: Path) -> None:
    """What hls4ml makes of the Keras model, hardened, is what it makes of the graph alone."""
    from hwflow.firmware import read_keras
    from hwflow.models import embedded

    model = embedded("digits_qcnn")
    untyped = read_keras(model)
    graph = harden(untyped, images(untyped, 20)).graph
    texts = []
    for name, source in (("keras", model), ("graph", None)):
        project = generate(graph, source, tmp_path / name, reuse=choose_reuse(graph))
        firmware = project.path / "firmware"
        weights = [(firmware / "weights" / f"{memory.symbol}.txt").read_text() for memory in project.memories.values()]
        types = sorted(
            line.split()[1] for line in (firmware / "defines.h").read_text().splitlines() if "typedef" in line
        )
        texts.append((weights, [text for text in types if "<" in text]))
    assert texts[0] == texts[1]


@pytest.mark.slow
@pytest.mark.parametrize("io_type", ["io_stream", "io_parallel"])
@pytest.mark.parametrize("name", ["digits_cnn", "digits_qcnn"])
def test_embedded_networks(name: str, io_type: Any, tmp_path: Path) -> None:
    from hwflow.data import load_digits
    from hwflow.firmware import read_keras
    from hwflow.models import embedded

    model = embedded(name)
    graph = harden(read_keras(model), load_digits("train").images[:200]).graph
    project = generate(graph, model, tmp_path / "project", reuse=choose_reuse(graph), io_type=io_type)
    reference, csim = IntegerExecutor(graph), CsimExecutor(project.path, graph)
    codes = reference.encode(load_digits("test").images[:50])
    np.testing.assert_array_equal(csim.run(codes), reference.run(codes))
    faults = sample_ber(memories(graph), 1e-3, 1, graph.digest)
    np.testing.assert_array_equal(csim.run(codes, faults), reference.run(codes, faults))
