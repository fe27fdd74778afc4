"""Options that would have no effect are refused: who gives one expects one."""

from __future__ import annotations

from collections.abc import Mapping

from hwflow.errors import HwflowError


def refuse_ignored(ignored: bool, why: str, options: Mapping[str, object]) -> None:
    """Refuse options that another choice makes ineffective.

    Args:
        ignored: whether it does.
        why: that choice, in words.
        options: by their names, what was given; None and False are not given.

    Raises:
        HwflowError: names the first one that was given.
    """
    for name, value in options.items():
        if ignored and value is not None and value is not False:
            raise HwflowError(f"{name}: has no effect, for {why}; leave it out")
