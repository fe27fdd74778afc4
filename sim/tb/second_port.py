"""The second port of a cell's memory, as its testbench drives it."""

from cocotb.triggers import FallingEdge


class SecondPort:
    """Reads and writes through the pins `<prefix>_en_i` and so on of `dut`, whose clock runs.

    Args:
        dut: The cell.
        prefix: Of the pins.
        step: Awaited for every clock cycle.
    """

    def __init__(self, dut, prefix, step=None):
        self.step = step or (lambda: FallingEdge(dut.clk_i))
        self.en, self.we, self.addr, self.wdata, self.rdata = (
            getattr(dut, f"{prefix}_{pin}") for pin in ("en_i", "we_i", "addr_i", "wdata_i", "rdata_o")
        )
        self.en.value = 0

    async def read(self, address):
        """The word at an address."""
        await self._access(0, address)
        return int(self.rdata.value)

    async def write(self, address, word):
        """Write a word."""
        self.wdata.value = word
        await self._access(1, address)

    async def _access(self, write, address):
        await self.step()
        self.en.value, self.we.value, self.addr.value = 1, write, address
        await self.step()
        self.en.value = 0
