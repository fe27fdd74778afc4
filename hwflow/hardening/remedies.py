"""What to try when a hardened network is far from the one that it was made from."""

from hwflow.codes import PLAIN
from hwflow.frontends.keras_agreement import Remedies
from hwflow.hardening.options import HardenOptions

_OUTLIERS, _BITS = 0.01, 2  # a first fraction of outliers; a step of the weights' width


def remedies(options: HardenOptions) -> Remedies:
    """The next options to try after these, with their values."""
    scaling, guard = options.scaling, options.guard_bits
    saturation = "more calibration images may help"
    if guard + 1 < options.activation_bits:
        saturation = f"--guard-bits {guard + 1} (now {guard}) or {saturation}"
    if scaling.granularity == "layer" and scaling.scale != "none":
        return Remedies(saturation, "--granularity channel (now layer) may help")
    if options.storage != PLAIN.name:
        return Remedies(saturation, f"a storage code with more bits for a weight than {options.storage} may help")
    type_ = scaling.weight_type
    wider = f"--weights 'ap_fixed<{type_.width + _BITS},{type_.integer}>' (now {type_})"
    outliers = f"--outliers {max(_OUTLIERS, 2 * scaling.outliers):g} (now {scaling.outliers:g})"
    return Remedies(saturation, f"{outliers} or {wider} may help")
