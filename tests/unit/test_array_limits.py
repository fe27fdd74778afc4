"""Archives and arrays that declare more than they hold are refused before memory is taken."""

import io
import json
import struct
import time
import tracemalloc
import zipfile

import numpy as np
import pytest

from hwflow.data import open_data
from hwflow.errors import HwflowError
from hwflow.models import read_state_dict

LARGE = 10**14
SECONDS, BYTES = 5.0, 200 * 2**20


def header(shape, dtype="<f4"):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": dtype, "fortran_order": False, "shape": shape})
    return buffer.getvalue()


def archive(path, member, compressed=False):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED) as file:
        file.writestr("x.npy", member)


def zeros(count):
    """An array that is nothing but zeros, which compress a thousand times."""
    return header((count, 1)) + bytes(4 * count)


NPZ = {
    "header": lambda path: archive(path, header((LARGE, 4)) + bytes(64)),
    "negative": lambda path: archive(path, header((-1, 4)) + bytes(64)),
    "many axes": lambda path: archive(path, header((10,) * 40) + bytes(64)),
    "bomb": lambda path: archive(path, zeros(60_000_000), compressed=True),
    "objects": lambda path: np.savez(path, x=np.array([{}, []], dtype=object)),
    "wide text": lambda path: archive(path, header((1,), "<U1000000000")),
}


@pytest.mark.parametrize("kind", NPZ)
@pytest.mark.parametrize("read", [lambda path: open_data(str(path)), read_state_dict], ids=["data", "state dict"])
def test_npz(kind, read, tmp_path):
    path = tmp_path / "x.npz"
    NPZ[kind](path)
    refused(read, path)


def safetensors(path, shape, offsets, data=bytes(64)):
    text = json.dumps({"w": {"dtype": "F32", "shape": shape, "data_offsets": offsets}}).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


SAFETENSORS = {
    "shape": lambda path: safetensors(path, [LARGE, LARGE], [0, 64]),
    "offsets": lambda path: safetensors(path, [16], [0, LARGE]),
    "backwards": lambda path: safetensors(path, [16], [64, 0]),
    "negative": lambda path: safetensors(path, [-1], [0, 64]),
    "long header": lambda path: path.write_bytes(struct.pack("<Q", LARGE) + b"{}"),
    "no header": lambda path: path.write_bytes(b"1234"),
}


@pytest.mark.parametrize("kind", SAFETENSORS)
def test_safetensors(kind, tmp_path):
    path = tmp_path / "x.safetensors"
    SAFETENSORS[kind](path)
    refused(read_state_dict, path)


def test_a_torch_tensor_that_repeats_one_number(tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / "x.pth"
    torch.save({"w": torch.zeros(1).expand(10**12)}, path)
    refused(read_state_dict, path)


def test_a_torch_archive_that_expands(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"w": torch.zeros(60_000_000)}, tmp_path / "stored.pth")
    path = tmp_path / "x.pth"
    with zipfile.ZipFile(tmp_path / "stored.pth") as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name in source.namelist():
            file.writestr(name, source.read(name))
    refused(read_state_dict, path)


def refused(read, path):
    tracemalloc.start()
    start = time.monotonic()
    try:
        with pytest.raises(HwflowError, match="x\\.") as error:
            read(path)
        taken = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "\n" not in str(error.value)
    assert taken < BYTES
    assert time.monotonic() - start < SECONDS
