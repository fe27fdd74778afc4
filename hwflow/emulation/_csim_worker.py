"""The child process of hls4ml's C simulation: loads the library, runs images, collects every layer.

Run by path, with NumPy alone: ``python _csim_worker.py LIBRARY TOP REQUEST.npz RESULT.npz``. The request
holds ``input:<number> (n, size)``, ``outputs`` (their sizes), and the traced ``layers`` with their ``sizes``.
The current folder is the project's ``firmware``, where the library finds its weights.
"""

import ctypes
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np

STACK_BYTES = 1 << 30
"""hls4ml keeps whole tensors on the stack."""


class TraceData(ctypes.Structure):
    """hls4ml's ``trace_data``."""

    _fields_ = (("name", ctypes.c_char_p), ("data", ctypes.c_void_p))


def main(library_path: str, top: str, request_path: str, result_path: str) -> None:
    """Serve one request."""
    library = ctypes.CDLL(library_path)
    with np.load(request_path) as request:
        inputs = [request[f"input:{index}"] for index in range(sum(name.startswith("input:") for name in request))]
        sizes = [int(size) for size in request["outputs"]]
        layers = dict(zip(request["layers"].tolist(), request["sizes"].tolist(), strict=True))
    count = len(inputs[0])
    outputs = [np.zeros((count, size)) for size in sizes]
    traced = {name: np.zeros((count, size)) for name, size in layers.items()}
    function = getattr(library, f"{top}_double")
    library.allocate_trace_storage(ctypes.c_size_t(8))
    collected = (TraceData * max(len(layers), 1))()
    for number in range(count):
        function(*(_pointer(array[number]) for array in inputs + outputs))
        library.collect_trace_output(collected)
        for entry in collected[: len(layers)]:
            name = entry.name.decode()
            values = ctypes.cast(entry.data, ctypes.POINTER(ctypes.c_double))
            traced[name][number] = np.ctypeslib.as_array(values, (layers[name],))
    named = {f"output:{index}": array for index, array in enumerate(outputs)}
    np.savez(result_path, **named, **{f"layer:{name}": array for name, array in traced.items()})


def _pointer(array: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


if __name__ == "__main__":
    threading.stack_size(STACK_BYTES)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(main, *sys.argv[1:]).result()
