"""Hardening: weight scaling, calibration, and the types of the graph that all executors run."""

from hwflow.hardening.hardened import Hardened, harden, input_type, summary
from hwflow.hardening.like import Like
from hwflow.hardening.options import HardenOptions, ScalingOptions

__all__ = ["HardenOptions", "Hardened", "Like", "ScalingOptions", "harden", "input_type", "summary"]
