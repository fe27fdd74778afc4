"""The cocotb test of simulation.py: processor time of the images of ``images.npy``, files and all."""

import time
from pathlib import Path
from typing import Any

import cocotb
import numpy as np

from hwflow.sim import Network


@cocotb.test()
async def images(dut: Any) -> None:
    net = Network(dut)
    net.alone = True
    await net.reset()
    codes = np.load("images.npy")
    start = time.process_time()
    await net.run(codes)
    seconds = time.process_time() - start
    Path("measured.txt").write_text(f"{int(net.finished[-1])} {seconds}")
