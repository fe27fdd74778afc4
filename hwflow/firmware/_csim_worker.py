"""The child process of C simulation: loads the library, writes faulted weights, runs images.

Run by path, with NumPy alone: ``python _csim_worker.py LIBRARY REQUEST.npz RESULT.npy``. The request
holds ``codes (n, inputs)``, ``outputs`` (elements of an output) and, for every array to change,
``index:<symbol>`` and ``codes:<symbol>``. The current folder is the project's ``firmware``, where the
library finds its weights.
"""

import ctypes
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np

STACK_BYTES = 1 << 30
"""hls4ml keeps whole feature vectors on the stack, more than the usual 8 MiB for AlexNet; memory is taken as used."""


def main(library_path: str, request_path: str, result_path: str) -> None:
    """Serve one request."""
    library = ctypes.CDLL(library_path)
    with np.load(request_path) as request:
        codes = np.ascontiguousarray(request["codes"], dtype=np.int64)
        outputs = int(request["outputs"])
        symbols = [name.split(":", 1)[1] for name in request.files if name.startswith("index:")]
        patches = {symbol: (request[f"index:{symbol}"], request[f"codes:{symbol}"]) for symbol in symbols}
    if patches:
        # The first call loads the weights from their text files, over whatever the arrays held.
        _run(library, np.zeros((1, codes.shape[1]), dtype=np.int64), outputs)
    for symbol, (index, values) in patches.items():
        _write(library, symbol, index, values)
    np.save(result_path, _run(library, codes, outputs))


def _run(library: ctypes.CDLL, codes: np.ndarray, outputs: int) -> np.ndarray:
    result = np.zeros((len(codes), outputs), dtype=np.int64)
    library.hwflow_run(_pointer(codes), _pointer(result), ctypes.c_long(len(codes)))
    return result


def _write(library: ctypes.CDLL, symbol: str, index: np.ndarray, values: np.ndarray) -> None:
    index = np.ascontiguousarray(index, dtype=np.int64)
    values = np.ascontiguousarray(values, dtype=np.int64)
    getattr(library, f"hwflow_write_{symbol}")(ctypes.c_long(len(index)), _pointer(index), _pointer(values))


def _pointer(array: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


if __name__ == "__main__":
    threading.stack_size(STACK_BYTES)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(main, *sys.argv[1:]).result()
