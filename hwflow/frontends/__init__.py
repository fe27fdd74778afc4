"""Networks from files, which are data: no file decides what code runs, or what else is read or written."""

from hwflow.frontends.keras_file import SUFFIXES, read_keras_file

__all__ = ["SUFFIXES", "read_keras_file"]
