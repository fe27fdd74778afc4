"""Weight formats faulted as bits, FP32, FP16 and every ap_fixed, in networks computed in float32.

The paper's experiments: every stored weight is `f_D(b_D(cW) xor M) / c` (equations 1 to 6), all else is
float32 arithmetic in Keras. Biases and batch normalisation are not faulted. The exact integer executors
are in `hwflow.reference`.
"""

from hwflow.float_study.network import FaultyNetwork, KerasNetwork, Outcome, StudyOptions
from hwflow.float_study.protections import FloatProtection, float_protection
from hwflow.float_study.storage import MSB_MODES, Msb, StoredLayer, store
from hwflow.float_study.words import FixedFormat, FloatFormat, WeightFormat, weight_format

__all__ = [
    "MSB_MODES",
    "FaultyNetwork",
    "FixedFormat",
    "FloatFormat",
    "FloatProtection",
    "KerasNetwork",
    "Msb",
    "Outcome",
    "StoredLayer",
    "StudyOptions",
    "WeightFormat",
    "float_protection",
    "store",
    "weight_format",
]
