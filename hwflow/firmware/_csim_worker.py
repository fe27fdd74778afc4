"""The child process of C simulation: loads the library, flips bits of stored words, runs images.

Run by path, with NumPy alone: ``python _csim_worker.py LIBRARY REQUEST.npz RESULT.npy``. The request
holds ``codes (n, inputs)``, ``outputs`` (elements of an output) and, for every array with faults,
``words:<symbol> (m,)`` and ``masks:<symbol> (m, bytes of a word)``, the bits to flip. The current folder is
the project's ``firmware``, where the library finds its weights.
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
        symbols = [name.split(":", 1)[1] for name in request.files if name.startswith("words:")]
        flips = {symbol: (request[f"words:{symbol}"], request[f"masks:{symbol}"]) for symbol in symbols}
    if flips:
        # The first call loads the weights from their text files, over whatever the arrays held.
        _run(library, np.zeros((1, codes.shape[1]), dtype=np.int64), outputs)
    for symbol, (words, masks) in flips.items():
        _flip(library, symbol, words, masks)
    np.save(result_path, _run(library, codes, outputs))


def _run(library: ctypes.CDLL, codes: np.ndarray, outputs: int) -> np.ndarray:
    result = np.zeros((len(codes), outputs), dtype=np.int64)
    library.hwflow_run(_pointer(codes), _pointer(result), ctypes.c_long(len(codes)))
    return result


def _flip(library: ctypes.CDLL, symbol: str, words: np.ndarray, masks: np.ndarray) -> None:
    words = np.ascontiguousarray(words, dtype=np.int64)
    masks = np.ascontiguousarray(masks, dtype=np.uint8)
    getattr(library, f"hwflow_flip_{symbol}")(ctypes.c_long(len(words)), _pointer(words), _pointer(masks))


def _pointer(array: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


if __name__ == "__main__":
    threading.stack_size(STACK_BYTES)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(main, *sys.argv[1:]).result()
