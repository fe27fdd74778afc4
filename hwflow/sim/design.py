"""What ``rtl.json`` says of a generated design: its ports, and where stored words are in its memories."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hwflow.cost.packing import Packing
from hwflow.errors import HwflowError
from hwflow.faults import FaultList, Memory
from hwflow.fixed import FixedType
from hwflow.graph import IntArray

METADATA = "rtl.json"
PROJECT_VARIABLE = "HWFLOW_RTL"
"""Environment variable that names the folder of the generated design."""


@dataclass(frozen=True)
class Port:
    """A stream at the design's border.

    Attributes:
        type: of an element.
        lanes: elements a beat.
        beats: beats an image.
        bus_bits: bits of ``tdata``.
        shape: of an image.
    """

    type: FixedType
    lanes: int
    beats: int
    bus_bits: int
    shape: tuple[int, ...]

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Port:
        """The port that an entry of ``rtl.json`` describes."""
        type_ = FixedType.parse(entry["type"])
        return cls(type_, entry["lanes"], entry["beats"], entry["bus_bits"], tuple(entry["shape"]))

    def words(self, codes: IntArray) -> list[int]:
        """The beats of codes ``(n, *shape)``, element 0 in the least significant bits."""
        width = self.type.width
        lanes = (codes & ((1 << width) - 1)).reshape(-1, self.lanes)
        if self.lanes * width < 64:
            beats: list[int] = (lanes << (width * np.arange(self.lanes))).sum(axis=1).tolist()
            return beats
        return [sum(code << (lane * width) for lane, code in enumerate(beat)) for beat in lanes.tolist()]

    def codes(self, words: Sequence[int]) -> IntArray:
        """The codes ``(n, *shape)`` of whole images' beats."""
        width, mask = self.type.width, (1 << self.type.width) - 1
        lanes = [(word >> (lane * width)) & mask for word in words for lane in range(self.lanes)]
        flat = np.array(lanes, dtype=np.int64)
        if self.type.signed:
            flat = np.where(flat > self.type.max_code, flat - mask - 1, flat)
        return flat.reshape(-1, *self.shape)


@dataclass(frozen=True)
class InnerStream:
    """A stream inside the design: prefix of its signals in the top module, and whom it joins.

    Attributes:
        name: prefix of its signals.
        source, target: what gives and takes its beats: a layer with the name of the instance, or a port.
    """

    name: str
    source: str
    target: str


@dataclass(frozen=True)
class StoredMemory:
    """A memory of stored words, and where it is in the hardware.

    Attributes:
        memory: its name, words and bits, as fault lists have them.
        path: names from the top module to the array.
        packing: which hardware word holds a stored one.
    """

    memory: Memory
    path: str
    packing: Packing

    def place(self, word: int, bit: int = 0) -> tuple[int, int]:
        """Address in the array and position of a bit of a stored word.

        Raises:
            HwflowError: there is no such bit.
        """
        memory = self.memory
        if not (0 <= word < memory.words and 0 <= bit < memory.bits):
            raise HwflowError(
                f"word {word}, bit {bit} is outside memory {memory.name!r} of {memory.words} words of "
                f"{memory.bits} bits"
            )
        address, position = self.packing.place(np.array([word]), np.array([bit]))
        return int(address[0]), int(position[0])

    def masks(self, faults: FaultList) -> dict[int, int]:
        """What a fault list flips in each address of the array."""
        masks: dict[int, int] = {}
        words, bits = faults.for_memory(self.memory.name)
        for address, bit in zip(*self.packing.place(words, bits.astype(np.int64)), strict=True):
            masks[int(address)] = masks.get(int(address), 0) ^ (1 << int(bit))
        return masks


