"""Damage of files: bits and blocks of any, values and structure of text, members of archives, attributes of HDF5."""

from __future__ import annotations

import io
import json
import re
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

Rng = np.random.Generator

NASTY = (
    "null", "true", "-1", "0", "1.5", "1e400", "-1e400", "NaN", "Infinity", "9" * 30, "9" * 5000, '""', '"x"', "[]",
    "{}", "[[]]", '"../../x"', '"\\u0000"', '"\\ud800"', "1" + "0" * 13, '"=1+1"', '"\\u001b[31m"',
    "-9223372036854775809",
)  # fmt: skip


def mutated(content: bytes, suffix: str, rng: Rng) -> bytes:
    """A damaged copy of a file's content, damaged as its kind of file allows."""
    tools: list[Callable[[bytes, Rng], bytes]] = [raw]
    if suffix in (".json", ".toml", ".txt", ".yml"):
        tools += [text, text, text]
    if suffix in (".npz", ".keras"):
        tools += [archive, archive, archive]
    if suffix in (".h5", ".hdf5"):
        tools += [hdf5, hdf5]
    for _ in range(int(rng.integers(1, 4))):
        content = tools[int(rng.integers(len(tools)))](content, rng)
    return content


def raw(content: bytes, rng: Rng) -> bytes:
    """Bits, bytes, blocks, the end."""
    data = bytearray(content)
    if not data:
        return bytes(rng.bytes(8))
    place = int(rng.integers(len(data)))
    length = int(rng.integers(1, 64))
    match int(rng.integers(8)):
        case 0:
            data[place] ^= 1 << int(rng.integers(8))
        case 1:
            for at in rng.integers(len(data), size=length):
                data[at] = int(rng.integers(256))
        case 2:
            data = data[:place]
        case 3:
            data += rng.bytes(length)
        case 4:
            data[place : place + length] = bytes(length)
        case 5:
            data[place:place] = data[place : place + length]
        case 6:
            del data[place : place + length]
        case _:
            # Most formats say what they hold in front.
            data[int(rng.integers(min(len(data), 128)))] = int(rng.integers(256))
    return bytes(data)


def text(content: bytes, rng: Rng) -> bytes:
    """Numbers, texts, lines, brackets."""
    data = content.decode("utf-8", "replace")
    tokens = list(re.finditer(r'-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|"[^"\n]*"|true|false|null', data))
    nasty = NASTY[int(rng.integers(len(NASTY)))]
    match int(rng.integers(6)):
        case 0 | 1 | 2 if tokens:
            token = tokens[int(rng.integers(len(tokens)))]
            data = data[: token.start()] + nasty + data[token.end() :]
        case 3:
            lines = data.splitlines(keepends=True)
            at = int(rng.integers(max(1, len(lines))))
            lines[at : at + 1] = [] if rng.random() < 0.5 else lines[at : at + 1] * 2
            data = "".join(lines)
        case 4:
            at = int(rng.integers(len(data) + 1))
            data = data[:at] + "[{"[int(rng.integers(2))] * int(rng.choice([1, 100, 20000])) + data[at:]
        case _:
            at = int(rng.integers(len(data) + 1))
            data = data[:at] + nasty + data[at:]
    return data.encode("utf-8", "surrogatepass")


def archive(content: bytes, rng: Rng) -> bytes:
    """One member of an archive whose checksums are right again."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as source:
            members = {name: source.read(name) for name in source.namelist()}
    except (zipfile.BadZipFile, zlib.error, OSError, ValueError, NotImplementedError, EOFError, RuntimeError):
        return raw(content, rng)
    if not members:
        return content
    name = sorted(members)[int(rng.integers(len(members)))]
    if rng.random() < 0.1:
        del members[name]
    else:
        members[name] = mutated(members[name], Path(name).suffix, rng)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as target:
        for each, data in members.items():
            target.writestr(each, data)
    return out.getvalue()


def hdf5(content: bytes, rng: Rng) -> bytes:
    """The architecture of a Keras file, or the shape of one of its arrays."""
    import h5py

    buffer = io.BytesIO(content)
    try:
        with h5py.File(buffer, "r+") as file:
            if "model_config" in file.attrs and rng.random() < 0.7:
                config = file.attrs["model_config"]
                config = config if isinstance(config, bytes) else config.encode()
                changed = text(config, rng) if rng.random() < 0.3 else structure(config, rng)
                file.attrs["model_config"] = (
                    np.bytes_(changed) if b"\0" not in changed else changed.replace(b"\0", b"?")
                )
            else:
                names: list[str] = []
                file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
                if names:
                    name = names[int(rng.integers(len(names)))]
                    shape = tuple(int(size) for size in rng.integers(0, 7, size=int(rng.integers(0, 4))))
                    del file[name]
                    if rng.random() < 0.7:
                        file.create_dataset(name, data=np.full(shape, rng.choice([0.5, np.nan, 1e30])))
    except Exception:
        return raw(content, rng)
    return buffer.getvalue()


def structure(content: bytes, rng: Rng) -> bytes:
    """One value somewhere in JSON by another, or one key less."""
    try:
        data = json.loads(content)
    except ValueError:
        return text(content, rng)
    places: list[tuple[dict | list, object]] = []
    waiting = [data]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict | list):
            for key in item if isinstance(item, dict) else range(len(item)):
                places.append((item, key))
                waiting.append(item[key])
    if not places:
        return content
    owner, key = places[int(rng.integers(len(places)))]
    if rng.random() < 0.15:
        del owner[key]
    elif rng.random() < 0.3:
        other, name = places[int(rng.integers(len(places)))]
        value = other[name]
        owner[key] = json.loads(json.dumps(value))
    else:
        owner[key] = [
            None,
            True,
            -1,
            0,
            3,
            1.5,
            10**18,
            1e300,
            "",
            "relu",
            "x" * 300,
            [],
            {},
            [1, 2],
            {"class_name": "Dense"},
        ][int(rng.integers(15))]
    return json.dumps(data).encode()
