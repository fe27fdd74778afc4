"""Inside a cocotb test of a generated design: images through it, its memories read and flipped, streams of one's own.

    @cocotb.test()
    async def a_flip_changes_the_logits(dut):
        net = Network(dut)
        await net.reset()
        clean = await net.run(images)
        net.flip("conv1", 0, 7)
        assert (await net.run(images) != clean).any()

``hwflow simulate DESIGN --test FILE`` runs such a test; see docs/simulate.md. Nothing here imports TensorFlow.
"""

from hwflow.sim.design import InnerStream, Port, RtlDesign, StoredMemory, find_design
from hwflow.sim.network import Network
from hwflow.sim.streams import StreamSink, StreamSource
from hwflow.sim.stuck import Stuck

__all__ = [
    "InnerStream",
    "Network",
    "Port",
    "RtlDesign",
    "StoredMemory",
    "StreamSink",
    "StreamSource",
    "Stuck",
    "find_design",
]
