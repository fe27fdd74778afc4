"""hwflow."""
