"""The cocotb test by which hwflow measures upsets of registers.

It reads ``job.json``, ``images.npy`` and ``clean.npy`` in the working folder, and writes ``upsets.json``.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cocotb
import numpy as np

from hwflow.errors import HwflowError
from hwflow.sim.network import Network
from hwflow.sim.state import matching, measure, registers

RESULT = "upsets.json"


@cocotb.test()
async def upset_registers(dut: Any) -> None:
    """Run with one upset at a time, and save what each did."""
    job = json.loads(Path("job.json").read_text())
    net = Network(dut)
    net.alone = True
    await net.reset()
    try:
        found = registers(net) if job["patterns"] is None else matching(registers(net), job["patterns"])
        images, clean = np.load("images.npy"), np.load("clean.npy")
        upsets = await measure(net, images, clean, found, job["rounds"], job["seed"], job["most"], job["threshold"])
        result: dict[str, Any] = {"registers": [asdict(each) for each in found], **asdict(upsets)}
    except HwflowError as error:
        result = {"error": str(error)}
    Path(RESULT).write_text(json.dumps(result))
