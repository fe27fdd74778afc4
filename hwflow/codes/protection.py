"""What a user asks for: a storage code, or some by the names of layers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np

from hwflow.codes.quantiser import Fitted, Floats, in_steps
from hwflow.codes.registry import DESIGN_BER, CodeSpec, family_of, read_back, storage_code
from hwflow.errors import HwflowError
from hwflow.fixed import Codes, FixedType


@dataclass(frozen=True, eq=False)
class Stored:
    """How a layer's weights are stored.

    Attributes:
        spec: the code.
        type: of the weight memory.
        fitted: what weights are rounded to, if the code is fitted to them; else to the codes of the type, and then to
            those of them that the code has.
    """

    spec: CodeSpec
    type: FixedType
    fitted: Fitted | None = None

    def round(self, weights: Floats) -> Codes:
        """Codes of real weights ``(rows, columns)``."""
        if self.fitted is None:
            codes = self.type.encode(weights)
            if family_of(self.spec.name)[0].lossless:
                return codes
            return read_back(storage_code(self.spec, self.type), codes)
        columns = [self.round_column(column / self.type.lsb, i) for i, column in enumerate(weights.T)]
        return np.stack(columns, axis=1) if columns else np.zeros(weights.shape, dtype=np.int64)

    def round_column(self, steps: Floats, column: int) -> Codes:
        """Codes of the weights ``(rows,)`` of one column, in steps of the type, of a code that is fitted."""
        assert self.fitted is not None
        return self.fitted.grid(column).round(steps)

    def round_row(self, steps: Floats) -> Codes:
        """Codes of one weight ``(columns,)`` of every column, in steps of the type, of a code that is fitted."""
        assert self.fitted is not None
        codes, together = np.empty(len(steps), dtype=np.int64), len(self.fitted.grid_of)
        for place in range(min(together, len(steps))):
            codes[place::together] = self.fitted.grid(place).round(steps[place::together])
        return codes


@dataclass(frozen=True)
class Protection:
    """A storage code and, where it is fitted to weights, what it is fitted for.

    Attributes:
        name: of the code.
        ber: the bit error rate that the code is designed for; ``None`` for codes that are not fitted.
    """

    name: str
    ber: float | None = None

    @classmethod
    def parse(cls, text: str) -> Protection:
        """``NAME``, or ``NAME:BER`` for a code that is fitted; without BER for ``DESIGN_BER``.

        Raises:
            HwflowError: there is no such code, or a bit error rate that is not a number or not for this code.
        """
        name, colon, ber = text.partition(":")
        if family_of(name)[0].fit is None:
            if colon:
                raise HwflowError(f"storage code {text!r}: {name} is not fitted; leave out {colon}{ber}")
            return cls(name)
        try:
            rate = float(ber) if colon else DESIGN_BER
        except ValueError as error:
            raise HwflowError(f"storage code {text!r}: {ber!r} is no bit error rate") from error
        return cls(name, rate)

    def __post_init__(self) -> None:
        """Refuse a rate that no memory has."""
        fitted = family_of(self.name)[0].fit is not None
        if fitted and not (self.ber is not None and 0 < self.ber <= 0.5):
            raise HwflowError(
                f"storage code {self.name}: it is designed for a bit error rate above 0 and at most 0.5; write it as "
                f"{self.name}:1e-2"
            )

    def __str__(self) -> str:
        return self.name if self.ber is None else f"{self.name}:{self.ber:g}"

    @property
    def lossless(self) -> bool:
        """Whether the code has every weight of the type."""
        return family_of(self.name)[0].lossless

    def fit(self, weights: Floats, type_: FixedType) -> Stored:
        """The code for a layer's scaled weights.

        Args:
            weights: real values ``(rows, columns)``; no word holds weights of two rows.
            type_: of the weight memory.

        Raises:
            HwflowError: the code does not take the type.
        """
        family, numbers = family_of(self.name)
        if family.fit is None or self.ber is None:
            return Stored(CodeSpec(self.name), type_)
        fitted = family.fit(self.name, numbers, weights, type_, self.ber)
        return Stored(CodeSpec(self.name, fitted.tables), type_, fitted)

    def bits(self, type_: FixedType) -> int:
        """Bits of a stored word of weights of a type.

        Raises:
            HwflowError: the code does not take the type: it has too many bits, or does not fill its words.
        """
        family, numbers = family_of(self.name)
        return family.bits(self.name, numbers, type_)


@dataclass(frozen=True)
class Loss:
    """What weights lose to a storage code that does not have all codes of their type.

    Attributes:
        weights: how many there are.
        moved: those that are not stored as the codes that they round to.
        square: mean square error of what is stored without faults, in steps of the type.
        rounding: that of the codes that they round to.
    """

    weights: int
    moved: int
    square: float
    rounding: float

    @classmethod
    def of(cls, weights: Floats, type_: FixedType, codes: Codes) -> Loss:
        """The loss of scaled weights that are stored as ``codes`` of the same shape."""
        steps, rounded = in_steps(weights, type_), type_.encode(weights)
        return cls(
            weights.size,
            int(np.count_nonzero(codes != rounded)),
            float(np.mean(np.square(codes - steps))),
            float(np.mean(np.square(rounded - steps))),
        )

    @classmethod
    def sum(cls, losses: Iterable[Loss]) -> Loss:
        """The loss of all weights of some layers."""
        losses = list(losses)
        count = sum(loss.weights for loss in losses)
        square = sum(loss.square * loss.weights for loss in losses)
        rounding = sum(loss.rounding * loss.weights for loss in losses)
        return cls(count, sum(loss.moved for loss in losses), square / count, rounding / count)


@dataclass(frozen=True)
class Protections:
    """Storage codes by the names of layers.

    Attributes:
        rules: patterns of layer names, and what their layers are stored in; of several that match the first one
            counts, and a layer that none matches is stored plainly.
    """

    rules: tuple[tuple[str, Protection], ...]

    @classmethod
    def parse(cls, text: str) -> Protections:
        """``NAME[:BER]`` for all layers, or ``PATTERN=NAME[:BER],PATTERN=NAME[:BER]...``.

        Raises:
            HwflowError: as :meth:`Protection.parse`, or a rule without a pattern among others.
        """
        parts = text.split(",")
        if parts == [text] and "=" not in text:
            return cls((("*", Protection.parse(text)),))
        rules = []
        for part in parts:
            pattern, equals, code = part.strip().partition("=")
            if not equals or not pattern:
                raise HwflowError(f"storage code {text!r}: {part!r} is not of the form PATTERN=NAME[:BER]")
            rules.append((pattern, Protection.parse(code)))
        return cls(tuple(rules))

    def of(self, layer: str) -> Protection:
        """What a layer is stored in."""
        return next((code for pattern, code in self.rules if fnmatchcase(layer, pattern)), Protection("plain"))

    def bits(self, type_: FixedType) -> int:
        """Bits of the widest stored word of weights of a type.

        Raises:
            HwflowError: one of the codes does not take the type.
        """
        return max(code.bits(type_) for _, code in self.rules)

    def check_layers(self, layers: Iterable[str]) -> None:
        """Refuse patterns that no layer's name matches.

        Raises:
            HwflowError: there is one.
        """
        layers = list(layers)
        for pattern, _ in self.rules:
            if pattern != "*" and not any(fnmatchcase(layer, pattern) for layer in layers):
                raise HwflowError(f"no layer matches {pattern!r} of the storage codes; there are {', '.join(layers)}")

    @property
    def fitted(self) -> bool:
        """Whether any code is fitted to its layer's weights."""
        return any(code.ber is not None for _, code in self.rules)

    @property
    def lossless(self) -> bool:
        """Whether all codes have every weight of the type."""
        return all(code.lossless for _, code in self.rules)
