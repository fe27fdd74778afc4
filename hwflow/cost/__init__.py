"""What a design costs: reuse factors, folds, memories, cycles."""

DEFAULT_PART = "xczu7ev-ffvc1156-2-e"
"""The FPGA that projects are for: a mid-size Zynq UltraScale+."""
