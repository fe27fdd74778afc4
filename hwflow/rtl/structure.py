"""What a netlist is made of: streams, instances, the layers' memories."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from hwflow.cost.packing import index_bits
from hwflow.fixed import FixedType
from hwflow.rtl.decoders import Parameter

STYLE, ULTRA = "MEM_STYLE", "ultra"
"""The parameter of ``hwflow_weights`` that says where the weights lie, and its value for URAM."""


@dataclass(frozen=True)
class Stream:
    """An AXI4-Stream inside the design: ``lanes`` elements of ``width`` bits a beat.

    Attributes:
        name: prefix of its signals.
        type: type of an element.
        lanes: elements a beat; they divide the channels.
        channels: channels of the tensor.
        beats: beats an image.
    """

    name: str
    type: FixedType
    lanes: int
    channels: int
    beats: int

    @property
    def width(self) -> int:
        """Bits a beat."""
        return self.type.width * self.lanes


@dataclass(frozen=True)
class Instance:
    """One leaf module in the design, for a node: streams by the module's port prefix, other signals by the port."""

    module: str
    name: str
    node: str
    parameters: Mapping[str, Parameter]
    inputs: Mapping[str, Stream]
    outputs: tuple[Stream, ...]
    signals: Mapping[str, str] = field(default_factory=dict)

    @property
    def style(self) -> str:
        """Of a ``hwflow_weights``: where the weights lie, ``block``, ``distributed`` or ``ultra``."""
        return str(self.parameters.get(STYLE, "block")).strip('"')


class Keeps(IntEnum):
    """What the entries of a side memory do, ``KEEPS`` of ``hwflow_outliers``."""

    NONE = 0
    """All are added to what the memory gives."""
    SOME = 1
    """Each says whether it is added, or takes the place of a kept weight."""
    ALL = 2
    """All take the place of kept weights."""


@dataclass(frozen=True)
class RestRoom:
    """Room for the outliers and the kept weights of a layer in its ``hwflow_outliers``.

    Attributes:
        rows: words with entries that there may be.
        slots: entries that a word may have.
        bits: of a value, signed.
        keeps: what entries can do.
    """

    rows: int
    slots: int
    bits: int
    keeps: Keeps = Keeps.NONE

    def holds(self, needed: RestRoom) -> bool:
        """Whether what needs so much room fits."""
        able = self.keeps in (Keeps.SOME, needed.keeps)
        return able and needed.rows <= self.rows and needed.slots <= self.slots and needed.bits <= self.bits

    def slot_bits(self, lanes: int) -> int:
        """Bits of an entry, where a word has so many weights."""
        return (self.keeps != Keeps.NONE) + index_bits(lanes) + self.bits

    def effect_bits(self, weight_bits: int) -> int:
        """Bits of a weight in effect."""
        return max(weight_bits, self.bits) + (self.keeps != Keeps.ALL)


@dataclass(frozen=True)
class MatrixUnit:
    """Where a weight layer's memories are in the hardware.

    Attributes:
        layer: the layer's name, as the user gave it.
        instance: name of the ``hwflow_weights`` that holds them.
        port: prefix of the signals to the second ports of its memories.
        pe, simd: the layer's fold.
        weight_file, bias_file: memory images.
        rest_file: image of the outliers' side memory, if there is one.
        table_file: image of the tables that decode stored words, if the storage code has any.
        rests: room in that side memory.
    """

    layer: str
    instance: str
    port: str
    pe: int
    simd: int
    weight_file: str
    bias_file: str
    rest_file: str | None
    table_file: str | None
    rests: RestRoom | None


@dataclass(frozen=True)
class Rom:
    """The image of a table that a ``hwflow_lookup`` reads.

    Attributes:
        node: whose table it is, as the user named it.
        kind: ``lookup``, or ``exp`` and ``inverse`` of a softmax.
        file: memory image.
        bits: of an entry.
        loadable: whether the bus can write it.
    """

    node: str
    kind: str
    file: str
    bits: int
    loadable: bool = False


@dataclass(frozen=True)
class ConstantUnit:
    """A cell whose constants can be loaded.

    Attributes:
        node: whose constants these are, as the user named it.
        port: prefix of the signals to their second port.
        lanes: constants of a word; one for all channels is a word of its own.
        words: of the memory.
        bits: of a constant.
    """

    node: str
    port: str
    lanes: int
    words: int
    bits: int


@dataclass(frozen=True)
class Loadable:
    """A design whose rests, tables and constants are memories that the bus writes, instead of part of the logic.

    Attributes:
        rests: room for the outliers of layers, of hardware that is there already; ``None``: as the design needs.
    """

    rests: Mapping[str, RestRoom] | None = None

    @staticmethod
    def asked(loadable: bool) -> Loadable | None:
        """For a design that is to be made."""
        return Loadable() if loadable else None


@dataclass
class Netlist:
    """A whole design: streams, other signals with their bits, instances, the layers' memories, constants to load, and
    the images of the tables of activations."""

    name: str
    input: Stream
    output: Stream
    streams: list[Stream] = field(default_factory=list)
    signals: Mapping[str, int] = field(default_factory=dict)
    instances: list[Instance] = field(default_factory=list)
    units: list[MatrixUnit] = field(default_factory=list)
    constants: list[ConstantUnit] = field(default_factory=list)
    loadable: bool = False
    roms: list[Rom] = field(default_factory=list)

    @property
    def styles(self) -> dict[str, str]:
        """Where the weights of every layer lie, see :attr:`Instance.style`."""
        cells = {cell.name: cell.style for cell in self.instances}
        return {unit.layer: cells[unit.instance] for unit in self.units}

    @property
    def empty(self) -> list[str]:
        """Layers whose weights lie in URAM, so that they have to be loaded."""
        return [layer for layer, style in self.styles.items() if style == ULTRA]
