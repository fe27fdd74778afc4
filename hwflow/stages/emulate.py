"""One run of the emulator over a data set or random inputs, with its report: the library behind ``hwflow emulate``."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hwflow.data import Data, ImageSet, check_shape, open_images, some
from hwflow.emulation.compare import CsimAgreement, compare
from hwflow.emulation.csim import simulation
from hwflow.emulation.emulator import Emulator, emulate
from hwflow.emulation.names import in_users_words, users_names
from hwflow.emulation.node import EXACT_BITS
from hwflow.emulation.source import Options, open_graph
from hwflow.errors import HwflowError
from hwflow.files.npz import npz_bytes
from hwflow.files.outputs import check_outputs, write_file
from hwflow.fixed import Codes, FixedType, Overflow
from hwflow.progress import Advance
from hwflow.show import Shown
from hwflow.stages.limits import check_memory
from hwflow.wide import parse_type

_RANDOM_BYTES = 48  # of an input element while it is drawn: codes, extremes, what chooses them
_OUTPUT_BYTES = 16  # of an output element: its code and its value


@dataclass(frozen=True)
class LayerReport:
    """A layer in a report.

    Attributes:
        name: the layer.
        kind: hls4ml's class of layers.
        shape: of its output.
        type: of its output.
        accum: type of its accumulator, or ``None``.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    type: str
    accum: str | None


@dataclass(frozen=True, repr=False)
class Emulation(Shown):
    """What a run found.

    Attributes:
        source: the model or project.
        data: name of the data.
        io_type: ``io_parallel`` or ``io_stream``.
        images: computed.
        seconds: that the emulator computed, conversion and loading apart.
        layers: what was computed.
        inputs: input values ``(n, *input shape)``, in float64, by name.
        outputs: output values ``(n, size)``, in float64, by name.
        csim: the comparison with hls4ml's C simulation, or ``None``.
    """

    source: str
    data: str
    io_type: str
    images: int
    seconds: float
    layers: tuple[LayerReport, ...]
    inputs: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]
    csim: CsimAgreement | None

    @property
    def images_per_second(self) -> float:
        """Speed of the emulator."""
        return self.images / max(self.seconds, 1e-9)

    def facts(self) -> dict[str, object]:
        """The network, and how fast it ran."""
        return {
            "source": self.source,
            "data": self.data,
            "io_type": self.io_type,
            "images": self.images,
            "images_per_second": round(self.images_per_second),
        }

    def rows(self) -> list[dict[str, Any]]:
        """A row for every layer."""
        return [asdict(layer) for layer in self.layers]

    def to_json(self) -> dict[str, Any]:
        """Everything but the values."""
        return {
            "source": self.source,
            "data": self.data,
            "io_type": self.io_type,
            "images": self.images,
            "seconds": self.seconds,
            "images_per_second": self.images_per_second,
            "layers": [asdict(layer) for layer in self.layers],
            "csim": None if self.csim is None else asdict(self.csim),
        }

    def save(self, path: Path) -> None:
        """Write the values as ``.npz``: ``x`` and ``y``, or of several inputs or outputs their names.

        Raises:
            HwflowError: the file cannot be written, or is the source.
        """
        check_outputs({"source": self.source}, files={"path": path})
        write_file(path, npz_bytes({**_renamed(self.inputs, "x"), **_renamed(self.outputs, "y")}, compressed=False))


def run(
    source: str | Path,
    *,
    data: str | Path | None = None,
    images: int | None = None,
    random: int | None = None,
    seed: int = 0,
    options: Options | None = None,
    against_csim: bool = False,
    step: Callable[[str], None] = lambda _: None,
    advance: Advance | None = None,
) -> Emulation:
    """Emulate a model or an hls4ml project.

    Args:
        source: as for :func:`hwflow.emulation.source.open_graph`.
        data: as for :func:`hwflow.data.open_images`; for networks with one input.
        images: only so many of them.
        random: instead of data, so many random inputs, see :func:`random_codes`.
        seed: of the random inputs.
        options: how a model is converted.
        against_csim: compile hls4ml's C simulation and compare every code.
        step: told what happens now.
        advance: told how far the comparison is.

    Raises:
        HwflowError: bad input, a layer that cannot be emulated, or a C simulation that stops. A difference is
            not an error here: ask ``csim.check()``.
    """
    if (data is None) == (random is None):
        raise HwflowError("give either --data or --random")
    opened = None if data is None else _some(data, images)
    step("converting with hls4ml")
    graph = open_graph(source, options)
    with in_users_words(graph):
        emulator = emulate(graph)
        codes = random_codes(emulator, random, seed) if random is not None else _codes(emulator, opened)
        step("emulating")
        start = time.perf_counter()
        results = emulator.run(codes)
        seconds = time.perf_counter() - start
        comparison = _compared(emulator, graph, codes, step, advance) if against_csim else None
    names = users_names(graph, [name for name, _ in emulator.inputs + emulator.outputs])
    return Emulation(
        source=str(source),
        data=f"random, seed {seed}" if opened is None else opened.name,
        io_type=str(graph.config.get_config_value("IOType")),
        images=len(codes[0]),
        seconds=seconds,
        layers=_layers(emulator, graph),
        inputs={
            names[name]: signal.type.decode(each).reshape(-1, *signal.shape)
            for each, (name, signal) in zip(codes, emulator.inputs, strict=True)
        },
        outputs={
            names[name]: signal.type.decode(each)
            for each, (name, signal) in zip(results, emulator.outputs, strict=True)
        },
        csim=comparison,
    )


