"""The configuration ring of the RTL, as its testbenches see it: messages, and a master that sends them one by one."""

from cocotb.triggers import FallingEdge

READ, WRITE, XOR, ANSWER = range(4)
OKAY, SLVERR, DECERR = 0, 2, 3


def message(op, address, data, address_bits):
    """The bits of a message."""
    return 1 << address_bits + 34 | op << address_bits + 32 | address << 32 | data


def fields(signal, address_bits):
    """Op, address and data of the message at a signal; None if there is none, for then its bits may be undefined."""
    if str(signal.value)[0] != "1":
        return None
    bits = int(signal.value)
    return bits >> address_bits + 32 & 3, bits >> 32 & (1 << address_bits) - 1, bits & 0xFFFFFFFF


class Ring:
    """Sends messages to the cell `dut` by cfg_i and waits for them at cfg_o.

    Args:
        dut: The cell.
        address_bits: Bits of an address.
        step: Awaited for every clock cycle.
    """

    def __init__(self, dut, address_bits, step=None):
        self.dut, self.address_bits = dut, address_bits
        self.step = step or (lambda: FallingEdge(dut.clk_i))
        dut.cfg_i.value = 0

    async def send(self, op, address, data=0):
        """What comes of a message, and after how many cycles."""
        self.dut.cfg_i.value = message(op, address, data, self.address_bits)
        for cycle in range(1, 40):
            await self.step()
            self.dut.cfg_i.value = 0
            out = fields(self.dut.cfg_o, self.address_bits)
            if out is not None:
                return out, cycle
        raise AssertionError("the message is lost")

    async def read(self, address):
        """The word at an address."""
        (op, flags, data), _ = await self.send(READ, address)
        assert (op, flags) == (ANSWER, 0), f"address {address} is refused"
        return data

    async def write(self, address, data, op=WRITE):
        """Write or exclusive or."""
        (answer, flags, _), _ = await self.send(op, address, data)
        assert (answer, flags) == (ANSWER, 0), f"address {address} is refused"
