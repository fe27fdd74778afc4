"""The version of hwflow."""

__version__ = "0.1.0"
