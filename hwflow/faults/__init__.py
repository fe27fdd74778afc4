"""Memory faults as data: drawn once, saved, and replayed in any executor.

A fault is one flipped bit in storage coordinates, `(memory, word, bit)`: the bits that a memory really
holds, check bits included. This package knows memories by name and size only.
"""

from hwflow.faults.faultlist import FaultList, Memory
from hwflow.faults.sampling import chosen, round_seed, sample_ber, sample_count

__all__ = ["FaultList", "Memory", "chosen", "round_seed", "sample_ber", "sample_count"]