@dataclass(frozen=True)
class RtlDesign:
    """A generated design, as its ``rtl.json`` describes it.

    Attributes:
        folder: where it is.
        top: name of its top module.
        digest: of the graph that it was made from.
        input, output: its streams.
        memories: by name, ``LAYER.weight`` and ``LAYER.bias``.
        streams: inside, in the order of the data.
        serial_cycles: what an image would take if never two layers were busy, nor two streams moved, at once.
        visible: registers that a simulator has to show, by module, beside those that their sources mark so.
        behavioural: hls4ml's C++ is in the place of the layers; streams and cycles say nothing of hardware.
    """

    folder: Path
    top: str
    digest: str
    input: Port
    output: Port
    memories: Mapping[str, StoredMemory]
    streams: tuple[InnerStream, ...]
    serial_cycles: int
    visible: Mapping[str, Sequence[str]] = field(default_factory=dict)
    behavioural: bool = False

    @classmethod
    def load(cls, folder: Path) -> RtlDesign:
        """Read the ``rtl.json`` of a folder.

        Raises:
            HwflowError: it is not there, or another version of hwflow wrote it.
        """
        try:
            entry = json.loads((folder / METADATA).read_text())
        except (OSError, ValueError) as error:
            raise HwflowError(f"{folder}: no RTL project ({METADATA} cannot be read); run hwflow generate") from error
        try:
            memories = {memory.memory.name: memory for memory in _memories(entry["layers"])}
            ports = (Port.of(entry["input"]), Port.of(entry["output"]))
            streams = tuple(InnerStream(**stream) for stream in entry["streams"])
            cycles, visible = entry["serial_cycles"], entry.get("visible", {})
            behavioural = entry.get("behavioural", False)
            return cls(folder, entry["top"], entry["graph"], *ports, memories, streams, cycles, visible, behavioural)
        except (KeyError, TypeError) as error:
            raise HwflowError(
                f"{folder / METADATA}: another version of hwflow wrote it; run hwflow generate again"
            ) from error

    def stored(self, layer: str, kind: str) -> StoredMemory:
        """The memory of a layer's ``weight`` or ``bias``.

        Raises:
            HwflowError: there is none.
        """
        name = f"{layer}.{kind}"
        if name not in self.memories:
            names = ", ".join(self.memories)
            raise HwflowError(f"the design has no memory {name!r}; there are {names or 'none'}")
        return self.memories[name]

    def check(self, faults: FaultList) -> None:
        """Refuse a fault list of another design.

        Raises:
            HwflowError: a memory or the hash of the model differs.
        """
        mine = (self.memories.get(memory.name) for memory in faults.memories)
        faults.check(tuple(stored.memory for stored in mine if stored is not None), self.digest)

    def codes(self, images: npt.NDArray[Any]) -> IntArray:
        """Input codes of images ``(n, *input shape)``: integers are codes already, real values are rounded to them.

        Raises:
            HwflowError: images of another shape, or codes that the type does not have.
        """
        type_, shape = self.input.type, self.input.shape
        if images.shape[1:] != shape:
            raise HwflowError(f"images have shape {images.shape[1:]}, but the network takes {shape}")
        if images.dtype.kind not in "iu":
            return type_.encode(images)
        if images.size and not (type_.min_code <= images.min() and images.max() <= type_.max_code):
            raise HwflowError(f"input codes are {type_.min_code} to {type_.max_code} ({type_}); some are not")
        return images.astype(np.int64)


def find_design(folder: str | Path | None = None) -> RtlDesign:
    """The design in ``folder``; by default where ``$HWFLOW_RTL`` says, else in the working folder or one above it.

    Raises:
        HwflowError: there is none.
    """
    if folder is None:
        folder = os.environ.get(PROJECT_VARIABLE)
    if folder is not None:
        return RtlDesign.load(Path(folder))
    here = Path.cwd()
    for place in (here, *here.parents):
        if (place / METADATA).is_file():
            return RtlDesign.load(place)
    raise HwflowError(
        f"{here}: no {METADATA} here or in a folder above; set {PROJECT_VARIABLE} to the folder of the generated design"
    )


def _memories(layers: Sequence[Mapping[str, Any]]) -> Iterator[StoredMemory]:
    places = {"weight": "memory.mem", "bias": "bias_mem"}
    for layer in layers:
        for kind, entry in layer["memories"].items():
            packing = Packing(**entry)
            name = f"{layer['layer']}.{kind}"
            memory = Memory(name, packing.depth * packing.pe * packing.words, packing.bits)
            path = layer["paths"][kind] if "paths" in layer else f"{layer['instance']}.{places[kind]}"
            yield StoredMemory(memory, path, packing)
