"""The one exception for bad input: its text is a single line that names the culprit and what to do."""


class HwflowError(ValueError):
    """Bad input, a missing tool or a format that cannot hold the data. The CLI prints it as one line."""
