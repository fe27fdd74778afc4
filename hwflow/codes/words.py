"""Stored words of any width, as bytes: ``(words, ceil(bits / 8))`` uint8, bit 0 the least significant of byte 0."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hwflow.fixed import Codes

Words = npt.NDArray[np.uint8]


def word_bytes(bits: int) -> int:
    """Bytes that hold a word of ``bits`` bits."""
    return -(-bits // 8)


def pack(fields: Codes, width: int) -> Words:
    """Words ``(n, ceil(k width / 8))`` of fields ``(n, k)``, of which the low ``width`` bits stand side by side.

    Field 0 takes the least significant bits; bits above the fields are 0.
    """
    if width in (8, 16, 32):
        return fields.astype(f"<u{width // 8}").view(np.uint8)
    raw = np.ascontiguousarray(fields, dtype="<i8").view(np.uint8).reshape(*fields.shape, 8)
    bits = np.unpackbits(raw, axis=-1, count=width, bitorder="little")
    return np.packbits(bits.reshape(len(fields), -1), axis=-1, bitorder="little")


def unpack(words: Words, width: int, count: int, signed: bool) -> Codes:
    """Inverse of :func:`pack`: the first ``count`` fields ``(n, count)`` of words, in two's complement if signed."""
    words = np.ascontiguousarray(words)
    if width in (8, 16, 32):
        size = width // 8
        fields = np.ascontiguousarray(words[:, : count * size]).view(f"<{'i' if signed else 'u'}{size}")
        return fields.astype(np.int64)
    bits = np.unpackbits(words, axis=-1, count=width * count, bitorder="little").reshape(len(words), count, width)
    places = np.int64(1) << np.arange(width, dtype=np.int64)
    codes: Codes = bits.astype(np.int64) @ places
    if signed:
        sign = np.int64(1) << (width - 1)
        codes = (codes ^ sign) - sign
    return codes


def to_integers(words: Words) -> list[int]:
    """Each word as a whole number."""
    raw, size = np.ascontiguousarray(words).tobytes(), words.shape[1]
    return [int.from_bytes(raw[start : start + size], "little") for start in range(0, len(raw), size)]


def to_uint64(words: Words) -> npt.NDArray[np.uint64]:
    """Words ``(n, bytes)`` of up to 64 bits as numbers ``(n,)``."""
    wide = np.zeros((len(words), 8), dtype=np.uint8)
    wide[:, : words.shape[1]] = words
    return wide.view("<u8").reshape(-1)
