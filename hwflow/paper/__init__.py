"""The studies of the paper: figures 2 and 3, tables I and II, and section V.C."""
