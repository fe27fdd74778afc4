"""Puts this folder on the import path, so that every testbench can `import common`."""
