"""What all nodes of a graph have, and its input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hwflow.errors import HwflowError
from hwflow.fixed import FixedType
from hwflow.graph.constants import Scale


@dataclass(frozen=True, kw_only=True, eq=False)
class Node:
    """One operation and its single output tensor.

    Attributes:
        name: unique name, the layer's own name where the network has one.
        inputs: names of the nodes whose outputs it reads.
        shape: shape of the output without the batch axis.
        type: type of the output tensor; before hardening ``None`` or the quantiser that the network asks for.
        scale: S of the tensor: stored value = scale x true value; one number, or one an element of the last axis.
    """

    name: str
    inputs: tuple[str, ...] = ()
    shape: tuple[int, ...]
    type: FixedType | None = None
    scale: Scale = 1.0

    arity: ClassVar[int] = 1

    @property
    def resolved(self) -> FixedType:
        """The output type.

        Raises:
            HwflowError: the node has none yet.
        """
        if self.type is None:
            raise HwflowError(f"{self.name}: its type is not resolved; harden the graph first")
        return self.type

    @property
    def op(self) -> str:
        """Name of the operation, as users read it."""
        return type(self).__name__


@dataclass(frozen=True, kw_only=True, eq=False)
class Input(Node):
    """The network's input; its type is the grid that images are rounded to."""

    arity: ClassVar[int] = 0