def random_codes(emulator: Emulator, count: int, seed: int) -> list[Codes]:
    """Input codes ``(count, size)`` that reach into every corner of the input types.

    Of every four images, one has small values, one is uniform over all codes, and two are uniform with a tenth of
    the elements at the type's extremes, so that sums wrap.
    """
    taken = sum(signal.size for _, signal in emulator.inputs) * _RANDOM_BYTES
    taken += sum(signal.size for _, signal in emulator.outputs) * _OUTPUT_BYTES
    check_memory(f"--random {count}", count * taken)
    rng = np.random.default_rng(seed)
    return [_random(signal.type, (count, signal.size), rng) for _, signal in emulator.inputs]


def _renamed(arrays: dict[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    """A single array under a name that everyone knows."""
    return arrays if len(arrays) != 1 else dict.fromkeys([name], *arrays.values())


def _random(type: FixedType, shape: tuple[int, int], rng: np.random.Generator) -> Codes:
    spare = max(type.width - EXACT_BITS, 0)  # the C simulation takes float64
    low, high = type.with_(overflow=Overflow.WRAP).min_code >> spare, type.max_code >> spare
    codes: Codes = rng.integers(low, high, shape, dtype=np.int64, endpoint=True)
    extreme = rng.random(shape) < 0.1
    ends = rng.choice(np.array([low, high]), shape)
    codes[0::4] = codes[0::4] >> ((type.width - spare) // 3)
    for start in (2, 3):
        codes[start::4] = np.where(extreme[start::4], ends[start::4], codes[start::4])
    top = FixedType(EXACT_BITS, EXACT_BITS - type.fraction + spare, type.signed)
    return type.cast(codes, top) if spare else codes


def _some(data: str | Path, images: int | None) -> Data:
    return some(open_images(data), images)


def _codes(emulator: Emulator, data: Data | None) -> Sequence[Codes]:
    assert data is not None
    if len(emulator.inputs) != 1:
        raise HwflowError(f"{data.name}: the network has {len(emulator.inputs)} inputs; use --random or the Python API")
    loaded = data.load() if isinstance(data, ImageSet) else data
    ((_, signal),) = emulator.inputs
    try:
        check_shape(loaded.images, signal.shape)
    except HwflowError as error:
        raise HwflowError(f"{data.name}: {error}") from error
    return [signal.type.encode(loaded.images).reshape(len(loaded.images), -1)]


def _compared(
    emulator: Emulator, graph: Any, codes: Sequence[Codes], step: Callable[[str], None], advance: Advance | None
) -> CsimAgreement:
    with tempfile.TemporaryDirectory(prefix="hwflow-emulate-") as folder:
        step("compiling hls4ml's C simulation")
        found = compare(emulator, simulation(graph, Path(folder) / "project"), codes, advance)
    if found.first_layer is None:
        return found
    names = users_names(graph, [*(each.name for each in emulator.steps), *(name for name, _ in emulator.outputs)])
    return replace(found, first_layer=names[found.first_layer])


def _layers(emulator: Emulator, graph: Any) -> tuple[LayerReport, ...]:
    layers = []
    names = users_names(graph, [each.name for each in emulator.steps])
    for step in emulator.steps:
        accum = graph.graph[step.name].get_attr("accum_t")
        text = None if accum is None else str(parse_type(str(accum.precision)))
        layers.append(LayerReport(names[step.name], step.kind, step.signal.shape, str(step.signal.type), text))
    return tuple(layers)
